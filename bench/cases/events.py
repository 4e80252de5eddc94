"""What a push pays for being told and put on record."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from statistics import median
from typing import Any

from bench.lab import Lab, Sample
from bench.servers import MOORAGE
from moorage.access.authorizer import Circumstances
from moorage.access.call import Call
from moorage.base.addresses import Registry
from moorage.base.digest import Digest
from moorage.base.http import Arrival
from moorage.config.settings import Settings
from moorage.registry.audit import trail
from moorage.registry.audit.record import Called, record_of
from moorage.registry.events.outbox import Dispatcher
from moorage.registry.images import announce
from moorage.registry.images.push import push_image
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.mutability import Mutability
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import session
from moorage.server.app import Installation, opened

ROUNDS = 5
PUSHES = 200
RECORDS = 500
LAYER_BYTES = 64 << 10
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"

Push = Callable[[], Awaitable[None]]


def run(lab: Lab) -> Iterator[Sample]:
    for round_ in range(lab.rounds(ROUNDS)):
        lab.say(f"events: in process, round {round_ + 1}")
        for (case, metric), value in asyncio.run(_measured(lab)).items():
            yield Sample(case, MOORAGE.name, round_, metric, value)


async def _measured(lab: Lab) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    pushes = PUSHES // 4 if lab.quick else PUSHES
    settings = Settings(data=lab.work / f"events-{time.monotonic_ns()}")
    async with opened(settings, 5050) as installation:
        call = _call(installation)
        repository = await repositories.create(call, "app", Mutability("MUTABLE", ()))
        dispatching = asyncio.create_task(Dispatcher(installation.services, ()).run())
        for what, push in (("manifest", _manifest_pusher), ("image of a layer", _image_pusher)):
            told, untold = await _compared(await push(call, repository), pushes)
            found[f"{what}, told", "µs"] = told
            found[f"{what}, not told", "µs"] = untold
            found[f"{what}, what telling adds", "%"] = 100 * (told / untold - 1)
        dispatching.cancel()
        await asyncio.gather(dispatching, return_exceptions=True)
        for chained in (False, True):
            case = f"a record of a call{', chained' if chained else ''}"
            found[case, "µs"] = await _recorded(call, chained=chained)
    return found


async def _compared(push: Push, count: int) -> tuple[float, float]:
    """Medians of pushes that are told and of such that are not, by turns: the disk's mood is the same for both."""
    told: list[float] = []
    untold: list[float] = []
    emit = announce.emit
    for n in range(2 * count):
        announce.emit = emit if n % 2 else _says_nothing  # type: ignore[assignment]
        began = time.perf_counter()
        await push()
        (told if n % 2 else untold).append((time.perf_counter() - began) * 1e6)
    announce.emit = emit
    return median(told), median(untold)


async def _says_nothing(*_: Any) -> None:
    pass


async def _manifest_pusher(call: Call, repository: Repository) -> Push:
    """Only the manifest is new: the smallest push that there is."""
    await _upload(call, repository, b"{}")
    return lambda: _push(call, repository, [b"{}"])


async def _image_pusher(call: Call, repository: Repository) -> Push:
    async def push() -> None:
        contents = [b"{}", os.urandom(LAYER_BYTES)]
        await _upload(call, repository, contents[1])
        await _push(call, repository, contents)

    return push


async def _push(call: Call, repository: Repository, contents: list[bytes]) -> None:
    config, *layers = [
        {"mediaType": LAYER_TYPE if n else CONFIG_TYPE, "digest": str(Digest.of(each)), "size": len(each)}
        for n, each in enumerate(contents)
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config,
        "layers": layers,
        "annotations": {"at": str(time.perf_counter_ns())},
    }
    content = json.dumps(document).encode()
    await push_image(replace(call, now=call.services.clock()), repository, content, MANIFEST_TYPE, ["latest"])


async def _upload(call: Call, repository: Repository, content: bytes) -> None:
    upload = await session.begin(call, repository)
    await session.finish(call, repository, upload, [Digest.of(content)], _once(content))


async def _once(content: bytes) -> AsyncIterator[memoryview]:
    yield memoryview(content)


async def _recorded(call: Call, *, chained: bool) -> float:
    """Made and written, a batch in a transaction; microseconds each."""
    began = time.perf_counter()
    records = [
        record_of(
            Called(
                id=f"{began}-{n}",
                occurred=call.now,
                account=call.account,
                region=call.region,
                principal=call.principal,
                claimed_key="",
                source="ecr.amazonaws.com",
                name="PutImage",
                is_read_only=False,
                address="127.0.0.1",
                agent="docker/29",
                request_id="request",
                parameters={"repositoryName": "app", "imageTag": "latest"},
                resources=(f"arn:aws:ecr:{call.region}:{call.account}:repository/app",),
            )
        )
        for n in range(RECORDS)
    ]
    async with call.db.transaction() as tx:
        await trail.append(tx, records, chained=chained)
    return (time.perf_counter() - began) / RECORDS * 1e6


def _call(installation: Installation) -> Call:
    root, services = installation.created, installation.services
    assert root is not None
    registry = Registry(root.principal.account, installation.settings.region)
    now = services.clock()
    around = Circumstances(Arrival(address="127.0.0.1"), None, registry.region, now)
    return Call(root.principal, registry.account, registry.region, "localhost", now, "", services, around)
