"""What fails on our side."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class KmsFailure(MoorageError):
    """A key cannot be used; `kmsError` is the KMS code (`DisabledException` and the like)."""

    members = ("kmsError",)

    @classmethod
    def code(cls) -> str:
        return "KmsException"


class StorageFull(MoorageError):
    template = "There is no space left to store this; free some and try again"
    status = 507


class Corrupted(MoorageError):
    """What is stored fails authentication: it is never served, the connection breaks."""

    template = "The stored data of '{what}' failed authentication"
    status = 500


class Server(MoorageError):
    template = "An internal error occurred; the server's log has it under the request id"
    status = 500
