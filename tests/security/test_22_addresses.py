"""Addresses in policies (22) and services that act for others (46): asked of the rules themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from moorage.access.policies.compile import compile_policy
from moorage.access.policies.decide import Asked, Caller, PolicySet, decide

ACCOUNT, OTHER = "111111111111", "222222222222"
REPOSITORY = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/app"
USER = Caller("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/dev", unique_id="AIDAAAAAAAAAAAAAAAAA")


def may(operator: str, block: str, address: str | None) -> bool:
    statement = {
        "Effect": "Allow",
        "Action": "*",
        "Resource": "*",
        "Condition": {operator: {"aws:SourceIp": block}},
    }
    policy = compile_policy(json.dumps({"Version": "2012-10-17", "Statement": [statement]}), "identity")
    context = {"aws:sourceip": address} if address is not None else {}
    asked = Asked(USER, "ecr:ListImages", REPOSITORY, ACCOUNT, context)
    return decide(asked, PolicySet(identity=(policy,))).allowed


@pytest.mark.parametrize(
    ("block", "address", "is_inside"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.10", False),
        ("10.0.0.0/8", "010.1.2.3", False),
        ("10.0.0.0/8", "0x0a.1.2.3", False),
        ("10.0.0.0/8", "167838211", False),
        ("10.0.0.0/8", "10.1.2.3 ", False),
        ("10.0.0.0/8", "10.1.2.3,11.0.0.1", False),
        ("10.0.0.0/8", "", False),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("::/0", "10.1.2.3", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "2001:0DB8:0:0::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("fe80::/10", "10.1.2.3", False),
    ],
)
def test_an_address_is_inside_a_block_or_not_whatever_it_is_written_like(
    block: str, address: str, is_inside: bool
) -> None:
    assert may("IpAddress", block, address) is is_inside


def test_without_an_address_nothing_is_inside_and_all_is_outside() -> None:
    """Over a private endpoint there is no aws:SourceIp: a denial of all others then denies."""
    assert not may("IpAddress", "0.0.0.0/0", None)
    assert may("NotIpAddress", "10.0.0.0/8", None)
    assert may("IpAddressIfExists", "10.0.0.0/8", None)


# Services

SERVICE = Caller("service", "", "replication.ecr.amazonaws.com", service="replication.ecr.amazonaws.com")
FROM_OWN = {"aws:sourceaccount": ACCOUNT, "aws:sourcearn": f"arn:aws:ecr:us-east-1:{ACCOUNT}:registry"}
FROM_OTHER = {"aws:sourceaccount": OTHER, "aws:sourcearn": f"arn:aws:ecr:us-east-1:{OTHER}:registry"}


def service_may(
    caller: Caller, context: dict[str, str], condition: dict[str, Any] | None, principal: Any
) -> bool:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": "ecr:*", "Principal": principal}
    if condition:
        statement["Condition"] = condition
    policy = compile_policy(json.dumps({"Version": "2012-10-17", "Statement": [statement]}), "repository")
    return decide(
        Asked(caller, "ecr:PutImage", REPOSITORY, ACCOUNT, context), PolicySet(resource=(policy,))
    ).allowed


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        {"ArnLike": {"aws:SourceArn": f"arn:aws:ecr:*:{ACCOUNT}:*"}},
        {"ArnEquals": {"aws:SourceArn": f"arn:aws:ecr:us-east-1:{ACCOUNT}:registry"}},
    ],
)
def test_46_a_service_acts_for_whom_the_policy_says(condition: dict[str, Any]) -> None:
    principal = {"Service": SERVICE.service}

    assert service_may(SERVICE, FROM_OWN, condition, principal)
    assert not service_may(SERVICE, FROM_OTHER, condition, principal)
    assert not service_may(SERVICE, {}, condition, principal)


def test_46_no_service_is_another_and_no_user_a_service() -> None:
    principal = {"Service": SERVICE.service}
    scanner = replace(SERVICE, arn="scanner.ecr.amazonaws.com", service="scanner.ecr.amazonaws.com")

    assert not service_may(scanner, FROM_OWN, None, principal)
    assert not service_may(USER, FROM_OWN, None, principal)
    assert not service_may(replace(USER, arn=str(SERVICE.service)), FROM_OWN, None, principal)
    assert not service_may(SERVICE, FROM_OWN, None, {"AWS": ACCOUNT})


def test_46_a_service_has_no_permissions_of_its_own() -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = compile_policy(json.dumps({"Version": "2012-10-17", "Statement": [everything]}), "identity")

    asked = Asked(SERVICE, "ecr:PutImage", REPOSITORY, ACCOUNT, FROM_OWN)

    assert not decide(asked, PolicySet(identity=(policy,))).allowed
