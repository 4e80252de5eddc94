"""Calls that replication makes by itself: nobody's request is behind them."""

from __future__ import annotations

from moorage.access.authorizer import Circumstances
from moorage.access.call import Call, Services
from moorage.access.principals import root_of
from moorage.base.addresses import Registry
from moorage.base.http import Arrival


def call_in(services: Services, registry: Registry, source: str) -> Call:
    """A call to `registry` on behalf of the account `source`, as its root: what policies of other accounts name.

    It has no address and no TLS, so that a policy that asks for either says no.
    """
    now = services.clock()
    return Call(
        principal=root_of(source, f"replication/{source}"),
        account=registry.account,
        region=registry.region,
        host="",
        now=now,
        request_id="replication",
        services=services,
        around=Circumstances(Arrival(), None, registry.region, now),
    )
