"""What Linux says about a server process and its children: CPU seconds and memory."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


@dataclass(frozen=True)
class Memory:
    """MiB of a process tree. `resident` is RSS; `memfd` is what memory files hold, mapped or not."""

    resident: float
    memfd: float


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, _text(children).split())
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree, those of ended and awaited children included."""
    return sum(_ticks(process) for process in tree(pid)) / TICKS_PER_SECOND


def memory(pid: int) -> Memory:
    processes = tree(pid)
    return Memory(
        resident=sum(_resident_kib(process) for process in processes) / 1024,
        memfd=sum(_memfd_bytes(pid) for pid in processes) / MIB,
    )


class Watch:
    """Samples the memory of a process tree until the block ends; `peak` holds the greatest of each."""

    def __init__(self, pid: int, every: float = 0.05) -> None:
        self._pid = pid
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.peak = memory(pid)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(self._every):
            seen = memory(self._pid)
            self.peak = Memory(max(self.peak.resident, seen.resident), max(self.peak.memfd, seen.memfd))


def _ticks(pid: int) -> int:
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime


def _resident_kib(pid: int) -> int:
    for line in _text(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def _memfd_bytes(pid: int) -> int:
    sizes = {}
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(descriptor).startswith("/memfd:"):
                status = descriptor.stat()
                sizes[status.st_ino] = status.st_blocks * 512
        except FileNotFoundError:  # Closed since the listing.
            continue
    return sum(sizes.values())


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):  # It ended since the listing.
        return ""
