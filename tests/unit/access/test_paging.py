from __future__ import annotations

import msgspec
import pytest

from moorage.access.downloads import PURPOSE as DOWNLOAD
from moorage.access.paging import next_token, position_in, refuse_paging
from moorage.base.errors.requests import InvalidParameter

from ..registry.memory import call_of, in_memory
from ..registry.registry import MemoryRegistry


class Place(msgspec.Struct, array_like=True):
    name: str


LISTING = ("ListImages", 7, "ANY")


@in_memory
async def test_position_in_of_its_own_token_is_where_it_went_on(registry: MemoryRegistry) -> None:
    call = registry.call
    token = next_token(call, LISTING, Place("é"))

    assert position_in(call, LISTING, token, Place) == Place("é")
    assert token != next_token(
        call, LISTING, Place("é")
    )  # boto3 raises PaginationError for a token seen twice
    assert len(token) < 1_000


@pytest.mark.parametrize("token", [None, ""])
@in_memory
async def test_position_in_without_token_is_the_first_page(
    registry: MemoryRegistry, token: str | None
) -> None:
    assert position_in(registry.call, LISTING, token, Place) is None


@in_memory
async def test_position_in_of_another_listing_account_or_region_is_refused(registry: MemoryRegistry) -> None:
    call = registry.call
    token = next_token(call, LISTING, Place("a"))
    others = [
        (call, ("ListImages", 8, "ANY")),
        (call, ("DescribeImages", 7, "ANY")),
        (call, ("ListImages", 7, "TAGGED")),
        (call, ("ListImages", 7)),
        (call, ("ListImages", "7", "ANY")),
        (call_of(registry, "210987654321"), LISTING),
        (call_of(registry, call.account, "home-2"), LISTING),
    ]

    for other, listing in others:
        with pytest.raises(InvalidParameter) as raised:
            position_in(other, listing, token, Place)
        assert str(raised.value) == (
            "Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'"
        )


@in_memory
async def test_position_in_of_what_is_no_page_token_is_refused(registry: MemoryRegistry) -> None:
    call = registry.call
    token = next_token(call, LISTING, Place("a"))
    sealed_for_another = call.services.tokens.seal(DOWNLOAD, Place("a"))

    for text in (token[:-1], token + "A", token.swapcase(), "x", "é", "\0", sealed_for_another, "A" * 9_000):
        with pytest.raises(InvalidParameter):
            position_in(call, LISTING, text, Place)


@pytest.mark.parametrize(
    ("named", "token", "size", "at"),
    [
        (["a"], "t", None, "nextToken"),
        (["a"], None, 1, "maxResults"),
        (["a"], "t", 1, "nextToken"),
        ([], "", None, "nextToken"),
    ],
)
def test_refuse_paging_beside_names(named: list[str], token: str | None, size: int | None, at: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        refuse_paging(named, token, size, "imageIds")

    assert str(raised.value).startswith(f"Invalid parameter at '{at}'")


def test_refuse_paging_lets_either_pass() -> None:
    refuse_paging(None, "t", 1, "imageIds")
    refuse_paging(["a"], None, None, "imageIds")
