"""What the operations of EC2 share: dry runs, pages, and what only the configuration may change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from moorage.access.call import Call
from moorage.access.paging import Listing, next_token, position_in
from moorage.base.errors.endpoints import DryRunOperation, InvalidParameterValue, OperationNotPermitted

PAGE_MAX = 1_000

Item = TypeVar("Item")


class _After(msgspec.Struct, array_like=True):
    key: str


def page_of(
    call: Call,
    listing: Listing,
    found: Sequence[Item],
    key: Callable[[Item], str],
    token: str | None,
    most: int | None,
) -> tuple[Sequence[Item], str | None]:
    """What follows the token, of all that was found in the order of its keys; and the token of the next page."""
    if most is not None and most < 1:
        raise InvalidParameterValue(value=most, name="MaxResults", reason="It has to be 1 at least.")
    limit = min(most or PAGE_MAX, PAGE_MAX)
    after = position_in(call, listing, token, _After)
    rest = [item for item in found if after is None or key(item) > after.key]
    more = next_token(call, listing, _After(key(rest[limit - 1]))) if len(rest) > limit else None
    return rest[:limit], more


def end_dry_run(dry_run: bool | None) -> None:
    """Whoever comes here may do what was asked. Raise `DryRunOperation`."""
    if dry_run:
        raise DryRunOperation()


def refuse_configured(call: Call, id_: str) -> None:
    """Raise `OperationNotPermitted` for an endpoint of the account that the configuration has."""
    if any((each.id, each.account) == (id_, call.account) for each in call.services.endpoints.configured):
        raise OperationNotPermitted(id=id_)
