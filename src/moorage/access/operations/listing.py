"""IAM's pages: `MaxItems` rows after a `Marker`, and whether there are more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec

from moorage.access.call import Call
from moorage.access.paging import DEFAULT_PAGE, next_token, position_in
from moorage.base.errors.requests import InvalidParameter, Validation

Item = TypeVar("Item")


class Paged(Protocol):
    """A request of a listing."""

    @property
    def marker(self) -> str | None: ...

    @property
    def max_items(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    items: list[Item]
    marker: str | None

    @property
    def is_truncated(self) -> bool:
        return self.marker is not None


_BEGINNING = 40
"""Characters of a long name that a marker has."""


class _Place(msgspec.Struct, array_like=True):
    name: str
    shown: int = 0
    """How many that begin so were shown."""


class Listing:
    """`after` is the name to go on after, empty for the first page; `ask` how many rows to read: one more than shown.

    A marker is good for the operation and the `scope` it came from. Names have at most 160 bytes: a marker fits
    into the 320 characters that a client may send back. Raise `Validation` for one that is not ours. `most` bounds a
    page of large items: IAM may always answer fewer than were asked for.
    """

    def __init__(self, call: Call, request: Paged, *scope: object, most: int = 1_000) -> None:
        self._call = call
        self._listing = (type(request).__name__, *scope)
        try:
            place = position_in(call, self._listing, request.marker, _Place)
        except InvalidParameter:
            raise Validation("Invalid Marker.") from None
        self._shown = min(request.max_items or DEFAULT_PAGE, most)
        self.after = place.name if place else ""
        self._shown_of_it = place.shown if place else 0
        self.ask = self._shown + 1

    def page(self, found: list[Item], name: Callable[[Item], str]) -> Page[Item]:
        """Of the rows that were found, at most `ask`; `name` is what the next page goes on after."""
        if len(found) < self.ask:
            return Page(found, None)
        shown = found[: self._shown]
        return Page(shown, next_token(self._call, self._listing, _Place(name(shown[-1]))))

    def page_of_sorted(self, everything: list[Item], name: Callable[[Item], str]) -> Page[Item]:
        """Of a list so short that it is read whole, in the order of names that may be too long for a marker."""
        beginnings = [name(item)[:_BEGINNING] for item in everything]
        begin = sum(beginning < self.after for beginning in beginnings)
        begin += min(self._shown_of_it, beginnings.count(self.after))
        end = begin + self._shown
        if end >= len(everything):
            return Page(everything[begin:], None)
        last = beginnings[end - 1]
        place = _Place(last, beginnings[:end].count(last))
        return Page(everything[begin:end], next_token(self._call, self._listing, place))

    def page_of_all(self, everything: list[Item]) -> Page[Item]:
        """Of a list that the request brings; its places are numbers."""
        begin = int(self.after or 0)
        shown = everything[begin : begin + self._shown]
        end = begin + len(shown)
        if end >= len(everything):
            return Page(shown, None)
        return Page(shown, next_token(self._call, self._listing, _Place(str(end))))
