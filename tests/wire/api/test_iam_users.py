"""Users, groups, access keys and inline policies through boto3; each user signs with a key of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import Api, Key

PULL_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
Names = Callable[[str], str]


def policy(*actions: str, resource: str = "*") -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def names() -> Names:
    """Names that no other test has, and that are not lower case."""
    numbers = count(1)
    return lambda stem: f"{stem.capitalize()}-{next(numbers)}"


@pytest.fixture
def user(root: Api, names: Names) -> Iterator[str]:
    """A user; at the end it is deleted as Terraform's `force_destroy` does."""
    name = names("user")
    root.iam.create_user(UserName=name)
    yield name
    delete_user(root.iam, name)


def delete_user(iam: Any, name: str) -> None:
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for inline in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=inline)
    for attached in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=name, PolicyArn=attached["PolicyArn"])
    for group in iam.list_groups_for_user(UserName=name)["Groups"]:
        iam.remove_user_from_group(UserName=name, GroupName=group["GroupName"])
    assert iam.list_mfa_devices(UserName=name)["MFADevices"] == []
    assert iam.list_virtual_mfa_devices(AssignmentStatus="Any")["VirtualMFADevices"] == []
    assert iam.list_ssh_public_keys(UserName=name)["SSHPublicKeys"] == []
    assert iam.list_signing_certificates(UserName=name)["Certificates"] == []
    assert iam.list_service_specific_credentials(UserName=name)["ServiceSpecificCredentials"] == []
    with pytest.raises(iam.exceptions.NoSuchEntityException, match="Login Profile for User"):
        iam.delete_login_profile(UserName=name)
    iam.delete_user(UserName=name)


def key_of(root: Api, name: str) -> Api:
    made = root.iam.create_access_key(UserName=name)["AccessKey"]
    return replace(root, key=Key(made["AccessKeyId"], made["SecretAccessKey"]))


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as raised:
        call()
    return str(raised.value.response["Error"]["Code"])


def test_a_user_has_what_it_was_made_with(root: Api, names: Names) -> None:
    name = names("made")

    made = root.iam.create_user(
        UserName=name,
        Path="/ci/",
        PermissionsBoundary=PULL_ONLY,
        Tags=[{"Key": "team", "Value": "größe = 1"}],
    )["User"]
    found = root.iam.get_user(UserName=name.lower())["User"]

    assert made == found
    assert found["Arn"] == f"arn:aws:iam::{root.account}:user/ci/{name}"
    assert found["Tags"] == [{"Key": "team", "Value": "größe = 1"}]
    assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == PULL_ONLY
    root.iam.delete_user_permissions_boundary(UserName=name)
    delete_user(root.iam, name)
    with pytest.raises(root.iam.exceptions.NoSuchEntityException):
        root.iam.get_user(UserName=name)


def test_the_paginator_of_boto3_finds_every_user_once(root: Api, names: Names) -> None:
    made = sorted(names("paged") for _ in range(7))
    for name in made:
        root.iam.create_user(UserName=name, Path="/paged/")

    pages = list(
        root.iam.get_paginator("list_users").paginate(PathPrefix="/paged/", PaginationConfig={"PageSize": 3})
    )

    assert [len(page["Users"]) for page in pages] == [3, 3, 1]
    assert [user["UserName"] for page in pages for user in page["Users"]] == sorted(made, key=str.lower)
    assert "Marker" not in pages[-1]
    for name in made:
        root.iam.delete_user(UserName=name)


def test_bad_input_is_refused_in_iams_words(root: Api, user: str) -> None:
    iam = root.iam

    assert code_of(lambda: iam.create_user(UserName="no spaces")) == "ValidationError"
    assert code_of(lambda: iam.create_user(UserName="x", Path="no-slash")) == "ValidationError"
    assert code_of(lambda: iam.create_user(UserName=user.upper())) == "EntityAlreadyExists"
    assert code_of(lambda: iam.list_users(Marker="forged")) == "ValidationError"
    assert (
        code_of(lambda: iam.tag_user(UserName=user, Tags=[{"Key": "a", "Value": ""}] * 2)) == "InvalidInput"
    )
    assert (
        code_of(
            lambda: iam.put_user_policy(
                UserName=user, PolicyName="p", PolicyDocument='{"Version":"2012-10-17","Statement":[{}]}'
            )
        )
        == "MalformedPolicyDocument"
    )


def test_another_account_has_other_users(root: Api, stranger: Api, user: str) -> None:
    assert code_of(lambda: stranger.iam.get_user(UserName=user)) == "NoSuchEntity"
    assert user not in [each["UserName"] for each in stranger.iam.list_users()["Users"]]
    key = key_of(root, user).key.id
    assert code_of(lambda: stranger.iam.get_access_key_last_used(AccessKeyId=key)) == "NoSuchEntity"


