"""Managed policies: documents of their own that are attached to users, groups and roles, or bound them.

Those of an account are rows and have up to five versions, of which one counts; those of AWS (`aws_managed`) are there
for every account and nobody changes them. An ARN finds either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.access.identities.aws_managed import (
    ARN_PREFIX,
    AwsManagedPolicy,
    all_aws_managed,
    aws_managed,
    document_of,
)
from moorage.access.identities.ids import new_id
from moorage.access.identities.inline import counted_size
from moorage.base.errors.identities import DeleteConflict, EntityAlreadyExists, InvalidInput, NoSuchEntity
from moorage.base.errors.images import LimitExceeded
from moorage.store.db.api import Reads, Row, Transaction

MOST_CHARACTERS = 6_144
"""Of a document, without white space (IAM user guide, "IAM and AWS STS quotas")."""
MOST_VERSIONS = 5
_OWN, _OF_AWS = "own/", "aws/"
_LATER_THAN_ANY = 1 << 62


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    arn: str
    id: str
    path: str
    name: str
    description: str
    created: int
    updated: int
    default_version: int
    attachments: int
    """To how many users, groups and roles of the account that asks."""
    boundaries: int
    """How many of its users and roles it bounds."""
    is_attachable: bool = True


@dataclass(frozen=True, slots=True)
class Version:
    number: int
    created: int
    document: str
    is_default: bool

    @property
    def id(self) -> str:
        return f"v{self.number}"


def arn_of(account: str, path: str, name: str) -> str:
    return f"arn:aws:iam::{account}:policy{path}{name}"


def path_and_name(arn: str) -> tuple[str, str]:
    """What the ARN of a managed policy says of both."""
    path, _, name = arn.split(":", 5)[5].removeprefix("policy").rpartition("/")
    return f"{path}/", name


def refuse_malformed(arn: str) -> None:
    """Raise `InvalidInput` for what is no ARN at all."""
    if not arn.startswith("arn:") or arn.count(":") < 5:
        raise InvalidInput("Invalid ARN:  Could not be parsed!")


async def find(reads: Reads, account: str, arn: str) -> ManagedPolicy | None:
    """One of the account or of AWS."""
    of_aws = aws_managed(arn)
    if of_aws is not None:
        return (await _of_aws(reads, account, [of_aws]))[0]
    row = await reads.one("identities.policy", {"account": account, "arn": arn})
    return None if row is None else ManagedPolicy(*row)


async def need(reads: Reads, account: str, arn: str) -> ManagedPolicy:
    """Raise `NoSuchEntity`, `InvalidInput` for what is no ARN."""
    refuse_malformed(arn)
    found = await find(reads, account, arn)
    if found is None:
        raise NoSuchEntity(f"Policy {arn} was not found.")
    return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which policies a listing is about."""

    own: bool = True
    of_aws: bool = True
    path: str = "/"
    attached: bool = False
    """Only those that are attached to somebody."""
    bounding: bool = False
    """Only those that bound somebody."""


async def page(
    reads: Reads, account: str, wanted: Wanted, *, after: str = "", limit: int = 100
) -> list[ManagedPolicy]:
    """The account's own before those of AWS, by name; after a `place`."""
    found: list[ManagedPolicy] = []
    if wanted.own and not after.startswith(_OF_AWS):
        found = await _page_of_own(reads, account, wanted, after.removeprefix(_OWN), limit)
    if wanted.of_aws and len(found) < limit:
        rest = after.removeprefix(_OF_AWS) if after.startswith(_OF_AWS) else ""
        found += await _page_of_aws(reads, account, wanted, rest, limit - len(found))
    return found


def place(policy: ManagedPolicy) -> str:
    """Where a listing goes on that has shown this policy."""
    return f"{_OF_AWS if aws_managed(policy.arn) else _OWN}{policy.name.lower()}"


async def create(
    tx: Transaction,
    account: str,
    name: str,
    document: str,
    now: int,
    *,
    path: str = "/",
    description: str = "",
) -> ManagedPolicy:
    """With its first version. Raise `EntityAlreadyExists`, also for a name that differs only in case."""
    refuse_too_large(document)
    if await tx.one("identities.policy_named", {"account": account, "folded": name.lower()}):
        raise EntityAlreadyExists(f"A policy called {name} already exists. Duplicate names are not allowed.")
    made = ManagedPolicy(
        arn_of(account, path, name), new_id("ANPA"), path, name, description, now, now, 1, 0, 0
    )
    await tx.run(
        "identities.insert_policy",
        {
            "arn": made.arn,
            "id": made.id,
            "account": account,
            "path": path,
            "name": name,
            "folded": name.lower(),
            "description": description,
            "created": now,
        },
    )
    await _insert_version(tx, made.arn, 1, document, now)
    return made


async def delete(tx: Transaction, policy: ManagedPolicy) -> None:
    """Raise `DeleteConflict` while it is in use or has other versions."""
    if policy.attachments or policy.boundaries:
        raise DeleteConflict("Cannot delete a policy attached to entities.")
    if len(await versions(tx, policy)) > 1:
        raise DeleteConflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's "
            "versions. The default version is deleted with the policy."
        )
    await tx.run("identities.clear_tags", {"owner": policy.arn})
    await tx.run("identities.delete_policy", {"arn": policy.arn})


def refuse_too_large(document: str) -> None:
    """Raise `LimitExceeded`."""
    if counted_size(document) > MOST_CHARACTERS:
        raise LimitExceeded(f"Cannot exceed quota for PolicySize: {MOST_CHARACTERS}")


# Versions


