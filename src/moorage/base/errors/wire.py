"""The registry wire (distribution-spec)."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class NameInvalid(MoorageError):
    template = (
        "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression "
        "'[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*''"
    )


class TagInvalid(MoorageError):
    template = (
        "Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular expression "
        "'{pattern}''"
    )


class PageSizeInvalid(MoorageError):
    template = "Invalid parameter at 'n' failed to satisfy constraint: 'must be a number of at least 0'"


class TooManyTagParameters(MoorageError):
    template = "At most {limit} tags can be given with one manifest"
    status = 414


class RangeNotSatisfiable(MoorageError):
    """`size` is the length of what was asked for; the answer carries `Content-Range: bytes */size`."""

    template = "The range lies outside of the {size} bytes of the blob"
    status = 416


class BadRequest(MoorageError):
    """The HTTP request itself is malformed; `reason` says how."""

    template = "{reason}"


class MethodNotAllowed(MoorageError):
    """`allowed` lists the methods of the path, as the `Allow` header wants them."""

    template = "The method {method} is not supported here; use one of {allowed}"
    status = 405


class PathUnknown(MoorageError):
    template = "There is nothing at this path"
    status = 404
