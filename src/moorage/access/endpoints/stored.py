"""The endpoints that calls have made: rows of an account in a region.

Verbs that read take a database or a transaction; those that write take a transaction of `Epochs.changing`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec

from moorage.access.endpoints.endpoint import Endpoint
from moorage.base.errors.endpoints import (
    IdempotentParameterMismatch,
    TagLimitExceeded,
    VpcEndpointLimitExceeded,
    VpcEndpointNotFound,
)
from moorage.store.db.api import Reads, Row, Transaction, Value

ENDPOINTS_MAX = 1_000
"""Of an account. Describing them, and recognising requests, reads them all."""
TAGS_MAX = 50  # EC2 user guide, "Tag restrictions"


async def all_of(reads: Reads, account: str) -> list[Endpoint]:
    """Of all regions, the oldest first, without tags."""
    rows = await reads.all("endpoints.of_account", {"account": account, "limit": ENDPOINTS_MAX})
    return [_endpoint(row) for row in rows]


async def listed(reads: Reads, account: str, region: str) -> list[Endpoint]:
    """With their tags, by id."""
    rows = await reads.all(
        "endpoints.of_region", {"account": account, "region": region, "limit": ENDPOINTS_MAX}
    )
    return await _tagged(reads, rows)


async def named(reads: Reads, account: str, region: str, ids: Sequence[str]) -> dict[str, Endpoint]:
    """Those of the ids that are there, with their tags."""
    rows = await reads.all(
        "endpoints.by_ids", {"ids": ids, "account": account, "region": region, "limit": ENDPOINTS_MAX}
    )
    return {endpoint.id: endpoint for endpoint in await _tagged(reads, rows)}


async def need(reads: Reads, account: str, region: str, id_: str) -> Endpoint:
    """Raise `VpcEndpointNotFound`."""
    found = await named(reads, account, region, [id_])
    if id_ not in found:
        raise VpcEndpointNotFound(id=id_)
    return found[id_]


async def insert(tx: Transaction, new: Endpoint, client_token: str, asked: str) -> Endpoint:
    """`new`, or what the same call has made before with this token.

    Raise `IdempotentParameterMismatch` or `VpcEndpointLimitExceeded`.
    """
    earlier = await _made_with(tx, new.account, new.region, client_token)
    if earlier is not None:
        id_, first_asked = earlier
        if first_asked != asked:
            raise IdempotentParameterMismatch(token=client_token)
        return await need(tx, new.account, new.region, id_)
    count = await tx.one("endpoints.count", {"account": new.account})
    if count is not None and count[0] >= ENDPOINTS_MAX:
        raise VpcEndpointLimitExceeded(limit=ENDPOINTS_MAX)
    values: dict[str, Value] = {
        **_changeable(new),
        "account": new.account,
        "region": new.region,
        "service": new.service,
        "network": new.network,
        "client_token": client_token,
        "asked": asked,
        "created": new.created,
    }
    await tx.run("endpoints.insert", values)
    await set_tags(tx, new, dict(new.tags))
    return new


async def _made_with(tx: Transaction, account: str, region: str, token: str) -> Row | None:
    if not token:
        return None
    return await tx.one("endpoints.by_token", {"account": account, "region": region, "client_token": token})


async def modify(tx: Transaction, changed: Endpoint) -> None:
    await tx.run("endpoints.modify", _changeable(changed))


async def delete(tx: Transaction, id_: str) -> None:
    await tx.run("endpoints.clear_tags", {"id": id_})
    await tx.run("endpoints.delete", {"id": id_})


async def set_tags(tx: Transaction, endpoint: Endpoint, tags: Mapping[str, str]) -> None:
    """Add them, or replace those of the same keys. Raise `TagLimitExceeded`."""
    if len(dict(endpoint.tags) | dict(tags)) > TAGS_MAX:
        raise TagLimitExceeded(limit=TAGS_MAX)
    rows = [{"id": endpoint.id, "key": key, "value": value} for key, value in tags.items()]
    await tx.run("endpoints.set_tag", rows)


async def unset_tags(tx: Transaction, id_: str, tags: Iterable[tuple[str, str | None]]) -> None:
    """By key; those given with a value only if they have it."""
    for key, value in tags:
        if value is None:
            await tx.run("endpoints.unset_tag", {"id": id_, "key": key})
        else:
            await tx.run("endpoints.unset_tag_of_value", {"id": id_, "key": key, "value": value})


async def clear_tags(tx: Transaction, id_: str) -> None:
    await tx.run("endpoints.clear_tags", {"id": id_})


async def _tagged(reads: Reads, rows: Sequence[Row]) -> list[Endpoint]:
    found = [_endpoint(row) for row in rows]
    tags: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    ids = [endpoint.id for endpoint in found]
    limit = len(ids) * TAGS_MAX
    for id_, key, value in await reads.all("endpoints.tags_of", {"ids": ids, "limit": limit}):
        tags[id_].append((key, value))
    return [replace(endpoint, tags=tuple(tags[endpoint.id])) for endpoint in found]


def _changeable(endpoint: Endpoint) -> dict[str, Value]:
    return {
        "id": endpoint.id,
        "subnets": _encode(endpoint.subnets),
        "security_groups": _encode(endpoint.security_groups),
        "policy": endpoint.policy,
        "private_dns": int(endpoint.private_dns),
    }


def _endpoint(row: Row) -> Endpoint:
    id_, account, region, service, network, subnets, security_groups, policy, private_dns, created = row
    names = _decode(subnets)
    return Endpoint(
        id=id_,
        account=account,
        region=region,
        service=service,
        network=network,
        listeners=listeners_in(names),
        policy=policy,
        private_dns=bool(private_dns),
        created=created,
        subnets=names,
        security_groups=_decode(security_groups),
    )


def listeners_in(subnets: Iterable[str]) -> tuple[str, ...]:
    """A subnet is how a call names a listener: by its name, or as `subnet-NAME`."""
    return tuple(dict.fromkeys(subnet.removeprefix("subnet-") for subnet in subnets))


def _encode(names: Sequence[str]) -> str:
    return msgspec.json.encode(list(names)).decode()


def _decode(text: str) -> tuple[str, ...]:
    return tuple(msgspec.json.decode(text, type=list[str]))
