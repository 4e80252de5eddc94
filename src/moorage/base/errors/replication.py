"""Replication and its backfills."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class ReplicationPeerFailed(MoorageError):
    """Another installation did not take what was sent to it; nobody who calls meets this."""

    template = "The replication peer {peer} {reason}"


class ReplicationBackfillInProgress(MoorageError):
    template = "A replication backfill to the Region '{region}' is already in progress"


class ReplicationBackfillInvalidStatus(MoorageError):
    template = "The replication backfill with id '{id}' cannot be stopped: its status is {status}"


class ReplicationBackfillNotFound(MoorageError):
    template = (
        "The replication backfill with id '{id}' does not exist in the registry with id '{registry_id}'"
    )
