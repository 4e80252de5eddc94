"""Two accounts: what the other one has is denied, in the same words whether it is there or not."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

NOWHERE = "sha256:" + "0" * 64
CROSS_ACCOUNT = [
    ("BatchCheckLayerAvailability", {"layerDigests": [NOWHERE]}),
    ("BatchDeleteImage", {"imageIds": [{"imageTag": "t"}]}),
    ("BatchGetImage", {"imageIds": [{"imageTag": "t"}]}),
    (
        "CompleteLayerUpload",
        {"uploadId": "01234567-89ab-cdef-0123-456789abcdef", "layerDigests": [NOWHERE]},
    ),
    ("CreateRepository", {}),
    ("DeleteRepository", {"force": True}),
    ("DescribeImages", {}),
    ("GetDownloadUrlForLayer", {"layerDigest": NOWHERE}),
    ("InitiateLayerUpload", {}),
    ("ListImageReferrers", {"subjectId": {"imageDigest": NOWHERE}}),
    ("ListImages", {}),
    ("PutImage", {"imageManifest": "{}", "imageTag": "t"}),
    ("PutImageTagMutability", {"imageTagMutability": "IMMUTABLE"}),
    ("PutLifecyclePolicy", {"lifecyclePolicyText": "{}".ljust(100)}),
    ("SetRepositoryPolicy", {"policyText": "{}"}),
    (
        "UploadLayerPart",
        {
            "uploadId": "01234567-89ab-cdef-0123-456789abcdef",
            "partFirstByte": 0,
            "partLastByte": 0,
            "layerPartBlob": "AA==",
        },
    ),
]
ACTIONS = {"ListImageReferrers": "BatchGetImage"}


@pytest.fixture
def other(stranger: Any, api: Any) -> Any:
    """The other account's root, in the region of this test."""
    return stranger.in_region(api.region)


def denied(caller: Any, action: str, resource: str) -> str:
    return (
        f"User: arn:aws:iam::{caller.account}:root is not authorized to perform: ecr:{action} on resource: {resource} "
        f"because no resource-based policy allows the ecr:{action} action"
    )


def arn(api: Any, name: str) -> str:
    return f"arn:aws:ecr:{api.region}:{api.account}:repository/{name}"


@pytest.mark.parametrize(("operation", "members"), CROSS_ACCOUNT)
def test_another_accounts_repository_is_denied_like_none(
    api: Any, other: Any, app: str, operation: str, members: Any
) -> None:
    api.image(app, "t")
    for name in (app, "no/thing"):
        body = {"registryId": api.account, "repositoryName": name, **members}

        answer = other.call(operation, body)

        assert (answer.status, answer.code) == (400, "AccessDeniedException")
        assert answer.text == denied(other, ACTIONS.get(operation, operation), arn(api, name))
    assert len(api.image_ids(app)) == 1


def test_another_accounts_registry_is_not_listed(api: Any, other: Any, app: str) -> None:
    listed = other.call("DescribeRepositories", {"registryId": api.account})
    named = other.call(
        "DescribeRepositories", {"registryId": api.account, "repositoryNames": [app, "nothing"]}
    )

    assert listed.text == denied(other, "DescribeRepositories", arn(api, "*"))
    assert named.text == denied(other, "DescribeRepositories", arn(api, app))
    assert other.ecr.describe_repositories()["repositories"] == []


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("TagResource", {"tags": [{"Key": "k", "Value": "v"}]}),
        ("UntagResource", {"tagKeys": ["k"]}),
        ("ListTagsForResource", {}),
    ],
)
def test_another_accounts_tags_are_denied(
    api: Any, other: Any, app: str, operation: str, members: Any
) -> None:
    for name in (app, "no/thing"):
        answer = other.call(operation, {"resourceArn": arn(api, name), **members})
        assert (answer.code, answer.text) == (
            "AccessDeniedException",
            denied(other, operation, arn(api, name)),
        )


