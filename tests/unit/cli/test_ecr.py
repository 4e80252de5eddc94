from __future__ import annotations

import base64
import json

import pytest

from moorage.cli import ecr
from moorage.cli.ecr import Answer, get_password
from moorage.cli.output import Failed
from moorage.cli.profile import Profile

PROFILE = Profile("AKIAEXAMPLE", "secret", "us-east-1", "http://localhost:5050")


def answering(monkeypatch: pytest.MonkeyPatch, status: int, document: object) -> None:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    monkeypatch.setattr(ecr, "call", lambda *_: Answer(status, body, None))


def test_password_is_read_from_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    data = {
        "authorizationToken": base64.b64encode(b"AWS:pass:word").decode(),
        "expiresAt": 1_800_000_000.5,
        "proxyEndpoint": "http://localhost:5050",
    }
    answering(monkeypatch, 200, {"authorizationData": [data]})

    password = get_password(PROFILE)

    assert (password.registry, password.user, password.secret) == ("localhost:5050", "AWS", "pass:word")
    assert "pass:word" not in repr(password)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"__type": "x#InvalidSignatureException", "message": "no"}, "InvalidSignatureException: no"),
        (b"<html>", "status 400"),
        ([], "status 400"),
    ],
)
def test_refusal_has_the_words_of_the_server(
    monkeypatch: pytest.MonkeyPatch, document: object, reason: str
) -> None:
    answering(monkeypatch, 400, document)

    with pytest.raises(Failed, match=reason):
        get_password(PROFILE)
