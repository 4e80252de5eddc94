"""Credentials of upstream registries: the part of AWS Secrets Manager that the pull-through cache needs.

A secret has versions with stages (labels): AWSCURRENT is the value, AWSPREVIOUS the one before. Values are sealed under
the root key. A deleted secret stays unusable for its recovery window, in which it can be restored.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from moorage.access.call import Call, Services
from moorage.base.addresses import Registry
from moorage.base.errors.requests import InvalidParameter
from moorage.base.errors.upstream import InvalidRequest, ResourceExists, ResourceNotFound
from moorage.keys.keyring import Keyring
from moorage.store.db.api import Reads, Row, Transaction, UniqueViolation, Values

PREFIX = "ecr-pullthroughcache/"
CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"
_NAME = re.compile(r"ecr-pullthroughcache/[a-zA-Z0-9/_+=.@-]{1,235}")
_ARN = re.compile(r"arn:aws:secretsmanager:(?P<region>[^:]*):(?P<account>[^:]*):secret:(?P<rest>.+)")
_SUFFIX = re.compile(r"(?P<name>.+)-(?P<suffix>[A-Za-z0-9]{6})")
_PURPOSE = "upstream"


@dataclass(frozen=True, slots=True)
class Secret:
    id: int
    registry: Registry
    name: str
    suffix: str
    description: str
    tags: tuple[tuple[str, str], ...]
    created: int
    changed: int
    deleted: int | None
    """When it goes for good; until then it can be restored."""

    @property
    def arn(self) -> str:
        return arn_of(self.registry, f"{self.name}-{self.suffix}")


@dataclass(frozen=True, slots=True)
class Value:
    content: bytes = field(repr=False)
    is_text: bool


@dataclass(frozen=True, slots=True)
class Version:
    id: str
    stages: tuple[str, ...]
    created: int
    value: Value


def arn_of(registry: Registry, rest: str) -> str:
    return f"arn:aws:secretsmanager:{registry.region}:{registry.account}:secret:{rest}"


def check_name(name: str) -> None:
    """Raise `InvalidParameter`: only names that a pull through cache rule can use are kept here."""
    if not _NAME.fullmatch(name):
        raise InvalidParameter(
            f"Invalid name. Secrets here are credentials of upstream registries: their names begin with {PREFIX} and "
            "have letters, digits and the characters /_+=.@- after it"
        )


async def find(reads: Reads, registry: Registry, named: str, now: int) -> Secret | None:
    """By its name, its ARN, or its ARN without what Secrets Manager appended."""
    match = _ARN.fullmatch(named)
    if match is None:
        return await _by_name(reads, registry, named, now)
    if (match["account"], match["region"]) != (registry.account, registry.region):
        return None
    whole = _SUFFIX.fullmatch(match["rest"])
    if whole is not None:
        found = await _by_name(reads, registry, whole["name"], now)
        if found is not None and found.suffix == whole["suffix"]:
            return found
    return await _by_name(reads, registry, match["rest"], now)


async def all_of(reads: Reads, registry: Registry) -> list[Secret]:
    """By name; those that wait for their deletion too."""
    values: Values = {"account": registry.account, "region": registry.region}
    return [_secret(row) for row in await reads.all("upstream.secrets", values)]


async def create(
    call: Call,
    name: str,
    value: Value | None,
    version_id: str,
    *,
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> Secret:
    """Repeated with the same version id and value, it is the same secret. Raise `ResourceExists`, `InvalidRequest`."""
    check_name(name)
    registry = Registry(call.account, call.region)
    row: Values = {
        "account": registry.account,
        "region": registry.region,
        "name": name,
        "suffix": _new_suffix(),
        "description": description,
        "tags": msgspec.json.encode(list((tags or {}).items())).decode(),
        "now": call.now,
    }
    try:
        async with call.db.transaction() as tx:
            await tx.run("upstream.forget_deleted", {"now": call.now})  # the name may be one of theirs
            await tx.run("upstream.insert_secret", row)
            created = await _need(tx, registry, name, call.now)
            if value is not None:
                await _insert(tx, call.keys, created, version_id, value, [CURRENT], call.now)
    except UniqueViolation:
        return await _created_before(call, registry, name, value, version_id)
    return created


async def put_value(
    call: Call, secret: Secret, value: Value, version_id: str, stages: Sequence[str] = (CURRENT,)
) -> tuple[str, ...]:
    """A new version, which takes `stages` from those that had them. Return its stages.

    The same version with the same value is left as it is. Raise `ResourceExists` for another value.
    """
    async with call.db.transaction() as tx:
        await _need(tx, secret.registry, secret.name, call.now)  # it may be gone since it was found
        before = await _versions(tx, secret)
        if version_id in before:
            await _check_same(tx, call, secret, version_id, value)
            return before[version_id]
        if not before:  # the first value is the current one, whatever else it is called
            stages = list(dict.fromkeys([*stages, CURRENT]))
        await _insert(tx, call.keys, secret, version_id, value, stages, call.now)
        for id_, kept in _moved(before, stages).items():
            await _set_stages(tx, secret, id_, kept)
        await tx.run("upstream.change_secret", {"id": secret.id, "now": call.now})
    return tuple(stages)


async def describe(call: Call, secret: Secret, description: str) -> None:
    async with call.db.transaction() as tx:
        values: Values = {"id": secret.id, "description": description, "now": call.now}
        await tx.run("upstream.describe_secret", values)


async def version_of(
    call: Call, secret: Secret, version_id: str | None = None, stage: str | None = None
) -> Version:
    """By id, by stage, or both; the current one by default. Raise `ResourceNotFound`."""
    wanted = stage or (None if version_id else CURRENT)
    for id_, stages in (await _versions(call.db, secret)).items():
        if version_id in (None, id_) and (wanted is None or wanted in stages):
            row = await call.db.one("upstream.version", {"secret": secret.id, "id": id_})
            if row is None:  # replaced since: another has its stages
                return await version_of(call, secret, version_id, stage)
            sealed, is_text, created = row
            content = call.keys.open_secret(_PURPOSE, _context(secret, id_), sealed)
            return Version(id_, stages, created, Value(content, bool(is_text)))
    what = f"version id {version_id}" if version_id else f"staging label {wanted}"
    raise ResourceNotFound(f"Secrets Manager can't find the specified secret value for {what}")


async def stages_of(reads: Reads, found: Sequence[Secret]) -> dict[int, dict[str, tuple[str, ...]]]:
    """By the secret's id, of each of its versions by the version's id."""
    stages: dict[int, dict[str, tuple[str, ...]]] = {secret.id: {} for secret in found}
    for secret, id_, labels in await reads.all("upstream.versions_of", {"secrets": list(stages)}):
        stages[secret][id_] = tuple(msgspec.json.decode(labels, type=list[str]))
    return stages


async def delete(call: Call, secret: Secret, at: int | None) -> None:
    """For good, at that time; None: now."""
    async with call.db.transaction() as tx:
        if at is None:
            await tx.run("upstream.delete_secret", {"id": secret.id})
        else:
            await tx.run("upstream.schedule_deletion", {"id": secret.id, "at": at})


async def restore(call: Call, secret: Secret) -> None:
    async with call.db.transaction() as tx:
        await tx.run("upstream.schedule_deletion", {"id": secret.id, "at": None})


async def forget_deleted(services: Services) -> None:
    """Remove those whose recovery window has passed."""
    async with services.db.transaction() as tx:
        await tx.run("upstream.forget_deleted", {"now": services.clock()})


async def _created_before(
    call: Call, registry: Registry, name: str, value: Value | None, version_id: str
) -> Secret:
    found = await _need(call.db, registry, name, call.now)
    if found.deleted is not None:
        raise InvalidRequest(
            "You can't create this secret because a secret with this name is already scheduled for deletion."
        )
    exists = ResourceExists(f"The operation failed because the secret {name} already exists.")
    if value is None or version_id not in await _versions(call.db, found):
        raise exists
    await _check_same(call.db, call, found, version_id, value)
    return found


async def _check_same(reads: Reads, call: Call, secret: Secret, version_id: str, value: Value) -> None:
    row = await reads.one("upstream.version", {"secret": secret.id, "id": version_id})
    assert row is not None  # its id was just read
    content = call.keys.open_secret(_PURPOSE, _context(secret, version_id), row[0])
    if not hmac.compare_digest(content, value.content) or bool(row[1]) is not value.is_text:
        raise ResourceExists(
            "The ClientRequestToken was used before, for another value: a version that exists cannot be changed."
        )


def _moved(before: Mapping[str, tuple[str, ...]], taken: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What is left of the stages of the other versions; the one that was current is the previous one now."""
    former = next((id_ for id_, stages in before.items() if CURRENT in stages), None)
    is_replaced = CURRENT in taken and former is not None
    lost = {*taken, PREVIOUS} if is_replaced else {*taken}
    after = {id_: tuple(stage for stage in stages if stage not in lost) for id_, stages in before.items()}
    if is_replaced and former is not None and PREVIOUS not in taken:
        after[former] = (*after[former], PREVIOUS)
    return {id_: stages for id_, stages in after.items() if stages != before[id_]}


