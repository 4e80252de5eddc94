from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from moorage.base.errors.ourselves import Corrupted
from moorage.keys.opened import Lease, OpenedBlobs

PAGE = os.sysconf("SC_PAGE_SIZE")


class Plain:
    def __init__(self, content: bytes, gate: Event | None = None) -> None:
        self._content, self._gate = content, gate
        self.is_closed = False

    def read_into(self, buffer: memoryview, offset: int) -> int:
        if self._gate is not None:
            self._gate.wait()
        piece = self._content[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self.is_closed = True


def test_the_first_request_opens_nothing_the_second_within_the_window_does() -> None:
    opened = OpenedBlobs(10 * PAGE, 10 * PAGE)

    assert ask(opened, b"a") is None
    opened.wait_filled()
    assert (ask(opened, b"a"), opened.used) == (None, PAGE)
    opened.wait_filled()
    lease = ask(opened, b"a")

    assert lease is not None
    assert os.pread(lease.descriptor, 100, 0) == b"a"
    assert lease.size == 1


def test_a_second_request_after_the_window_is_a_first() -> None:
    now = 0.0
    opened = OpenedBlobs(10 * PAGE, 10 * PAGE, window=60, monotonic=lambda: now)
    ask(opened, b"a")

    now = 60.5
    ask(opened, b"a")
    opened.wait_filled()

    assert opened.used == 0


def test_a_blob_is_filled_once_however_many_ask() -> None:
    opened, gate, sources = OpenedBlobs(1 << 20, 1 << 20), Event(), list[Plain]()

    def source() -> Plain:
        sources.append(Plain(b"x" * 5_000, gate))
        return sources[-1]

    leases = [opened.get(b"x", 5_000, source) for _ in range(50)]
    gate.set()
    opened.wait_filled()

    assert leases == [None] * 50
    assert len(sources) == 1
    assert sources[0].is_closed
    assert opened.used == 2 * PAGE


def test_what_was_used_longest_ago_makes_room() -> None:
    opened = OpenedBlobs(2 * PAGE, 2 * PAGE)
    for content in (b"a", b"b"):
        hold(opened, content).close()
    hold(opened, b"a").close()

    hold(opened, b"c").close()

    assert [is_open(opened, content) for content in (b"a", b"b", b"c")] == [True, False, True]
    assert opened.used == 2 * PAGE


def test_what_somebody_reads_is_not_evicted_and_the_cap_holds() -> None:
    opened = OpenedBlobs(2 * PAGE, 2 * PAGE)
    leases = [hold(opened, content) for content in (b"a", b"b")]

    for _ in range(3):
        assert ask(opened, b"c") is None
        opened.wait_filled()

    assert opened.used == 2 * PAGE
    assert [os.pread(lease.descriptor, 1, 0) for lease in leases] == [b"a", b"b"]


def test_too_large_and_empty_blobs_are_left_alone() -> None:
    opened = OpenedBlobs(10 * PAGE, 2 * PAGE)

    for content in (b"", bytes(2 * PAGE + 1)):
        for _ in range(3):
            assert ask(opened, content) is None
            opened.wait_filled()

    assert opened.used == 0


def test_a_forgotten_blob_stays_readable_under_its_lease_and_counted() -> None:
    opened = OpenedBlobs(10 * PAGE, 10 * PAGE)
    lease = hold(opened, b"a")

    opened.forget(b"a")

    assert not is_open(opened, b"a")
    assert os.pread(lease.descriptor, 1, 0) == b"a"
    assert opened.used == PAGE
    lease.close()
    lease.close()
    assert opened.used == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(lease.descriptor)


def test_a_blob_forgotten_while_it_is_filled_does_not_appear() -> None:
    opened, gate = OpenedBlobs(1 << 20, 1 << 20), Event()
    for _ in range(2):
        opened.get(b"x", 600_000, lambda: Plain(bytes(600_000), gate))

    opened.forget(b"x")
    gate.set()
    opened.wait_filled()

    assert not is_open(opened, b"x")
    assert opened.used == 0


@pytest.mark.parametrize("error", [Corrupted(what="x"), FileNotFoundError()])
def test_a_source_that_fails_opens_nothing_and_costs_nothing(error: Exception) -> None:
    opened = OpenedBlobs(10 * PAGE, 10 * PAGE)

    for _ in range(3):
        opened.get(b"x", 5, raising(error))
        opened.wait_filled()

    assert not is_open(opened, b"x")
    assert opened.used == 0


def test_nobody_can_change_an_opened_blob() -> None:
    opened = OpenedBlobs(10 * PAGE, 10 * PAGE)
    lease = hold(opened, b"a")

    with pytest.raises(PermissionError):
        os.pwrite(lease.descriptor, b"b", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(lease.descriptor, 0)


def test_close_all_frees_what_is_not_leased_and_opens_no_more() -> None:
    opened = OpenedBlobs(10 * PAGE, 10 * PAGE)
    lease = hold(opened, b"a")
    hold(opened, b"b").close()

    opened.close_all()

    assert opened.used == PAGE
    assert opened.get(b"a", 1, lambda: Plain(b"a")) is None
    assert opened.get(b"a", 1, lambda: Plain(b"a")) is None
    lease.close()
    assert opened.used == 0


def test_threads_that_ask_lease_and_forget_leave_the_account_exact() -> None:
    opened, start = OpenedBlobs(6 * PAGE, 2 * PAGE), Barrier(8)

    def work(seed: int) -> None:
        start.wait()
        for step in range(400):
            content = bytes([(seed * 7 + step * 3) % 11]) * (1 + (step % 2) * PAGE)
            lease = ask(opened, content)
            if lease is not None:
                assert os.pread(lease.descriptor, 2 * PAGE, 0) == content
                assert opened.used <= 6 * PAGE
                lease.close()
            if step % 13 == 0:
                opened.forget(content)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    opened.close_all()

    assert opened.used == 0


def ask(opened: OpenedBlobs, content: bytes) -> Lease | None:
    return opened.get(content, len(content), lambda: Plain(content))


def hold(opened: OpenedBlobs, content: bytes) -> Lease:
    for _ in range(2):
        lease = ask(opened, content)
        if lease is not None:
            return lease
        opened.wait_filled()
    lease = ask(opened, content)
    assert lease is not None
    return lease


def is_open(opened: OpenedBlobs, blob: bytes) -> bool:
    lease = opened.get(blob, 0, raising(AssertionError()))
    if lease is not None:
        lease.close()
    return lease is not None


def raising(error: Exception) -> Callable[[], Plain]:
    def source() -> Plain:
        raise error

    return source
