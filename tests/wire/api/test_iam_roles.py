"""Roles, managed policies, attachments and identity providers, by boto3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import Api, Key

READ_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"
ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}]}

Name = Callable[[str], str]


def trusting(**principal: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@contextmanager
def refused(code: str, text: str = "") -> Iterator[None]:
    with pytest.raises(ClientError) as raised:
        yield
    error = raised.value.response["Error"]
    assert error["Code"] == code, error
    assert text in error["Message"]


@pytest.fixture
def iam(root: Api) -> Any:
    return root.client("iam")


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def name(numbers: Iterator[int]) -> Name:
    """A name that no other test has."""
    return lambda stem: f"{stem}-{next(numbers)}"


def create_role(iam: Any, name: str, trust: dict[str, Any] | None = None, **members: Any) -> Any:
    document = json.dumps(trust or trusting(AWS="123456789012"))
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, **members)["Role"]


def create_policy(iam: Any, name: str, **members: Any) -> str:
    created = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(ALLOW), **members)
    return str(created["Policy"]["Arn"])


def test_a_role_as_terraform_makes_reads_and_deletes_it(iam: Any, root: Api, name: Name) -> None:
    role, tags = name("deploy"), [{"Key": "team", "Value": "infra"}]
    created = create_role(
        iam,
        role,
        Path="/ci/",
        Description="from CI",
        MaxSessionDuration=7200,
        PermissionsBoundary=READ_ONLY,
        Tags=tags,
    )
    iam.attach_role_policy(RoleName=role, PolicyArn=READ_ONLY)
    iam.put_role_policy(RoleName=role, PolicyName="inline", PolicyDocument=json.dumps(ALLOW))

    read = iam.get_role(RoleName=role)["Role"]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    inline = iam.list_role_policies(RoleName=role)["PolicyNames"]
    profiles = iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"]

    assert created["AssumeRolePolicyDocument"] == trusting(AWS="123456789012")
    assert read["Arn"] == f"arn:aws:iam::{root.account}:role/ci/{role}"
    assert (read["MaxSessionDuration"], read["Description"], read["Tags"]) == (7200, "from CI", tags)
    assert read["PermissionsBoundary"]["PermissionsBoundaryArn"] == READ_ONLY
    assert read["RoleLastUsed"] == {}
    assert attached == [{"PolicyName": "AmazonEC2ContainerRegistryReadOnly", "PolicyArn": READ_ONLY}]
    assert (inline, profiles) == (["inline"], [])
    with refused("DeleteConflict"):
        iam.delete_role(RoleName=role)
    iam.detach_role_policy(RoleName=role, PolicyArn=READ_ONLY)
    iam.delete_role_policy(RoleName=role, PolicyName="inline")
    iam.delete_role_permissions_boundary(RoleName=role)
    iam.delete_role(RoleName=role)
    with refused("NoSuchEntity", f"The role with name {role} cannot be found."):
        iam.get_role(RoleName=role)


def test_a_role_is_changed_tagged_and_waited_for(iam: Any, name: Name) -> None:
    role = name("deploy")
    create_role(iam, role)
    iam.get_waiter("role_exists").wait(RoleName=role)

    iam.update_role(RoleName=role, Description="one", MaxSessionDuration=3600)
    described = iam.update_role_description(RoleName=role, Description="two")["Role"]
    iam.update_assume_role_policy(
        RoleName=role, PolicyDocument=json.dumps(trusting(Service="ecr.amazonaws.com"))
    )
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=READ_ONLY)
    iam.tag_role(RoleName=role, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    iam.untag_role(RoleName=role, TagKeys=["A"])

    read = iam.get_role(RoleName=role)["Role"]
    assert described["Description"] == read["Description"] == "two"
    assert read["AssumeRolePolicyDocument"] == trusting(Service="ecr.amazonaws.com")
    assert iam.list_role_tags(RoleName=role)["Tags"] == [{"Key": "b", "Value": ""}]
    with refused("InvalidInput", "Duplicate tag keys found."):
        iam.tag_role(RoleName=role, Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": ""}])


def test_a_trust_policy_names_who_exists_and_forgets_who_is_gone(iam: Any, root: Api, name: Name) -> None:
    user, role = name("alice"), name("deploy")
    nobody = f"arn:aws:iam::{root.account}:user/{name('nobody')}"
    created = iam.create_user(UserName=user)["User"]

    with refused("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{nobody}"'):
        create_role(iam, role, trusting(AWS=nobody))
    with refused("MalformedPolicyDocument"):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument="{")
    create_role(iam, name("foreign"), trusting(AWS="arn:aws:iam::999999999999:role/anything"))
    create_role(iam, role, trusting(AWS=created["Arn"]))
    shown = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    iam.delete_user(UserName=user)
    left = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]

    assert shown == trusting(AWS=created["Arn"])
    assert left == trusting(AWS=created["UserId"])


def test_who_takes_a_trusted_name_is_not_trusted(iam: Any, root: Api, name: Name) -> None:
    user, role = name("alice"), name("deploy")
    arn = iam.create_user(UserName=user)["User"]["Arn"]
    role_arn = create_role(iam, role, trusting(AWS=arn))["Arn"]

    def assume() -> str:
        made = iam.create_access_key(UserName=user)["AccessKey"]
        signed = replace(root, key=Key(made["AccessKeyId"], made["SecretAccessKey"]))
        try:
            session = signed.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="session")
        finally:
            iam.delete_access_key(UserName=user, AccessKeyId=made["AccessKeyId"])
        return str(session["AssumedRoleUser"]["Arn"])

    assert assume() == f"arn:aws:sts::{root.account}:assumed-role/{role}/session"
    iam.delete_user(UserName=user)
    assert iam.create_user(UserName=user)["User"]["Arn"] == arn
    with refused("AccessDenied", "is not authorized to perform: sts:AssumeRole"):
        assume()
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trusting(AWS=arn)))
    assert assume().endswith(f"{role}/session")


def test_pages_of_boto3_list_every_role_and_policy(iam: Any, name: Name) -> None:
    path = f"/{name('pages')}/"
    for n in range(5):
        create_role(iam, name(f"r{n}"), Path=path)
        create_policy(iam, name(f"p{n}"), Path=path)
    small = {"PaginationConfig": {"PageSize": 2}, "PathPrefix": path}

    roles = [role for page in iam.get_paginator("list_roles").paginate(**small) for role in page["Roles"]]
    policies = list(iam.get_paginator("list_policies").paginate(**small).search("Policies[].PolicyName"))

    assert [role["RoleName"][:2] for role in roles] == ["r0", "r1", "r2", "r3", "r4"]
    assert [policy[:2] for policy in policies] == ["p0", "p1", "p2", "p3", "p4"]
    with refused("ValidationError"):
        iam.list_roles(Marker="invented")


def test_a_policy_and_its_versions(iam: Any, root: Api, name: Name) -> None:
    policy = name("push")
    arn = create_policy(iam, policy, Path="/ci/", Description="may push", Tags=[{"Key": "a", "Value": "1"}])

    with refused("EntityAlreadyExists"):
        create_policy(iam, policy.upper())
    with refused("MalformedPolicyDocument"):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument="{}")
    denying = json.dumps(ALLOW).replace("Allow", "Deny")
    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=denying, SetAsDefault=True)[
        "PolicyVersion"
    ]
    read = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]

    assert (second["VersionId"], second["IsDefaultVersion"]) == ("v2", True)
    assert (read["DefaultVersionId"], read["AttachmentCount"], read["Description"]) == ("v2", 0, "may push")
    assert read["Tags"] == [{"Key": "a", "Value": "1"}]
    assert version["Document"] == json.loads(denying)
    assert [(each["VersionId"], each["IsDefaultVersion"]) for each in versions] == [
        ("v2", False),
        ("v1", True),
    ]
    with refused("DeleteConflict"):
        iam.delete_policy(PolicyArn=arn)
    with refused("DeleteConflict"):
        iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    with refused("NoSuchEntity"):
        iam.get_policy_version(PolicyArn=arn, VersionId="v3")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    iam.untag_policy(PolicyArn=arn, TagKeys=["a"])
    assert iam.list_policy_tags(PolicyArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    iam.delete_policy(PolicyArn=arn)
    with refused("NoSuchEntity", f"Policy {arn} was not found."):
        iam.get_policy(PolicyArn=arn)


def test_the_sixth_version_and_too_long_a_policy_are_over_the_limit(iam: Any, name: Name) -> None:
    arn = create_policy(iam, name("push"))
    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(ALLOW))
    long = json.dumps(ALLOW).replace("ecr:*", "ecr:" + "A" * 6_144)

    with refused("LimitExceeded", "up to 5 versions"):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(ALLOW))
    with refused("LimitExceeded", "PolicySize: 6144"):
        iam.create_policy(PolicyName=name("long"), PolicyDocument=long)


def test_the_policies_of_aws_are_listed_read_and_never_changed(iam: Any) -> None:
    listed = iam.list_policies(Scope="AWS", MaxItems=1000)["Policies"]
    read = iam.get_policy(PolicyArn=READ_ONLY)["Policy"]
    version = iam.get_policy_version(PolicyArn=READ_ONLY, VersionId=read["DefaultVersionId"])["PolicyVersion"]

    assert READ_ONLY in {policy["Arn"] for policy in listed}
    assert "ecr:BatchGetImage" in version["Document"]["Statement"][0]["Action"]
    with refused("AccessDenied", "nobody may change"):
        iam.create_policy_version(PolicyArn=READ_ONLY, PolicyDocument=json.dumps(ALLOW))


def test_policies_are_attached_to_users_groups_and_roles(iam: Any, name: Name) -> None:
    holder = name("holder")
    arn = create_policy(iam, name("push"))
    iam.create_user(UserName=holder)
    iam.create_group(GroupName=holder)
    create_role(iam, holder)

    for kind in ("User", "Group", "Role"):
        verb = kind.lower()
        named = {f"{kind}Name": holder}
        attach, detach = getattr(iam, f"attach_{verb}_policy"), getattr(iam, f"detach_{verb}_policy")
        attached = getattr(iam, f"list_attached_{verb}_policies")
        assert attached(**named)["AttachedPolicies"] == []
        attach(PolicyArn=arn, **named)
        attach(PolicyArn=arn, **named)
        assert [each["PolicyArn"] for each in attached(**named)["AttachedPolicies"]] == [arn]
        with refused("NoSuchEntity", "does not exist or is not attachable"):
            attach(PolicyArn=f"{arn}-none", **named)
        with refused("NoSuchEntity", "was not found"):
            detach(PolicyArn=READ_ONLY, **named)
    held = iam.list_entities_for_policy(PolicyArn=arn)
    counted = iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"]
    local = iam.list_policies(Scope="Local", OnlyAttached=True, MaxItems=1000)["Policies"]

    assert [held[f"Policy{kind}s"][0][f"{kind}Name"] for kind in ("User", "Group", "Role")] == [holder] * 3
    assert counted == 3
    assert arn in {policy["Arn"] for policy in local}
    with refused("PolicyNotAttachable"):
        iam.attach_role_policy(
            RoleName=holder, PolicyArn="arn:aws:iam::aws:policy/aws-service-role/ECRTemplateServiceRolePolicy"
        )


def test_service_linked_roles(iam: Any) -> None:
    service, role = "pullthroughcache.ecr.amazonaws.com", "AWSServiceRoleForECRPullThroughCache"
    with suppress(iam.exceptions.NoSuchEntityException):
        iam.delete_service_linked_role(RoleName=role)  # a rule of another test has made it

    assert iam.create_service_linked_role(AWSServiceName=service)["Role"]["RoleName"] == role
    with refused("InvalidInput", "has been taken in this account"):
        iam.create_service_linked_role(AWSServiceName=service)
    with refused("InvalidInput", f"Custom suffix is not allowed for {service}"):
        iam.create_service_linked_role(AWSServiceName=service, CustomSuffix="x")
    with refused("UnmodifiableEntity"):
        iam.delete_role(RoleName=role)
    task = iam.delete_service_linked_role(RoleName=role)["DeletionTaskId"]
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"
    with refused("NoSuchEntity"):
        iam.get_role(RoleName=role)


def test_identity_providers(iam: Any, root: Api, name: Name) -> None:
    place, thumbprint = f"{name('issuer')}.example/id", "6938fd4d98bab03faadb97b34396831e3780aea1"
    tags = [{"Key": "team", "Value": "ci"}]
    created = iam.create_open_id_connect_provider(
        Url=f"https://{place}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=[thumbprint], Tags=tags
    )
    arn = created["OpenIDConnectProviderArn"]
    named = {"OpenIDConnectProviderArn": arn}

    iam.add_client_id_to_open_id_connect_provider(ClientID="other", **named)
    iam.remove_client_id_from_open_id_connect_provider(ClientID="sts.amazonaws.com", **named)
    iam.update_open_id_connect_provider_thumbprint(ThumbprintList=["a" * 40], **named)
    iam.tag_open_id_connect_provider(Tags=[{"Key": "x", "Value": ""}], **named)
    iam.untag_open_id_connect_provider(TagKeys=["team"], **named)
    read = iam.get_open_id_connect_provider(**named)
    listed = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]

    assert arn == f"arn:aws:iam::{root.account}:oidc-provider/{place}"
    assert (read["Url"], read["ClientIDList"], read["ThumbprintList"]) == (place, ["other"], ["a" * 40])
    assert iam.list_open_id_connect_provider_tags(**named)["Tags"] == [{"Key": "x", "Value": ""}]
    assert {"Arn": arn} in listed
    with refused("EntityAlreadyExists"):
        iam.create_open_id_connect_provider(Url=f"https://{place}")
    with refused("InvalidInput"):
        iam.create_open_id_connect_provider(Url=f"http://{place}/other")
    iam.delete_open_id_connect_provider(**named)
    with refused("NoSuchEntity"):
        iam.get_open_id_connect_provider(**named)


def test_another_account_sees_nothing_of_it(iam: Any, stranger: Api, name: Name) -> None:
    role, other = name("deploy"), stranger.client("iam")
    create_role(iam, role)
    arn = create_policy(iam, name("push"))

    assert role not in {each["RoleName"] for each in other.list_roles()["Roles"]}
    assert other.list_policies(Scope="Local")["Policies"] == []
    with refused("NoSuchEntity"):
        other.get_role(RoleName=role)
    for foreign in (arn, f"{arn}-none"):
        with refused("AccessDenied", "because no resource-based policy allows the iam:GetPolicy action"):
            other.get_policy(PolicyArn=foreign)
    create_role(other, role)
    with refused("NoSuchEntity", "does not exist or is not attachable"):
        other.attach_role_policy(RoleName=role, PolicyArn=arn)
