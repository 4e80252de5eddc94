"""Page tokens: where a listing goes on, sealed so that nobody can point one elsewhere.

A token is bound to its operation and to what was listed; listings are by key, so rows that come or go meanwhile are
neither shown twice nor skipped.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

from moorage.access.call import Call
from moorage.base.errors.requests import InvalidParameter
from moorage.keys.tokens import TokenRefused

DEFAULT_PAGE = 100
PURPOSE = "page"

Position = TypeVar("Position", bound=msgspec.Struct)
Listing = tuple[object, ...]
"""The operation, and all that must stay the same from page to page."""


class _Page(msgspec.Struct, array_like=True):
    scope: bytes
    position: bytes


def next_token(call: Call, listing: Listing, position: msgspec.Struct) -> str:
    return call.services.tokens.seal(PURPOSE, _Page(_scope(call, listing), msgspec.msgpack.encode(position)))


def position_in(call: Call, listing: Listing, token: str | None, kind: type[Position]) -> Position | None:
    """Where to go on; None for the first page. Raise `InvalidParameter` for a token of another listing."""
    if not token:
        return None
    try:
        page = call.services.tokens.open(PURPOSE, token, _Page)
    except TokenRefused:
        raise _invalid() from None
    if page.scope != _scope(call, listing):
        raise _invalid()
    return msgspec.msgpack.decode(page.position, type=kind)


def refuse_paging(named: object, token: str | None, max_results: int | None, member: str) -> None:
    """Paging and naming exclude each other (ECR API: `nextToken` cannot be used with `imageIds`)."""
    if named is not None and (token is not None or max_results is not None):
        at = "nextToken" if token is not None else "maxResults"
        raise InvalidParameter(at=at, constraint=f"cannot be used together with '{member}'")


def _scope(call: Call, listing: Listing) -> bytes:
    """Its hash: IAM's markers have at most 320 characters."""
    return hashlib.blake2b(repr((call.account, call.region, *listing)).encode(), digest_size=16).digest()


def _invalid() -> InvalidParameter:
    return InvalidParameter(at="nextToken", constraint="Invalid token")
