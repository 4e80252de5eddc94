"""Private endpoints of a real server: made with boto3 and the stock AWS CLI, and used through a private listener."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ...conftest import Need, Run, Server, ecr_password, free_port, knowing_all_services, running

SERVICE = "com.amazonaws.us-east-1.ecr.api"
WRITTEN = "vpce-0a1b2c3d4e5f60718"
OPEN, SHUT = "vpce-00000000000000001", "vpce-00000000000000002"
REFUSED = "The private endpoint does not carry {}"


def statement(action: str, effect: str = "Allow", **others: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": "*", "Action": action, "Resource": "*", **others}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="module")
def lan() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def balancer() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def server(lan: str, balancer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With a private listener `lan`, which carries sts and iam from the start, and IAM for reading only; and one behind
    a balancer, with an open endpoint for the registry and a shut one."""
    folder = tmp_path_factory.mktemp("private")
    document = folder / "policy.json"
    document.write_text(policy(statement("iam:List*"), statement("sts:*")))
    file = folder / "moorage.toml"
    file.write_text(
        f"""
        [[listeners]]
        name = "lan"
        listen = "{lan}"

        [[endpoints]]
        id = "{WRITTEN}"
        name = "lan"
        listener = "lan"
        services = ["sts", "iam"]
        network = "vpc-written"
        policy = "{document}"

        [[listeners]]
        name = "balancer"
        listen = "{balancer}"
        proxy_protocol = true
        trusted_proxies = ["127.0.0.1/32"]

        [[endpoints]]
        id = "{OPEN}"
        name = "open"
        listener = "balancer"
        services = ["ecr.dkr"]
        network = "vpc-open"

        [[endpoints]]
        id = "{SHUT}"
        name = "shut"
        listener = "balancer"
        services = ["ecr.dkr"]
        network = "vpc-shut"
        policy = "{document}"
        """
    )
    with running(folder, "--config", str(file)) as server:
        yield server


@pytest.fixture(scope="module")
def ec2(server: Server) -> Any:
    return server.client("ec2")


@pytest.fixture
def inside(server: Server, lan: str) -> Callable[[str], Any]:
    """A client that comes by the private listener."""

    def inside(service: str) -> Any:
        keys = server.client("sts")._request_signer._credentials
        return boto3.Session(botocore_session=knowing_all_services()).client(
            service,
            endpoint_url=f"http://{lan}",
            region_name="us-east-1",
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            config=Config(retries={"total_max_attempts": 1}),
        )

    return inside


@pytest.fixture
def made(ec2: Any) -> Iterator[str]:
    """An endpoint for ecr.api on the listener, gone after the test."""
    created = ec2.create_vpc_endpoint(
        VpcEndpointType="Interface", VpcId="vpc-made", ServiceName=SERVICE, SubnetIds=["subnet-lan"]
    )["VpcEndpoint"]
    assert created["State"] == "available"
    yield created["VpcEndpointId"]
    ec2.delete_vpc_endpoints(VpcEndpointIds=[created["VpcEndpointId"]])


