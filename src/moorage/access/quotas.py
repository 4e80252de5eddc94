"""Amazon ECR's quotas on what a registry holds (user guide, "Amazon ECR service quotas"). All off by default.

Each refusal has the code and the form of Amazon's text, which names the quota, and says in a header of its own which
it was (`x-moorage-quota`): programs need not read sentences (containers-roadmap 2159).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quotas:
    """Kept where `quotas` is "aws"."""

    repositories: int = 100_000
    """Of an account in a region."""
    images: int = 100_000
    """Of a repository."""
    tags: int = 1_000
    """Of an image."""
    layer_parts: int = 4_200
    """Of an upload by the API: a client of `/v2/` sends a layer in one."""
    pull_through_rules: int = 50
    """Of a registry."""
    templates: int = 50
    """Of a registry."""


AWS_QUOTAS = Quotas()
