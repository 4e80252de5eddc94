"""What opens a door stands nowhere but with who it was given to: not in a log, an answer to others, or on disk (40)."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ..wire.api.conftest import Key
from .calling import Caller
from .places import EMPTY, Place, a_place, allow, assumed, policy


class Seeded:
    """A server of its own that writes a line for each request, and all secrets that were in use there."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.secrets: dict[str, str] = {}

    def keep(self, name: str, secret: str) -> str:
        assert len(secret) >= 16, name
        self.secrets[name] = secret
        return secret

    def use(self) -> None:
        a = self.place.a
        root_key = a.root.key
        assert root_key is not None
        self.keep("root secret", root_key.secret)
        user = a.user(allow("*"), name="seeded")
        assert user.key is not None
        self.keep("user secret", user.key.secret)
        role = a.role("seeded", allow("*"))
        session = assumed(user, role, Policy=policy(allow("*")))
        assert session.key is not None
        self.keep("session secret", session.key.secret)
        self.keep("session token", session.token)
        for name, caller in (("user", user), ("session", session)):
            self._pull(name, caller)
        self._fail(session)

    def _pull(self, name: str, caller: Caller) -> None:
        a = self.place.a
        a.root.call("ecr.CreateRepository", repositoryName="seeded/app")
        a.image("seeded/app")
        password = self.keep(f"{name} password", caller.get_password())
        self.keep(f"{name} basic", base64.b64encode(f"AWS:{password}".encode()).decode())
        holder = replace(caller, password=password)
        for path in ("/v2/", f"/v2/seeded/app/blobs/{EMPTY}", "/v2/seeded/app/manifests/latest"):
            for _ in range(2):
                assert holder.v2("GET", path).status == 200
        url = caller.need("ecr.GetDownloadUrlForLayer", repositoryName="seeded/app", layerDigest=EMPTY)
        token = self.keep(f"{name} download", url.json["downloadUrl"].rpartition("/")[2])
        host = [("host", a.door.host)]
        assert a.door.ask("GET", f"/_layers/{token}", host).status == 200
        query = "Action=GetCallerIdentity&Version=2011-06-15"
        presigned = replace(caller.signing("sts", b""), method="GET", query=query, headers=()).presigned()
        self.keep(f"{name} signature", presigned.rpartition("=")[2])
        a.door.ask("GET", f"/?{presigned}", host)

    def _fail(self, session: Caller) -> None:
        """The same secrets in requests that are refused, and where they do not belong."""
        door = self.place.door
        host = [("host", door.host)]
        for name, secret in list(self.secrets.items()):
            quoted = secret.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
            for target in (f"/_layers/{quoted}x", f"/?X-Amz-Security-Token={quoted}", f"/v2/?token={quoted}"):
                assert door.ask("GET", target, host).status >= 400, name
            for header in ("x-amz-security-token", "cookie", "proxy-authorization"):
                assert door.ask("GET", "/v2/", [*host, (header, f"Bearer {secret}")]).status == 401
            assert door.ask("GET", "/v2/", [*host, ("authorization", f"Token {secret}")]).status == 401
            wrong = replace(session, key=Key("AKIA" + "A" * 16, secret), token=secret[:60])
            assert wrong.call("sts.GetCallerIdentity").status in (400, 403)
            named = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", secret)]
            answer = door.ask("POST", "/", [*host, *named], b"{}")
            assert answer.status == 400


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    with a_place(tmp_path_factory.mktemp("seeded"), "--access-log") as place:
        seeded = Seeded(place)
        seeded.use()
        yield seeded


def forms(secret: str) -> list[bytes]:
    """As it is, and as it would be quoted."""
    quoted = secret.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    return [secret.encode(), quoted.encode(), base64.b64encode(secret.encode())]


def test_no_secret_is_in_the_log(seeded: Seeded) -> None:
    log = seeded.place.server.log.read_bytes()
    assert log.count(b"\n") > 50

    found = [name for name, secret in seeded.secrets.items() for form in forms(secret) if form in log]

    assert found == []


def test_no_answer_to_a_stranger_repeats_what_was_sent_as_a_secret(seeded: Seeded) -> None:
    door = seeded.place.door
    for name, secret in seeded.secrets.items():
        headers = [("host", door.host), ("x-amz-security-token", secret), ("cookie", secret)]
        for path in ("/", "/v2/", "/v2/x/tags/list", f"/_layers/{secret.replace('/', '')}"):
            assert secret.encode() not in door.ask("GET", path, headers).body, (name, path)


def test_40_no_secret_is_on_disk(seeded: Seeded) -> None:
    """Passwords, sessions and secrets of keys: neither in the database nor in its log nor in any file but two."""
    data = seeded.place.server.data
    found = []
    for path in sorted(each for each in data.rglob("*") if each.is_file()):
        content = path.read_bytes()
        for name, secret in seeded.secrets.items():
            is_own = path.name.startswith("credentials") and name == "root secret"
            if not is_own and any(form in content for form in forms(secret)):
                found.append((path.name, name))

    assert found == []


def test_40_what_is_on_disk_is_the_owners_alone(seeded: Seeded) -> None:
    data = seeded.place.server.data
    for path in [data, *data.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o077 == 0, (path, oct(mode))


LINES = ["\r\nforged", "a\x1b[31mred", '{"level":"info"}', "\u2028forged", "a\tb", "%0d%0aforged", "\x7f\x80"]


@pytest.mark.parametrize("text", LINES)
def test_a_line_of_the_log_is_one_line_of_plain_characters(seeded: Seeded, text: str) -> None:
    """Whatever the user agent, path or name says."""
    door, log = seeded.place.door, seeded.place.server.log
    before = log.read_bytes().count(b"\n")
    agent = text.replace("\r\n", "").encode().decode("latin-1")
    path = "".join(f"%{byte:02x}" for byte in text.encode())

    asked = 0
    for target in (f"/v2/{path}/tags/list", f"/{path}"):
        answer = door.ask("GET", target, [("host", door.host), ("user-agent", agent)])
        asked += 1
        assert answer.status in (400, 401, 404)

    added = log.read_bytes().splitlines(keepends=True)[before:]
    assert len(added) <= asked
    for line in added:
        assert line.decode().rstrip("\n").isprintable(), line


def test_nothing_sealed_shows_in_a_repr(seeded: Seeded) -> None:
    session = seeded.place.a.session("role", "seeded")
    assert session.key is not None

    assert session.token not in repr(session)
    assert session.key.secret not in repr(session)


def test_the_process_leaves_no_core_file(seeded: Seeded) -> None:
    limits = Path(f"/proc/{seeded.place.server.process.pid}/limits").read_text()
    [line] = [line for line in limits.splitlines() if line.startswith("Max core file size")]

    assert line.split()[4] == "0", line
