"""The spans of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from moorage.access.downloads import PREFIX
from moorage.access.principals import ANONYMOUS, root_of
from moorage.aws.operation import find_operation
from moorage.base.addresses import Registry
from moorage.base.errors.error import MoorageError
from moorage.base.errors.images import ImageNotFound
from moorage.base.errors.ourselves import Server
from moorage.base.http import Arrival, BlobBody, Reply, Request
from moorage.oci.routes import ROUTES, find_route
from moorage.registry import operations  # noqa: F401  # registers what answers
from moorage.server.audit import Seen
from moorage.server.tracing.inside import SEALING
from moorage.server.tracing.requests import PATHS, TracedRequests

from .conftest import Traced, is_below

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DIGEST = "sha256:" + "a" * 64


class NoBody:
    announced = 17


class NoSource:
    descriptor = None


def request(
    path: str, method: str = "GET", headers: Mapping[str, str] | None = None, query: bytes = b""
) -> Request:
    return Request(
        method=method,
        path=path,
        raw_path=path.encode(),
        raw_query=query,
        headers=[(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        body=NoBody(),  # type: ignore[arg-type]  # nothing reads it
        arrival=Arrival(address="10.0.0.9"),
    )


def seen_at(asked: Request) -> Seen:
    route, target = find_route(asked.method, asked.raw_path.decode())
    return Seen(
        registry=Registry("123456789012", "home-1"),
        principal=root_of("123456789012", "AKIAEXAMPLE"),
        route=route,
        target=target,
    )


def answer(
    traced: Traced, asked: Request, seen: Seen, reply: Reply, refused: MoorageError | None = None
) -> None:
    requests = TracedRequests(traced.tracer)
    with requests.request(asked, "id-1"):
        requests.note(asked, seen, reply, refused)


def test_every_route_has_its_path() -> None:
    assert {route.kind for route in ROUTES} == PATHS.keys()


def test_a_request_is_called_after_its_route_and_says_what_an_operator_may_read(traced: Traced) -> None:
    asked = request(
        "/v2/team/app/manifests/1", headers={"user-agent": "docker/26", "authorization": "Basic x"}
    )

    answer(traced, asked, seen_at(asked), Reply(200))

    [span] = traced.spans
    assert span.name == "GET /v2/{name}/manifests/{reference}"
    assert span.kind is SpanKind.SERVER
    assert span.parent is None
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.request.body.size": 17,
        "http.response.status_code": 200,
        "http.route": "/v2/{name}/manifests/{reference}",
        "moorage.principal_kind": "root",
        "moorage.registry": "123456789012/home-1",
        "moorage.repository": "team/app",
        "moorage.request_id": "id-1",
        "url.path": "/v2/team/app/manifests/1",
        "url.scheme": "http",
        "user_agent.original": "docker/26",
    }


def test_a_call_of_the_api_is_called_after_its_operation(traced: Traced) -> None:
    target = "AmazonEC2ContainerRegistry_V20150921.PutImage"
    seen = Seen(
        principal=ANONYMOUS,
        operation=find_operation(target, None, None),
        resources=["arn:aws:ecr:home-1:123456789012:repository/app"],
    )

    answer(traced, request("/", "POST"), seen, Reply(400), ImageNotFound("none"))

    span = traced.one("ecr PutImage")
    attributes = traced.attributes("ecr PutImage")
    assert attributes["rpc.system.name"] == "aws-api"
    assert attributes["rpc.method"] == "ecr/PutImage"
    assert attributes["moorage.repository"] == "app"
    assert attributes["moorage.error"] == ImageNotFound.code()
    assert attributes["moorage.principal_kind"] == "anonymous"
    assert span.status.status_code is StatusCode.UNSET  # the caller's fault is none of the server's


def test_our_own_fault_is_an_error(traced: Traced) -> None:
    asked = request("/v2/")

    answer(traced, asked, seen_at(asked), Reply(500), Server())

    assert traced.one("GET /v2/").status.status_code is StatusCode.ERROR


def test_no_secret_and_no_query_is_written_down(traced: Traced) -> None:
    asked = request(
        f"{PREFIX}SECRET", headers={"authorization": "SECRET", "cookie": "SECRET"}, query=b"token=SECRET"
    )

    answer(traced, asked, Seen(), Reply(401))

    [span] = traced.spans
    assert span.name == f"GET {PREFIX}{{token}}"
    assert "SECRET" not in span.to_json()


def test_a_token_is_not_written_down_however_its_path_is_spelled(traced: Traced) -> None:
    asked = replace(request(f"{PREFIX}SECRET"), raw_path=f"/%{ord(PREFIX[1]):x}{PREFIX[2:]}SECRET".encode())

    answer(traced, asked, Seen(), Reply(200))

    assert "SECRET" not in traced.spans[0].to_json()


def test_what_a_stranger_sends_is_cut(traced: Traced) -> None:
    asked = request("/" + "x" * 16_000, headers={"user-agent": "y" * 60_000})

    answer(traced, asked, Seen(), Reply(404))

    assert traced.names == ["GET"]
    assert len(traced.one("GET").to_json()) < 3_000


def test_a_valid_traceparent_is_the_parent(traced: Traced) -> None:
    asked = request("/v2/", headers={"traceparent": PARENT})

    answer(traced, asked, seen_at(asked), Reply(200))

    span = traced.one("GET /v2/")
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert span.parent.is_remote


@pytest.mark.parametrize("header", ["garbage", PARENT.upper(), "00-" + "0" * 32 + PARENT[35:], PARENT * 20])
def test_with_a_traceparent_that_is_none_a_trace_is_begun(traced: Traced, header: str) -> None:
    asked = request("/v2/", headers={"traceparent": header})

    answer(traced, asked, seen_at(asked), Reply(200))

    assert traced.one("GET /v2/").parent is None


def test_with_two_traceparents_a_trace_is_begun(traced: Traced) -> None:
    asked = request("/v2/", headers={"traceparent": PARENT})
    asked = replace(asked, headers=[*asked.headers, (b"traceparent", PARENT.encode())])

    answer(traced, asked, seen_at(asked), Reply(200))

    assert traced.one("GET /v2/").parent is None


def test_what_the_caller_does_not_sample_is_not_traced(traced: Traced) -> None:
    asked = request("/v2/", headers={"traceparent": PARENT[:-2] + "00"})

    answer(traced, asked, seen_at(asked), Reply(200))

    assert traced.spans == []


def test_what_is_not_sampled_notes_nothing() -> None:
    traced, asked = Traced(ALWAYS_OFF), request("/v2/")

    with TracedRequests(traced.tracer).request(asked, "id"):
        assert SEALING.get() is None

    assert traced.spans == []


def test_sending_a_blob_is_a_part_of_its_request(traced: Traced) -> None:
    asked = request(f"/v2/app/blobs/{DIGEST}")
    body = BlobBody(NoSource(), ((0, 1_000),))  # type: ignore[arg-type]  # nothing reads it

    answer(traced, asked, seen_at(asked), Reply(200, body=body))

    sending = traced.one("send")
    assert is_below(sending, traced.one("GET /v2/{name}/blobs/{digest}"))
    assert dict(sending.attributes or {}) == {"moorage.bytes": 1_000}


def test_requests_one_after_the_other_are_traces_of_their_own(traced: Traced) -> None:
    asked = request("/v2/")

    for _ in range(2):
        answer(traced, asked, seen_at(asked), Reply(200))

    first, second = traced.spans
    assert first.context.trace_id != second.context.trace_id


@pytest.mark.parametrize(
    ("path", "method", "name"),
    [
        ("/v2/app/manifests/1", "HEAD", "HEAD /v2/{name}/manifests/{reference}"),
        ("/v2/", "GET", "GET /v2/"),
        ("/", "POST", "POST /"),
        ("/v2/app/nothing", "GET", "GET"),
        ("/favicon.ico", "GET", "GET"),
    ],
)
def test_what_is_refused_before_it_is_looked_at_is_called_by_its_path(
    traced: Traced, path: str, method: str, name: str
) -> None:
    answer(traced, request(path, method), Seen(), Reply(401))

    assert traced.names == [name]
    assert "moorage.repository" not in traced.attributes(name)
