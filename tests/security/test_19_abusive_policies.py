"""A policy is text from a stranger: whatever is sent as one is answered quickly, and refused or understood."""

from __future__ import annotations

import json
import time

import pytest

from .calling import Answer
from .places import Account, allow, deny, grant, policy, trust_policy

SECONDS = 10.0  # what is quick takes a few hundredths on an idle machine; what is not, years
REFUSED = {
    "InvalidParameterException",
    "LimitExceeded",
    "MalformedPolicyDocument",
    "MalformedInput",
    "PackedPolicyTooLarge",
    "SerializationException",
    "ValidationError",
}


def statement(**members: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{**grant("*", "ecr:ListImages"), **members}]})


ONE = statement()
TEXTS = {
    "arrays in arrays": "[" * 100_000,
    "objects in objects": '{"a":' * 100_000,
    "deep and closed": '{"Version":"2012-10-17","Statement":' + "[" * 9_000 + "]" * 9_000 + "}",
    "a megabyte of spaces": ONE + " " * 1_000_000,
    "a megabyte of text": statement(Sid="x" * 1_000_000),
    "many values": statement(Action=["ecr:ListImages"] * 100_000),
    "many statements": json.dumps({"Version": "2012-10-17", "Statement": [grant("*", "ecr:*")] * 20_000}),
    "many principals": statement(Principal={"AWS": ["123456789012"] * 50_000}),
    "many keys": statement(Condition={"StringEquals": {f"aws:RequestTag/{n}": "x" for n in range(20_000)}}),
    "one key twice": ONE.replace('"Effect"', '"Effect": "Deny", "Effect"'),
    "a statement twice": ONE[:-1] + ', "Statement": []}',
    "a variable in a variable": statement(Condition={"StringEquals": {"aws:username": "${${aws:username}}"}}),
    "variables without an end": statement(Condition={"StringLike": {"aws:username": "${" * 5_000}}),
    "a thousand stars": statement(Condition={"StringLike": {"aws:username": "*a" * 2_000 + "b"}}),
    "NUL": ONE.replace("ListImages", "List\\u0000Images"),
    "half a character": ONE.replace("ListImages", "List\\ud800Images"),
    "a huge number": ONE.replace('"Allow"', "1" * 100_000),
    "a number with an exponent": ONE.replace('"Allow"', "1e999999999"),
    "NaN": ONE.replace('"Allow"', "NaN"),
    "null": "null",
    "a number": "17",
    "a string": '"x"',
    "an empty list": "[]",
    "nothing": "{}",
    "not JSON": "Version: 2012-10-17",
    "a comment": "/* */" + ONE,
    "a byte order mark": "\ufeff" + ONE,
    "more after the end": ONE + "{}",
    "an unknown element": statement(Efect="Allow"),
    "an unknown effect": statement(Effect="Maybe"),
    "an operator of nobody": statement(Condition={"StringFuzzy": {"aws:username": "x"}}),
    "a condition that is a list": statement(Condition=[{"StringEquals": {"aws:username": "x"}}]),
    "addresses that are none": statement(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/99"}}),
    "a version of tomorrow": ONE.replace("2012-10-17", "2030-01-01"),
}
MAY_BE_UNDERSTOOD = {"a thousand stars", "a variable in a variable", "variables without an end"}
DOORS = {
    "repository": lambda a, text: a.root.call("ecr.SetRepositoryPolicy", repositoryName="abused/app", policyText=text),
    "registry": lambda a, text: a.root.call("ecr.PutRegistryPolicy", policyText=text),
    "user": lambda a, text: a.root.call("iam.PutUserPolicy", UserName="abused", PolicyName="x", PolicyDocument=text),
    "managed": lambda a, text: a.root.call("iam.CreatePolicy", PolicyName="abused-x", PolicyDocument=text),
    "trust": lambda a, text: a.root.call("iam.CreateRole", RoleName="abused-x", AssumeRolePolicyDocument=text),
    "session": lambda a, text: a.session("user", "abused").call(
        "sts.AssumeRole", RoleArn=f"arn:aws:iam::{a.id}:role/abused", RoleSessionName="run-1", Policy=text
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def abused(a: Account) -> Account:
    a.repository("abused/app")
    a.user(allow("sts:*"), name="abused")
    a.role("abused", allow("*"))
    return a


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("text", TEXTS)
def test_what_is_no_policy_is_refused_quickly(abused: Account, door: str, text: str) -> None:
    started = time.perf_counter()
    answer: Answer = DOORS[door](abused, TEXTS[text])
    elapsed = time.perf_counter() - started

    assert elapsed < SECONDS
    assert (answer.status, answer.code) == (400, answer.code) or text in MAY_BE_UNDERSTOOD, answer
    assert answer.code in REFUSED or text in MAY_BE_UNDERSTOOD, answer
    assert abused.root.call("ecr.ListImages", repositoryName="abused/app").status == 200


def test_a_pattern_that_others_take_years_for_takes_no_time(a: Account, abused: Account) -> None:
    """`*a*a*a…b` against `aaaa…`: in a resource, an action and a condition."""
    wild = "*a" * 100 + "*b"
    name = "a" * 250
    a.user(
        allow("ecr:ListImages", a.arn(wild)),
        deny("ecr:" + "*L" * 30 + "z", a.arn(wild)),
        allow("ecr:ListImages", Condition={"StringLike": {"aws:username": wild, "aws:userid": wild}}),
        name="abused-wild",
    )
    caller = a.key_of("abused-wild")

    started = time.perf_counter()
    answers = [caller.call("ecr.ListImages", repositoryName=name) for _ in range(5)]

    assert all(answer.is_denied for answer in answers)
    assert time.perf_counter() - started < SECONDS


def test_52_whether_a_principal_of_another_account_exists_is_not_told(a: Account, b: Account) -> None:
    a.repository("named/app")
    b.user(name="named-there")
    b.role("named-there")
    principals = [
        *(
            f"arn:aws:iam::{b.id}:{kind}/named-{there}"
            for kind in ("user", "role")
            for there in ("there", "not")
        ),
        "arn:aws:iam::999999999999:root",
        "999999999999",
        b.id,
        f"arn:aws:sts::{b.id}:assumed-role/named-not/run-1",
    ]

    for principal in principals:
        text = policy(grant({"AWS": principal}, "ecr:ListImages"))
        set_ = a.root.call("ecr.SetRepositoryPolicy", repositoryName="named/app", policyText=text)
        assert set_.status == 200, principal
        trust = trust_policy({"AWS": principal})
        a.root.call("iam.DeleteRole", RoleName="named-trusts")
        made = a.root.call("iam.CreateRole", RoleName="named-trusts", AssumeRolePolicyDocument=trust)
        assert made.status == 200, principal


@pytest.mark.parametrize("kind", ["user", "role"])
def test_52_a_principal_of_the_own_account_must_exist(a: Account, kind: str) -> None:
    a.root.call("ecr.CreateRepository", repositoryName="named/own")
    missing = f"arn:aws:iam::{a.id}:{kind}/named-missing"
    text = policy(grant({"AWS": missing}, "ecr:ListImages"))

    answer = a.root.call("ecr.SetRepositoryPolicy", repositoryName="named/own", policyText=text)

    assert answer.code == "InvalidParameterException"
    trust = a.root.call(
        "iam.CreateRole", RoleName="named-bad", AssumeRolePolicyDocument=trust_policy({"AWS": missing})
    )
    assert trust.code == "MalformedPolicyDocument"