def test_an_account_that_does_not_exist_is_denied_the_same(api: Any, other: Any) -> None:
    nobody = replace(api, account="000000000000")
    answer = other.call("ListImages", {"registryId": nobody.account, "repositoryName": "app"})

    assert answer.text == denied(other, "ListImages", arn(nobody, "app"))


def test_names_and_content_of_accounts_are_apart(api: Any, other: Any, app: str) -> None:
    api.image(app, "t")
    other.repository(app)

    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    found = other.ecr.batch_check_layer_availability(repositoryName=app, layerDigests=[digest])
    mounted = other.v2(
        "POST", f"/v2/{app}/blobs/uploads/?mount={digest}&from={app}", b"", host=other.registry_host
    )

    assert found["layers"][0]["layerAvailability"] == "UNAVAILABLE"
    assert mounted.status == 202
    assert other.image_ids(app) == set()


def test_page_tokens_and_uploads_are_their_accounts(api: Any, other: Any, app: str) -> None:
    other.repository(app)
    api.image(app, "a", 1)
    api.image(app, "b", 2)
    token = api.ecr.list_images(repositoryName=app, maxResults=1)["nextToken"]
    upload = api.ecr.initiate_layer_upload(repositoryName=app)["uploadId"]

    paged = other.call("ListImages", {"repositoryName": app, "nextToken": token})
    completed = other.call(
        "CompleteLayerUpload", {"repositoryName": app, "uploadId": upload, "layerDigests": [NOWHERE]}
    )

    assert paged.code == "InvalidParameterException"
    assert completed.code == "UploadNotFoundException"


# The registry's door


def test_another_accounts_images_are_denied_on_the_registry_wire(api: Any, other: Any, app: str) -> None:
    image = api.image(app, "t")
    password = other.password()
    asked = [
        ("GET", "manifests/t", "BatchGetImage"),
        ("GET", f"manifests/{image.digest}", "BatchGetImage"),
        ("GET", f"blobs/{NOWHERE}", "GetDownloadUrlForLayer"),
        ("GET", "tags/list", "ListImages"),
        ("POST", "blobs/uploads/", "InitiateLayerUpload"),
        ("DELETE", "manifests/t", "BatchDeleteImage"),
    ]
    for method, path, action in asked:
        for name in (app, "no/thing"):
            answer = api.v2(method, f"/v2/{name}/{path}", b"", password=password)
            assert answer.status == 403, (method, path)
            assert answer.json["errors"] == [
                {"code": "DENIED", "message": denied(other, action, arn(api, name))}
            ]


def test_a_password_is_good_for_the_ping_of_any_account_of_its_region(api: Any, other: Any) -> None:
    assert other.v2("GET", "/v2/", host=api.registry_host).status == 200


def test_a_registry_host_without_password_is_a_challenge(api: Any) -> None:
    for host in (
        api.registry_host,
        api.registry_host.upper(),
        f"999999999999.dkr.ecr.{api.region}.amazonaws.com",
    ):
        for path in ("/v2/", "/v2/app/manifests/t"):
            answer = api.exchange("GET", path, [("host", host)])
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == (
                f'Basic realm="https://{host.lower()}/",service="ecr.amazonaws.com"'
            )


