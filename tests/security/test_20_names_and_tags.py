"""What callers choose (names, tags, headers) is text to a policy, and decides nothing that it does not say."""

from __future__ import annotations

import pytest

from .calling import REGION, Caller
from .places import Account, allow, assumed, deny, grant, policy

LOG_IN = "ecr:GetAuthorizationToken"


WILD = ["*", "?", "red*", "r?d", "${aws:username}", "${*}"]


@pytest.mark.parametrize("team", WILD)
def test_a_tag_that_looks_like_a_pattern_is_refused_or_a_text(a: Account, team: str) -> None:
    """Put into a resource by a policy, it is the characters that it has."""
    own = a.arn("tagged/${aws:PrincipalTag/team}")
    tags = [{"Key": "team", "Value": team}]
    text = policy(grant({"AWS": a.id}, ["sts:AssumeRole", "sts:TagSession"]))
    name = f"tagged-{WILD.index(team)}"
    role = a.role(name, allow("ecr:ListImages", own), trust=text)
    caller = a.user(allow("sts:*"), allow("ecr:ListImages", own), name=name)
    begun = caller.call("sts.AssumeRole", RoleArn=role, RoleSessionName="run-1", Tags=tags)
    tagged = a.root.call("iam.TagUser", UserName=name, Tags=tags)
    holders = [caller] if tagged.status == 200 else []
    if begun.status == 200:
        holders.append(assumed(caller, role, Tags=tags))

    assert begun.status == 200 or begun.code == "ValidationError"
    assert tagged.status == 200 or tagged.code == "ValidationError"
    for holder in holders:
        for repository in ("tagged/red", "tagged/x"):
            assert holder.call("ecr.ListImages", repositoryName=repository).is_denied


@pytest.mark.parametrize(
    "name",
    [
        "own/../other",
        "own/./x",
        "own//x",
        "own/x/..",
        "own/%2e%2e/other",
        "OWN/x",
        "own/x ",
        "own\\x",
        "own/x\x00",
    ],
)
def test_a_name_that_is_not_plain_is_no_way_to_another_repository(a: Account, name: str) -> None:
    caller = _owner(a)
    answer = caller.call("ecr.ListImages", repositoryName=name)
    assert answer.status == 400
    assert answer.code in ("InvalidParameterException", "AccessDeniedException", "SerializationException")

    path = name.replace("\\", "%5C").replace(" ", "%20").replace("\x00", "%00")
    assert caller.v2("GET", f"/v2/{path}/tags/list").status in (400, 401, 403, 404)


def _owner(a: Account) -> Caller:
    if a.root.call("iam.GetUser", UserName="named-owner").status != 200:
        a.user(allow(LOG_IN), allow("ecr:*", a.arn("own/*")), name="named-owner")
        a.repository("other")
        a.image("other")
    user = a.session("user", "named-owner")
    return user.logged_in()


@pytest.mark.parametrize(
    "path",
    [
        "/v2/own/../other/tags/list",
        "/v2/own/%2e%2e/other/tags/list",
        "/v2/own%2f..%2fother/tags/list",
        "/v2/own/x/../../other/manifests/latest",
        "/v2//other/tags/list",
        "/v2/./other/tags/list",
        "//v2/other/tags/list",
        "/v2/own/x/manifests/../../../other/manifests/latest",
        "/v2/own/x/blobs/..%2f..%2fother",
        "/v2/own/manifests/latest/../../other/manifests/latest",
    ],
)
def test_29_a_path_is_not_normalized_into_another(a: Account, path: str) -> None:
    assert _owner(a).v2("GET", path).status in (400, 403, 404)


def test_29_nothing_is_written_outside_of_the_data(a: Account) -> None:
    """Whatever an upload or a digest is called."""
    outside = a.server.data.parent
    before = sorted(path.name for path in outside.iterdir())
    root = a.root.logged_in()
    names = ["../../x", "..%2f..%2fx", "%00", "x" * 10_000, "\\..\\x", "%c0%ae%c0%ae/x", "sha256:../../x"]
    for name in names:
        for method, path in (
            ("PATCH", f"/v2/other/blobs/uploads/{name}"),
            ("PUT", f"/v2/other/blobs/uploads/{name}?digest={name}"),
            ("GET", f"/v2/other/blobs/{name}"),
            ("PUT", f"/v2/other/manifests/{name}"),
            ("POST", f"/v2/other/blobs/uploads/?digest={name}"),
            ("POST", f"/v2/other/blobs/uploads/?mount={name}&from={name}"),
        ):
            answer = root.v2(method, path, b"x" if method != "GET" else None)
            assert answer.status in (202, 400, 404, 405, 414), (method, path, answer)

    assert sorted(path.name for path in outside.iterdir()) == before
    made = {path.name for path in a.server.data.iterdir() if not path.name.startswith("credentials")}
    assert made <= ALLOWED


ALLOWED = {
    "blobs",
    "lock",
    "moorage.db",
    "moorage.db-shm",
    "moorage.db-wal",
    "root.key",
    "uploads",
}


