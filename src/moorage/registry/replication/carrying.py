"""One setting of a repository, made at a destination as it is here.

setting       what it is               there it takes
lifecycle     text, or None            ecr:PutLifecyclePolicy, ecr:DeleteLifecyclePolicy
mutability    mode and filters         ecr:PutImageTagMutability
policy        text, or None            ecr:SetRepositoryPolicy, ecr:DeleteRepositoryPolicy
scanning      on push, or not          ecr:PutImageScanningConfiguration
tags          by key                   ecr:TagResource, ecr:UntagResource
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from moorage.access import resource_policy
from moorage.access.authorize import authorize
from moorage.access.authorizer import Context
from moorage.access.call import Call, Services
from moorage.base.addresses import Registry
from moorage.base.arn import RepositoryArn
from moorage.base.clock import SECOND
from moorage.base.errors.error import MoorageError
from moorage.base.errors.peers import PeerFailed
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.registry.account import replicas, scanning, setting_changes
from moorage.registry.account.setting_changes import Carried, Change
from moorage.registry.account.setting_names import Setting
from moorage.registry.lifecycle import stored as lifecycle
from moorage.registry.peers.sign_in import PeerRefusal
from moorage.registry.replication.calls import call_in
from moorage.registry.replication.means import Means
from moorage.registry.replication.sending import Source
from moorage.registry.replication.setting_states import State, change_of, state_of, tag_steps
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories import tags as resource_tags
from moorage.registry.repositories.mutability import Mutability
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads, Transaction, Values
from moorage.store.jobs.queue import NEVER

TURN_US = SECOND // 2
"""Until it is looked again whether what was changed before a setting is there."""
_REFUSALS = frozenset(
    {"InvalidParameter", "InvalidTagParameter", "LimitExceeded", "TooManyTags", "Validation"}
)
"""Of another installation. What else it answers may be otherwise later."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is done to a setting there, and what that takes."""

    action: str
    context: Context | None = None


async def turn_of(services: Services, carried: Carried) -> int | None:
    """When to look again, if tags that moved before tags were protected are not there yet; None: it is its turn."""
    if carried.setting != "mutability":
        return None
    source = await repositories.find_by_id(services.db, carried.repository)
    due = await _images_before(services.db, source, carried.destination) if source is not None else None
    if due is None:
        return None
    now = services.clock()
    return (now if due == NEVER else max(now, due)) + TURN_US


async def settle_mutability_first(
    services: Services, means: Means, source: Repository, to: Registry, before: int
) -> None:
    """If it was changed before a tag was moved, and is not there yet: the tag may have been protected until then."""
    carried = Carried(source.id, to, "mutability")
    if "mutability" not in setting_changes.carried_to(services, to):
        return
    if (await change_of(services.db, source, "mutability")).time > before:
        return
    if not await setting_changes.is_waiting(services.db, carried):
        return
    with suppress(MoorageError):  # it has a job of its own, which says why
        await settle_setting(services, means, carried)


async def _images_before(reads: Reads, source: Repository, to: Registry) -> int | None:
    """When the next of them is tried; `NEVER` if all run."""
    change = await change_of(reads, source, "mutability")
    values: Values = {
        "kind": replicas.KIND,
        "first": f"{source.id}/",
        "beyond": f"{source.id}0",  # the character after the slash
        "to": f"%/{to.account}/{to.region}/_%",
        "before": change.time,
    }
    row = await reads.one("replication.earlier", values)
    return row[0] if row is not None else None


