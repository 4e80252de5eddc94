"""Digests: one spelling each, and the packed form is the same digest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.base.digest import ALGORITHMS, Digest
from moorage.base.errors.layers import InvalidDigest


@given(st.binary(max_size=100), st.sampled_from(ALGORITHMS))
@settings(deadline=None, derandomize=True)
def test_digest_survives_text_and_packing(content: bytes, algorithm: str) -> None:
    digest = Digest.of(content, algorithm)

    assert Digest.parse(str(digest)) == digest == Digest.unpack(digest.packed)
    assert (digest.algorithm, len(digest.packed)) == (algorithm, 33 if algorithm == "sha256" else 65)
    assert str(digest) == f"{algorithm}:{digest.hex}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        f"sha256:{'a' * 63}",
        f"sha256:{'a' * 65}",
        f"sha256:{'A' * 64}",
        f"sha256:{'g' * 64}",
        f"sha512:{'a' * 64}",
        f"sha256:{'a' * 128}",
        f"SHA256:{'a' * 64}",
        f"md5:{'a' * 32}",
        f"sha256:{'a' * 64}\n",
        f" sha256:{'a' * 64}",
        f"sha256:{'٠' * 64}",
        f"sha256:sha256:{'a' * 64}",
    ],
)
def test_parse_of_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(InvalidDigest):
        Digest.parse(text)


@given(st.text(max_size=200) | st.text("sha256:0123456789abcdef", max_size=140))
@settings(deadline=None, derandomize=True, max_examples=300)
def test_parse_of_anything_is_that_text_or_refused(text: str) -> None:
    try:
        digest = Digest.parse(text)
    except InvalidDigest:
        return

    assert str(digest) == text
