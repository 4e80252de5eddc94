"""The principals that a role's trust policy names.

A user or role of the own account is stored by its id, so that who is made under a name that was freed is not trusted
by it; read, the id is the ARN again, as long as there is one. Other accounts are not looked into: who is named there
may exist or not (IAM user guide, "AWS JSON policy elements: Principal").
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Kind
from moorage.base.errors.identities import MalformedPolicyDocument
from moorage.base.names import is_account_id
from moorage.store.db.api import Reads

_ID = re.compile(r"(?:AIDA|AROA)[A-Z2-7]{17}")
_ARN = re.compile(r"arn:aws:(?P<service>iam|sts)::(?P<account>[0-9]{12}):(?P<rest>[\x21-\x7e]+)")
_IAM_REST = re.compile(r"root|(?:user|role)/(?:[\x21-\x7e]+/)?[A-Za-z0-9_+=,.@-]{1,64}")
_STS_REST = re.compile(
    r"assumed-role/(?P<role>[A-Za-z0-9_+=,.@-]{1,64})/[A-Za-z0-9_+=,.@-]{2,64}"
    r"|federated-user/[A-Za-z0-9_+=,.@-]{2,32}"
)


async def with_ids(reads: Reads, account: str, document: str) -> str:
    """The document to store; it has passed `parse`. Raise `MalformedPolicyDocument` for who does not exist."""
    names = sorted(set(_named(document)))
    ids = {name: id_ for name in names if (id_ := await _id_of(reads, account, name)) != name}
    return _replaced(document, ids)


async def with_arns(reads: Reads, account: str, documents: Mapping[str, str]) -> dict[str, str]:
    """Stored documents as they are shown and decided by. The id of who is gone stays, and is nobody's."""
    named = {id_ for document in documents.values() for id_ in _ID.findall(document)}
    if not named:
        return dict(documents)
    rows = await reads.all("identities.names_of", {"account": account, "ids": sorted(named)})
    arns = {id_: f"arn:aws:iam::{account}:{kind}{path}{name}" for id_, kind, path, name in rows}
    return {key: _replaced(document, arns) for key, document in documents.items()}


async def _id_of(reads: Reads, account: str, name: str) -> str:
    """What stands for a principal in the stored document."""
    if name == "*" or is_account_id(name):
        return name
    if _ID.fullmatch(name):
        found = await entities.by_id(reads, name)
        if found is not None and found.account == account:
            return name
        raise _invalid(name)
    match = _ARN.fullmatch(name)
    if match is None:
        raise _invalid(name)
    in_account = _IAM_REST if match["service"] == "iam" else _STS_REST
    rest = in_account.fullmatch(match["rest"])
    if rest is None:
        raise _invalid(name)
    if match["account"] != account or match["rest"] == "root":
        return name
    if match["service"] == "sts":
        role = rest["role"]
        if role is not None and await entities.find(reads, account, "role", role) is None:
            raise _invalid(name)
        return name
    return await _own(reads, account, name)


async def _own(reads: Reads, account: str, arn: str) -> str:
    kind: Kind = "user" if arn.split(":", 5)[5].startswith("user/") else "role"
    found = await entities.find(reads, account, kind, arn.rpartition("/")[2])
    if found is None or found.arn != arn:
        raise _invalid(arn)
    return found.id


def _invalid(name: str) -> MalformedPolicyDocument:
    return MalformedPolicyDocument(f'Invalid principal in policy: "AWS":"{name}"')


def _named(document: str) -> Iterable[str]:
    found: list[str] = []

    def note(name: str) -> str:
        found.append(name)
        return name

    _each_principal(json.loads(document), note)
    return found


def _replaced(document: str, others: Mapping[str, str]) -> str:
    """As it was written where nobody is replaced, else without the white space between."""
    if not others or not any(name in others for name in _named(document)):
        return document
    tree = json.loads(document)
    _each_principal(tree, lambda name: others.get(name, name))
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False)


def _each_principal(tree: dict[str, Any], change: Callable[[str], str]) -> None:
    """Put `change(name)` in the place of each name under `Principal.AWS` of each statement."""
    statements = tree["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        if not isinstance(principal, dict) or "AWS" not in principal:
            continue
        names = principal["AWS"]
        principal["AWS"] = change(names) if isinstance(names, str) else [change(name) for name in names]