async def settle_setting(services: Services, means: Means, carried: Carried) -> bool:
    """Make it there as it is here, whatever has happened to it since. False if it is not to go there, or is there.

    1. It goes if the operator and the rules still say so, and replication has not brought it here.
    2. There it takes the right to replicate to the repository, and to change the setting.
    3. In one transaction: it is here as it was read, there is nothing newer there, it is written.

    To another installation it is sent in place of 2 and 3: that decides by itself.

    Raise `AccessDenied` or what else refuses it; or any other error, after which it can be tried again.
    """
    # 1
    source = await repositories.find_by_id(services.db, carried.repository)
    if source is None or not await setting_changes.is_carried(services, services.db, source, carried):
        return False
    change = await change_of(services.db, source, carried.setting)
    if change.by is not None:
        return False
    here = call_in(services, source.registry, source.registry.account)
    wanted = await state_of(here.db, source, carried.setting)
    sender = means.peers.get(carried.destination)
    if sender is not None:
        return await sender.set(Source(here, source), carried.setting, wanted, change)
    # 2
    there = call_in(services, carried.destination, source.registry.account)
    arn = str(RepositoryArn(carried.destination.account, carried.destination.region, source.name))
    await authorize(there, "ecr:ReplicateImage", arn)
    try:
        target = await repositories.find(there, source.name)
    except RepositoryNotFound:
        return False
    had = await state_of(there.db, target, carried.setting)
    if had == wanted:
        return False
    for step in steps(carried.setting, wanted, had):
        await authorize(there, step.action, target.arn, step.context)
    # 3
    return await _write(there, source, target, carried.setting, wanted, Change(change.time, source.registry))


def is_refusal(error: MoorageError) -> bool:
    """The destination says no, and will say so again."""
    if isinstance(error, PeerRefusal):
        return error.error in _REFUSALS
    return error.status < 500 and not isinstance(error, PeerFailed | RepositoryNotFound)


def steps(setting: Setting, wanted: State, had: State) -> list[Step]:
    """What is asked of the destination's policies, as for a call that does the same."""
    match setting:
        case "lifecycle":
            return [Step("ecr:DeleteLifecyclePolicy" if wanted is None else "ecr:PutLifecyclePolicy")]
        case "mutability":
            return [Step("ecr:PutImageTagMutability")]
        case "policy":
            return [Step("ecr:DeleteRepositoryPolicy" if wanted is None else "ecr:SetRepositoryPolicy")]
        case "scanning":
            return [Step("ecr:PutImageScanningConfiguration")]
        case "tags":
            assert isinstance(wanted, Mapping)
            assert isinstance(had, Mapping)
            set_, unset = tag_steps(wanted, had)
            requested = {f"aws:requesttag/{key.lower()}": value for key, value in set_.items()}
            return [
                *([Step("ecr:TagResource", {"aws:tagkeys": tuple(set_), **requested})] if set_ else ()),
                *([Step("ecr:UntagResource", {"aws:tagkeys": tuple(unset)})] if unset else ()),
            ]


async def _write(
    there: Call, source: Repository, target: Repository, setting: Setting, wanted: State, change: Change
) -> bool:
    """3. False where it is outdated; if it changed here meanwhile, that has put the work down anew."""
    text = wanted
    if setting == "policy" and isinstance(wanted, str):  # names of the account there become ids of there
        text = await resource_policy.checked(there, wanted, "repository", target.registry.account, target.arn)
    async with there.services.epochs.changing(target.registry.account) as tx:
        await repositories.confirm(tx, target)
        if await state_of(tx, source, setting) != wanted:
            return False
        if await setting_changes.is_outdated(there.services, tx, target, setting, change):
            return False
        await setting_changes.note(tx, target, setting, change)
        await _set(there, tx, target, setting, text)
        tx.changed(target.id)
    return True


async def _set(there: Call, tx: Transaction, target: Repository, setting: Setting, wanted: State) -> None:
    match setting, wanted:
        case "lifecycle", str(text):
            await lifecycle.store(tx, there, target, text)
        case "lifecycle", _:
            await lifecycle.clear(tx, target)
        case "mutability", Mutability() as mutability:
            await repositories.write_mutability(tx, target, mutability)
        case "policy", str(text):
            await resource_policy.store(tx, target.arn, text, there.now)
        case "policy", _:
            await resource_policy.clear(tx, target.arn)
        case "scanning", bool(on_push):
            scanning.refuse_enhanced(await scanning.configuration_of(tx, target.registry))
            await repositories.write_scanning(tx, target, scan_on_push=on_push)
        case "tags", _:
            assert isinstance(wanted, Mapping)
            has = dict(await resource_tags.of(tx, target.arn))
            set_, unset = tag_steps(wanted, has)
            if unset:
                await resource_tags.unset(tx, target.arn, unset)
            await resource_tags.set_all(tx, target.arn, set_)
