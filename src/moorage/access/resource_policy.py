"""The policies of repositories and registries: checked when they are set, printed as Amazon prints them.

Principals of the own account must exist, and are stored by their ids, so that who is made under a freed name has
nothing. Those of other accounts are not looked into: whether they exist is not told (docs/differences.md).
"""

from __future__ import annotations

import json
from typing import Any, Literal

from moorage.access.authorize import denied
from moorage.access.call import Call
from moorage.access.identities import trust
from moorage.access.policies.compile import compile_policy
from moorage.access.policies.document import MalformedPolicy, names_only, parse
from moorage.base.errors.identities import MalformedPolicyDocument
from moorage.base.errors.requests import InvalidParameter
from moorage.store.db.api import Reads, Transaction

_MEMBER = "PolicyText"
_ORDER = ("Version", "Id", "Statement", "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction",
          "Resource", "NotResource", "Condition")  # fmt: skip


async def find(reads: Reads, arn: str) -> str | None:
    """As it is stored."""
    row = await reads.one("access.resource_policy", {"arn": arn})
    return row[0] if row is not None else None


async def store(tx: Transaction, arn: str, text: str, now: int) -> None:
    await tx.run("access.set_resource_policy", {"arn": arn, "policy": text, "now": now})


async def clear(tx: Transaction, arn: str) -> None:
    await tx.run("access.clear_resource_policy", {"arn": arn})


async def checked(
    call: Call, text: str, kind: Literal["repository", "registry"], account: str, arn: str
) -> str:
    """The text to store. Raise `InvalidParameter`."""
    try:
        document = parse(text, kind)
        if kind == "repository" and not names_only(document, arn):
            raise MalformedPolicy("its resources are of other repositories")
        return await trust.with_ids(call.db, account, text)
    except (MalformedPolicy, MalformedPolicyDocument):
        raise InvalidParameter(at=_MEMBER, constraint=f"Invalid {kind} policy provided") from None


async def refuse_lock_out(call: Call, text: str, arn: str) -> None:
    """A policy that would keep the caller from setting another is refused: raise `InvalidParameter`."""
    action = "ecr:SetRepositoryPolicy"
    decision = await call.services.authorizer.decide(
        call.principal,
        action,
        arn,
        call.account,
        call.around,
        instead=(compile_policy(text, "repository", source=arn),),
    )
    if decision.explicit:
        why = denied(call, action, arn, decision)
        raise InvalidParameter(
            at=_MEMBER,
            constraint=f"it would keep you from setting another; use force to set it all the same. {why}",
        )


async def printed(call: Call, text: str, account: str) -> str:
    """As Amazon ECR prints a policy: its elements in order, indented, the values as they were written."""
    shown = (await trust.with_arns(call.db, account, {"": text}))[""]
    return _print(json.loads(shown), "")


def _print(value: Any, indent: str) -> str:
    if isinstance(value, dict) and value:
        inner = indent + "  "
        members = [
            f"{inner}{json.dumps(key, ensure_ascii=False)} : {_print(value[key], inner)}"
            for key in sorted(value, key=_place)
        ]
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        return "[ " + ", ".join(_print(item, indent) for item in value) + " ]"
    if isinstance(value, (dict, list)):
        return "{ }" if isinstance(value, dict) else "[ ]"
    return json.dumps(value, ensure_ascii=False)


def _place(key: str) -> int:
    """Elements of a policy in Amazon's order; other keys (of conditions) stay in theirs: the sort is stable."""
    return _ORDER.index(key) if key in _ORDER else len(_ORDER)
