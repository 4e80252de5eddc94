"""Which template a new repository is made from, and that it is made whole or not at all."""

from __future__ import annotations

import pytest

from moorage.base.addresses import Registry
from moorage.base.errors.repositories import RepositoryNotFound, TemplateUnusable
from moorage.registry.lifecycle import stored as lifecycle
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.mutability import Mutability
from moorage.registry.templates import template as templates
from moorage.registry.templates.creation import context_of, make_repository
from moorage.registry.templates.template import Content, Scenario, matching

from ..memory import in_memory
from ..registry import ACCOUNT, REGION, MemoryRegistry

HERE = Registry(ACCOUNT, REGION)
LIFECYCLE = (
    '{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"imageCountMoreThan",'
    '"countNumber":1},"action":{"type":"expire"}}]}'
)


async def put(registry: MemoryRegistry, prefix: str, *scenarios: Scenario, **members: object) -> None:
    content = Content(applied_for=scenarios or ("CREATE_ON_PUSH",), **members)  # type: ignore[arg-type]
    await templates.create(registry.db, HERE, prefix, content, registry.now)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("prod/app",         "prod"),
        ("prod/team/app",    "prod/team"),
        ("prod/team/a/b/c",  "prod/team"),
        ("prod/teams/app",   "prod"),
        ("prod",             "ROOT"),
        ("prod/team",        "prod"),
        ("production/app",   "ROOT"),
        ("other/prod/app",   "ROOT"),
    ],
)  # fmt: skip
@in_memory
async def test_the_longest_prefix_wins_and_a_slash_is_implied(
    registry: MemoryRegistry, name: str, prefix: str
) -> None:
    for each in ("prod", "prod/team", "ROOT"):
        await put(registry, each)

    found = await matching(registry.db, HERE, name, "CREATE_ON_PUSH")

    assert found is not None
    assert found.prefix == prefix


@in_memory
async def test_a_longer_prefix_for_another_scenario_hides_nothing(registry: MemoryRegistry) -> None:
    await put(registry, "prod", "CREATE_ON_PUSH", "REPLICATION")
    await put(registry, "prod/team", "REPLICATION")

    async def prefix(scenario: Scenario) -> str | None:
        found = await matching(registry.db, HERE, "prod/team/app", scenario)
        return found.prefix if found is not None else None

    assert await prefix("CREATE_ON_PUSH") == "prod"
    assert await prefix("REPLICATION") == "prod/team"
    assert await prefix("PULL_THROUGH_CACHE") is None


@in_memory
async def test_templates_of_another_registry_say_nothing_here(registry: MemoryRegistry) -> None:
    await put(registry, "ROOT")

    assert await matching(registry.db, Registry(ACCOUNT, "other-1"), "app", "CREATE_ON_PUSH") is None


@in_memory
async def test_without_a_template_a_push_makes_nothing_and_the_others_a_plain_repository(
    registry: MemoryRegistry,
) -> None:
    with pytest.raises(RepositoryNotFound):
        await make_repository(registry.call, "team/app", "CREATE_ON_PUSH")

    made = await make_repository(registry.call, "team/app", "REPLICATION")

    assert made.mutability == Mutability()
    assert (await repositories.find(registry.call, "team/app")).id == made.id


@in_memory
async def test_who_comes_second_gets_the_repository_of_the_first(registry: MemoryRegistry) -> None:
    await put(registry, "ROOT", mutability=Mutability("IMMUTABLE"))
    first = await make_repository(registry.call, "team/app", "CREATE_ON_PUSH")

    assert (await make_repository(registry.call, "team/app", "CREATE_ON_PUSH")).id == first.id


@in_memory
async def test_a_repository_has_its_policies_from_the_first_moment(registry: MemoryRegistry) -> None:
    await put(registry, "ROOT", repository_policy="{}", lifecycle_policy=LIFECYCLE)

    made = await make_repository(registry.call, "team/app", "CREATE_ON_PUSH")

    assert (await lifecycle.find(registry.db, made)).text == LIFECYCLE
    assert await registry.db.one("access.resource_policy", {"arn": made.arn}) == ("{}",)


@in_memory
async def test_a_creation_that_fails_leaves_nothing(registry: MemoryRegistry) -> None:
    """Policies come last: what is wrong with them takes the repository along."""
    await put(registry, "ROOT", repository_policy="{}", lifecycle_policy=LIFECYCLE)

    async def fail(*_: object) -> None:
        raise LookupError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lifecycle, "store", fail)
        with pytest.raises(LookupError):
            await make_repository(registry.call, "team/app", "CREATE_ON_PUSH")

    assert registry.count("repositories") == 0
    assert registry.count("resource_policies") == 0


@in_memory
async def test_a_key_or_tags_need_a_role(registry: MemoryRegistry) -> None:
    await put(registry, "tags", tags=(("team", "a"),))
    await put(registry, "key", encryption_type="KMS")

    for name in ("tags/app", "key/app"):
        with pytest.raises(TemplateUnusable, match="no role"):
            await make_repository(registry.call, name, "CREATE_ON_PUSH")
    assert registry.count("repositories") == 0


@in_memory
async def test_the_tags_are_condition_keys_of_the_creation(registry: MemoryRegistry) -> None:
    await put(registry, "ROOT", tags=(("Team", "a"), ("cost", "")))
    found = await matching(registry.db, HERE, "app", "CREATE_ON_PUSH")

    assert found is not None
    assert context_of(found) == {
        "aws:tagkeys": ("Team", "cost"),
        "aws:requesttag/team": "a",
        "aws:requesttag/cost": "",
    }
