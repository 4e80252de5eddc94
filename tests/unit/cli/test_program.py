from __future__ import annotations

import importlib

import pytest

from moorage import __version__
from moorage.cli.commands import COMMANDS
from moorage.cli.program import main, make_parser

from .conftest import Command

RUNNABLE = [command for command in COMMANDS if command.module]


def test_version_is_printed(moorage: Command) -> None:
    done = moorage("--version")

    assert (done.code, done.out) == (0, f"moorage {__version__}\n")


@pytest.mark.parametrize("command", RUNNABLE, ids=lambda command: command.name)
def test_every_command_has_a_module_that_runs(moorage: Command, command: object) -> None:
    assert callable(importlib.import_module(f"moorage.cli.{command.module}").run)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_of_every_command_has_examples_and_exit_codes(moorage: Command, command: object) -> None:
    done = moorage(*command.name.split(), "--help")  # type: ignore[attr-defined]

    assert done.code == 0
    assert "examples:\n  moorage" in done.out or "examples:\n  eval" in done.out
    assert "exit codes:\n  0 done, 1 failed, 2 wrong usage or settings, 130 interrupted" in done.out


@pytest.mark.parametrize(
    "arguments", [(), ("account",), ("brew",), ("serve", "--no-such-option"), ("env", "--shell", "dos")]
)
def test_wrong_usage_exits_2(moorage: Command, arguments: tuple[str, ...]) -> None:
    done = moorage(*arguments)

    assert done.code == 2
    assert done.out == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--listen", "nowhere"), "listen is 'nowhere': HOST:PORT, for instance 127.0.0.1:5050"),
        (("--account", "12"), "account is '12': an account id has 12 digits"),
        (("--memory-cache", "much"), "memory_cache is 'much': it has to be a whole number"),
        (("--config", "missing.toml"), "missing.toml cannot be read"),
    ],
)
def test_wrong_setting_exits_2_with_one_line(
    moorage: Command, arguments: tuple[str, ...], complaint: str
) -> None:
    done = moorage("serve", *arguments)

    assert done.code == 2
    assert done.err.startswith(f"moorage: {complaint}")
    assert done.err.count("\n") == 1


def test_interrupted_command_exits_130(moorage: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("importlib.import_module", interrupt)

    assert moorage("env").code == 130


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_a_command_alone_says_what_it_says_among_all(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*name.split(), "--help"]

    told = []
    for asked in (lambda: main(words), lambda: make_parser().parse_args(words)):
        with pytest.raises(SystemExit):
            asked()
        told.append(capsys.readouterr().out)

    assert told[0] == told[1]
    assert f"usage: moorage {name} " in told[0]
