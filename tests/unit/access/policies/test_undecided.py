from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from moorage.access.policies.compile import compile_policy
from moorage.access.policies.decide import Asked, Caller, PolicySet, decide
from moorage.access.policies.syntax import ConditionText
from moorage.access.policies.undecided import foresee, told

ACCOUNT = "123456789012"
RESOURCE = f"arn:aws:ecr:home-1:{ACCOUNT}:repository/app"
CALLER = Caller("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/eve", unique_id="AIDA")
CONDITIONS: tuple[dict[str, Any], ...] = (
    {},
    {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    {"Bool": {"aws:SecureTransport": "true"}},
    {"StringEquals": {"aws:UserName": "eve"}},
    {"StringEquals": {"aws:UserName": "adam"}},
    {"StringEquals": {"aws:UserName": "${aws:Referer}"}},
)
REQUESTS = [
    {"aws:sourceip": address, "aws:securetransport": secure, "aws:referer": referer}
    for address, secure, referer in product(("10.0.0.1", "192.0.2.1"), ("true", "false"), ("eve", "x"))
]


def statement(effect: str, condition: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": "ecr:*", "Resource": "*", "Condition": condition, **more}


def policies(*statements: dict[str, Any], boundary: dict[str, Any] | None = None) -> PolicySet:
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    bound = json.dumps({"Version": "2012-10-17", "Statement": boundary})
    return PolicySet(
        identity=(compile_policy(text, "identity"),),
        boundary=(compile_policy(bound, "identity"),) if boundary else None,
    )


def is_known(key: str) -> bool:
    return key == "aws:username"


def asked(**context: str) -> Asked:
    return Asked(CALLER, "ecr:PutImage", RESOURCE, ACCOUNT, {"aws:username": "eve", **context})


@pytest.mark.parametrize(("allowed", "denied"), list(product(CONDITIONS, (None, *CONDITIONS))))
@pytest.mark.parametrize("bound", [None, CONDITIONS[0], CONDITIONS[1]])
def test_always_and_never_hold_for_every_request(
    allowed: dict[str, Any], denied: dict[str, Any] | None, bound: dict[str, Any] | None
) -> None:
    statements = [statement("Allow", allowed), *([statement("Deny", denied)] if denied is not None else [])]
    every = policies(*statements, boundary=statement("Allow", bound) if bound is not None else None)

    outlook = foresee(asked(), every, is_known)

    decisions = {decide(asked(**request), every).allowed for request in REQUESTS}
    if not outlook.decision.allowed:
        assert decisions == {False}
    elif not outlook.conditions:
        assert decisions == {True}


def test_conditions_of_every_layer_are_told() -> None:
    outlook = foresee(
        asked(),
        policies(
            statement("Allow", {**CONDITIONS[1], **CONDITIONS[4]}),
            statement("Deny", CONDITIONS[3]),
            boundary=statement("Allow", {"StringLike": {"moorage:ImageTag": ["dev-*", "test"]}}),
        ),
        is_known,
    )

    assert outlook.conditions == (
        "aws:SourceIp in 10.0.0.0/8",
        "moorage:ImageTag like dev-* or test",
        "unless aws:SecureTransport is true",
    )


@pytest.mark.parametrize(
    ("operator", "values", "text"),
    [
        ("IpAddress", ("10.0.0.1",), "k:k in 10.0.0.1"),
        ("ForAnyValue:StringLikeIfExists", ("a", "b"), "k:k like a or b (if it is there)"),
        ("Null", ("true",), "k:k is absent"),
        ("Null", ("false",), "k:k is there"),
        ("BinaryEquals", ("YQ==",), "k:k BinaryEquals YQ=="),
    ],
)
def test_conditions_are_told_in_words(operator: str, values: tuple[str, ...], text: str) -> None:
    assert told(ConditionText(operator, "k:k", values)) == text
