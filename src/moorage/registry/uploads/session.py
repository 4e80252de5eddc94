"""Upload sessions: begin, append, finish, cancel. Both doors use them: `/v2/` and the layer operations of the API.

A layer's bytes are hashed, sealed and written once, while they arrive; finishing renames, never copies.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from moorage.access.call import Call, Services
from moorage.base.digest import Digest
from moorage.base.errors.images import LimitExceeded
from moorage.base.errors.layers import DigestMismatch, RangeNotInOrder, UploadNotFound
from moorage.keys.receiving import OpenUpload
from moorage.registry.repositories.repository import Repository, confirm
from moorage.registry.uploads import layers

INLINE_BYTES = 65_536  # a thread would add 130 µs to the 175 that hashing, sealing and writing it take


async def begin(call: Call, repository: Repository, *, sha512: bool = False) -> OpenUpload:
    """Open a session with a blob id and a key of its own. `sha512`: hash that as well while receiving."""
    upload_id, blob = str(uuid.uuid4()), secrets.token_bytes(16)
    domain = await call.keys.domain_by_id(repository.domain)
    key = call.keys.new_blob_key()
    expires = call.now + call.limits.upload_idle_us
    async with call.db.transaction() as tx:
        await confirm(tx, repository)
        await tx.run(
            "uploads.begin",
            {
                "id": upload_id,
                "repository": repository.id,
                "owner": call.principal.owner_id,
                "process": call.services.process,
                "blob": blob,
                "wrapped_key": call.keys.wrap_upload_key(domain, upload_id, key),
                "started": call.now,
                "expires": expires,
            },
        )
    algorithms = ("sha256", "sha512") if sha512 else ("sha256",)
    try:
        writer = call.blobs.create(blob, domain.id, key, algorithms)
    except Exception:
        async with call.db.transaction() as tx:
            await tx.run("uploads.end", {"id": upload_id})
        raise
    upload = OpenUpload(upload_id, repository.id, call.principal.owner_id, blob, writer, expires)
    call.services.uploads.add(upload)
    return upload


def find(call: Call, repository: Repository, upload_id: str) -> OpenUpload:
    """The caller's open session; a foreign, finished, expired or unknown one is the same to a stranger."""
    upload = call.services.uploads.get(upload_id)
    is_callers = (
        upload is not None and upload.repository == repository.id and upload.owner == call.principal.owner_id
    )
    if upload is None or not is_callers or (upload.expires <= call.now and not upload.busy):
        raise UploadNotFound(
            upload_id=upload_id, name=repository.name, registry_id=repository.registry.account
        )
    return upload


async def append(
    call: Call, upload: OpenUpload, batches: AsyncIterator[memoryview], *, first: int | None = None
) -> int:
    """Receive bytes at the end; `first` is where the client says they begin. Return the bytes received in all.

    A client that leaves keeps its session with what had come. A failure to store ends it: what the file holds is
    unknown.
    """
    async with _at(call, upload, first):
        await _receive(call, upload, batches)
    upload.expires = call.now + call.limits.upload_idle_us
    return upload.writer.received


def note_part(upload: OpenUpload, size: int, minimum: int) -> None:
    """Count a part of the API: all but the last must have `minimum` bytes, which only the next one shows."""
    upload.has_short_part = upload.has_short_part or (upload.parts > 0 and upload.last_part_bytes < minimum)
    upload.parts += 1
    upload.last_part_bytes = size


async def finish(
    call: Call,
    repository: Repository,
    upload: OpenUpload,
    digests: Sequence[Digest],
    batches: AsyncIterator[memoryview] | None = None,
    *,
    first: int | None = None,
) -> Digest:
    """Close the session and make the layer the repository's. Return its sha256 digest.

    1. Receive what the closing request brings.
    2. Every digest given must be that of the bytes; otherwise the session is dropped.
    3. The file is made durable under its blob id (file, then directory).
    4. One transaction names the blob, links it to the repository as a candidate, and ends the session.
       Of two finishers of one digest the second drops its file.
    """
    async with _at(call, upload, first):
        # 1
        if batches is not None:
            await _receive(call, upload, batches)
        # 2
        own = upload.writer.digests()
        for digest in digests:
            if digest.algorithm not in own:
                own[digest.algorithm] = await call.services.work(upload.writer.rehash, digest.algorithm)
        if any(own[digest.algorithm] != digest for digest in digests):
            raise DigestMismatch()
        # 3
        await call.services.work(upload.writer.finish)
        # 4
        names = [
            own["sha256"],
            *(digest for digest in dict.fromkeys(digests) if digest.algorithm != "sha256"),
        ]
        domain = await call.keys.domain_by_id(repository.domain)
        is_kept = await layers.store(
            call,
            repository,
            upload_id=upload.id,
            blob=upload.blob,
            size=upload.writer.received,
            wrapped_key=call.keys.wrap_blob_key(domain, upload.blob, own["sha256"], upload.writer.key),
            names=names,
        )
        call.services.uploads.remove(upload)
        if not is_kept:
            await call.services.work(call.blobs.delete, upload.blob)
    return own["sha256"]


async def cancel(call: Call, upload: OpenUpload) -> None:
    async with _at(call, upload, None):
        await drop(call.services, upload)


async def drop(services: Services, upload: OpenUpload) -> None:
    """End the session and remove what it wrote; a file that is finished already goes unless a row names it.

    If the database cannot write that down (the disk is full), nobody finds the session any more all the same, and
    `job.expire_sessions` tries again.
    """
    services.uploads.remove(upload)
    try:
        await services.work(upload.writer.discard)
        async with services.db.transaction() as tx:
            if upload.writer.is_finished:
                await tx.run("uploads.doom_file_unless_stored", {"blob": upload.blob})
            await tx.run("uploads.end", {"id": upload.id})
    except Exception:
        upload.expires = 0
        services.uploads.add(upload)
        raise


@asynccontextmanager
async def _at(call: Call, upload: OpenUpload, first: int | None) -> AsyncIterator[None]:
    """Hold the session for one request, if it stands where the client thinks. What fails ends it.

    Whoever found it may have waited since, while another request closed it.
    """
    if call.services.uploads.get(upload.id) is not upload:
        raise UploadNotFound(f"Upload with id '{upload.id}' could not be found")
    received = upload.writer.received
    if upload.busy or (first is not None and first != received):
        raise RangeNotInOrder(first=received if first is None else first, expected=received)
    upload.busy = True
    try:
        yield
    except ConnectionError:  # the client left; what had come is good
        raise
    except Exception:
        await drop(call.services, upload)
        raise
    finally:
        upload.busy = False


async def _receive(call: Call, upload: OpenUpload, batches: AsyncIterator[memoryview]) -> None:
    writer = upload.writer
    async for batch in batches:
        if writer.received + len(batch) > call.limits.layer_bytes:
            raise LimitExceeded(
                f"A layer can have at most {call.limits.layer_bytes} bytes", quota="layer-size"
            )
        if len(batch) <= INLINE_BYTES:
            writer.append(batch)
        else:
            await call.services.compute(writer.append, batch)
