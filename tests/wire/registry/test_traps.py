"""The traps of a registry's data plane, each with the exact answer."""

from __future__ import annotations

import json
import threading
from typing import Any
from urllib.parse import quote

import pytest

from ...conftest import Repository, Server
from .client import (
    CONFIG_TYPE,
    EMPTY_DIGEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Answer,
    Wire,
    basic,
    descriptor,
    digest_of,
    index,
    manifest,
)

ZERO = f"sha256:{'0' * 64}"
MISMATCH = "None of the provided layer digests match the calculated layer digest"


def not_found(name: str, account: str) -> tuple[int, str, str]:
    text = f"The repository with name '{name}' does not exist in the registry with id '{account}'"
    return 404, "NAME_UNKNOWN", text


@pytest.mark.parametrize(
    "target",
    [
        "/v2/",
        "/v2",
        "/v2/_catalog",
        "/v2/a/tags/list",
        "/v2/a/manifests/b",
        f"/v2/a/blobs/{ZERO}",
        f"/v2/a/referrers/{ZERO}",
        "/v2/a/blobs/uploads/b",
        "/v2/nothing",
    ],
)
@pytest.mark.parametrize(
    "authorization", [None, "Basic Og==", "Basic", "Basic !", "Digest x", basic("AWS", "x")]
)
def test_trap_1_anonymous_request_gets_one_basic_challenge(
    nobody: Wire, target: str, authorization: str | None
) -> None:
    answer = nobody.as_caller(authorization).ask("GET", target)

    assert answer.error == (401, "UNAUTHORIZED", "Not Authorized")
    challenge = f'Basic realm="https://{nobody.host}/",service="ecr.amazonaws.com"'
    assert answer.header("www-authenticate") == challenge
    assert "bearer" not in str(answer.headers).lower()


def test_trap_1_host_in_the_challenge_is_cleaned(nobody: Wire) -> None:
    answer = nobody.ask("GET", "/v2/", [("Host", 'a"b,c\xe9.example:50')])

    assert (
        answer.header("www-authenticate")
        == 'Basic realm="https://abc.example:50/",service="ecr.amazonaws.com"'
    )


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_trap_2_digest_header_is_everywhere(
    wire: Wire, name: str, repository: Repository, algorithm: str
) -> None:
    content = b"layer of " + name.encode()
    digest = digest_of(content, algorithm)
    location = wire.begin(name)
    answers = [wire.ask("PUT", f"{location}?digest={digest}", body=content)]
    answers += [
        wire.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", body=content),
        wire.ask("POST", f"/v2/{repository('wire/mounted')}/blobs/uploads/?mount={digest}&from={name}"),
        wire.ask("GET", f"/v2/{name}/blobs/{digest}"),
        wire.ask("HEAD", f"/v2/{name}/blobs/{digest}"),
    ]
    assert [answer.status for answer in answers] == [201, 201, 201, 200, 200]
    assert {answer.header("docker-content-digest") for answer in answers} == {digest}

    image = wire.image(name)
    digest = digest_of(image, algorithm)
    answers = [wire.put_manifest(name, f"{digest}?tag=t", image)]
    for reference in (digest, "t"):
        answers += [wire.ask(method, f"/v2/{name}/manifests/{reference}") for method in ("GET", "HEAD")]
    assert [answer.status for answer in answers] == [201, 200, 200, 200, 200]
    assert {answer.header("docker-content-digest") for answer in answers} == {digest}
    assert answers[0].header("oci-tag") == "t"
    assert {answer.header("etag") for answer in answers[1:]} == {f'"{digest}"'}


@pytest.mark.parametrize(
    "forwarded", [{}, {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}]
)
def test_trap_3_locations_and_links_are_relative(wire: Wire, name: str, forwarded: dict[str, str]) -> None:
    headers = {"Host": "r.example", **forwarded}
    begun = wire.ask("POST", f"/v2/{name}/blobs/uploads/", headers)
    location = str(begun.header("location"))
    assert location.startswith(f"/v2/{name}/blobs/uploads/")
    separator = "&" if "?" in location else "?"

    finished = wire.ask("PUT", f"{location}{separator}digest={digest_of(b'{}')}", headers, b"{}")
    assert finished.header("location") == f"/v2/{name}/blobs/{digest_of(b'{}')}"

    image = manifest()
    put = wire.ask("PUT", f"/v2/{name}/manifests/{digest_of(image)}?tag=a&tag=b", headers, image)
    assert put.header("location") == f"/v2/{name}/manifests/{digest_of(image)}"
    assert put.header("oci-tag") == "a, b"
    listed = wire.ask("GET", f"/v2/{name}/tags/list?n=1", headers)
    assert listed.header("link") == f'</v2/{name}/tags/list?n=1&last=a>; rel="next"'


def test_trap_4_upload_range_syntax(wire: Wire, name: str) -> None:
    begun = wire.ask("POST", f"/v2/{name}/blobs/uploads/")
    location = str(begun.header("location"))
    upload_id = begun.header("docker-upload-uuid")
    steps = [
        begun,
        wire.ask("GET", location),
        wire.ask("PATCH", location, body=b"01234"),
        wire.ask("PATCH", location, body=b"56789"),
        wire.ask("PATCH", location, {"Content-Range": "10-14"}, b"abcde"),
        wire.ask("GET", location),
        wire.ask("GET", f"{location}?digest={ZERO}"),
        wire.ask("HEAD", location),
    ]

    assert [(step.status, step.header("range")) for step in steps] == [
        (202, "0-0"),
        (204, "0-0"),
        (202, "0-4"),
        (202, "0-9"),
        (202, "0-14"),
        (204, "0-14"),
        (204, "0-14"),
        (204, "0-14"),
    ]
    assert {(step.header("location"), step.header("docker-upload-uuid")) for step in steps} == {
        (location, upload_id)
    }
    assert {step.header("content-length") for step in steps if step.status == 202} == {"0"}
    assert location == f"/v2/{name}/blobs/uploads/{upload_id}"


