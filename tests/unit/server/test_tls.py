from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from moorage.server.tls import Certificates, CertificatesRefused, base_context, choose

Pair = Callable[..., None]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Write a certificate for names, and its key."""

    def pair(stem: str, *names: str, days: int = 30, key_of: str | None = None) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=days))
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        (tmp_path / f"{stem}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        if key_of is None:
            file = tmp_path / f"{stem}.key"
            file.write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            file.chmod(0o600)

    return pair


def served(certificates: Certificates, name: str | None) -> str:
    """The common name of the certificate that a client gets who asks for `name`."""
    server_in, server_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = certificates.context(0).wrap_bio(server_in, server_out, server_side=True)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname, client_context.verify_mode = False, ssl.CERT_NONE
    client = client_context.wrap_bio(server_out, server_in, server_hostname=name)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    found = client.getpeercert(binary_form=True)
    assert found is not None
    [attribute] = x509.load_der_x509_certificate(found).subject
    return str(attribute.value)


def test_name_finds_its_certificate_then_a_wildcard_then_the_default(tmp_path: Path, pair: Pair) -> None:
    pair("a", "first.example")
    pair("b", "*.dkr.ecr.home-1.amazonaws.com", "api.ecr.home-1.amazonaws.com")
    pair("c", "123456789012.dkr.ecr.home-1.amazonaws.com")

    certificates = Certificates(tmp_path)

    assert {name: served(certificates, name) for name in _ASKED} == _ASKED


_ASKED = {
    "first.example": "first.example",
    "FIRST.example": "first.example",
    "123456789012.dkr.ecr.home-1.amazonaws.com": "123456789012.dkr.ecr.home-1.amazonaws.com",
    "210987654321.dkr.ecr.home-1.amazonaws.com": "*.dkr.ecr.home-1.amazonaws.com",
    "api.ecr.home-1.amazonaws.com": "*.dkr.ecr.home-1.amazonaws.com",
    "a.b.dkr.ecr.home-1.amazonaws.com": "first.example",
    "other.example": "first.example",
    None: "first.example",
}


def test_pair_called_default_is_the_default(tmp_path: Path, pair: Pair) -> None:
    pair("a", "a.example")
    pair("default", "d.example")

    assert served(Certificates(tmp_path), "other.example") == "d.example"


def test_of_two_certificates_for_a_name_the_one_that_lasts_is_served(tmp_path: Path, pair: Pair) -> None:
    pair("a", "long.example", "name.example", days=60)
    pair("b", "short.example", "name.example", days=3)

    assert served(Certificates(tmp_path), "name.example") == "long.example"


def test_changed_files_are_read_again(tmp_path: Path, pair: Pair) -> None:
    pair("a", "old.example")
    certificates = Certificates(tmp_path)
    assert not certificates.reload_if_changed()

    pair("a", "new.example")
    pair("b", "more.example")

    assert certificates.reload_if_changed()
    assert served(certificates, "more.example") == "more.example"
    assert served(certificates, None) == "new.example"


def test_removed_pair_is_served_no_more(tmp_path: Path, pair: Pair) -> None:
    pair("a", "a.example")
    pair("b", "b.example")
    certificates = Certificates(tmp_path)

    (tmp_path / "b.pem").unlink()
    (tmp_path / "b.key").unlink()
    certificates.reload_if_changed()

    assert served(certificates, "b.example") == "a.example"


@pytest.mark.parametrize("how", ["rubbish", "another key", "empty"])
def test_broken_new_file_keeps_the_old_and_says_why(
    tmp_path: Path, pair: Pair, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    pair("a", "old.example")
    certificates = Certificates(tmp_path)
    if how == "another key":
        pair("a", "new.example", key_of="old.example")
    else:
        (tmp_path / "a.pem").write_text("" if how == "empty" else "-----BEGIN CERTIFICATE-----\nx\n")

    with caplog.at_level(logging.WARNING):
        certificates.reload_if_changed()

    assert served(certificates, None) == "old.example"
    assert str(tmp_path / "a.pem") in caplog.text


def test_all_files_gone_keeps_what_was_read(tmp_path: Path, pair: Pair) -> None:
    pair("a", "old.example")
    certificates = Certificates(tmp_path)
    for file in list(tmp_path.iterdir()):
        file.unlink()

    certificates.reload_if_changed()

    assert served(certificates, None) == "old.example"


def test_directory_without_certificates_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CertificatesRefused, match="moorage certs issue"):
        Certificates(tmp_path)


@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o640, False), (0o644, True), (0o660, True)])
def test_key_that_others_can_read_is_warned_of(
    tmp_path: Path, pair: Pair, mode: int, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    pair("a", "a.example")
    (tmp_path / "a.key").chmod(mode)

    with caplog.at_level(logging.WARNING):
        Certificates(tmp_path)

    assert ("chmod 600" in caplog.text) is warns


def test_encrypted_key_is_refused_without_asking_for_its_password(tmp_path: Path, pair: Pair) -> None:
    pair("a", "a.example")
    key = serialization.load_pem_private_key((tmp_path / "a.key").read_bytes(), None)
    (tmp_path / "a.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )

    with pytest.raises(CertificatesRefused, match="encrypted"):
        Certificates(tmp_path)


def test_tickets_outlive_a_reload_but_not_for_ever(tmp_path: Path, pair: Pair) -> None:
    pair("a", "a.example")
    certificates = Certificates(tmp_path)
    first = certificates.context(0)
    os.utime(tmp_path / "a.pem", (1, 1))
    certificates.reload_if_changed()

    assert certificates.context(3_600) is first
    assert certificates.context(13 * 3_600) is not first


def test_context_has_neither_old_versions_nor_renegotiation() -> None:
    context = base_context(None)

    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert all("ECDHE" in cipher["name"] or "TLS_" in cipher["name"] for cipher in context.get_ciphers())


@pytest.mark.parametrize("name", ["", ".", "*", "*.example"])
def test_odd_names_find_nothing_that_is_not_there(name: str) -> None:
    assert choose({}, name) is None
