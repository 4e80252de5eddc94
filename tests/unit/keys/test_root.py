from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from moorage.keys.root import RootKey, RootKeyRefused, create_root_key, read_root_key


def test_a_created_key_is_read_again_and_only_its_owner_may(tmp_path: Path) -> None:
    path = tmp_path / "root.key"

    key = create_root_key(path)

    assert read_root_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["root.key"]


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    key = create_root_key(path)

    with pytest.raises(FileExistsError):
        create_root_key(path)

    assert read_root_key(path) == key
    assert os.listdir(tmp_path) == ["root.key"]


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o601])
def test_a_file_that_others_can_use_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "root.key"
    create_root_key(path)
    path.chmod(mode)

    with pytest.raises(RootKeyRefused, match=f"mode {mode:04o}.*chmod 600 {path}"):
        read_root_key(path)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_file_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(bytes(size))
    path.chmod(0o600)

    with pytest.raises(RootKeyRefused, match="not a root key"):
        read_root_key(path)


def test_a_value_is_hexadecimal_or_base64() -> None:
    secret = os.urandom(32)

    assert RootKey.decode(secret.hex()).secret == secret
    assert RootKey.decode(base64.b64encode(secret).decode()).secret == secret


@pytest.mark.parametrize("text", ["", "moorage", "00" * 31, "zz" * 32, "é" * 64, base64.b64encode(bytes(31)).decode()])
def test_another_value_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(RootKeyRefused) as refused:
        RootKey.decode(text)

    assert not text or text not in str(refused.value)


def test_a_root_key_does_not_show_itself() -> None:
    assert repr(RootKey(bytes(32))) == "RootKey()"
