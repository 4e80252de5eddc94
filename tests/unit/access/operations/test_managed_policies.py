from __future__ import annotations

import json
from urllib.parse import unquote

import pytest

from moorage.access.call import Call
from moorage.access.identities import managed
from moorage.access.identities.aws_managed import all_aws_managed
from moorage.access.operations import managed_policies as policies
from moorage.access.operations import roles
from moorage.aws.shapes import iam
from moorage.base.clock import HOUR, SECOND
from moorage.base.errors.access import AccessDenied
from moorage.base.errors.identities import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidInput,
    MalformedPolicyDocument,
    NoSuchEntity,
)
from moorage.base.errors.images import LimitExceeded

from ...registry.memory import in_memory, with_limits
from ...registry.registry import ACCOUNT, MemoryRegistry
from .calling import ALLOW, OTHER, add_account, every_page
from .roles_and_policies import (
    READ_ONLY,
    attach_to_role,
    create_policy,
    create_role,
    policy_of,
    trusting,
)

DENY = ALLOW.replace("Allow", "Deny")


async def new_version(call: Call, arn: str, document: str = DENY, default: bool = False) -> str:
    request = iam.CreatePolicyVersionRequest(policy_arn=arn, policy_document=document, set_as_default=default)
    version = (await policies.create_policy_version(call, request)).policy_version
    assert version is not None
    assert version.document is None
    return version.version_id or ""


async def version_of(call: Call, arn: str, version: str) -> iam.PolicyVersion:
    request = iam.GetPolicyVersionRequest(policy_arn=arn, version_id=version)
    found = (await policies.get_policy_version(call, request)).policy_version
    assert found is not None
    return found


@in_memory
async def test_create_policy_answers_what_get_policy_answers(registry: MemoryRegistry) -> None:
    call = await add_account(registry)

    created = await create_policy(
        call, "Push", path="/ci/", description="may push", tags=[iam.Tag(key="team", value="infra")]
    )
    found = await policy_of(call, created.arn or "")

    assert created == found
    assert found.arn == f"arn:aws:iam::{ACCOUNT}:policy/ci/Push"
    assert (found.policy_id or "").startswith("ANPA")
    assert (found.path, found.policy_name, found.default_version_id) == ("/ci/", "Push", "v1")
    assert (found.attachment_count, found.permissions_boundary_usage_count) == (0, 0)
    assert found.is_attachable is True
    assert found.description == "may push"
    assert found.create_date == found.update_date == registry.now / SECOND
    assert [(tag.key, tag.value) for tag in found.tags or []] == [("team", "infra")]


@in_memory
async def test_a_document_is_kept_as_it_was_written_and_answered_percent_encoded(
    registry: MemoryRegistry,
) -> None:
    call = await add_account(registry)
    written = json.dumps(json.loads(ALLOW), indent=3)

    arn = (await create_policy(call, "push", written)).arn or ""
    version = await version_of(call, arn, "v1")

    assert unquote(version.document or "") == written
    assert not set(version.document or "") & set(' {"/:\n')
    assert version.is_default_version is True


