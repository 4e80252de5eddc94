from __future__ import annotations

import json
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from moorage.cli.authority import create_authority, read_authority
from moorage.cli.certs_issue import Wanted, hosts_of, make_first_certificate
from moorage.cli.doctor import BROKEN, WARNING, check_certificates, check_listening
from moorage.cli.output import Failed
from moorage.config.settings import Settings
from moorage.server.tls import Certificates, names_of

from .conftest import Command

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def shaken(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """The server's side after a handshake. Raise ssl.SSLError of either side."""
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(there, here, server_hostname=name),
        server.wrap_bio(here, there, server_side=True),
    )
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return sides[1]


def test_authority_is_made_once_with_a_key_for_its_owner(moorage: Command, tmp_path: Path) -> None:
    done = moorage("certs", "init")

    folder = tmp_path / "moorage-data" / "ca"
    assert done.code == 0
    assert str(folder / "ca.pem") in done.out
    assert (mode(folder), mode(folder / "ca.key"), mode(folder / "ca.pem")) == (0o700, 0o600, 0o644)
    assert moorage("certs", "init").code == 1


def test_certificate_of_the_authority_is_one_that_clients_accept(moorage: Command, tmp_path: Path) -> None:
    moorage("certs", "init")

    issued = json.loads(moorage("certs", "issue", "--json").out)

    data = tmp_path / "moorage-data"
    client = ssl.create_default_context(cafile=str(data / "ca" / "ca.pem"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("localhost", "127.0.0.1", "123456789012.dkr.ecr.us-east-1.amazonaws.com", "public.ecr.aws"):
        assert shaken(Certificates(data / "certs").context(0), client, name).version() == "TLSv1.3"
    assert mode(data / "certs" / "server.key") == 0o600
    assert issued["certificate"] == str(data / "certs" / "server.pem")


def test_certificate_is_not_accepted_for_another_name(moorage: Command, tmp_path: Path) -> None:
    moorage("certs", "init")
    moorage("certs", "issue")
    data = tmp_path / "moorage-data"
    client = ssl.create_default_context(cafile=str(data / "ca" / "ca.pem"))

    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(
            Certificates(data / "certs").context(0), client, "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
        )


def test_names_are_those_of_the_machine_the_region_and_the_services() -> None:
    assert hosts_of(Settings(hostname="registry.example"), Wanted()) == [
        "registry.example",
        "localhost",
        "127.0.0.1",
        "::1",
        "*.dkr.ecr.us-east-1.amazonaws.com",
        "*.dkr-ecr.us-east-1.on.aws",
        "*.dkr.ecr.us-east-1.localhost",
        "api.ecr.us-east-1.amazonaws.com",
        "ecr.us-east-1.api.aws",
        "sts.us-east-1.amazonaws.com",
        "ec2.us-east-1.amazonaws.com",
        "sts.amazonaws.com",
        "iam.amazonaws.com",
        "public.ecr.aws",
        "api.ecr-public.us-east-1.amazonaws.com",
    ]


def test_given_hosts_accounts_and_regions_take_the_place_of_the_usual_ones() -> None:
    wanted = Wanted(hosts=["10.0.0.5"], accounts=["123456789012"], regions=["home-1", "home-2"])

    hosts = hosts_of(Settings(domain="own.example"), wanted)

    assert {"10.0.0.5", "123456789012.dkr.ecr.home-2.amazonaws.com", "123456789012.home-1.own.example"} < set(
        hosts
    )
    assert not any(host.startswith("*") or "us-east-1.amazonaws" in host for host in hosts[:-1])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("issue", "--host", "a b"), "'a b' is neither"),
        (("issue", "--host", "a.*.b"), "'a.*.b' is neither"),
        (("issue", "--host", "a" * 64), "is neither"),
        (("issue", "--account", "1"), "12 digits"),
        (("issue", "--region", "EU"), "--region is 'EU'"),
        (("issue", "--days", "0"), "--days is 0"),
        (("issue", "--name", "../x"), "no name of a file"),
        (("client", "../x"), "no name of a client"),
        (("client", "x", "--uri", "not one"), "--uri is 'not one'"),
    ],
)
def test_what_is_no_name_is_refused_and_nothing_is_written(
    moorage: Command, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    moorage("certs", "init")

    code, err = moorage("certs", *arguments).failure

    assert code == 1
    assert says in err
    assert not any((tmp_path / "moorage-data").rglob("[!c]*.pem"))


def test_issue_without_an_authority_says_what_to_do(moorage: Command) -> None:
    assert "moorage certs init" in moorage("certs", "issue").err


def test_client_certificate_has_its_uri_and_is_for_clients(moorage: Command, tmp_path: Path) -> None:
    moorage("certs", "init")

    issued = json.loads(moorage("certs", "client", "builder", "--json").out)

    certificate = x509.load_pem_x509_certificate(Path(issued["certificate"]).read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://localhost/builder"]
    assert [usage.dotted_string for usage in usages] == ["1.3.6.1.5.5.7.3.2"]
    assert mode(tmp_path / "moorage-data" / "clients" / "builder.key") == 0o600


def test_list_shows_names_and_what_is_broken(moorage: Command, tmp_path: Path) -> None:
    moorage("certs", "init")
    moorage("certs", "issue", "--host", "registry.example")
    (tmp_path / "moorage-data" / "certs" / "broken.pem").write_text("x")

    shown, listed = moorage("certs", "list").out, json.loads(moorage("certs", "list", "--json").out)

    assert "registry.example" in shown
    assert listed["certificates"][0]["names"][0] == "registry.example"
    assert "broken.pem" in listed["broken"][0]


def test_trust_names_the_file_and_the_registry_for_every_client(moorage: Command, tmp_path: Path) -> None:
    moorage("certs", "init")

    shown = moorage("certs", "trust", "--listen-tls", "0.0.0.0:5443").out

    ca = tmp_path / "moorage-data" / "ca" / "ca.pem"
    assert f"cp {ca} /etc/docker/certs.d/localhost:5443/ca.crt" in shown
    assert f"export AWS_CA_BUNDLE={ca}" in shown
    assert "{" not in shown.replace("hosts.toml", "")


def test_first_certificate_is_made_where_tls_is_served_and_only_once(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", listen_tls="127.0.0.1:0")

    assert make_first_certificate(settings)
    written = (tmp_path / "data" / "certs" / "server.pem").read_bytes()

    assert not make_first_certificate(settings)
    assert (tmp_path / "data" / "certs" / "server.pem").read_bytes() == written
    assert not make_first_certificate(Settings(data=tmp_path / "other"))


def test_certificate_does_not_outlive_its_authority(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    authority = create_authority(settings, NOW - timedelta(days=3_600))

    issued = authority.sign_server(["a.example"], 397, NOW)

    assert issued.certificate.not_valid_after_utc == authority.certificate.not_valid_after_utc
    assert read_authority(settings).certificate == authority.certificate


def test_authority_that_is_unreadable_is_told(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    create_authority(settings, NOW)
    (tmp_path / "ca" / "ca.key").write_text("x")

    with pytest.raises(Failed, match="cannot be read"):
        read_authority(settings)


@pytest.mark.parametrize(("days", "level"), [(60, None), (10, WARNING), (-10, BROKEN)])
def test_doctor_tells_of_certificates_that_end(tmp_path: Path, days: int, level: str | None) -> None:
    settings = Settings(data=tmp_path)
    issued = create_authority(settings, NOW).sign_server(["a.example"], 60, NOW)
    issued.write(tmp_path / "certs" / "a.pem", tmp_path / "certs" / "a.key")

    findings = check_certificates(settings, NOW + timedelta(days=60 - days))

    assert [finding.level for finding in findings] == ([level] if level else [])


@pytest.mark.parametrize(
    ("settings", "is_told"),
    [
        (Settings(), False),
        (Settings(listen="0.0.0.0:5050"), True),
        (Settings(listen="[::]:5050", listen_tls="[::]:443"), True),
        (Settings(listen="0.0.0.0:5050", require_tls=True), False),
        (Settings(listen="none", listen_tls="0.0.0.0:443"), False),
    ],
)
def test_doctor_tells_of_plain_http_for_other_machines(settings: Settings, is_told: bool) -> None:
    assert bool(check_listening(settings)) is is_told


def test_names_of_a_certificate_are_names_and_addresses(tmp_path: Path) -> None:
    issued = create_authority(Settings(data=tmp_path), NOW).sign_server(["A.example", "::1", "*.b"], 1, NOW)

    assert names_of(issued.certificate) == ["a.example", "*.b", "::1"]


def test_endpoint_with_tls_needs_our_authority_in_the_environment(moorage: Command, data: Path) -> None:
    moorage("certs", "init")
    file = data / "credentials"
    file.write_text(file.read_text().replace("http://", "https://"))

    shown = json.loads(moorage("env", "--json").out)

    assert shown["set"]["AWS_CA_BUNDLE"] == str(data / "ca" / "ca.pem")