def test_trap_5_out_of_order_and_replayed_chunks_get_416_and_keep_the_session(wire: Wire, name: str) -> None:
    first, second = b"a" * 100, b"b" * 50
    location = wire.begin(name)

    def send(content: bytes, start: int, method: str = "PATCH", query: str = "") -> Answer:
        headers = {"Content-Range": f"{start}-{start + len(content) - 1}"}
        return wire.ask(method, location + query, headers, content)

    early = send(second, 100)
    assert early.error == (416, "BLOB_UPLOAD_INVALID", "First byte of the layer part is 100 instead of 0")
    assert (early.header("location"), early.header("range")) == (location, "0-0")
    assert send(first, 0).status == 202
    replayed = send(first, 0)
    assert replayed.error == (416, "BLOB_UPLOAD_INVALID", "First byte of the layer part is 0 instead of 100")
    assert (replayed.header("location"), replayed.header("range")) == (location, "0-99")
    digest = digest_of(first + second)
    assert send(second, 99, "PUT", f"?digest={digest}").status == 416
    assert wire.ask("GET", f"{location}?digest={digest}").status == 204
    assert send(second, 100).status == 202
    assert wire.ask("PUT", f"{location}?digest={digest}").status == 201
    assert wire.ask("GET", f"/v2/{name}/blobs/{digest}").body == first + second


@pytest.mark.parametrize(
    ("content_range", "status", "code"),
    [
        ("0-3", 400, "SIZE_INVALID"),
        ("4-0", 400, "SIZE_INVALID"),
        ("x-y", 400, "UNSUPPORTED"),
        ("-4", 400, "UNSUPPORTED"),
        ("0-4,5-9", 400, "UNSUPPORTED"),
        ("9" * 40 + "-" + "9" * 40, 400, "UNSUPPORTED"),
    ],
)
def test_trap_5_content_range_that_does_not_fit_is_refused_and_the_session_kept(
    wire: Wire, name: str, content_range: str, status: int, code: str
) -> None:
    location = wire.begin(name)

    assert wire.ask("PATCH", location, {"Content-Range": content_range}, b"01234").error[:2] == (status, code)
    assert wire.ask("PATCH", location, {"Content-Range": "bytes 0-4/*"}, b"01234").header("range") == "0-4"


def test_trap_6_repeated_closing_put_is_answered_alike(wire: Wire, name: str) -> None:
    location, digest = wire.begin(name), digest_of(b"twice")

    answers = [wire.ask("PUT", f"{location}?digest={digest}", body=b"twice") for _ in range(2)]

    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].steady == answers[1].steady
    assert wire.ask("PUT", f"{location}?digest={ZERO}").error[:2] == (404, "BLOB_UPLOAD_UNKNOWN")
    assert wire.ask("GET", location).error[:2] == (404, "BLOB_UPLOAD_UNKNOWN")


def test_trap_6_many_clients_that_finish_one_digest_all_get_201(wire: Wire, name: str) -> None:
    content = b"raced " * 50_000
    digest = digest_of(content)
    answers = at_once(
        8, lambda n: other(wire).ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", body=content)
    )

    assert [answer.status for answer in answers] == [201] * 8
    assert wire.ask("GET", f"/v2/{name}/blobs/{digest}").body == content


@pytest.mark.parametrize("size", [0, 5, 65_535, 65_536, 65_537, 1_500_000])
@pytest.mark.parametrize("way", ["post", "post announced", "put", "patch", "chunked"])
def test_trap_7_sha512_by_every_way(wire: Wire, repository: Repository, way: str, size: int) -> None:
    name = repository("wire/sha512")
    content = bytes(range(251)) * (size // 251) + b"x" * (size % 251)
    digest = digest_of(content, "sha512")
    assert len(content) == size

    assert store(wire, name, digest, content, way).status == 201

    got = wire.ask("GET", f"/v2/{name}/blobs/{digest}")
    assert (got.status, got.body, got.header("docker-content-digest")) == (200, content, digest)
    head = wire.ask("HEAD", f"/v2/{name}/blobs/{digest}")
    assert (head.status, head.header("content-length")) == (200, str(size))
    assert wire.ask("GET", f"/v2/{name}/blobs/{digest_of(content)}").body == content


def test_trap_7_sha512_manifest_and_its_referrers(wire: Wire, name: str) -> None:
    image = wire.image(name, annotations={"of": name})
    digest = digest_of(image, "sha512")
    assert wire.put_manifest(name, digest, image).status == 201
    subject = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(image)}
    referrer = wire.image(name, subject=subject, artifactType="application/x")
    put = wire.put_manifest(name, digest_of(referrer, "sha512"), referrer)
    assert put.header("oci-subject") == digest

    listed = wire.ask("GET", f"/v2/{name}/referrers/{digest}").json["manifests"]

    assert [entry["digest"] for entry in listed] == [digest_of(referrer, "sha512")]


def test_trap_7_unknown_digest_algorithm_is_refused(wire: Wire, name: str) -> None:
    answer = wire.ask("POST", f"/v2/{name}/blobs/uploads/?digest-algorithm=md5")

    assert answer.error[:2] == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("way", ["post", "post announced", "put", "patch", "chunked"])
