"""The certificate authority of an installation: made once, `<data>/ca/`, and whatever is signed with it.

All is P-256: small, and known to every client. A certificate's key is written before the certificate, so that a
running server never finds a certificate whose key is not there yet.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from moorage.cli.output import Failed
from moorage.cli.profile import replace_file
from moorage.config.settings import Settings

CERTIFICATE, KEY = "ca.pem", "ca.key"
AUTHORITY_DAYS = 3_650
DAYS = 397  # what browsers accept of public ones; some refuse longer
_SKEW = timedelta(minutes=5)  # a client whose clock is behind ours
_COMMON_NAME_MAX = 64
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(\*\.)?({_LABEL}\.)*{_LABEL}", re.IGNORECASE)

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Authority:
    certificate: x509.Certificate
    key: Key = field(repr=False)

    def sign_server(self, hosts: Sequence[str], days: int, now: datetime) -> Issued:
        """A certificate for `hosts`: names, names with a wildcard, addresses. Raise `Failed`."""
        return self._sign(
            hosts[0], [alternative_of(host) for host in hosts], ExtendedKeyUsageOID.SERVER_AUTH, days, now
        )

    def sign_client(self, name: str, uri: str, days: int, now: datetime) -> Issued:
        """Its identity is `uri`."""
        alternatives = [x509.UniformResourceIdentifier(uri)]
        return self._sign(name, alternatives, ExtendedKeyUsageOID.CLIENT_AUTH, days, now)

    def _sign(
        self,
        name: str,
        alternatives: Iterable[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        days: int,
        now: datetime,
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        until = min(now + timedelta(days=days), self.certificate.not_valid_after_utc)
        builder = (
            _builder(_named(name), self.certificate.subject, key, now, until)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        return Issued(builder.sign(self.key, hashes.SHA256()), key)


@dataclass(frozen=True, slots=True)
class Issued:
    certificate: x509.Certificate
    key: Key = field(repr=False)

    def write(self, certificate: Path, key: Path) -> None:
        certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(key, _pem_of_key(self.key))
        replace_file(certificate, pem(self.certificate), mode=0o644)


def create_authority(settings: Settings, now: datetime) -> Authority:
    """A new one, in its place. Raise `Failed` if there is one."""
    folder = settings.authority_folder
    if (folder / CERTIFICATE).exists() or (folder / KEY).exists():
        raise Failed(
            f"there is an authority in {folder} already: what it has signed would be trusted no more"
        )
    key = ec.generate_private_key(ec.SECP256R1())
    # A number in the name: a client that has met two installations can tell them apart.
    name = _named(f"Moorage CA {secrets.token_hex(4)}")
    builder = (
        _builder(name, name, key, now, now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    )
    issued = Issued(builder.sign(key, hashes.SHA256()), key)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    issued.write(folder / CERTIFICATE, folder / KEY)
    return Authority(issued.certificate, key)


def read_authority(settings: Settings) -> Authority:
    """Raise `Failed` with what to do."""
    folder = settings.authority_folder
    try:
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        key = serialization.load_pem_private_key((folder / KEY).read_bytes(), None)
    except FileNotFoundError as error:
        raise Failed(f"there is no {error.filename}: run `moorage certs init`") from None
    except (OSError, ValueError, TypeError) as error:
        raise Failed(f"the authority in {folder} cannot be read: {error}") from None
    if not isinstance(key, Key):
        raise Failed(f"{folder / KEY} is no key of P-256: it is not the authority that Moorage made")
    return Authority(certificate, key)


@contextmanager
def clear_file_errors() -> Iterator[None]:
    """Raise `Failed` for what a user can put right."""
    try:
        yield
    except OSError as error:
        raise Failed(f"{error.filename or 'the certificates'}: {error.strerror or error}") from error


def alternative_of(host: str) -> x509.GeneralName:
    """A name or an address, as a certificate has it. Raise `Failed`."""
    try:
        return x509.IPAddress(ip_address(host.strip("[]")))
    except ValueError:
        pass
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise Failed(f"'{host}' is neither a host name (`*.` may stand in front) nor an address")
    return x509.DNSName(host.lower())


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pem_of_key(key: Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_COMMON_NAME_MAX])])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
