"""Replication and its backfills."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class ReplicationBackfillInProgress(MoorageError):
    template = "A replication backfill to the Region '{region}' is already in progress"


class ReplicationBackfillInvalidStatus(MoorageError):
    template = "The replication backfill with id '{id}' cannot be stopped: its status is {status}"


class ReplicationBackfillNotFound(MoorageError):
    template = (
        "The replication backfill with id '{id}' does not exist in the registry with id '{registry_id}'"
    )