@pytest.mark.parametrize("size", [5, 400_000])
def test_trap_8_bad_digest_by_every_way_stores_nothing(
    wire: Wire, repository: Repository, way: str, algorithm: str, size: int
) -> None:
    name = repository("wire/bad-digest")
    content = bytes(size)
    digest = digest_of(content, algorithm)

    answer = store(wire, name, digest, content + b"extra", way)

    assert answer.error == (400, "DIGEST_INVALID", MISMATCH)
    assert wire.ask("GET", f"/v2/{name}/blobs/{digest}").error[:2] == (404, "BLOB_UNKNOWN")
    assert wire.ask("GET", f"/v2/{name}/blobs/{digest_of(content + b'extra')}").status == 404


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:" + "A" * 64, "md5:" + "a" * 32, "x", "sha256:" + "a" * 65]
)
def test_trap_8_malformed_digest_is_refused(wire: Wire, name: str, digest: str) -> None:
    location = wire.begin(name)
    answers = [
        wire.ask("PUT", f"{location}?digest={digest}", body=b"a"),
        wire.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", body=b"a"),
    ]
    if digest:
        answers += [wire.ask("GET", f"/v2/{name}/{kind}/{digest}") for kind in ("blobs", "referrers")]

    assert {answer.error[:2] for answer in answers} == {(400, "DIGEST_INVALID")}
    assert wire.ask("PUT", location, body=b"a").error[:2] == (400, "DIGEST_INVALID")
    assert wire.ask("GET", location).status == 204


def test_trap_8_references_that_cannot_be(wire: Wire, name: str) -> None:
    image = wire.image(name)

    assert wire.put_manifest(name, "sha256:baddigeststring", image).error[:2] == (400, "DIGEST_INVALID")
    assert wire.put_manifest(name, digest_of(b"other"), image).error == (400, "DIGEST_INVALID", MISMATCH)
    assert wire.put_manifest(name, ".INVALID_MANIFEST_NAME", image).error[:2] == (400, "TAG_INVALID")
    for reference in (
        ".INVALID_MANIFEST_NAME",
        "sha256:baddigeststring",
        digest_of(image),
        "a" * 129,
        "a%00",
    ):
        for method in ("GET", "DELETE"):
            answer = wire.ask(method, f"/v2/{name}/manifests/{reference}")
            assert answer.status in ((404, 400) if method == "DELETE" else (404,)), (method, reference)


def test_trap_10_missing_repository_gets_a_whole_404(wire: Wire, account: str) -> None:
    body = bytes(2 << 20)
    for method, target in [
        ("POST", "/v2/absent/x/blobs/uploads/"),
        ("POST", f"/v2/absent/x/blobs/uploads/?digest={digest_of(body)}"),
        ("PATCH", "/v2/absent/x/blobs/uploads/some-upload"),
        ("PUT", f"/v2/absent/x/blobs/uploads/some-upload?digest={ZERO}"),
        ("PUT", "/v2/absent/x/manifests/latest"),
        ("GET", "/v2/absent/x/manifests/latest"),
        ("GET", f"/v2/absent/x/blobs/{ZERO}"),
        ("GET", f"/v2/absent/x/referrers/{ZERO}"),
        ("GET", "/v2/absent/x/tags/list"),
        ("DELETE", "/v2/absent/x/manifests/latest"),
        ("DELETE", f"/v2/absent/x/blobs/{ZERO}"),
    ]:
        answer = wire.ask(method, target, body=body if method in ("POST", "PATCH", "PUT") else None)

        assert answer.error == not_found("absent/x", account)


def test_trap_11_denied_caller_is_told_so_and_absence_is_not_revealed(
    foreign: Wire, wire: Wire, name: str, account: str
) -> None:
    wire.push_image(name, "there")
    for target, action in [
        (f"/v2/{name}/manifests/there", "BatchGetImage"),
        (f"/v2/{name}/manifests/absent", "BatchGetImage"),
        ("/v2/no/such/manifests/there", "BatchGetImage"),
        (f"/v2/{name}/tags/list", "ListImages"),
        (f"/v2/{name}/blobs/{ZERO}", "GetDownloadUrlForLayer"),
    ]:
        repository = target.removeprefix("/v2/").rsplit("/", 2)[0]
        denied = foreign.ask("GET", target)
        status, code, message = denied.error
        assert (status, code) == (403, "DENIED")
        assert message.startswith("User: arn:aws:iam::")
        arn = f"arn:aws:ecr:us-east-1:{account}:repository/{repository}"
        assert f"is not authorized to perform: ecr:{action} on resource: {arn} " in message
        head = foreign.ask("HEAD", target)
        assert (head.status, head.body) == (403, b"")
        assert head.header("x-moorage-error")
    for method in ("PUT", "DELETE"):
        assert foreign.ask(method, f"/v2/{name}/manifests/there").error[:2] == (403, "DENIED")
    assert foreign.ask("POST", f"/v2/{name}/blobs/uploads/").error[:2] == (403, "DENIED")
    assert foreign.ask("GET", "/v2/").status == 200


def test_trap_12_immutable_tag_is_refused_with_the_text_that_tools_know(
    wire: Wire, repository: Repository
) -> None:
    name = repository("wire/immutable", imageTagMutability="IMMUTABLE")
    first = wire.image(name, annotations={"n": "1"})
    second = wire.image(name, annotations={"n": "2"})
    assert wire.put_manifest(name, "t", first).status == 201

    text = (
        f"The image tag 't' already exists in the '{name}' repository and cannot be overwritten because the "
    )
    refusal = (400, "TAG_INVALID", text + "repository is immutable.")
    assert wire.put_manifest(name, "t", second).error == refusal
    assert wire.put_manifest(name, f"{digest_of(second)}?tag=free&tag=t", second).error[:2] == (
        400,
        "TAG_INVALID",
    )
    assert wire.ask("HEAD", f"/v2/{name}/manifests/free").status == 404
    assert wire.put_manifest(name, "t", first).status == 201
    assert wire.ask("GET", f"/v2/{name}/manifests/t").body == first


def test_trap_12_strict_server_refuses_the_same_image_too(lenient: Wire) -> None:
    image = lenient.image("immutable")

    assert lenient.put_manifest("immutable", "same", image).status == 201
    assert lenient.put_manifest("immutable", "same", image).error[:2] == (400, "TAG_INVALID")


def test_trap_12_exclusion_filter_is_honoured(wire: Wire, repository: Repository) -> None:
    filters = [{"filterType": "WILDCARD", "filter": "dev-*"}]
    name = repository(
        "wire/excluded",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
    )
    for tag, status in [("dev-1", 201), ("prod", 400)]:
        assert wire.put_manifest(name, tag, wire.image(name, annotations={"n": "1"})).status == 201
        assert wire.put_manifest(name, tag, wire.image(name, annotations={"n": "2"})).status == status