def refused(call: Callable[..., Any], **members: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        call(**members)
    error, metadata = caught.value.response["Error"], caught.value.response["ResponseMetadata"]
    assert metadata["RequestId"]
    return metadata["HTTPStatusCode"], error["Code"], error["Message"]


def test_a_listener_carries_a_service_from_when_it_has_an_endpoint(
    ec2: Any, inside: Callable[[str], Any]
) -> None:
    _, code, text = refused(inside("ecr").describe_repositories)
    assert (code, text) == ("AccessDeniedException", REFUSED.format("ecr.api"))

    id_ = ec2.create_vpc_endpoint(VpcId="vpc-1", ServiceName=SERVICE, SubnetIds=["lan"])["VpcEndpoint"][
        "VpcEndpointId"
    ]
    assert "repositories" in inside("ecr").describe_repositories()

    assert ec2.delete_vpc_endpoints(VpcEndpointIds=[id_])["Unsuccessful"] == []
    assert refused(inside("ecr").describe_repositories)[2] == REFUSED.format("ecr.api")


def test_our_own_operations_come_by_the_endpoint_of_ecr(
    server: Server, inside: Callable[[str], Any], request: pytest.FixtureRequest
) -> None:
    """They are about the same repositories; Amazon has no endpoint of that name."""
    server.client("ecr").create_repository(repositoryName="own/app")
    ask = inside("moorage").list_image_uses
    assert refused(ask, repositoryName="own/app")[1:] == ("AccessDeniedException", REFUSED.format("ecr.api"))

    request.getfixturevalue("made")

    assert ask(repositoryName="own/app")["imageUses"] == []


def test_the_policy_of_an_endpoint_speaks_of_our_own_operations(
    server: Server, ec2: Any, made: str, inside: Callable[[str], Any]
) -> None:
    server.client("ecr").create_repository(repositoryName="own/narrow")
    ask = inside("moorage").list_image_uses
    ec2.modify_vpc_endpoint(VpcEndpointId=made, PolicyDocument=policy(statement("ecr:*")))
    assert refused(ask, repositoryName="own/narrow")[1] == "AccessDeniedException"

    both = policy(statement("ecr:*"), statement("moorage:List*"))
    ec2.modify_vpc_endpoint(VpcEndpointId=made, PolicyDocument=both)

    assert ask(repositoryName="own/narrow")["imageUses"] == []


@pytest.mark.parametrize(
    ("service", "operation", "member"),
    [("secretsmanager", "list_secrets", "SecretList"), ("cloudtrail", "lookup_events", "Events")],
)
def test_secrets_and_records_come_by_endpoints_of_their_own(
    ec2: Any, made: str, inside: Callable[[str], Any], service: str, operation: str, member: str
) -> None:
    ask = getattr(inside(service), operation)
    assert refused(ask)[1:] == ("AccessDeniedException", REFUSED.format(service))
    name = f"com.amazonaws.us-east-1.{service}"
    assert name in ec2.describe_vpc_endpoint_services()["ServiceNames"]

    id_ = ec2.create_vpc_endpoint(VpcId="vpc-1", ServiceName=name, SubnetIds=["lan"])["VpcEndpoint"][
        "VpcEndpointId"
    ]

    assert member in ask()
    ec2.delete_vpc_endpoints(VpcEndpointIds=[id_])


def test_the_registry_itself_is_another_service(
    server: Server, ec2: Any, made: str, run: Run, lan: str
) -> None:
    password = ecr_password(server.client("ecr"))
    ask = ("curl", "-sS", "-u", f"AWS:{password}", f"http://{lan}/v2/")

    answer = json.loads(run(*ask))
    assert answer["errors"] == [{"code": "DENIED", "message": REFUSED.format("ecr.dkr")}]

    id_ = ec2.create_vpc_endpoint(
        VpcId="vpc-1", ServiceName="com.amazonaws.us-east-1.ecr.dkr", SubnetIds=["lan"]
    )["VpcEndpoint"]["VpcEndpointId"]
    assert json.loads(run(*ask)) == {}
    ec2.delete_vpc_endpoints(VpcEndpointIds=[id_])


def proxied(endpoint: str, source: str = "10.1.2.3") -> bytes:
    """The header of a balancer, PROXY version 2, that says by which endpoint a connection came."""
    addresses = socket.inet_aton(source) + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 50_000, 443)
    value = b"\x01" + endpoint.encode()
    content = addresses + (b"\xea" + struct.pack("!H", len(value)) + value if endpoint else b"")
    return b"\r\n\r\n\x00\r\nQUIT\n" + b"\x21\x11" + struct.pack("!H", len(content)) + content


@pytest.mark.parametrize(
    ("endpoint", "status", "says"),
    [
        (OPEN, 200, "by-balancer"),
        (SHUT, 403, "because no VPC endpoint policy allows the ecr:ListImages action"),
        ("", 200, "by-balancer"),
        (WRITTEN, 403, REFUSED.format("ecr.dkr")),
        ("vpce-00000000000000009", 403, REFUSED.format("ecr.dkr")),
    ],
)
def test_a_balancer_says_which_endpoint_it_is(
    server: Server, balancer: str, endpoint: str, status: int, says: str
) -> None:
    with suppress(ClientError):
        server.client("ecr").create_repository(repositoryName="by-balancer")
    password = base64.b64encode(f"AWS:{ecr_password(server.client('ecr'))}".encode()).decode()
    host, _, number = balancer.partition(":")

    with socket.create_connection((host, int(number)), timeout=10) as connection:
        connection.sendall(proxied(endpoint))
        answer = http.client.HTTPConnection(host, int(number))
        answer.sock = connection
        answer.request("GET", "/v2/by-balancer/tags/list", headers={"Authorization": f"Basic {password}"})
        response = answer.getresponse()
        body = response.read().decode()

    assert (response.status, says in body) == (status, True), body


