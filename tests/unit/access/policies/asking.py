"""How tests of policies are written: a caller, policies as dictionaries, a question."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from moorage.access.policies.compile import Policy, compile_policy
from moorage.access.policies.context import normalized
from moorage.access.policies.decide import Asked, Caller, Decision, PolicySet, decide
from moorage.access.policies.syntax import Kind

ACCOUNT = "111111111111"
OTHER_ACCOUNT = "222222222222"
REPOSITORY = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/team/app"

USER = Caller("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/dev-1", unique_id="AIDAAAAAAAAAAAAAAAAA")
FOREIGN_USER = Caller("user", OTHER_ACCOUNT, f"arn:aws:iam::{OTHER_ACCOUNT}:user/dev-2")
SESSION = Caller(
    "role",
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/run1",
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/build/ci",
    unique_id="AROAAAAAAAAAAAAAAAAA",
)
FEDERATED = Caller(
    "federated",
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
    user_arn=f"arn:aws:iam::{ACCOUNT}:user/dev-1",
)
ROOT = Caller("root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
ANONYMOUS = Caller("anonymous", "", "")
SERVICE = Caller("service", "", "", service="lambda.amazonaws.com")

Tree = Mapping[str, Any]


def statement(
    effect: str = "Allow", action: Any = "ecr:*", resource: Any = "*", **more: Any
) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def named(principal: Any, effect: str = "Allow", action: Any = "ecr:*", **more: Any) -> dict[str, Any]:
    """A statement of a repository's policy."""
    return {"Effect": effect, "Action": action, "Principal": principal, **more}


def text_of(*statements: Tree, version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


def policy(
    *statements: Tree, kind: Kind = "identity", version: str = "2012-10-17", source: str = ""
) -> Policy:
    return compile_policy(text_of(*statements, version=version), kind, source=source)


def ask(
    policies: PolicySet,
    caller: Caller = USER,
    action: str = "ecr:PutImage",
    resource: str = REPOSITORY,
    context: Mapping[str, str | Sequence[str]] | None = None,
) -> Decision:
    return decide(Asked(caller, action, resource, ACCOUNT, normalized(context or {})), policies)


def allows(tree: Tree, version: str = "2012-10-17", **question: Any) -> bool:
    """Whether one statement of an identity policy, alone, allows it."""
    return ask(PolicySet(identity=(policy(tree, version=version),)), **question).allowed


def denies(tree: Tree, version: str = "2012-10-17", **question: Any) -> bool:
    """Whether one statement, beside another that allows everything, denies it."""
    everything = policy(statement(action="*"))
    return ask(PolicySet(identity=(everything, policy(tree, version=version))), **question).explicit


def holds(condition: Tree, context: Mapping[str, str | Sequence[str]] | None = None) -> bool:
    """Whether a condition is true; Allow and Deny agree about it."""
    is_true = allows(statement(Condition=condition), context=context or {})
    assert denies(statement("Deny", Condition=condition), context=context or {}) is is_true
    return is_true