def test_trap_12_of_twenty_pushes_at_once_exactly_one_wins(wire: Wire, repository: Repository) -> None:
    name = repository("wire/race", imageTagMutability="IMMUTABLE")
    images = [wire.image(name, annotations={"n": str(number)}) for number in range(20)]

    answers = at_once(20, lambda n: other(wire).put_manifest(name, "t", images[n]))

    statuses = [answer.status for answer in answers]
    assert sorted(statuses) == [201] + [400] * 19
    assert {answer.error[1] for answer in answers if answer.status == 400} == {"TAG_INVALID"}
    assert wire.ask("GET", f"/v2/{name}/manifests/t").body == images[statuses.index(201)]


def test_trap_13_manifest_bytes_survive(wire: Wire, name: str) -> None:
    wire.push_blob(name, b"{}")
    config = json.dumps(descriptor(b"{}", CONFIG_TYPE))
    spaced = '\n{ "schemaVersion" :2,\t"layers" : [ ], "x\\u00e9":"\\ud83d\\ude00 é","y":1.0e2, "x": [null],"config":'
    content = f"{spaced}{config}}}\r\n ".encode()
    assert wire.put_manifest(name, "t", content, f"{OCI_MANIFEST}; charset=utf-8").status == 201

    for reference in ("t", digest_of(content)):
        for headers in ({}, {"Accept-Encoding": "gzip"}, {"Accept": "text/html"}, {"Range": "bytes=0-1"}):
            got = wire.ask("GET", f"/v2/{name}/manifests/{reference}", headers)
            assert (got.status, got.body, got.header("content-type")) == (200, content, OCI_MANIFEST)
            assert got.header("content-length") == str(len(content))
            assert got.header("content-encoding") is None
    by_digest = wire.ask("GET", f"/v2/{name}/manifests/{digest_of(content)}")
    by_tag = wire.ask("GET", f"/v2/{name}/manifests/t")
    assert by_digest.header("cache-control") == "max-age=31536000, immutable, no-transform, private"
    assert by_tag.header("cache-control") == "no-transform, private"


def test_trap_13_largest_manifest_is_taken_and_one_byte_more_refused(wire: Wire, name: str) -> None:
    largest = wire.image(name, annotations={"a": ""})
    largest = largest.replace(b'"a": ""', b'"a": "%b"' % (b"x" * (4_194_304 - len(largest))))
    assert len(largest) == 4_194_304
    assert wire.put_manifest(name, "largest", largest).status == 201
    assert wire.ask("GET", f"/v2/{name}/manifests/largest").body == largest

    refused = wire.put_manifest(name, "larger", largest + b" ")

    text = (
        "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'must be at most 4194304 bytes'"
    )
    assert refused.error == (413, "MANIFEST_INVALID", text)
    chunks = b"400000\r\n" + largest + b"\r\n1\r\n \r\n0\r\n\r\n"
    with wire.connect() as connection:
        head = wire.head("PUT", f"/v2/{name}/manifests/larger", {"Transfer-Encoding": "chunked"})
        connection.send(head + chunks)
        assert connection.answer("PUT").error == (413, "MANIFEST_INVALID", text)


def test_trap_14_head_equals_get(wire: Wire, name: str) -> None:
    digest = wire.push_image(name, "t")
    blob = wire.push_blob(name, b"some layer")
    targets = [f"manifests/{reference}" for reference in ("t", digest, "absent", ZERO)]
    targets += [f"blobs/{reference}" for reference in (blob, digest_of(b"{}"), ZERO, "sha256:bad")]
    targets += [f"referrers/{digest}", "referrers/bad", "tags/list", "tags/list?n=0", "tags/list?n=x"]
    for target in [f"/v2/{name}/{part}" for part in targets] + [
        "/v2/",
        "/v2/_catalog?n=1",
        "/v2/absent",
        "/x",
    ]:
        for headers in ({}, {"If-None-Match": f'"{digest}", "{blob}"'}):
            head, got = wire.ask("HEAD", target, headers), wire.ask("GET", target, headers)

            assert (head.status, head.steady, head.body) == (got.status, got.steady, b""), target


def test_trap_17_mounts(wire: Wire, name: str, repository: Repository) -> None:
    target = repository("wire/mount-target")
    digest = wire.push_blob(name, b"mounted from " + name.encode())
    for spelled in (digest, quote(digest, safe="")):
        for source in (
            f"&from={name}",
            f"&from={quote(name, safe='')}",
            f"&origin=r.example&from={name}",
            "",
        ):
            answer = wire.ask("POST", f"/v2/{target}/blobs/uploads/?mount={spelled}{source}")

            assert answer.status == 201
            assert answer.header("location") == f"/v2/{target}/blobs/{digest}"
            assert answer.header("docker-content-digest") == digest
            assert answer.header("content-length") == "0"
    assert wire.ask("GET", f"/v2/{target}/blobs/{digest}").status == 200


@pytest.mark.parametrize(
    "query",
    [
        f"mount={ZERO}",
        f"mount={ZERO}&from=absent",
        "mount=bad&from=a",
        "mount=&from=",
        f"mount={ZERO}&from=%00",
    ],
)
def test_trap_17_mount_in_doubt_is_a_session(wire: Wire, name: str, query: str) -> None:
    answer = wire.ask("POST", f"/v2/{name}/blobs/uploads/?{query}")

    location = str(answer.header("location"))
    assert (answer.status, answer.header("range")) == (202, "0-0")
    assert location.startswith(f"/v2/{name}/blobs/uploads/")
    assert wire.ask("DELETE", location).status == 204
    assert wire.ask("DELETE", location).error[:2] == (404, "BLOB_UPLOAD_UNKNOWN")


