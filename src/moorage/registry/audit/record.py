"""A call on record, or what the service did by itself, shaped as AWS CloudTrail shapes it. Pure.

What a caller sent is written as far as it says what was done: no secret, no token, no bytes of layers or manifests
(`told`). What a stranger can send is bounded in length, and stands in JSON strings: it cannot forge a line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from moorage.access.principals import Principal
from moorage.access.service_events import ServiceEvent
from moorage.base.clock import SECOND
from moorage.registry.audit.identity import user_identity, username

TEXT_MAX = 8_192
ITEMS_MAX = 100
DEPTH_MAX = 8
DOCUMENT_MAX = 64 << 10
_AGENT_MAX = 256
_MESSAGE_MAX = 1_024
INVOKED_BY = "AWS Internal"
"""Who acts, and from where, when the service does: CloudTrail has this text in all three places."""

_SECRET = re.compile(
    r"secret|password|token|plaintext|private|blob|assertion|credential|authentication|manifest$|material$",
    re.IGNORECASE,
)
_TIME = re.compile(r"(?:At|Time)$")
# Those of the above that only name something.
_HARMLESS = frozenset({"secretid", "secretarn", "credentialarn", "tokenstatus"})

_RESOURCE_TYPES = (
    (re.compile(r"arn:aws:ecr:[^:]*:[^:]*:repository/"), "AWS::ECR::Repository"),
    (re.compile(r"arn:aws:ecr-public:[^:]*:[^:]*:repository/"), "AWS::ECR::PublicRepository"),
    (re.compile(r"arn:aws:iam::[^:]*:user/"), "AWS::IAM::User"),
    (re.compile(r"arn:aws:iam::[^:]*:role/"), "AWS::IAM::Role"),
    (re.compile(r"arn:aws:iam::[^:]*:group/"), "AWS::IAM::Group"),
    (re.compile(r"arn:aws:iam::[^:]*:policy/"), "AWS::IAM::Policy"),
)


@dataclass(frozen=True, slots=True)
class Called:
    """What is known of a call when it has been answered. What nobody found out is empty."""

    id: str
    occurred: int
    account: str
    """Whose record it is: the caller's, on `/v2/` that of the registry."""
    region: str
    principal: Principal | None
    claimed_key: str
    """The access key that an unknown caller names."""
    source: str
    """`ecr.amazonaws.com`"""
    name: str
    is_read_only: bool
    address: str
    agent: str
    request_id: str
    parameters: Mapping[str, Any] | None = None
    elements: Mapping[str, Any] | None = None
    resources: Sequence[str] = ()
    error_code: str = ""
    error_message: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A row: the document, and what it is found by."""

    event: str
    occurred: int
    account: str
    region: str
    source: str
    name: str
    username: str
    access_key: str
    is_read_only: bool
    resource_type: str
    resource: str
    """Its name, without what all ARNs of its kind begin with."""
    document: str = field(repr=False)


def record_of(called: Called) -> Record:
    principal = called.principal
    first = next((arn for arn in called.resources if arn != "*"), "")
    return Record(
        event=called.id,
        occurred=called.occurred,
        account=called.account,
        region=called.region,
        source=called.source,
        name=called.name,
        username=username(principal) if principal is not None else "",
        access_key=principal.access_key_id if principal is not None else called.claimed_key,
        is_read_only=called.is_read_only,
        resource_type=type_of(first),
        resource=name_of(first),
        document=_document(called),
    )


def record_of_event(event: ServiceEvent, id_: str, occurred: int) -> Record:
    return Record(
        event=id_,
        occurred=occurred,
        account=event.registry.account,
        region=event.registry.region,
        source="ecr.amazonaws.com",
        name=event.name,
        username="",
        access_key="",
        is_read_only=event.is_read_only,
        resource_type=type_of(event.resource),
        resource=name_of(event.resource),
        document=_fitting(_event_members(event, id_, occurred)),
    )


def type_of(arn: str) -> str:
    return next((type_ for begins, type_ in _RESOURCE_TYPES if begins.match(arn)), "")


def name_of(arn: str) -> str:
    """What users call it: a repository's or user's name. What is no ARN of a known kind stays as it is."""
    for begins, _ in _RESOURCE_TYPES:
        if found := begins.match(arn):
            return arn[found.end() :]
    return arn


def told(shape: Any) -> dict[str, Any] | None:
    """The members of a request as they are written down: `repositoryName`, whatever service it is of."""
    members = _told_struct(shape, 0)
    return members or None


def _told_struct(shape: Any, depth: int) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for attribute, name in zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True):
        value = getattr(shape, attribute)
        if value is None or isinstance(value, bytes) or is_secret(name):
            continue
        members[name[:1].lower() + name[1:]] = _told_value(value, depth + 1)
    return members


def _told_value(value: Any, depth: int) -> Any:
    if depth > DEPTH_MAX:
        return "…"
    if isinstance(value, str):
        return value if len(value) <= TEXT_MAX else value[:TEXT_MAX] + "…"
    if isinstance(value, msgspec.Struct):
        return _told_struct(value, depth)
    if isinstance(value, list | tuple):
        items = [_told_value(each, depth + 1) for each in value[:ITEMS_MAX] if not isinstance(each, bytes)]
        return items if len(value) <= ITEMS_MAX else [*items, "…"]
    if isinstance(value, dict):
        pairs = list(value.items())[:ITEMS_MAX]
        return {key: _told_value(each, depth + 1) for key, each in pairs if not is_secret(str(key))}
    return value


def dated(members: Any) -> Any:
    """The same with its times as CloudTrail writes those of `responseElements`: `Jul 11, 2018 10:17:44 PM`."""
    if isinstance(members, list):
        return [dated(each) for each in members]
    if not isinstance(members, dict):
        return members
    return {
        name: _date(value) if isinstance(value, float) and _TIME.search(name) else dated(value)
        for name, value in members.items()
    }


def _date(seconds: float) -> str:
    moment = datetime.fromtimestamp(int(seconds), UTC)
    return f"{moment:%b} {moment.day}, {moment.year} {moment.hour % 12 or 12}:{moment:%M:%S %p}"


def is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None and name.lower() not in _HARMLESS


def _document(called: Called) -> str:
    return _fitting(_members(called))


def _fitting(members: dict[str, Any]) -> str:
    """What is answered goes before what was asked, where both together are too long."""
    text = msgspec.json.encode(members)
    for name in ("serviceEventDetails", "responseElements", "requestParameters"):
        if len(text) > DOCUMENT_MAX and members.get(name):
            members[name] = {"omitted": f"more than {DOCUMENT_MAX} bytes"}
            text = msgspec.json.encode(members)
    return text.decode()


def _members(called: Called) -> dict[str, Any]:
    members: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": _identity(called),
        "eventTime": _moment(called.occurred),
        "eventSource": called.source,
        "eventName": called.name,
        "awsRegion": called.region,
        "sourceIPAddress": called.address or "local",
        "userAgent": called.agent[:_AGENT_MAX],
        "requestParameters": called.parameters,
        "responseElements": called.elements,
        "requestID": called.request_id,
        "eventID": called.id,
        "readOnly": called.is_read_only,
        "resources": [_resource(arn) for arn in called.resources[:ITEMS_MAX] if arn != "*"],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": called.account,
        "eventCategory": "Management",
    }
    if called.error_code:
        members["errorCode"] = called.error_code
        members["errorMessage"] = called.error_message[:_MESSAGE_MAX]
    if called.endpoint:
        members["vpcEndpointId"] = called.endpoint
    return members


def _event_members(event: ServiceEvent, id_: str, occurred: int) -> dict[str, Any]:
    members: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": {"accountId": event.registry.account, "invokedBy": INVOKED_BY},
        "eventTime": _moment(occurred),
        "eventSource": "ecr.amazonaws.com",
        "eventName": event.name,
        "awsRegion": event.registry.region,
        "sourceIPAddress": INVOKED_BY,
        "userAgent": INVOKED_BY,
        "requestParameters": None,
        "responseElements": None,
        "eventID": id_,
        "readOnly": event.is_read_only,
        "resources": [_resource(event.resource)],
        "eventType": "AwsServiceEvent",
        "managementEvent": True,
        "recipientAccountId": event.registry.account,
        "serviceEventDetails": event.details,
        "eventCategory": "Management",
    }
    if event.error_code:
        members["errorCode"] = event.error_code
        members["errorMessage"] = event.error_message[:_MESSAGE_MAX]
    return members


def _moment(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _identity(called: Called) -> dict[str, Any]:
    if called.principal is not None:
        return user_identity(called.principal)
    return {"type": "Unknown", "principalId": "", "accountId": "", "accessKeyId": called.claimed_key}


def _resource(arn: str) -> dict[str, str]:
    parts = arn.split(":", 5)
    resource = {"ARN": arn, "accountId": parts[4] if len(parts) > 5 else ""}
    return {**resource, "type": type_of(arn)} if type_of(arn) else resource
