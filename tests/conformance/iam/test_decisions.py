"""The table of decisions, written from Amazon's documentation: decisions.json, case by case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moorage.access.policies.compile import Policy, compile_policy
from moorage.access.policies.context import normalized
from moorage.access.policies.decide import Asked, Caller, PolicySet, decide
from moorage.access.policies.syntax import Kind

CASES = json.loads(Path(__file__).with_name("decisions.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['id']}-{case['why']}")
def test_decide_of_the_table_is_as_expected(case: dict[str, Any]) -> None:
    asked = Asked(
        caller_of(case["principal"]),
        case["action"],
        case["resource"],
        case["resourceAccount"],
        normalized(case["context"]),
    )
    policies = PolicySet(
        identity=compiled(case["identityPolicies"], "identity"),
        boundary=optional(case["permissionsBoundary"], "identity"),
        session=optional(case["sessionPolicy"], "identity"),
        resource=optional(case["resourcePolicy"], "repository") or (),
        scps=tuple(compiled(level, "scp") for level in case["scpLevels"]),
        rcps=tuple(compiled(level, "rcp") for level in case["rcpLevels"]),
        endpoint=optional(case["endpointPolicies"], "endpoint"),
    )

    decision = decide(asked, policies)

    said = "Allowed" if decision.allowed else "ExplicitlyDenied" if decision.explicit else "ImplicitlyDenied"
    assert said == case["expected"]


def caller_of(principal: str | None) -> Caller:
    if not principal:
        return Caller("anonymous", "", "")
    if not principal.startswith("arn:"):
        return Caller("service", "", "", service=principal)
    account = principal.split(":")[4]
    if ":assumed-role/" in principal:
        role = principal.split("/")[1]
        return Caller("role", account, principal, role_arn=f"arn:aws:iam::{account}:role/{role}")
    return Caller("user", account, principal)


def compiled(trees: list[Any], kind: Kind) -> tuple[Policy, ...]:
    return tuple(compile_policy(json.dumps(tree), kind) for tree in trees)


def optional(trees: Any, kind: Kind) -> tuple[Policy, ...] | None:
    if trees is None:
        return None
    return compiled(trees if isinstance(trees, list) else [trees], kind)
