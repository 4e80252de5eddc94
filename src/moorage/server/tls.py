"""Certificates: read from a directory, chosen by the name that the client asks for, and replaced while we serve.

A certificate is a pair of files, NAME.pem (with its chain) and NAME.key. The name that a client sends finds a
certificate that has it, then one with a wildcard for it, then the default: the pair called `default`, else `server`,
else the first. A client that calls us by an address sends no name.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509  # Loaded with the first certificate: most start without any.

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all good
LOOK_EVERY_S = 10.0
TICKETS_S = 12 * 3_600.0  # then new keys: an old one would open what it has sealed
DEFAULTS = ("default", "server")
_KEY_MODES = (0o600, 0o640, 0o400, 0o440)

_log = logging.getLogger("moorage")


class CertificatesRefused(Exception):
    """Says which file is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate that can be served."""

    name: str
    chain: Path
    key: Path
    names: tuple[str, ...]
    """What clients may call us by, in lower case; `*.` for one label."""
    expires: datetime

    @classmethod
    def read(cls, chain: Path) -> Pair:
        """Raise OSError or ValueError."""
        from cryptography import x509

        certificate = x509.load_pem_x509_certificates(chain.read_bytes())[0]
        return cls(
            name=chain.stem,
            chain=chain,
            key=chain.with_suffix(".key"),
            names=tuple(names_of(certificate)),
            expires=certificate.not_valid_after_utc,
        )

    def context(self, client_ca: Path | None) -> ssl.SSLContext:
        """Raise OSError (also for what is no certificate, or another's key)."""
        context = base_context(client_ca)
        context.load_cert_chain(self.chain, self.key, password=_no_password)
        return context


def read_pairs(folder: Path) -> tuple[list[Pair], list[str]]:
    """What can be read, in the order of its names, and what is wrong with the rest."""
    pairs, wrong = [], []
    for chain in sorted(folder.glob("*.pem")):
        try:
            pair = Pair.read(chain)
            pair.context(None)
        except (OSError, ValueError) as error:
            wrong.append(f"{chain}: {_reason(error)}")
        else:
            pairs.append(pair)
    return pairs, wrong


class Certificates:
    """Those of one directory, as one listener serves them. `client_ca` is who must have signed a client's."""

    def __init__(self, folder: Path, client_ca: Path | None = None) -> None:
        """Raise `CertificatesRefused`."""
        self._folder = folder
        self._client_ca = client_ca
        self._seen: tuple[object, ...] = ()
        self._served: dict[str, tuple[Pair, ssl.SSLContext]] = {}
        self._by_name: dict[str, ssl.SSLContext] = {}
        self._default: ssl.SSLContext | None = None
        self._entrance: ssl.SSLContext | None = None
        self._entrance_since = 0.0
        try:
            base_context(client_ca)
        except OSError as error:
            raise CertificatesRefused(f"{client_ca}: {_reason(error)}") from None
        wrong = self._read()
        if self._default is None:
            what = f": {wrong[0]}" if wrong else f" in {folder}"
            raise CertificatesRefused(f"no certificate can be served{what}; `moorage certs issue` makes one")

    def context(self, now: float) -> ssl.SSLContext:
        """For a new connection at `now` (seconds). It has no certificate before the client's hello is read.

        It outlives the certificates, since it holds the keys of session tickets: clients resume after a reload.
        """
        if self._entrance is None or now - self._entrance_since > TICKETS_S:
            self._entrance, self._entrance_since = base_context(self._client_ca), now
            self._entrance.sni_callback = self._choose
        return self._entrance

    def choose(self, name: str | None) -> ssl.SSLContext:
        assert self._default is not None
        return choose(self._by_name, name) or self._default

    def reload_if_changed(self) -> bool:
        """Look at the files, and read them if one is not as it was. What is broken stays as it was served before."""
        if self._state() == self._seen:
            return False
        self._read()
        return True

    def _read(self) -> list[str]:
        """1. Read; what is broken is logged, and its old version kept. 2. Give each name its certificate."""
        self._seen = self._state()
        # 1
        pairs, wrong = read_pairs(self._folder)
        for line in wrong:
            _log.warning("certificate not taken: %s", line)
        try:
            served = {pair.name: (pair, pair.context(self._client_ca)) for pair in pairs}
        except OSError as error:
            _log.warning("client certificates are checked as before: %s: %s", self._client_ca, _reason(error))
            return wrong
        for name, kept in self._served.items():
            if name not in served and kept[0].chain.exists():
                served[name] = kept
        if not served:
            if self._served:
                _log.warning("no certificate is left in %s: those read before are served on", self._folder)
            return wrong
        for pair, _ in served.values():
            _warn_of_mode(pair.key)
        # 2
        self._served = served
        ordered = sorted(served.values(), key=lambda each: each[0].expires)  # of two, the one that lasts
        self._by_name = {name: context for pair, context in ordered for name in pair.names}
        default = next((name for name in DEFAULTS if name in served), min(served))
        self._default = served[default][1]
        self._entrance = self._entrance if self._client_ca is None else None
        return wrong

    def _choose(self, tls: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        tls.context = self.choose(name)

    def _state(self) -> tuple[object, ...]:
        files = sorted(self._folder.glob("*.pem")) + sorted(self._folder.glob("*.key"))
        if self._client_ca is not None:
            files.append(self._client_ca)
        return tuple(_file_state(file) for file in files)


def reload_all(all_certificates: Iterable[Certificates]) -> None:
    for certificates in all_certificates:
        certificates.reload_if_changed()


async def look_for_changes(all_certificates: Iterable[Certificates]) -> None:
    """Until cancelled."""
    every = list(all_certificates)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        reload_all(every)


def base_context(client_ca: Path | None) -> ssl.SSLContext:
    """TLS 1.2 and 1.3 as served to everybody. Raise OSError for what is no CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def choose(by_name: Mapping[str, ssl.SSLContext], name: str | None) -> ssl.SSLContext | None:
    """The exact name, else the wildcard for its first label."""
    if not name:
        return None
    name = name.lower().rstrip(".")
    return by_name.get(name) or by_name.get(f"*.{name.partition('.')[2]}")


def names_of(certificate: x509.Certificate) -> list[str]:
    """DNS names and addresses, lower case."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    hosts = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    return hosts + [str(address) for address in names.get_values_for_type(x509.IPAddress)]


def identity_of(tls: ssl.SSLObject) -> str:
    """Of a client whose certificate was verified: its URI (a SPIFFE id), else its DNS name, else its common name."""
    certificate = tls.getpeercert()
    if not certificate:
        return ""
    alternatives = certificate.get("subjectAltName", ())
    for wanted in ("URI", "DNS"):
        for alternative in alternatives:
            if alternative[0] == wanted:
                return str(alternative[1])
    for attributes in certificate.get("subject", ()):
        for attribute in attributes:
            if attribute[0] == "commonName":
                return str(attribute[1])
    return ""


def _file_state(file: Path) -> tuple[object, ...]:
    try:
        found = file.stat()
    except OSError:
        return (file, None)
    return (file, found.st_mtime_ns, found.st_size, found.st_ino)


def _warn_of_mode(key: Path) -> None:
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode not in _KEY_MODES:
        _log.warning("private key %s has mode %04o: run chmod 600 %s", key, mode, key)


def _no_password() -> str:
    raise ValueError("the key is encrypted: its password cannot be asked for")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{(error.reason or 'not PEM').lower().replace('_', ' ')} (certificate and key must belong together)"
    return getattr(error, "strerror", None) or str(error)
