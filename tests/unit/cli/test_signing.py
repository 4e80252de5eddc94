from __future__ import annotations

from datetime import UTC, datetime

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from moorage.cli.profile import Profile
from moorage.cli.signing import signed_headers

NOW = datetime(2026, 11, 24, 9, 45, 15, tzinfo=UTC)
PROFILE = Profile("AKIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "eu-west-1", "http://localhost:5050")
HEADERS = {
    "content-type": "application/x-amz-json-1.1",
    "host": "localhost:5050",
    "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
}


@pytest.mark.parametrize("body", [b"{}", b"", '{"registryIds": ["ä"]}'.encode()])
def test_signature_of_a_call_equals_botocores(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))
    theirs = AWSRequest("POST", "http://localhost:5050/", headers=HEADERS, data=body)
    botocore.auth.SigV4Auth(
        Credentials(PROFILE.access_key_id, PROFILE.secret), "ecr", PROFILE.region
    ).add_auth(theirs)

    ours = signed_headers(HEADERS, body, service="ecr", profile=PROFILE, now=NOW)

    assert ours["authorization"] == theirs.headers["Authorization"]
    assert ours["x-amz-date"] == theirs.headers["X-Amz-Date"]
