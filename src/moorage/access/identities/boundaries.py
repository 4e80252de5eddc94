"""Permissions boundaries: a managed policy that a user or role may not exceed."""

from __future__ import annotations

from moorage.access.identities.aws_managed import aws_managed
from moorage.base.errors.identities import NoSuchEntity
from moorage.store.db.api import Reads


async def check(reads: Reads, account: str, policy: str) -> None:
    """Raise `NoSuchEntity` unless it is the ARN of a managed policy of the account or of AWS."""
    if aws_managed(policy) is not None:
        return
    is_own = policy.startswith(f"arn:aws:iam::{account}:policy/")
    if not is_own or await reads.one("identities.managed_document", {"arn": policy}) is None:
        raise NoSuchEntity(f"Scope ARN: {policy} does not exist or is not attachable.")
