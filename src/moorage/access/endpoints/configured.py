"""The endpoints of the configuration, with their policies read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from moorage.access.endpoints.endpoint import Endpoint
from moorage.access.endpoints.table import EndpointMisconfigured, EndpointTable
from moorage.access.policies.document import MalformedPolicy, parse


def read_endpoints(tables: Iterable[EndpointTable], account: str, region: str, now: int) -> list[Endpoint]:
    """One for each service of each table; `account` and `region` are the default ones.

    Raise `EndpointMisconfigured` for a policy that cannot be read: no start is better than an open door.
    """
    return [
        Endpoint(
            id=table.id,
            account=table.account or account,
            region=region,
            service=service,
            network=table.network,
            listeners=(table.listener,),
            policy=policy,
            identity=table.identity,
            private_dns=True,
            created=now,
            subnets=(f"subnet-{table.listener}",),
            tags=(("Name", table.name),),
            name=table.name,
        )
        for table in tables
        for policy in [_policy(table.name, table.policy)]
        for service in table.services
    ]


def _policy(name: str, file: Path | None) -> str:
    if file is None:
        return ""
    try:
        text = file.read_text(encoding="utf-8")
        parse(text, "endpoint")
    except (OSError, UnicodeDecodeError, MalformedPolicy) as error:
        raise EndpointMisconfigured(f"endpoint {name}: the policy {file} cannot be used: {error}") from None
    return text
