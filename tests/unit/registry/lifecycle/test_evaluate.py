import time
from collections.abc import Sequence
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from moorage.registry.lifecycle.evaluate import (
    DAY,
    Decision,
    ImageFacts,
    evaluate,
    parents_first,
    without_waiting,
)
from moorage.registry.lifecycle.policy import Policy, Rule

NOW = 1_000 * DAY
TAGS = st.sampled_from(["prod-1", "prod-2", "beta-1", "latest"])


@st.composite
def images(draw: st.DrawFn) -> list[ImageFacts]:
    names = [f"sha256:{number:02}" for number in range(draw(st.integers(0, 12)))]
    return [draw(image(number, names)) for number in range(len(names))]


@st.composite
def image(draw: st.DrawFn, number: int, names: list[str]) -> ImageFacts:
    days = st.integers(0, 120)
    return ImageFacts(
        id=number,
        digest=names[number],
        tags=tuple(sorted(draw(st.sets(TAGS, max_size=3)))),
        pushed=NOW - draw(days) * DAY,
        status=draw(st.sampled_from(["ACTIVE", "ACTIVE", "ARCHIVED", "ACTIVATING"])),
        archived=draw(st.none() | days.map(lambda ago: NOW - ago * DAY)),
        activated=draw(st.none() | days.map(lambda ago: NOW - ago * DAY)),
        pulled=draw(st.none() | days.map(lambda ago: NOW - ago * DAY)),
        subject=draw(st.none() | st.sampled_from(["sha256:gone", *names[:number]])),
        parents=tuple(draw(st.sets(st.sampled_from(names[:number]), max_size=2))) if number else (),
        used_by=draw(st.sampled_from(["", "", "", "cluster"])),
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """More than the grammar lets through: what holds must hold for any list of rules."""
    return Policy(tuple(draw(rule(priority)) for priority in range(1, draw(st.integers(1, 4)) + 1)))


@st.composite
def rule(draw: st.DrawFn, priority: int) -> Rule:
    status = draw(st.sampled_from(["any", "tagged", "untagged"]))
    archived = draw(st.booleans())
    return Rule(
        priority=priority,
        description="",
        tag_status=status,  # type: ignore[arg-type]  # one of those
        prefixes=(),
        patterns=draw(st.sampled_from([("prod*",), ("prod*", "beta*"), ("*1",), ("latest",)]))
        if status == "tagged"
        else (),
        storage_class="archive" if archived else "standard",
        count_type="sinceImageTransitioned"
        if archived
        else draw(st.sampled_from(["imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", None])),  # type: ignore[arg-type]
        count=draw(st.integers(1, 100)) if archived else draw(st.integers(1, 5)),
        action=draw(st.sampled_from(["expire", "transition"])),  # type: ignore[arg-type]
    )


def outcome(decisions: Sequence[Decision]) -> list[tuple[str, str | None, int | None]]:
    return [(each.image.digest, each.action, each.rule.priority if each.rule else None) for each in decisions]


@given(images(), policies(), st.randoms())
def test_the_order_of_images_plays_no_part(known: list[ImageFacts], policy: Policy, random: object) -> None:
    shuffled = list(known)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert outcome(evaluate(known, policy, NOW).decisions) == outcome(
        evaluate(shuffled, policy, NOW).decisions
    )


@given(images(), policies())
def test_a_lower_rule_never_takes_what_a_higher_one_selects(known: list[ImageFacts], policy: Policy) -> None:
    for decision in evaluate(known, policy, NOW).taken:
        assert decision.rule is not None
        higher = [each for each in policy.rules if each.priority < decision.rule.priority]
        wanted = "archive" if decision.image.status == "ARCHIVED" else "standard"
        assert not any(each.storage_class == wanted and each.selects(decision.image.tags) for each in higher)


@given(images(), policies())
def test_a_rule_takes_from_its_own_pool_and_selection(known: list[ImageFacts], policy: Policy) -> None:
    digests = {each.digest for each in known}
    for decision in evaluate(known, policy, NOW).taken:
        image, taking = decision.image, decision.rule
        assert taking is not None
        assert decision.action == taking.action
        assert image.status == {"archive": "ARCHIVED", "standard": "ACTIVE"}[taking.storage_class]
        assert taking.selects(image.tags)
        assert image.subject not in digests
        assert not image.used_by


@given(images(), policies())
def test_a_rule_settles_what_it_selects_and_no_higher_one_does(
    known: list[ImageFacts], policy: Policy
) -> None:
    digests = {each.digest for each in known}
    for decision in evaluate(known, policy, NOW).decisions:
        image = decision.image
        pool = {"ACTIVE": "standard", "ARCHIVED": "archive"}.get(image.status)
        takes_part = image.subject not in digests
        selecting = [each for each in policy.rules if each.storage_class == pool and each.selects(image.tags)]
        assert decision.rule == (selecting[0] if selecting and takes_part else None)


@given(images(), policies())
def test_every_image_is_decided_once_and_says_why(known: list[ImageFacts], policy: Policy) -> None:
    decisions = evaluate(known, policy, NOW).decisions

    assert sorted(each.image.id for each in decisions) == [each.id for each in known]
    assert all(each.why for each in decisions)


@given(images(), policies())
def test_the_newest_that_let_others_go_stay_themselves(known: list[ImageFacts], policy: Policy) -> None:
    evaluation = evaluate(known, policy, NOW)
    taken = {each.image.id for each in evaluation.taken}

    for newest in evaluation.counted.values():
        assert not taken & {each.id for each in newest}


@given(images(), policies())
def test_with_more_time_nothing_that_went_by_age_stays(known: list[ImageFacts], policy: Policy) -> None:
    by_age = Policy(tuple(each for each in policy.rules if each.count_type != "imageCountMoreThan"))

    now = {each.image.id for each in evaluate(known, by_age, NOW).taken}
    later = {each.image.id for each in evaluate(known, by_age, NOW + 30 * DAY).taken}

    assert now <= later


@given(images(), policies())
def test_an_index_goes_before_its_children(known: list[ImageFacts], policy: Policy) -> None:
    taken = evaluate(known, policy, NOW).taken
    ordered = parents_first(taken)
    at = {each.image.digest: number for number, each in enumerate(ordered)}

    assert sorted(at) == sorted(each.image.digest for each in taken)
    for each in ordered:
        assert all(at[parent] < at[each.image.digest] for parent in each.image.parents if parent in at)


@given(images(), policies())
def test_what_waits_for_an_index_that_stays_cannot_go(known: list[ImageFacts], policy: Policy) -> None:
    going = {each.image.digest for each in without_waiting(evaluate(known, policy, NOW))}

    for each in known:
        archived = {other.digest for other in known if other.status == "ARCHIVED"}
        assert each.digest not in going or (going | archived).issuperset(each.parents)


def test_indexes_in_indexes_have_no_depth_that_breaks() -> None:
    deep = [
        ImageFacts(number, f"{number:05}", (), 0, parents=(f"{number - 1:05}",) if number else ())
        for number in range(20_000)
    ]
    everything = Policy((Rule(1, "", "any", (), (), "standard", "sinceImagePushed", 1, "expire"),))

    assert len(without_waiting(evaluate(reversed(deep), everything, NOW))) == 20_000


def test_a_hundred_thousand_images_are_decided_in_a_second() -> None:
    numbers = count()
    known = [
        ImageFacts(
            n, f"sha256:{n:064x}", (f"prod-{n}", f"build-{n % 97}") if n % 3 else (), NOW - n * 1_000_000
        )
        for n in (next(numbers) for _ in range(100_000))
    ]
    rules = [
        Rule(n, "", "tagged", (), (f"build-{n}*",), "standard", "imageCountMoreThan", 10, "expire")
        for n in range(1, 5)
    ]
    rules += [Rule(9, "", "untagged", (), (), "standard", "sinceImagePushed", 1, "expire")]
    rules += [Rule(10, "", "any", (), (), "standard", "imageCountMoreThan", 100, "expire")]

    started = time.process_time()
    taken = evaluate(known, Policy(tuple(rules)), NOW).taken
    spent = time.process_time() - started

    assert len(taken) > 30_000
    assert spent < 3  # 1 on a machine that does nothing else