def test_the_policy_of_an_endpoint_holds_for_what_comes_by_it_from_the_next_request(
    server: Server, ec2: Any, made: str, inside: Callable[[str], Any]
) -> None:
    ecr = inside("ecr")
    ecr.create_repository(repositoryName="by-endpoint")

    ec2.modify_vpc_endpoint(VpcEndpointId=made, PolicyDocument=policy(statement("ecr:Describe*")))

    status, code, text = refused(ecr.delete_repository, repositoryName="by-endpoint")
    assert (status, code) == (400, "AccessDeniedException")
    assert "because no VPC endpoint policy allows the ecr:DeleteRepository action" in text
    assert ecr.describe_repositories(repositoryNames=["by-endpoint"])["repositories"]
    ec2.modify_vpc_endpoint(
        VpcEndpointId=made,
        PolicyDocument=policy(statement("*"), statement("ecr:DeleteRepository", "Deny")),
    )
    text = refused(ecr.delete_repository, repositoryName="by-endpoint")[2]
    assert "with an explicit deny in a VPC endpoint policy" in text
    ec2.modify_vpc_endpoint(VpcEndpointId=made, ResetPolicy=True)
    ecr.delete_repository(repositoryName="by-endpoint")


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("aws:SourceVpc", "vpc-made", True),
        ("aws:SourceVpc", "vpc-other", False),
        ("aws:VpcSourceIp", "127.0.0.1", True),
        ("aws:SourceIp", "127.0.0.1", False),
    ],
)
def test_conditions_see_the_endpoint_and_no_source_address(
    ec2: Any, made: str, inside: Callable[[str], Any], key: str, value: str, allowed: bool
) -> None:
    condition = {"StringEquals": {key: value}}
    ec2.modify_vpc_endpoint(
        VpcEndpointId=made, PolicyDocument=policy(statement("ecr:*", Condition=condition))
    )

    if allowed:
        inside("ecr").describe_repositories()
    else:
        assert "VPC endpoint policy" in refused(inside("ecr").describe_repositories)[2]


def test_an_endpoint_of_the_configuration_is_used_listed_and_not_changed(
    ec2: Any, inside: Callable[[str], Any]
) -> None:
    found = ec2.describe_vpc_endpoints(VpcEndpointIds=[WRITTEN])["VpcEndpoints"]

    assert [each["ServiceName"].rpartition(".")[2] for each in found] == ["iam", "sts"]
    assert {(each["State"], each["RequesterManaged"], each["VpcId"]) for each in found} == {
        ("available", True, "vpc-written")
    }
    assert inside("sts").get_caller_identity()["Account"] == found[0]["OwnerId"]
    assert "Users" in inside("iam").list_users()
    status, code, text = refused(inside("iam").create_user, UserName="u")
    assert (status, code) == (403, "AccessDenied")
    assert "because no VPC endpoint policy allows the iam:CreateUser action" in text
    assert refused(ec2.modify_vpc_endpoint, VpcEndpointId=WRITTEN, ResetPolicy=True)[:2] == (
        400,
        "OperationNotPermitted",
    )
    (failed,) = ec2.delete_vpc_endpoints(VpcEndpointIds=[WRITTEN])["Unsuccessful"]
    assert (failed["ResourceId"], failed["Error"]["Code"]) == (WRITTEN, "OperationNotPermitted")


def test_a_refusal_is_in_the_form_of_the_service_called(inside: Callable[[str], Any]) -> None:
    assert refused(inside("ec2").describe_vpc_endpoints) == (
        403,
        "UnauthorizedOperation",
        f"You are not authorized to perform this operation. {REFUSED.format('ec2')}",
    )


@pytest.mark.parametrize(
    ("operation", "members", "status", "code"),
    [
        ("describe_vpcs", {}, 400, "InvalidAction"),
        ("create_vpc_endpoint", {"VpcId": "vpc-1"}, 400, "MissingParameter"),
        ("create_vpc_endpoint", {"VpcId": "vpc-1", "ServiceName": "s3"}, 400, "InvalidServiceName"),
        (
            "create_vpc_endpoint",
            {"VpcId": "vpc-1", "ServiceName": SERVICE, "PolicyDocument": "{"},
            400,
            "InvalidPolicyDocument",
        ),
        (
            "create_vpc_endpoint",
            {"VpcId": "vpc-1", "ServiceName": SERVICE, "DryRun": True},
            412,
            "DryRunOperation",
        ),
        ("modify_vpc_endpoint", {"VpcEndpointId": "vpce-" + "0" * 17}, 400, "InvalidVpcEndpointId.NotFound"),
        ("describe_vpc_endpoints", {"VpcEndpointIds": ["a"]}, 400, "InvalidVpcEndpointId.Malformed"),
        ("describe_vpc_endpoints", {"NextToken": "x"}, 400, "InvalidParameterValue"),
        ("create_tags", {"Resources": ["i-1"], "Tags": [{"Key": "a"}]}, 400, "InvalidID"),
        (
            "create_tags",
            {"Resources": ["vpce-" + "0" * 17], "Tags": [{"Value": "a"}]},
            400,
            "InvalidParameterValue",
        ),
    ],
)
def test_errors_are_those_that_clients_know(
    ec2: Any, operation: str, members: dict[str, Any], status: int, code: str
) -> None:
    assert refused(getattr(ec2, operation), **members)[:2] == (status, code)


