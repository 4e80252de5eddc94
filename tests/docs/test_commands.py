"""What the documentation tells a reader to type works as it stands."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from .conftest import REFUSED, Reader
from .pages import Section, refused, sections


@pytest.mark.parametrize("section", sections(), ids=lambda section: f"{section.page}: {section.title}")
def test_commands_when_typed_succeed(section: Section, reader: Callable[[Section], Reader]) -> None:
    reader(section).type(section)


def test_quick_start_when_typed_ends_with_the_image_pulled_back(reader: Callable[[Section], Reader]) -> None:
    quick_start = next(section for section in sections() if section.title == "Quick start")

    shown = reader(quick_start).type(quick_start)

    assert '"RepoDigests"' in shown.rpartition("Downloaded newer image")[2]


@pytest.mark.parametrize(
    ("typed", "said", "holds"),
    [
        ("echo Error: no such thing: 7 '[a*]' >&2; false", "Error: … thing:\n7 [a*]", True),
        ("echo Error: no such thing >&2; false", "Error: no other thing", False),
        ("echo Error: 17 >&2; false", "Error: [0-9]*", False),
        ("echo Error", "Error", False),
    ],
    ids=["said", "not said", "no pattern", "not refused"],
)
def test_refusal_holds_only_if_the_command_fails_and_says_it(typed: str, said: str, holds: bool) -> None:
    transcript = f"$ {typed}\n{said}\n"
    script = f"set -euo pipefail\n{REFUSED}\n{refused(transcript)}"

    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False)

    assert (done.returncode == 0) is holds
