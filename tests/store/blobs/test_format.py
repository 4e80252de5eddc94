"""A reader written from docs/format.md alone decodes what the product wrote. It imports no codec of the product."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from moorage.base.digest import Digest
from moorage.keys.keyring import Keyring
from moorage.keys.root import create_root_key, read_root_key
from moorage.keys.sealed import SealedBlobs
from moorage.store.blobs.disk import DiskBlobs
from moorage.store.db.memory import open_memory
from moorage.store.db.statements import Statements

SIZES = [0, 1, 65_536, 65_537, 1_000_000]


# The reader


def open_record(key: bytes, purpose: str, context: list[bytes], record: bytes) -> bytes:
    assert record[0] == 1
    derived = HKDF(SHA256(), 64, record[1:33], b"moorage/record/v1/" + purpose.encode()).derive(key)
    assert derived[32:] == record[33:65]
    associated = b"".join(struct.pack(">I", len(field)) + field for field in context)
    return AESGCM(derived[:32]).decrypt(bytes(12), record[65:], associated)


def domain_key(db: sqlite3.Connection, root: bytes, domain: int) -> bytes:
    *names, wrapped = db.execute(
        "SELECT account, region, encryption_type, key_arn, wrapped_key FROM domain_keys WHERE id = ?",
        (domain,),
    ).fetchone()
    return open_record(root, "domain-key", [name.encode() for name in names], wrapped)


def read_blob(db: sqlite3.Connection, data: Path, digest: bytes) -> bytes:
    root = (data / "root.key").read_bytes()
    blob, domain, size, wrapped = db.execute(
        "SELECT id, domain, size, wrapped_key FROM blobs WHERE digest = ?", (digest,)
    ).fetchone()
    context = [str(domain).encode(), blob, digest]
    blob_key = open_record(domain_key(db, root, domain), "blob-key", context, wrapped)

    file = (data / "blobs" / blob.hex()[:2] / blob.hex()).read_bytes()
    frames = max(1, -(-size // 65_536))
    assert len(file) == 64 + size + 16 * frames
    header = file[:64]
    assert header[:32] == b"MRGB\x01\x01\x10\x00" + blob + struct.pack(">Q", domain)
    cipher = AESGCM(HKDF(SHA256(), 32, header[32:], b"moorage/blob/v1").derive(blob_key))
    plain = b""
    for index in range(frames):
        frame = file[64 + index * 65_552 : 64 + (index + 1) * 65_552]
        nonce = bytes(7) + struct.pack(">IB", index, index == frames - 1)
        plain += cipher.decrypt(nonce, frame, hashlib.sha256(header).digest())
    return plain


# What it reads


def test_a_reader_written_from_the_format_reads_every_blob(tmp_path: Path) -> None:
    contents = [os.urandom(size) for size in SIZES]

    with closing(written(tmp_path, contents)) as db:
        for content in contents:
            assert read_blob(db, tmp_path, b"\x01" + hashlib.sha256(content).digest()) == content


def test_a_row_that_names_another_blob_does_not_open(tmp_path: Path) -> None:
    with closing(written(tmp_path, [b"first", b"second"])) as db:
        digests = [b"\x01" + hashlib.sha256(content).digest() for content in (b"first", b"second")]
        first, second = (
            db.execute("SELECT wrapped_key FROM blobs WHERE digest = ?", (digest,)).fetchone()[0]
            for digest in digests
        )
        assert first != second

        db.execute("UPDATE blobs SET wrapped_key = ? WHERE digest = ?", (second, digests[0]))

        with pytest.raises(InvalidTag):
            read_blob(db, tmp_path, digests[0])


def test_a_reader_written_from_the_format_reads_manifests_and_secrets(tmp_path: Path) -> None:
    content, sha256 = b'{"schemaVersion": 2}', Digest.of(b'{"schemaVersion": 2}')

    async def main() -> tuple[bytes, bytes, bytes, int]:
        async with open_memory(Statements.discover()) as db:
            keys = Keyring(db, create_root_key(tmp_path / "root.key"), lambda: 1)
            domain = await keys.domain("123456789012", "home-1", "AES256", "")
            sealed = keys.seal_manifest(domain, 12, sha256, content)
            secret = keys.seal_secret("access-key", ("123456789012", "AKIA1"), b"secret")
            wrapped = await db.one("keys.domain_by_id", {"id": domain.id})
            assert wrapped is not None
            return sealed, secret, wrapped[4], domain.id

    sealed, secret, wrapped, domain = asyncio.run(main())

    root = (tmp_path / "root.key").read_bytes()
    key = open_record(root, "domain-key", [b"123456789012", b"home-1", b"AES256", b""], wrapped)
    packed = b"\x01" + hashlib.sha256(content).digest()
    assert open_record(key, "manifest", [str(domain).encode(), b"12", packed], sealed) == content
    assert open_record(root, "secret/access-key", [b"123456789012", b"AKIA1"], secret) == b"secret"


def written(data: Path, contents: list[bytes]) -> sqlite3.Connection:
    """A data directory with these blobs, and the rows that name them."""
    rows = asyncio.run(_write(data, contents))
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE domain_keys (id, account, region, encryption_type, key_arn, wrapped_key)")
    db.execute("CREATE TABLE blobs (id, domain, digest, size, wrapped_key)")
    db.execute("INSERT INTO domain_keys VALUES (?, ?, ?, ?, ?, ?)", rows[0])
    db.executemany("INSERT INTO blobs VALUES (?, ?, ?, ?, ?)", rows[1:])
    return db


async def _write(data: Path, contents: list[bytes]) -> list[tuple[object, ...]]:
    create_root_key(data / "root.key")
    blobs = SealedBlobs(DiskBlobs(data))
    async with open_memory(Statements.discover()) as db:
        keys = Keyring(db, read_root_key(data / "root.key"), lambda: 1)
        domain = await keys.domain("123456789012", "home-1", "AES256", "")
        domain_row = await db.one("keys.domain_by_id", {"id": domain.id})
        assert domain_row is not None
        rows: list[tuple[object, ...]] = [(domain.id, *domain_row)]
        for content in contents:
            blob, key = os.urandom(16), keys.new_blob_key()
            writer = blobs.create(blob, domain.id, key)
            writer.append(memoryview(content))
            writer.finish()
            sha256 = writer.digests()["sha256"]
            wrapped = keys.wrap_blob_key(domain, blob, sha256, key)
            rows.append((blob, domain.id, sha256.packed, len(content), wrapped))
    blobs.close()
    return rows
