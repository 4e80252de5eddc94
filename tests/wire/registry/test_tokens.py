"""Registry passwords: whose they are, how long, where, and that nothing else opens the door."""

from __future__ import annotations

import base64
import json

import pytest

from ...conftest import Server, ecr_password, running
from .client import Wire, basic, digest_of
from .conftest import client_of

REFUSED = (401, "UNAUTHORIZED", "Not Authorized")


def ping(wire: Wire, authorization: str) -> int:
    caller = wire.as_caller(authorization)
    try:
        return caller.ask("GET", "/v2/").status
    finally:
        caller.close()


@pytest.fixture
def caller(wire: Wire) -> Wire:
    return wire


def test_trap_22_password_has_the_shape_that_tools_decode(password: str) -> None:
    assert ":" not in password
    assert len(basic("AWS", password)) - len("Basic ") <= 2_048
    shape = json.loads(base64.b64decode(password, validate=True))
    assert sorted(shape) == ["datakey", "expiration", "payload", "type", "version"]


@pytest.mark.parametrize("suffix", ["\r\n", "\n", " ", "\t"])
def test_trap_22_password_that_ends_with_a_line_break_works(wire: Wire, password: str, suffix: str) -> None:
    assert ping(wire, basic("AWS", password + suffix)) == 200


def test_trap_22_token_as_the_api_gives_it_works_as_bearer(wire: Wire, password: str) -> None:
    token = base64.b64encode(f"AWS:{password}".encode()).decode()

    assert ping(wire, f"Bearer {token}") == 200
    assert ping(wire, f"bEaReR {token}") == 200


def test_trap_22_other_users_are_refused(nobody: Wire, password: str) -> None:
    for user in ("aws", "Aws", "", "root", "AWS "):
        assert nobody.as_caller(basic(user, password)).ask("GET", "/v2/").error == REFUSED
    for value in ("", "AWS", "AWS:", base64.b64encode(password.encode()).decode(), "é", "QVdT", "=" * 50):
        assert ping(nobody, f"Basic {value}") == 401
        assert ping(nobody, f"Bearer {value}") == 401
    assert ping(nobody, password) == 401


def test_trap_22_every_byte_of_the_payload_is_protected(nobody: Wire, password: str) -> None:
    shape = json.loads(base64.b64decode(password))
    payload = shape["payload"]
    for at in range(len(payload)):
        changed = payload[:at] + ("A" if payload[at] != "A" else "B") + payload[at + 1 :]
        sent = base64.b64encode(json.dumps(shape | {"payload": changed}).encode()).decode()
        assert nobody.as_caller(basic("AWS", sent)).ask("GET", "/v2/").status == 401, at


def test_trap_22_every_flipped_byte_is_answered(nobody: Wire, password: str) -> None:
    caller = Wire(nobody.host)
    for at in range(len(password)):
        changed = password[:at] + chr(ord(password[at]) ^ 1) + password[at + 1 :]
        caller.authorization = basic("AWS", changed)
        assert caller.ask("GET", "/v2/").status in (200, 401), at
    caller.close()


@pytest.mark.parametrize("cut", [1, 4, 50, 100])
def test_trap_22_cut_and_doubled_passwords_are_refused(nobody: Wire, password: str, cut: int) -> None:
    assert ping(nobody, basic("AWS", password[:-cut])) == 401
    assert ping(nobody, basic("AWS", password[cut:])) == 401
    assert ping(nobody, basic("AWS", password + password)) == 401


def test_trap_22_tokens_of_other_purposes_are_no_passwords(
    wire: Wire, nobody: Wire, ecr: object, name: str, password: str
) -> None:
    wire.push_image(name, "a")
    wire.push_image(name, "b", annotations={"n": "b"})
    digest = digest_of(b"{}")
    url = ecr.get_download_url_for_layer(repositoryName=name, layerDigest=digest)["downloadUrl"]  # type: ignore[attr-defined]
    download = url.rpartition("/")[2]
    page = ecr.list_images(repositoryName=name, maxResults=1)["nextToken"]  # type: ignore[attr-defined]
    shape = json.loads(base64.b64decode(password))

    for token in (download, page):
        sent = base64.b64encode(json.dumps(shape | {"payload": token}).encode()).decode()
        assert ping(nobody, basic("AWS", sent)) == 401
        assert ping(nobody, basic("AWS", token)) == 401
        assert ping(nobody, f"Bearer {token}") == 401
    for token in (shape["payload"], page, password, download[:-1], download + "A", ""):
        assert nobody.ask("GET", f"/_layers/{token}").status in (403, 404)
    assert nobody.ask("GET", f"/_layers/{download}").body == b"{}"


def test_trap_22_password_of_another_region_is_refused(wire: Wire, nobody: Wire, server: Server) -> None:
    elsewhere = ecr_password(client_of(server, server.data / "credentials", "eu-west-1"))
    answer = nobody.as_caller(basic("AWS", elsewhere)).ask("GET", "/v2/")

    assert answer.error == REFUSED
    assert answer.header("www-authenticate")


def test_trap_22_password_of_another_installation_is_refused(lenient: Wire, nobody: Wire) -> None:
    assert ping(nobody, str(lenient.authorization)) == 401


def test_trap_22_expired_password_is_told_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    expired = "Your authorization token has expired. Reauthenticate and try again."
    with running(tmp_path_factory.mktemp("expired"), "--password-hours", "0.0000001") as server:
        wire = Wire(server.host, basic("AWS", ecr_password(server.client("ecr"))))

        assert wire.ask("GET", "/v2/_catalog").error == (403, "DENIED", expired)
        again = wire.ask("GET", "/v2/")
        assert again.error == (401, "UNAUTHORIZED", expired)
        assert again.header("www-authenticate")
        wire.close()


@pytest.mark.parametrize(
    "inner",
    [
        b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"payload":"\xff"}',
        b"[]",
        b"null",
        b"\xff",
        b"{" * 99,
    ],
)
def test_password_that_is_hostile_json_is_refused(nobody: Wire, inner: bytes) -> None:
    answer = nobody.as_caller(basic("AWS", base64.b64encode(inner).decode())).ask("GET", "/v2/")

    assert answer.error == REFUSED
