"""`[[event_targets]]` of the configuration: where events are delivered, and which."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from moorage.registry.events.shapes import KINDS, Event
from moorage.remote.addresses import Allowed
from moorage.remote.errors import RemoteRefused
from moorage.remote.urls import Scheme, Url

Type = Literal["file", "stdout", "webhook"]
TYPES: tuple[Type, ...] = ("file", "stdout", "webhook")
_NAME = re.compile(r"[a-z0-9-]{1,32}")
MOST = 32
TIMEOUT_S = 10
ROTATE_BYTES = 64 << 20
KEEP_FILES = 5
_ROTATE_BYTES_LEAST = 4_096


class TargetMisconfigured(Exception):
    """Says which target is wrong, and what it should be."""


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    """What is still to be delivered is kept under it: a target that is called otherwise begins anew."""
    type: Type
    url: str = ""
    """Of a webhook: https, or http to what `networks` names."""
    secret: Path | None = None
    """File of the secret that a webhook's deliveries are signed with."""
    networks: str = ""
    """Networks and host names where the webhook may be though not public."""
    ca_file: Path | None = None
    """Certificate authorities of the webhook, besides the system's."""
    timeout_seconds: int = TIMEOUT_S
    path: Path | None = None
    """Of a file."""
    rotate_bytes: int = ROTATE_BYTES
    """When a file is as long, it is moved aside, and a new one begun."""
    keep_files: int = KEEP_FILES
    """How many of those moved aside stay."""
    kinds: tuple[str, ...] = ()
    """`detail-type`s; empty for all."""
    repositories: tuple[str, ...] = ()
    """Prefixes of names of repositories; empty for all."""

    @classmethod
    def parse(cls, table: Any, number: int) -> Target:
        """Raise `TargetMisconfigured`."""
        where = f"event_targets[{number}]"
        if not isinstance(table, dict):
            raise TargetMisconfigured(f"{where} has to be a table: [[event_targets]]")
        unknown = sorted(table.keys() - {item.name for item in dataclasses.fields(cls)})
        if unknown:
            raise TargetMisconfigured(f"{where}: there is no setting called {', '.join(unknown)}")
        type_ = table.get("type")
        if type_ not in TYPES:
            raise TargetMisconfigured(f"{where}: type is {type_!r}: one of {', '.join(TYPES)}")
        name = _text(table, "name", where) or type_
        if not _NAME.fullmatch(name):
            raise TargetMisconfigured(f"{where}: name is '{name}': 1 to 32 characters a-z, 0-9 and -")
        where = f"event target {name}"
        target = cls(
            name=name,
            type=type_,
            url=_text(table, "url", where),
            secret=_path(table, "secret", where),
            networks=_text(table, "networks", where),
            ca_file=_path(table, "ca_file", where),
            timeout_seconds=_number(table, "timeout_seconds", TIMEOUT_S, where),
            path=_path(table, "path", where),
            rotate_bytes=_number(table, "rotate_bytes", ROTATE_BYTES, where),
            keep_files=_number(table, "keep_files", KEEP_FILES, where),
            kinds=_texts(table, "kinds", where),
            repositories=_texts(table, "repositories", where),
        )
        target._check(where)
        return target

    def wants(self, event: Event) -> bool:
        return (not self.kinds or event.kind in self.kinds) and (
            not self.repositories or event.repository.startswith(self.repositories)
        )

    @property
    def schemes(self) -> frozenset[Scheme]:
        """http goes through nobody's hands but those of a network of one's own."""
        return frozenset({"http", "https"}) if self.networks else frozenset({"https"})

    def _check(self, where: str) -> None:
        is_webhook, is_file = self.type == "webhook", self.type == "file"
        wrong = (
            (is_webhook != bool(self.url), "a webhook needs url, and nothing else has one"),
            (is_webhook != (self.secret is not None), "a webhook needs secret, and nothing else has one"),
            (not is_webhook and bool(self.networks or self.ca_file), "networks and ca_file are a webhook's"),
            (is_file != (self.path is not None), "a file needs path, and nothing else has one"),
            (not 1 <= self.timeout_seconds <= 60, "timeout_seconds is from 1 to 60"),
            (self.rotate_bytes < _ROTATE_BYTES_LEAST, f"rotate_bytes is at least {_ROTATE_BYTES_LEAST}"),
            (not 0 <= self.keep_files <= 1_000, "keep_files is from 0 to 1000"),
        )
        for is_wrong, says in wrong:
            if is_wrong:
                raise TargetMisconfigured(f"{where}: {says}")
        for kind in self.kinds:
            if kind not in KINDS:
                raise TargetMisconfigured(f"{where}: kinds has '{kind}': some of {', '.join(KINDS)}")
        try:
            Allowed.parse(self.networks)
            if is_webhook:
                Url.parse(self.url, self.schemes)
        except (ValueError, RemoteRefused) as error:
            raise TargetMisconfigured(f"{where}: {error}") from None


def targets_in(value: Any) -> tuple[Target, ...]:
    """Of the file; raise `TargetMisconfigured`."""
    if not isinstance(value, list):
        raise TargetMisconfigured("event_targets has to be a list of tables: [[event_targets]]")
    if len(value) > MOST:
        raise TargetMisconfigured(f"event_targets has {len(value)} tables: at most {MOST}")
    targets = tuple(Target.parse(table, number) for number, table in enumerate(value, 1))
    names = [target.name for target in targets]
    if len(set(names)) < len(names):
        raise TargetMisconfigured(f"two event targets have one name: {', '.join(sorted(names))}")
    return targets


def _text(table: Mapping[str, Any], name: str, where: str) -> str:
    value = table.get(name, "")
    if not isinstance(value, str):
        raise TargetMisconfigured(f"{where}: {name} is {value!r}: it has to be text")
    return value


def _path(table: Mapping[str, Any], name: str, where: str) -> Path | None:
    text = _text(table, name, where)
    return Path(text) if text else None


def _number(table: Mapping[str, Any], name: str, default: int, where: str) -> int:
    value = table.get(name, default)
    if type(value) is not int:
        raise TargetMisconfigured(f"{where}: {name} is {value!r}: it has to be a whole number")
    return value


def _texts(table: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = table.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise TargetMisconfigured(f"{where}: {name} is {value!r}: it has to be a list of texts")
    return tuple(value)
