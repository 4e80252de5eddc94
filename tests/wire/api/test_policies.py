"""Policies of repositories and registries: set, printed as Amazon prints them, and obeyed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

INVALID = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid {} policy provided'"


@pytest.fixture
def other(stranger: Any, api: Any) -> Any:
    """The other account's root, in the region of this test."""
    return stranger.in_region(api.region)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def grant(principal: Any, *actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": list(actions), **more}


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def text(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Message"])


def test_set_repository_policy_answers_what_amazon_prints(api: Any, stranger: Any) -> None:
    name = api.repository()
    sent = json.dumps(
        {
            "Statement": [
                {
                    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                    "Principal": {"AWS": f"arn:aws:iam::{stranger.account}:root"},
                    "Effect": "Allow",
                    "Sid": "new statement",
                }
            ],
            "Version": "2008-10-17",
        }
    )

    answer = api.ecr.set_repository_policy(repositoryName=name, policyText=sent)

    assert (answer["registryId"], answer["repositoryName"]) == (api.account, name)
    assert answer["policyText"] == (
        '{\n  "Version" : "2008-10-17",\n  "Statement" : [ {\n    "Sid" : "new statement",\n    "Effect" : "Allow",\n'
        f'    "Principal" : {{\n      "AWS" : "arn:aws:iam::{stranger.account}:root"\n    }},\n'
        '    "Action" : [ "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer" ]\n  } ]\n}'
    )
    assert api.ecr.get_repository_policy(repositoryName=name) | {"ResponseMetadata": 0} == answer | {
        "ResponseMetadata": 0
    }
    assert api.ecr.delete_repository_policy(repositoryName=name)["policyText"] == answer["policyText"]


def test_a_repository_without_policy_says_so(api: Any) -> None:
    name = api.repository()
    for call in (api.ecr.get_repository_policy, api.ecr.delete_repository_policy):
        with pytest.raises(ClientError) as error:
            call(repositoryName=name)
        assert code(error) == "RepositoryPolicyNotFoundException"
        assert text(error) == (
            f"Repository policy does not exist for the repository with name '{name}' in the registry with id "
            f"'{api.account}'"
        )
        with pytest.raises(ClientError) as error:
            call(repositoryName="never")
        assert code(error) == "RepositoryNotFoundException"


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "{",
        "[]",
        '{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}',
        policy({"Effect": "Allow", "Action": "ecr:*"}),
        policy(grant("*", "ecr:*", Resource="arn:aws:ecr:home-1:123456789012:repository/other")),
        policy(grant({"AWS": "somebody"}, "ecr:*")),
        policy(grant("*", "ecr:*", Condition={"StringFuzzy": {"aws:username": "x"}})),
    ],
)
def test_what_is_no_policy_is_refused_in_ecrs_words(api: Any, sent: str) -> None:
    name = api.repository()

    with pytest.raises(ClientError) as error:
        api.ecr.set_repository_policy(repositoryName=name, policyText=sent)

    assert (code(error), text(error)) == ("InvalidParameterException", INVALID.format("repository"))


def test_a_policy_of_10241_characters_is_refused_and_one_of_10240_is_kept(api: Any, stranger: Any) -> None:
    name = api.repository()
    empty = policy(grant({"AWS": stranger.account}, "ecr:*", Sid=""))
    fits = policy(grant({"AWS": stranger.account}, "ecr:*", Sid="x" * (10_240 - len(empty))))
    assert len(fits) == 10_240

    api.ecr.set_repository_policy(repositoryName=name, policyText=fits)
    answer = api.call("SetRepositoryPolicy", {"repositoryName": name, "policyText": fits + " "})

    assert answer.status == 400
    assert answer.code == "InvalidParameterException"


def test_principals_of_the_own_account_must_exist_and_foreign_ones_are_not_looked_up(
    api: Any, stranger: Any
) -> None:
    name = api.repository()
    own = policy(grant({"AWS": f"arn:aws:iam::{api.account}:role/never"}, "ecr:*"))
    foreign = policy(grant({"AWS": f"arn:aws:iam::{stranger.account}:role/never"}, "ecr:*"))

    with pytest.raises(ClientError) as error:
        api.ecr.set_repository_policy(repositoryName=name, policyText=own)
    assert text(error) == INVALID.format("repository")
    assert (
        "role/never" in api.ecr.set_repository_policy(repositoryName=name, policyText=foreign)["policyText"]
    )


