"""The shapes of the AWS services that Moorage speaks, and of its own; one generated module a service.

Attributes are snake_case, wire names are AWS's. An optional member that is None is absent on the wire, both ways; a
list that a client iterates is set to `[]` to be sent though empty. Blobs are `bytes`, timestamps are `float` seconds.
Importing this package imports no service: `load(service)` does, once (ecr 20 ms, iam 35 ms, the others less).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal

from msgspec import Struct


class Shape(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Any structure. Its repr names the type only: members may be credentials, or twenty megabytes."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class CamelShape(Shape, frozen=True, kw_only=True, rename="camel"):
    """A structure whose wire names look like `repositoryName`."""


class PascalShape(Shape, frozen=True, kw_only=True, rename="pascal"):
    """A structure whose wire names look like `RoleArn`."""


@dataclass(frozen=True, slots=True)
class Service:
    """How a service is spoken. JSON services are named by `target`, the others, which take forms, by `version`."""

    name: str
    protocol: Literal["ec2", "json", "query"]
    version: str
    target: str = ""
    namespace: str = ""


SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        Service(
            "cloudtrail",
            "json",
            "2013-11-01",
            target="com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
        ),
        Service("ec2", "ec2", "2016-11-15", namespace="http://ec2.amazonaws.com/doc/2016-11-15"),
        Service("ecr", "json", "2015-09-21", target="AmazonEC2ContainerRegistry_V20150921"),
        Service("ecr-public", "json", "2020-10-30", target="SpencerFrontendService"),
        Service("iam", "query", "2010-05-08", namespace="https://iam.amazonaws.com/doc/2010-05-08/"),
        Service("kms", "json", "2014-11-01", target="TrentService"),
        Service("moorage", "json", "2026-11-24", target="Moorage_V20261124"),
        Service("secretsmanager", "json", "2017-10-17", target="secretsmanager"),
        Service("sts", "query", "2011-06-15", namespace="https://sts.amazonaws.com/doc/2011-06-15/"),
    )
}


def load(service: str) -> ModuleType:
    """The module of `service` ("ecr-public"): `OPERATIONS` maps each operation to its request and response types."""
    return import_module(f"{__name__}.{SERVICES[service].name.replace('-', '_')}")
