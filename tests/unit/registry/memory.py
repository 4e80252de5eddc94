"""Tests that run over a registry in memory of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from inspect import Parameter, Signature
from typing import Any

from moorage.access.call import Call
from moorage.access.principals import root_of

from .registry import MemoryRegistry, memory_registry

Test = Callable[..., Awaitable[None]]


def in_memory(test: Test) -> Callable[..., None]:
    """The test takes a registry, and what it is parametrized with."""

    def run(**parameters: Any) -> None:
        async def over() -> None:
            async with memory_registry() as registry:
                await test(registry, **parameters)

        asyncio.run(over())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    names = [name for name in test.__code__.co_varnames[: test.__code__.co_argcount] if name != "registry"]
    run.__signature__ = _signature(names)  # type: ignore[attr-defined]  # what pytest fills
    return run


def _signature(names: list[str]) -> Any:
    return Signature([Parameter(name, Parameter.KEYWORD_ONLY) for name in names])


def with_limits(registry: MemoryRegistry, **limits: Any) -> None:
    registry.services = replace(registry.services, limits=replace(registry.services.limits, **limits))


def call_of(registry: MemoryRegistry, account: str, region: str | None = None) -> Call:
    """The root of another account calls."""
    call = registry.call
    return replace(
        call, principal=root_of(account, "AKIAOTHER"), account=account, region=region or call.region
    )