def test_a_user_who_calls_without_name_is_meant(root: Api, user: str) -> None:
    own = key_of(root, user)
    root.iam.put_user_policy(UserName=user, PolicyName="self", PolicyDocument=policy("iam:*"))

    assert own.iam.get_user()["User"]["UserName"] == user
    second = own.iam.create_access_key()["AccessKey"]
    assert second["UserName"] == user
    assert len(own.iam.list_access_keys()["AccessKeyMetadata"]) == 2
    assert code_of(own.iam.create_access_key) == "LimitExceeded"
    own.iam.update_access_key(AccessKeyId=second["AccessKeyId"], Status="Inactive")
    own.iam.delete_access_key(AccessKeyId=second["AccessKeyId"])
    assert root.iam.get_user()["User"]["Arn"] == f"arn:aws:iam::{root.account}:root"


def test_what_a_policy_gives_and_takes_counts_from_the_next_request_on(
    root: Api, user: str, names: Names
) -> None:
    own = key_of(root, user)
    group = root.iam.create_group(GroupName=names("team"))["Group"]["GroupName"]
    root.iam.put_group_policy(
        GroupName=group, PolicyName="look", PolicyDocument=policy("ecr:DescribeRepositories")
    )

    look = own.ecr.describe_repositories
    assert code_of(look) == "AccessDeniedException"
    root.iam.add_user_to_group(GroupName=group, UserName=user)
    look()
    root.iam.remove_user_from_group(GroupName=group, UserName=user)
    assert code_of(look) == "AccessDeniedException"
    root.iam.put_user_policy(UserName=user, PolicyName="look", PolicyDocument=policy("ecr:Describe*"))
    look()
    root.iam.delete_user_policy(UserName=user, PolicyName="look")
    assert code_of(look) == "AccessDeniedException"
    root.iam.delete_group_policy(GroupName=group, PolicyName="look")
    root.iam.delete_group(GroupName=group)


def test_a_key_that_is_switched_off_or_deleted_is_refused_at_once(root: Api, user: str) -> None:
    own = key_of(root, user)
    root.iam.put_user_policy(UserName=user, PolicyName="look", PolicyDocument=policy("ecr:*"))
    own.ecr.describe_repositories()

    root.iam.update_access_key(UserName=user, AccessKeyId=own.key.id, Status="Inactive")
    assert code_of(own.ecr.describe_repositories) == "UnrecognizedClientException"
    root.iam.update_access_key(UserName=user, AccessKeyId=own.key.id, Status="Active")
    own.ecr.describe_repositories()
    root.iam.delete_access_key(UserName=user, AccessKeyId=own.key.id)
    assert code_of(own.ecr.describe_repositories) == "UnrecognizedClientException"


def test_a_policy_is_read_back_as_a_document(root: Api, user: str) -> None:
    text = policy("ecr:*", resource=f"arn:aws:ecr:*:{root.account}:repository/ö/*")
    root.iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=text)

    found = root.iam.get_user_policy(UserName=user.lower(), PolicyName="own")

    assert found["PolicyDocument"] == json.loads(text)  # boto3 decodes it
    assert found["UserName"] == user
    assert root.iam.list_user_policies(UserName=user)["PolicyNames"] == ["own"]


def test_a_group_has_its_life(root: Api, user: str, names: Names) -> None:
    name = names("crew")
    made = root.iam.create_group(GroupName=name, Path="/x/")["Group"]
    root.iam.add_user_to_group(GroupName=name, UserName=user)

    found = root.iam.get_group(GroupName=name.lower())
    assert found["Group"] == made
    assert [each["UserName"] for each in found["Users"]] == [user]
    assert [each["GroupName"] for each in root.iam.list_groups(PathPrefix="/x/")["Groups"]] == [name]
    assert code_of(lambda: root.iam.delete_group(GroupName=name)) == "DeleteConflict"
    assert code_of(lambda: root.iam.delete_user(UserName=user)) == "DeleteConflict"
    root.iam.update_group(GroupName=name, NewGroupName=name + "s")
    root.iam.remove_user_from_group(GroupName=name + "s", UserName=user)
    root.iam.delete_group(GroupName=name + "s")
    assert code_of(lambda: root.iam.get_group(GroupName=name + "s")) == "NoSuchEntity"


def test_of_keys_made_at_once_two_are_left(root: Api, user: str) -> None:
    """The quota is counted where nobody else can write."""

    def make(_: int) -> str:
        try:
            return str(root.iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"])
        except root.iam.exceptions.LimitExceededException:
            return ""

    with ThreadPoolExecutor(8) as pool:
        made = [key for key in pool.map(make, range(16)) if key]

    assert len(made) == 2
    assert {
        key["AccessKeyId"] for key in root.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    } == set(made)
