"""Users, roles and identity providers of an account of a real server, made by its root."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from typing import Any

import boto3
from botocore.config import Config

from ..conftest import Server

REGION = "us-east-1"
_NUMBERS = count(1)


def allow(*actions: str, resource: str | list[str] = "*", **condition: Any) -> str:
    """An identity policy of one statement."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(principal: dict[str, Any] | str, *actions: str, condition: dict[str, Any] | None = None) -> str:
    """A trust policy of one statement."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": list(actions) or ["sts:AssumeRole"],
    }
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass(frozen=True)
class Caller:
    """Whoever has these keys."""

    server: Server
    key_id: str
    secret: str
    token: str | None = None

    @classmethod
    def of(cls, server: Server, credentials: dict[str, Any]) -> Caller:
        """`Credentials` as STS answers them."""
        return cls(
            server, credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]
        )

    def client(self, service: str, region: str = REGION) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.server.endpoint,
            region_name=region,
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.secret,
            aws_session_token=self.token,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=30, parameter_validation=False),
        )

    @property
    def arn(self) -> str:
        return str(self.client("sts").get_caller_identity()["Arn"])

    def assume(self, role: str, name: str = "test-session", **options: Any) -> Caller:
        answer = self.client("sts").assume_role(RoleArn=role, RoleSessionName=name, **options)
        return Caller.of(self.server, answer["Credentials"])


@dataclass(frozen=True)
class Account:
    """An account and its root."""

    root: Caller
    id: str
    iam: Any

    @classmethod
    def of(cls, root: Caller) -> Account:
        id_ = root.client("sts").get_caller_identity()["Account"]
        return cls(root, id_, root.client("iam"))

    def user(self, policy: str | None = None, **options: Any) -> tuple[str, Caller]:
        """A new one with a key: its ARN, and it."""
        name = f"user-{next(_NUMBERS)}"
        arn = self.iam.create_user(UserName=name, **options)["User"]["Arn"]
        if policy is not None:
            self.iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return arn, Caller(self.root.server, key["AccessKeyId"], key["SecretAccessKey"])

    def role(self, trusted: str, policy: str | None = None, **options: Any) -> str:
        """The ARN of a new one."""
        name = f"role-{next(_NUMBERS)}"
        arn = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted, **options)["Role"]["Arn"]
        if policy is not None:
            self.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
        return str(arn)


def name_of(arn: str) -> str:
    return arn.rpartition("/")[2]