def test_a_wrong_key_is_a_failure_of_authentication(server: Server) -> None:
    stranger = boto3.client(
        "ec2",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="no",
    )

    status, code, text = refused(stranger.describe_vpc_endpoints)

    assert (status, code) == (401, "AuthFailure")
    assert text.startswith("AWS was not able to validate the provided access credentials")


def test_a_user_needs_leave_for_each_endpoint(server: Server, ec2: Any, made: str) -> None:
    iam = server.client("iam")
    user = iam.create_user(UserName="networks")["User"]["Arn"]
    key = iam.create_access_key(UserName="networks")["AccessKey"]
    client = boto3.client(
        "ec2",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    because = "because no identity-based policy allows the ec2:DescribeVpcEndpoints action"
    assert refused(client.describe_vpc_endpoints) == (
        403,
        "UnauthorizedOperation",
        f"You are not authorized to perform this operation. User: {user} is not authorized to perform: "
        f"ec2:DescribeVpcEndpoints {because}",
    )

    account = user.split(":")[4]
    arn = f"arn:aws:ec2:us-east-1:{account}:vpc-endpoint/{made}"
    document = policy({"Effect": "Allow", "Action": "ec2:ModifyVpcEndpoint", "Resource": arn})
    iam.put_user_policy(UserName="networks", PolicyName="one", PolicyDocument=document)

    assert client.modify_vpc_endpoint(VpcEndpointId=made, ResetPolicy=True)["Return"] is True
    status, code, text = refused(client.modify_vpc_endpoint, VpcEndpointId=WRITTEN, ResetPolicy=True)
    assert (status, code) == (403, "UnauthorizedOperation")
    assert f"on resource: {arn.replace(made, WRITTEN)} because" in text


def test_paginators_and_tags_of_boto3_work(ec2: Any, made: str) -> None:
    ec2.create_tags(Resources=[made], Tags=[{"Key": "team", "Value": "a<b"}])

    pages = ec2.get_paginator("describe_vpc_endpoints").paginate(PaginationConfig={"PageSize": 1})

    found = {each["VpcEndpointId"]: each["Tags"] for page in pages for each in page["VpcEndpoints"]}
    assert found.keys() == {OPEN, SHUT, WRITTEN, made}
    assert found[WRITTEN] == [{"Key": "Name", "Value": "lan"}]
    assert found[made] == [{"Key": "team", "Value": "a<b"}]
    assert ec2.describe_tags()["Tags"] == [
        {"Key": "team", "ResourceId": made, "ResourceType": "vpc-endpoint", "Value": "a<b"}
    ]
    ec2.delete_tags(Resources=[made])
    assert ec2.describe_tags()["Tags"] == []


def test_the_command_line_makes_describes_and_deletes(
    server: Server, run: Run, need: Need, tmp_path: Path
) -> None:
    program = need("aws")
    document = tmp_path / "policy.json"
    document.write_text(policy(statement("ecr:*")))

    def aws(*words: str) -> Any:
        said = run(program, "ec2", *words, env=server.environment)
        return json.loads(said) if said.startswith(("{", "[")) else said.strip()

    made = aws(
        "create-vpc-endpoint", "--vpc-endpoint-type", "Interface", "--vpc-id", "vpc-cli", "--service-name", SERVICE,
        "--subnet-ids", "subnet-lan", "--policy-document", f"file://{document}",
        "--tag-specifications", "ResourceType=vpc-endpoint,Tags=[{Key=team,Value=a}]",
    )["VpcEndpoint"]  # fmt: skip
    id_ = made["VpcEndpointId"]
    by_tag = ("--filters", "Name=tag:team,Values=a", "Name=vpc-endpoint-state,Values=available")

    assert json.loads(made["PolicyDocument"]) == json.loads(document.read_text())
    shown = aws("describe-vpc-endpoints", *by_tag, "--query", "VpcEndpoints[].VpcEndpointId")
    assert shown == [id_]
    assert aws("modify-vpc-endpoint", "--vpc-endpoint-id", id_, "--reset-policy") == {"Return": True}
    assert SERVICE in aws("describe-vpc-endpoint-services")["ServiceNames"]
    assert aws("delete-vpc-endpoints", "--vpc-endpoint-ids", id_) == {"Unsuccessful": []}
    said = run(
        program, "ec2", "modify-vpc-endpoint", "--vpc-endpoint-id", id_, "--reset-policy",
        env=server.environment, fails=True,
    )  # fmt: skip
    assert (
        f"(InvalidVpcEndpointId.NotFound) when calling the ModifyVpcEndpoint operation: The Vpc Endpoint Id '{id_}'"
        in said
    )
