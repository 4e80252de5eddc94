"""What the documentation tells a reader to type works as it stands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import Reader
from .pages import Section, sections


@pytest.mark.parametrize("section", sections(), ids=lambda section: f"{section.page}: {section.title}")
def test_commands_when_typed_succeed(section: Section, reader: Callable[[Section], Reader]) -> None:
    reader(section).type(section)


def test_quick_start_when_typed_ends_with_the_image_pulled_back(reader: Callable[[Section], Reader]) -> None:
    quick_start = next(section for section in sections() if section.title == "Quick start")

    shown = reader(quick_start).type(quick_start)

    assert '"RepoDigests"' in shown.rpartition("Downloaded newer image")[2]
