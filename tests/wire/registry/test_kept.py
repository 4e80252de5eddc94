"""Answers that are kept for the next who asks: never stale, never another caller's."""

from __future__ import annotations

import threading

import pytest

from ...conftest import Repository, Server
from .client import Wire, digest_of, index


def warm(wire: Wire, target: str) -> None:
    for _ in range(3):
        for method in ("GET", "HEAD"):
            assert wire.ask(method, target).status == 200


def test_kept_manifest_is_never_stale_after_a_push_moves_its_tag(wire: Wire, name: str) -> None:
    target = f"/v2/{name}/manifests/t"
    images = [wire.image(name, annotations={"n": str(n)}) for n in range(20)]
    for image in images + images[::-1]:
        assert wire.put_manifest(name, "t", image).status == 201

        for _ in range(3):
            got = wire.ask("GET", target)
            assert (got.body, got.header("docker-content-digest")) == (image, digest_of(image))
            assert wire.ask("HEAD", target).header("docker-content-digest") == digest_of(image)


def test_kept_manifest_is_gone_with_its_tag_and_its_image(wire: Wire, name: str) -> None:
    digest = wire.push_image(name, "t")
    by_tag, by_digest = f"/v2/{name}/manifests/t", f"/v2/{name}/manifests/{digest}"
    warm(wire, by_tag)
    warm(wire, by_digest)

    assert wire.ask("DELETE", by_tag).status == 202
    assert [wire.ask(method, by_tag).status for method in ("GET", "HEAD")] == [404, 404]
    assert wire.ask("GET", by_digest).status == 200
    assert wire.ask("DELETE", by_digest).status == 202
    assert [wire.ask(method, by_digest).status for method in ("GET", "HEAD")] == [404, 404]


def test_kept_answers_are_gone_with_their_repository(wire: Wire, repository: Repository, ecr: object) -> None:
    name = repository("wire/kept-deleted")
    target = f"/v2/{name}/manifests/{wire.push_image(name, 't')}"
    blob = f"/v2/{name}/blobs/{digest_of(b'{}')}"
    warm(wire, target)
    warm(wire, blob)

    ecr.delete_repository(repositoryName=name, force=True)  # type: ignore[attr-defined]
    assert [wire.ask("GET", path).status for path in (target, blob)] == [404, 404]

    ecr.create_repository(repositoryName=name)  # type: ignore[attr-defined]
    assert [wire.ask("HEAD", path).status for path in (target, blob)] == [404, 404]


def test_kept_manifest_is_gone_after_a_delete_through_the_api(wire: Wire, name: str, ecr: object) -> None:
    wire.push_image(name, "t")
    target = f"/v2/{name}/manifests/t"
    warm(wire, target)

    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "t"}])  # type: ignore[attr-defined]

    assert wire.ask("GET", target).status == 404


def test_kept_manifest_follows_a_put_through_the_api(wire: Wire, name: str, ecr: object) -> None:
    wire.push_image(name, "t")
    warm(wire, f"/v2/{name}/manifests/t")
    moved = wire.image(name, annotations={"n": "api"})

    ecr.put_image(repositoryName=name, imageManifest=moved.decode(), imageTag="t")  # type: ignore[attr-defined]

    assert wire.ask("GET", f"/v2/{name}/manifests/t").body == moved


def test_kept_blob_head_is_gone_with_the_blob(wire: Wire, name: str) -> None:
    digest = wire.push_image(name, "t")
    target = f"/v2/{name}/blobs/{digest_of(b'{}')}"
    warm(wire, target)

    assert wire.ask("DELETE", f"/v2/{name}/manifests/{digest}").status == 202
    assert wire.ask("DELETE", target).status == 202
    assert wire.ask("HEAD", target).status == 404


def test_kept_answer_is_not_for_another_account_nor_for_nobody(
    wire: Wire, foreign: Wire, nobody: Wire, name: str
) -> None:
    digest = wire.push_image(name, "t")
    for target in (
        f"/v2/{name}/manifests/t",
        f"/v2/{name}/manifests/{digest}",
        f"/v2/{name}/blobs/{digest_of(b'{}')}",
    ):
        warm(wire, target)
        assert foreign.ask("GET", "/v2/").status == 200

        for method in ("GET", "HEAD"):
            assert foreign.ask(method, target).status == 403
            assert nobody.ask(method, target).status == 401
            assert nobody.as_caller(f"{wire.authorization}x").ask(method, target).status == 401
            assert wire.ask(method, target).status == 200


