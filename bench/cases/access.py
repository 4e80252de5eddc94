"""What it costs to ask who calls and whether they may, and how soon a revoked key is refused."""

import asyncio
import base64
import http.client
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from statistics import median
from typing import Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as AwsCredentials

from bench.cases.small import measured, requests_of
from bench.content import MIB
from bench.lab import LAYERS, REPOSITORY, Lab, Sample
from bench.load_clients import Request
from bench.servers import MOORAGE, Running, ecr
from moorage.access.authorize import authorize
from moorage.access.authorizer import Circumstances
from moorage.access.bearers import Bearers
from moorage.access.call import Call
from moorage.access.passwords import Passwords, password_for
from moorage.access.policies.compile import compile_policy
from moorage.access.policies.decide import Asked, Caller, PolicySet, decide
from moorage.access.signatures import Signatures
from moorage.base.http import Arrival
from moorage.base.http import Request as WireRequest
from moorage.config.settings import Settings
from moorage.server.app import Installation, opened

ROUNDS = 5
POLICIES, STATEMENTS = 10, 20
ACCOUNT, REGION = "123456789012", "us-east-1"
ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{REPOSITORY}"
TARGET = "AmazonEC2ContainerRegistry_V20150921"


def run(lab: Lab) -> Iterator[Sample]:
    rounds = lab.rounds(ROUNDS)
    for round_ in range(rounds):
        lab.say(f"access: in process, round {round_ + 1}")
        yield Sample("decision, 10 policies of 20 statements", MOORAGE.name, round_, "µs", _decision())
        for case, value in asyncio.run(_in_process(lab)).items():
            yield Sample(case, MOORAGE.name, round_, "µs", value)
    with lab.serving(MOORAGE) as servers:
        for server in servers:
            yield from _over_http(lab, server, rounds)


def documents() -> list[dict[str, Any]]:
    """Ten policies of twenty statements: what a grown team has. The last allows what is measured."""
    made = [
        {"Version": "2012-10-17", "Statement": [_statement(p, s) for s in range(STATEMENTS)]}
        for p in range(POLICIES)
    ]
    made[-1]["Statement"][-1] = {"Effect": "Allow", "Action": ["ecr:*"], "Resource": [ARN, "*"]}
    return made


def _statement(policy: int, number: int) -> dict[str, Any]:
    actions = [
        ["ecr:DescribeImages", "ecr:ListImages"],
        ["s3:Get*", "s3:List*"],
        ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        ["iam:PassRole"],
    ][number % 4]
    statement: dict[str, Any] = {
        "Effect": "Deny" if number % 5 == 4 else "Allow",
        "Action": actions,
        "Resource": f"arn:aws:ecr:*:{ACCOUNT}:repository/team-{policy}-{number}/*",
    }
    if number % 3 == 1:
        statement["Condition"] = {"StringEquals": {"aws:PrincipalTag/team": f"team-{number}"}}
    if number % 7 == 3:
        statement["Resource"] = f"arn:aws:ecr:*:{ACCOUNT}:repository/${{aws:username}}/{policy}/*"
    return statement


def _decision() -> float:
    """Nothing remembered: every policy is looked at."""
    policies = PolicySet(
        identity=tuple(compile_policy(json.dumps(each), "identity") for each in documents()),
        resource=(compile_policy(_REPOSITORY_POLICY, "repository"),),
    )
    caller = Caller("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ci")
    context = {"aws:username": "ci", "aws:principaltag/team": "red", "aws:sourceip": "192.0.2.7"}
    asked = Asked(caller, "ecr:BatchGetImage", ARN, ACCOUNT, context)
    assert decide(asked, policies).allowed
    return _microseconds(lambda: decide(asked, policies))


_REPOSITORY_POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "210987654321"},
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            },
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "ecr:*",
                "Condition": {"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"]}},
            },
        ],
    }
)


async def _in_process(lab: Lab) -> dict[str, float]:
    """Both questions of a request, on a store of its own."""
    async with opened(Settings(data=lab.work / f"access-{time.monotonic_ns()}"), 5050) as installation:
        services, root = installation.services, installation.created
        assert root is not None
        arrival = Arrival(address="127.0.0.1")
        around = Circumstances(arrival, None, REGION, services.clock())
        call = Call(
            root.principal,
            root.principal.account,
            REGION,
            "localhost",
            services.clock(),
            "",
            services,
            around,
        )
        arn = f"arn:aws:ecr:{REGION}:{call.account}:repository/{REPOSITORY}"
        passwords = Passwords(
            services.tokens, Bearers(installation.credentials, services.sessions), services.epochs
        )
        header = "Basic " + base64.b64encode(f"AWS:{password_for(call)[0]}".encode()).decode()

        async def registry_request() -> None:
            login = await passwords.check(header, REGION, services.clock())
            asks = replace(call, principal=login.principal)
            await authorize(asks, "ecr:BatchGetImage", arn, {"moorage:imagetag": "latest"})

        signatures = Signatures(installation.credentials, services.sessions)
        body, request = _signed(installation)

        async def api_call() -> None:
            signer = await signatures.check(request, body, "ecr", services.clock())
            asks = replace(call, principal=signer.principal)
            await authorize(asks, "ecr:DescribeRepositories", f"{arn}/*")

        return {
            "identify and authorize, /v2/": await _microseconds_of(registry_request),
            "identify and authorize, API": await _microseconds_of(api_call),
        }


