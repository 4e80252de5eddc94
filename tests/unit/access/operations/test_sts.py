"""Temporary credentials over a registry in memory, where time can pass and rows can be broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from moorage.access.call import Call
from moorage.access.identities import entity as entities
from moorage.access.identities import providers
from moorage.access.operations import sts, web_identity
from moorage.access.principals import ANONYMOUS
from moorage.aws.shapes.sts import (
    AssumeRoleRequest,
    AssumeRoleWithWebIdentityRequest,
    Credentials,
    GetSessionTokenRequest,
    ProvidedContext,
)
from moorage.base.clock import SECOND
from moorage.base.errors.access import AccessDenied, ExpiredToken, UnrecognizedClient
from moorage.base.errors.identities import IDPRejectedClaim
from moorage.base.errors.requests import Validation

from ...registry.memory import call_of, in_memory
from ...registry.registry import ACCOUNT, MemoryRegistry
from ..web_identity.issuer import AUDIENCE, ISSUER, Signer, claims, jwks
from .calling import add_account, add_user, by
from .roles_and_policies import create_role, trusting

SIGNER = Signer.ec()


async def trusted(registry: MemoryRegistry) -> tuple[Call, str]:
    """A call of a user, and the ARN of a role that the user may assume."""
    root = await add_account(registry)
    user = await add_user(root, "alice")
    role = await create_role(root, "builder", trusting(user.arn))
    return by(root, user), role.arn


async def assume(call: Call, role: str, **members: Any) -> Credentials:
    request = AssumeRoleRequest(role_arn=role, role_session_name="ci", **members)
    credentials = (await sts.assume_role(call, request)).credentials
    assert credentials is not None
    return credentials


@in_memory
async def test_a_session_ends_with_its_time(registry: MemoryRegistry) -> None:
    call, role = await trusted(registry)
    sessions = registry.services.sessions

    made = await assume(call, role, duration_seconds=900)

    assert made.expiration == call.now // SECOND + 900
    key = await sessions.find(made.access_key_id, made.session_token)
    assert key.secret == made.secret_access_key
    assert key.principal.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/ci"
    registry.pass_time(900 * SECOND - 1)
    await sessions.find(made.access_key_id, made.session_token)
    registry.pass_time(1)
    with pytest.raises(ExpiredToken):
        await sessions.find(made.access_key_id, made.session_token)


@in_memory
async def test_a_session_ends_with_its_role(registry: MemoryRegistry) -> None:
    call, role = await trusted(registry)
    made = await assume(call, role)

    async with call.services.epochs.changing(ACCOUNT) as tx:
        await entities.delete(tx, await entities.need(tx, ACCOUNT, "role", "builder"))

    with pytest.raises(UnrecognizedClient):
        await registry.services.sessions.find(made.access_key_id, made.session_token)


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"Version":"2012-10-17","Statement":[]}', "\x00"])
@in_memory
async def test_a_trust_policy_that_cannot_be_read_trusts_nobody(
    registry: MemoryRegistry, broken: str
) -> None:
    call, role = await trusted(registry)
    async with call.services.epochs.changing(ACCOUNT) as tx:
        row = await entities.need(tx, ACCOUNT, "role", "builder")
        await entities.set_role(tx, row, trust_policy=broken, description="", session_s=3_600)

    with pytest.raises(AccessDenied):
        await assume(call, role)


@in_memory
async def test_a_chained_session_remembers_that_it_is_one(registry: MemoryRegistry) -> None:
    call, first = await trusted(registry)
    root = call_of(registry, ACCOUNT)
    second = (await create_role(root, "second", trusting(first))).arn
    sessions = registry.services.sessions

    made = await assume(call, first)
    session = await sessions.find(made.access_key_id, made.session_token)
    chained = await assume(replace(call, principal=session.principal), second)
    principal = (await sessions.find(chained.access_key_id, chained.session_token)).principal

    assert session.principal.session is not None
    assert not session.principal.session.is_chained
    assert principal.session is not None
    assert principal.session.is_chained


@in_memory
async def test_contexts_of_others_are_refused_and_not_passed_over(registry: MemoryRegistry) -> None:
    call, role = await trusted(registry)

    with pytest.raises(Validation, match="ProvidedContexts"):
        await assume(call, role, provided_contexts=[ProvidedContext(context_assertion="abcd")])


@in_memory
async def test_get_session_token_is_for_half_a_day(registry: MemoryRegistry) -> None:
    call, _ = await trusted(registry)

    made = (await sts.get_session_token(call, GetSessionTokenRequest())).credentials

    assert made is not None
    assert made.expiration == call.now // SECOND + 43_200
    principal = (await registry.services.sessions.find(made.access_key_id, made.session_token)).principal
    assert (principal.kind, principal.arn) == ("user", f"arn:aws:iam::{ACCOUNT}:user/alice")


# Web identity


async def sign_in(registry: MemoryRegistry, **changes: Any) -> Any:
    """With a token of a provider whose keys are given, for a role that trusts it."""
    root = await add_account(registry)
    now = registry.now // SECOND
    async with root.services.epochs.changing(ACCOUNT) as tx:
        provider = await providers.create(
            tx, ACCOUNT, ISSUER, registry.now, audiences=[AUDIENCE], jwks=jwks(SIGNER)
        )
    trust = trusting(Federated=provider.arn).replace("sts:AssumeRole", "sts:AssumeRoleWithWebIdentity")
    role = await create_role(root, "builder", trust)
    payload = claims(**{"iat": now, "nbf": now, "exp": now + 600, **changes})
    request = AssumeRoleWithWebIdentityRequest(
        role_arn=role.arn, role_session_name="ci", web_identity_token=SIGNER.token(payload, "ES256")
    )
    nobody = replace(root, principal=ANONYMOUS)
    return await web_identity.assume_role_with_web_identity(nobody, request)


@in_memory
async def test_a_session_of_a_web_identity_knows_its_provider(registry: MemoryRegistry) -> None:
    answer = await sign_in(registry)

    made = answer.credentials
    session = (
        await registry.services.sessions.find(made.access_key_id, made.session_token)
    ).principal.session
    assert session is not None
    assert session.provider == f"arn:aws:iam::{ACCOUNT}:oidc-provider/idp.example/realm"
    assert not session.is_chained


@pytest.mark.parametrize(
    "tags",
    [
        {"principal_tags": {"": ["a"]}},
        {"principal_tags": {"aws:x": ["a"]}},
        {"principal_tags": {"a": ["x" * 257]}},
        {"principal_tags": {"a": ["<script>"]}},
        {"principal_tags": {"a": ["1"], "A": ["2"]}},
        {"principal_tags": {f"k{n}": ["v"] for n in range(51)}},
        {"transitive_tag_keys": ["a"]},
    ],
)
@in_memory
async def test_tags_of_a_token_pass_the_same_door(registry: MemoryRegistry, tags: object) -> None:
    with pytest.raises(IDPRejectedClaim):
        await sign_in(registry, **{"https://aws.amazon.com/tags": tags})


@pytest.mark.parametrize("source", ["a", "a b", "x" * 257, "alice\n"])
@in_memory
async def test_a_source_identity_of_a_token_passes_the_same_door(
    registry: MemoryRegistry, source: str
) -> None:
    with pytest.raises(IDPRejectedClaim):
        await sign_in(registry, **{"https://aws.amazon.com/source_identity": source})
