"""What is wrong with a request, whatever it is about."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class InvalidParameter(MoorageError):
    template = "Invalid parameter at '{at}' failed to satisfy constraint: '{constraint}'"


class Validation(MoorageError):
    """A semantic failure of a newer feature (`ValidationException`)."""


class Serialization(MoorageError):
    """The body is not the JSON that the operation takes."""


class UnknownOperation(MoorageError):
    template = "The operation '{operation}' is not one of {service}"


class UnsupportedOperation(MoorageError):
    template = (
        "The operation {service}:{operation} is known but not built yet; docs/api/missing.md lists what is "
        "missing"
    )


class RequestEntityTooLarge(MoorageError):
    template = "The body is larger than {limit} bytes"
    status = 413
