"""What a client of servers of others may do: each purpose has its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from moorage.remote.addresses import Allowed
from moorage.remote.urls import Scheme


@dataclass(frozen=True, slots=True)
class Rules:
    """Where it may go, how long it waits, how much it takes."""

    allowed: Allowed = field(default_factory=Allowed)
    schemes: frozenset[Scheme] = frozenset({"https"})
    ca_file: Path | None = None
    """Trusted besides the authorities of the system."""
    connect_s: float = 5.0
    """For the name, and for each address that is tried."""
    idle_s: float = 10.0
    """Between two pieces of an answer."""
    total_s: float | None = 20.0
    """For an answer to its end, redirects included; None for downloads of unknown size."""
    redirects: int = 3
    across_origins: bool = False
    """Follow a redirect to another origin too."""
    connections: int = 16
