"""The keys of a data directory and what they seal.

    root key          a file or the environment (`root`)
      domain key      one for each registry, encryption type and KMS key: what may be deduplicated together
        blob key      one for each blob
        manifests
      token keys      one for each purpose (`tokens`)
      secrets         of access keys and the like

Every wrapped key and sealed record is bound to what it is for: moved to another row, it does not open.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from moorage.base.clock import Clock
from moorage.base.digest import Digest
from moorage.base.errors.ourselves import Corrupted
from moorage.keys.frames import BlobKey, NotAuthentic
from moorage.keys.root import RootKey, RootKeyRefused
from moorage.keys.wrapping import Field, open_record, seal_record
from moorage.store.db.api import Database, Value

__all__ = ["BlobKey", "Domain", "Keyring", "TokenKey"]

_DOMAIN, _TOKEN, _UPLOAD, _BLOB, _MANIFEST = "domain-key", "token-key", "upload-key", "blob-key", "manifest"
_DOMAIN_COLUMNS = ("account", "region", "encryption_type", "key_arn")
_UNWRAPPED_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Domain:
    """Blobs are deduplicated inside a domain; without its key nothing of it can be read."""

    id: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenKey:
    id: int
    purpose: str
    secret: bytes = field(repr=False)


class Keyring:
    """Plain methods take microseconds and touch no disk; async ones may ask the database."""

    def __init__(self, db: Database, root: RootKey, clock: Clock) -> None:
        self._db, self._root, self._clock = db, root.secret, clock
        self._domains: dict[int, Domain] = {}
        self._ids: dict[tuple[str, str, str, str], int] = {}
        self._unwrapped: dict[tuple[int, bytes, bytes, bytes], BlobKey] = {}
        """Keys of blobs by what they are bound to and came from: unwrapping is a tenth of a small pull."""

    async def domain(self, account: str, region: str, encryption_type: str, key_arn: str) -> Domain:
        """The domain of these, made durable by its first use. Not inside a transaction."""
        names = (account, region, encryption_type, key_arn)
        known = self._ids.get(names)
        return self._domains[known] if known is not None else await self._find_or_make(names)

    async def domain_by_id(self, id_: int) -> Domain:
        """The domain that a row refers to. Raise `Corrupted` if its key does not open."""
        domain = self._domains.get(id_)
        if domain is not None:
            return domain
        row = await self._db.one("keys.domain_by_id", {"id": id_})
        if row is None:
            raise Corrupted(what=f"domain key {id_}")
        *names, wrapped = row
        return self._remember(id_, (names[0], names[1], names[2], names[3]), wrapped)

    def new_blob_key(self) -> BlobKey:
        return BlobKey.new()

    def wrap_upload_key(self, domain: Domain, upload_id: str, key: BlobKey) -> bytes:
        """For the row of an upload session, which has no digest yet."""
        return seal_record(domain.secret, _UPLOAD, (domain.id, upload_id), key.secret)

    def unwrap_upload_key(self, domain: Domain, upload_id: str, wrapped: bytes) -> BlobKey:
        return BlobKey(_open(domain.secret, _UPLOAD, (domain.id, upload_id), wrapped))

    def wrap_blob_key(self, domain: Domain, blob: bytes, sha256: Digest, key: BlobKey) -> bytes:
        """For the row of a stored blob."""
        return seal_record(domain.secret, _BLOB, (domain.id, blob, sha256.packed), key.secret)

    def unwrap_blob_key(self, domain: Domain, blob: bytes, sha256: Digest, wrapped: bytes) -> BlobKey:
        """Raise `Corrupted` unless the row is as it was written."""
        row = (domain.id, blob, sha256.packed, wrapped)
        key = self._unwrapped.get(row)
        if key is None:
            key = BlobKey(_open(domain.secret, _BLOB, row[:3], wrapped))
            if len(self._unwrapped) >= _UNWRAPPED_MAX:
                self._unwrapped.clear()
            self._unwrapped[row] = key
        return key

    def seal_manifest(self, domain: Domain, repository: int, digest: Digest, content: bytes) -> bytes:
        """For the row of an image. `repository` is the id of its row."""
        return seal_record(domain.secret, _MANIFEST, (domain.id, repository, digest.packed), content)

    def open_manifest(self, domain: Domain, repository: int, digest: Digest, sealed: bytes) -> bytes:
        return _open(domain.secret, _MANIFEST, (domain.id, repository, digest.packed), sealed)

    def seal_secret(self, purpose: str, context: Sequence[Field], secret: bytes) -> bytes:
        """For a stored secret of the service: `purpose` says what it is, `context` names its row."""
        return seal_record(self._root, f"secret/{purpose}", context, secret)

    def open_secret(self, purpose: str, context: Sequence[Field], sealed: bytes) -> bytes:
        return _open(self._root, f"secret/{purpose}", context, sealed)

    async def token_keys(self, purposes: Sequence[str]) -> list[TokenKey]:
        """The keys in use for each purpose, the newest first; a purpose that has none gets one.

        Called at start: raise `RootKeyRefused` if the root key is not that of this database.
        """
        keys = []
        for purpose in purposes:
            rows = await self._db.all("keys.token_keys", {"purpose": purpose})
            if not rows:
                await self._make_token_key(purpose)
                rows = await self._db.all("keys.token_keys", {"purpose": purpose})
            keys += [TokenKey(id_, purpose, self._open_token_key(purpose, wrapped)) for id_, wrapped in rows]
        return keys

    async def _find_or_make(self, names: tuple[str, str, str, str]) -> Domain:
        values: dict[str, Value] = dict(zip(_DOMAIN_COLUMNS, names, strict=True))
        row = await self._db.one("keys.domain", values)
        if row is None:
            wrapped = seal_record(self._root, _DOMAIN, names, secrets.token_bytes(32))
            async with self._db.transaction() as tx:
                new = {**values, "wrapped_key": wrapped, "created": self._clock()}
                await tx.run("keys.insert_domain", new)
                row = await tx.one("keys.domain", values)
        assert row is not None
        return self._remember(row[0], names, row[1])

    def _remember(self, id_: int, names: tuple[str, str, str, str], wrapped: bytes) -> Domain:
        try:
            domain = Domain(id_, open_record(self._root, _DOMAIN, names, wrapped))
        except NotAuthentic as error:
            raise Corrupted(what=f"domain key {id_}") from error
        self._domains[id_] = domain
        self._ids[names] = id_
        return domain

    async def _make_token_key(self, purpose: str) -> None:
        wrapped = seal_record(self._root, _TOKEN, (purpose,), secrets.token_bytes(32))
        row: dict[str, Value] = {"purpose": purpose, "wrapped_key": wrapped, "created": self._clock()}
        async with self._db.transaction() as tx:
            await tx.run("keys.insert_token_key", row)

    def _open_token_key(self, purpose: str, wrapped: bytes) -> bytes:
        try:
            return open_record(self._root, _TOKEN, (purpose,), wrapped)
        except NotAuthentic:
            raise RootKeyRefused(
                "the root key is not the one this database was made with; give the right --root-key-file"
            ) from None


def _open(key: bytes, purpose: str, context: Sequence[Field], record: bytes) -> bytes:
    try:
        return open_record(key, purpose, context, record)
    except NotAuthentic as error:
        raise Corrupted(what=purpose) from error
