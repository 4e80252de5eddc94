"""Settings: one frozen record, read by `cli` and `server` only.

Each field is set by an option, a `MOORAGE_…` variable or a line of the TOML file, in that order of precedence.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moorage.base.names import is_account_id, is_region

DEFAULT_PORT = 5050


class InvalidSettings(Exception):
    """Says which setting is wrong, and what it should be."""


@dataclass(frozen=True, slots=True)
class Settings:
    data: Path = field(
        default=Path("moorage-data"), metadata={"help": "Directory of everything stored; made if missing."}
    )
    listen: str = field(
        default=f"127.0.0.1:{DEFAULT_PORT}",
        metadata={"help": "HOST:PORT to listen on; port 0 takes a free one."},
    )
    account: str = field(
        default="", metadata={"help": "12-digit id of the default account; random at the first start."}
    )
    region: str = field(default="us-east-1", metadata={"help": "Label of the default region."})
    hostname: str = field(
        default="localhost",
        metadata={"help": "Name under which clients reach the default registry, without port."},
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
    allow_missing_references: bool = field(
        default=False,
        metadata={"help": "Accept manifests whose layers or children are not there (sparse indexes)."},
    )
    strict_immutable: bool = field(
        default=False,
        metadata={"help": "Refuse to push the same image to an immutable tag again, as Amazon's does."},
    )
    quotas: str = field(default="none", metadata={"help": "`aws` turns Amazon's quotas on."})
    access_log: bool = field(default=False, metadata={"help": "Write a line for each request."})

    @classmethod
    def load(cls, options: Mapping[str, Any], environment: Mapping[str, str], file: Path | None) -> Settings:
        """`options` has the fields given on the command line. Raise `InvalidSettings`."""
        values: dict[str, Any] = {}
        if file is not None:
            values |= _from_file(file)
        for name in _FIELDS:
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
        host, colon, port = self.listen.rpartition(":")
        if not (colon and host and port.isdecimal() and int(port) < 65_536):
            raise InvalidSettings(
                f"listen is '{self.listen}': HOST:PORT, for instance 127.0.0.1:{DEFAULT_PORT}"
            )
        if self.quotas not in ("none", "aws"):
            raise InvalidSettings(f"quotas is '{self.quotas}': none or aws")
        if not 0 < self.password_hours <= 12:
            raise InvalidSettings(f"password_hours is {self.password_hours}: more than 0, at most 12")

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

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


def _from_file(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidSettings(f"{file} cannot be read: {error}") from None
    unknown = sorted(values.keys() - _FIELDS.keys())
    if unknown:
        raise InvalidSettings(f"{file}: there is no setting called {', '.join(unknown)}")
    return values


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
