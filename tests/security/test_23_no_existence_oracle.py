"""Who may not see something is answered as if it were not there, byte for byte (23), and as fast (24)."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import pytest

from .calling import Answer, Caller
from .operations import DIGEST, routes
from .places import EMPTY, Account, allow, grant, policy

LOG_IN = "ecr:GetAuthorizationToken"


@pytest.fixture(scope="module")
def secret(a: Account) -> str:
    """A repository of account A with an image."""
    a.repository("oracle/secret")
    a.image("oracle/secret")
    return "oracle/secret"


@pytest.fixture(scope="module")
def admin_of_b(b: Account) -> Caller:
    return b.user(allow("*"), name="oracle-admin").logged_in()


@pytest.fixture(scope="module")
def elsewhere(a: Account) -> Caller:
    """Of account A, with all permissions on other repositories."""
    everything = allow("ecr:*", a.arn("oracle/other*"))
    return a.user(allow(LOG_IN), everything, name="oracle-elsewhere").logged_in()


def names(answer: Answer, name: str) -> tuple[int, dict[str, str], bytes]:
    """Without the name that was asked for."""
    status, headers, body = answer.steady
    stripped = body.replace(name.encode(), b"NAME")
    return status, {k: v.replace(name, "NAME") for k, v in headers.items()}, stripped


PATHS = [asked for asked in routes("NAME") if "NAME" in asked.path]
PATHS += [
    type(asked)(asked.method, asked.path.replace(DIGEST, EMPTY), asked.actions, asked.body)
    for asked in PATHS
    if DIGEST in asked.path
]
MISSING = "oracle/absent"  # as long as the other name


@pytest.mark.parametrize(
    "asked", PATHS, ids=lambda asked: f"{asked} {EMPTY[7:12] if EMPTY in asked.path else ''}"
)
def test_routes_answer_alike_for_what_is_there_and_what_is_not(
    asked: object, a: Account, secret: str, admin_of_b: Caller, elsewhere: Caller
) -> None:
    for caller in (admin_of_b, elsewhere):
        answers = [
            names(
                caller.v2(asked.method, asked.path.replace("NAME", name), asked.body, host=a.registry),  # type: ignore[attr-defined]
                name,
            )
            for name in (secret, MISSING)
        ]
        assert answers[0][0] == 403
        assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("ecr.BatchCheckLayerAvailability", {"layerDigests": [EMPTY]}),
        ("ecr.BatchGetImage", {"imageIds": [{"imageTag": "latest"}]}),
        ("ecr.DescribeImages", {}),
        ("ecr.DescribeRepositories", {"repositoryNames": ["NAME"]}),
        ("ecr.GetDownloadUrlForLayer", {"layerDigest": EMPTY}),
        ("ecr.GetRepositoryPolicy", {}),
        ("ecr.InitiateLayerUpload", {}),
        ("ecr.ListImages", {}),
        ("ecr.SetRepositoryPolicy", {"policyText": policy(grant("*", "ecr:ListImages"))}),
        ("ecr.DeleteRepository", {}),
        ("ecr.CreateRepository", {}),
    ],
)
def test_operations_answer_alike_for_what_is_there_and_what_is_not(
    operation: str, members: dict[str, object], a: Account, secret: str, admin_of_b: Caller, elsewhere: Caller
) -> None:
    for caller in (admin_of_b, elsewhere):
        answers = []
        for name in (secret, MISSING):
            asked = {key: [name] if value == ["NAME"] else value for key, value in members.items()}
            if operation != "ecr.DescribeRepositories":
                asked["repositoryName"] = name
            if operation != "ecr.CreateRepository":
                asked["registryId"] = a.id
            elif caller is admin_of_b:
                continue
            answers.append(caller.call(operation, **asked))

        assert all(answer.is_denied for answer in answers)
        assert (
            len({repr(names(answer, name)) for answer, name in zip(answers, (secret, MISSING), strict=False)})
            <= 1
        )


def test_a_manifest_that_is_not_there_tells_nobody_more_than_who_may_get_it(a: Account, secret: str) -> None:
    """By tag and digest, there and not there."""
    lists = a.user(allow([LOG_IN, "ecr:ListImages"]), name="oracle-lists").logged_in()
    there, absent = "latest", "nolate"

    answers = [
        names(lists.v2("GET", f"/v2/{secret}/manifests/{reference}"), reference)
        for reference in (there, absent)
    ]

    assert answers[0] == answers[1]
    assert answers[0][0] == 403


def test_users_roles_and_policies_of_another_account_answer_alike(a: Account, admin_of_b: Caller) -> None:
    text = policy(allow("ecr:*"))
    there = a.root.need("iam.CreatePolicy", PolicyName="oracle-there", PolicyDocument=text).element("Arn")
    absent = there.replace("-there", "-nowhr")

    for operation in ("iam.GetPolicy", "iam.ListPolicyVersions", "iam.DeletePolicy"):
        answers = [names(admin_of_b.call(operation, PolicyArn=arn), arn) for arn in (there, absent)]
        assert answers[0] == answers[1], operation
        assert answers[0][0] in (403, 404)


def test_24_a_layer_of_another_repository_is_not_known_by_its_digest(a: Account, secret: str) -> None:
    """Knowing a digest is not having its content: neither a probe nor an upload of nothing finds it."""
    a.repository("oracle/other")
    push = ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"]
    probe = ["ecr:BatchCheckLayerAvailability"]
    own = a.arn("oracle/other")
    caller = a.user(allow(LOG_IN), allow([*push, *probe], own), name="oracle-pushes").logged_in()

    for digest in (EMPTY, DIGEST):
        assert caller.v2("HEAD", f"/v2/oracle/other/blobs/{digest}").status == 404
        begun = caller.v2("POST", "/v2/oracle/other/blobs/uploads/", b"")
        path = "/v2/" + begun.headers["location"].partition("/v2/")[2]
        assert caller.v2("PUT", f"{path}?digest={digest}", b"").status == 400
        found = caller.need(
            "ecr.BatchCheckLayerAvailability", repositoryName="oracle/other", layerDigests=[digest]
        )
        assert found.json["layers"][0]["layerAvailability"] == "UNAVAILABLE"


ROUNDS = 3
SAMPLES = 400


def test_24_refusals_take_as_long_whether_it_is_there_or_not(
    a: Account, secret: str, elsewhere: Caller, admin_of_b: Caller
) -> None:
    """Welch's t over interleaved requests without outliers; one of three rounds must be within the noise."""
    for caller in (elsewhere, admin_of_b):
        asks: list[Callable[[], object]] = [
            lambda name=name, caller=caller: caller.v2(  # type: ignore[misc]
                "HEAD", f"/v2/{name}/blobs/{EMPTY}", host=a.registry
            )
            for name in (secret, MISSING)
        ]
        differences = []
        for _ in range(ROUNDS):
            differences.append(abs(_welch(*_timed(asks))))
            if differences[-1] < 4.5:
                break
        assert min(differences) < 4.5, differences


def _timed(asks: list[Callable[[], object]]) -> list[list[float]]:
    times: list[list[float]] = [[], []]
    for n in range(2 * SAMPLES):
        which = (n ^ (n >> 1)) & 1  # neither is always the first of two
        started = time.perf_counter()
        asks[which]()
        times[which].append(time.perf_counter() - started)
    return [sorted(each)[: int(len(each) * 0.8)] for each in times]


def _welch(one: list[float], other: list[float]) -> float:
    noise = math.sqrt(statistics.variance(one) / len(one) + statistics.variance(other) / len(other))
    return (statistics.mean(one) - statistics.mean(other)) / noise
