"""What the service does by itself, and not in answer to a call, on its way to the records (CloudTrail: service events).

Told after the transaction in which it was done. Nobody hears it where no records are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moorage.base.addresses import Registry


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    name: str
    """`PolicyExecutionEvent`"""
    registry: Registry
    resource: str
    """The ARN of a repository."""
    details: Mapping[str, Any]
    """As CloudTrail has them under `serviceEventDetails`."""
    is_read_only: bool = True
    error_code: str = ""
    error_message: str = ""


@dataclass(slots=True)
class ServiceEvents:
    """Of one process."""

    _listeners: list[Callable[[ServiceEvent], None]] = field(default_factory=list)

    def listen(self, listener: Callable[[ServiceEvent], None]) -> None:
        self._listeners.append(listener)

    def tell(self, *events: ServiceEvent) -> None:
        for listener in self._listeners:
            for event in events:
                listener(event)
