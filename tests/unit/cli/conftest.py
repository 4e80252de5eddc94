"""Commands are run as the shell runs them, in a folder and an environment of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from moorage.cli import main

Command = Callable[..., "Done"]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def failure(self) -> tuple[int, str]:
        return self.code, self.err


@pytest.fixture
def moorage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("AWS_", "MOORAGE_")):
            monkeypatch.delenv(name)

    def moorage(*arguments: str) -> Done:
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as exit_:  # argparse's way out
            code = int(exit_.code or 0)
        return Done(code, *capsys.readouterr())

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield moorage
    for number, handler in handlers.items():  # `serve` takes them
        signal.signal(number, handler)


@pytest.fixture
def data(moorage: Command, tmp_path: Path) -> Path:
    """An initialised data directory at its default place."""
    assert moorage("init", "--account", "123456789012").code == 0
    return tmp_path / "moorage-data"
