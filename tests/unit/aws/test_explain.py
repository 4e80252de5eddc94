# ruff: noqa: E501 - a case is a line of its table
from __future__ import annotations

import json
from typing import Any

import pytest

from moorage.aws.operation import find_operation
from moorage.base.errors.error import MoorageError
from moorage.base.errors.requests import InvalidParameter, Serialization, Validation

ECR = "AmazonEC2ContainerRegistry_V20150921"
REGEX = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
MUTABILITY = "IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION"
NAME = {"repositoryName": "ab"}


def refused(name: str, body: Any, target: str = ECR) -> MoorageError:
    with pytest.raises(MoorageError) as caught:
        find_operation(f"{target}.{name}").decode(json.dumps(body).encode())
    return caught.value


@pytest.mark.parametrize(
    ("operation", "body", "path", "constraint"),
    [
        ("CreateRepository", {}, "repositoryName", "must not be null"),
        ("CreateRepository", {"repositoryName": None}, "repositoryName", "must not be null"),
        ("CreateRepository", {"repositoryName": "Bad_Name!"}, "repositoryName", f"must satisfy regular expression '{REGEX}'"),
        ("CreateRepository", {"repositoryName": "a"}, "repositoryName", "must have length greater than or equal to 2"),
        ("CreateRepository", {"repositoryName": "A" * 257}, "repositoryName", "must have length less than or equal to 256"),
        ("CreateRepository", NAME | {"registryId": "1"}, "registryId", "must satisfy regular expression '[0-9]{12}'"),
        ("CreateRepository", NAME | {"imageTagMutability": "NO"}, "imageTagMutability", f"Member must satisfy enum value set: [{MUTABILITY}]"),
        ("CreateRepository", NAME | {"tags": [{"Key": "a", "Value": "b"}, {"Value": "c"}]}, "tags.2.member.key", "Member must not be null"),
        ("CreateRepository", NAME | {"tags": [None]}, "tags.1.member", "Member must not be null"),
        ("CreateRepository", NAME | {"encryptionConfiguration": {}}, "encryptionConfiguration.encryptionType", "Member must not be null"),
        ("CreateRepository", NAME | {"encryptionConfiguration": {"encryptionType": "X"}}, "encryptionConfiguration.encryptionType", "Member must satisfy enum value set: [AES256, KMS, KMS_DSSE]"),
        ("CreateRepository", NAME | {"encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": ""}}, "encryptionConfiguration.kmsKey", "Member must have length greater than or equal to 1"),
        ("BatchGetImage", NAME | {"imageIds": []}, "imageIds", "Member must have length greater than or equal to 1"),
        ("BatchGetImage", NAME | {"imageIds": [{}] * 101}, "imageIds", "Member must have length less than or equal to 100"),
        ("BatchGetImage", NAME | {"imageIds": [{}, {"imageTag": ""}]}, "imageIds.2.member.imageTag", "Member must have length greater than or equal to 1"),
        ("DescribeRepositories", {"maxResults": 1001}, "maxResults", "Member must have value less than or equal to 1000"),
        ("DescribeRepositories", {"repositoryNames": ["ab", "-b"]}, "repositoryNames.2.member", f"Member must satisfy regular expression '{REGEX}'"),
        ("PutLifecyclePolicy", NAME | {"lifecyclePolicyText": "x" * 99}, "lifecyclePolicyText", "must have length greater than or equal to 100"),
        ("UploadLayerPart", NAME | {"uploadId": "u"}, "uploadId", "must satisfy regular expression '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}'"),
    ],
)  # fmt: skip
def test_constraint_when_broken_is_named_in_the_words_of_ecr(
    operation: str, body: Any, path: str, constraint: str
) -> None:
    error = refused(operation, body)

    assert isinstance(error, InvalidParameter)
    assert str(error) == f"Invalid parameter at '{path}' failed to satisfy constraint: '{constraint}'"


def test_constraints_when_several_are_broken_name_the_first_of_the_model() -> None:
    error = refused(
        "CreateRepository", {"imageTagMutability": "NO", "repositoryName": "A!", "registryId": "x"}
    )

    assert error.facts["at"] == "registryId"


def test_type_when_wrong_comes_before_any_constraint() -> None:
    error = refused("CreateRepository", {"registryId": "x", "repositoryName": "A!", "tags": {}})

    assert isinstance(error, Serialization)
    assert str(error) == "Start of structure or map found where not expected."


@pytest.mark.parametrize(
    ("operation", "body", "text"),
    [
        ("CreateRepository", {"repositoryName": ["ab"]}, "Start of list found where not expected"),
        ("CreateRepository", {"repositoryName": 5}, "NUMBER_VALUE can not be converted to a String"),
        ("CreateRepository", {"repositoryName": True}, "TRUE_VALUE can not be converted to a String"),
        ("CreateRepository", ["ab"], "Start of list found where not expected"),
        ("CreateRepository", "ab", "STRING_VALUE can not be converted to a Structure or Map"),
        ("DescribeRepositories", {"maxResults": "5"}, "STRING_VALUE can not be converted to an Integer"),
        ("DescribeRepositories", {"maxResults": 5.5}, "NUMBER_VALUE can not be converted to an Integer"),
        ("UploadLayerPart", NAME | {"partFirstByte": 2**63}, "NUMBER_VALUE can not be converted to an Integer of this size"),
        ("DeleteRepository", NAME | {"force": "true"}, "STRING_VALUE can not be converted to a Boolean"),
        ("UploadLayerPart", NAME | {"layerPartBlob": "a b"}, "STRING_VALUE can not be converted to a Blob"),
    ],
)  # fmt: skip
def test_type_when_wrong_is_a_serialization_error(operation: str, body: Any, text: str) -> None:
    error = refused(operation, body)

    assert isinstance(error, Serialization)
    assert str(error) == text


def test_other_services_when_constraints_are_broken_list_them_all() -> None:
    error = refused("DescribeKey", {"KeyId": "", "GrantTokens": ["a"] * 11}, "TrentService")

    assert isinstance(error, Validation)
    assert str(error) == (
        "2 validation errors detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length "
        "greater than or equal to 1; Value '[11 members]' at 'grantTokens' failed to satisfy constraint: Member must "
        "have length less than or equal to 10"
    )


def test_query_service_when_a_pattern_is_broken_prints_the_pattern() -> None:
    operation = find_operation(None, "AssumeRole", "2011-06-15")

    with pytest.raises(Validation) as caught:
        operation.decode(b"RoleArn=arn:aws:iam::123456789012:role/a&RoleSessionName=Session1:2")

    assert str(caught.value) == (
        "1 validation error detected: Value 'Session1:2' at 'roleSessionName' failed to satisfy constraint: Member "
        r"must satisfy regular expression pattern: [\w+=,.@-]*"
    )


def test_sensitive_value_when_refused_is_not_echoed() -> None:
    operation = find_operation(None, "CreateLoginProfile", "2010-05-08")

    with pytest.raises(Validation) as caught:
        operation.decode("UserName=a!&Password=hunter2\ud7ff東".encode())

    assert "hunter2" not in str(caught.value)
    assert "a!" in str(caught.value)
