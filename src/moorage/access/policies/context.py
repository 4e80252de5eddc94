"""Condition keys: how they are written down, and which of them change from request to request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moorage.access.policies.variables import Context

PER_REQUEST = frozenset(
    {
        "aws:calledvia",
        "aws:calledviafirst",
        "aws:calledvialast",
        "aws:currenttime",
        "aws:epochtime",
        "aws:multifactorauthage",
        "aws:referer",
        "aws:requestedregion",
        "aws:securetransport",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourcevpc",
        "aws:sourcevpcarn",
        "aws:sourcevpce",
        "aws:tagkeys",
        "aws:useragent",
        "aws:viaawsservice",
        "aws:vpceaccount",
        "aws:vpceorgid",
        "aws:vpceorgpaths",
        "aws:vpcsourceip",
    }
)
"""Keys that are of the request, not of the caller or the resource. `is_per_request` knows those with a name in them."""

_PER_REQUEST_PREFIXES = ("aws:requesttag/", "kms:encryptioncontext:")


def is_per_request(key: str) -> bool:
    """`key` in lower case. A decision that read no such key holds for the same caller, action and resource."""
    return key in PER_REQUEST or key.startswith(_PER_REQUEST_PREFIXES)


def normalized(keys: Mapping[str, str | Sequence[str]]) -> Context:
    """Keys as anybody spells them, to what `decide` takes."""
    return {key.lower(): value if isinstance(value, str) else tuple(value) for key, value in keys.items()}