def test_another_account_pulls_what_a_repository_policy_grants_and_no_more(api: Any, other: Any) -> None:
    name = api.repository()
    api.layer(name)
    image = api.image(name, "v1")
    with pytest.raises(ClientError) as error:
        other.ecr.batch_get_image(registryId=api.account, repositoryName=name, imageIds=[{"imageTag": "v1"}])
    assert "because no resource-based policy allows the ecr:BatchGetImage action" in text(error)

    api.ecr.set_repository_policy(
        repositoryName=name, policyText=policy(grant({"AWS": other.account}, "ecr:BatchGetImage"))
    )

    found = other.ecr.batch_get_image(
        registryId=api.account, repositoryName=name, imageIds=[{"imageTag": "v1"}]
    )
    assert [each["imageId"]["imageDigest"] for each in found["images"]] == [image.digest]
    with pytest.raises(ClientError) as error:
        other.ecr.list_images(registryId=api.account, repositoryName=name)
    assert code(error) == "AccessDeniedException"
    status = other.v2("GET", f"/v2/{name}/manifests/v1", host=api.registry_host).status
    assert status == 200
    api.ecr.delete_repository_policy(repositoryName=name)
    status = other.v2("GET", f"/v2/{name}/manifests/v1", host=api.registry_host).status
    assert status == 403


def test_a_policy_that_locks_its_author_out_needs_force_and_root_can_mend_it(api: Any) -> None:
    name = api.repository()
    api.ecr.set_repository_policy(repositoryName=name, policyText=policy(grant("*", "ecr:ListImages")))
    closed = policy({"Effect": "Deny", "Principal": "*", "Action": "ecr:*"})

    api.ecr.set_repository_policy(repositoryName=name, policyText=closed, force=True)
    with pytest.raises(ClientError) as error:
        api.ecr.list_images(repositoryName=name)
    assert "with an explicit deny in a resource-based policy" in text(error)

    api.ecr.delete_repository_policy(repositoryName=name)
    api.ecr.list_images(repositoryName=name)


def test_a_registry_policy_is_a_second_policy_of_every_repository(api: Any, other: Any) -> None:
    name = api.repository("team/app")
    resource = f"arn:aws:ecr:{api.region}:{api.account}:repository/team/*"
    with pytest.raises(ClientError) as error:
        api.ecr.get_registry_policy()
    assert code(error) == "RegistryPolicyNotFoundException"

    put = api.ecr.put_registry_policy(
        policyText=policy(grant({"AWS": other.account}, "ecr:ListImages", Resource=resource))
    )

    assert api.ecr.get_registry_policy()["policyText"] == put["policyText"]
    assert other.ecr.list_images(registryId=api.account, repositoryName=name)["imageIds"] == []
    assert api.ecr.delete_registry_policy()["policyText"] == put["policyText"]
    with pytest.raises(ClientError) as error:
        other.ecr.list_images(registryId=api.account, repositoryName=name)
    assert code(error) == "AccessDeniedException"


def test_a_registry_policy_may_deny_by_tag_and_reaches_images_by_their_digest(api: Any) -> None:
    """moorage:ImageTag: whoever may not delete a tag may not delete its image by the digest."""
    name = api.repository()
    api.layer(name)
    kept, free = api.image(name, "prod-1", "a"), api.image(name, "dev-1", "b")
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["ecr:BatchDeleteImage", "ecr:PutImage"],
        "Resource": "*",
        "Condition": {"StringLike": {"moorage:ImageTag": "prod-*"}},
    }
    api.ecr.put_registry_policy(policyText=policy(deny))

    for image_id in ({"imageTag": "prod-1"}, {"imageDigest": kept.digest}):
        with pytest.raises(ClientError) as error:
            api.ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "dev-1"}, image_id])
        assert code(error) == "AccessDeniedException"
    with pytest.raises(ClientError):
        api.push(name, free.manifest, "prod-2")
    path = f"/v2/{name}/manifests"
    for reference in ("prod-1", kept.digest):
        assert api.v2("DELETE", f"{path}/{reference}").status == 403

    assert api.ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "dev-1"}])["failures"] == []
