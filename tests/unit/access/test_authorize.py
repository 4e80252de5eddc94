from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from moorage.access import resource_policy
from moorage.access.authorize import allows, authorize
from moorage.access.authorizer import Circumstances
from moorage.access.call import Call
from moorage.access.identities import entity as entities
from moorage.access.principals import Session, principal_of
from moorage.base.clock import HOUR
from moorage.base.errors.access import AccessDenied
from moorage.base.http import Arrival

from ..registry.memory import call_of, in_memory, with_limits
from ..registry.registry import ACCOUNT, REGION, MemoryRegistry

OWN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/app"
OTHER = "210987654321"


def document(*statements: Mapping[str, Any]) -> str:
    return msgspec.json.encode({"Version": "2012-10-17", "Statement": list(statements)}).decode()


def allow(action: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": "*", **more}


async def user(registry: MemoryRegistry, *policies: str, account: str = ACCOUNT) -> Call:
    """A call by a new user with these inline policies."""
    services = registry.services
    if (account, 0) not in await registry.db.all("access.accounts", {"after": "", "limit": 9}):
        async with registry.db.transaction() as tx:
            await tx.run("access.insert_account", {"id": account, "created": 0})
    async with services.epochs.changing(account) as tx:
        made = await entities.insert(tx, account, "user", f"user-{len(policies)}-{account}", registry.now)
        for number, text in enumerate(policies):
            values = {"principal": made.id, "name": f"p{number}", "document": text}
            await tx.run("identities.put_inline", values)
    principal = principal_of(made, f"AKIA{made.id[4:20]}", None)
    return replace(call_of(registry, account), principal=principal, account=ACCOUNT)


async def set_policy(registry: MemoryRegistry, arn: str, text: str) -> None:
    async with registry.services.epochs.changing(ACCOUNT) as tx:
        await resource_policy.store(tx, arn, text, 0)


@pytest.mark.parametrize(
    ("resource", "may"),
    [
        (OWN, True),
        ("*", True),
        (f"arn:aws:ecr:home-1:{ACCOUNT}:repository/a:b", True),
        ("arn:aws:ecr:home-1:210987654321:repository/app", False),
        (f"arn:aws:ecr:home-1:210987654321:repository/{ACCOUNT}", False),
        (f"arn:aws:ecr:{ACCOUNT}:210987654321:repository/app", False),
    ],
)
@in_memory
async def test_root_may_do_all_in_the_own_account_and_nothing_else(
    registry: MemoryRegistry, resource: str, may: bool
) -> None:
    assert await allows(registry.call, "ecr:PutImage", resource) is may


@in_memory
async def test_authorize_says_who_may_not_do_what_to_which(registry: MemoryRegistry) -> None:
    with pytest.raises(AccessDenied) as raised:
        await authorize(call_of(registry, OTHER), "ecr:PutImage", OWN)

    assert str(raised.value) == (
        f"User: arn:aws:iam::210987654321:root is not authorized to perform: ecr:PutImage on resource: {OWN} because "
        "no resource-based policy allows the ecr:PutImage action"
    )


@in_memory
async def test_a_user_may_do_what_its_policies_allow_until_they_change(registry: MemoryRegistry) -> None:
    call = await user(registry, document(allow("ecr:PutImage")))
    assert await allows(call, "ecr:PutImage", OWN)
    assert not await allows(call, "ecr:BatchGetImage", OWN)

    async with registry.services.epochs.changing(ACCOUNT) as tx:
        text = document(allow("ecr:BatchGetImage"))
        await tx.run(
            "identities.put_inline", {"principal": call.principal.id, "name": "p0", "document": text}
        )

    assert not await allows(call, "ecr:PutImage", OWN)
    assert await allows(call, "ecr:BatchGetImage", OWN)


@in_memory
async def test_what_another_process_changed_holds_after_the_next_look(registry: MemoryRegistry) -> None:
    call = await user(registry, document(allow("ecr:PutImage")))
    assert await allows(call, "ecr:PutImage", OWN)
    async with registry.db.transaction() as tx:
        await tx.run("access.raise_epoch", {"account": ACCOUNT})
        text = document(allow("ecr:ListImages"))
        await tx.run(
            "identities.put_inline", {"principal": call.principal.id, "name": "p0", "document": text}
        )
    assert await allows(call, "ecr:PutImage", OWN)

    await registry.services.epochs.look()

    assert not await allows(call, "ecr:PutImage", OWN)


@in_memory
async def test_both_accounts_must_allow_a_stranger(registry: MemoryRegistry) -> None:
    able = await user(registry, document(allow("ecr:*")), account=OTHER)
    unable = await user(registry, account=OTHER)
    assert not await allows(able, "ecr:BatchGetImage", OWN)

    grant = {"Effect": "Allow", "Action": "ecr:BatchGetImage", "Principal": {"AWS": OTHER}}
    await set_policy(registry, OWN, document(grant))

    assert await allows(able, "ecr:BatchGetImage", OWN)
    assert not await allows(able, "ecr:PutImage", OWN)
    assert not await allows(unable, "ecr:BatchGetImage", OWN)


@in_memory
async def test_a_policy_that_cannot_be_read_refuses_all(registry: MemoryRegistry) -> None:
    call = await user(registry, document(allow("ecr:*")))
    await set_policy(registry, OWN, "{")

    assert not await allows(call, "ecr:BatchGetImage", OWN)
    assert await allows(call, "ecr:BatchGetImage", OWN + "lication")


@in_memory
async def test_what_is_remembered_reaches_as_far_as_what_was_read(registry: MemoryRegistry) -> None:
    """An address, a tag: remembered for the same; a time: never."""
    at_home = {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
    early = {"DateLessThan": {"aws:CurrentTime": "1970-03-01T00:00:00Z"}}
    call = await user(
        registry,
        document(
            allow("ecr:PutImage", Condition={"StringLike": {"moorage:ImageTag": "dev-*"}}),
            allow("ecr:BatchGetImage", Condition=at_home),
            allow("ecr:ListImages", Condition=early),
        ),
    )
    here = replace(call, around=Circumstances(Arrival(address="192.0.2.7"), None, REGION, registry.now))
    there = replace(call, around=Circumstances(Arrival(address="198.51.100.7"), None, REGION, registry.now))
    late = replace(here, around=replace(here.around, now=registry.now + 24 * 100 * HOUR))

    for _ in range(2):
        assert await allows(here, "ecr:BatchGetImage", OWN)
        assert not await allows(there, "ecr:BatchGetImage", OWN)
        assert await allows(here, "ecr:PutImage", OWN, {"moorage:imagetag": "dev-1"})
        assert not await allows(here, "ecr:PutImage", OWN, {"moorage:imagetag": "prod"})
        assert not await allows(here, "ecr:PutImage", OWN)
        assert await allows(here, "ecr:ListImages", OWN)
        assert not await allows(late, "ecr:ListImages", OWN)


@in_memory
async def test_a_session_policy_narrows(registry: MemoryRegistry) -> None:
    call = await user(registry, document(allow("ecr:*")))
    session = Session("s", registry.now, registry.now + HOUR, policy=document(allow("ecr:BatchGetImage")))
    narrowed = replace(
        call, principal=replace(call.principal, session=session, access_key_id="ASIA" + "A" * 16)
    )

    assert await allows(narrowed, "ecr:BatchGetImage", OWN)
    assert not await allows(narrowed, "ecr:PutImage", OWN)
    assert not await allows(narrowed, "iam:CreateUser", "*")


@in_memory
async def test_a_refusal_names_the_denying_policy_to_its_own_account_if_told_to(
    registry: MemoryRegistry,
) -> None:
    with_limits(registry, names_denying_policy=True)
    deny = document({"Effect": "Deny", "Action": "ecr:PutImage", "Resource": "*"})
    call = await user(registry, document(allow("ecr:*")), deny)

    with pytest.raises(AccessDenied, match=r"with an explicit deny in an identity-based policy: .*p1$"):
        await authorize(replace(call, services=registry.services), "ecr:PutImage", OWN)


@in_memory
async def test_the_boundary_of_a_user_is_asked_for_when_the_request_sets_none(
    registry: MemoryRegistry,
) -> None:
    """iam:PermissionsBoundary: whoever may only work on bounded users cannot take the bound away, or lift it."""
    bound = f"arn:aws:iam::{ACCOUNT}:policy/bound"
    only_bounded = {"StringEquals": {"iam:PermissionsBoundary": bound}}
    call = await user(
        registry,
        document(allow("iam:*", Condition=only_bounded)),
        document({"Effect": "Deny", "Action": "iam:DeleteUserPermissionsBoundary", "Resource": "*"}),
    )
    async with registry.services.epochs.changing(ACCOUNT) as tx:
        bounded = await entities.insert(tx, ACCOUNT, "user", "bounded", 0, boundary=bound)
        free = await entities.insert(tx, ACCOUNT, "user", "free", 0)

    assert await allows(call, "iam:PutUserPolicy", bounded.arn)
    assert not await allows(call, "iam:PutUserPolicy", free.arn)
    assert not await allows(
        call, "iam:PutUserPermissionsBoundary", bounded.arn, {"iam:permissionsboundary": bound + "less"}
    )
    assert await allows(
        call, "iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/n", {"iam:permissionsboundary": bound}
    )
    assert not await allows(call, "iam:DeleteUserPermissionsBoundary", bounded.arn)
