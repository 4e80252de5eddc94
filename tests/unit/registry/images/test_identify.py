from __future__ import annotations

import pytest

from moorage.registry.images.find import Image
from moorage.registry.images.identify import NOT_FOUND, Failure, identify

from ..memory import in_memory
from ..registry import MemoryRegistry

NOWHERE = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("digest", "tag", "code"),
    [
        (None, None, "MissingDigestAndTag"),
        ("nonsense", None, "InvalidImageDigest"),
        ("sha256:" + "A" * 64, None, "InvalidImageDigest"),
        ("sha256:" + "a" * 63, None, "InvalidImageDigest"),
        ("", None, "InvalidImageDigest"),
        ("nonsense", "t", "InvalidImageDigest"),
        (None, "", "InvalidImageTag"),
        (None, "-t", "InvalidImageTag"),
        (None, "a" * 129, "InvalidImageTag"),
        (NOWHERE, "-t", "InvalidImageTag"),
        (None, "never", "ImageNotFound"),
        (NOWHERE, None, "ImageNotFound"),
        (NOWHERE, "never", "ImageNotFound"),
        (NOWHERE, "t", "ImageTagDoesNotMatchDigest"),
    ],
)
@in_memory
async def test_identify_says_why_there_is_none(
    registry: MemoryRegistry, digest: str | None, tag: str | None, code: str
) -> None:
    app = await registry.repository("app")
    await registry.push(app, [b"{}"], "t")

    found = await identify(registry.db, app, digest, tag)

    assert isinstance(found, Failure)
    assert found.code == code


@in_memory
async def test_identify_by_either_or_both_is_the_image(registry: MemoryRegistry) -> None:
    app = await registry.repository("app")
    digest = await registry.push(app, [b"{}"], "t")

    found = [
        await identify(registry.db, app, *names)
        for names in ((str(digest), None), (None, "t"), (str(digest), "t"))
    ]

    assert all(isinstance(each, Image) and each.digest == digest for each in found)


@in_memory
async def test_identify_looks_in_one_repository(registry: MemoryRegistry) -> None:
    app, other = await registry.repository("app"), await registry.repository("other")
    digest = await registry.push(app, [b"{}"], "t")

    assert await identify(registry.db, other, str(digest), None) == NOT_FOUND
    assert await identify(registry.db, other, None, "t") == NOT_FOUND
