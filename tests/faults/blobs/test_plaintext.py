"""Nothing under the data directory has 32 bytes in a row of what was stored, or of any key."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from moorage.base.digest import Digest
from moorage.keys.keyring import Keyring
from moorage.keys.root import create_root_key
from moorage.keys.sealed import SealedBlobs
from moorage.store.blobs.disk import DiskBlobs
from moorage.store.db.migrate import migrations
from moorage.store.db.sqlite import SqliteDatabase
from moorage.store.db.statements import Statements

WINDOW = 32
IN_THE_CLEAR = {"root.key", "credentials"}


def test_no_window_of_plaintext_is_in_any_file(tmp_path: Path) -> None:
    contents = [os.urandom(200_000), b"hello, world. " * 20_000, os.urandom(65_536), b"{}" + os.urandom(40)]

    secrets = asyncio.run(_store_all(tmp_path, contents))

    windows = {text[at : at + WINDOW] for text in (*contents, *secrets) for at in range(len(text) - WINDOW + 1)}
    searched = [path for path in tmp_path.rglob("*") if path.is_file() and path.name not in IN_THE_CLEAR]
    assert len(searched) >= 2 * len(contents) + 1
    for path in searched:
        file = path.read_bytes()
        assert not [at for at in range(len(file)) if file[at : at + WINDOW] in windows], path


async def _store_all(data: Path, contents: list[bytes]) -> list[bytes]:
    """Store each content as a blob, an unfinished upload, a manifest and a secret. Return every key there is."""
    path = data / "moorage.db"
    with closing(sqlite3.connect(path)) as connection:
        for migration in migrations("sqlite"):
            connection.executescript(migration.read_text(encoding="utf-8"))
        connection.execute("CREATE TABLE sealed (record BLOB)")
    root = create_root_key(data / "root.key")
    db, blobs = SqliteDatabase(path, Statements.discover().for_engine("sqlite")), SealedBlobs(DiskBlobs(data))
    keys = Keyring(db, root, lambda: 1)
    domain, token_keys = await keys.domain("123456789012", "home-1", "AES256", ""), await keys.token_keys(["password"])
    secrets, records = [root.secret, domain.secret, token_keys[0].secret], []
    for content in contents:
        key, blob, digest = keys.new_blob_key(), os.urandom(16), Digest.of(content)
        for is_finished in (True, False):
            writer = blobs.create(blob if is_finished else os.urandom(16), domain.id, key)
            writer.append(memoryview(content))
            if is_finished:
                writer.finish()
        secrets.append(key.secret)
        records += [
            keys.wrap_upload_key(domain, "upload", key),
            keys.wrap_blob_key(domain, blob, digest, key),
            keys.seal_manifest(domain, 1, digest, content),
            keys.seal_secret("access-key", ("AKIA1",), content),
        ]
    await db.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO sealed VALUES (?)", [(record,) for record in records])
    return secrets