def test_trap_17_source_without_the_layer_is_a_session(wire: Wire, name: str, repository: Repository) -> None:
    empty = repository("wire/mount-empty")
    digest = wire.push_blob(name, b"held elsewhere by " + name.encode())

    assert wire.ask("POST", f"/v2/{empty}/blobs/uploads/?mount={digest}&from={empty}").status == 202


def test_trap_18_tags_are_paged_in_byte_order(wire: Wire, name: str) -> None:
    stems = ["a", "A", "z", "Z", "_", "0", "a.b", "a-b", "a_b", "a.B"]
    tags = [f"{stems[n % 10]}{n // 10}" for n in range(2_500)]
    image = wire.image(name)
    for start in range(0, 2_500, 100):
        query = "&".join(f"tag={tag}" for tag in tags[start : start + 100])
        assert wire.put_manifest(name, f"{digest_of(image)}?{query}", image).status == 201
    ordered = sorted(tags, key=str.encode)
    base = f"/v2/{name}/tags/list"

    first = wire.ask("GET", base)
    assert first.json == {"name": name, "tags": ordered[:1_000]}
    assert first.header("content-type") == "application/json"
    assert first.header("link") == f'<{base}?n=1000&last={ordered[999]}>; rel="next"'
    assert walk(wire, base) == ordered
    assert walk(wire, f"{base}?n=777") == ordered
    clamped = wire.ask("GET", f"{base}?n=5000")
    assert (len(clamped.json["tags"]), clamped.header("link") is not None) == (1_000, True)
    assert len(wire.ask("GET", f"{base}?n={'9' * 5_000}").json["tags"]) == 1_000
    exact = wire.ask("GET", f"{base}?n=500&last={ordered[1_999]}")
    assert (exact.json["tags"], exact.header("link")) == (ordered[2_000:], None)
    nothing = wire.ask("GET", f"{base}?n=0")
    assert (nothing.json["tags"], nothing.header("link")) == ([], None)
    absent = [tag for tag in ordered if tag.encode() > b"a.a"][:3]
    assert wire.ask("GET", f"{base}?n=3&last=a.a").json["tags"] == absent
    page = wire.ask("GET", f"{base}?n=10")
    assert wire.ask("DELETE", f"/v2/{name}/manifests/{ordered[9]}").status == 202
    assert wire.ask("GET", str(page.header("link")).split(">")[0][1:]).json["tags"] == ordered[10:20]


@pytest.mark.parametrize("n", ["-1", "x", "1.0", "", "%D9%A1", "0x1", "1e3"])
def test_trap_18_page_size_that_is_no_number_is_refused(wire: Wire, name: str, n: str) -> None:
    for path in (f"/v2/{name}/tags/list", "/v2/_catalog"):
        assert wire.ask("GET", f"{path}?n={n}").error[:2] == (400, "PAGINATION_NUMBER_INVALID")


def test_trap_18_empty_repository_lists_nothing(wire: Wire, name: str) -> None:
    assert wire.ask("GET", f"/v2/{name}/tags/list").body == b'{"name":"%b","tags":[]}' % name.encode()


def test_trap_18_more_than_a_hundred_tags_at_once_are_refused(wire: Wire, name: str) -> None:
    image = wire.image(name)
    query = "&".join(f"tag=t{n}" for n in range(101))

    assert wire.put_manifest(name, f"{digest_of(image)}?{query}", image).error[:2] == (414, "TAG_INVALID")
    assert wire.ask("HEAD", f"/v2/{name}/manifests/t0").status == 404


def test_trap_18_catalog_is_paged(wire: Wire, repository: Repository) -> None:
    made = sorted(repository("wire/catalog") for _ in range(5))

    listed = walk(wire, "/v2/_catalog?n=2", "repositories")

    assert set(made) <= set(listed)
    assert listed == sorted(set(listed), key=str.encode)


def test_trap_19_referrers(wire: Wire, name: str) -> None:
    subject = wire.image(name, annotations={"the": "subject"})
    digest = digest_of(subject)
    of = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(subject)}
    old = wire.image(
        name, subject=of, config=descriptor(b"{}", "application/x.config"), annotations={"a": "1"}
    )
    typed = wire.image(name, subject=of, artifactType="application/y+json", annotations={"b": "é", "c": ""})
    listing = index([], subject=of, artifactType="application/z")
    plain = index([], subject=of)
    base = f"/v2/{name}/referrers/{digest}"
    for content, kind in [
        (old, OCI_MANIFEST),
        (typed, OCI_MANIFEST),
        (listing, OCI_INDEX),
        (plain, OCI_INDEX),
    ]:
        put = wire.put_manifest(name, digest_of(content), content, kind)
        assert (put.status, put.header("oci-subject")) == (201, digest)
    assert wire.put_manifest(name, "subject", subject).status == 201

    answer = wire.ask("GET", base)

    assert (answer.status, answer.header("content-type")) == (200, OCI_INDEX)
    assert answer.header("oci-filters-applied") is None
    assert answer.json["schemaVersion"] == 2
    assert answer.json["mediaType"] == OCI_INDEX
    assert answer.json["manifests"] == [
        entry(old, OCI_MANIFEST, artifactType="application/x.config", annotations={"a": "1"}),
        entry(typed, OCI_MANIFEST, artifactType="application/y+json", annotations={"b": "é", "c": ""}),
        entry(listing, OCI_INDEX, artifactType="application/z"),
        entry(plain, OCI_INDEX),
    ]
    filtered = wire.ask("GET", f"{base}?artifactType=application%2Fy%2Bjson")
    assert [found["digest"] for found in filtered.json["manifests"]] == [digest_of(typed)]
    assert filtered.header("oci-filters-applied") == "artifactType"
    assert wire.ask("GET", f"{base}?artifactType=application/none").json["manifests"] == []
    assert wire.ask("DELETE", f"/v2/{name}/manifests/{digest_of(typed)}").status == 202
    assert digest_of(typed) not in wire.ask("GET", base).body.decode()
    assert wire.ask("DELETE", f"/v2/{name}/manifests/{digest}").status == 202
    assert len(wire.ask("GET", base).json["manifests"]) == 3