def _signed(installation: Installation) -> tuple[bytes, WireRequest]:
    assert installation.created is not None
    body = b"{}"
    headers = {
        "Host": "localhost:5050",
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"{TARGET}.DescribeRepositories",
    }
    signed = signature(installation.created.id, installation.created.secret, "localhost:5050", headers, body)
    wire = [(name.lower().encode(), value.encode()) for name, value in signed.items()]
    return body, WireRequest("POST", "/", b"/", b"", wire, _NoBody(), Arrival(address="127.0.0.1"))


class _NoBody:
    """The body was read."""

    announced = 0

    async def read(self, limit: int) -> bytes:
        return b""

    def batches(self) -> Any:
        raise NotImplementedError


def signature(key: str, secret: str, host: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
    request = AWSRequest("POST", f"http://{host}/", headers=headers, data=body)
    SigV4Auth(AwsCredentials(key, secret), "ecr", REGION).add_auth(request)
    return dict(request.headers.items())


def _over_http(lab: Lab, server: Running, rounds: int) -> Iterator[Sample]:
    """The same small requests by root and by a user with ten policies; then the user's key is revoked."""
    seconds = 0.5 if lab.quick else 1.5
    image = lab.push_image(server, lab.maker.blobs(1 + LAYERS, MIB))
    iam = _client(server, "iam")
    user = _user(iam, server)
    root = ecr(server)
    callers = {
        "root": server,
        "user": replace(server, authorization=_password(_client(server, "ecr", user))),
    }
    wanted = requests_of(image)
    requests = {name: wanted[name] for name in ("ping", "GET manifest by tag", "HEAD blob")}
    for round_ in range(rounds):
        lab.say(f"access: over HTTP, round {round_ + 1}")
        for connections in (1, 16):
            for name, request in requests.items():
                for caller in sorted(callers, reverse=bool(round_ % 2)):
                    case = f"{name}, {caller}, c={connections}"
                    yield from measured(lab, callers[caller], [request], connections, seconds, case, round_)
        yield from _api(lab, server, user, seconds, round_)
    yield from _revocation(server, iam, user, callers["user"].authorization)
    del root


def _user(iam: Any, server: Running) -> dict[str, str]:
    account = _client(server, "sts").get_caller_identity()["Account"]
    iam.create_user(UserName="ci")
    for number, document in enumerate(documents()):
        text = json.dumps(document).replace(ACCOUNT, account)
        made = iam.create_policy(PolicyName=f"policy-{number}", PolicyDocument=text)
        iam.attach_user_policy(UserName="ci", PolicyArn=made["Policy"]["Arn"])
    created: dict[str, str] = iam.create_access_key(UserName="ci")["AccessKey"]
    return created


def _client(server: Running, service: str, key: dict[str, str] | None = None) -> Any:
    own = ecr(server)._request_signer._credentials if key is None else None
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=f"http://127.0.0.1:{server.port}",
        aws_access_key_id=own.access_key if own else key["AccessKeyId"],
        aws_secret_access_key=own.secret_key if own else key["SecretAccessKey"],
    )


def _password(client: Any) -> str:
    token = client.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return f"Basic {token}"


def _api(lab: Lab, server: Running, user: dict[str, str], seconds: float, round_: int) -> Iterator[Sample]:
    """DescribeRepositories by the user, signed once: a signature is good for a quarter of an hour."""
    body = json.dumps({"repositoryNames": [REPOSITORY]}).encode()
    host = f"127.0.0.1:{server.port}"
    headers = {
        "Host": host,
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"{TARGET}.DescribeRepositories",
    }
    signed = signature(user["AccessKeyId"], user["SecretAccessKey"], host, headers, body)
    caller = replace(server, authorization=signed.pop("Authorization"))
    sent = tuple((name, value) for name, value in signed.items() if name.lower() != "host")
    request = Request("POST", "/", sent, body)
    for connections in (1, 16):
        case = f"DescribeRepositories, user, c={connections}"
        yield from measured(lab, caller, [request], connections, seconds, case, round_)


def _revocation(server: Running, iam: Any, user: dict[str, str], authorization: str) -> Iterator[Sample]:
    """From the answer to UpdateAccessKey to the first refusal, and what was still served meanwhile."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)

    def status() -> int:
        connection.request(
            "GET", f"/v2/{REPOSITORY}/manifests/latest", headers={"Authorization": authorization}
        )
        response = connection.getresponse()
        response.read()
        return response.status

    assert status() == 200
    iam.update_access_key(UserName="ci", AccessKeyId=user["AccessKeyId"], Status="Inactive")
    began, served = time.perf_counter(), 0
    while status() == 200:
        served += 1
    milliseconds = (time.perf_counter() - began) * 1_000
    connection.close()
    yield Sample("revoked key", MOORAGE.name, 0, "served afterwards", served)
    yield Sample("revoked key", MOORAGE.name, 0, "ms to refusal", milliseconds)


def _microseconds(function: Callable[[], object]) -> float:
    """The median of batches."""
    times = []
    for _ in range(30):
        began = time.perf_counter()
        for _ in range(200):
            function()
        times.append((time.perf_counter() - began) / 200 * 1e6)
    return median(times)


async def _microseconds_of(function: Callable[[], Awaitable[None]]) -> float:
    times = []
    for _ in range(30):
        began = time.perf_counter()
        for _ in range(200):
            await function()
        times.append((time.perf_counter() - began) / 200 * 1e6)
    return median(times)