@pytest.mark.parametrize("path", ["/v2/", "/v2/team/app/manifests/t", "/v2/team/app/blobs/" + NOWHERE])
def test_a_password_of_another_region_is_a_challenge(api: Any, regions: Any, path: str) -> None:
    elsewhere = api.in_region(next(regions))

    answer = api.v2("GET", path, password=elsewhere.password())

    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert answer.json["errors"][0]["code"] == "UNAUTHORIZED"


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic !",
        "Basic " + base64.b64encode(b"AWS").decode(),
        "Basic " + base64.b64encode(b"AWS:").decode(),
        "Basic " + base64.b64encode(b"AWS:nonsense").decode(),
        "Basic " + base64.b64encode(b"AWS:" + base64.b64encode(b"{}")).decode(),
        "Basic " + base64.b64encode(b"AWS:" + base64.b64encode(b'{"payload":"x"}')).decode(),
        "Basic " + base64.b64encode("AWS:é".encode()).decode(),
        "Bearer x",
        "Digest x",
        "AWS4-HMAC-SHA256 x",
    ],
)
def test_a_malformed_password_is_a_challenge(api: Any, authorization: str) -> None:
    headers = [("host", api.registry_host), ("authorization", authorization)]

    answer = api.exchange("GET", "/v2/", headers)

    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_another_user_than_aws_is_a_challenge(api: Any) -> None:
    password = api.password()
    for user in ("aws", "root", "", "AWS "):
        value = base64.b64encode(f"{user}:{password}".encode()).decode()
        answer = api.exchange(
            "GET", "/v2/", [("host", api.registry_host), ("authorization", f"Basic {value}")]
        )
        assert answer.status == 401


def test_a_password_with_a_line_break_or_as_bearer_is_good(api: Any) -> None:
    password = api.password()
    for value in (f"AWS:{password}\n", f"AWS:{password}\r\n"):
        basic = base64.b64encode(value.encode()).decode()
        sent = [("host", api.registry_host), ("authorization", f"Basic {basic}")]
        assert api.exchange("GET", "/v2/", sent).status == 200
    token = base64.b64encode(f"AWS:{password}".encode()).decode()
    sent = [("host", api.registry_host), ("authorization", f"Bearer {token}")]
    assert api.exchange("GET", "/v2/", sent).status == 200


def test_a_changed_password_is_a_challenge(api: Any) -> None:
    password = api.password()
    middle = len(password) // 3
    changed = password[:middle] + ("A" if password[middle] != "A" else "B") + password[middle + 1 :]

    assert api.v2("GET", "/v2/", password=changed).status == 401


# What is printed


@pytest.mark.parametrize(
    "host",
    [
        "api.ecr.{region}.amazonaws.com",
        "ecr.{region}.api.aws",
        "{account}.dkr.ecr.{region}.amazonaws.com:443",
    ],
)
def test_on_a_host_of_amazons_shape_all_names_have_it(root: Any, regions: Any, host: str) -> None:
    api = root
    name = f"shaped-{next(regions)}"
    shaped = replace(api, host=host.format(region=api.region, account=api.account))

    def call(operation: str, body: Any) -> Any:
        signing = shaped.signing(operation, body)
        answer = api.exchange("POST", "/", signing.signed(), signing.body)
        assert answer.status == 200, answer.body
        return answer.json

    created = call("CreateRepository", {"repositoryName": name})
    token = call("GetAuthorizationToken", {})
    api.layer(name)
    api.image(name, "t")
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    url = call("GetDownloadUrlForLayer", {"repositoryName": name, "layerDigest": digest})["downloadUrl"]

    assert created["repository"]["repositoryUri"] == f"{api.registry_host}/{name}"
    assert token["authorizationData"][0]["proxyEndpoint"] == f"https://{api.registry_host}"
    assert url.startswith(f"https://{shaped.host}/_layers/")


def test_on_any_other_host_the_default_registry_has_its_own_name(root: Any, regions: Any) -> None:
    name = f"plain-{next(regions)}"
    port = root.host.rpartition(":")[2]

    created = root.ecr.create_repository(repositoryName=name)["repository"]

    assert created["repositoryUri"] == f"localhost:{port}/{name}"


def test_the_alias_of_localhost_reaches_another_account_without_tls(api: Any, other: Any, app: str) -> None:
    image = api.image(app, "t")

    answer = api.v2(
        "GET", f"/v2/{app}/manifests/t", host=f"{api.account}.dkr.ecr.{api.region}.localhost:5050"
    )
    denied_ = other.v2("GET", f"/v2/{app}/manifests/t", host=f"{api.account}.dkr-ecr.{api.region}.on.aws")

    assert (answer.status, answer.body) == (200, image.manifest.encode())
    assert denied_.status == 403
