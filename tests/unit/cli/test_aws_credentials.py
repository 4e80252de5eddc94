from __future__ import annotations

from pathlib import Path

import pytest

from moorage.cli.aws_credentials import Source, UnreadableCredentials, find_source, is_loopback

ECR = "123456789012.dkr.ecr.eu-west-3.amazonaws.com"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "secret"}


def profile(key: str, *more: str) -> str:
    return "\n".join((f"aws_access_key_id = {key}", "aws_secret_access_key = secret", *more))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "credentials").write_text(
        f"[default]\n{profile('AKIADEFAULT')}\n[ci]\n{profile('AKIACI')}\n"
    )
    (home / ".aws" / "config").write_text(
        "[default]\nregion = home-1\nendpoint_url = https://all.example\n"
        "[profile ci]\nservices = moor\n[services moor]\necr =\n  endpoint_url = https://ecr.example\n"
        f"[profile keyed]\n{profile('AKIAKEYED')}\n"
    )
    return home


def data(folder: Path, name: str = "moorage-data") -> Path:
    (folder / name).mkdir()
    text = profile("AKIADATA", "region = data-1", "endpoint_url = http://localhost:5050")
    (folder / name / "credentials").write_text(f"[default]\n{text}\n")
    return folder / name


def found(registry: str, environment: dict[str, str], home: Path | None, folder: Path) -> Source:
    source = find_source(registry, environment, home, folder)
    assert source is not None
    return source


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    assert find_source("localhost:5050", {}, tmp_path, tmp_path) is None
    assert find_source("localhost:5050", {}, None, tmp_path) is None


def test_variables_win_and_carry_a_session(home: Path, tmp_path: Path) -> None:
    data(tmp_path)

    source = found("localhost:5050", {**KEYS, "AWS_SESSION_TOKEN": "token"}, home, tmp_path)

    assert (source.access_key_id, source.session_token) == ("AKIAENV", "token")
    assert "secret" not in repr(source)


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({}, "AKIADEFAULT"),
        ({"AWS_PROFILE": "ci"}, "AKIACI"),
        ({"AWS_PROFILE": "keyed"}, "AKIAKEYED"),
        ({"MOORAGE_DATA": "moorage-data"}, "AKIADATA"),
        ({"MOORAGE_DATA": "moorage-data", "AWS_PROFILE": "ci"}, "AKIACI"),
        ({"AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}, "AKIADATA"),
    ],
)
def test_profiles_and_data_directories_in_order(
    home: Path, tmp_path: Path, environment: dict[str, str], key: str
) -> None:
    data(tmp_path)

    assert found("localhost:5050", environment, home, tmp_path).access_key_id == key


def test_web_identity_comes_before_files(home: Path, tmp_path: Path) -> None:
    environment = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/run/token", "AWS_ROLE_ARN": "arn:aws:iam::1:role/pod"}

    identity = found("localhost:5050", environment, home, tmp_path).web_identity

    assert identity is not None
    assert (identity.role_arn, str(identity.token_file)) == ("arn:aws:iam::1:role/pod", "/run/token")


@pytest.mark.parametrize(
    ("registry", "environment", "region"),
    [
        (ECR, {"AWS_REGION": "home-1"}, "eu-west-3"),
        ("123456789012.eu-west-2.registry.example:5443", {}, "eu-west-2"),
        ("registry.example", {"AWS_REGION": "home-2"}, "home-2"),
        ("registry.example", {"AWS_DEFAULT_REGION": "home-3"}, "home-3"),
        ("registry.example", {}, "home-1"),
        ("registry.example", {"AWS_CONFIG_FILE": "/dev/null"}, "us-east-1"),
    ],
)
def test_region_is_that_of_the_name_then_of_the_settings(
    home: Path, tmp_path: Path, registry: str, environment: dict[str, str], region: str
) -> None:
    assert found(registry, environment | KEYS, home, tmp_path).region == region


@pytest.mark.parametrize(
    ("environment", "endpoint", "sts"),
    [
        ({"AWS_ENDPOINT_URL": "http://a"}, "http://a", "http://a"),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_ECR": "http://b"}, "http://b", "http://a"),
        ({"AWS_PROFILE": "ci"}, "https://ecr.example", "https://registry.example"),
        ({}, "https://all.example", "https://all.example"),
        ({"AWS_CONFIG_FILE": "/dev/null"}, "https://registry.example", "https://registry.example"),
    ],
)
def test_endpoint_is_configured_or_the_registry_itself(
    home: Path, tmp_path: Path, environment: dict[str, str], endpoint: str, sts: str
) -> None:
    source = found("registry.example", environment, home, tmp_path)

    assert (source.endpoint, source.sts_endpoint) == (endpoint, sts)


@pytest.mark.parametrize(
    ("registry", "is_local"),
    [
        ("localhost:5050", True),
        ("localhost", True),
        ("123456789012.dkr.ecr.us-east-1.localhost:5050", True),
        ("127.0.0.1:5050", True),
        ("[::1]:5050", True),
        ("registry.example", False),
        ("localhost.example:5050", False),
        ("127.0.0.1.example", False),
    ],
)
def test_only_this_machine_is_asked_without_tls(registry: str, is_local: bool) -> None:
    assert is_loopback(registry) is is_local


def test_authority_is_the_bundle_or_that_of_the_data_directory(tmp_path: Path) -> None:
    folder = data(tmp_path)
    (folder / "ca").mkdir()
    (folder / "ca" / "ca.pem").write_text("")

    assert found("registry.example", {}, None, tmp_path).authority == folder / "ca" / "ca.pem"
    bundled = found("registry.example", {"SSL_CERT_FILE": "/b", "AWS_CA_BUNDLE": "/a"}, None, tmp_path)
    assert bundled.authority == Path("/a")


def test_file_that_is_no_profile_is_named(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("what?")

    with pytest.raises(UnreadableCredentials, match="credentials: not in the form"):
        find_source("a", {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}, None, tmp_path)
