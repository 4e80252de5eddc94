"""What a call may say of an endpoint: parsed at the door, bounded, in EC2's words where it is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from moorage.access.endpoints.names import is_endpoint_id, is_network
from moorage.access.policies.document import MalformedPolicy, parse
from moorage.aws.shapes.ec2 import Tag
from moorage.base.errors.endpoints import InvalidParameterValue, InvalidPolicyDocument, VpcEndpointIdMalformed

POLICY_MAX = 20_480  # VPC user guide, "Control access to VPC endpoints using endpoint policies"
NAMES_MAX = 16
TOKEN_MAX = 64
KEY_MAX, VALUE_MAX = 127, 255  # EC2 API reference, Tag

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_TOKEN = re.compile(r"[!-~]{1,64}")


def needed_id(text: str) -> str:
    """Raise `VpcEndpointIdMalformed`."""
    if not is_endpoint_id(text):
        raise VpcEndpointIdMalformed(id=text[:64])
    return text


def checked_network(text: str) -> str:
    """The label of a network, `vpc-…`; raise `InvalidParameterValue`."""
    if not is_network(text):
        raise InvalidParameterValue(
            value=text[:64], name="VpcId", reason="It has to be vpc- and characters a-z, 0-9 and -."
        )
    return text


def checked_policy(text: str | None) -> str:
    """Empty for none; raise `InvalidPolicyDocument`."""
    if text is None:
        return ""
    if len(text) > POLICY_MAX:
        raise InvalidPolicyDocument(reason=f"it has more than {POLICY_MAX} characters")
    try:
        parse(text, "endpoint")
    except MalformedPolicy as error:
        raise InvalidPolicyDocument(reason=str(error)) from None
    return text


def checked_token(text: str | None) -> str:
    if text and not _TOKEN.fullmatch(text):
        raise InvalidParameterValue(
            value=text[:TOKEN_MAX], name="ClientToken", reason="It has at most 64 ASCII characters."
        )
    return text or ""


def checked_names(member: str, names: Iterable[str] | None) -> tuple[str, ...]:
    """Ids of subnets or security groups, each once; raise `InvalidParameterValue`."""
    found = tuple(dict.fromkeys(names or ()))
    for name in found:
        if not _NAME.fullmatch(name):
            raise InvalidParameterValue(value=name[:64], name=member, reason="It is no id.")
    if len(found) > NAMES_MAX:
        raise InvalidParameterValue(
            value=f"{len(found)} ids", name=member, reason=f"An endpoint has at most {NAMES_MAX}."
        )
    return found


def with_and_without(
    member: str, present: Sequence[str], added: Iterable[str] | None, removed: Iterable[str] | None
) -> tuple[str, ...]:
    """Raise `InvalidParameterValue`, also where what is to be removed is not there."""
    leaving = set(checked_names(member, removed))
    for name in sorted(leaving - set(present)):
        raise InvalidParameterValue(value=name, name=member, reason="The endpoint does not have it.")
    kept = [name for name in present if name not in leaving]
    return checked_names(member, [*kept, *checked_names(member, added)])


def tags_in(given: Iterable[Tag]) -> dict[str, str]:
    """A tag without a value has an empty one; raise `InvalidParameterValue`."""
    tags: dict[str, str] = {}
    for tag in given:
        key, value = checked_key(tag.key), tag.value or ""
        if len(value) > VALUE_MAX:
            raise InvalidParameterValue(
                value=value[:64], name="Tag.Value", reason=f"It has at most {VALUE_MAX} characters."
            )
        if key in tags:
            raise InvalidParameterValue(value=key, name="Tag.Key", reason="It is there twice.")
        tags[key] = value
    return tags


def checked_key(key: str | None) -> str:
    if not key or len(key) > KEY_MAX or key.lower().startswith("aws:"):
        raise InvalidParameterValue(
            value=(key or "")[:64],
            name="Tag.Key",
            reason=f"It has 1 to {KEY_MAX} characters and does not begin with aws:.",
        )
    return key
