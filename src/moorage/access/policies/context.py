"""Condition keys: how they are written down, and which of them outlast a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moorage.access.policies.variables import Context

_LASTING = frozenset(
    {
        "aws:federatedprovider",
        "aws:multifactorauthpresent",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principaltype",
        "aws:resourceaccount",
        "aws:resourceorgid",
        "aws:resourceorgpaths",
        "aws:sourceidentity",
        "aws:tokenissuetime",
        "aws:userid",
        "aws:username",
    }
)
_LASTING_PREFIXES = ("aws:principaltag/", "aws:resourcetag/", "ecr:resourcetag/", "ecr-public:resourcetag/")


def is_lasting(key: str) -> bool:
    """Whether the key, in lower case, is of the caller, their credentials or the resource, and not of the request.

    A decision whose policies read no other key is the same for each request of that caller for that action and
    resource, until policies or tags change. A key that nobody has listed is the request's.
    """
    return key in _LASTING or key.startswith(_LASTING_PREFIXES)


def normalized(keys: Mapping[str, str | Sequence[str]]) -> Context:
    """Keys as anybody spells them, to what `decide` takes."""
    return {key.lower(): value if isinstance(value, str) else tuple(value) for key, value in keys.items()}
