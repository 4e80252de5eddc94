"""Settings: one frozen record, read by `cli` and `server` only.

Each field is set by an option, a `MOORAGE_…` variable or a line of the TOML file, in that order of precedence. What
is a table (`[aliases]`, `[[listeners]]`, `[[endpoints]]`, `[[event_targets]]`, `[[replication_peers]]`,
`[replication_tags]`, `[replication_settings]`, `[[upstream_peers]]`, `[rates]`) stands in the file only.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from moorage.access.endpoints.table import EndpointMisconfigured, EndpointTable, tables_in
from moorage.access.organization_table import (
    OrganizationMisconfigured,
    OrganizationTable,
    organization_in,
)
from moorage.access.rates import RatesMisconfigured, rates_in
from moorage.base.addresses import Registry
from moorage.base.names import is_account_id, is_region
from moorage.registry.events.targets import Target, TargetMisconfigured, targets_in
from moorage.registry.peers.peer import Peer, PeerMisconfigured, peers_in
from moorage.registry.replication.carried_settings import CarriedSettings, settings_in
from moorage.registry.replication.tag_filters import TableMisconfigured, TagFilters, filters_in
from moorage.registry.upstream.reach import Reach
from moorage.remote.addresses import Allowed

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Network = IPv4Network | IPv6Network
Value = TypeVar("Value", bool, int, str)
Table = TypeVar("Table", bound="DataclassInstance")

DEFAULT_PORT = 5050
NONE = "none"
_LISTENER_NAME = re.compile(r"[a-z0-9-]{1,32}")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_FILE_ONLY = {"toml": True}


class InvalidSettings(Exception):
    """Says which setting is wrong, and what it should be."""


@dataclass(frozen=True, slots=True)
class PrivateListener:
    """A way in of its own, which private endpoints refer to by its name. One thing makes it trusted: its address, its
    socket file, a client certificate, or a proxy.
    """

    name: str
    listen: str = ""
    """HOST:PORT, or"""
    unix: Path | None = None
    """a socket file."""
    tls: bool = False
    client_ca: Path | None = None
    """Who must have signed the certificate of a client."""
    allow_uids: tuple[int, ...] = ()
    """Users that may connect to the socket file; without any, its own mode decides."""
    proxy_protocol: bool = False
    """Each connection begins with a PROXY header, version 2, and comes from `trusted_proxies`."""
    trusted_proxies: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, table: Any, number: int) -> PrivateListener:
        """Raise `InvalidSettings`."""
        where = f"listeners[{number}]"
        if not isinstance(table, dict):
            raise InvalidSettings(f"{where} has to be a table: [[listeners]]")
        unknown = sorted(table.keys() - {item.name for item in dataclasses.fields(cls)})
        if unknown:
            raise InvalidSettings(f"{where}: there is no setting called {', '.join(unknown)}")
        name = _typed(table, "name", str, where)
        if not _LISTENER_NAME.fullmatch(name):
            raise InvalidSettings(f"{where}: name is '{name}': 1 to 32 characters a-z, 0-9 and -")
        where = f"listener {name}"
        unix, client_ca = _typed(table, "unix", str, where), _typed(table, "client_ca", str, where)
        listener = cls(
            name=name,
            listen=_typed(table, "listen", str, where),
            unix=Path(unix) if unix else None,
            tls=_typed(table, "tls", bool, where),
            client_ca=Path(client_ca) if client_ca else None,
            allow_uids=tuple(_items(table, "allow_uids", int, where)),
            proxy_protocol=_typed(table, "proxy_protocol", bool, where),
            trusted_proxies=tuple(
                _network(text, where) for text in _items(table, "trusted_proxies", str, where)
            ),
        )
        listener.check()
        return listener

    def check(self) -> None:
        where = f"listener {self.name}"
        is_unix = self.unix is not None
        wrong = (
            (bool(self.listen) == is_unix, "give listen or unix, and not both"),
            (bool(self.listen) and not _is_address(self.listen), f"listen is '{self.listen}': HOST:PORT"),
            (is_unix and self.tls, "a socket file has no tls"),
            (is_unix and self.proxy_protocol, "proxy_protocol needs listen: a socket file has no address"),
            (bool(self.allow_uids) and not is_unix, "allow_uids needs unix"),
            (self.client_ca is not None and not self.tls, "client_ca needs tls = true"),
            (
                self.client_ca is not None and self.proxy_protocol,
                "client_ca and proxy_protocol: one of them is to be trusted",
            ),
            (
                self.proxy_protocol != bool(self.trusted_proxies),
                "proxy_protocol needs trusted_proxies, and they it",
            ),
        )
        for is_wrong, says in wrong:
            if is_wrong:
                raise InvalidSettings(f"{where}: {says}")


@dataclass(frozen=True, slots=True)
class Settings:
    data: Path = field(
        default=Path("moorage-data"), metadata={"help": "Directory of everything stored; made if missing."}
    )
    listen: str = field(
        default=f"127.0.0.1:{DEFAULT_PORT}",
        metadata={
            "help": "HOST:PORT to listen on for plain HTTP; port 0 takes a free one, `none` listens not."
        },
    )
    listen_tls: str = field(
        default="", metadata={"help": "HOST:PORT to listen on for HTTPS; port 0 takes a free one."}
    )
    certificates: Path | None = field(
        default=None,
        metadata={
            "help": "Directory of certificates, NAME.pem with NAME.key; default: certs in the data directory."
        },
    )
    require_tls: bool = field(
        default=False, metadata={"help": "Refuse plain HTTP from other machines with 403."}
    )
    account: str = field(
        default="", metadata={"help": "12-digit id of the default account; random at the first start."}
    )
    region: str = field(default="us-east-1", metadata={"help": "Label of the default region."})
    hostname: str = field(
        default="localhost",
        metadata={"help": "Name under which clients reach the default registry, without port."},
    )
    domain: str = field(
        default="", metadata={"help": "Domain of your own: each registry is ACCOUNT.REGION.DOMAIN."}
    )
    root_key_file: Path | None = field(
        default=None, metadata={"help": "File of the root key; default: root.key in the data directory."}
    )
    memory_cache: int = field(
        default=-1,
        metadata={
            "help": "Bytes for blobs kept open in memory; -1 is a quarter of the machine's memory, 0 none."
        },
    )
    workers: int = field(
        default=0, metadata={"help": "Threads that send blobs; 0 chooses by the number of cores."}
    )
    upload_idle_hours: float = field(
        default=24.0, metadata={"help": "Hours after which an idle upload session ends."}
    )
    grace_hours: float = field(
        default=24.0, metadata={"help": "Hours that a layer stays after nothing refers to it any more."}
    )
    password_hours: float = field(
        default=12.0, metadata={"help": "Hours that a registry password lives; at most 12."}
    )
    login_failures: int = field(
        default=1_000,
        metadata={"help": "Failed logins a minute from one address before it has to wait; 0 is no limit."},
    )
    archive_data: Path | None = field(
        default=None,
        metadata={"help": "Directory on a cheaper disk for what only archived images use."},
    )
    restore_seconds: float = field(
        default=10.0, metadata={"help": "Seconds until an archived image that is restored can be pulled."}
    )
    lifecycle_extensions: bool = field(
        default=False,
        metadata={"help": "Accept lifecycle policies with what Amazon's do not have, under `moorage`."},
    )
    undelete_hours: float = field(
        default=0.0,
        metadata={"help": "Hours in which an image that a lifecycle policy took can be brought back."},
    )
    identity_networks: str = field(
        default="",
        metadata={
            "help": "Networks and host names, with commas, where identity providers may be though not public."
        },
    )
    identity_ca: Path | None = field(
        default=None,
        metadata={"help": "File of certificate authorities of identity providers, besides the system's."},
    )
    upstream_hosts: str = field(
        default="",
        metadata={
            "help": "Upstream registries that Amazon does not name, with commas: [http://]HOST[:PORT], also private."
        },
    )
    upstream_networks: str = field(
        default="",
        metadata={
            "help": "Networks and host names, with commas, where they may send for layers though not public."
        },
    )
    upstream_ca: Path | None = field(
        default=None,
        metadata={"help": "File of certificate authorities of upstream registries, besides the system's."},
    )
    upstream_import: str = field(
        default="whole",
        metadata={
            "help": "What a first pull brings: the `whole` image, in the background, or its parts `on-demand`."
        },
    )
    name_denying_policy: bool = field(
        default=False,
        metadata={"help": "Say in a refusal which policy denies it, to callers of the same account."},
    )
    allow_missing_references: bool = field(
        default=False,
        metadata={"help": "Accept manifests whose layers or children are not there (sparse indexes)."},
    )
    strict_immutable: bool = field(
        default=False,
        metadata={"help": "Refuse to push the same image to an immutable tag again, as Amazon's does."},
    )
    audit: str = field(
        default="writes",
        metadata={"help": "Which calls go on record: `writes` (and what is refused), `all` or `none`."},
    )
    audit_days: int = field(
        default=90, metadata={"help": "Days that records of calls are kept; 0 is for ever."}
    )
    audit_file: Path | None = field(
        default=None, metadata={"help": "File that records of calls are appended to, besides the database."}
    )
    audit_chain: bool = field(
        default=False, metadata={"help": "Chain the records by their hashes, so that changes to them show."}
    )
    metrics_listen: str = field(
        default="", metadata={"help": "HOST:PORT of a listener of its own for Prometheus: GET /metrics."}
    )
    otlp_endpoint: str = field(
        default="", metadata={"help": "URL of an OpenTelemetry collector that traces are sent to, over HTTP."}
    )
    quotas: str = field(default="none", metadata={"help": "`aws` turns Amazon's quotas on."})
    access_log: bool = field(default=False, metadata={"help": "Write a line for each request."})
    aliases: Mapping[str, Registry] = field(default_factory=dict, metadata=_FILE_ONLY)
    """Names of registries, without port: `"registry.example" = "123456789012/eu-west-1"`."""
    listeners: tuple[PrivateListener, ...] = field(default=(), metadata=_FILE_ONLY)
    endpoints: tuple[EndpointTable, ...] = field(default=(), metadata=_FILE_ONLY)
    event_targets: tuple[Target, ...] = field(default=(), metadata=_FILE_ONLY)
    replication_peers: tuple[Peer, ...] = field(default=(), metadata=_FILE_ONLY)
    upstream_peers: tuple[Peer, ...] = field(default=(), metadata=_FILE_ONLY)
    replication_tags: TagFilters = field(default_factory=dict, metadata=_FILE_ONLY)
    replication_settings: CarriedSettings = field(default_factory=dict, metadata=_FILE_ONLY)
    rates: Mapping[str, int] = field(default_factory=dict, metadata=_FILE_ONLY)
    organization: OrganizationTable = field(default=OrganizationTable(), metadata=_FILE_ONLY)
    """With the levels of `[[control_policies]]`."""

    @classmethod
    def load(cls, options: Mapping[str, Any], environment: Mapping[str, str], file: Path | None) -> Settings:
        """`options` has the fields given on the command line. Raise `InvalidSettings`."""
        values: dict[str, Any] = {}
        if file is not None:
            values |= _from_file(file)
        for name in OPTIONS:
            variable = "MOORAGE_" + name.upper()
            if variable in environment:
                values[name] = environment[variable]
        values |= {name: value for name, value in options.items() if value is not None}
        settings = cls(**{name: _convert(name, value) for name, value in values.items()})
        settings.check()
        return settings

    def check(self) -> None:
        if self.account and not is_account_id(self.account):
            raise InvalidSettings(f"account is '{self.account}': an account id has 12 digits")
        if not is_region(self.region):
            raise InvalidSettings(f"region is '{self.region}': a label of 2 to 25 characters a-z, 0-9 and -")
        if self.listen != NONE and not _is_address(self.listen):
            raise InvalidSettings(
                f"listen is '{self.listen}': HOST:PORT, for instance 127.0.0.1:{DEFAULT_PORT}, or none"
            )
        if self.listen_tls and not _is_address(self.listen_tls):
            raise InvalidSettings(f"listen_tls is '{self.listen_tls}': HOST:PORT, for instance 0.0.0.0:443")
        if self.listen == NONE and not self.listen_tls and not self.listeners:
            raise InvalidSettings(
                "listen is none, and there is no listen_tls and no listener: nobody could connect"
            )
        if self.domain and not _DOMAIN.fullmatch(self.domain):
            raise InvalidSettings(f"domain is '{self.domain}': a domain in lower case, without port")
        names = [listener.name for listener in self.listeners]
        if len(set(names)) < len(names):
            raise InvalidSettings(f"two listeners have one name: {', '.join(sorted(names))}")
        if self.audit not in ("writes", "all", "none"):
            raise InvalidSettings(f"audit is '{self.audit}': writes, all or none")
        if self.audit_days < 0:
            raise InvalidSettings(f"audit_days is {self.audit_days}: a number of days, or 0")
        if self.metrics_listen and not _is_address(self.metrics_listen):
            raise InvalidSettings(
                f"metrics_listen is '{self.metrics_listen}': HOST:PORT, for instance 127.0.0.1:9090"
            )
        if self.upstream_import not in ("whole", "on-demand"):
            raise InvalidSettings(f"upstream_import is '{self.upstream_import}': whole or on-demand")
        if self.quotas not in ("none", "aws"):
            raise InvalidSettings(f"quotas is '{self.quotas}': none or aws")
        if not 0 < self.password_hours <= 12:
            raise InvalidSettings(f"password_hours is {self.password_hours}: more than 0, at most 12")
        try:
            Allowed.parse(self.identity_networks)
        except ValueError as error:
            raise InvalidSettings(f"identity_networks: {error}") from None
        try:
            self.upstream_reach  # noqa: B018  # raises
        except ValueError as error:
            raise InvalidSettings(f"upstream_hosts, upstream_networks: {error}") from None

    @property
    def has_tls(self) -> bool:
        """Some listener needs certificates."""
        return bool(self.listen_tls) or any(listener.tls for listener in self.listeners)

    @property
    def upstream_reach(self) -> Reach:
        return Reach.parse(self.upstream_hosts, self.upstream_networks, self.upstream_ca)

    def endpoint(self, port: int | None, secure_port: int | None) -> str:
        """The URL for AWS clients on this machine; plain HTTP needs nothing on their side, so it is preferred."""
        if secure_port is None or port is not None:
            return f"http://{self.hostname}" + ("" if port is None else f":{port}")
        return f"https://{self.hostname}" + ("" if secure_port == 443 else f":{secure_port}")

    @property
    def certificates_folder(self) -> Path:
        return self.certificates or self.data / "certs"

    @property
    def authority_folder(self) -> Path:
        """Of the certificate authority of our own."""
        return self.data / "ca"

    @property
    def credentials_file(self) -> Path:
        return self.data / "credentials"

    @property
    def database(self) -> Path:
        return self.data / "moorage.db"

    @property
    def root_key(self) -> Path:
        return self.root_key_file or self.data / "root.key"

    @property
    def memory_cache_bytes(self) -> int:
        if self.memory_cache >= 0:
            return self.memory_cache
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


_TOML_WORDS = {bool: "true or false", int: "a whole number", str: "text"}
_WORDS = {"bool": "true or false", "float": "a number", "int": "a whole number"}
_FIELDS = {item.name: item for item in dataclasses.fields(Settings)}
OPTIONS = {name: item for name, item in _FIELDS.items() if "toml" not in item.metadata}
"""Those that are options and variables too."""


def host_and_port(address: str) -> tuple[str, int]:
    """Of a HOST:PORT that was checked."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _is_address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(colon and host) and port.isascii() and port.isdecimal() and int(port) < 65_536