def test_kept_answer_is_not_for_another_host(wire: Wire, name: str) -> None:
    wire.push_image(name, "t")
    target = f"/v2/{name}/manifests/t"
    warm(wire, target)

    assert wire.ask("GET", target, {"Host": "123456789012.dkr.ecr.us-east-1.amazonaws.com"}).status == 403
    assert wire.ask("GET", target, {"Host": "123456789012.dkr.ecr.eu-west-1.amazonaws.com"}).status == 401


def test_kept_answer_of_a_second_authorization_is_not_given_to_the_first(
    wire: Wire, foreign: Wire, name: str
) -> None:
    wire.push_image(name, "t")
    target = f"/v2/{name}/manifests/t"
    warm(wire, target)
    both = [("Authorization", str(foreign.authorization)), ("Authorization", str(wire.authorization))]

    assert foreign.ask("GET", target, both).status == 403


def test_kept_answer_is_bypassed_by_conditions_and_ranges(wire: Wire, name: str) -> None:
    image = wire.image(name)
    wire.put_manifest(name, "t", image)
    target = f"/v2/{name}/manifests/t"
    warm(wire, target)

    held = wire.ask("GET", target, {"If-None-Match": f'"{digest_of(image)}"'})
    assert (held.status, held.body) == (304, b"")
    assert held.header("etag") == f'"{digest_of(image)}"'
    assert wire.ask("HEAD", target, {"If-None-Match": f'"{digest_of(image)}"'}).status == 304
    assert wire.ask("GET", target, {"If-None-Match": '"other"'}).body == image
    assert wire.ask("GET", target, {"Range": "bytes=0-1"}).body == image
    closing = wire.ask("GET", target, {"Connection": "close"})
    assert (closing.body, closing.header("connection")) == (image, "close")


def test_kept_answer_equals_the_first_one(wire: Wire, name: str) -> None:
    wire.push_image(name, "t")
    for target in (f"/v2/{name}/manifests/t", f"/v2/{name}/blobs/{digest_of(b'{}')}", "/v2/"):
        for method in ("GET", "HEAD"):
            answers = [wire.ask(method, target) for _ in range(3)]

            assert len({(answer.status, answer.steady, answer.body) for answer in answers}) == 1
            assert len({answer.header("x-amzn-requestid") for answer in answers}) == 3


def test_kept_answers_are_pipelined_among_others(wire: Wire, name: str) -> None:
    image = wire.image(name)
    wire.put_manifest(name, "t", image)
    kept, fresh = f"/v2/{name}/manifests/t", f"/v2/{name}/tags/list"
    warm(wire, kept)
    targets = [kept, fresh, kept, kept, fresh, kept]

    with wire.connect() as connection:
        connection.send(b"".join(wire.head("GET", target) for target in targets))
        bodies = [connection.answer().body for _ in targets]

    listed = b'{"name":"%b","tags":["t"]}' % name.encode()
    assert bodies == [image if target == kept else listed for target in targets]


def test_kept_answer_to_http_1_0_closes(wire: Wire, server: Server) -> None:
    warm(wire, "/v2/")
    with wire.connect() as connection:
        connection.send(wire.head("GET", "/v2/").replace(b"HTTP/1.1", b"HTTP/1.0"))

        answer = connection.answer()
        assert (answer.body, answer.header("connection")) == (b"{}", "close")
        assert connection.is_closed()


@pytest.mark.parametrize("readers", [3])
def test_readers_during_pushes_never_see_a_tag_go_back(wire: Wire, name: str, readers: int) -> None:
    images = [index([], annotations={"n": str(n)}) for n in range(60)]
    order = {digest_of(image): n for n, image in enumerate(images)}
    target = f"/v2/{name}/manifests/t"
    kind = "application/vnd.oci.image.index.v1+json"
    assert wire.put_manifest(name, "t", images[0], kind).status == 201
    is_over, seen = threading.Event(), [[] for _ in range(readers)]  # type: list[list[int]]

    def read(numbers: list[int]) -> None:
        own = wire.as_caller(wire.authorization)
        while not is_over.is_set():
            numbers.append(order[str(own.ask("GET", target).header("docker-content-digest"))])
        own.close()

    threads = [threading.Thread(target=read, args=(numbers,)) for numbers in seen]
    for thread in threads:
        thread.start()
    for n, image in enumerate(images):
        assert wire.put_manifest(name, "t", image, kind).status == 201
        assert order[str(wire.ask("GET", target).header("docker-content-digest"))] == n
    is_over.set()
    for thread in threads:
        thread.join()

    assert all(numbers == sorted(numbers) for numbers in seen)
