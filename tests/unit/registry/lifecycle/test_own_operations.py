"""Our own operations where a real server could not be brought to it: times, children before their index, tags."""

import json
from dataclasses import replace

import pytest

from moorage.access.call import Call
from moorage.aws.shapes.moorage import (
    ExplainLifecyclePolicyRequest,
    ExplanationFilter,
    GetLifecyclePolicyRunRequest,
    ImageIdentifier,
    ListDeletedImagesRequest,
    RegisterImageUseRequest,
    RestoreDeletedImagesRequest,
    StartLifecyclePolicyRunRequest,
)
from moorage.base.clock import HOUR, SECOND
from moorage.base.digest import Digest
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.requests import InvalidParameter
from moorage.registry.lifecycle import stored
from moorage.registry.lifecycle.explanation_operations import (
    explain_lifecycle_policy,
    get_lifecycle_policy_run,
    start_lifecycle_policy_run,
)
from moorage.registry.lifecycle.keeping_operations import (
    list_deleted_images,
    register_image_use,
    restore_deleted_images,
)
from moorage.registry.repositories.repository import Repository

from ...access.test_authorize import allow, document, user
from ..memory import in_memory, with_limits
from ..registry import ACCOUNT, MemoryRegistry
from .running import older_than, policy_of, push, push_index, run_jobs, status_of

DAY = 24 * HOUR
OLD = policy_of(older_than(5))


async def all_taken(registry: MemoryRegistry) -> tuple[Repository, Digest, Digest]:
    """An index and its child, both taken by a policy and kept for a day."""
    with_limits(registry, undelete_us=DAY)
    app = await registry.repository("app")
    child = await push(registry, app, "child", "v1")
    index = await push_index(registry, app, [child], "latest")
    registry.pass_time(6 * DAY)
    await stored.put(registry.call, app, OLD)
    await start_lifecycle_policy_run(registry.call, StartLifecyclePolicyRunRequest(repository_name="app"))
    await run_jobs(registry)
    assert [await status_of(registry, app, each) for each in (child, index)] == ["gone", "gone"]
    return app, child, index


def restoring(*digests: object) -> RestoreDeletedImagesRequest:
    return RestoreDeletedImagesRequest(repository_name="app", image_digests=[str(each) for each in digests])


@in_memory
async def test_children_come_back_before_their_index_in_whatever_order_they_are_named(
    registry: MemoryRegistry,
) -> None:
    app, child, index = await all_taken(registry)

    answer = await restore_deleted_images(registry.call, restoring(index, child, index))

    restored = answer.restored_images or []
    assert [(each.image_digest, each.image_tags) for each in restored] == [
        (str(child), ["v1"]),
        (str(index), ["latest"]),
    ]
    assert answer.failures == []
    assert [await status_of(registry, app, each) for each in (child, index)] == ["ACTIVE", "ACTIVE"]
    left = await list_deleted_images(registry.call, ListDeletedImagesRequest(repository_name="app"))
    assert left.deleted_images == []


@in_memory
async def test_an_index_does_not_come_back_without_its_child_and_others_do(registry: MemoryRegistry) -> None:
    app, child, index = await all_taken(registry)

    alone = await restore_deleted_images(registry.call, restoring(index, "sha256:short", Digest.of(b"?")))

    assert alone.restored_images == []
    assert [each.failure_code for each in alone.failures or []] == [
        "InvalidImageDigest",
        "DeletedImageNotFound",
        "ReferencedImagesNotFound",
    ]
    assert str(child) in str((alone.failures or [])[2].failure_reason)
    assert await status_of(registry, app, index) == "gone"


@in_memory
async def test_after_the_window_nothing_comes_back(registry: MemoryRegistry) -> None:
    _, child, _ = await all_taken(registry)
    registry.pass_time(DAY + 1)

    answer = await restore_deleted_images(registry.call, restoring(child))

    assert [each.failure_code for each in answer.failures or []] == ["DeletedImageNotFound"]


