"""Measure the embedded engine on the disk of a folder: `python tests/store/db/measure.py [FOLDER]`.

A push here is one transaction of three statements: an image row, its tag, an event.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from moorage.store.db.api import Database, Value
from moorage.store.db.connect import connect
from moorage.store.db.statements import Statements

_SECONDS = 2.0


async def main(folder: Path) -> None:
    statements = Statements.load([("test", Path(__file__).with_name("queries.sql"))])
    started = time.perf_counter()
    db = await connect(f"sqlite:///{folder}/moorage.db", statements)
    print(f"first connect         {(time.perf_counter() - started) * 1e3:8.1f} ms")
    await db.close()
    started = time.perf_counter()
    db = await connect(f"sqlite:///{folder}/moorage.db", statements)
    print(f"connect again         {(time.perf_counter() - started) * 1e3:8.1f} ms")
    async with db.transaction() as tx:
        domain = await tx.one("test.domain", {"key": b""})
        assert domain is not None
        await tx.one("test.repository", {"domain": domain[0]})
    for pushers in (1, 8, 64):
        await _push(db, pushers)
    await _read(db)
    await db.close()


async def _push(db: Database, pushers: int) -> None:
    taken: list[float] = []
    end = time.perf_counter() + _SECONDS

    async def pusher(name: int) -> None:
        number = 0
        while (begun := time.perf_counter()) < end:
            number += 1
            digest = b"\1" + f"{pushers:06}{name:06}{number:020}".encode()
            async with db.transaction() as tx:
                image: dict[str, Value] = {"repository": 1, "digest": digest, "manifest": bytes(1_800)}
                row = await tx.one("test.image", image)
                assert row is not None
                tag: dict[str, Value] = {"repository": 1, "tag": f"{name}-{number % 500}", "image": row[0]}
                await tx.run("test.tag_or_move", tag)
                await tx.run("test.event")
            taken.append(time.perf_counter() - begun)

    cpu = time.process_time()
    await asyncio.gather(*map(pusher, range(pushers)))
    cpu = (time.process_time() - cpu) / len(taken)
    quantiles = statistics.quantiles(taken, n=100)
    print(
        f"push, {pushers:2} at once       {len(taken) / _SECONDS:8.0f} /s    p50 {quantiles[49] * 1e3:.2f} ms"
        f"    p99 {quantiles[98] * 1e3:.2f} ms    cpu {cpu * 1e6:.0f} us"
    )


async def _read(db: Database) -> None:
    digests = [row[0] for row in await db.all("test.digests")]
    started = time.perf_counter()
    for digest in digests:
        assert await db.one("test.manifest", {"repository": 1, "digest": digest})
    print(f"point read (1.8 KB)   {(time.perf_counter() - started) / len(digests) * 1e6:8.1f} us")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as temporary:
        uvloop.run(main(Path(temporary)))
