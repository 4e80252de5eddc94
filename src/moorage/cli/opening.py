"""Opening a data directory for a command: what can go wrong there becomes one line."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from moorage.base.errors.ourselves import Corrupted, StorageFull
from moorage.cli.output import Failed
from moorage.cli.profile import Profile, move_endpoint, write_profile
from moorage.config.settings import Settings
from moorage.keys.root import RootKeyRefused
from moorage.server.app import Installation
from moorage.server.tls import CertificatesRefused
from moorage.store.db.lock import DataDirectoryInUse
from moorage.store.db.migrate import SchemaTooNew, SchemaTooOld


@contextmanager
def clear_errors(settings: Settings) -> Iterator[None]:
    """Raise `Failed` for what a user can put right."""
    try:
        yield
    except (DataDirectoryInUse, SchemaTooNew, SchemaTooOld, RootKeyRefused) as error:
        raise Failed(str(error)) from error
    except CertificatesRefused as error:
        raise Failed(str(error)) from error
    except Corrupted as error:
        raise Failed(f"{settings.data} is damaged ({error}): restore it from your backup") from error
    except StorageFull as error:
        raise Failed(f"the disk of {settings.data} is full: make room and start again") from error
    except OSError as error:
        raise Failed(_explained(error, settings)) from error


def record_address(installation: Installation, endpoint: str) -> bool:
    """Write the root credentials of a first start, or the new address of a later one. True at the first."""
    settings = installation.settings
    created = installation.created
    if created is None:
        move_endpoint(settings.credentials_file, endpoint)
        return False
    write_profile(
        settings.credentials_file, Profile(created.id, created.secret, installation.default.region, endpoint)
    )
    return True


def _explained(error: OSError, settings: Settings) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{settings.listen} is taken by another program: stop it, or use another --listen HOST:PORT"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{settings.listen} is no address of this machine: use another --listen HOST:PORT"
    if error.errno in (errno.EACCES, errno.EPERM):
        where = error.filename or f"{settings.listen} (ports below 1024 need a privilege)"
        return f"not permitted: {where}"
    return f"{error.filename or settings.data}: {error.strerror or error}"