def test_trap_19_referrers_of_nothing_are_an_empty_index(wire: Wire, name: str) -> None:
    for digest in (ZERO, f"sha512:{'0' * 128}"):
        answer = wire.ask("GET", f"/v2/{name}/referrers/{digest}")

        assert answer.status == 200
        assert answer.header("content-type") == OCI_INDEX
        assert answer.body == b'{"schemaVersion":2,"mediaType":"%b","manifests":[]}' % OCI_INDEX.encode()
    assert wire.ask("GET", f"/v2/{name}/referrers/sha256:bad").error[:2] == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_trap_19_fallback_tag_is_merged_and_never_resolved(wire: Wire, name: str, algorithm: str) -> None:
    subject = wire.image(name, annotations={"of": "old clients"})
    digest = digest_of(subject, algorithm)
    assert wire.put_manifest(name, digest, subject).status == 201
    tag = digest.replace(":", "-")[: len(algorithm) + 65]
    assert wire.ask("GET", f"/v2/{name}/manifests/{tag}").status == 404
    signature = wire.image(name, annotations={"sig": "1"})
    wire.put_manifest(name, digest_of(signature), signature)
    listed = {**entry(signature, OCI_MANIFEST), "artifactType": "application/sig", "annotations": {"k": "v"}}
    assert wire.put_manifest(name, tag, index([listed]), OCI_INDEX).status == 201
    of = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(subject)}
    recorded = wire.image(name, subject=of, artifactType="application/new")
    wire.put_manifest(name, digest_of(recorded), recorded)
    base = f"/v2/{name}/referrers/{digest}"

    assert wire.ask("GET", base).json["manifests"] == [
        entry(recorded, OCI_MANIFEST, artifactType="application/new"),
        listed,
    ]
    assert wire.ask("GET", f"{base}?artifactType=application/sig").json["manifests"] == [listed]


def test_trap_19_a_thousand_and_more_referrers_are_paged(wire: Wire, name: str) -> None:
    wire.push_blob(name, b"{}")
    of = descriptor(b"the subject of many", OCI_MANIFEST)
    contents = [
        manifest(subject=of, artifactType="application/x", annotations={"n": str(n)}) for n in range(1_010)
    ]
    at_once(4, lambda part: [push(other_wire, name, contents[part::4]) for other_wire in [other(wire)]])
    base = f"/v2/{name}/referrers/{of['digest']}?artifactType=application/x"

    first = wire.ask("GET", base)
    link = str(first.header("link"))
    assert len(first.json["manifests"]) == 1_000
    assert link.startswith(f"</v2/{name}/referrers/{of['digest']}?after=")
    assert link.endswith('&artifactType=application%2Fx>; rel="next"')
    second = wire.ask("GET", link.split(">")[0][1:])
    assert (len(second.json["manifests"]), second.header("link")) == (10, None)
    found = {found["digest"] for found in first.json["manifests"] + second.json["manifests"]}
    assert found == set(map(digest_of, contents))


def test_trap_20_delete_semantics(wire: Wire, name: str) -> None:
    layer = b"layer of " + name.encode()
    wire.push_blob(name, layer)
    image = wire.image(name, layers=[descriptor(layer)])
    digest = digest_of(image)
    for tag in ("a", "b", "c"):
        assert wire.put_manifest(name, tag, image).status == 201
    manifests, blob = f"/v2/{name}/manifests", f"/v2/{name}/blobs/{digest_of(layer)}"

    gone = wire.ask("DELETE", f"{manifests}/a")
    assert (gone.status, gone.header("content-length")) == (202, "0")
    assert wire.ask("DELETE", f"{manifests}/a").error == (
        404,
        "MANIFEST_UNKNOWN",
        "Requested image not found",
    )
    assert [wire.ask("GET", f"{manifests}/{ref}").status for ref in ("a", "b", digest)] == [404, 200, 200]
    used = wire.ask("DELETE", blob)
    text = f"The layer with digest '{digest_of(layer)}' is used by an image of the repository; delete the image first"
    assert used.error == (405, "UNSUPPORTED", text)
    assert wire.ask("DELETE", f"{manifests}/{digest}").status == 202
    assert [wire.ask("GET", f"{manifests}/{ref}").status for ref in ("b", "c", digest)] == [404] * 3
    assert wire.ask("DELETE", f"{manifests}/{digest}").error[:2] == (404, "MANIFEST_UNKNOWN")
    assert wire.ask("GET", f"/v2/{name}/tags/list").json["tags"] == []
    assert wire.ask("DELETE", blob).status == 202
    assert wire.ask("GET", blob).error[:2] == (404, "BLOB_UNKNOWN")
    assert wire.ask("DELETE", blob).error[:2] == (404, "BLOB_UNKNOWN")


def test_trap_20_image_without_tags_stays(wire: Wire, name: str) -> None:
    digest = wire.push_image(name, "only")

    assert wire.ask("DELETE", f"/v2/{name}/manifests/only").status == 202
    assert wire.ask("GET", f"/v2/{name}/manifests/{digest}").status == 200


def test_trap_21_missing_references_are_refused_in_amazons_words(wire: Wire, name: str, account: str) -> None:
    absent = digest_of(b"absent layer")
    end = (
        f"required for pushing image into repository with name '{name}' in the registry with id '{account}' "
    )
    end += "do not exist"

    image = wire.put_manifest(name, "t", wire.image(name, layers=[descriptor(b"absent layer")]))
    assert image.error == (400, "MANIFEST_BLOB_UNKNOWN", f"Layers with digests '[{absent}]' {end}")
    children = [descriptor(b"absent layer", OCI_MANIFEST), descriptor(b"another", OCI_MANIFEST)]
    sparse = wire.put_manifest(name, "t", index(children), OCI_INDEX)
    both = f"{absent}, {digest_of(b'another')}"
    assert sparse.error == (400, "MANIFEST_BLOB_UNKNOWN", f"Images with digests '[{both}]' {end}")


