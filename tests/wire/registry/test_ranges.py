"""Ranges of blobs, single and many: lazy pulling depends on each byte of these answers."""

from __future__ import annotations

import re

import pytest

from ...conftest import Repository
from .client import EMPTY_DIGEST, Answer, Wire, digest_of

FRAME = 65_536
SIZE = 3 * FRAME + 7
CONTENT = b"".join(n.to_bytes(4, "big") for n in range(SIZE // 4 + 1))[:SIZE]
LARGE = CONTENT * 20  # beyond what is sent in one piece


@pytest.fixture(scope="module")
def name(repository: Repository) -> str:
    return repository("wire/ranges")


@pytest.fixture(scope="module")
def blob(session_wire: Wire, name: str) -> str:
    return f"/v2/{name}/blobs/{session_wire.push_blob(name, CONTENT)}"


def ranged(wire: Wire, target: str, *spans: str) -> Answer:
    return wire.ask("GET", target, {"Range": "bytes=" + ",".join(spans)})


def parts_of(answer: Answer, size: int) -> list[tuple[int, int, bytes]]:
    """First byte, last byte and content of each part; checks the framing to the byte."""
    content_type = str(answer.header("content-type"))
    assert content_type.startswith("multipart/byteranges; boundary=")
    boundary = content_type.partition("=")[2].encode()
    assert answer.header("content-range") is None
    opening, *parts, closing = answer.body.split(b"\r\n--" + boundary)
    assert (opening, closing) == (b"", b"--\r\n")
    found = []
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        lines = [line.decode() for line in head.split(b"\r\n")]
        assert lines[:2] == ["", "content-type: application/octet-stream"]
        match = re.fullmatch(rf"content-range: bytes (\d+)-(\d+)/{size}", lines[2])
        assert match
        assert len(content) == int(match[2]) - int(match[1]) + 1
        found.append((int(match[1]), int(match[2]), content))
    return found


def test_trap_15_the_six_cases(wire: Wire, name: str) -> None:
    content = CONTENT[:2_048]
    target = f"/v2/{name}/blobs/{wire.push_blob(name, content)}"
    for sent, first, last in [
        ("500-1499", 500, 1_499),
        ("500-", 500, 2_047),
        ("-500", 1_548, 2_047),
        ("2000-5000", 2_000, 2_047),
        ("0-0", 0, 0),
        ("0-", 0, 2_047),
        ("-9999", 0, 2_047),
        ("2047-2047", 2_047, 2_047),
        (" 1 - 2 ".replace(" - ", "-"), 1, 2),
        ("0-99999999999999999", 0, 2_047),
    ]:
        answer = ranged(wire, target, sent)

        assert (answer.status, answer.body) == (206, content[first : last + 1]), sent
        assert answer.header("content-range") == f"bytes {first}-{last}/2048"
        assert answer.header("content-length") == str(last - first + 1)
        assert answer.header("content-type") == "application/octet-stream"
        assert answer.header("accept-ranges") == "bytes"
    for sent in ("500-0", "5000-10000", "2048-", "2048-2048", "-0", "99999999999999999-"):
        refused = ranged(wire, target, sent)

        assert refused.error[:2] == (416, "BLOB_UNKNOWN"), sent
        assert refused.header("content-range") == "bytes */2048"


@pytest.mark.parametrize(
    "header", ["items=0-1", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=0-1,x"]
)
def test_trap_15_range_that_is_none_gets_the_whole_blob(wire: Wire, blob: str, header: str) -> None:
    answer = wire.ask("GET", blob, {"Range": header})

    assert (answer.status, answer.body, answer.header("content-range")) == (200, CONTENT, None)


@pytest.mark.parametrize("border", [FRAME, 2 * FRAME, 3 * FRAME])
def test_trap_15_around_the_borders_of_frames(wire: Wire, blob: str, border: int) -> None:
    for first in (border - 2, border - 1, border, border + 1):
        for length in (1, 2, 3, FRAME - 1, FRAME, FRAME + 1):
            last = first + length - 1
            answer = ranged(wire, blob, f"{first}-{last}")
            assert (answer.status, answer.body) == (206, CONTENT[first : last + 1])
        assert ranged(wire, blob, f"-{SIZE - first}").body == CONTENT[first:]


def test_trap_15_large_blob_is_cut_right(wire: Wire, name: str) -> None:
    target = f"/v2/{name}/blobs/{wire.push_blob(name, LARGE)}"
    for first, last in [(0, len(LARGE) - 1), (1, len(LARGE) - 1), (524_287, 1_048_577), (524_288, 2_000_000)]:
        for _ in range(3):  # the later ones may come from memory
            assert ranged(wire, target, f"{first}-{last}").body == LARGE[first : last + 1]


def test_trap_15_tiny_and_empty_blobs(wire: Wire, name: str) -> None:
    tiny, empty = (f"/v2/{name}/blobs/{wire.push_blob(name, content)}" for content in (b"x", b""))

    assert ranged(wire, tiny, "0-1").header("content-range") == "bytes 0-0/1"
    assert empty.endswith(EMPTY_DIGEST)
    for sent in ("0-0", "0-", "-1", "-0", "5-6"):
        answer = ranged(wire, empty, sent)
        assert (answer.status, answer.header("content-range")) == (416, "bytes */0")


def test_trap_15_if_range(wire: Wire, blob: str) -> None:
    digest = digest_of(CONTENT)
    for condition, status in [
        (f'"{digest}"', 206),
        ('"sha256:other"', 200),
        ("Tue, 01 Jan 2030 00:00:00 GMT", 200),
    ]:
        answer = wire.ask("GET", blob, {"Range": "bytes=0-1", "If-Range": condition})
        assert answer.status == status


@pytest.mark.parametrize("sent", ['"{digest}"', 'W/"{digest}"', '"a", "{digest}"'])
def test_blob_that_the_client_has_is_not_sent(wire: Wire, blob: str, sent: str) -> None:
    digest = digest_of(CONTENT)

    answer = wire.ask("GET", blob, {"If-None-Match": sent.format(digest=digest), "Range": "bytes=0-1"})

    assert (answer.status, answer.body) == (304, b"")
    assert answer.header("etag") == f'"{digest}"'
    assert answer.header("docker-content-digest") == digest
    assert wire.ask("GET", blob, {"If-None-Match": '"other"'}).status == 200


def test_accept_encoding_never_changes_a_blob(wire: Wire, blob: str) -> None:
    answer = wire.ask("GET", blob, {"Accept-Encoding": "gzip, br, zstd"})

    assert (answer.body, answer.header("content-encoding")) == (CONTENT, None)


def test_trap_16_three_ranges_in_the_order_asked(wire: Wire, blob: str) -> None:
    spans = [(FRAME - 1, FRAME), (0, 9), (SIZE - 3, SIZE - 1)]
    with wire.connect() as connection:
        for _ in range(2):  # the connection lives on
            header = ",".join(f"{first}-{last}" for first, last in spans)
            connection.send(wire.head("GET", blob, {"Range": f"bytes={header}"}))
            answer = connection.answer()

            assert answer.status == 206
            assert parts_of(answer, SIZE) == [
                (first, last, CONTENT[first : last + 1]) for first, last in spans
            ]


def test_trap_16_parts_of_a_large_blob(wire: Wire, name: str) -> None:
    target = f"/v2/{name}/blobs/{wire.push_blob(name, LARGE)}"
    spans = [(0, 700_000), (1_000_001, 2_500_000), (699_999, 699_999)]

    answer = ranged(wire, target, *(f"{first}-{last}" for first, last in spans))

    assert parts_of(answer, len(LARGE)) == [(first, last, LARGE[first : last + 1]) for first, last in spans]


def test_trap_16_a_thousand_and_24_parts(wire: Wire, blob: str) -> None:
    spans = [(100_000 + n * 90, 100_000 + n * 90 + n % 80) for n in range(1_024)]
    header = ", ".join(f"{first:09}-{last:09}" for first, last in spans)
    assert len(header) > 20_000

    answer = wire.ask("GET", blob, {"Range": f"bytes={header}"})

    assert answer.status == 206
    expected = [(first, last, CONTENT[first : last + 1]) for first, last in spans if first < SIZE]
    assert parts_of(answer, SIZE) == [
        (first, min(last, SIZE - 1), content) for first, last, content in expected
    ]


@pytest.mark.parametrize("count", [1_025, 5_000])
def test_trap_16_more_parts_are_refused_with_400(wire: Wire, blob: str, count: int) -> None:
    answer = ranged(wire, blob, *(f"{n}-{n}" for n in range(count)))

    assert answer.error == (400, "UNSUPPORTED", "At most 1024 ranges can be asked for at once")


def test_trap_16_amplification_is_refused_with_400(wire: Wire, blob: str) -> None:
    for spans in (["0-"] * 1_000, [f"0-{SIZE - 1}"] * 3, ["0-", "1-", "2-"]):
        assert ranged(wire, blob, *spans).error == (
            400,
            "UNSUPPORTED",
            "The ranges overlap too much; ask for fewer",
        )
    assert len(parts_of(ranged(wire, blob, "0-", "0-"), SIZE)) == 2


def test_trap_16_one_satisfiable_range_among_many_is_a_single_one(wire: Wire, blob: str) -> None:
    answer = ranged(wire, blob, "9999999-", "5-6", "8888888-9999999")

    assert (answer.status, answer.body) == (206, CONTENT[5:7])
    assert answer.header("content-range") == f"bytes 5-6/{SIZE}"
    none = ranged(wire, blob, "9999999-", "8888888-9999999")
    assert (none.status, none.header("content-range")) == (416, f"bytes */{SIZE}")
