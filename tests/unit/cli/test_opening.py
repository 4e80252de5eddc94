from __future__ import annotations

import errno

import pytest

from moorage.base.errors.ourselves import Corrupted, StorageFull
from moorage.cli.opening import clear_errors
from moorage.cli.output import Failed
from moorage.config.settings import Settings


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EADDRINUSE, ""), "127.0.0.1:5050 is taken by another program: stop it, or use"),
        (OSError(errno.EADDRNOTAVAIL, ""), "127.0.0.1:5050 is no address of this machine: use"),
        (PermissionError(errno.EACCES, "", "/x"), "not permitted: /x"),
        (PermissionError(errno.EACCES, ""), "not permitted: 127.0.0.1:5050 (ports below 1024 need a privilege)"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/x/y"), "/x/y: Not a directory"),
        (StorageFull(), "the disk of moorage-data is full: make room and start again"),
        (Corrupted(what="domain key 1"), "moorage-data is damaged"),
    ],
)  # fmt: skip
def test_error_that_a_user_can_put_right_becomes_a_line(error: Exception, line: str) -> None:
    with pytest.raises(Failed) as raised, clear_errors(Settings()):
        raise error

    assert str(raised.value).startswith(line)


def test_error_of_our_own_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), clear_errors(Settings()):
        raise ZeroDivisionError
