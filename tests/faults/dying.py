"""`moorage serve` that is killed at one step of its work: `dying.py PLAN.json serve --data …`.

A step is a call to the disk, a writing statement, a commit, an answer. The plan says from when steps are counted
("start" or "upload": the first session begun), at which one of a name (or of any) the process ends, and how: "before"
the step (a write is torn in the middle), "after" it, or in a "power" cut: then what was never synced is lost as well.
Every step is reported, one a line, to the plan's "report".
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any

from moorage.cli import main
from moorage.keys import writing
from moorage.registry.uploads import session
from moorage.server.protocol import Exchange
from moorage.store.blobs import disk
from moorage.store.db import sqlite

DISK_STEPS = ("open", "write", "fdatasync", "fsync", "rename", "unlink", "close")


class Doom:
    def __init__(self, plan: dict[str, Any]) -> None:
        self.name, self.at, self.how = plan["name"], plan["at"], plan["how"]
        self.is_counting = plan["from"] == "start"
        self.count = 0
        self.disk = DyingDisk(self)
        self._report = os.open(plan["report"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._lock = RLock()  # steps happen in several threads; the last one is one

    def step(self, name: str, act: Callable[[], Any], tear: Callable[[], Any] = lambda: None) -> Any:
        with self._lock:
            is_last = self.arrive(name)
            if is_last and self.how == "after":
                with suppress(OSError):  # unlinking what is not there
                    act()
            elif is_last:
                tear()
            if is_last:
                self.die()
        return act()

    def arrive(self, name: str) -> bool:
        if not self.is_counting:
            return False
        with self._lock:
            os.write(self._report, f"{name}\n".encode())
            if self.name not in (None, name):
                return False
            self.count += 1
            return self.count == self.at

    def die(self) -> None:
        if self.how == "power":
            self.disk.lose_unsynced()
        os.kill(os.getpid(), signal.SIGKILL)


class DyingDisk:
    """The module `os` as the blob store sees it. It knows which bytes and names a power cut would lose."""

    def __init__(self, doom: Doom) -> None:
        self._doom = doom
        self._paths: dict[int, str] = {}
        self._synced: dict[str, int] = {}
        self._renamed: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        function = getattr(os, name)
        if name not in DISK_STEPS:
            return function

        def call(*arguments: Any) -> Any:
            def act() -> Any:
                result = function(*arguments)
                self._note(name, arguments, result)
                return result

            def tear() -> None:
                if name == "write" and self._doom.how == "before":
                    os.write(arguments[0], arguments[1][: len(arguments[1]) // 2])

            return self._doom.step(self._step_name(name, arguments), act, tear)

        return call

    def lose_unsynced(self) -> None:
        """The names first, newest first; then the bytes of every file that was never synced to its end."""
        for old, new in reversed(self._renamed):
            os.rename(new, old)
        for path, size in list(self._synced.items()):  # other threads go on until the process is gone
            if os.path.exists(path) and os.path.getsize(path) > size:
                os.truncate(path, size)

    def _step_name(self, name: str, arguments: tuple[Any, ...]) -> str:
        if name in ("fsync", "fdatasync", "close") and stat.S_ISDIR(os.fstat(arguments[0]).st_mode):
            return f"{name} directory"
        return name

    def _note(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        if name == "open":
            self._paths[result] = str(arguments[0])
            if arguments[1] & os.O_CREAT:
                self._synced[str(arguments[0])] = 0
        elif name in ("fsync", "fdatasync"):
            path = self._paths[arguments[0]]
            if os.path.isdir(path):
                self._renamed = [pair for pair in self._renamed if os.path.dirname(pair[1]) != path]
            else:
                self._synced[path] = os.path.getsize(path)
        elif name == "rename":
            old, new = map(str, arguments)
            self._renamed.append((old, new))
            self._synced[old] = self._synced[new] = self._synced.get(old, 0)


def _doom_disk(doom: Doom) -> None:
    disk.os = doom.disk  # type: ignore[assignment]
    writing._WRITEBACK_BYTES = 1 << 17  # so that small layers are synced early too


def _doom_rows(doom: Doom) -> None:
    run, commit = sqlite.SqliteTransaction.run, sqlite.SqliteDatabase._commit

    async def dying_run(self: Any, statement: str, *values: Any) -> int:
        if doom.arrive(statement):
            if doom.how == "after":
                await run(self, statement, *values)
            doom.die()
        return await run(self, statement, *values)

    def dying_commit(self: Any) -> None:
        doom.step("commit", lambda: commit(self))

    sqlite.SqliteTransaction.run = dying_run  # type: ignore[method-assign]
    sqlite.SqliteDatabase._commit = dying_commit  # type: ignore[method-assign]


def _doom_answers(doom: Doom) -> None:
    respond = Exchange.respond

    async def dying_respond(self: Exchange, reply: Any) -> None:
        is_last = doom.arrive("answer")
        if is_last and doom.how != "after":
            doom.die()
        await respond(self, reply)
        if is_last:
            doom.die()

    Exchange.respond = dying_respond  # type: ignore[method-assign]


def _count_from_first_upload(doom: Doom) -> None:
    begin = session.begin

    async def counting_begin(*arguments: Any, **options: Any) -> Any:
        doom.is_counting = True
        return await begin(*arguments, **options)

    session.begin = counting_begin


if __name__ == "__main__":
    doom = Doom(json.loads(Path(sys.argv.pop(1)).read_text()))
    _doom_disk(doom)
    _doom_rows(doom)
    _doom_answers(doom)
    _count_from_first_upload(doom)
    sys.exit(main())
