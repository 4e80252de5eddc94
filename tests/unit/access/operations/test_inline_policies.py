from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from moorage.access.operations import inline_policies
from moorage.aws.shapes import iam
from moorage.base.errors.identities import MalformedPolicyDocument, NoSuchEntity
from moorage.base.errors.images import LimitExceeded

from ...registry.memory import in_memory
from ...registry.registry import MemoryRegistry
from .calling import ALLOW, OTHER, add_account, add_group, add_role, add_user, every_page, put_policy

KINDS = pytest.mark.parametrize("kind", ["user", "group", "role"])
MOST = {"user": 2_048, "group": 5_120, "role": 10_240}


async def add_owner(registry: MemoryRegistry, kind: str) -> Any:
    call = await add_account(registry)
    await {"user": add_user, "group": add_group, "role": add_role}[kind](call, "Owner")
    return call


async def ask(call: Any, verb: str, kind: str, **members: Any) -> Any:
    """`verb` is put, get, delete or list."""
    plural = "policies" if verb == "list" else "policy"
    operation = getattr(inline_policies, f"{verb}_{kind}_{plural}")
    request = getattr(iam, f"{verb.capitalize()}{kind.capitalize()}{plural.capitalize()}Request")
    return await operation(call, request(**{f"{kind}_name": "owner"}, **members))


def document(size: int) -> str:
    """So long, white space not counted."""
    start, end = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"arn:aws:ecr:*:*:repository/',
        '"}}',
    )
    return start + "*" * (size - len(start) - len(end)) + end


@KINDS
@in_memory
async def test_a_policy_is_answered_as_written_percent_encoded(registry: MemoryRegistry, kind: str) -> None:
    call = await add_owner(registry, kind)
    text = ALLOW.replace(",", ",\n  ")

    await ask(call, "put", kind, policy_name="push", policy_document=text)
    found = await ask(call, "get", kind, policy_name="push")

    assert unquote(found.policy_document) == text
    assert not set(found.policy_document) & set('{}":, /\n')
    assert (getattr(found, f"{kind}_name"), found.policy_name) == ("Owner", "push")


@KINDS
@in_memory
async def test_a_policy_that_does_not_parse_is_refused(registry: MemoryRegistry, kind: str) -> None:
    call = await add_owner(registry, kind)

    for text in (
        "{",
        "[]",
        ALLOW.replace("Allow", "allow"),
        ALLOW.replace('"Action"', '"Principal":"*","Action"'),
    ):
        with pytest.raises(MalformedPolicyDocument):
            await ask(call, "put", kind, policy_name="push", policy_document=text)

    assert registry.count("inline_policies") == 0


@KINDS
@in_memory
async def test_all_policies_together_are_as_long_as_the_quota_says(
    registry: MemoryRegistry, kind: str
) -> None:
    call = await add_owner(registry, kind)
    half = MOST[kind] // 2

    await ask(call, "put", kind, policy_name="a", policy_document=document(half))
    await ask(call, "put", kind, policy_name="b", policy_document=document(half).replace(",", ", \n\t"))
    for name, size in (("c", 200), ("a", half + 1)):
        with pytest.raises(
            LimitExceeded, match=rf"^Maximum policy size of {MOST[kind]} bytes exceeded for {kind} Owner$"
        ):
            await ask(call, "put", kind, policy_name=name, policy_document=document(size))
    await ask(call, "put", kind, policy_name="a", policy_document=document(half - 1))

    assert registry.count("inline_policies") == 2


@KINDS
@in_memory
async def test_policies_are_listed_by_name_in_pages(registry: MemoryRegistry, kind: str) -> None:
    call = await add_owner(registry, kind)
    for name in ("e", "b", "d", "a", "c"):
        await ask(call, "put", kind, policy_name=name, policy_document=ALLOW)

    pages = await every_page(
        call,
        getattr(inline_policies, f"list_{kind}_policies"),
        getattr(iam, f"List{kind.capitalize()}PoliciesRequest"),
        "policy_names",
        **{f"{kind}_name": "owner"},
    )

    assert pages == [["a", "b"], ["c", "d"], ["e"]]


@KINDS
@in_memory
async def test_a_policy_is_deleted_once(registry: MemoryRegistry, kind: str) -> None:
    call = await add_owner(registry, kind)
    await ask(call, "put", kind, policy_name="push", policy_document=ALLOW)

    await ask(call, "delete", kind, policy_name="push")

    for verb in ("delete", "get"):
        with pytest.raises(NoSuchEntity, match=f"The {kind} policy with name push cannot be found"):
            await ask(call, verb, kind, policy_name="push")


@KINDS
@in_memory
async def test_an_owner_of_another_account_is_not_there(registry: MemoryRegistry, kind: str) -> None:
    await add_owner(registry, kind)
    other = await add_account(registry, OTHER)

    for verb, members in (
        ("put", {"policy_name": "p", "policy_document": ALLOW}),
        ("get", {"policy_name": "p"}),
        ("delete", {"policy_name": "p"}),
        ("list", {}),
    ):
        with pytest.raises(NoSuchEntity, match=rf"^The {kind} with name owner cannot be found\.$"):
            await ask(other, verb, kind, **members)


@in_memory
async def test_changes_raise_the_epoch(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "owner")
    epochs = [registry.services.epochs.of(call.account)]

    await put_policy(call, "owner", "push")
    epochs.append(registry.services.epochs.of(call.account))
    await ask(call, "delete", "user", policy_name="push")
    epochs.append(registry.services.epochs.of(call.account))

    assert epochs == sorted(set(epochs))