def _from_file(file: Path) -> dict[str, Any]:
    import tomllib  # Only here: most starts and commands have no file.

    try:
        values = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidSettings(f"{file} cannot be read: {error}") from None
    try:
        organization = organization_in(
            values.pop("organization", {}), values.pop("control_policies", []), file.parent
        )
    except OrganizationMisconfigured as error:
        raise InvalidSettings(f"{file}: {error}") from None
    unknown = sorted(values.keys() - _FIELDS.keys())
    if unknown:
        raise InvalidSettings(f"{file}: there is no setting called {', '.join(unknown)}")
    if "aliases" in values:
        values["aliases"] = _aliases(values["aliases"])
    if "listeners" in values:
        if not isinstance(values["listeners"], list):
            raise InvalidSettings("listeners has to be a list of tables: [[listeners]]")
        tables = enumerate(values["listeners"], 1)
        values["listeners"] = tuple(
            _beside(file, PrivateListener.parse(table, number)) for number, table in tables
        )
    if "endpoints" in values:
        listeners = {listener.name for listener in values.get("listeners", ())}
        try:
            values["endpoints"] = _all_beside(file, tables_in(values["endpoints"], listeners))
        except EndpointMisconfigured as error:
            raise InvalidSettings(str(error)) from None
    if "event_targets" in values:
        try:
            values["event_targets"] = _all_beside(file, targets_in(values["event_targets"]))
        except TargetMisconfigured as error:
            raise InvalidSettings(str(error)) from None
    for setting in ("replication_peers", "upstream_peers"):
        if setting in values:
            try:
                values[setting] = peers_in(values[setting], setting, file.parent)
            except PeerMisconfigured as error:
                raise InvalidSettings(str(error)) from None
    try:
        if "replication_tags" in values:
            values["replication_tags"] = filters_in(values["replication_tags"])
        if "replication_settings" in values:
            values["replication_settings"] = settings_in(values["replication_settings"])
        if "rates" in values:
            values["rates"] = rates_in(values["rates"])
    except (RatesMisconfigured, TableMisconfigured) as error:
        raise InvalidSettings(str(error)) from None
    return {**values, "organization": organization}


