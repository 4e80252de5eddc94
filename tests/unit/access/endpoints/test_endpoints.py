"""Which endpoint a request came by. Endpoints of the configuration, and rows of a database in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from moorage.access.endpoints import stored
from moorage.access.endpoints.endpoint import Endpoint, new_id
from moorage.access.endpoints.endpoints import Endpoints
from moorage.base.errors.endpoints import EndpointRefused
from moorage.base.http import Arrival

from ...registry.memory import in_memory
from ...registry.registry import ACCOUNT, REGION, MemoryRegistry
from ..operations.calling import OTHER, add_account

LAN = Arrival(listener="lan", address="10.0.0.9")


def endpoint(service: str = "ecr.api", **facts: Any) -> Endpoint:
    values: dict[str, Any] = {
        "id": new_id(),
        "account": ACCOUNT,
        "region": REGION,
        "network": "vpc-lan",
        "listeners": ("lan",),
        "subnets": ("subnet-lan",),
        "service": service,
    }
    return Endpoint(**values | facts)


def configured(service: str = "ecr.api", **facts: Any) -> Endpoint:
    return endpoint(service, name="lan", **facts)


async def made(registry: MemoryRegistry, new: Endpoint) -> Endpoint:
    async with registry.services.epochs.changing(new.account) as tx:
        return await stored.insert(tx, new, "", "")


def over(registry: MemoryRegistry, *of_configuration: Endpoint) -> Endpoints:
    services = registry.services
    return Endpoints(services.db, services.epochs, ACCOUNT, of_configuration, ["lan", "side"])


@in_memory
async def test_a_public_listener_has_no_endpoint_whatever_is_configured(registry: MemoryRegistry) -> None:
    endpoints = over(registry, configured())

    assert endpoints.find(Arrival(address="10.0.0.9"), "ecr.api") is None
    assert endpoints.find(Arrival(vpce=endpoints.configured[0].id), "ecr.api") is None


@in_memory
async def test_a_private_listener_has_the_endpoint_that_carries_the_service(registry: MemoryRegistry) -> None:
    api, dkr, side = configured(), configured("ecr.dkr"), configured("sts", listeners=("side",))
    endpoints = over(registry, api, dkr, side)

    found = [endpoints.find(LAN, service) for service in ("ecr.api", "ecr.dkr")]

    assert [each and each.id for each in found] == [api.id, dkr.id]
    with pytest.raises(EndpointRefused, match="does not carry sts"):
        endpoints.find(LAN, "sts")
    with pytest.raises(EndpointRefused, match="does not carry ec2 or iam"):
        endpoints.find(LAN, "ec2", "iam")


@in_memory
async def test_the_first_service_that_is_carried_decides(registry: MemoryRegistry) -> None:
    endpoints = over(registry, configured(network="vpc-api"))

    found = endpoints.find(LAN, "ecr.dkr", "ecr.api")

    assert found is not None
    assert found.network == "vpc-api"


@in_memory
async def test_what_the_proxy_says_chooses_among_the_endpoints_of_its_listener(
    registry: MemoryRegistry,
) -> None:
    first, second = configured(), configured()
    elsewhere = configured(listeners=("side",))
    endpoints = over(registry, first, second, elsewhere)

    found = endpoints.find(replace(LAN, vpce=second.id), "ecr.api")

    assert found is not None
    assert found.id == second.id
    for foreign in (elsewhere.id, new_id()):
        with pytest.raises(EndpointRefused):
            endpoints.find(replace(LAN, vpce=foreign), "ecr.api")


@in_memory
async def test_a_certificate_goes_by_its_endpoint_and_by_no_other_certificates(
    registry: MemoryRegistry,
) -> None:
    for_all, mine = configured(), configured(identity="spiffe://a/ci")
    endpoints = over(registry, for_all, mine)

    found = [endpoints.find(replace(LAN, identity=who), "ecr.api") for who in ("spiffe://a/ci", "x", "")]

    assert [each and each.id for each in found] == [mine.id, for_all.id, for_all.id]
    with pytest.raises(EndpointRefused):
        over(registry, mine).find(replace(LAN, identity="x"), "ecr.api")
    with pytest.raises(EndpointRefused):
        over(registry, mine).find(replace(LAN, vpce=mine.id), "ecr.api")


@in_memory
async def test_an_endpoint_that_a_call_made_carries_after_the_next_refresh(registry: MemoryRegistry) -> None:
    await add_account(registry)
    endpoints = over(registry)
    await endpoints.refresh()
    new = await made(registry, endpoint())

    assert not endpoints.is_current
    await endpoints.refresh()

    found = endpoints.find(LAN, "ecr.api")
    assert endpoints.is_current
    assert found is not None
    assert (found.id, len(found.policies)) == (new.id, 1)


@in_memory
async def test_a_new_endpoint_takes_no_traffic_from_those_that_are_there(registry: MemoryRegistry) -> None:
    await add_account(registry)
    older = await made(registry, endpoint(created=1))
    await made(registry, endpoint(created=2))
    written = configured()

    without, with_written = over(registry), over(registry, written)
    await without.refresh()
    await with_written.refresh()

    assert [each.find(LAN, "ecr.api").id for each in (without, with_written)] == [older.id, written.id]  # type: ignore[union-attr]  # found


@in_memory
async def test_another_account_binds_nothing_to_the_listeners_of_the_installation(
    registry: MemoryRegistry,
) -> None:
    await add_account(registry)
    await add_account(registry, OTHER)
    foreign = await made(registry, endpoint(account=OTHER))
    endpoints = over(registry)
    await endpoints.refresh()

    assert not endpoints.is_bound(foreign)
    with pytest.raises(EndpointRefused):
        endpoints.find(LAN, "ecr.api")


@in_memory
async def test_the_configuration_binds_another_accounts_endpoint(registry: MemoryRegistry) -> None:
    foreign = configured(account=OTHER)
    endpoints = over(registry, foreign)

    found = endpoints.find(LAN, "ecr.api")

    assert found is not None
    assert found.context(LAN) == {
        "aws:sourcevpce": foreign.id,
        "aws:sourcevpc": "vpc-lan",
        "aws:sourcevpcarn": f"arn:aws:ec2:{REGION}:{OTHER}:vpc/vpc-lan",
        "aws:vpceaccount": OTHER,
        "aws:vpcsourceip": "10.0.0.9",
    }


@in_memory
async def test_a_socket_file_has_no_address(registry: MemoryRegistry) -> None:
    found = over(registry, configured()).find(Arrival(listener="lan"), "ecr.api")

    assert found is not None
    assert "aws:vpcsourceip" not in found.context(Arrival(listener="lan"))


@in_memory
async def test_a_policy_that_cannot_be_read_shuts_the_endpoint(registry: MemoryRegistry) -> None:
    found = over(registry, configured(policy="{")).find(LAN, "ecr.api")

    assert found is not None
    assert found.policies == ()


@in_memory
async def test_a_listener_that_is_gone_from_the_configuration_binds_nothing(registry: MemoryRegistry) -> None:
    await add_account(registry)
    left = await made(registry, endpoint(listeners=("gone",), subnets=("subnet-gone",)))
    endpoints = over(registry)
    await endpoints.refresh()

    assert not endpoints.is_bound(left)
