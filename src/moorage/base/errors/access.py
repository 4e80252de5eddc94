"""Who calls, and may they."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class AccessDenied(MoorageError):
    template = "User: {principal} is not authorized to perform: {action} on resource: {resource} {because}"


class MissingAuthenticationToken(MoorageError):
    template = "Request is missing Authentication Token"


class IncompleteSignature(MoorageError):
    pass


class InvalidSignature(MoorageError):
    pass


class UnrecognizedClient(MoorageError):
    template = "The security token included in the request is invalid."


class ExpiredToken(MoorageError):
    template = "The security token included in the request is expired"


class Unauthorized(MoorageError):
    """A registry request without usable credentials: 401 and a challenge."""

    template = "Not Authorized"
    status = 401


class TooManyRequests(MoorageError):
    """Too many failed logins from one address."""

    template = "Rate exceeded"
    status = 429

    @classmethod
    def code(cls) -> str:
        return "ThrottlingException"


class Throttled(MoorageError):
    """More calls of an operation than the account may make in a second: 400 on the API, 429 on `/v2/`.

    The fact `quota` is the operation.
    """

    template = "Rate exceeded"

    @classmethod
    def code(cls) -> str:
        return "ThrottlingException"


class TokenExpired(MoorageError):
    """A registry password that was good once: 403 with the text that tools know."""

    template = "Your authorization token has expired. Reauthenticate and try again."
    status = 403
