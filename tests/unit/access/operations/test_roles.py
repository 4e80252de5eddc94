from __future__ import annotations

from urllib.parse import unquote

import pytest

from moorage.access.identities import entity as entities
from moorage.access.identities.tags import MOST as MOST_TAGS
from moorage.access.operations import inline_policies, roles, users
from moorage.aws.shapes import iam
from moorage.base.clock import SECOND
from moorage.base.errors.identities import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidInput,
    MalformedPolicyDocument,
    NoSuchEntity,
)
from moorage.base.errors.images import LimitExceeded
from moorage.base.errors.requests import Validation

from ...registry.memory import in_memory, with_limits
from ...registry.registry import ACCOUNT, MemoryRegistry
from .calling import ALLOW, OTHER, add_account, add_group, add_user
from .roles_and_policies import (
    READ_ONLY,
    attach_to_role,
    create_policy,
    create_role,
    role_named,
    trust_of,
    trusting,
)


@in_memory
async def test_create_role_answers_what_get_role_answers(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    bound = await create_policy(call, "bound")

    created = await create_role(
        call,
        "Deploy",
        path="/ci/",
        description="from CI",
        max_session_duration=7_200,
        permissions_boundary=bound.arn,
        tags=[iam.Tag(key="team", value="infra")],
    )
    found = await role_named(call, "dePLOY")

    assert created == found
    assert found.arn == f"arn:aws:iam::{ACCOUNT}:role/ci/Deploy"
    assert found.role_id.startswith("AROA")
    assert found.max_session_duration == 7_200
    assert found.description == "from CI"
    assert found.create_date == registry.now / SECOND
    assert found.permissions_boundary is not None
    assert found.permissions_boundary.permissions_boundary_arn == bound.arn
    assert [(tag.key, tag.value) for tag in found.tags or []] == [("team", "infra")]
    assert found.role_last_used is not None
    assert found.role_last_used.last_used_date is None


@in_memory
async def test_get_role_says_when_and_where_a_role_was_last_used(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    role = await create_role(call, "deploy")
    async with call.services.epochs.changing(ACCOUNT) as tx:
        await tx.run("identities.use_role", {"id": role.role_id, "now": 5 * SECOND, "region": "home-1"})

    used = (await role_named(call, "deploy")).role_last_used

    assert used == iam.RoleLastUsed(last_used_date=5.0, region="home-1")


@in_memory
async def test_names_are_taken_without_regard_to_case(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create_role(call, "deploy")

    with pytest.raises(EntityAlreadyExists, match="Role with name DEPLOY already exists"):
        await create_role(call, "DEPLOY")


@in_memory
async def test_a_trust_policy_of_foreign_principals_stays_as_it_was_written(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    written = trusting(f"arn:aws:iam::{OTHER}:user/nobody-knows", OTHER, f"arn:aws:iam::{ACCOUNT}:root")

    created = await create_role(call, "deploy", written)

    assert unquote(created.assume_role_policy_document or "") == written
    assert (
        created.assume_role_policy_document == (await role_named(call, "deploy")).assume_role_policy_document
    )
    assert "{" not in (created.assume_role_policy_document or "")


@pytest.mark.parametrize("document", ["{", ALLOW, '{"Version":"2012-10-17","Statement":[]}'])
@in_memory
async def test_what_is_no_trust_policy_is_refused(registry: MemoryRegistry, document: str) -> None:
    call = await add_account(registry)
    await create_role(call, "other")

    with pytest.raises(MalformedPolicyDocument):
        await create_role(call, "deploy", document)
    with pytest.raises(MalformedPolicyDocument):
        await roles.update_assume_role_policy(
            call, iam.UpdateAssumeRolePolicyRequest(role_name="other", policy_document=document)
        )


@in_memory
async def test_a_trusted_user_is_kept_by_id_and_shown_by_arn(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    alice = await add_user(call, "alice", path="/people/")

    created = await create_role(call, "deploy", trusting(alice.arn))
    stored = await entities.need(call.db, ACCOUNT, "role", "deploy")

    assert trust_of(created) == {"AWS": alice.arn}
    assert alice.user_id in stored.trust_policy
    assert alice.arn not in stored.trust_policy


@in_memory
async def test_a_trusted_user_who_moves_is_shown_under_the_new_arn(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    alice = await add_user(call, "alice")
    await create_role(call, "deploy", trusting(alice.arn))

    await users.update_user(call, iam.UpdateUserRequest(user_name="alice", new_user_name="bob"))

    assert trust_of(await role_named(call, "deploy")) == {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}


@in_memory
async def test_who_takes_the_name_of_a_deleted_user_is_not_trusted(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    first = await add_user(call, "alice")
    await create_role(call, "deploy", trusting(first.arn))
    await users.delete_user(call, iam.DeleteUserRequest(user_name="alice"))

    second = await add_user(call, "alice")

    assert second.arn == first.arn
    assert trust_of(await role_named(call, "deploy")) == {"AWS": first.user_id}
    listed = await roles.list_roles(call, iam.ListRolesRequest())
    assert trust_of(listed.roles[0]) == {"AWS": first.user_id}


@in_memory
async def test_own_principals_that_do_not_exist_are_refused_by_name(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice", path="/people/")
    await add_group(call, "admins")
    invalid = [
        f"arn:aws:iam::{ACCOUNT}:user/nobody",
        f"arn:aws:iam::{ACCOUNT}:user/alice",
        f"arn:aws:iam::{ACCOUNT}:user/people/Alice",
        f"arn:aws:iam::{ACCOUNT}:role/people/alice",
        f"arn:aws:iam::{ACCOUNT}:group/admins",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/nothing/session",
        "AIDAAAAAAAAAAAAAAAAAA",
        "AROAAAAAAAAAAAAAAAAAA",
        "alice",
    ]

    for name in invalid:
        with pytest.raises(MalformedPolicyDocument) as refused:
            await create_role(call, "deploy", trusting(name))
        assert str(refused.value) == f'Invalid principal in policy: "AWS":"{name}"'
    with pytest.raises(NoSuchEntity):
        await role_named(call, "deploy")


@in_memory
async def test_the_id_of_a_stranger_is_refused_whether_it_exists_or_not(registry: MemoryRegistry) -> None:
    call, stranger = await add_account(registry), await add_account(registry, OTHER)
    theirs = await add_user(stranger, "alice")

    for id_ in (theirs.user_id, "AIDA" + "A" * 17):
        with pytest.raises(MalformedPolicyDocument) as refused:
            await create_role(call, "deploy", trusting(id_))
        assert str(refused.value) == f'Invalid principal in policy: "AWS":"{id_}"'


@in_memory
async def test_an_arn_in_a_condition_is_no_principal(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    alice = await add_user(call, "alice")
    document = trusting(alice.arn).replace(
        '"Action"', f'"Condition": {{"ArnEquals": {{"aws:PrincipalArn": "{alice.arn}"}}}}, "Action"'
    )

    await create_role(call, "deploy", document)
    stored = (await entities.need(call.db, ACCOUNT, "role", "deploy")).trust_policy

    assert stored.count(alice.user_id or "") == 1
    assert f'"aws:PrincipalArn":"{alice.arn}"' in stored


@in_memory
async def test_update_assume_role_policy_replaces_it_and_nothing_else(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    alice = await add_user(call, "alice")
    await create_role(call, "deploy", description="from CI", max_session_duration=7_200)

    await roles.update_assume_role_policy(
        call, iam.UpdateAssumeRolePolicyRequest(role_name="deploy", policy_document=trusting(alice.arn))
    )

    changed = await role_named(call, "deploy")
    assert trust_of(changed) == {"AWS": alice.arn}
    assert (changed.description, changed.max_session_duration) == ("from CI", 7_200)


@pytest.mark.parametrize(("aws_quotas", "most"), [(False, 4_096), (True, 2_048)])
@in_memory
async def test_a_trust_policy_has_a_size(registry: MemoryRegistry, aws_quotas: bool, most: int) -> None:
    await add_account(registry)
    with_limits(registry, aws_quotas=aws_quotas)
    call = registry.call

    with pytest.raises(LimitExceeded, match=f"ACLSizePerRole: {most}"):
        await create_role(call, "deploy", trusting(*[OTHER] * (most // 12)))
    await create_role(call, "deploy", trusting(OTHER) + " " * most)


@in_memory
async def test_update_role_changes_what_is_given(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create_role(call, "deploy", description="old", max_session_duration=7_200)

    await roles.update_role(call, iam.UpdateRoleRequest(role_name="deploy", description=""))
    without = await role_named(call, "deploy")
    await roles.update_role(call, iam.UpdateRoleRequest(role_name="deploy", max_session_duration=3_600))
    shorter = await role_named(call, "deploy")
    answer = await roles.update_role_description(
        call, iam.UpdateRoleDescriptionRequest(role_name="deploy", description="new")
    )

    assert (without.description, without.max_session_duration) == (None, 7_200)
    assert shorter.max_session_duration == 3_600
    assert answer.role is not None
    assert answer.role.description == (await role_named(call, "deploy")).description == "new"


@in_memory
async def test_a_role_that_holds_policies_is_not_deleted(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create_role(call, "deploy", tags=[iam.Tag(key="a", value="b")])
    await attach_to_role(call, "deploy", READ_ONLY)
    delete = iam.DeleteRoleRequest(role_name="deploy")

    with pytest.raises(DeleteConflict, match="must detach all policies first"):
        await roles.delete_role(call, delete)
    async with call.services.epochs.changing(ACCOUNT) as tx:
        await tx.run(
            "identities.detach",
            {"principal": (await role_named(call, "deploy")).role_id, "policy": READ_ONLY},
        )
    inline = iam.PutRolePolicyRequest(role_name="deploy", policy_name="p", policy_document=ALLOW)
    await inline_policies.put_role_policy(call, inline)
    with pytest.raises(DeleteConflict, match="must delete policies first"):
        await roles.delete_role(call, delete)
    await inline_policies.delete_role_policy(
        call, iam.DeleteRolePolicyRequest(role_name="deploy", policy_name="p")
    )
    await roles.delete_role(call, delete)

    with pytest.raises(NoSuchEntity, match="The role with name deploy cannot be found"):
        await roles.delete_role(call, delete)
    assert registry.count("identity_tags") == registry.count("principals") == 0


@in_memory
async def test_roles_are_listed_by_page_under_a_path(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    for name in ("c", "A", "b", "d"):
        await create_role(call, name, path="/ci/")
    await create_role(call, "aa")

    first = await roles.list_roles(call, iam.ListRolesRequest(path_prefix="/ci", max_items=3))
    rest = await roles.list_roles(
        call, iam.ListRolesRequest(path_prefix="/ci", max_items=3, marker=first.marker)
    )

    assert [role.role_name for role in first.roles] == ["A", "b", "c"]
    assert [role.role_name for role in rest.roles] == ["d"]
    assert (first.is_truncated, rest.is_truncated, rest.marker) == (True, False, None)
    with pytest.raises(Validation):
        await roles.list_roles(call, iam.ListRolesRequest(marker=first.marker))


@in_memory
async def test_the_roles_of_another_account_are_not_there(registry: MemoryRegistry) -> None:
    call, stranger = await add_account(registry), await add_account(registry, OTHER)
    await create_role(stranger, "deploy")

    assert (await roles.list_roles(call, iam.ListRolesRequest())).roles == []
    for act in (
        roles.get_role(call, iam.GetRoleRequest(role_name="deploy")),
        roles.delete_role(call, iam.DeleteRoleRequest(role_name="deploy")),
        roles.update_role(call, iam.UpdateRoleRequest(role_name="deploy")),
        roles.tag_role(call, iam.TagRoleRequest(role_name="deploy", tags=[])),
        roles.list_role_tags(call, iam.ListRoleTagsRequest(role_name="deploy")),
    ):
        with pytest.raises(NoSuchEntity):
            await act


@in_memory
async def test_role_tags_are_set_replaced_listed_by_page_and_removed(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create_role(call, "deploy", tags=[iam.Tag(key="Team", value="a")])

    await roles.tag_role(
        call,
        iam.TagRoleRequest(
            role_name="deploy", tags=[iam.Tag(key="team", value="b"), iam.Tag(key="x", value="")]
        ),
    )
    first = await roles.list_role_tags(call, iam.ListRoleTagsRequest(role_name="deploy", max_items=1))
    rest = await roles.list_role_tags(
        call, iam.ListRoleTagsRequest(role_name="deploy", max_items=1, marker=first.marker)
    )
    await roles.untag_role(call, iam.UntagRoleRequest(role_name="deploy", tag_keys=["TEAM", "other"]))

    assert [(tag.key, tag.value) for tag in [*first.tags, *rest.tags]] == [("team", "b"), ("x", "")]
    assert (first.is_truncated, rest.is_truncated) == (True, False)
    assert [tag.key for tag in (await role_named(call, "deploy")).tags or []] == ["x"]


@in_memory
async def test_bad_tags_make_no_role(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    twice = [iam.Tag(key="a", value="1"), iam.Tag(key="A", value="2")]
    many = [iam.Tag(key=str(n), value="") for n in range(MOST_TAGS + 1)]

    with pytest.raises(InvalidInput, match="Duplicate tag keys"):
        await create_role(call, "deploy", tags=twice)
    with pytest.raises(LimitExceeded):
        await create_role(call, "deploy", tags=many)
    with pytest.raises(InvalidInput):
        await create_role(call, "deploy", tags=[iam.Tag(key="aws:x", value="")])

    assert registry.count("principals") == registry.count("identity_tags") == 0


@in_memory
async def test_a_boundary_is_a_policy_that_exists(registry: MemoryRegistry) -> None:
    call, stranger = await add_account(registry), await add_account(registry, OTHER)
    theirs = await create_policy(stranger, "theirs")
    await create_role(call, "deploy")

    for arn in (theirs.arn or "", f"arn:aws:iam::{ACCOUNT}:policy/none", "arn:aws:iam::aws:policy/None"):
        with pytest.raises(NoSuchEntity, match="does not exist or is not attachable"):
            await roles.put_role_permissions_boundary(
                call, iam.PutRolePermissionsBoundaryRequest(role_name="deploy", permissions_boundary=arn)
            )
        with pytest.raises(NoSuchEntity):
            await create_role(call, "other", permissions_boundary=arn)
    await roles.put_role_permissions_boundary(
        call, iam.PutRolePermissionsBoundaryRequest(role_name="deploy", permissions_boundary=READ_ONLY)
    )
    bounded = await role_named(call, "deploy")
    await roles.delete_role_permissions_boundary(
        call, iam.DeleteRolePermissionsBoundaryRequest(role_name="deploy")
    )

    assert bounded.permissions_boundary is not None
    assert (await role_named(call, "deploy")).permissions_boundary is None


@in_memory
async def test_nobody_makes_a_role_under_the_path_of_services(registry: MemoryRegistry) -> None:
    call = await add_account(registry)

    with pytest.raises(InvalidInput, match="service-linked"):
        await create_role(call, "deploy", path="/aws-service-role/ecr.amazonaws.com/")


@in_memory
async def test_every_change_of_a_role_raises_the_epoch_of_its_account(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    epochs = call.services.epochs
    before = epochs.of(ACCOUNT)

    await create_role(call, "deploy")
    await roles.update_assume_role_policy(
        call, iam.UpdateAssumeRolePolicyRequest(role_name="deploy", policy_document=trusting(OTHER))
    )
    await roles.delete_role(call, iam.DeleteRoleRequest(role_name="deploy"))

    assert epochs.of(ACCOUNT) == before + 3
