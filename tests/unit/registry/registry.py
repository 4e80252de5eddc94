"""A registry in memory: the real slices over the real engine and sealed blobs, with a clock that tests turn."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from moorage.access import downloads, paging, passwords, sessions
from moorage.access.authorizer import Authorizer, Circumstances
from moorage.access.call import Call, Limits, Result, Services
from moorage.access.endpoints.endpoints import Endpoints
from moorage.access.epochs import Epochs
from moorage.access.grants import StoredGrants
from moorage.access.organization import Organization
from moorage.access.principals import root_of
from moorage.access.sessions import Sessions
from moorage.access.usage import Usage
from moorage.access.web_identity.provider_keys import ProviderKeys
from moorage.base.addresses import Addresses, Registry
from moorage.base.clock import HOUR
from moorage.base.digest import Digest
from moorage.base.http import Arrival
from moorage.keys.keyring import Keyring
from moorage.keys.receiving import OpenUploads
from moorage.keys.root import RootKey
from moorage.keys.sealed import SealedBlobs
from moorage.keys.tokens import Tokens
from moorage.registry.images.push import push_image
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.mutability import Mutability
from moorage.registry.repositories.repository import Repository
from moorage.registry.uploads import layers, session
from moorage.remote.egress import Egress
from moorage.remote.rules import Rules
from moorage.store.blobs.memory import MemoryBlobs
from moorage.store.db.memory import open_memory
from moorage.store.db.sqlite import SqliteDatabase
from moorage.store.db.statements import Statements
from moorage.store.jobs.queue import Jobs

ACCOUNT, REGION = "123456789012", "home-1"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
START = 1_000 * HOUR
PURPOSES = (downloads.PURPOSE, paging.PURPOSE, passwords.PURPOSE, sessions.PURPOSE)


@dataclass
class MemoryRegistry:
    db: SqliteDatabase
    files: MemoryBlobs
    services: Services
    clock: list[int] = field(default_factory=lambda: [START])

    @property
    def now(self) -> int:
        return self.clock[0]

    def pass_time(self, microseconds: int) -> None:
        self.clock[0] += microseconds

    @property
    def call(self) -> Call:
        """One that is made now, by the root of the account."""
        return Call(
            principal=root_of(ACCOUNT, "AKIAEXAMPLE"),
            account=ACCOUNT,
            region=REGION,
            host="localhost:5050",
            now=self.now,
            request_id="request",
            services=self.services,
            around=Circumstances(Arrival(), None, REGION, self.now),
        )

    async def repository(self, name: str) -> Repository:
        return await repositories.create(self.call, name, Mutability("MUTABLE", ()))

    async def push_layer(self, repository: Repository, content: bytes) -> Digest:
        upload = await session.begin(self.call, repository)
        return await session.finish(self.call, repository, upload, [Digest.of(content)], once(content))

    async def push(self, repository: Repository, contents: Sequence[bytes], tag: str = "latest") -> Digest:
        """Layers, then the image of them."""
        for content in contents:
            await self.push_layer(repository, content)
        return await self.push_manifest(repository, image_of(contents), tag)

    async def push_manifest(self, repository: Repository, manifest: bytes, tag: str = "latest") -> Digest:
        return (await push_image(self.call, repository, manifest, MANIFEST_TYPE, [tag])).digest

    async def pull_layer(self, repository: Repository, digest: Digest) -> bytes:
        """Without asking about it first as a client does: looking must not keep it from being collected."""
        row = await self.db.one("uploads.layer", {"repository": repository.id, "digest": digest.packed})
        assert row is not None, f"{digest} is not there"
        blob, domain, sha256, size, wrapped_key, _ = row
        layer = layers.Layer(digest, size, blob, domain, Digest.unpack(sha256), wrapped_key, False)
        reader = await layers.open_layer(self.call, layer)
        try:
            return reader.read(0, size)
        finally:
            reader.close()

    async def has_layer(self, repository: Repository, digest: Digest) -> bool:
        values = {"repository": repository.id, "digest": digest.packed}
        return await self.db.one("uploads.layer", values) is not None

    async def not_before(self, repository: Repository, digest: Digest) -> int | None:
        """Until when the layer is safe; None if it is no candidate."""
        row = await self.db.one("uploads.layer", {"repository": repository.id, "digest": digest.packed})
        assert row is not None
        time: int | None = row[5]
        return time

    def count(self, table: str) -> int:
        """Rows of a table, read past the port."""
        number: int = self.db._reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return number


@asynccontextmanager
async def memory_registry(**limits: Any) -> AsyncIterator[MemoryRegistry]:
    clock = [START]
    files = MemoryBlobs()
    blobs = SealedBlobs(files)
    async with open_memory(Statements.discover()) as db:
        keys = Keyring(db, RootKey(secrets.token_bytes(32)), lambda: clock[0])
        epochs = Epochs(db)
        tokens = Tokens(await keys.token_keys(PURPOSES))
        services = Services(
            db=db,
            blobs=blobs,
            keys=keys,
            tokens=tokens,
            addresses=Addresses(Registry(ACCOUNT, REGION), "localhost:5050"),
            clock=lambda: clock[0],
            limits=replace(Limits(), **limits),
            uploads=OpenUploads(),
            epochs=epochs,
            sessions=Sessions(db, tokens, epochs, lambda: clock[0]),
            endpoints=Endpoints(db, epochs, ACCOUNT),
            authorizer=Authorizer(StoredGrants(db, epochs, Organization()), epochs),
            usage=Usage(db),
            provider_keys=ProviderKeys(Egress(Rules()), lambda: clock[0]),
            process="this-process",
            work=_at_once,
            compute=_at_once,
            jobs=Jobs("this-process"),
        )
        yield MemoryRegistry(db, files, services, clock)
    blobs.close()


async def _at_once(function: Callable[..., Result], /, *arguments: object) -> Result:
    return function(*arguments)


async def once(content: bytes) -> AsyncIterator[memoryview]:
    yield memoryview(content)


def image_of(contents: Sequence[bytes]) -> bytes:
    """A manifest; the first content is the config."""
    config, *rest = [
        {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": str(Digest.of(each)),
            "size": len(each),
        }
        for each in contents
    ]
    document = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": rest}
    return json.dumps(document).encode()
