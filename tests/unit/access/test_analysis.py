from __future__ import annotations

from typing import Any

import pytest

from moorage.access.analysis import Finding, UnknownPrincipal, findings
from moorage.access.authorize import decision_on
from moorage.access.grants import StoredGrants
from moorage.access.identities import entity as entities
from moorage.access.identities import inline
from moorage.access.organization import Level, Organization
from moorage.access.policies.compile import compile_policy

from ..registry.memory import in_memory
from ..registry.registry import ACCOUNT, MemoryRegistry
from .test_authorize import OTHER, OWN, allow, document, set_policy, user

LOGIN = allow("ecr:GetAuthorizationToken")
PULL = allow(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"])
OFFICE = {"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "198.51.100.0/24"]}}


async def found(
    registry: MemoryRegistry, *verbs: str, only: str = "", organization: Organization | None = None
) -> dict[str, Finding]:
    stored = StoredGrants(registry.db, registry.services.epochs, organization or Organization())
    each = await findings(registry.db, stored, OWN, verbs or ("pull",), accounts=[ACCOUNT, OTHER], only=only)
    return {finding.principal: finding for finding in each}


@in_memory
async def test_root_and_users_are_told_with_the_policy_that_decides(registry: MemoryRegistry) -> None:
    able = (await user(registry, document(LOGIN, {**PULL, "Sid": "Pull"}))).principal.arn
    unable = (await user(registry)).principal.arn

    told = await found(registry)

    root = told[f"arn:aws:iam::{ACCOUNT}:root"]
    assert (root.may, root.why) == ("yes", "root of the account")
    assert (told[able].may, told[able].why) == (
        "yes",
        f"identity policy user/{able.rpartition('/')[2]}/p0, statement Pull",
    )
    assert (told[unable].may, told[unable].why) == (
        "no",
        "no identity-based policy allows the ecr:GetAuthorizationToken action",
    )


@in_memory
async def test_what_depends_on_the_request_is_a_condition(registry: MemoryRegistry) -> None:
    tagged = {"StringLike": {"moorage:ImageTag": "dev-*"}}
    arn = (
        await user(
            registry, document(LOGIN, {**PULL, "Condition": OFFICE}, allow("ecr:PutImage", Condition=tagged))
        )
    ).principal.arn

    pull, put = (await found(registry))[arn], (await found(registry, "ecr:PutImage"))[arn]

    assert (pull.may, pull.conditions) == ("if", ("aws:SourceIp in 192.0.2.0/24 or 198.51.100.0/24",))
    assert (put.may, put.conditions) == ("if", ("moorage:ImageTag like dev-*",))


@in_memory
async def test_a_conditional_denial_is_told_as_an_exception(registry: MemoryRegistry) -> None:
    deny = {
        "Effect": "Deny",
        "Action": "ecr:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    arn = (await user(registry, document(LOGIN, PULL, deny))).principal.arn

    finding = (await found(registry))[arn]

    assert (finding.may, finding.conditions) == ("if", ("unless aws:SecureTransport is false",))


@in_memory
async def test_an_unconditional_grant_beside_a_conditional_one_is_a_yes(registry: MemoryRegistry) -> None:
    arn = (await user(registry, document(LOGIN, {**PULL, "Condition": OFFICE}, PULL))).principal.arn

    assert (await found(registry))[arn].may == "yes"


@in_memory
async def test_conditions_on_caller_and_resource_are_decided(registry: MemoryRegistry) -> None:
    mine = {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}
    tag = {"StringEquals": {"aws:ResourceTag/team": "blue"}}
    one = (await user(registry, document(LOGIN, {**PULL, "Condition": mine}))).principal.arn
    two = (await user(registry, document(LOGIN), document({**PULL, "Condition": tag}))).principal.arn

    told = await found(registry)

    assert (told[one].may, told[two].may) == ("yes", "no")


@in_memory
async def test_strangers_are_told_if_the_repository_lets_them(registry: MemoryRegistry) -> None:
    able = (await user(registry, document(LOGIN, PULL), account=OTHER)).principal.arn
    assert able not in await found(registry)
    grant = {**PULL, "Sid": "Partner", "Principal": {"AWS": OTHER}}
    del grant["Resource"]
    await set_policy(registry, OWN, document(grant))

    told = await found(registry)

    assert told[able].may == "yes"
    root = told[f"arn:aws:iam::{OTHER}:root"]
    assert (root.may, root.why) == ("yes", "root of the account; the repository's policy lets the account in")
    assert f"arn:aws:iam::{OTHER}:root" not in await found(registry, "delete")


@in_memory
async def test_control_policies_refuse_and_are_named(registry: MemoryRegistry) -> None:
    arn = (await user(registry, document(allow("ecr:*")))).principal.arn
    texts = document(allow("*")), document({"Effect": "Deny", "Action": "ecr:BatchGetImage", "Resource": "*"})
    level = Level("scp", ("*",), tuple(compile_policy(text, "scp", source="no-pull") for text in texts))

    finding = (await found(registry, organization=Organization(levels=(level,))))[arn]

    assert (finding.may, finding.why) == ("no", "with an explicit deny in a service control policy: no-pull")


@pytest.mark.parametrize("condition", [{}, OFFICE, {"StringLike": {"moorage:ImageTag": "dev-*"}}])
@in_memory
async def test_analysis_agrees_with_the_decision_on_a_request(
    registry: MemoryRegistry, condition: dict[str, Any]
) -> None:
    """A yes is allowed here and now; an if is allowed when its condition is made true."""
    call = await user(registry, document(LOGIN, {**PULL, "Condition": condition}))
    finding = (await found(registry, "ecr:BatchGetImage"))[call.principal.arn]

    decision = await decision_on(call, "ecr:BatchGetImage", OWN)
    tagged = await decision_on(call, "ecr:BatchGetImage", OWN, {"moorage:imagetag": "dev-1"})

    assert decision.allowed is (finding.may == "yes")
    if "moorage:ImageTag" in str(condition):
        assert (finding.may, tagged.allowed) == ("if", True)


@in_memory
async def test_root_may_mend_a_policy_that_denies_it_all(registry: MemoryRegistry) -> None:
    await set_policy(registry, OWN, document({"Effect": "Deny", "Principal": "*", "Action": "ecr:*"}))
    root = f"arn:aws:iam::{ACCOUNT}:root"

    assert (await found(registry, "ecr:SetRepositoryPolicy"))[root].may == "yes"
    assert (await found(registry, "pull"))[root].may == "no"


@in_memory
async def test_session_name_of_a_role_is_not_known(registry: MemoryRegistry) -> None:
    named = {"StringLike": {"aws:userid": "*:build-*"}}
    async with registry.services.epochs.changing(ACCOUNT) as tx:
        await tx.run("access.insert_account", {"id": ACCOUNT, "created": 0})
        role = await entities.insert(tx, ACCOUNT, "role", "deploy", registry.now, trust_policy="{}")
        await inline.put(tx, role, "pull", document(LOGIN, {**PULL, "Condition": named}))

    finding = (await found(registry))[role.arn]

    assert (finding.may, finding.conditions) == ("if", ("aws:userid like *:build-*",))


@in_memory
async def test_only_one_principal_is_told_and_has_to_exist(registry: MemoryRegistry) -> None:
    arn = (await user(registry)).principal.arn

    assert list(await found(registry, only=arn)) == [arn]
    for unknown in ("nobody", f"arn:aws:iam::{ACCOUNT}:user/gone", f"arn:aws:iam::{OTHER}:root"):
        with pytest.raises(UnknownPrincipal):
            await found(registry, only=unknown)
