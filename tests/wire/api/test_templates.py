"""Repository creation templates, and the repositories that pushes make of them."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ...conftest import Server
from ..people import Account, Caller, allow, trust
from .conftest import sha256
from .test_registry import described
from .test_settings import refused
from .test_sts import keys_in

POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "all pull",
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        }
    ],
}
LIFECYCLE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 14,
                },
                "action": {"type": "expire"},
            }
        ]
    },
    indent=1,
)
OWN_TIMES = ("createdAt", "updatedAt")


def template(api: Any, prefix: str, *applied_for: str, **members: Any) -> dict[str, Any]:
    made = api.ecr.create_repository_creation_template(
        prefix=prefix, appliedFor=list(applied_for) or ["CREATE_ON_PUSH"], **members
    )
    return dict(made["repositoryCreationTemplate"])


def push(api: Any, name: str, **options: Any) -> Any:
    """The first request of a push."""
    return api.v2("POST", f"/v2/{name}/blobs/uploads/", b"", **options)


def names(api: Any) -> list[str]:
    return [each["repositoryName"] for each in api.ecr.describe_repositories()["repositories"]]


# The templates themselves


def test_a_template_of_a_prefix_alone_has_the_defaults_of_a_repository(api: Any) -> None:
    made = template(api, "prod", "CREATE_ON_PUSH", "REPLICATION", "CREATE_ON_PUSH")

    assert {name: value for name, value in made.items() if name not in OWN_TIMES} == {
        "prefix": "prod",
        "encryptionConfiguration": {"encryptionType": "AES256"},
        "imageTagMutability": "MUTABLE",
        "appliedFor": ["CREATE_ON_PUSH", "REPLICATION"],
    }
    assert made["createdAt"] == made["updatedAt"]


def test_a_template_reads_as_it_was_written(api: Any) -> None:
    role = f"arn:aws:iam::{api.account}:role/ecr/maker"
    members = {
        "description": "What production gets",
        "encryptionConfiguration": {
            "encryptionType": "KMS",
            "kmsKey": f"arn:aws:kms:{api.region}:{api.account}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        },
        "resourceTags": [{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": ""}],
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "dev-*"}],
        "repositoryPolicy": json.dumps(POLICY),
        "lifecyclePolicy": LIFECYCLE,
        "customRoleArn": role,
    }

    made = template(api, "prod/", "PULL_THROUGH_CACHE", **members)
    (read,) = api.ecr.describe_repository_creation_templates(prefixes=["prod"])["repositoryCreationTemplates"]

    assert made == read
    assert json.loads(read["repositoryPolicy"]) == POLICY
    assert read["repositoryPolicy"].startswith('{\n  "Version" : "2012-10-17",')
    expected = {**members, "prefix": "prod/", "appliedFor": ["PULL_THROUGH_CACHE"]}
    shown = {name: value for name, value in read.items() if name not in (*OWN_TIMES, "repositoryPolicy")}
    assert shown == {name: value for name, value in expected.items() if name != "repositoryPolicy"}


def test_a_prefix_has_one_template(api: Any) -> None:
    template(api, "prod")

    with pytest.raises(api.ecr.exceptions.TemplateAlreadyExistsException, match="with the prefix 'prod/'"):
        template(api, "prod/")


def test_an_update_replaces_what_it_names_and_empty_policies_go(api: Any) -> None:
    before = template(
        api, "prod", description="one", repositoryPolicy=json.dumps(POLICY), lifecyclePolicy=LIFECYCLE,
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "v*"}],
    )  # fmt: skip

    same = api.ecr.update_repository_creation_template(prefix="prod")["repositoryCreationTemplate"]
    after = api.ecr.update_repository_creation_template(
        prefix="prod/",
        description="two",
        appliedFor=["REPLICATION"],
        repositoryPolicy="",
        imageTagMutability="IMMUTABLE",
    )["repositoryCreationTemplate"]
    last = api.ecr.update_repository_creation_template(prefix="prod", lifecyclePolicy="")

    assert {**same, "updatedAt": 0} == {**before, "updatedAt": 0}
    assert same["updatedAt"] > before["updatedAt"]
    assert after["createdAt"] == before["createdAt"]
    assert {name: value for name, value in after.items() if name not in OWN_TIMES} == {
        "prefix": "prod",
        "description": "two",
        "encryptionConfiguration": {"encryptionType": "AES256"},
        "imageTagMutability": "IMMUTABLE",
        "lifecyclePolicy": LIFECYCLE,
        "appliedFor": ["REPLICATION"],
    }
    assert "lifecyclePolicy" not in last["repositoryCreationTemplate"]


def test_templates_are_listed_in_pages_and_unknown_prefixes_are_absent(api: Any) -> None:
    for n in range(5):
        template(api, f"team-{n}")

    pages = [
        [each["prefix"] for each in page["repositoryCreationTemplates"]]
        for page in api.ecr.get_paginator("describe_repository_creation_templates").paginate(
            PaginationConfig={"PageSize": 2}
        )
    ]
    named = described(api.ecr.describe_repository_creation_templates(prefixes=["team-3", "nope"]))

    assert pages == [["team-0", "team-1"], ["team-2", "team-3"], ["team-4"]]
    assert named["registryId"] == api.account
    assert [each["prefix"] for each in named["repositoryCreationTemplates"]] == ["team-3"]
    code, _ = refused(api, "DescribeRepositoryCreationTemplates", prefixes=["team-3"], maxResults=1)
    assert code == "InvalidParameterException"


def test_a_deleted_template_is_told_once(api: Any) -> None:
    made = template(api, "prod")

    assert api.ecr.delete_repository_creation_template(prefix="prod")["repositoryCreationTemplate"] == made
    for ask in (api.ecr.delete_repository_creation_template, api.ecr.update_repository_creation_template):
        with pytest.raises(api.ecr.exceptions.TemplateNotFoundException):
            ask(prefix="prod")


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"prefix": "Prod"}, "InvalidParameterException"),
        ({"prefix": ""}, "InvalidParameterException"),
        ({"prefix": "a" * 257}, "InvalidParameterException"),
        ({"appliedFor": ["PUSH"]}, "InvalidParameterException"),
        ({"description": "x" * 257}, "InvalidParameterException"),
        ({"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}, "InvalidParameterException"),
        ({"repositoryPolicy": "{}"}, "InvalidParameterException"),
        ({"lifecyclePolicy": "{}"}, "InvalidParameterException"),
        ({"resourceTags": [{"Key": "aws:a", "Value": "b"}]}, "ValidationException"),
        ({"resourceTags": [{"Key": "a", "Value": "b"}, {"Key": "A", "Value": "b"}]}, "ValidationException"),
        ({"customRoleArn": "maker"}, "ValidationException"),
        ({"customRoleArn": "arn:aws:iam::999999999999:role/maker"}, "ValidationException"),
        (
            {
                "encryptionConfiguration": {
                    "encryptionType": "AES256",
                    "kmsKey": "arn:aws:kms:us-east-1:123456789012:key/a",
                }
            },
            "ValidationException",
        ),
    ],
    ids=str,
)
def test_what_is_no_template_is_refused(api: Any, members: dict[str, Any], code: str) -> None:
    request = {"prefix": "prod", "appliedFor": ["CREATE_ON_PUSH"], **members}

    assert refused(api, "CreateRepositoryCreationTemplate", **request)[0] == code
    assert api.ecr.describe_repository_creation_templates()["repositoryCreationTemplates"] == []


# Who may make them


@pytest.fixture(scope="module")
def account(server: Server) -> Account:
    return Account.of(Caller(server, *keys_in(server.data / "credentials")))


@pytest.mark.parametrize(
    ("member", "value", "action"),
    [
        ("customRoleArn", "arn:aws:iam::{account}:role/maker", "iam:PassRole"),
        ("lifecyclePolicy", LIFECYCLE, "ecr:PutLifecyclePolicy"),
        ("repositoryPolicy", json.dumps(POLICY), "ecr:SetRepositoryPolicy"),
    ],
)
def test_what_a_template_gives_its_maker_must_be_allowed_to_give(
    account: Account, member: str, value: str, action: str
) -> None:
    base = ("ecr:CreateRepositoryCreationTemplate", "ecr:UpdateRepositoryCreationTemplate")
    _, without = account.user(allow(*base))
    _, allowed = account.user(allow(*base, action))
    given = {member: value.replace("{account}", account.id)}
    prefix = f"rights/{secrets.token_hex(4)}"

    with pytest.raises(ClientError, match=f"not authorized to perform: {action}"):
        without.client("ecr").create_repository_creation_template(
            prefix=prefix, appliedFor=["REPLICATION"], **given
        )
    allowed.client("ecr").create_repository_creation_template(
        prefix=prefix, appliedFor=["REPLICATION"], **given
    )
    with pytest.raises(ClientError, match=f"not authorized to perform: {action}"):
        without.client("ecr").update_repository_creation_template(prefix=prefix, **given)


def test_a_role_may_be_passed_to_the_service_only(account: Account) -> None:
    arn = f"arn:aws:iam::{account.id}:role/maker"
    passing = allow("iam:PassRole", resource=arn, StringEquals={"iam:PassedToService": "ecr.amazonaws.com"})
    elsewhere = passing.replace("ecr.amazonaws.com", "ec2.amazonaws.com")
    _, right = account.user(allow("ecr:*"))
    _, wrong = account.user(allow("ecr:*"))
    account.iam.put_user_policy(
        UserName=right.arn.rpartition("/")[2], PolicyName="pass", PolicyDocument=passing
    )
    account.iam.put_user_policy(
        UserName=wrong.arn.rpartition("/")[2], PolicyName="pass", PolicyDocument=elsewhere
    )
    request = {"prefix": "passed", "appliedFor": ["REPLICATION"], "customRoleArn": arn}

    with pytest.raises(ClientError, match="iam:PassRole"):
        wrong.client("ecr").create_repository_creation_template(**request)
    right.client("ecr").create_repository_creation_template(**request)


# Pushes that make repositories


def test_a_push_makes_the_repository_as_the_template_closest_to_its_name_says(api: Any) -> None:
    template(api, "ROOT", imageTagMutability="IMMUTABLE")
    template(
        api,
        "prod",
        repositoryPolicy=json.dumps(POLICY),
        lifecyclePolicy=LIFECYCLE,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}],
    )
    template(api, "prod/team", "REPLICATION", imageTagMutability="MUTABLE")

    for name in ("prod/team/app", "production/app", "prod"):
        assert push(api, name).status == 202
    mutability = {
        each["repositoryName"]: each["imageTagMutability"]
        for each in api.ecr.describe_repositories()["repositories"]
    }

    assert mutability == {
        "prod/team/app": "IMMUTABLE_WITH_EXCLUSION",  # the longer one is for replication only
        "production/app": "IMMUTABLE",
        "prod": "IMMUTABLE",
    }
    policy = api.ecr.get_repository_policy(repositoryName="prod/team/app")["policyText"]
    lifecycle = api.ecr.get_lifecycle_policy(repositoryName="prod/team/app")["lifecyclePolicyText"]
    assert json.loads(policy) == POLICY
    assert json.loads(lifecycle) == json.loads(LIFECYCLE)
    with pytest.raises(api.ecr.exceptions.RepositoryPolicyNotFoundException):
        api.ecr.get_repository_policy(repositoryName="prod")


def test_an_image_is_pushed_whole_to_a_repository_that_was_not_there(api: Any) -> None:
    template(api, "new")
    config = b"{}"
    manifest = api.manifest().encode()

    uploaded = api.v2("POST", f"/v2/new/app/blobs/uploads/?digest={sha256(config)}", config)
    pushed = api.v2(
        "PUT", "/v2/new/app/manifests/v1", manifest, content_type="application/vnd.oci.image.manifest.v1+json"
    )

    assert (uploaded.status, pushed.status) == (201, 201)
    assert api.v2("GET", "/v2/new/app/manifests/v1").body == manifest


def test_an_index_without_layers_makes_its_repository_too(api: Any) -> None:
    template(api, "new")

    pushed = api.v2(
        "PUT",
        "/v2/new/index/manifests/v1",
        api.index().encode(),
        content_type="application/vnd.oci.image.index.v1+json",
    )

    assert pushed.status == 201
    assert names(api) == ["new/index"]


def test_without_a_template_for_pushes_nothing_is_made(api: Any) -> None:
    template(api, "new", "REPLICATION", "PULL_THROUGH_CACHE")

    begun = push(api, "new/app")
    asked = api.v2("HEAD", f"/v2/new/app/blobs/{sha256('x')}")
    put = api.v2("PUT", "/v2/new/app/manifests/v1", api.manifest().encode())

    assert (begun.status, begun.json["errors"][0]["code"]) == (404, "NAME_UNKNOWN")
    assert asked.status == 404
    assert put.status == 404
    assert names(api) == []


def test_the_api_makes_no_repository(api: Any) -> None:
    template(api, "ROOT")

    with pytest.raises(api.ecr.exceptions.RepositoryNotFoundException):
        api.ecr.initiate_layer_upload(repositoryName="new")
    assert names(api) == []


def test_a_push_that_may_not_create_makes_nothing(account: Account, api: Any) -> None:
    """Both rights are asked for before anything is there (Amazon made the repository first)."""
    prefix = f"guarded-{secrets.token_hex(4)}"
    ecr = account.root.client("ecr")
    ecr.create_repository_creation_template(prefix=prefix, appliedFor=["CREATE_ON_PUSH"])
    login = ("ecr:GetAuthorizationToken",)
    cases = {
        "nothing": allow(*login),
        "create": allow(*login, "ecr:CreateRepository", "ecr:PutImage"),
        "upload": allow(*login, "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:PutImage"),
    }
    manifest = api.manifest().encode()

    for name, policy in cases.items():
        _, caller = account.user(policy)
        password = password_of(caller)
        host = f"localhost:{api.host.rpartition(':')[2]}"
        begun = api.v2("POST", f"/v2/{prefix}/{name}/blobs/uploads/", b"", password=password, host=host)
        put = api.v2("PUT", f"/v2/{prefix}/{name}/manifests/v1", manifest, password=password, host=host)
        assert (begun.status, put.status) == (403, 403), name

    _, both = account.user(allow(*login, "ecr:InitiateLayerUpload", "ecr:CreateRepository"))
    made = api.v2("POST", f"/v2/{prefix}/both/blobs/uploads/", b"", password=password_of(both), host=host)
    found = [each["repositoryName"] for each in ecr.describe_repositories()["repositories"]]

    assert made.status == 202
    assert [name for name in found if name.startswith(prefix)] == [f"{prefix}/both"]


def password_of(caller: Caller) -> str:
    token = caller.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return base64.b64decode(token).decode().removeprefix("AWS:")


def test_another_account_makes_nothing(api: Any, stranger: Any) -> None:
    template(api, "ROOT")

    begun = stranger.in_region(api.region).v2("POST", "/v2/blank/blobs/uploads/", b"", host=api.registry_host)

    assert (begun.status, names(api)) == (403, [])


def test_tags_need_a_role_of_the_account_that_trusts_the_service(account: Account, api: Any) -> None:
    """What the role lacks shows when a repository is to be made, not before."""
    good = account.role(
        trust({"Service": "ecr.amazonaws.com"}), allow("ecr:CreateRepository", "ecr:TagResource")
    )
    powerless = account.role(trust({"Service": "ecr.amazonaws.com"}))
    distrustful = account.role(trust({"Service": "ec2.amazonaws.com"}), allow("ecr:*"))
    tags = [{"Key": "team", "Value": "a"}]
    template(api, "none", resourceTags=tags)
    template(api, "absent", resourceTags=tags, customRoleArn=f"arn:aws:iam::{account.id}:role/absent")
    template(api, "powerless", resourceTags=tags, customRoleArn=powerless)
    template(api, "distrustful", resourceTags=tags, customRoleArn=distrustful)
    template(api, "good", resourceTags=tags, customRoleArn=good)

    answers = {
        name: push(api, f"{name}/app") for name in ("none", "absent", "powerless", "distrustful", "good")
    }

    assert {name: answer.status for name, answer in answers.items()} == {
        "none": 403,
        "absent": 403,
        "powerless": 403,
        "distrustful": 403,
        "good": 202,
    }
    assert "no role" in answers["none"].json["errors"][0]["message"]
    assert names(api) == ["good/app"]
    arn = f"arn:aws:ecr:{api.region}:{api.account}:repository/good/app"
    assert api.ecr.list_tags_for_resource(resourceArn=arn)["tags"] == tags


def test_the_right_to_create_may_depend_on_the_tags_that_the_template_gives(
    account: Account, api: Any
) -> None:
    role = account.role(
        trust({"Service": "ecr.amazonaws.com"}), allow("ecr:CreateRepository", "ecr:TagResource")
    )
    prefix = f"tagged-{secrets.token_hex(4)}"
    account.root.client("ecr").create_repository_creation_template(
        prefix=prefix,
        appliedFor=["CREATE_ON_PUSH"],
        resourceTags=[{"Key": "team", "Value": "a"}],
        customRoleArn=role,
    )
    host = f"localhost:{api.host.rpartition(':')[2]}"
    statuses = []
    for team in ("b", "a"):
        _, caller = account.user(allow("ecr:GetAuthorizationToken", "ecr:InitiateLayerUpload"))
        account.iam.put_user_policy(
            UserName=caller.arn.rpartition("/")[2],
            PolicyName="create",
            PolicyDocument=allow("ecr:CreateRepository", StringEquals={"aws:RequestTag/team": team}),
        )
        path = f"/v2/{prefix}/app/blobs/uploads/"
        statuses.append(api.v2("POST", path, b"", password=password_of(caller), host=host).status)

    assert statuses == [403, 202]


def test_a_repository_that_is_there_is_not_changed_by_a_template(api: Any) -> None:
    api.repository("prod/app")
    template(api, "prod", imageTagMutability="IMMUTABLE", lifecyclePolicy=LIFECYCLE)

    assert push(api, "prod/app").status == 202
    (found,) = api.ecr.describe_repositories(repositoryNames=["prod/app"])["repositories"]

    assert found["imageTagMutability"] == "MUTABLE"
    with pytest.raises(api.ecr.exceptions.LifecyclePolicyNotFoundException):
        api.ecr.get_lifecycle_policy(repositoryName="prod/app")


def test_a_kms_key_of_a_template_waits_for_the_kms_api(account: Account, api: Any) -> None:
    role = account.role(trust({"Service": "ecr.amazonaws.com"}), allow("ecr:*"))
    template(api, "sealed", customRoleArn=role, encryptionConfiguration={"encryptionType": "KMS"})

    answer = push(api, "sealed/app")

    assert answer.status == 403
    assert "KMS" in answer.json["errors"][0]["message"]
