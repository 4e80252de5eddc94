from __future__ import annotations

import io

import pytest

from moorage.cli.output import columns, styled


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_colour_is_for_terminals_only() -> None:
    assert styled("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"
    assert styled("x", "red", io.StringIO()) == "x"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_is_left_out_where_it_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert styled("x", "red", Terminal()) == "x"


def test_columns_align_styled_cells_by_what_is_seen() -> None:
    rows = [[styled("ab", "bold", Terminal()), "c"], ["abcd", "e"]]

    assert columns(rows) == ["\x1b[1mab\x1b[0m    c", "abcd  e"]