@in_memory
async def test_a_tag_that_somebody_has_set_meanwhile_stays_where_it_is(registry: MemoryRegistry) -> None:
    app, child, _ = await all_taken(registry)
    newer = await push(registry, app, "newer", "v1")

    answer = await restore_deleted_images(registry.call, restoring(child))

    assert [each.image_tags for each in answer.restored_images or []] == [None]
    assert (await digest_under(registry, "v1")) == str(newer)


async def digest_under(registry: MemoryRegistry, tag: str) -> str:
    request = ExplainLifecyclePolicyRequest(
        repository_name="app", lifecycle_policy_text=OLD, image_ids=[ImageIdentifier(image_tag=tag)]
    )
    (found,) = (await explain_lifecycle_policy(registry.call, request)).explanations or []
    return found.image_digest


@in_memory
async def test_who_may_not_set_a_tag_brings_nothing_back_that_has_it(registry: MemoryRegistry) -> None:
    app, child, index = await all_taken(registry)
    condition = {"StringNotEquals": {"moorage:ImageTag": "latest"}}
    limited: Call = await user(registry, document(allow("moorage:RestoreDeletedImages", Condition=condition)))
    limited = replace(limited, now=registry.now)

    with pytest.raises(AccessDenied):
        await restore_deleted_images(limited, restoring(child, index))
    assert await status_of(registry, app, child) == "gone"
    answer = await restore_deleted_images(limited, restoring(child))
    assert [each.image_tags for each in answer.restored_images or []] == [["v1"]]


