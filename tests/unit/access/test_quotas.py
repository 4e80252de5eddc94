"""Amazon's quotas, with small numbers in their place: each is kept where they are on, and says which it was."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from moorage.access.credentials import Credentials
from moorage.access.quotas import AWS_QUOTAS, Quotas
from moorage.aws.json import encode_error
from moorage.aws.shapes.ecr import (
    CreatePullThroughCacheRuleRequest,
    CreateRepositoryCreationTemplateRequest,
    UploadLayerPartRequest,
)
from moorage.base.errors.images import LimitExceeded
from moorage.base.errors.repositories import RepositoryAlreadyExists
from moorage.oci.errors import reply_for
from moorage.registry.images import find
from moorage.registry.images.push import push_image
from moorage.registry.repositories import repository as repositories
from moorage.registry.templates.operations import create_repository_creation_template
from moorage.registry.uploads import session
from moorage.registry.uploads.operations import upload_layer_part
from moorage.registry.upstream.operations import create_pull_through_cache_rule

from ..registry.memory import call_of, in_memory, with_limits
from ..registry.registry import ACCOUNT, MANIFEST_TYPE, MemoryRegistry, image_of

PART = 5 << 20
Act = Callable[[MemoryRegistry, int], Awaitable[object]]


async def with_account(registry: MemoryRegistry) -> None:
    """Some of what is counted makes a role of the account."""
    services = registry.services
    await Credentials(services.db, services.keys, services.epochs).create_account(ACCOUNT, registry.now)


async def make_repository(registry: MemoryRegistry, number: int) -> None:
    await registry.repository(f"app-{number}")


async def push_other(registry: MemoryRegistry, number: int) -> None:
    """Another image of the same layer, without tags."""
    app = await repository_of(registry)
    document = json.loads(image_of([b"{}"])) | {"annotations": {"number": str(number)}}
    content = json.dumps(document).encode()
    await push_image(registry.call, app, content, MANIFEST_TYPE, [])


async def push_tag(registry: MemoryRegistry, number: int) -> None:
    app = await repository_of(registry)
    await push_image(registry.call, app, image_of([b"{}"]), MANIFEST_TYPE, [f"t{number}"])


async def send_part(registry: MemoryRegistry, number: int) -> None:
    app = await repository_of(registry)
    opened = list(registry.services.uploads.by_id.values())
    upload = opened[0] if opened else await session.begin(registry.call, app)
    first = upload.writer.received
    request = UploadLayerPartRequest(
        repository_name="app",
        upload_id=upload.id,
        part_first_byte=first,
        part_last_byte=first + PART - 1,
        layer_part_blob=bytes(PART),
    )
    await upload_layer_part(registry.call, request)


async def make_rule(registry: MemoryRegistry, number: int) -> None:
    request = CreatePullThroughCacheRuleRequest(
        ecr_repository_prefix=f"rule-{number}", upstream_registry_url="public.ecr.aws"
    )
    await create_pull_through_cache_rule(registry.call, request)


async def make_template(registry: MemoryRegistry, number: int) -> None:
    request = CreateRepositoryCreationTemplateRequest(
        prefix=f"prefix-{number}", applied_for=["CREATE_ON_PUSH"]
    )
    await create_repository_creation_template(registry.call, request)


async def repository_of(registry: MemoryRegistry) -> repositories.Repository:
    try:
        app = await registry.repository("app")
    except RepositoryAlreadyExists:
        return await repositories.find(registry.call, "app")
    await registry.push_layer(app, b"{}")
    return app


CASES: list[tuple[str, Act, str, str]] = [
    (
        "repositories",
        make_repository,
        "repositories",
        f"The registry with id '{ACCOUNT}' already has the maximum allowed number of repositories which is '2'",
    ),
    (
        "images",
        push_other,
        "images",
        f"The repository with name 'app' in registry with id '{ACCOUNT}' already has the maximum allowed number of "
        "images which is '2'",
    ),
    (
        "tags",
        push_tag,
        "tags",
        f"Adding tag 't2' to an image in the repository with name 'app' in registry with id '{ACCOUNT}' exceeds the "
        "maximum allowed number of tags per image which is '2'",
    ),
    (
        "layer_parts",
        send_part,
        "layer-parts",
        "already has the maximum allowed number of layer parts which is '2'",
    ),
    (
        "pull_through_rules",
        make_rule,
        "pull-through-rules",
        f"The registry with id '{ACCOUNT}' already has the maximum allowed number of pull through cache rules which "
        "is '2'",
    ),
    (
        "templates",
        make_template,
        "templates",
        f"The registry with id '{ACCOUNT}' already has the maximum allowed number of repository creation templates "
        "which is '2'",
    ),
]


@pytest.mark.parametrize(("field", "act", "quota", "says"), CASES, ids=[case[0] for case in CASES])
@in_memory
async def test_a_quota_is_kept_and_named(
    registry: MemoryRegistry, field: str, act: Act, quota: str, says: str
) -> None:
    await with_account(registry)
    with_limits(registry, aws_quotas=True, quotas=replace(AWS_QUOTAS, **{field: 2}))
    for number in range(2):
        await act(registry, number)

    with pytest.raises(LimitExceeded) as raised:
        await act(registry, 2)

    assert says in str(raised.value)
    for reply in (encode_error(raised.value), reply_for(raised.value)):
        assert reply.status == 400
        assert dict(reply.headers)[b"x-moorage-quota"] == quota.encode()


@pytest.mark.parametrize(("field", "act", "quota", "says"), CASES, ids=[case[0] for case in CASES])
@in_memory
async def test_no_quota_is_kept_where_they_are_off(
    registry: MemoryRegistry, field: str, act: Act, quota: str, says: str
) -> None:
    await with_account(registry)
    with_limits(registry, quotas=replace(AWS_QUOTAS, **{field: 2}))

    for number in range(4):
        await act(registry, number)


@in_memory
async def test_what_was_refused_is_not_there_and_others_have_their_own(registry: MemoryRegistry) -> None:
    with_limits(registry, aws_quotas=True, quotas=replace(AWS_QUOTAS, repositories=1, images=1))
    app = await repository_of(registry)
    await push_other(registry, 0)

    for act, number in ((make_repository, 7), (push_other, 1)):
        with pytest.raises(LimitExceeded):
            await act(registry, number)

    assert await repositories.find_some(registry.db, app.registry, ["app-7"]) == {}
    assert registry.count("images") == 1
    far = call_of(registry, ACCOUNT, "far-1")
    await repositories.create(far, "app-7", app.mutability)


@in_memory
async def test_the_same_image_again_is_no_other_one(registry: MemoryRegistry) -> None:
    with_limits(registry, aws_quotas=True, quotas=replace(AWS_QUOTAS, images=1))
    app = await repository_of(registry)
    await push_tag(registry, 1)

    await push_tag(registry, 2)

    image = await find.by_tag(registry.db, app, "t2")
    assert image is not None


def test_the_numbers_are_amazon_s() -> None:
    assert (
        Quotas(
            repositories=100_000,
            images=100_000,
            tags=1_000,
            layer_parts=4_200,
            pull_through_rules=50,
            templates=50,
        )
        == AWS_QUOTAS
    )
