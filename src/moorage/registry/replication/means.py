"""What one process replicates with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from moorage.base.addresses import Registry
from moorage.registry.replication.layers import LayerCopies
from moorage.registry.replication.sending import Sender
from moorage.registry.replication.tag_filters import TagFilters


@dataclass(frozen=True, slots=True)
class Means:
    copies: LayerCopies = field(default_factory=LayerCopies)
    peers: Mapping[Registry, Sender] = field(default_factory=dict)
    """Registries of other installations."""
    tags: TagFilters = field(default_factory=dict)