async def versions(reads: Reads, policy: ManagedPolicy) -> list[Version]:
    """Newest first."""
    of_aws = aws_managed(policy.arn)
    if of_aws is not None:
        return [Version(of_aws.version, of_aws.updated, of_aws.document, True)]
    rows = await reads.all("identities.versions", {"policy": policy.arn})
    return [_version(policy, row) for row in rows]


def newest_first(version: Version) -> str:
    """Orders versions as they are listed."""
    return f"{_LATER_THAN_ANY - version.number:020}"


async def versions_of_all(reads: Reads, policies: Sequence[ManagedPolicy]) -> dict[str, list[Version]]:
    """Newest first, by the ARN of the policy; those of an account are read at once."""
    own = {policy.arn: policy for policy in policies if aws_managed(policy.arn) is None}
    found: dict[str, list[Version]] = {arn: [] for arn in own}
    for arn, *row in await reads.all("identities.versions_of_all", {"policies": list(own)}):
        found[arn].append(_version(own[arn], tuple(row)))
    of_aws = {policy.arn: await versions(reads, policy) for policy in policies if policy.arn not in own}
    return found | of_aws


async def need_version(reads: Reads, policy: ManagedPolicy, id_: str) -> Version:
    """`v1` and so on; raise `NoSuchEntity`."""
    for version in await versions(reads, policy):
        if version.id == id_:
            return version
    raise NoSuchEntity(f"Policy {policy.arn} version {id_[:32]} does not exist or is not attachable.")


async def add_version(
    tx: Transaction, policy: ManagedPolicy, document: str, now: int, *, is_default: bool
) -> Version:
    """Numbers are never used again. Raise `LimitExceeded`."""
    refuse_too_large(document)
    if len(await versions(tx, policy)) >= MOST_VERSIONS:
        raise LimitExceeded(
            f"A managed policy can have up to {MOST_VERSIONS} versions. Before you create a new version, you must "
            "delete an existing version."
        )
    row = await tx.one("identities.latest_version", {"arn": policy.arn})
    number = (row[0] if row else 0) + 1
    await _insert_version(tx, policy.arn, number, document, now)
    await tx.run("identities.count_version", {"policy": policy.arn, "version": number, "now": now})
    if is_default:
        await tx.run("identities.set_default_version", {"policy": policy.arn, "version": number, "now": now})
    return Version(number, now, document, is_default)


async def set_default(tx: Transaction, policy: ManagedPolicy, id_: str, now: int) -> None:
    """Raise `NoSuchEntity`. It counts from the next request on."""
    chosen = await need_version(tx, policy, id_)
    await tx.run(
        "identities.set_default_version", {"policy": policy.arn, "version": chosen.number, "now": now}
    )


async def delete_version(tx: Transaction, policy: ManagedPolicy, id_: str) -> None:
    """Raise `NoSuchEntity`, and `DeleteConflict` for the one that counts."""
    version = await need_version(tx, policy, id_)
    if version.is_default:
        raise DeleteConflict("Cannot delete the default version of a policy.")
    await tx.run("identities.delete_version", {"policy": policy.arn, "version": version.number})


async def document(reads: Reads, account: str, arn: str) -> str | None:
    """What the policy says now; None if the account has no such policy."""
    if arn.startswith(ARN_PREFIX + "/"):
        return document_of(arn)
    if not arn.startswith(f"arn:aws:iam::{account}:policy/"):
        return None
    row = await reads.one("identities.managed_document", {"arn": arn})
    return None if row is None else str(row[0])


async def _page_of_own(
    reads: Reads, account: str, wanted: Wanted, after: str, limit: int
) -> list[ManagedPolicy]:
    rows = await reads.all(
        "identities.policies",
        {
            "account": account,
            "path": wanted.path,
            "beyond": wanted.path + "\U0010ffff",
            "attached": int(wanted.attached),
            "bounding": int(wanted.bounding),
            "after": after,
            "limit": limit,
        },
    )
    return [ManagedPolicy(*row) for row in rows]


async def _page_of_aws(
    reads: Reads, account: str, wanted: Wanted, after: str, limit: int
) -> list[ManagedPolicy]:
    under = [
        policy
        for policy in all_aws_managed()
        if policy.path.startswith(wanted.path) and policy.name.lower() > after
    ]
    used = [
        policy
        for policy in await _of_aws(reads, account, sorted(under, key=lambda each: each.name.lower()))
        if (policy.attachments or not wanted.attached) and (policy.boundaries or not wanted.bounding)
    ]
    return used[:limit]


async def _insert_version(tx: Transaction, arn: str, number: int, document: str, now: int) -> None:
    await tx.run(
        "identities.insert_version",
        {"policy": arn, "version": number, "document": document, "created": now},
    )


def _version(policy: ManagedPolicy, row: Row) -> Version:
    number, created, document = row
    return Version(number, created, document, number == policy.default_version)


async def _of_aws(reads: Reads, account: str, policies: Sequence[AwsManagedPolicy]) -> list[ManagedPolicy]:
    values = {"account": account, "arns": [policy.arn for policy in policies]}
    attached: dict[str, int] = dict(await reads.all("identities.uses_of_policies", values))
    bounding: dict[str, int] = dict(await reads.all("identities.bounds_of_policies", values))
    return [
        ManagedPolicy(
            arn=policy.arn,
            id=policy.id,
            path=policy.path,
            name=policy.name,
            description="",
            created=policy.created,
            updated=policy.updated,
            default_version=policy.version,
            attachments=attached.get(policy.arn, 0),
            boundaries=bounding.get(policy.arn, 0),
            is_attachable=policy.is_attachable,
        )
        for policy in policies
    ]
