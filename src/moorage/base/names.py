"""The grammar of names that strangers send: repositories and tags (distribution-spec, "Pulling manifests")."""

from __future__ import annotations

import re

# The separators are possessive in effect (each alternative starts with another character), so matching is linear.
REPOSITORY_PATTERN = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
REPOSITORY_MIN, REPOSITORY_MAX = 2, 256  # botocore ecr 2015-09-21, RepositoryName
TAG_PATTERN = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"

_REPOSITORY = re.compile(REPOSITORY_PATTERN)
_TAG = re.compile(TAG_PATTERN)
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z0-9][0-9a-z-]{1,24}")


def is_repository_name(text: str) -> bool:
    return REPOSITORY_MIN <= len(text) <= REPOSITORY_MAX and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


def is_account_id(text: str) -> bool:
    return _ACCOUNT.fullmatch(text) is not None


def is_region(text: str) -> bool:
    """A region is any label: `us-east-1` and `home-1` alike (ecr model, Region: `[0-9a-z-]{2,25}`)."""
    return _REGION.fullmatch(text) is not None
