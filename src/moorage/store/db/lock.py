"""One process on one data directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path


class DataDirectoryInUse(Exception):
    pass


def lock_data_directory(directory: Path) -> Callable[[], None]:
    """Lock it until the function returned is called or the process ends.

    Raise `DataDirectoryInUse` if another has it: caches and open uploads live in one process, and a second
    one on the same files would not see them.
    """
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise DataDirectoryInUse(
            f"{directory} is in use by another process (pid {holder or 'unknown'}): "
            "stop it, or use another --data"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    return lambda: os.close(descriptor)
