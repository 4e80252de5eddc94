from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from moorage.base.digest import Digest
from moorage.base.errors.ourselves import Corrupted
from moorage.keys.keyring import Keyring
from moorage.keys.root import RootKey, RootKeyRefused
from moorage.store.db.memory import open_memory
from moorage.store.db.sqlite import SqliteDatabase
from moorage.store.db.statements import Statements

ROOT = RootKey(bytes(range(32)))
NAMES = ("123456789012", "home-1", "AES256", "")
DIGEST = Digest.of(b"content")


def keyring(db: SqliteDatabase, root: RootKey = ROOT) -> Keyring:
    return Keyring(db, root, lambda: 1)


def run(scenario: Callable[[SqliteDatabase], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_memory(Statements.discover()) as db:
            await scenario(db)

    asyncio.run(main())


def test_a_domain_is_made_once_and_found_by_names_and_id() -> None:
    async def scenario(db: SqliteDatabase) -> None:
        keys = keyring(db)
        first, *others = await asyncio.gather(*(keys.domain(*NAMES) for _ in range(5)))

        assert all(other == first for other in others)
        assert await keys.domain_by_id(first.id) == first
        again = keyring(db)
        assert await again.domain_by_id(first.id) == first
        assert await again.domain(*NAMES) == first

    run(scenario)


def test_another_registry_or_kms_key_has_another_domain() -> None:
    async def scenario(db: SqliteDatabase) -> None:
        keys = keyring(db)
        names = [
            NAMES,
            ("210987654321", *NAMES[1:]),
            (NAMES[0], "home-2", *NAMES[2:]),
            (*NAMES[:2], "KMS", "arn"),
        ]
        domains = [await keys.domain(*each) for each in names]

        assert len({domain.id for domain in domains}) == len({domain.secret for domain in domains}) == 4

    run(scenario)


def test_another_root_key_opens_no_domain_and_no_token_key() -> None:
    async def scenario(db: SqliteDatabase) -> None:
        domain = await keyring(db).domain(*NAMES)
        await keyring(db).token_keys(["password"])
        other = keyring(db, RootKey(bytes(32)))

        with pytest.raises(Corrupted):
            await other.domain_by_id(domain.id)
        with pytest.raises(Corrupted):
            await other.domain(*NAMES)
        with pytest.raises(RootKeyRefused, match="--root-key-file"):
            await other.token_keys(["password"])

    run(scenario)


def test_token_keys_are_made_once_and_differ_by_purpose() -> None:
    async def scenario(db: SqliteDatabase) -> None:
        first = await keyring(db).token_keys(["password", "upload"])
        again = await keyring(db).token_keys(["password", "upload"])

        assert first == again
        assert [key.purpose for key in first] == ["password", "upload"]
        assert first[0].secret != first[1].secret

    run(scenario)


def test_a_blob_key_opens_only_in_its_own_row() -> None:
    async def scenario(db: SqliteDatabase) -> None:
        keys = keyring(db)
        domain, other = await keys.domain(*NAMES), await keys.domain("210987654321", *NAMES[1:])
        blob, key = os.urandom(16), keys.new_blob_key()
        wrapped = keys.wrap_blob_key(domain, blob, DIGEST, key)

        assert keys.unwrap_blob_key(domain, blob, DIGEST, wrapped) == key
        for domain_, blob_, digest in (
            (other, blob, DIGEST),
            (domain, bytes(16), DIGEST),
            (domain, blob, Digest.of(b"other")),
        ):
            with pytest.raises(Corrupted):
                keys.unwrap_blob_key(domain_, blob_, digest, wrapped)

    run(scenario)


def test_the_key_of_an_upload_does_not_open_as_that_of_a_blob() -> None:
    async def scenario(db: SqliteDatabase) -> None:
        keys = keyring(db)
        domain, key = await keys.domain(*NAMES), keys.new_blob_key()
        wrapped = keys.wrap_upload_key(domain, "upload-1", key)

        assert keys.unwrap_upload_key(domain, "upload-1", wrapped) == key
        with pytest.raises(Corrupted):
            keys.unwrap_upload_key(domain, "upload-2", wrapped)
        with pytest.raises(Corrupted):
            keys.unwrap_blob_key(domain, bytes(16), DIGEST, wrapped)

    run(scenario)


def test_a_manifest_opens_only_as_that_image_of_that_repository() -> None:
    async def scenario(db: SqliteDatabase) -> None:
        keys = keyring(db)
        domain = await keys.domain(*NAMES)
        sealed = keys.seal_manifest(domain, 5, DIGEST, b"{}")

        assert keys.open_manifest(domain, 5, DIGEST, sealed) == b"{}"
        with pytest.raises(Corrupted):
            keys.open_manifest(domain, 6, DIGEST, sealed)
        with pytest.raises(Corrupted):
            keys.open_manifest(domain, 5, Digest.of(b"other"), sealed)

    run(scenario)


def test_a_secret_opens_only_for_its_purpose_and_row() -> None:
    async def scenario(db: SqliteDatabase) -> None:
        keys = keyring(db)
        sealed = keys.seal_secret("access-key", ("123456789012", "AKIA1"), b"secret")

        assert keys.open_secret("access-key", ("123456789012", "AKIA1"), sealed) == b"secret"
        with pytest.raises(Corrupted):
            keys.open_secret("access-key", ("123456789012", "AKIA2"), sealed)
        with pytest.raises(Corrupted):
            keys.open_secret("webhook", ("123456789012", "AKIA1"), sealed)

    run(scenario)


def test_keys_do_not_show_themselves() -> None:
    async def scenario(db: SqliteDatabase) -> None:
        keys = keyring(db)
        domain, (token_key,) = await keys.domain(*NAMES), await keys.token_keys(["password"])

        assert repr(domain) == "Domain(id=1)"
        assert repr(token_key) == "TokenKey(id=1, purpose='password')"

    run(scenario)