def test_trap_21_missing_references_are_taken_where_they_may_be_missing(lenient: Wire) -> None:
    children = [descriptor(b"absent layer", OCI_MANIFEST)]

    assert lenient.put_manifest("sparse", "index", index(children), OCI_INDEX).status == 201
    assert (
        lenient.put_manifest("sparse", "image", manifest(layers=[descriptor(b"absent layer")])).status == 201
    )


def test_trap_21_foreign_layers_and_empty_lists_are_taken(wire: Wire, name: str) -> None:
    foreign = [
        descriptor(
            b"far", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", urls=["https://example.com/"]
        ),
        descriptor(b"away", "application/vnd.oci.image.layer.nondistributable.v1.tar"),
    ]
    image = wire.image(name, layers=foreign)
    assert wire.put_manifest(name, "foreign", image).status == 201
    assert wire.put_manifest(name, "no-layers", wire.image(name, layers=None)).status == 201
    assert wire.put_manifest(name, "no-children", index([]), OCI_INDEX).status == 201
    nested = index([entry(index([]), OCI_INDEX), entry(image, OCI_MANIFEST)])
    assert wire.put_manifest(name, "nested", nested, OCI_INDEX).status == 201
    cache = index([descriptor(b"a layer", "application/vnd.docker.image.rootfs.diff.tar.gzip")])
    assert wire.put_manifest(name, "cache", cache, OCI_INDEX).status == 201


def test_trap_24_hostile_paths_are_refused_in_json(wire: Wire) -> None:
    for path, status in [
        ("/v2/../v2/manifests/a", 400),
        ("/v2/a/../b/manifests/c", 400),
        ("/v2/%2e%2e/%2e%2e/etc/manifests/passwd", 400),
        ("/v2/..%2f..%2fetc/manifests/passwd", 400),
        ("/v2//manifests/a", 404),
        ("/v2//a//manifests/b", 400),
        ("/v2/a//manifests/b", 400),
        ("/v2/A/manifests/b", 400),
        ("/v2/a%00b/manifests/c", 400),
        ("/v2/a%0d%0ab/manifests/c", 400),
        ("/v2/%c3%a9/manifests/c", 400),
        ("/v2/%ff/manifests/c", 400),
        ("/v2/a%zz/manifests/c", 400),
        ("/v2/a/manifests/b/c", 404),
        ("/v2/aa/manifests/", 404),
        ("/v2/aa/blobs/", 404),
        ("/v2/" + "a" * 257 + "/manifests/b", 400),
        ("/v2/a/manifests/b", 400),
        ("/v2/..", 404),
        ("/../v2/", 404),
        ("//v2/", 404),
        ("/v2/aa/tags/", 404),
        ("/v3/", 404),
        ("*", 404),
    ]:
        answer = wire.ask("GET", path)

        assert answer.error[0] == status, path
        assert answer.error[1] in ("NAME_INVALID", "NAME_UNKNOWN", "MANIFEST_UNKNOWN"), path


@pytest.mark.parametrize(
    "text", ["a%0d%0ax-evil:%201", "a%0ax-evil:%201", "%00", "%e2%80%a8", "%f0%9f%98%80"]
)
def test_trap_24_nothing_echoed_becomes_a_header(wire: Wire, name: str, text: str) -> None:
    wire.push_image(name, "t")
    for target in [
        f"/v2/{name}/tags/list?n=1&last={text}",
        f"/v2/{name}/referrers/{ZERO}?artifactType={text}",
        f"/v2/{name}/referrers/{text}",
        f"/v2/{name}/manifests/{text}",
        f"/v2/{name}/blobs/{text}",
        f"/v2/{name}/blobs/uploads/{text}",
        f"/v2/_catalog?last={text}",
        f"/v2/{text}/tags/list",
    ]:
        answer = wire.ask("GET", target)

        assert answer.status in (200, 400, 404), target
        assert answer.header("x-evil") is None
    for query in (f"digest={text}", f"digest-algorithm={text}", f"mount={text}&from={text}"):
        assert wire.ask("POST", f"/v2/{name}/blobs/uploads/?{query}").header("x-evil") is None
    put = wire.put_manifest(name, f"{digest_of(manifest())}?tag={text}", manifest())
    assert put.error[:2] == (400, "TAG_INVALID")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v2/", "GET, HEAD"),
        ("DELETE", "/v2/_catalog", "GET, HEAD"),
        ("PUT", "/v2/{name}/tags/list", "GET, HEAD"),
        ("POST", "/v2/{name}/manifests/a", "DELETE, GET, HEAD, PUT"),
        ("PUT", "/v2/{name}/blobs/a", "DELETE, GET, HEAD"),
        ("GET", "/v2/{name}/blobs/uploads/", "POST"),
        ("HEAD", "/v2/{name}/blobs/uploads", "POST"),
        ("POST", "/v2/{name}/blobs/uploads/a", "DELETE, GET, HEAD, PATCH, PUT"),
        ("TRACE", "/v2/{name}/referrers/a", "GET, HEAD"),
        ("OPTIONS", "/v2/", "GET, HEAD"),
    ],
)
def test_method_that_a_path_does_not_have_gets_405_and_the_list(
    wire: Wire, name: str, method: str, path: str, allowed: str
) -> None:
    answer = wire.ask(method, path.format(name=name))

    assert (answer.status, answer.header("allow")) == (405, allowed)


def test_upload_of_another_repository_or_principal_does_not_exist(
    wire: Wire, name: str, repository: Repository
) -> None:
    elsewhere = wire.begin(name).replace(name, repository("wire/elsewhere"))

    for method in ("GET", "PATCH", "DELETE"):
        assert wire.ask(method, elsewhere).error[:2] == (404, "BLOB_UPLOAD_UNKNOWN")