@in_memory
async def test_names_of_policies_are_taken_without_regard_to_case_or_path(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create_policy(call, "push")

    with pytest.raises(EntityAlreadyExists, match="A policy called PUSH already exists"):
        await create_policy(call, "PUSH", path="/ci/")
    await create_policy(await add_account(registry, OTHER), "push")


@pytest.mark.parametrize("document", ["{", trusting("*"), '{"Statement":[{"Effect":"Allow"}]}'])
@in_memory
async def test_what_is_no_identity_policy_is_refused(registry: MemoryRegistry, document: str) -> None:
    call = await add_account(registry)
    arn = (await create_policy(call, "other")).arn or ""

    with pytest.raises(MalformedPolicyDocument):
        await create_policy(call, "push", document)
    with pytest.raises(MalformedPolicyDocument):
        await new_version(call, arn, document)


@in_memory
async def test_a_policy_has_6144_characters_and_white_space_is_free(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    room = managed.MOST_CHARACTERS - len(ALLOW)
    filled = ALLOW.replace("ecr:*", "ecr:" + "A" * (room + 1))
    over = ALLOW.replace("ecr:*", "ecr:" + "A" * (room + 2))

    arn = (await create_policy(call, "most", filled + " " * 500)).arn or ""
    with pytest.raises(LimitExceeded, match="Cannot exceed quota for PolicySize: 6144"):
        await create_policy(call, "more", over)
    with pytest.raises(LimitExceeded):
        await new_version(call, arn, over)


@in_memory
async def test_an_account_has_1500_policies_only_where_quotas_are_those_of_aws(
    registry: MemoryRegistry,
) -> None:
    call = await add_account(registry)
    async with call.services.epochs.changing(ACCOUNT) as tx:
        for n in range(policies.MOST_OF_AWS):
            await managed.create(tx, ACCOUNT, f"p{n}", ALLOW, call.now)

    await create_policy(call, "one-more")
    with_limits(registry, aws_quotas=True)
    with pytest.raises(LimitExceeded, match="PoliciesPerAccount: 1500"):
        await create_policy(registry.call, "two-more")


@in_memory
async def test_what_is_no_arn_is_invalid_and_what_is_unknown_is_not_found(registry: MemoryRegistry) -> None:
    call, stranger = await add_account(registry), await add_account(registry, OTHER)
    theirs = (await create_policy(stranger, "theirs")).arn or ""

    with pytest.raises(InvalidInput, match="Invalid ARN:  Could not be parsed!"):
        await policy_of(call, "nothing-valid-in-here")
    for arn in (theirs, f"arn:aws:iam::{ACCOUNT}:policy/none", "arn:aws:iam::aws:policy/None"):
        with pytest.raises(NoSuchEntity, match=f"Policy {arn} was not found"):
            await policy_of(call, arn)
        for act in (
            policies.delete_policy(call, iam.DeletePolicyRequest(policy_arn=arn)),
            policies.list_policy_versions(call, iam.ListPolicyVersionsRequest(policy_arn=arn)),
            policies.tag_policy(call, iam.TagPolicyRequest(policy_arn=arn, tags=[])),
            policies.list_policy_tags(call, iam.ListPolicyTagsRequest(policy_arn=arn)),
            new_version(call, arn),
        ):
            with pytest.raises(NoSuchEntity):
                await act
    assert (await policy_of(stranger, theirs)).default_version_id == "v1"


# Versions


@in_memory
async def test_versions_are_numbered_on_and_one_counts(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    arn = (await create_policy(call, "push")).arn or ""

    registry.pass_time(HOUR)
    assert await new_version(registry.call, arn) == "v2"
    kept = await policy_of(call, arn)
    assert await new_version(call, arn, default=True) == "v3"
    moved = await policy_of(call, arn)
    await policies.delete_policy_version(
        call, iam.DeletePolicyVersionRequest(policy_arn=arn, version_id="v2")
    )

    assert await new_version(call, arn) == "v4"
    assert (kept.default_version_id, moved.default_version_id) == ("v1", "v3")
    assert (kept.update_date or 0) > (kept.create_date or 0)
    listed = await policies.list_policy_versions(call, iam.ListPolicyVersionsRequest(policy_arn=arn))
    assert [(each.version_id, each.is_default_version) for each in listed.versions or []] == [
        ("v4", False),
        ("v3", True),
        ("v1", False),
    ]
    assert all(each.document is None for each in listed.versions or [])


@in_memory
async def test_the_default_version_is_what_counts(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    arn = (await create_policy(call, "push")).arn or ""
    await new_version(call, arn)

    before = await managed.document(call.db, ACCOUNT, arn)
    await policies.set_default_policy_version(
        call, iam.SetDefaultPolicyVersionRequest(policy_arn=arn, version_id="v2")
    )

    assert before == ALLOW
    assert await managed.document(call.db, ACCOUNT, arn) == DENY
    assert await managed.document(call.db, OTHER, arn) is None
    assert await managed.document(call.db, OTHER, READ_ONLY) is not None


@in_memory
async def test_the_sixth_version_is_refused_until_one_is_deleted(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    arn = (await create_policy(call, "push")).arn or ""
    for _ in range(managed.MOST_VERSIONS - 1):
        await new_version(call, arn)

    with pytest.raises(LimitExceeded, match="up to 5 versions"):
        await new_version(call, arn)
    with pytest.raises(DeleteConflict, match="Cannot delete the default version of a policy"):
        await policies.delete_policy_version(
            call, iam.DeletePolicyVersionRequest(policy_arn=arn, version_id="v1")
        )
    await policies.delete_policy_version(
        call, iam.DeletePolicyVersionRequest(policy_arn=arn, version_id="v3")
    )

    assert await new_version(call, arn) == "v6"


@in_memory
async def test_versions_that_are_not_there_are_not_found(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    arn = (await create_policy(call, "push")).arn or ""

    for act in (
        version_of(call, arn, "v2"),
        version_of(call, READ_ONLY, "v2"),
        policies.delete_policy_version(call, iam.DeletePolicyVersionRequest(policy_arn=arn, version_id="v2")),
        policies.set_default_policy_version(
            call, iam.SetDefaultPolicyVersionRequest(policy_arn=arn, version_id="v2")
        ),
    ):
        with pytest.raises(NoSuchEntity, match="version v2 does not exist or is not attachable"):
            await act


@in_memory
async def test_versions_are_listed_by_page(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    arn = (await create_policy(call, "push")).arn or ""
    for _ in range(managed.MOST_VERSIONS - 1):
        await new_version(call, arn)

    pages = await every_page(
        call, policies.list_policy_versions, iam.ListPolicyVersionsRequest, "versions", policy_arn=arn
    )

    assert [[each.version_id for each in page] for page in pages] == [["v5", "v4"], ["v3", "v2"], ["v1"]]


@in_memory
async def test_a_policy_in_use_or_with_other_versions_is_not_deleted(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    attached = (await create_policy(call, "attached", tags=[iam.Tag(key="a", value="b")])).arn or ""
    bounding = (await create_policy(call, "bounding")).arn or ""
    await create_role(call, "deploy", permissions_boundary=bounding)
    await attach_to_role(call, "deploy", attached)

    for arn in (attached, bounding):
        with pytest.raises(DeleteConflict, match="attached to entities"):
            await policies.delete_policy(call, iam.DeletePolicyRequest(policy_arn=arn))
    async with call.services.epochs.changing(ACCOUNT) as tx:
        await tx.run("identities.detach_all", {"principal": (await _role_id(call))})
    await new_version(call, attached)
    with pytest.raises(DeleteConflict, match="more than one version"):
        await policies.delete_policy(call, iam.DeletePolicyRequest(policy_arn=attached))
    await policies.delete_policy_version(
        call, iam.DeletePolicyVersionRequest(policy_arn=attached, version_id="v2")
    )
    await policies.delete_policy(call, iam.DeletePolicyRequest(policy_arn=attached))

    with pytest.raises(NoSuchEntity):
        await policy_of(call, attached)
    assert registry.count("identity_tags") == 0
    assert registry.count("policy_versions") == 1
    again = await create_policy(call, "attached")
    assert again.default_version_id == "v1"


async def _role_id(call: Call) -> str:
    found = await roles.get_role(call, iam.GetRoleRequest(role_name="deploy"))
    return found.role.role_id


# Of AWS


@in_memory
async def test_the_policies_of_aws_are_there_and_nobody_changes_them(registry: MemoryRegistry) -> None:
    call = await add_account(registry)

    found = await policy_of(call, READ_ONLY)
    version = await version_of(call, READ_ONLY, "v3")
    document = json.loads(unquote(version.document or ""))

    assert (found.policy_name, found.default_version_id) == ("AmazonEC2ContainerRegistryReadOnly", "v3")
    assert "ecr:BatchGetImage" in document["Statement"][0]["Action"]
    for act in (
        policies.delete_policy(call, iam.DeletePolicyRequest(policy_arn=READ_ONLY)),
        new_version(call, READ_ONLY),
        policies.delete_policy_version(
            call, iam.DeletePolicyVersionRequest(policy_arn=READ_ONLY, version_id="v3")
        ),
        policies.set_default_policy_version(
            call, iam.SetDefaultPolicyVersionRequest(policy_arn=READ_ONLY, version_id="v3")
        ),
        policies.tag_policy(call, iam.TagPolicyRequest(policy_arn=READ_ONLY, tags=[])),
        policies.untag_policy(call, iam.UntagPolicyRequest(policy_arn=READ_ONLY, tag_keys=["a"])),
    ):
        with pytest.raises(AccessDenied, match="nobody may change"):
            await act


@in_memory
async def test_how_often_a_policy_of_aws_is_used_is_told_by_account(registry: MemoryRegistry) -> None:
    call, stranger = await add_account(registry), await add_account(registry, OTHER)
    await create_role(call, "deploy", permissions_boundary=READ_ONLY)
    for of in (call, stranger):
        await create_role(of, "pull")
        await attach_to_role(of, "pull", READ_ONLY)

    of_call, of_stranger = await policy_of(call, READ_ONLY), await policy_of(stranger, READ_ONLY)

    assert (of_call.attachment_count, of_call.permissions_boundary_usage_count) == (1, 1)
    assert (of_stranger.attachment_count, of_stranger.permissions_boundary_usage_count) == (1, 0)


# Listing


@in_memory
async def test_policies_are_listed_by_page_own_before_those_of_aws(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create_policy(await add_account(registry, OTHER), "theirs")
    for name in ("c", "B", "a"):
        await create_policy(call, name, description="not listed")

    pages = await every_page(call, policies.list_policies, iam.ListPoliciesRequest, "policies")
    listed = [policy for page in pages for policy in page]

    assert [policy.policy_name for policy in listed[:3]] == ["a", "B", "c"]
    assert {policy.arn for policy in listed[3:]} == {policy.arn for policy in all_aws_managed()}
    assert len(listed) == 3 + len(all_aws_managed())
    assert all(policy.description is None and policy.tags is None for policy in listed)


@in_memory
async def test_policies_are_listed_by_scope_path_and_use(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    attached = (await create_policy(call, "attached", path="/ci/")).arn or ""
    bounding = (await create_policy(call, "bounding", path="/ci/")).arn or ""
    await create_policy(call, "unused", path="/ci/x/")
    await create_policy(call, "elsewhere")
    await create_role(call, "deploy", permissions_boundary=bounding)
    await attach_to_role(call, "deploy", attached)
    await attach_to_role(call, "deploy", READ_ONLY)

    async def names(**members: object) -> list[str]:
        answer = await policies.list_policies(call, iam.ListPoliciesRequest(**members))
        return [policy.policy_name or "" for policy in answer.policies or []]

    assert await names(scope="Local") == ["attached", "bounding", "elsewhere", "unused"]
    assert await names(scope="Local", path_prefix="/ci/") == ["attached", "bounding", "unused"]
    assert await names(scope="AWS", path_prefix="/service-role/") == [
        "AmazonECSTaskExecutionRolePolicy",
        "AWSAppRunnerServicePolicyForECRAccess",
    ]
    assert await names(only_attached=True) == ["attached", "AmazonEC2ContainerRegistryReadOnly"]
    assert await names(scope="Local", only_attached=True) == ["attached"]
    assert await names(policy_usage_filter="PermissionsBoundary") == ["bounding"]
    assert await names(policy_usage_filter="PermissionsPolicy", scope="AWS") == [
        "AmazonEC2ContainerRegistryReadOnly"
    ]
    assert len(await names(scope="AWS")) == len(all_aws_managed())


@in_memory
async def test_policy_tags_are_set_listed_by_page_and_removed(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    arn = (await create_policy(call, "push", tags=[iam.Tag(key="a", value="1")])).arn or ""

    await policies.tag_policy(
        call,
        iam.TagPolicyRequest(
            policy_arn=arn,
            tags=[iam.Tag(key="A", value="2"), iam.Tag(key="b", value=""), iam.Tag(key="c", value="")],
        ),
    )
    pages = await every_page(
        call, policies.list_policy_tags, iam.ListPolicyTagsRequest, "tags", policy_arn=arn
    )
    await policies.untag_policy(call, iam.UntagPolicyRequest(policy_arn=arn, tag_keys=["B", "none"]))

    assert [[tag.key for tag in page] for page in pages] == [["A", "b"], ["c"]]
    assert [tag.key for tag in (await policy_of(call, arn)).tags or []] == ["A", "c"]
    with pytest.raises(InvalidInput, match="Duplicate tag keys"):
        await create_policy(call, "other", tags=[iam.Tag(key="a", value=""), iam.Tag(key="A", value="")])


@in_memory
async def test_versions_are_not_skipped_though_newer_ones_go_meanwhile(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    arn = (await create_policy(call, "Push")).arn or ""
    for _ in range(3):
        await new_version(call, arn)

    first = await policies.list_policy_versions(
        call, iam.ListPolicyVersionsRequest(policy_arn=arn, max_items=1)
    )
    await policies.delete_policy_version(
        call, iam.DeletePolicyVersionRequest(policy_arn=arn, version_id="v4")
    )
    rest = await policies.list_policy_versions(
        call, iam.ListPolicyVersionsRequest(policy_arn=arn, marker=first.marker)
    )

    assert [version.version_id for version in (*first.versions, *rest.versions)] == ["v4", "v3", "v2", "v1"]
