"""What is named about a private endpoint: itself, its service, its network."""

from __future__ import annotations

import hashlib
import re

CARRIED = ("cloudtrail", "ec2", "ecr.api", "ecr.dkr", "iam", "kms", "secretsmanager", "sts")
"""The services that an endpoint can be for. ECR Public is not among them (ECR user guide)."""

OF_CALLS = {
    "cloudtrail": "cloudtrail",
    "ec2": "ec2",
    "ecr": "ecr.api",
    "iam": "iam",
    "kms": "kms",
    "moorage": "ecr.api",  # about the same repositories; no endpoint of AWS is called so
    "secretsmanager": "secretsmanager",
    "sts": "sts",
}
"""Which of them a call is for, by the service that it is signed for."""

_ID = re.compile(r"vpce-[0-9a-f]{17}")
_NETWORK = re.compile(r"vpc-[0-9a-z-]{1,60}")


def is_endpoint_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def id_of_name(name: str) -> str:
    """Of an endpoint of the configuration that gives none: the same after every start."""
    return "vpce-" + hashlib.sha256(b"moorage endpoint\0" + name.encode()).hexdigest()[:17]


def is_network(text: str) -> bool:
    return _NETWORK.fullmatch(text) is not None


def service_in(service_name: str, region: str) -> str | None:
    """`ecr.api` of `com.amazonaws.us-east-1.ecr.api`; None for what is no service of the region."""
    prefix = f"com.amazonaws.{region}."
    service = service_name.removeprefix(prefix)
    return service if service_name.startswith(prefix) and service in CARRIED else None
