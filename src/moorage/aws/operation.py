"""How a plain typed function becomes an operation of an AWS API.

A slice's `operations.py` says

    @operation
    async def describe_images(call: Call, request: DescribeImagesRequest) -> DescribeImagesResponse: ...

The request type names the operation; which resources it is about is read off its members (`resources.py`).
`registry/operations.py` imports all slices, in any order.
`find_operation` also finds what AWS has and nobody has built: such an operation is decoded and authorized
like any other, then refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, get_type_hints, overload

from moorage.aws import ec2, json, query
from moorage.aws.resources import Context, Resources, context_of, image_tags_of, resources_of
from moorage.aws.shapes import SERVICES, Service, Shape, load
from moorage.base.errors.error import MoorageError
from moorage.base.errors.requests import UnknownOperation, UnsupportedOperation
from moorage.base.http import Reply

Handler = Callable[[Any, Any], Awaitable[Shape]]
"""From a call and a request to a response; each slice types its own three."""

H = TypeVar("H", bound=Callable[..., Awaitable[Shape]])


@dataclass(frozen=True, slots=True)
class Operation:
    service: Service
    name: str
    request: type[Shape]
    resources: Resources
    handler: Handler | None = None
    """None: AWS has it, Moorage has not."""

    @property
    def action(self) -> str:
        """What a policy must allow, `ecr:PutImage`."""
        own = f"{self.service.name}:{self.name}"
        return _ACTIONS.get(own, own)

    def contexts(self, request: Any) -> list[Context]:
        """What the request says of itself, as condition keys; one for each image tag it names."""
        common = context_of(self.service, request)
        return [
            common if tag is None else {**common, "moorage:imagetag": tag} for tag in image_tags_of(request)
        ]

    @property
    def is_signed(self) -> bool:
        """False for the two calls of STS whose credentials are in the request."""
        return self.name not in load(self.service.name).UNSIGNED

    def decode(self, body: bytes) -> Any:
        """`body` is JSON, or a form; for a GET the raw query string. Raise `Serialization` and the like."""
        return _decoder(self.service, self.request)(body)

    async def act(self, call: object, request: Any) -> Shape:
        if self.handler is None:
            raise UnsupportedOperation(service=self.service.name, operation=self.name)
        return await self.handler(call, request)

    def answer(self, response: Shape, request_id: str) -> Reply:
        match self.service.protocol:
            case "json":
                return json.encode(response)
            case "ec2":
                return ec2.encode(self.service.namespace, self.name, response, request_id)
            case "query":
                return query.encode(self.service.name, self.name, response, request_id)


def refusal(service: str, error: MoorageError, request_id: str) -> Reply:
    """The answer for an error of a call to `service`, also when no operation was found."""
    match SERVICES[service].protocol if service in SERVICES else "json":
        case "query":
            return query.encode_error(service, error, request_id)
        case "ec2":
            return ec2.encode_error(error, request_id)
    return json.encode_error(error)


@cache
def _decoder(service: Service, request: type[Shape]) -> Callable[[bytes], Shape]:
    match service.protocol:
        case "json":
            return json.decoder(service.name, request)
        case "ec2":
            return ec2.decoder(request)
        case "query":
            return query.decoder(service.name, request)


OPERATIONS: dict[tuple[str, str], Operation] = {}
"""What is built, by service and name."""


@overload
def operation(handler: H) -> H: ...
@overload
def operation(*, resources: Resources) -> Callable[[H], H]: ...
def operation(handler: Any = None, *, resources: Resources | None = None) -> Any:
    """Register `handler` as the operation that its request type names.

    `resources` replaces what the members would say. Raise TypeError where the types are not those of the
    model.
    """
    if handler is None:
        return lambda function: _register(function, resources)
    return _register(handler, resources)


def _register(handler: H, resources: Resources | None) -> H:
    hints = get_type_hints(handler)
    request: type[Shape] = hints["request"]
    service = SERVICES[request.__module__.rpartition(".")[2].replace("_", "-")]
    name = request.__name__.removesuffix("Request")
    if load(service.name).OPERATIONS.get(name) != (request, hints["return"]):
        raise TypeError(f"{handler.__qualname__}: not the request and response of {service.name}:{name}")
    if (service.name, name) in OPERATIONS:
        raise TypeError(f"{handler.__qualname__}: {service.name}:{name} is built already")
    about = resources or resources_of(service, name, request)
    OPERATIONS[service.name, name] = Operation(service, name, request, about, handler)
    return handler


_BY_TARGET = {service.target: service for service in SERVICES.values() if service.target}
_BY_VERSION = {service.version: service for service in SERVICES.values() if not service.target}


def find_operation(target: str | None, action: str | None = None, version: str | None = None) -> Operation:
    """By the `X-Amz-Target` header, else by a form's `Action` and `Version`; raise `UnknownOperation`."""
    if target is not None:
        prefix, _, name = target.rpartition(".")
        service = _BY_TARGET.get(prefix)
    else:
        name = action or ""
        service = _BY_VERSION.get(version or "")
    if service is None:
        raise UnknownOperation(operation=target or name, service="the services here")
    return OPERATIONS.get((service.name, name)) or _unbuilt(service, name)


def _unbuilt(service: Service, name: str) -> Operation:
    types = load(service.name).OPERATIONS.get(name)
    if types is None:
        raise UnknownOperation(operation=name, service=service.name)
    return Operation(service, name, types[0], resources_of(service, name, types[0]))


# Where the action is not service:Name (service authorization reference; ECR API, ListImageReferrers).
_ACTIONS = {"ecr:ListImageReferrers": "ecr:BatchGetImage"}

ALSO_CALLED = {
    "ecr:DeregisterPullTimeUpdateExclusion": "ecr:DeletePullTimeUpdateExclusion",
    "ecr:RegisterPullTimeUpdateExclusion": "ecr:CreatePullTimeUpdateExclusion",
}
"""Actions that AWS's guide spells otherwise: a policy may name either."""
