from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Command

IMAGE = f"team/app@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("until", "reason"),
    [("tomorrow", "a time as 2026-12-24T20:00:00Z"), ("2020-01-01", "which is over")],
)
def test_an_image_is_in_use_until_a_time_to_come(
    moorage: Command, data: Path, until: str, reason: str
) -> None:
    done = moorage("lifecycle", "protect", IMAGE, "--by", "cluster-1", "--until", until)

    assert done.code == 2
    assert reason in done.err
