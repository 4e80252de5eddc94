"""Settings of repositories at a destination, if the operator has them brought there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from moorage.access import resource_policy
from moorage.access.call import Call
from moorage.access.identities import entity as entities
from moorage.access.service_events import ServiceEvent
from moorage.aws.shapes import ecr as shapes
from moorage.base.addresses import Registry
from moorage.base.clock import HOUR, MINUTE
from moorage.base.errors.repositories import TooManyTags
from moorage.registry.account import replicas, scanning, setting_changes
from moorage.registry.account.setting_changes import Carried, Change
from moorage.registry.account.setting_names import SETTINGS, Setting
from moorage.registry.lifecycle import stored as lifecycle
from moorage.registry.replication import backfill, statuses
from moorage.registry.replication.carried_settings import settings_in
from moorage.registry.replication.copying import way_to
from moorage.registry.replication.job import Replicator
from moorage.registry.replication.setting_states import State, state_of
from moorage.registry.replication.tag_filters import TableMisconfigured
from moorage.registry.repositories import operations
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.mutability import Mutability
from moorage.registry.repositories.repository import Repository
from moorage.store.jobs import queue
from moorage.store.jobs.queue import Job

from ..memory import in_memory
from ..registry import ACCOUNT, MemoryRegistry
from .replicating import FURTHER, HERE, OTHERS, THERE, allow, at, configure, repository_at, run, tags_at

LIFECYCLE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5},
                "action": {"type": "expire"},
            }
        ]
    },
    separators=(",", ":"),
)
EXCLUDING = Mutability("IMMUTABLE_WITH_EXCLUSION", ("dev-*",))


def policy_for(account: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "ecr:BatchGetImage",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def carry(registry: MemoryRegistry, *settings: Setting, to: tuple[Registry, ...] = (THERE,)) -> None:
    """Of the configuration; none named is all."""
    chosen = frozenset(settings or SETTINGS)
    registry.services = replace(registry.services, replicated_settings=dict.fromkeys(to, chosen))


async def tag(call: Call, repository: Repository, **tags: str) -> None:
    named = [shapes.Tag(key=key, value=value) for key, value in tags.items()]
    await operations.tag_resource(call, shapes.TagResourceRequest(resource_arn=repository.arn, tags=named))


async def untag(call: Call, repository: Repository, *keys: str) -> None:
    request = shapes.UntagResourceRequest(resource_arn=repository.arn, tag_keys=list(keys))
    await operations.untag_resource(call, request)


async def set_policy(call: Call, repository: Repository, text: str) -> None:
    request = shapes.SetRepositoryPolicyRequest(repository_name=repository.name, policy_text=text, force=True)
    await operations.set_repository_policy(call, request)


async def delete_policy(call: Call, repository: Repository) -> None:
    request = shapes.DeleteRepositoryPolicyRequest(repository_name=repository.name)
    await operations.delete_repository_policy(call, request)


async def set_everything(call: Call, repository: Repository) -> None:
    await repositories.set_mutability(call, repository, EXCLUDING)
    await repositories.set_scanning(call, repository, scan_on_push=True)
    await set_policy(call, repository, policy_for("111122223333"))
    await lifecycle.put(call, repository, LIFECYCLE)
    await tag(call, repository, team="red")


EVERYTHING: dict[Setting, State] = {
    "lifecycle": LIFECYCLE,
    "mutability": EXCLUDING,
    "policy": policy_for("111122223333"),
    "scanning": True,
    "tags": {"team": "red"},
}
NOTHING: dict[Setting, State] = {
    "lifecycle": None,
    "mutability": Mutability(),
    "policy": None,
    "scanning": False,
    "tags": {},
}


async def settings_at(
    registry: MemoryRegistry, place: Registry, name: str = "app"
) -> Mapping[Setting, State]:
    found = await repository_at(registry, place, name)
    assert found is not None
    return {setting: await state_of(registry.db, found, setting) for setting in SETTINGS}


async def pair(
    registry: MemoryRegistry, place: Registry = THERE, source: Registry = HERE
) -> tuple[Repository, Repository]:
    """A repository of one name in both registries, each with everything as Amazon makes it."""
    await configure(registry, place, source=source)
    here = await repositories.create(at(registry, source), "app", Mutability())
    return here, await repositories.create(at(registry, place), "app", Mutability())


async def given_up(registry: MemoryRegistry) -> dict[str, str]:
    """By the end of the subject."""
    found = await queue.page(registry.db, 0, 100)
    return {each.subject.rpartition("/")[2]: each.error for each in found if each.state == "failed"}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (["policy"], "has to be a table"),
        ({"eu-west-1": ["policy"]}, "replication_settings: 'eu-west-1' is no destination"),
        ({"123456789012/eu-west-1": "policy"}, "has to be a list of lifecycle, mutability"),
        ({"123456789012/eu-west-1": []}, "has to be a list"),
        ({"123456789012/eu-west-1": ["encryption"]}, "has 'encryption', which is none of"),
        ({"123456789012/eu-west-1": [["tags"]]}, "none of"),
    ],
)
def test_what_is_wrong_with_the_table_is_said(table: Any, says: str) -> None:
    with pytest.raises(TableMisconfigured, match=says):
        settings_in(table)


def test_settings_are_of_a_destination() -> None:
    assert settings_in({f"{ACCOUNT}/far-1": ["policy", "tags"]}) == {THERE: {"policy", "tags"}}


@in_memory
async def test_each_change_is_made_there(registry: MemoryRegistry) -> None:
    carry(registry)
    app, _ = await pair(registry)

    await set_everything(registry.call, app)
    await run(registry)

    assert await settings_at(registry, THERE) == EVERYTHING
    assert registry.count("jobs") == 2  # that apply the lifecycle policies


@in_memory
async def test_what_is_taken_off_here_is_taken_off_there(registry: MemoryRegistry) -> None:
    carry(registry)
    app, _ = await pair(registry)
    await set_everything(registry.call, app)
    await run(registry)

    await delete_policy(registry.call, app)
    await lifecycle.delete(registry.call, app)
    await untag(registry.call, app, "team")
    await tag(registry.call, app, stage="live")
    await run(registry)

    assert await settings_at(registry, THERE) == {
        **EVERYTHING,
        "policy": None,
        "lifecycle": None,
        "tags": {"stage": "live"},
    }


@in_memory
async def test_nothing_goes_along_that_was_not_chosen(registry: MemoryRegistry) -> None:
    carry(registry, "policy")
    app, _ = await pair(registry)

    await set_everything(registry.call, app)
    await run(registry)

    assert await settings_at(registry, THERE) == {**NOTHING, "policy": EVERYTHING["policy"]}


@in_memory
async def test_without_the_operator_nothing_goes_along(registry: MemoryRegistry) -> None:
    app, _ = await pair(registry)

    await set_everything(registry.call, app)

    assert {each.kind for each in await queue.page(registry.db, 0, 100)} == {lifecycle.APPLY}
    await run(registry)
    assert await settings_at(registry, THERE) == NOTHING


@in_memory
async def test_a_repository_that_replication_makes_gets_what_was_set_before(registry: MemoryRegistry) -> None:
    carry(registry)
    await configure(registry, THERE)
    app = await registry.repository("app")
    await set_everything(registry.call, app)
    await run(registry)
    assert await repository_at(registry, THERE, "app") is None

    await registry.push(app, [b"{}"])
    await run(registry)

    assert await settings_at(registry, THERE) == EVERYTHING


@in_memory
async def test_the_work_stands_in_the_transaction_that_makes_the_repository(registry: MemoryRegistry) -> None:
    """A process that is killed right after has put it down."""
    carry(registry, "tags")
    await configure(registry, THERE)
    app = await registry.repository("app")
    await tag(registry.call, app, team="red")
    await run(registry)

    await way_to(registry.call, app, THERE)

    assert [each.subject for each in await queue.page(registry.db, 0, 9)] == [
        Carried(app.id, THERE, "tags").subject
    ]
    await run(registry)
    assert (await settings_at(registry, THERE))["tags"] == {"team": "red"}


@in_memory
async def test_a_change_that_is_refused_is_no_work(registry: MemoryRegistry) -> None:
    carry(registry)
    app, _ = await pair(registry)

    with pytest.raises(TooManyTags):
        await tag(registry.call, app, **{f"k{n}": "" for n in range(51)})

    assert registry.count("jobs") == registry.count("setting_changes") == 0


@in_memory
async def test_a_backfill_brings_them_to_repositories_that_are_there(registry: MemoryRegistry) -> None:
    app, _ = await pair(registry)
    await set_everything(registry.call, app)
    carry(registry)
    await run(registry)
    assert await settings_at(registry, THERE) == NOTHING

    await backfill.start(registry.call, THERE)
    await run(registry)

    assert await settings_at(registry, THERE) == EVERYTHING


@in_memory
async def test_what_was_changed_there_is_made_as_it_is_here_by_the_next_change(
    registry: MemoryRegistry,
) -> None:
    carry(registry)
    app, far = await pair(registry)
    await tag(registry.call, app, team="red")
    await run(registry)
    registry.pass_time(MINUTE)
    await tag(at(registry, THERE), far, team="blue", own="1")

    await tag(registry.call, app, stage="live")
    await run(registry)

    assert (await settings_at(registry, THERE))["tags"] == {"team": "red", "stage": "live"}


@in_memory
async def test_what_replication_set_is_not_sent_onward(registry: MemoryRegistry) -> None:
    carry(registry, to=(THERE, FURTHER))
    app, far = await pair(registry)
    await configure(registry, FURTHER, source=THERE)
    further = await repositories.create(at(registry, FURTHER), "app", Mutability())
    await set_everything(registry.call, app)
    await run(registry)

    await backfill.start(at(registry, THERE), FURTHER)
    await run(registry)
    assert await settings_at(registry, FURTHER) == NOTHING

    await tag(at(registry, THERE), far, own="1")  # that is a change of there
    await run(registry)
    assert dict(await settings_at(registry, FURTHER)) == {**NOTHING, "tags": {"team": "red", "own": "1"}}
    assert further.name == "app"


@in_memory
async def test_of_two_that_replicate_to_each_other_both_end_with_the_last_change(
    registry: MemoryRegistry,
) -> None:
    carry(registry, to=(THERE, HERE))
    app, far = await pair(registry)
    await configure(registry, HERE, source=THERE)

    await tag(registry.call, app, team="red")
    registry.pass_time(MINUTE)
    await tag(at(registry, THERE), far, team="blue")
    await run(registry)

    assert (await settings_at(registry, HERE))["tags"] == {"team": "blue"}
    assert (await settings_at(registry, THERE))["tags"] == {"team": "blue"}
    assert registry.count("jobs") == 0


@in_memory
async def test_a_clock_that_was_set_back_makes_no_change_an_old_one(registry: MemoryRegistry) -> None:
    carry(registry, to=(THERE, HERE))
    app, _ = await pair(registry)
    await configure(registry, HERE, source=THERE)
    await tag(registry.call, app, team="red")
    await run(registry)

    registry.pass_time(-HOUR)
    await tag(registry.call, app, team="blue")
    await run(registry)

    assert (await settings_at(registry, THERE))["tags"] == {"team": "blue"}


@in_memory
async def test_another_account_must_allow_each_setting_and_what_it_refuses_keeps_nothing_else_out(
    registry: MemoryRegistry,
) -> None:
    carry(registry, to=(OTHERS,))
    app, _ = await pair(registry, OTHERS)
    await allow(registry, OTHERS, "ecr:ReplicateImage", "ecr:PutImageTagMutability", "ecr:TagResource")

    await set_everything(registry.call, app)
    await run(registry)

    assert await settings_at(registry, OTHERS) == {
        **NOTHING,
        "mutability": EXCLUDING,
        "tags": {"team": "red"},
    }
    refused = await given_up(registry)
    assert refused.keys() == {"policy", "lifecycle", "scanning"}
    assert "is not authorized to perform: ecr:SetRepositoryPolicy on resource" in refused["policy"]
    assert f"arn:aws:ecr:{OTHERS.region}:{OTHERS.account}:repository/app" in refused["policy"]


@in_memory
async def test_another_account_may_refuse_a_tag(registry: MemoryRegistry) -> None:
    carry(registry, "tags", to=(OTHERS,))
    app, _ = await pair(registry, OTHERS)
    await allow(registry, OTHERS, "ecr:ReplicateImage", "ecr:TagResource")
    await tag(registry.call, app, team="red")
    await run(registry)

    await untag(registry.call, app, "team")
    await run(registry)

    assert (await settings_at(registry, OTHERS))["tags"] == {"team": "red"}
    assert "ecr:UntagResource" in (await given_up(registry))["tags"]


@in_memory
async def test_a_change_after_a_refusal_is_tried_anew(registry: MemoryRegistry) -> None:
    carry(registry, "scanning", to=(OTHERS,))
    app, _ = await pair(registry, OTHERS)
    await repositories.set_scanning(registry.call, app, scan_on_push=True)
    await run(registry)
    assert (await given_up(registry)).keys() == {"scanning"}
    registry.pass_time(MINUTE)
    assert await statuses.lag_us(registry.db, registry.now) == 0

    await allow(registry, OTHERS, "ecr:ReplicateImage", "ecr:PutImageScanningConfiguration")
    await repositories.set_scanning(registry.call, app, scan_on_push=True)
    assert (
        await statuses.lag_us(registry.db, registry.now) == 0
    )  # it is as old as the change that asks for it
    await run(registry)

    assert (await settings_at(registry, OTHERS))["scanning"] is True
    assert registry.count("jobs") == 0


@in_memory
async def test_what_was_given_up_is_forgotten_with_its_repository_and_no_other(
    registry: MemoryRegistry,
) -> None:
    carry(registry, "scanning", to=(OTHERS,))
    app, _ = await pair(registry, OTHERS)
    others = [await registry.repository(f"app-{number}") for number in range(10)]  # ids that begin alike
    for each in (app, *others):
        await repositories.set_scanning(registry.call, each, scan_on_push=True)
    await run(registry)
    subjects = {each.subject for each in await queue.page(registry.db, 0, 100) if each.state == "failed"}
    assert len(subjects) == 11

    await repositories.delete(registry.call, "app", None, force=True)

    left = {each.subject for each in await queue.page(registry.db, 0, 100)}
    assert subjects - left == {Carried(app.id, OTHERS, "scanning").subject}


@in_memory
async def test_a_registry_with_enhanced_scanning_refuses_the_flag(registry: MemoryRegistry) -> None:
    carry(registry)
    app, _ = await pair(registry)
    enhanced = shapes.RegistryScanningConfiguration(scan_type="ENHANCED", rules=[])
    async with registry.db.transaction() as tx:
        await scanning.store(tx, THERE, enhanced, registry.now)

    await set_everything(registry.call, app)
    await run(registry)

    assert await settings_at(registry, THERE) == {**EVERYTHING, "scanning": False}
    assert await given_up(registry) == {"scanning": "Validation: This feature is disabled"}


@in_memory
async def test_what_is_set_there_and_what_is_refused_is_on_record_there(registry: MemoryRegistry) -> None:
    told: list[ServiceEvent] = []
    registry.services.service_events.listen(told.append)
    carry(registry, "mutability", "scanning", to=(OTHERS,))
    app, far = await pair(registry, OTHERS)
    await allow(registry, OTHERS, "ecr:ReplicateImage", "ecr:PutImageTagMutability")

    await repositories.set_mutability(registry.call, app, EXCLUDING)
    await repositories.set_scanning(registry.call, app, scan_on_push=True)
    await run(registry)

    assert {event.details["setting"]: (event.details["result"], event.error_code) for event in told} == {
        "mutability": ("SUCCESS", ""),
        "scanning": ("FAILED", "AccessDenied"),
    }
    assert {(event.name, event.registry, event.resource) for event in told} == {
        ("ReplicateSetting", OTHERS, far.arn)
    }


@in_memory
async def test_a_policy_with_principals_that_are_not_there_is_refused_there(registry: MemoryRegistry) -> None:
    carry(registry, "policy", to=(OTHERS,))
    app, _ = await pair(registry, OTHERS)
    await allow(registry, OTHERS, "ecr:ReplicateImage", "ecr:SetRepositoryPolicy")
    text = policy_for(OTHERS.account).replace(":root", ":user/nobody")

    await set_policy(registry.call, app, text)
    await run(registry)

    assert (await settings_at(registry, OTHERS))["policy"] is None
    assert "Invalid repository policy provided" in (await given_up(registry))["policy"]


@in_memory
async def test_a_policy_that_names_users_is_the_same_there(registry: MemoryRegistry) -> None:
    carry(registry, "policy")
    app, far = await pair(registry)
    async with registry.services.epochs.changing(ACCOUNT) as tx:
        await tx.run("access.insert_account", {"id": ACCOUNT, "created": 0})
        user = await entities.insert(tx, ACCOUNT, "user", "alice", registry.now)
    text = policy_for(ACCOUNT).replace(":root", ":user/alice")

    await set_policy(registry.call, app, text)
    await run(registry)

    assert json.loads(str((await settings_at(registry, THERE))["policy"])) == json.loads(text)
    assert user.id in (await resource_policy.find(registry.db, far.arn) or "")


@in_memory
async def test_no_setting_goes_to_where_no_rule_leads_any_more(registry: MemoryRegistry) -> None:
    carry(registry)
    app, _ = await pair(registry)
    await set_everything(registry.call, app)

    await configure(registry)
    await run(registry)

    assert await settings_at(registry, THERE) == NOTHING


async def claimed(registry: MemoryRegistry, kind: str) -> Job:
    job = await registry.services.jobs.claim(registry.db, kind, registry.now)
    assert job is not None
    return job


@in_memory
async def test_a_tag_that_moved_before_it_was_protected_moves_there_first(registry: MemoryRegistry) -> None:
    carry(registry, "mutability")
    app, _ = await pair(registry)
    await registry.push(app, [b"{}", b"old"], "v1")
    await run(registry)
    registry.pass_time(MINUTE)
    new = await registry.push(app, [b"{}", b"new"], "v1")
    registry.pass_time(MINUTE)
    await repositories.set_mutability(registry.call, app, Mutability("IMMUTABLE"))

    job = await claimed(registry, setting_changes.KIND)
    again = await Replicator().carry(registry.services, job)
    assert again is not None
    assert (await settings_at(registry, THERE))["mutability"] == Mutability()
    await registry.services.jobs.finish(registry.db, job, again)
    await run(registry)
    registry.pass_time(MINUTE)
    await run(registry)

    assert await tags_at(registry, THERE, "app", new) == ("v1",)
    assert (await settings_at(registry, THERE))["mutability"] == Mutability("IMMUTABLE")


@in_memory
async def test_a_tag_that_moved_when_it_was_protected_no_more_moves_there_too(
    registry: MemoryRegistry,
) -> None:
    carry(registry, "mutability")
    app, _ = await pair(registry)
    await registry.push(app, [b"{}", b"old"], "v1")
    await repositories.set_mutability(registry.call, app, Mutability("IMMUTABLE"))
    await run(registry)
    registry.pass_time(MINUTE)
    await repositories.set_mutability(registry.call, app, Mutability())
    registry.pass_time(MINUTE)
    new = await registry.push(app, [b"{}", b"new"], "v1")

    await Replicator().replicate(registry.services, await claimed(registry, replicas.KIND))

    assert await tags_at(registry, THERE, "app", new) == ("v1",)


@in_memory
async def test_a_mutability_that_is_refused_keeps_no_image_out(registry: MemoryRegistry) -> None:
    carry(registry, "mutability", to=(OTHERS,))
    app, _ = await pair(registry, OTHERS)
    await allow(registry, OTHERS, "ecr:ReplicateImage")
    await repositories.set_mutability(registry.call, app, Mutability("IMMUTABLE"))
    digest = await registry.push(app, [b"{}"], "v1")

    await Replicator().replicate(registry.services, await claimed(registry, replicas.KIND))

    assert await tags_at(registry, OTHERS, "app", digest) == ("v1",)


@in_memory
async def test_the_lag_is_that_of_the_oldest_change_that_waits(registry: MemoryRegistry) -> None:
    carry(registry)
    app, _ = await pair(registry)
    await tag(registry.call, app, team="red")
    registry.pass_time(MINUTE)

    assert await statuses.lag_us(registry.db, registry.now) == MINUTE


# What another installation brings


def brought(call: Call, by: Registry, time: int) -> Call:
    written = Change(time, by).written(by)
    return replace(call, around=replace(call.around, replica_of=written))


@in_memory
async def test_what_another_installation_brings_is_not_sent_onward(registry: MemoryRegistry) -> None:
    carry(registry)
    app, _ = await pair(registry)

    await tag(brought(registry.call, OTHERS, registry.now), app, team="red")
    await run(registry)

    assert (await settings_at(registry, HERE))["tags"] == {"team": "red"}
    assert (await settings_at(registry, THERE))["tags"] == {}
    assert registry.count("jobs") == 0


@in_memory
async def test_what_another_installation_brings_late_leaves_what_it_brought_last(
    registry: MemoryRegistry,
) -> None:
    app = await registry.repository("app")
    await tag(brought(registry.call, OTHERS, 2_000), app, team="blue")

    await tag(brought(registry.call, OTHERS, 1_000), app, team="red")
    await untag(brought(registry.call, OTHERS, 1_000), app, "team")
    assert (await settings_at(registry, HERE))["tags"] == {"team": "blue"}

    await tag(brought(registry.call, OTHERS, 2_000), app, team="red")  # a change takes several calls
    assert (await settings_at(registry, HERE))["tags"] == {"team": "red"}


@in_memory
async def test_of_two_installations_that_replicate_to_each_other_the_last_change_stays(
    registry: MemoryRegistry,
) -> None:
    carry(registry, to=(OTHERS,))
    await configure(registry, OTHERS)
    app = await registry.repository("app")
    await set_everything(registry.call, app)

    before, after = registry.now - 1, registry.now + 1
    for time in (before, after):
        await repositories.set_mutability(brought(registry.call, OTHERS, time), app, Mutability())
        is_later = time == after
        state = await settings_at(registry, HERE)
        assert state["mutability"] == (Mutability() if is_later else EXCLUDING)
    late = brought(registry.call, OTHERS, before)
    await lifecycle.delete(late, app)
    await delete_policy(late, app)
    await repositories.set_scanning(late, app, scan_on_push=False)
    assert await settings_at(registry, HERE) == {**EVERYTHING, "mutability": Mutability()}


@pytest.mark.parametrize(
    "text", ["", "1/2/3", "12345678901/eu-west-1/1", "123456789012/eu-west-1/-1", "x" * 9_000]
)
def test_what_says_nothing_of_replication_is_a_change_of_ones_own(text: str) -> None:
    assert Change.parse(text, 0) is None


def test_a_clock_far_ahead_is_believed_for_an_hour_at_most() -> None:
    change = Change.parse("123456789012/eu-west-1/999999999999999999", 5)

    assert change == Change(5 + HOUR, Registry("123456789012", "eu-west-1"))


def test_a_job_names_its_setting() -> None:
    carried = Carried(7, THERE, "lifecycle")

    assert Carried.parse(carried.subject) == carried
