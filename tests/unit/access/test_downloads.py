from __future__ import annotations

from dataclasses import replace

import pytest

from moorage.access.downloads import PREFIX, download_url, read_download
from moorage.access.paging import next_token
from moorage.base.clock import HOUR, SECOND
from moorage.base.digest import Digest
from moorage.base.errors.access import AccessDenied, TokenExpired

from ..registry.memory import in_memory, with_limits
from ..registry.registry import ACCOUNT, REGION, MemoryRegistry

DIGEST = Digest.of(b"layer")


@in_memory
async def test_read_download_tells_what_the_url_stands_for(registry: MemoryRegistry) -> None:
    url = download_url(registry.call, "team/app", DIGEST)
    start, token = url.rsplit("/", 1)

    download = read_download(registry.services, token)

    assert start + "/" == "http://localhost:5050" + PREFIX
    assert (download.registry.account, download.registry.region) == (ACCOUNT, REGION)
    assert (download.repository, download.digest) == ("team/app", str(DIGEST))
    assert download.bearer.access_key_id == registry.call.principal.access_key_id
    assert download.expires * SECOND == registry.now + HOUR


@pytest.mark.parametrize(
    ("host", "start"),
    [
        ("registry.example:8443", "http://registry.example:8443/"),
        ("api.ecr.home-1.amazonaws.com", "https://api.ecr.home-1.amazonaws.com/"),
        ("", "http://localhost:5050/"),
    ],
)
@in_memory
async def test_download_url_stays_where_the_caller_is(
    registry: MemoryRegistry, host: str, start: str
) -> None:
    assert download_url(replace(registry.call, host=host), "app", DIGEST).startswith(start)


@in_memory
async def test_read_download_holds_to_its_last_second(registry: MemoryRegistry) -> None:
    with_limits(registry, download_url_us=60 * SECOND)
    token = download_url(registry.call, "app", DIGEST).rsplit("/", 1)[1]

    registry.pass_time(60 * SECOND - 1)
    read_download(registry.services, token)
    registry.pass_time(1)

    with pytest.raises(TokenExpired):
        read_download(registry.services, token)


@in_memory
async def test_read_download_of_anything_else_is_denied(registry: MemoryRegistry) -> None:
    call = registry.call
    token = download_url(call, "app", DIGEST).rsplit("/", 1)[1]
    another = next_token(call, ("ListImages",), read_download(registry.services, token))

    for text in ("", "x", token[:-1], token + "A", token.swapcase(), another, "é", "A" * 10_000):
        with pytest.raises(AccessDenied):
            read_download(registry.services, text)