@in_memory
async def test_a_run_is_pending_until_it_has_begun_and_then_complete(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await push(registry, app, "one")
    await stored.put(registry.call, app, OLD)
    asked = GetLifecyclePolicyRunRequest(repository_name="app")
    statuses = []
    for _ in range(2):
        registry.pass_time(SECOND)
        await start_lifecycle_policy_run(registry.call, StartLifecyclePolicyRunRequest(repository_name="app"))
        statuses.append((await get_lifecycle_policy_run(registry.call, asked)).status)
        await run_jobs(registry)
        statuses.append((await get_lifecycle_policy_run(registry.call, asked)).status)

    assert statuses == ["PENDING", "COMPLETE"] * 2


@in_memory
async def test_a_run_that_was_given_up_has_failed(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await stored.put(registry.call, app, OLD)
    asked = GetLifecyclePolicyRunRequest(repository_name="app")
    run = StartLifecyclePolicyRunRequest(repository_name="app")
    await start_lifecycle_policy_run(registry.call, run)
    await run_jobs(registry)
    await start_lifecycle_policy_run(registry.call, run)
    job = await registry.services.jobs.claim(registry.db, stored.APPLY, registry.now)
    assert job is not None
    running = (await get_lifecycle_policy_run(registry.call, asked)).status

    await registry.services.jobs.fail(registry.db, job, "no", registry.now, attempts=1)

    assert running == "PENDING"
    assert (await get_lifecycle_policy_run(registry.call, asked)).status == "FAILED"


@in_memory
async def test_pages_are_decided_for_the_moment_of_the_first(registry: MemoryRegistry) -> None:
    """Else an image could be old on one page and young on another."""
    app = await registry.repository("app")
    digests = [str(await push(registry, app, name)) for name in ("one", "two")]
    registry.pass_time(5 * DAY - 10 * SECOND)
    request = ExplainLifecyclePolicyRequest(repository_name="app", lifecycle_policy_text=OLD, max_results=1)

    first = await explain_lifecycle_policy(registry.call, request)
    registry.pass_time(DAY)
    second = await explain_lifecycle_policy(registry.call, replace_token(request, first.next_token))
    anew = await explain_lifecycle_policy(registry.call, request)

    pages = [*(first.explanations or []), *(second.explanations or [])]
    assert [(each.image_digest, each.decision) for each in pages] == [(each, "KEEP") for each in digests]
    assert second.next_token is None
    assert second.evaluated_at == first.evaluated_at
    assert [each.decision for each in anew.explanations or []] == ["EXPIRE"]


def replace_token(request: ExplainLifecyclePolicyRequest, token: str | None) -> ExplainLifecyclePolicyRequest:
    return ExplainLifecyclePolicyRequest(
        repository_name=request.repository_name,
        lifecycle_policy_text=request.lifecycle_policy_text,
        max_results=request.max_results,
        next_token=token,
    )


@in_memory
async def test_a_token_is_of_one_policy(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    for name in ("one", "two"):
        await push(registry, app, name)
    request = ExplainLifecyclePolicyRequest(repository_name="app", lifecycle_policy_text=OLD, max_results=1)
    token = (await explain_lifecycle_policy(registry.call, request)).next_token

    with pytest.raises(InvalidParameter, match="Invalid token"):
        await explain_lifecycle_policy(
            registry.call,
            ExplainLifecyclePolicyRequest(
                repository_name="app", lifecycle_policy_text=policy_of(older_than(6)), next_token=token
            ),
        )


@in_memory
async def test_what_is_wanted_is_filtered_and_the_totals_are_of_all(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    await push(registry, app, "old")
    await push(registry, app, "old too", "v1")
    registry.pass_time(6 * DAY)
    await push(registry, app, "young")

    async def found(**wanted: object) -> list[str]:
        request = ExplainLifecyclePolicyRequest(
            repository_name="app",
            lifecycle_policy_text=OLD,
            filter=ExplanationFilter(**wanted),  # type: ignore[arg-type]
        )
        answer = await explain_lifecycle_policy(registry.call, request)
        assert answer.summary is not None
        assert answer.summary.expiring_image_total_count == 2
        assert answer.summary.kept_image_total_count == 1
        return [f"{each.decision} {each.image_tags}" for each in answer.explanations or []]

    assert await found(decision="KEEP") == ["KEEP None"]
    assert await found(tag_status="TAGGED") == ["EXPIRE ['v1']"]
    assert await found(decision="EXPIRE", tag_status="UNTAGGED") == ["EXPIRE None"]
    assert len(await found(tag_status="ANY")) == 3


@in_memory
async def test_the_policy_that_applies_is_the_own_and_else_the_default(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    asked = ExplainLifecyclePolicyRequest(repository_name="app")
    async with registry.db.transaction() as tx:
        await stored.put_default(
            tx, registry.services.jobs, app.registry, policy_of(older_than(9)), registry.now
        )
    default = await explain_lifecycle_policy(registry.call, asked)
    await stored.put(registry.call, app, OLD)
    own = await explain_lifecycle_policy(registry.call, asked)

    assert (default.policy_source, own.policy_source) == ("REGISTRY_DEFAULT", "REPOSITORY")
    assert json.loads(own.lifecycle_policy_text or "") == json.loads(OLD)
    assert default.registry_id == ACCOUNT


@pytest.mark.parametrize("expires_at", [0.0, 3_600_000.0, -1.0, 1e300, float("inf"), float("nan")])
@in_memory
async def test_an_end_that_is_over_or_no_time_is_refused(registry: MemoryRegistry, expires_at: float) -> None:
    app = await registry.repository("app")
    digest = await push(registry, app, "one")
    request = RegisterImageUseRequest(
        repository_name="app",
        image_id=ImageIdentifier(image_digest=str(digest)),
        consumer="cluster-1",
        expires_at=expires_at,
    )

    with pytest.raises(InvalidParameter, match="expiresAt"):
        await register_image_use(registry.call, request)


@in_memory
async def test_pages_of_a_run_that_is_no_dry_run_are_refused(registry: MemoryRegistry) -> None:
    await registry.repository("app")
    request = StartLifecyclePolicyRunRequest(repository_name="app", max_results=1)

    with pytest.raises(InvalidParameter, match="dryRun"):
        await start_lifecycle_policy_run(registry.call, request)