def _beside(file: Path, table: Table) -> Table:
    """The paths of a table are relative to the file that it stands in."""
    paths = {item.name: getattr(table, item.name) for item in dataclasses.fields(table)}
    found = {name: file.parent / path for name, path in paths.items() if isinstance(path, Path)}
    return dataclasses.replace(table, **found)


def _all_beside(file: Path, tables: Iterable[Table]) -> tuple[Table, ...]:
    return tuple(_beside(file, table) for table in tables)


def _aliases(table: Any) -> dict[str, Registry]:
    if not isinstance(table, dict):
        raise InvalidSettings("aliases has to be a table: [aliases]")
    aliases = {}
    for name, target in table.items():
        account, slash, region = target.partition("/") if isinstance(target, str) else ("", "", "")
        if not (slash and is_account_id(account) and is_region(region)):
            raise InvalidSettings(
                f"aliases: {name} is '{target}': ACCOUNT/REGION, for instance 123456789012/eu-west-1"
            )
        if not _DOMAIN.fullmatch(name):
            raise InvalidSettings(f"aliases: '{name}' is no host name in lower case, without port")
        aliases[name] = Registry(account, region)
    return aliases


def _typed(table: Mapping[str, Any], name: str, kind: type[Value], where: str) -> Value:
    value = table.get(name, kind())
    if type(value) is not kind:
        raise InvalidSettings(f"{where}: {name} is {value!r}: it has to be {_TOML_WORDS[kind]}")
    return value


def _items(table: Mapping[str, Any], name: str, kind: type[Value], where: str) -> list[Value]:
    values = table.get(name, [])
    if not isinstance(values, list) or any(type(value) is not kind for value in values):
        raise InvalidSettings(f"{where}: {name} is {values!r}: it has to be a list, each {_TOML_WORDS[kind]}")
    return values


def _network(text: str, where: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise InvalidSettings(f"{where}: trusted_proxies: {error}") from None


def _convert(name: str, value: Any) -> Any:
    """Text of a variable to the field's type; what has it already stays."""
    kind = str(_FIELDS[name].type)
    if not isinstance(value, str):
        return Path(value) if "Path" in kind and not isinstance(value, Path) else value
    try:
        if "Path" in kind:
            return Path(value)
        if kind == "bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[
                value.lower()
            ]
        return {"int": int, "float": float, "str": str}[kind](value)
    except (ValueError, KeyError):
        raise InvalidSettings(f"{name} is '{value}': it has to be {_WORDS[kind]}") from None