async def _set_stages(tx: Transaction, secret: Secret, id_: str, stages: Sequence[str]) -> None:
    """A version that nothing points at is not kept."""
    values: Values = {"secret": secret.id, "id": id_}
    if not stages:
        await tx.run("upstream.delete_version", values)
    else:
        encoded = msgspec.json.encode(list(stages)).decode()
        await tx.run("upstream.set_stages", {**values, "stages": encoded})


async def _insert(
    tx: Transaction, keys: Keyring, secret: Secret, id_: str, value: Value, stages: Sequence[str], now: int
) -> None:
    row: Values = {
        "secret": secret.id,
        "id": id_,
        "sealed": keys.seal_secret(_PURPOSE, _context(secret, id_), value.content),
        "is_text": int(value.is_text),
        "stages": msgspec.json.encode(list(stages)).decode(),
        "now": now,
    }
    await tx.run("upstream.insert_version", row)


async def _versions(reads: Reads, secret: Secret) -> dict[str, tuple[str, ...]]:
    rows = await reads.all("upstream.versions", {"secret": secret.id})
    return {id_: tuple(msgspec.json.decode(stages, type=list[str])) for id_, stages in rows}


async def _need(reads: Reads, registry: Registry, name: str, now: int) -> Secret:
    found = await _by_name(reads, registry, name, now)
    if found is None:
        raise ResourceNotFound()
    return found


async def _by_name(reads: Reads, registry: Registry, name: str, now: int) -> Secret | None:
    values: Values = {"account": registry.account, "region": registry.region, "name": name}
    row = await reads.one("upstream.secret", values)
    if row is None:
        return None
    found = _secret(row)
    return None if found.deleted is not None and found.deleted <= now else found


def _secret(row: Row) -> Secret:
    id_, account, region, name, suffix, description, tags, created, changed, deleted = row
    pairs = tuple(msgspec.json.decode(tags, type=list[tuple[str, str]]))
    return Secret(id_, Registry(account, region), name, suffix, description, pairs, created, changed, deleted)


def _context(secret: Secret, version_id: str) -> tuple[str, ...]:
    return (secret.registry.account, secret.registry.region, secret.name, secret.suffix, version_id)


def _new_suffix() -> str:
    """New with each secret, so that a policy on the ARN of one that is gone gives nothing of its successor."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(6))
