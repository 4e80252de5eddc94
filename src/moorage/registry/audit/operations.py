"""The operation of AWS CloudTrail by which records are found."""

from __future__ import annotations

import msgspec

from moorage.access.call import Call
from moorage.access.paging import next_token, position_in
from moorage.aws.operation import operation
from moorage.aws.shapes.cloudtrail import Event, LookupEventsRequest, LookupEventsResponse, Resource
from moorage.base.clock import SECOND, wire_seconds
from moorage.base.errors.audit import InvalidLookupAttributes, InvalidTimeRange
from moorage.base.errors.requests import InvalidParameter
from moorage.base.errors.upstream import InvalidNextToken
from moorage.registry.audit import trail
from moorage.registry.audit.record import Record
from moorage.registry.audit.trail import Asked, Found

PAGE = 50
_FOREVER = 1 << 62


@operation
async def lookup_events(call: Call, request: LookupEventsRequest) -> LookupEventsResponse:
    """Newest first, by at most one attribute. Nothing is derived from what was recorded: insights are none."""
    asked = _asked(call, request)
    if request.event_category is not None:
        return LookupEventsResponse(events=[])
    listing = ("LookupEvents", asked.since, request.end_time, asked.attribute, asked.value)
    try:
        after = position_in(call, listing, request.next_token, _Position)
    except InvalidParameter:
        raise InvalidNextToken() from None
    limit = request.max_results or PAGE
    found = await trail.page(call.db, asked, (after.occurred, after.id) if after else None, limit + 1)
    shown = found[:limit]
    more = next_token(call, listing, _position(shown[-1])) if len(found) > limit else None
    return LookupEventsResponse(events=[_event(each.record) for each in shown], next_token=more)


def _asked(call: Call, request: LookupEventsRequest) -> Asked:
    """Raise `InvalidTimeRange` or `InvalidLookupAttributes`."""
    since = int((request.start_time or 0) * SECOND)
    until = int(request.end_time * SECOND) if request.end_time is not None else _FOREVER
    if since > until:
        raise InvalidTimeRange()
    attributes = request.lookup_attributes or []
    if len(attributes) > 1:
        raise InvalidLookupAttributes("Only one lookup attribute can be given")
    if not attributes:
        return Asked(call.account, call.region, since, until)
    (attribute,) = attributes
    if attribute.attribute_key == "ReadOnly" and attribute.attribute_value.lower() not in ("true", "false"):
        raise InvalidLookupAttributes("ReadOnly is true or false")
    return Asked(call.account, call.region, since, until, attribute.attribute_key, attribute.attribute_value)


class _Position(msgspec.Struct, array_like=True):
    occurred: int
    id: int


def _position(found: Found) -> _Position:
    return _Position(found.record.occurred, found.id)


def _event(record: Record) -> Event:
    resources = []
    if record.resource:
        resources.append(Resource(resource_type=record.resource_type or None, resource_name=record.resource))
    return Event(
        event_id=record.event,
        event_name=record.name,
        read_only="true" if record.is_read_only else "false",
        access_key_id=record.access_key or None,
        event_time=wire_seconds(record.occurred),
        event_source=record.source,
        username=record.username or None,
        resources=resources,
        cloud_trail_event=record.document,
    )
