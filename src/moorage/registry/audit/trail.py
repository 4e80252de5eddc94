"""The records of calls: written, found, removed when they are old, and checked where they are chained.

Chained, the hash of a record is of the hash before it and its document: whoever changes, removes or inserts one has to
change the hashes of all that follow, and then the last of them is not the one that was noted elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import msgspec

from moorage.registry.audit.record import Record, name_of
from moorage.store.db.api import Database, Reads, Row, Transaction, Value, Values

PAGE = 500
BEGINNING = bytes(32)
"""What the first hash of a chain goes on from."""

Attribute = Literal[
    "AccessKeyId",
    "EventId",
    "EventName",
    "EventSource",
    "ReadOnly",
    "ResourceName",
    "ResourceType",
    "Username",
]
ATTRIBUTES: tuple[Attribute, ...] = get_args(Attribute)
_STATEMENTS: dict[Attribute | None, str] = {
    None: "audit.page",
    "AccessKeyId": "audit.page_of_key",
    "EventId": "audit.page_of_event",
    "EventName": "audit.page_of_name",
    "EventSource": "audit.page_of_source",
    "ReadOnly": "audit.page_of_read_only",
    "ResourceName": "audit.page_of_resource",
    "ResourceType": "audit.page_of_type",
    "Username": "audit.page_of_username",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which records of a registry are looked for."""

    account: str
    region: str
    since: int
    until: int
    """Included."""
    attribute: Attribute | None = None
    value: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    id: int
    record: Record


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of the chain has found."""

    count: int
    head: bytes
    """The hash of the last record: noted elsewhere, it proves later that nothing before it was changed."""
    broken_at: int | None = None
    """Id of the first record that does not fit."""
    why: str = ""


async def append(tx: Transaction, records: Sequence[Record], *, chained: bool) -> bytes | None:
    """Write them in their order; return the hash of the last, if they are chained.

    One that is there already stays as it is: whoever was cut off while it was written does not know that it was.
    """
    last = await _last_hash(tx) if chained else None
    for record in records:
        following = link(last, record.document) if last is not None else None
        if await tx.run("audit.insert", _values(record, following)):
            last = following
    return last


def link(before: bytes, document: str) -> bytes:
    return hashlib.sha256(before + document.encode()).digest()


async def page(reads: Reads, asked: Asked, before: tuple[int, int] | None, limit: int) -> list[Found]:
    """Newest first, before a position (time and id)."""
    occurred, id_ = before if before is not None else (asked.until, 1 << 62)
    values: dict[str, Value] = {
        "account": asked.account,
        "region": asked.region,
        "since": asked.since,
        "occurred": occurred,
        "id": id_,
        "limit": limit,
    }
    if asked.attribute is not None:
        values["value"] = _wanted(asked.attribute, asked.value)
    return [_found(row) for row in await reads.all(_STATEMENTS[asked.attribute], values)]


async def latest(reads: Reads, since: int, before: int | None, limit: int) -> list[Found]:
    """Of all registries, newest first, before a record."""
    values: Values = {"since": since, "before": 1 << 62 if before is None else before, "limit": limit}
    return [_found(row) for row in await reads.all("audit.latest", values)]


async def prune(db: Database, before: int) -> int:
    """Remove some of the records that are older, the oldest first; return how many. The chain goes on from there."""
    async with db.transaction() as tx:
        rows = await tx.all("audit.oldest", {"limit": PAGE})
        old = [row for row in rows if row[1] < before]
        if len(old) < len(rows):  # a younger one may stand before an older one: only the first ones go
            old = rows[: next(n for n, row in enumerate(rows) if row[1] >= before)]
        if not old:
            return 0
        id_, _, hash_ = old[-1]
        if hash_ is not None:
            await tx.run("audit.set_anchor", {"hash": hash_})
        await tx.run("audit.remove_through", {"id": id_})
    return len(old)


async def check(reads: Reads) -> Checked:
    """Work the whole chain out again."""
    count, head, started = 0, await _anchor(reads), False
    async for id_, event, name, document, hash_ in _all(reads):
        if hash_ is None:
            if started:
                return Checked(count, head, id_, "it is not in the chain")
            continue  # from before records were chained
        started = True
        head = link(head, document)
        if head != hash_:
            return Checked(count, hash_, id_, "its hash does not follow from what is there")
        told = msgspec.json.decode(document)
        if (told.get("eventID"), told.get("eventName")) != (event, name):
            return Checked(count, head, id_, "it is found by other names than it has")
        count += 1
    return Checked(count, head)


async def has_hash(reads: Reads, hash_: bytes) -> bool:
    """Whether a hash that was noted is one of the chain, or where it begins."""
    return await _anchor(reads) == hash_ or await reads.one("audit.with_hash", {"hash": hash_}) is not None


async def _all(reads: Reads) -> AsyncIterator[tuple[int, str, str, str, bytes | None]]:
    after = 0
    while rows := await reads.all("audit.in_order", {"after": after, "limit": PAGE}):
        for row in rows:
            yield row[0], row[1], row[2], row[3], row[4]
        after = rows[-1][0]


async def _last_hash(tx: Transaction) -> bytes:
    row = await tx.one("audit.last_hash")
    return row[0] if row is not None and row[0] is not None else await _anchor(tx)


async def _anchor(reads: Reads) -> bytes:
    row = await reads.one("audit.anchor")
    return bytes(row[0]) if row is not None else BEGINNING


def _wanted(attribute: Attribute, value: str) -> Value:
    if attribute == "ReadOnly":
        return int(value.lower() == "true")
    return name_of(value) if attribute == "ResourceName" else value


def _values(record: Record, hash_: bytes | None) -> Values:
    return {
        "event": record.event,
        "occurred": record.occurred,
        "account": record.account,
        "region": record.region,
        "source": record.source,
        "name": record.name,
        "username": record.username,
        "access_key": record.access_key,
        "is_read_only": int(record.is_read_only),
        "resource_type": record.resource_type,
        "resource": record.resource,
        "document": record.document,
        "hash": hash_,
    }


def _found(row: Row) -> Found:
    id_, *columns, is_read_only, resource_type, resource, document = row
    event, occurred, account, region, source, name, username, access_key = columns
    return Found(
        id_,
        Record(
            event, occurred, account, region, source, name, username, access_key,
            bool(is_read_only), resource_type, resource, document,
        ),
    )  # fmt: skip


def members_of(record: Record) -> dict[str, Any]:
    """The record itself, as CloudTrail has it."""
    members: dict[str, Any] = msgspec.json.decode(record.document)
    return members
