"""One image, sent to another installation, which takes it as any push."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from moorage.access.call import Call
from moorage.base.clock import MINUTE, Clock
from moorage.base.digest import Digest
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.layers import BlobUnknown
from moorage.keys.sealed import SealedReader
from moorage.registry.account import setting_changes
from moorage.registry.account.setting_changes import Change
from moorage.registry.account.setting_names import Setting
from moorage.registry.images import find
from moorage.registry.images import manifest as manifests
from moorage.registry.images.find import Image
from moorage.registry.peers.peer import Peer
from moorage.registry.peers.sign_in import Answered, PeerRefusal
from moorage.registry.replication.below import closure, target_of
from moorage.registry.replication.peer_client import PeerClient
from moorage.registry.replication.sending_settings import send_setting
from moorage.registry.replication.setting_states import State
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import layers
from moorage.remote.egress import Egress

PART_BYTES = 4 << 20
"""Of a layer, in one request; so much of it is in memory."""
SETTINGS_AT_LAST_US = 10 * MINUTE
"""When the settings go to a repository whose making there was not seen to its end; a request takes five at most."""
_IMMUTABLE = b"cannot be overwritten because the repository is immutable"


@dataclass(frozen=True, slots=True)
class Source:
    here: Call
    repository: Repository

    @property
    def name(self) -> str:
        return self.repository.name


class Sender:
    """To one peer, for one process."""

    def __init__(self, peer: Peer, clock: Clock, egress: Egress | None = None) -> None:
        self._client = PeerClient(peer, clock, egress)
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def close(self) -> None:
        await self._client.close()

    async def send(self, source: Source, image: Image, tag: str) -> None:
        """The same steps as inside of an installation (`copying.bring`); the repository is made if it is missing.

        Raise `AccessDenied`, also where the source's account may not use the peer, or `PeerFailed`.
        """
        self._check(source)
        await self._need_repository(source)
        *below, _ = await closure(source.here, source.repository, image)
        for digest in below:
            child = await find.by_digest(source.here.db, source.repository, digest)
            if child is not None:
                await self._send_one(source, child)
        content = await self._send_one(source, image)
        if tag:
            await self._tag(source, image, content, tag)

    async def set(self, source: Source, setting: Setting, wanted: State, change: Change) -> bool:
        """A setting of the repository. False if that is not there. Raise as `send` does, or `PeerRefusal`."""
        self._check(source)
        written = change.written(source.repository.registry)
        try:
            await send_setting(self._client, source.name, setting, wanted, written)
        except PeerRefusal as refusal:
            if refusal.error != "RepositoryNotFound":
                raise
            return False
        return True

    async def remove(self, source: Source, digest: Digest, tag: str) -> None:
        """Take off there what was taken off here: the tag if it points there at the same; what is untagged then."""
        self._check(source)
        is_gone = await find.by_digest(source.here.db, source.repository, digest) is None
        if tag:
            async with self._alone(source.name, tag):
                if await target_of(source.here.db, source.repository, tag) is not None:
                    return
                path = f"/v2/{source.name}/manifests/{tag}"
                if _digest_of(await self._client.ask("HEAD", path)) != str(digest):
                    return
                self._expect(await self._client.ask("DELETE", path), 202, 404)
        if is_gone:
            await self._remove_untagged(source.name, digest)

    def _check(self, source: Source) -> None:
        account = source.repository.registry.account
        peer, default = self._client.peer, source.here.services.addresses.default.account
        if not peer.serves(account, default):
            raise AccessDenied(
                f"The account {account} is none of those that may replicate to {peer.registry}"
            )

    async def _need_repository(self, source: Source) -> None:
        listed = await self._client.ask("GET", f"/v2/{source.name}/tags/list?n=1")
        if listed.status != 404:
            return
        services = source.here.services
        # Should we be killed between the making there and the second put here, the first one remains.
        await self._put_settings(source, due=services.clock() + SETTINGS_AT_LAST_US)
        try:
            await self._client.api("CreateRepository", repositoryName=source.name)
        except PeerRefusal as refusal:
            if refusal.error != "RepositoryAlreadyExists":
                raise
        await self._put_settings(source)

    async def _put_settings(self, source: Source, due: int | None = None) -> None:
        services, to = source.here.services, self._client.peer.registry
        if setting_changes.carried_to(services, to):
            async with services.db.transaction() as tx:
                await setting_changes.put_all(services, tx, source.repository, to, due)

    async def _send_one(self, source: Source, image: Image) -> bytes:
        """Layers, then the manifest, by its digest. Return the manifest."""
        content = await find.manifest_of(source.here, source.repository, image)
        path = f"/v2/{source.name}/manifests/{image.digest}"
        if (await self._client.ask("HEAD", path)).status == 200:
            return content
        manifest = manifests.parse(content, image.media_type)
        for digest in dict.fromkeys(blob.digest for blob in manifest.blobs):
            await self._send_layer(source, digest)
        self._expect(await self._client.ask("PUT", path, content, content_type=image.media_type), 201)
        return content

    async def _tag(self, source: Source, image: Image, content: bytes, tag: str) -> None:
        """One at a time for each tag: what is looked at here is what is told there last."""
        async with self._alone(source.name, tag):
            if await target_of(source.here.db, source.repository, tag) != image.digest:
                return
            path = f"/v2/{source.name}/manifests/{tag}"
            if _digest_of(await self._client.ask("HEAD", path)) == str(image.digest):
                return
            put = await self._client.ask("PUT", path, content, content_type=image.media_type)
            if _IMMUTABLE not in put.body:  # then it stays without
                self._expect(put, 201)

    async def _send_layer(self, source: Source, digest: Digest) -> None:
        path = f"/v2/{source.name}/blobs"
        async with self._alone("", str(digest)):
            if (await self._client.ask("HEAD", f"{path}/{digest}")).status == 200:
                return
            try:
                layer = await layers.find(source.here, source.repository, digest)
            except BlobUnknown:
                return  # the image was accepted without; the peer decides whether it does as well
            reader = await layers.open_layer(source.here, layer)
            try:
                await self._upload(source.here, f"{path}/uploads/", reader, digest)
            finally:
                reader.close()

    async def _upload(self, here: Call, path: str, reader: SealedReader, digest: Digest) -> None:
        """In parts, closed with the digest: the peer compares it with what has arrived."""
        begun = await self._client.ask("POST", path)
        self._expect(begun, 202)
        place = self._client.place_of(path, begun)
        buffer = bytearray(min(PART_BYTES, reader.size))
        for start in range(0, reader.size, PART_BYTES):
            count = await here.services.compute(reader.read_into, memoryview(buffer), start)
            part = await self._client.ask(
                "PATCH",
                place,
                bytes(memoryview(buffer)[:count]),
                content_type="application/octet-stream",
                content_range=f"{start}-{start + count - 1}",
            )
            self._expect(part, 201, 202)
            place = self._client.place_of(place, part)
        sign = "&" if "?" in place else "?"
        closed = await self._client.ask("PUT", f"{place}{sign}digest={digest}", b"")
        self._expect(closed, 201)

    async def _remove_untagged(self, name: str, digest: Digest) -> None:
        image = {"imageDigest": str(digest)}
        try:
            said = await self._client.api("DescribeImages", repositoryName=name, imageIds=[image])
            if not any(each.get("imageTags") for each in said.get("imageDetails", [])):
                said = await self._client.api("BatchDeleteImage", repositoryName=name, imageIds=[image])
                for failure in said.get("failures", []):
                    if failure.get("failureCode") == "ImageReferencedByManifestList":  # which may go next
                        raise self._client.failed(f"keeps {digest}: {failure.get('failureReason')}")
        except PeerRefusal as refusal:
            if refusal.error not in ("ImageNotFound", "RepositoryNotFound"):
                raise

    @asynccontextmanager
    async def _alone(self, name: str, what: str) -> AsyncIterator[None]:
        """One at a time of this process for a tag of a repository, or a layer."""
        lock = self._locks.setdefault((name, what), asyncio.Lock())
        async with lock:
            yield

    def _expect(self, answered: Answered, *statuses: int) -> None:
        if answered.status not in statuses:
            raise self._client.failed(f"answers {answered.status}: {answered.says}")


def _digest_of(answered: Answered) -> str:
    return answered.headers.get("docker-content-digest", "") if answered.status == 200 else ""
