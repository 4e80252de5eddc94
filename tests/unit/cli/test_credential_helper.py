from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from moorage.cli import credential_helper, fresh_password
from moorage.cli.aws_credentials import Source, WebIdentity
from moorage.cli.credential_helper import (
    NO_SERVER,
    NOT_FOUND,
    Refused,
    Surroundings,
    erase,
    get,
    listing,
    store,
)
from moorage.cli.ecr import Answer, Password
from moorage.cli.output import Failed
from moorage.cli.password_cache import PasswordCache
from moorage.cli.profile import Profile

NOW = 1_800_000_000.0
HOURS_12 = 12 * 3_600
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "secret"}
STS = """<R xmlns="x"><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>a&amp;b</SecretAccessKey>
<SessionToken>tok/en==</SessionToken></Credentials></R>"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Source]:
    """What the server was asked with; it answers with a new password each time."""
    asked: list[Source] = []

    def fresh(source: Source) -> Password:
        asked.append(source)
        expires = datetime.fromtimestamp(NOW + HOURS_12, UTC)
        return Password("localhost:5050", "AWS", f"password-{len(asked)}", expires)

    monkeypatch.setattr(fresh_password, "fresh_password", fresh)
    return asked


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(dict(KEYS), tmp_path / "home", tmp_path, NOW)


def secret(given: str, around: Surroundings) -> str:
    return str(json.loads(get(given, around))["Secret"])


def test_answer_is_what_clients_expect(asked: list[Source], around: Surroundings) -> None:
    answer = json.loads(get("https://localhost:5050/v2/\n", around))

    assert answer == {"ServerURL": "https://localhost:5050/v2/", "Username": "AWS", "Secret": "password-1"}
    assert asked[0].endpoint == "http://localhost:5050"


def test_password_is_kept_for_half_of_its_life(asked: list[Source], around: Surroundings) -> None:
    assert secret("localhost:5050", around) == "password-1"
    later = replace(around, now=NOW + HOURS_12 / 2 - 1)
    assert secret("https://localhost:5050", later) == "password-1"

    assert secret("localhost:5050", replace(around, now=NOW + HOURS_12 / 2)) == "password-2"


def test_each_registry_and_key_has_a_password_of_its_own(asked: list[Source], around: Surroundings) -> None:
    other_key = replace(around, environment={**KEYS, "AWS_ACCESS_KEY_ID": "AKIAOTHER"})
    given = [
        secret("localhost:5050", around),
        secret("localhost:5051", around),
        secret("localhost:5050", other_key),
    ]

    assert given == ["password-1", "password-2", "password-3"]
    assert secret("localhost:5050", around) == "password-1"


def test_cache_is_the_users_own_and_names_no_key(
    asked: list[Source], around: Surroundings, tmp_path: Path
) -> None:
    get("localhost:5050", around)

    file = tmp_path / "home" / ".moorage" / "passwords.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "AKIAENV" not in file.read_text()


@pytest.mark.parametrize("damage", ["mode", "text", "shape"])
def test_cache_that_cannot_be_trusted_is_not_read(
    asked: list[Source], around: Surroundings, tmp_path: Path, damage: str
) -> None:
    get("localhost:5050", around)
    file = tmp_path / "home" / ".moorage" / "passwords.json"
    if damage == "mode":
        file.chmod(0o644)
    else:
        file.write_text("{" if damage == "text" else '{"a": ["b"]}')

    assert secret("localhost:5050", around) == "password-2"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("value", ["1", "true"])
def test_cache_can_be_switched_off(asked: list[Source], around: Surroundings, value: str) -> None:
    uncached = replace(around, environment={**KEYS, "MOORAGE_DISABLE_CACHE": value})

    assert [secret("localhost:5050", uncached) for _ in range(2)] == ["password-1", "password-2"]


def test_erase_forgets_one_registry_and_list_names_the_rest(
    asked: list[Source], around: Surroundings
) -> None:
    get("localhost:5050", around)
    get("localhost:5051", around)

    erase("https://localhost:5050", around)

    assert json.loads(listing("", around)) == {"localhost:5051": "AWS"}
    assert json.loads(listing("", replace(around, now=NOW + HOURS_12))) == {}


def test_cache_holds_so_many_and_no_more(around: Surroundings, asked: list[Source], tmp_path: Path) -> None:
    for number in range(70):
        get(f"localhost:{number + 1}", around)

    assert len(list(PasswordCache(tmp_path / "home" / ".moorage" / "passwords.json").all(NOW))) == 64
    assert secret("localhost:70", around) == "password-70"


@pytest.mark.parametrize(
    ("given", "reason"),
    [("\n", NO_SERVER), ("https://index.docker.io/v1/", NOT_FOUND), ("https://a@b/", "is no registry")],
)
def test_what_is_no_registry_of_ours_is_refused(
    asked: list[Source], around: Surroundings, given: str, reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        get(given, around)
    assert asked == []


def test_without_credentials_nothing_is_found(around: Surroundings) -> None:
    with pytest.raises(Refused, match=f"^{NOT_FOUND}$"):
        get("localhost:5050", replace(around, environment={}))


def test_store_says_that_there_is_nothing_to_store(around: Surroundings) -> None:
    with pytest.raises(Refused, match="nothing to store"):
        store("{}", around)


def test_main_prints_errors_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["docker-credential-moorage", "login"])

    assert credential_helper.main() == 1
    assert capsys.readouterr() == ("usage: docker-credential-moorage get|store|erase|list|version\n", "")


def test_web_identity_is_exchanged_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("e30.e30.c2ln\n")
    bodies: list[bytes] = []
    profiles: list[Profile] = []
    monkeypatch.setattr(
        fresh_password, "call", lambda *given: bodies.append(given[4]) or Answer(200, STS.encode(), None)
    )
    monkeypatch.setattr(fresh_password, "get_password", lambda profile: profiles.append(profile))
    source = Source(web_identity=WebIdentity(token, "arn:aws:iam::123456789012:role/pod", "s"), region="r-1")

    fresh_password.fresh_password(source)

    assert b"WebIdentityToken=e30.e30.c2ln" in bodies[0]
    assert (profiles[0].access_key_id, profiles[0].secret) == ("ASIA1", "a&b")
    assert profiles[0].session_token == "tok/en=="


def test_web_identity_that_is_refused_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refusal = b"<ErrorResponse><Error><Message>Not authorized</Message></Error></ErrorResponse>"
    monkeypatch.setattr(fresh_password, "call", lambda *_: Answer(403, refusal, None))
    (tmp_path / "token").write_text("x")

    with pytest.raises(Failed, match="role/pod: Not authorized"):
        fresh_password.fresh_password(Source(web_identity=WebIdentity(tmp_path / "token", "role/pod", "s")))
    with pytest.raises(Failed, match="gone: No such file"):
        fresh_password.fresh_password(Source(web_identity=WebIdentity(tmp_path / "gone", "role/pod", "s")))
