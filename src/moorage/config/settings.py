"""Settings: one frozen record, read by `cli` and `server` only.

Each field is set by an option, a `MOORAGE_…` variable or a line of the TOML file, in that order of precedence. What
is a table (`[aliases]`, `[[listeners]]`, `[[endpoints]]`, `[[event_targets]]`, `[[replication_peers]]`,
`[replication_tags]`, `[replication_settings]`, `[[upstream_peers]]`, `[rates]`) stands in the file only.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moorage.access.endpoints.table import EndpointTable
from moorage.access.organization_table import OrganizationTable
from moorage.base.addresses import Registry
from moorage.base.names import is_account_id, is_region
from moorage.config.addresses import is_address, is_domain
from moorage.config.file import read_file
from moorage.config.invalid import InvalidSettings
from moorage.config.private_listener import PrivateListener
from moorage.registry.events.targets import Target
from moorage.registry.peers.peer import Peer
from moorage.registry.replication.carried_settings import CarriedSettings
from moorage.registry.replication.tag_filters import TagFilters
from moorage.registry.upstream.reach import Reach
from moorage.remote.addresses import Allowed

DEFAULT_PORT = 5050
NONE = "none"
_FILE_ONLY = {"toml": True}


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
            values |= read_file(file, _FIELDS)
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
        if self.listen != NONE and not is_address(self.listen):
            raise InvalidSettings(
                f"listen is '{self.listen}': HOST:PORT, for instance 127.0.0.1:{DEFAULT_PORT}, or none"
            )
        if self.listen_tls and not is_address(self.listen_tls):
            raise InvalidSettings(f"listen_tls is '{self.listen_tls}': HOST:PORT, for instance 0.0.0.0:443")
        if self.listen == NONE and not self.listen_tls and not self.listeners:
            raise InvalidSettings(
                "listen is none, and there is no listen_tls and no listener: nobody could connect"
            )
        if self.domain and not is_domain(self.domain):
            raise InvalidSettings(f"domain is '{self.domain}': a domain in lower case, without port")
        names = [listener.name for listener in self.listeners]
        if len(set(names)) < len(names):
            raise InvalidSettings(f"two listeners have one name: {', '.join(sorted(names))}")
        if self.audit not in ("writes", "all", "none"):
            raise InvalidSettings(f"audit is '{self.audit}': writes, all or none")
        if self.audit_days < 0:
            raise InvalidSettings(f"audit_days is {self.audit_days}: a number of days, or 0")
        if self.metrics_listen and not is_address(self.metrics_listen):
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


_WORDS = {"bool": "true or false", "float": "a number", "int": "a whole number"}
_FIELDS = {item.name: item for item in dataclasses.fields(Settings)}
OPTIONS = {name: item for name, item in _FIELDS.items() if "toml" not in item.metadata}
"""Those that are options and variables too."""


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
