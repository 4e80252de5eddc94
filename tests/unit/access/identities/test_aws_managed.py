from __future__ import annotations

import json
from typing import Any

import pytest

from moorage.access.identities.aws_managed import AwsManagedPolicy, all_aws_managed, aws_managed, document_of
from moorage.access.policies.document import parse

ECR = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistry"


def statements_of(arn: str) -> list[dict[str, Any]]:
    document = document_of(arn)
    assert document is not None
    found: list[dict[str, Any]] = json.loads(document)["Statement"]
    return found


def actions_of(arn: str) -> set[str]:
    return {action for statement in statements_of(arn) for action in statement["Action"]}


def test_power_users_may_what_readers_may_and_push() -> None:
    more = actions_of(f"{ECR}PowerUser") - actions_of(f"{ECR}ReadOnly")

    assert actions_of(f"{ECR}ReadOnly") < actions_of(f"{ECR}PowerUser")
    assert more == {
        "ecr:InitiateLayerUpload",
        "ecr:UploadLayerPart",
        "ecr:CompleteLayerUpload",
        "ecr:PutImage",
    }


def test_pull_only_may_neither_list_nor_push() -> None:
    assert actions_of(f"{ECR}PullOnly") == {
        "ecr:GetAuthorizationToken",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
        "ecr:BatchImportUpstreamImage",
    }


def test_no_read_only_policy_has_an_action_that_changes_something() -> None:
    readers = [policy.arn for policy in all_aws_managed() if "ReadOnly" in policy.name]
    verbs = ("BatchCheck", "BatchGet", "Describe", "Generate", "Get", "List", "Simulate")

    assert len(readers) == 4
    for arn in readers:
        assert all(action.partition(":")[2].startswith(verbs) for action in actions_of(arn)), arn


def test_policies_are_found_by_their_arn_with_path() -> None:
    arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"

    found = aws_managed(arn)

    assert found is not None
    assert (found.arn, found.path, found.name) == (
        arn,
        "/service-role/",
        "AmazonECSTaskExecutionRolePolicy",
    )
    assert found.version == 1
    assert found.created == 1_510_858_102_000_000
    assert len(found.id) == 21


@pytest.mark.parametrize(
    "arn", ["", f"{ECR}readonly", f"{ECR}ReadOnly ", "arn:aws:iam::123456789012:policy/AdministratorAccess"]
)
def test_other_arns_are_none_of_them(arn: str) -> None:
    assert aws_managed(arn) is None
    assert document_of(arn) is None


def test_ids_and_arns_are_unique_and_sizes_are_within_the_limit_of_managed_policies() -> None:
    policies = all_aws_managed()

    assert (
        len({policy.id for policy in policies}) == len({policy.arn for policy in policies}) == len(policies)
    )
    assert [policy.arn for policy in policies] == sorted(policy.arn for policy in policies)
    assert all(len("".join(policy.document.split())) <= 6_144 for policy in policies)


def test_only_those_of_service_linked_roles_cannot_be_attached() -> None:
    bound = {policy.name for policy in all_aws_managed() if not policy.is_attachable}

    assert bound == {
        "AWSECRPullThroughCache_ServiceRolePolicy",
        "ECRReplicationServiceRolePolicy",
        "ECRTemplateServiceRolePolicy",
    }


@pytest.mark.parametrize("policy", all_aws_managed(), ids=lambda policy: policy.name)
def test_their_documents_are_ones_that_may_be_stored(policy: AwsManagedPolicy) -> None:
    assert parse(policy.document, "identity").version == "2012-10-17"
