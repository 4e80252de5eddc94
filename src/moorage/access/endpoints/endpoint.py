"""A private endpoint: the way into one service that a private listener opens, and the policy that stands in it.

The wire knows it as a VPC endpoint of EC2, one service each. One that stands in the configuration may carry several
services under its id: it is then an endpoint for each, all with the same id.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from moorage.access.policies.compile import Policy
from moorage.base.http import Arrival

FULL_ACCESS = (
    '{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}],"Version":"2008-10-17"}'
)
"""The policy of an endpoint that was given none."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    id: str
    account: str
    region: str
    service: str
    """One of `names.CARRIED`."""
    network: str
    """`vpc-…`: a label that policies ask for (aws:SourceVpc)."""
    listeners: tuple[str, ...]
    """Those that it was given; whether it has them is for `Endpoints` to say."""
    policy: str = ""
    """As it was written; empty for full access."""
    policies: tuple[Policy, ...] = ()
    """The same compiled, of an endpoint that `Endpoints` hands out. None allow anything: it is then shut."""
    identity: str = ""
    """Of the client certificate that it is for; empty for all."""
    private_dns: bool = False
    created: int = 0
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    name: str = ""
    """In the configuration; empty for one that was made by a call."""

    @property
    def is_configured(self) -> bool:
        return self.name != ""

    @property
    def service_name(self) -> str:
        return f"com.amazonaws.{self.region}.{self.service}"

    @property
    def document(self) -> str:
        """The policy in force, as text."""
        return self.policy or FULL_ACCESS

    def context(self, arrival: Arrival) -> dict[str, str]:
        """The condition keys of a request that came in by it. There is no aws:SourceIp then (IAM user guide)."""
        keys = {
            "aws:sourcevpce": self.id,
            "aws:sourcevpc": self.network,
            "aws:sourcevpcarn": f"arn:aws:ec2:{self.region}:{self.account}:vpc/{self.network}",
            "aws:vpceaccount": self.account,
        }
        return keys | {"aws:vpcsourceip": arrival.address} if arrival.address else keys


def arn_of(endpoint_id: str, account: str, region: str) -> str:
    """`*` for any."""
    return f"arn:aws:ec2:{region}:{account}:vpc-endpoint/{endpoint_id}"


def new_id() -> str:
    return "vpce-" + secrets.token_hex(9)[:17]