FORGED = [
    ("x-forwarded-for", "203.0.113.9"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "203.0.113.9"),
    ("forwarded", "for=203.0.113.9;proto=https"),
    ("x-real-ip", "203.0.113.9"),
    ("true-client-ip", "203.0.113.9"),
    ("cf-connecting-ip", "203.0.113.9"),
    ("x-client-cert", "CN=admin"),
    ("x-amz-source-vpce", "vpce-1"),
    ("x-amz-vpce-id", "vpce-1"),
    ("aws-sourceip", "203.0.113.9"),
    ("userid", "admin"),
    ("x-amz-principal-tag-team", "red"),
]
CONDITIONS = {
    "address": {"IpAddress": {"aws:SourceIp": "203.0.113.9/32"}},
    "network": {"StringLike": {"aws:SourceVpce": "vpce-*"}},
    "tag": {"StringEquals": {"aws:PrincipalTag/team": "red"}},
    "tls": {"Bool": {"aws:SecureTransport": "true"}},
    "user": {"StringEquals": {"aws:username": "admin"}},
    "service": {"Bool": {"aws:PrincipalIsAWSService": "true"}},
    "via": {"StringEquals": {"aws:CalledViaLast": "admin"}},
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_21_no_header_and_no_query_sets_a_condition_key(a: Account, condition: str) -> None:
    name = f"forged-{condition}"
    caller = a.user(
        allow(LOG_IN), allow("ecr:ListImages", Condition=CONDITIONS[condition]), name=name
    ).logged_in()
    query = "&".join(f"{header}={value}" for header, value in [*FORGED, ("aws%3Ausername", "admin")])

    for target in ("/v2/other/tags/list", f"/v2/other/tags/list?{query}"):
        assert caller.v2("GET", target, headers=FORGED).status in (400, 403)
        for pair in FORGED:
            assert caller.v2("GET", target, headers=[pair]).status == 403, pair
    signing = caller.signing("ecr", b'{"repositoryName":"other"}', [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.ListImages"),
        *FORGED,
    ])  # fmt: skip
    assert a.door.ask("POST", "/", signing.signed(), signing.body).is_denied


def test_21_a_denial_by_address_is_not_escaped_by_a_header(a: Account) -> None:
    here = {"IpAddress": {"aws:SourceIp": ["127.0.0.0/8", "::1/128"]}}
    caller = a.user(allow("ecr:*"), deny("ecr:ListImages", Condition=here), name="forged-away")
    caller = caller.logged_in()

    for pair in FORGED[:7]:
        assert caller.v2("GET", "/v2/other/tags/list", headers=[pair]).status == 403


@pytest.mark.parametrize(
    "head", [b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)]
)
def test_21_a_proxy_header_on_a_public_listener_is_no_http(a: Account, head: bytes) -> None:
    import socket

    host, _, port = a.door.host.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head + b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(12) in (b"HTTP/1.1 400", b"")


def test_tags_that_differ_in_case_are_not_two_answers_to_one_condition(a: Account) -> None:
    """A policy reads aws:ResourceTag/team without regard to case: there must not be a second of that name."""
    a.repository("cased/app", tags=[{"Key": "Team", "Value": "red"}])
    red_only = {"Condition": {"StringEquals": {"aws:ResourceTag/Team": "blue"}}}
    caller = a.user(
        allow("ecr:TagResource", a.arn("cased/*")), allow("ecr:ListImages", **red_only), name="cased-user"
    )

    tagged = a.root.call(
        "ecr.TagResource", resourceArn=a.arn("cased/app"), tags=[{"Key": "team", "Value": "blue"}]
    )

    stored = a.root.need("ecr.ListTagsForResource", resourceArn=a.arn("cased/app")).json["tags"]
    assert len({tag["Key"].lower() for tag in stored}) == len(stored), stored
    assert tagged.status == 400 or stored == [{"Key": "team", "Value": "blue"}]
    assert caller.call("ecr.ListImages", repositoryName="cased/app").is_denied is (tagged.status == 400)


@pytest.mark.parametrize("operation", ["ecr.TagResource", "ecr.UntagResource", "ecr.ListTagsForResource"])
def test_an_arn_in_a_request_is_the_one_that_is_decided_on(a: Account, b: Account, operation: str) -> None:
    """Of another account, region or service: refused, not rewritten to one's own."""
    caller = a.user(allow("ecr:*", a.arn("*")), name=f"arns-{operation[4:8].lower()}")
    members: dict[str, object] = {}
    if operation == "ecr.TagResource":
        members["tags"] = [{"Key": "a", "Value": "b"}]
    if operation == "ecr.UntagResource":
        members["tagKeys"] = ["a"]
    for arn in (
        b.arn("x/y"),
        a.arn("x/y", "eu-west-1"),
        f"arn:aws:s3:{REGION}:{a.id}:repository/x/y",
        f"arn:aws:ecr:{REGION}:{a.id}:registry",
        f"arn:aws:iam::{a.id}:user/arns",
        "*",
    ):
        assert caller.call(operation, resourceArn=arn, **members).status == 400, arn