def test_cancelled_upload_is_gone(wire: Wire, name: str) -> None:
    location = wire.begin(name)
    wire.ask("PATCH", location, body=b"some")

    assert wire.ask("DELETE", location).status == 204
    for method in ("GET", "PATCH", "DELETE"):
        assert wire.ask(method, location).error[:2] == (404, "BLOB_UPLOAD_UNKNOWN")
    put = wire.ask("PUT", f"{location}?digest={digest_of(b'some')}")
    assert put.error[:2] == (404, "BLOB_UPLOAD_UNKNOWN")


def test_upload_begins_without_the_trailing_slash_and_with_stray_separators(wire: Wire, name: str) -> None:
    assert wire.ask("POST", f"/v2/{name}/blobs/uploads").status == 202
    location, digest = wire.begin(name), quote(digest_of(b"a"), safe="")
    assert wire.ask("PUT", f"{location}?&_state=x&digest={digest}&", body=b"a").status == 201


@pytest.mark.parametrize("way", ["post", "post announced", "put", "patch", "chunked"])
def test_empty_blob_is_stored_by_every_way(wire: Wire, repository: Repository, way: str) -> None:
    name = repository("wire/empty")

    assert store(wire, name, EMPTY_DIGEST, b"", way).status == 201

    got = wire.ask("GET", f"/v2/{name}/blobs/{EMPTY_DIGEST}")
    assert (got.status, got.body, got.header("content-length")) == (200, b"", "0")


@pytest.mark.parametrize(
    "inner", ["manifests", "blobs/uploads", "tags/list", "referrers", "a/manifests/b", "blobs"]
)
def test_repository_named_like_a_route_works(wire: Wire, repository: Repository, inner: str) -> None:
    name = repository(f"wire/{inner}")
    digest = wire.push_image(name, "latest")

    assert wire.ask("GET", f"/v2/{name}/manifests/latest").header("docker-content-digest") == digest
    assert wire.ask("GET", f"/v2/{name}/tags/list").json == {"name": name, "tags": ["latest"]}
    assert wire.ask("GET", f"/v2/{name}/blobs/{digest_of(b'{}')}").body == b"{}"
    assert wire.ask("GET", f"/v2/{name}/referrers/{digest}").json["manifests"] == []


def test_malformed_manifests_are_refused(wire: Wire, name: str) -> None:
    for content in (
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"schemaVersion":1}',
        b'{"schemaVersion":2}',
    ):
        answer = wire.put_manifest(name, "t", content, None)

        assert answer.error[:2] == (400, "MANIFEST_INVALID")
        assert answer.error[2].startswith(
            "Invalid parameter at 'ImageManifest' failed to satisfy constraint: '"
        )
    mismatch = wire.put_manifest(name, "t", wire.image(name), OCI_INDEX)
    assert mismatch.error[:2] == (400, "MANIFEST_INVALID")


def test_image_of_more_than_a_thousand_layers_is_taken(wire: Wire, name: str) -> None:
    contents = [b"layer %d" % number for number in range(1_010)]
    at_once(4, lambda part: [push_blobs(other(wire), name, contents[part::4])])
    image = wire.image(name, layers=[descriptor(content) for content in contents])

    assert wire.put_manifest(name, "t", image).status == 201


def test_manifest_of_35_000_layers_is_answered_and_holds_nobody_up(
    server: Server, wire: Wire, name: str
) -> None:
    layers = [{"mediaType": "a", "digest": f"sha256:{n:064x}", "size": 1} for n in range(35_000)]
    image = wire.image(name, layers=layers)
    worked = server.cpu_seconds()

    answer = wire.put_manifest(name, "t", image)

    assert server.cpu_seconds() - worked < 4  # 0.4 s; 6 s where each statement grew with the manifest
    assert answer.error[:2] == (400, "MANIFEST_BLOB_UNKNOWN")


# What the tests above are made of


def store(wire: Wire, name: str, digest: str, content: bytes, way: str) -> Answer:
    """One of the five ways to push a blob; the last answer."""
    if way in ("post", "post announced"):
        more = "&digest-algorithm=sha512" if way == "post announced" else ""
        return wire.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest}{more}", body=content)
    location = wire.begin(name, f"?digest-algorithm={digest.partition(':')[0]}" if way == "patch" else "")
    if way == "put":
        return wire.ask("PUT", f"{location}?digest={digest}", body=content)
    if way == "patch":
        half = len(content) // 2
        wire.ask("PATCH", location, body=content[:half])
        rest = {"Content-Range": f"{half}-{len(content) - 1}"} if content[half:] else {}
        wire.ask("PATCH", location, rest, content[half:])
        return wire.ask("PUT", f"{location}?digest={digest}")
    with wire.connect() as connection:
        connection.send(wire.head("PATCH", location, {"Transfer-Encoding": "chunked"}))
        for start in range(0, len(content), 100_000):
            piece = content[start : start + 100_000]
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
        assert connection.answer("PATCH").status == 202
    return wire.ask("PUT", f"{location}?digest={digest}")


def entry(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


def walk(wire: Wire, target: str | None, member: str = "tags") -> list[str]:
    found: list[str] = []
    while target:
        answer = wire.ask("GET", target)
        found += answer.json[member]
        link = answer.header("link")
        target = link.split(">")[0][1:] if link else None
    return found


def push(wire: Wire, name: str, contents: list[bytes]) -> None:
    for content in contents:
        assert wire.put_manifest(name, digest_of(content), content).status == 201


def push_blobs(wire: Wire, name: str, contents: list[bytes]) -> None:
    for content in contents:
        wire.push_blob(name, content)


def other(wire: Wire) -> Wire:
    """The same caller with a connection of its own."""
    return wire.as_caller(wire.authorization)


def at_once(count: int, do: Any) -> list[Any]:
    """Results of `do(0)`, `do(1)`, … in threads that start together."""
    barrier, results = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        barrier.wait()
        results[number] = do(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
