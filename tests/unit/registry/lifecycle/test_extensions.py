"""What Amazon's lifecycle policies do not have: tags that expire, uses, defaults, bringing back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.base.addresses import Registry
from moorage.base.digest import Digest
from moorage.base.errors.requests import InvalidParameter
from moorage.registry.images import find
from moorage.registry.images.push import push_image
from moorage.registry.lifecycle import erased, stored, uses
from moorage.registry.lifecycle.bringing_back import BRING_BACK, bring_back, subject_of
from moorage.registry.lifecycle.evaluate import DAY, evaluate
from moorage.registry.lifecycle.job import forget
from moorage.registry.lifecycle.policy import Policy, Rule, parse
from moorage.registry.lifecycle.survey import survey, survey_tags
from moorage.registry.lifecycle.tags import TagFacts, evaluate_tags
from moorage.registry.lifecycle.taking import take, take_tags
from moorage.registry.repositories.repository import Repository
from moorage.store.jobs.queue import Job

from ..memory import in_memory, with_limits
from ..registry import ACCOUNT, MANIFEST_TYPE, REGION, MemoryRegistry, image_of
from ..straddling import TRANSACTION, straddle
from .running import apply_now, older_than, policy_of, push, run_jobs, status_of

NOW = 1_000 * DAY
NEWEST = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}


def tag_rule(count: int, entry: str, priority: int = 1) -> dict[str, object]:
    selection = {"tagStatus": "tagged", "tagPatternList": [entry]}
    selection |= {"countType": "imageCountMoreThan", "countNumber": count}
    return {
        "rulePriority": priority,
        "selection": selection,
        "action": {"type": "expire"},
        "moorage": {"expireTag": True},
    }


def retaining(entry: str, priority: int = 1) -> dict[str, object]:
    return {
        "rulePriority": priority,
        "selection": {"tagStatus": "tagged", "tagPatternList": [entry]},
        "moorage": {"retain": True},
    }


def text_of(*rules: object) -> str:
    return json.dumps({"rules": rules})


async def tags_of(registry: MemoryRegistry, app: Repository) -> list[str]:
    rows = await registry.db.all("images.tag_page", {"repository": app.id, "after": "", "limit": 100})
    return [tag for (tag,) in rows]


# Tags


@given(
    st.lists(
        st.builds(
            TagFacts,
            st.sampled_from([f"{kind}-{number}" for kind in "ab" for number in range(6)]),
            st.just("sha256:0"),
            st.integers(NOW - 9 * DAY, NOW),
            st.sampled_from(["", "", "cluster"]),
        ),
        unique_by=lambda each: each.tag,
    ),
    st.integers(1, 3),
    st.randoms(),
)
def test_a_rule_on_tags_keeps_the_newest_that_it_selects(
    known: list[TagFacts], count: int, random: object
) -> None:
    rule = Rule(1, "", "tagged", ("a",), (), "standard", "imageCountMoreThan", count, "expire", True)
    shuffled = list(known)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    found = evaluate_tags(known, Policy((rule,)), NOW)

    assert found == evaluate_tags(shuffled, Policy((rule,)), NOW)
    taken = {each.tag for each, _ in found.taken}
    selected = sorted(
        (each for each in known if each.tag.startswith("a")), key=lambda each: (-each.moved, each.tag)
    )
    assert taken == {each.tag for each in selected[count:] if not each.used_by}


@in_memory
async def test_tags_expire_and_their_images_stay(registry: MemoryRegistry) -> None:
    with_limits(registry, lifecycle_extensions=True)
    app = await registry.repository("team/app")
    images = [await push(registry, app, str(n), f"build-{n}", f"v{n}") for n in range(4)]
    await stored.put(registry.call, app, text_of(retaining("build-0"), tag_rule(1, "build-*", 2)))

    await apply_now(registry, app)

    assert await tags_of(registry, app) == ["build-0", "build-3", "v0", "v1", "v2", "v3"]
    assert [await status_of(registry, app, each) for each in images] == ["ACTIVE"] * 4


@in_memory
async def test_a_tag_moved_after_the_decision_stays(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    await push(registry, app, "old", "build-0")
    await push(registry, app, "young", "build-1")
    images = await survey(registry.db, app.id, registry.now)
    tags = await survey_tags(registry.db, app.id, images)
    found = evaluate_tags(
        tags, parse(text_of(tag_rule(1, "build-*")).ljust(100), with_extensions=True), registry.now
    )

    await push(registry, app, "newest", "build-0")
    async with registry.db.transaction() as tx:
        taken = await take_tags(registry.services, tx, app, found.taken, found, registry.now)

    assert (len(found.taken), taken.untagged, taken.changed) == (1, 0, 1)


# Rules


@in_memory
async def test_what_a_rule_retains_no_lower_one_takes(registry: MemoryRegistry) -> None:
    with_limits(registry, lifecycle_extensions=True)
    app = await registry.repository("team/app")
    released = await push(registry, app, "released", "v1")
    other = await push(registry, app, "other", "dev")
    registry.pass_time(9 * DAY)
    everything = {"rulePriority": 2, "selection": older_than(1), "action": {"type": "expire"}}
    await stored.put(registry.call, app, text_of(retaining("v*"), everything))

    await apply_now(registry, app)

    assert [await status_of(registry, app, each) for each in (released, other)] == ["ACTIVE", "gone"]


@in_memory
async def test_images_expire_by_their_last_pull(registry: MemoryRegistry) -> None:
    with_limits(registry, lifecycle_extensions=True)
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1")
    selection = older_than(5) | {"countType": "sinceImagePulled"}
    rule = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    await stored.put(registry.call, app, text_of(rule | {"moorage": {"expireByPull": True}}))

    registry.pass_time(4 * DAY)
    await run_jobs(registry)
    before = await status_of(registry, app, image)
    registry.pass_time(2 * DAY)
    await run_jobs(registry)

    assert before == "ACTIVE"
    assert await status_of(registry, app, image) == "gone"


@in_memory
async def test_a_pull_that_is_not_written_yet_counts(registry: MemoryRegistry) -> None:
    with_limits(registry, lifecycle_extensions=True)
    app = await registry.repository("team/app")
    digest = await push(registry, app, "image", "v1")
    image = await find.by_digest(registry.db, app, digest)
    assert image is not None
    selection = older_than(5) | {"countType": "sinceImagePulled"}
    rule = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    text = text_of(rule | {"moorage": {"expireByPull": True}})
    await stored.put(registry.call, app, text)
    registry.pass_time(6 * DAY)
    images = await survey(registry.db, app.id, registry.now)
    decided = evaluate(images, parse(text, with_extensions=True), registry.now)

    registry.services.pull_times.note(image.id, registry.call.principal, app.registry, registry.now)
    async with registry.db.transaction() as tx:
        taken = await take(registry.services, tx, app, decided.taken, decided, registry.now)
    await run_jobs(registry)

    assert (len(decided.taken), taken.expired, taken.changed) == (1, 0, 1)
    assert await status_of(registry, app, digest) == "ACTIVE"


@in_memory
async def test_without_the_setting_extensions_are_refused(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")

    with pytest.raises(InvalidParameter, match="moorage"):
        await stored.put(registry.call, app, text_of(retaining("v*")))


# Uses


async def use(registry: MemoryRegistry, app: Repository, digest: Digest, until: int | None = None) -> None:
    async with registry.db.transaction() as tx:
        await uses.protect(tx, app, digest, "cluster", registry.now, until)


@in_memory
async def test_what_is_in_use_is_not_taken_until_that_ends(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1")
    young = await push(registry, app, "young", "v2")
    await use(registry, app, image, until=registry.now + DAY)
    await stored.put(registry.call, app, policy_of(NEWEST))

    await apply_now(registry, app)
    while_used = await status_of(registry, app, image)
    registry.pass_time(2 * DAY)
    await apply_now(registry, app)
    await forget(registry.services)

    assert while_used == "ACTIVE"
    assert [await status_of(registry, app, each) for each in (image, young)] == ["gone", "ACTIVE"]
    assert registry.count("image_uses") == 0


@in_memory
async def test_what_comes_into_use_after_the_decision_is_not_taken(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1")
    signature = await push(registry, app, "signature", subject=image)
    registry.pass_time(2 * DAY)
    images = await survey(registry.db, app.id, registry.now)
    evaluation = evaluate(images, parse(policy_of(older_than(1))), registry.now)

    await use(registry, app, image)
    async with registry.db.transaction() as tx:
        taken = await take(registry.services, tx, app, evaluation.taken, evaluation, registry.now)

    assert (taken.expired, taken.changed) == (0, 1)
    assert await status_of(registry, app, signature) == "ACTIVE"


@in_memory
async def test_uses_are_listed_and_taken_back(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1")
    await use(registry, app, image)
    listed = await uses.uses_of(registry.db, app.id, registry.now)

    async with registry.db.transaction() as tx:
        first = await uses.unprotect(tx, app, image, "cluster")
        second = await uses.unprotect(tx, app, image, "cluster")

    assert listed == [uses.Use(image, "cluster", registry.now, None)]
    assert (first, second) == (True, False)


# Defaults


@in_memory
async def test_the_default_policy_is_for_repositories_without_their_own(registry: MemoryRegistry) -> None:
    own, other = await registry.repository("own"), await registry.repository("other")
    kept, gone = await push(registry, own, "kept", "v1"), await push(registry, other, "gone", "v1")
    await stored.put(registry.call, own, policy_of(older_than(100)))
    async with registry.db.transaction() as tx:
        await stored.put_default(
            tx, registry.services.jobs, Registry(ACCOUNT, REGION), policy_of(older_than(1)), registry.now
        )

    registry.pass_time(2 * DAY)
    await run_jobs(registry)
    later = await push(registry, other, "later", "v1")
    registry.pass_time(2 * DAY)
    await run_jobs(registry)

    assert await status_of(registry, own, kept) == "ACTIVE"
    assert [await status_of(registry, other, each) for each in (gone, later)] == ["gone", "gone"]
    async with registry.db.transaction() as tx:
        assert await stored.delete_default(tx, Registry(ACCOUNT, REGION))
    last = await push(registry, other, "last", "v1")
    registry.pass_time(2 * DAY)
    await run_jobs(registry)
    assert await status_of(registry, other, last) == "ACTIVE"


# Bringing back


@in_memory
async def test_what_was_taken_is_brought_back_within_the_window(registry: MemoryRegistry) -> None:
    with_limits(registry, undelete_us=3 * DAY)
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1", "latest")
    signature = await push(registry, app, "signature", subject=image)
    registry.pass_time(2 * DAY)
    await stored.put(registry.call, app, policy_of(older_than(1)))
    await apply_now(registry, app)
    gone = await status_of(registry, app, image)
    layers_stay = await registry.not_before(app, Digest.of(b"image"))
    await push_image(registry.call, app, image_of([b"{}"]), MANIFEST_TYPE, ["latest"])
    listed = await erased.page(registry.db, app, None, registry.now)

    async with registry.db.transaction() as tx:
        for digest in (image, signature):
            await registry.services.jobs.put(tx, BRING_BACK, subject_of(app, digest), now=registry.now)
    await run_jobs(registry)

    assert gone == "gone"
    assert layers_stay == registry.now + 3 * DAY
    assert {(each.digest, each.tags) for each in listed} == {(image, ("latest", "v1")), (signature, ())}
    back = await find.by_tag(registry.db, app, "v1")
    assert back is not None
    assert (back.digest, back.pushed) == (image, registry.now)
    moved = await find.by_tag(registry.db, app, "latest")
    assert moved is not None
    assert moved.digest == Digest.of(image_of([b"{}"]))
    assert await status_of(registry, app, signature) == "ACTIVE"
    assert await erased.page(registry.db, app, None, registry.now) == []


@in_memory
async def test_after_the_window_nothing_can_be_brought_back(registry: MemoryRegistry) -> None:
    with_limits(registry, undelete_us=DAY)
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1")
    registry.pass_time(2 * DAY)
    await stored.put(registry.call, app, policy_of(older_than(1)))
    await apply_now(registry, app)

    registry.pass_time(DAY)
    async with registry.db.transaction() as tx:
        await registry.services.jobs.put(tx, BRING_BACK, subject_of(app, image), now=registry.now)
    await run_jobs(registry)
    await forget(registry.services)

    assert await status_of(registry, app, image) == "gone"
    assert registry.count("erased_images") == 0


@in_memory
async def test_without_a_window_nothing_is_kept(registry: MemoryRegistry) -> None:
    app = await registry.repository("team/app")
    await push(registry, app, "image", "v1")
    registry.pass_time(2 * DAY)
    await stored.put(registry.call, app, policy_of(older_than(1)))

    await apply_now(registry, app)

    assert registry.count("erased_images") == 0


@in_memory
async def test_a_tag_that_is_set_while_an_image_is_brought_back_stays_where_it_is(
    registry: MemoryRegistry,
) -> None:
    with_limits(registry, undelete_us=3 * DAY)
    app = await registry.repository("team/app")
    image = await push(registry, app, "image", "v1", "latest")
    registry.pass_time(2 * DAY)
    await stored.put(registry.call, app, policy_of(older_than(1)))
    await apply_now(registry, app)
    call = registry.call

    async def set_latest() -> None:
        await push_image(call, app, image_of([b"{}"]), MANIFEST_TYPE, ["latest"])

    job = Job(1, BRING_BACK, subject_of(app, image), "", 1, 1)
    straddle(registry, TRANSACTION, set_latest)
    await bring_back(registry.services, job)

    assert [(await by_tag(registry, app, tag)) for tag in ("v1", "latest")] == [
        image,
        Digest.of(image_of([b"{}"])),
    ]


async def by_tag(registry: MemoryRegistry, app: Repository, tag: str) -> Digest | None:
    found = await find.by_tag(registry.db, app, tag)
    return found.digest if found else None
