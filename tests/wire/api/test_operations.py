"""Every operation of the private and the public API, built or not, asked with a request that the model takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from moorage.aws.operation import OPERATIONS
from moorage.server.app import load_operations

from ...conftest import knowing_all_services

load_operations()

MODELS = {
    name: knowing_all_services().get_service_model(name)
    for name in ("ecr", "ecr-public", "sts", "iam", "kms", "moorage")
}
SAMPLES: dict[str, Any] = {
    r"^([a-z]+-){2,3}\d+$": "us-east-1",
    "[0-9]{12}": "123456789012",
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*": "nothing",
    r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*": "nothing",
    "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+": "sha256:" + "a" * 64,
    "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}": (
        "01234567-89ab-cdef-0123-456789abcdef"
    ),
    r"^arn:aws(-\w+)*:secretsmanager:[a-zA-Z0-9-:]+:secret:ecr\-pullthroughcache\/[a-zA-Z0-9\/_+=.@-]+$": (
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/hub"
    ),
    r"^arn:aws(-[a-z]+)*:iam::[0-9]{12}:(role|user)/[\w+=,.@-]+(/[\w+=,.@-]+)*$": (
        "arn:aws:iam::123456789012:role/a"
    ),
    r"^arn:aws(-[a-z]+)*:signer:[a-z0-9-]+:[0-9]{12}:\/signing-profiles\/[a-zA-Z0-9_]{2,}$": (
        "arn:aws:signer:us-east-1:123456789012:/signing-profiles/ab"
    ),
}


def sample(shape: Any, account: str, name: str = "") -> Any:
    """The required members only, as short as the model allows."""
    if name.lower() == "resourcearn":
        return f"arn:aws:ecr:us-east-1:{account}:repository/nothing"
    if shape.type_name == "structure":
        return {each: sample(shape.members[each], account, each) for each in shape.required_members}
    if shape.type_name == "list":
        return [sample(shape.member, account)] * (shape.metadata.get("min") or 1)
    if shape.type_name == "map":
        return {}
    if shape.type_name == "string":
        if getattr(shape, "enum", None):
            return shape.enum[0]
        text = SAMPLES.get(shape.metadata.get("pattern", ""), "ab")
        return text.ljust(shape.metadata.get("min") or 0, "a")
    return {"boolean": True, "blob": "AA==", "timestamp": 1.0}.get(shape.type_name, 1)


def operations(*services: str) -> list[tuple[str, str]]:
    return [(service, name) for service in services for name in MODELS[service].operation_names]


def request_of(service: str, name: str, account: str) -> Any:
    shape = MODELS[service].operation_model(name).input_shape
    return sample(shape, account) if shape is not None else {}


def test_the_model_has_all_that_are_promised() -> None:
    assert len(operations("ecr")) == 62
    assert len(operations("ecr-public")) == 23


@pytest.mark.parametrize(("service", "name"), operations("ecr", "ecr-public", "kms", "moorage"))
def test_no_operation_is_an_internal_error(api: Any, service: str, name: str) -> None:
    model = MODELS[service]
    target = f"{model.metadata['targetPrefix']}.{name}"

    answer = api.call(target, request_of(service, name, api.account), service=service, region="us-east-1")

    assert answer.status in (200, 400)
    assert answer.headers["x-amzn-requestid"]
    if (service, name) in OPERATIONS:
        assert answer.status == 200 or answer.code != "UnsupportedOperationException"
    else:
        assert answer.code == "UnsupportedOperationException"
        assert f"{service}:{name}" in answer.text


@pytest.mark.parametrize("name", sorted(MODELS["ecr"].operation_names))
def test_an_unbuilt_or_built_operation_is_decoded_and_signed_for(api: Any, name: str) -> None:
    """What is wrong with the request comes before what is missing in the server."""
    wrong_type = api.call(name, b"[]")
    unsigned = api.exchange("POST", "/", [*api.signing(name, b"{}").headers, ("host", api.host)], b"{}")

    assert wrong_type.code == "SerializationException"
    assert unsigned.code == "MissingAuthenticationTokenException"
    required = MODELS["ecr"].operation_model(name).input_shape.required_members
    if required:
        lacking = api.call(name, b"{}")
        assert lacking.code == "InvalidParameterException"
        at = required[0][0].lower() + required[0][1:]
        assert "failed to satisfy constraint: 'must not be null'" in lacking.text
        assert any(f"'{each}'" in lacking.text for each in required), (at, lacking.text)


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_no_query_operation_is_an_internal_error(api: Any, service: str) -> None:
    version = MODELS[service].api_version
    for name in MODELS[service].operation_names:
        form = f"Action={name}&Version={version}".encode()
        answer = api.send(
            api.signing(
                None,
                form,
                service=service,
                headers=(("content-type", "application/x-www-form-urlencoded; charset=utf-8"),),
            )
        )
        assert answer.status in (200, 400, 403), (name, answer.body)
        assert answer.headers["content-type"] == "text/xml"


@pytest.mark.parametrize(
    "target",
    [
        "AmazonEC2ContainerRegistry_V20150921.Nothing",
        "AmazonEC2ContainerRegistry_V20150921.createrepository",
        "AmazonEC2ContainerRegistry_V20150921.",
        "AmazonEC2ContainerRegistry_V20150921",
        "AmazonEC2ContainerRegistry_V20990101.CreateRepository",
        "DynamoDB_20120810.ListTables",
        "CreateRepository",
        ".",
    ],
)
def test_an_unknown_operation_is_named(api: Any, target: str) -> None:
    headers = (("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target))

    answer = api.send(api.signing(None, b"{}", headers=headers))

    assert (answer.status, answer.code) == (400, "UnknownOperationException")


def test_a_call_without_target_or_action_is_unknown(api: Any) -> None:
    answer = api.send(api.signing(None, b"{}", headers=(("content-type", "application/json"),)))

    assert (answer.status, answer.code) == (400, "UnknownOperationException")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(api: Any, method: str) -> None:
    answer = api.exchange(method, "/", [("host", api.host)])

    assert 400 <= answer.status < 500


def test_what_is_archived_scanned_or_expired_is_known_but_not_built(api: Any, app: str) -> None:
    """Traps 9 to 12 and 14 to 17 begin when these are."""
    calls: dict[str, Callable[[], Any]] = {
        "PutLifecyclePolicy": lambda: api.ecr.put_lifecycle_policy(
            repositoryName=app, lifecyclePolicyText='{"rules":[]}'.ljust(100)
        ),
        "SetRepositoryPolicy": lambda: api.ecr.set_repository_policy(repositoryName=app, policyText="{}"),
        "StartImageScan": lambda: api.ecr.start_image_scan(repositoryName=app, imageId={"imageTag": "a"}),
        "UpdateImageStorageClass": lambda: api.ecr.update_image_storage_class(
            repositoryName=app, imageId={"imageTag": "a"}, targetStorageClass="ARCHIVE"
        ),
    }
    for name, call in calls.items():
        with pytest.raises(api.ecr.exceptions.ClientError) as raised:
            call()
        error = raised.value.response["Error"]
        if ("ecr", name) not in OPERATIONS:
            assert error["Code"] == "UnsupportedOperationException"
            assert error["Message"] == (
                f"The operation ecr:{name} is known but not built yet; docs/api/missing.md lists what is missing"
            )
