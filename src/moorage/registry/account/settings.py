"""What a registry has set: account settings by name, and configurations that are replaced as a whole.

Each is a row of its own; what has no row is as Amazon has it in a new registry, or as `DEFAULTS` says.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from moorage.base.addresses import Registry
from moorage.base.errors.requests import Validation
from moorage.store.db.api import Reads, Transaction

Document = TypeVar("Document")

BLOB_MOUNTING = "BLOB_MOUNTING"
DEFAULTS = {
    "BASIC_SCAN_TYPE_VERSION": "AWS_NATIVE",
    BLOB_MOUNTING: "ENABLED",  # Amazon: DISABLED (docs/differences.md)
    "REGISTRY_POLICY_SCOPE": "V2",
}
_VALUES = {
    "BASIC_SCAN_TYPE_VERSION": ("AWS_NATIVE",),
    BLOB_MOUNTING: ("ENABLED", "DISABLED"),
    "REGISTRY_POLICY_SCOPE": ("V2",),
}


async def setting_of(reads: Reads, registry: Registry, name: str) -> str:
    """The account setting of that name. Raise `Validation` for an unknown one."""
    if name not in DEFAULTS:
        raise _unknown(name)
    stored = await _find(reads, registry, name)
    return DEFAULTS[name] if stored is None else stored


async def set_to(tx: Transaction, registry: Registry, name: str, value: str, now: int) -> None:
    """Raise `Validation` for an unknown setting, or a value that it cannot have."""
    if name not in _VALUES:
        raise _unknown(name)
    if value not in _VALUES[name]:
        raise Validation(
            f"Invalid value '{value[:64]}' for the account setting '{name}': it can be {' or '.join(_VALUES[name])}"
        )
    await _store(tx, registry, name, value, now)


async def allows_mounting(reads: Reads, registry: Registry) -> bool:
    return await setting_of(reads, registry, BLOB_MOUNTING) == "ENABLED"


async def document_of(reads: Reads, registry: Registry, name: str, kind: type[Document]) -> Document | None:
    """The configuration `name`, or None where none was put. `name` is in lower case: no account setting's."""
    stored = await _find(reads, registry, name)
    return None if stored is None else msgspec.json.decode(stored, type=kind)


async def store_document(tx: Transaction, registry: Registry, name: str, document: object, now: int) -> None:
    await _store(tx, registry, name, msgspec.json.encode(document).decode(), now)


async def remove_document(tx: Transaction, registry: Registry, name: str) -> None:
    await tx.run("account.unset", _key(registry, name))


async def _find(reads: Reads, registry: Registry, name: str) -> str | None:
    row = await reads.one("account.setting", _key(registry, name))
    return row[0] if row is not None else None


async def _store(tx: Transaction, registry: Registry, name: str, value: str, now: int) -> None:
    await tx.run("account.set", {**_key(registry, name), "value": value, "now": now})


def _key(registry: Registry, name: str) -> dict[str, str]:
    return {"account": registry.account, "region": registry.region, "name": name}


def _unknown(name: str) -> Validation:
    return Validation(
        f"Invalid account setting name '{name}': it can be one of {', '.join(sorted(DEFAULTS))}"
    )
