"""The settings of a repository that replication can carry. Apart, because the configuration names them too."""

from __future__ import annotations

from typing import Literal, get_args

Setting = Literal["lifecycle", "mutability", "policy", "scanning", "tags"]
SETTINGS: tuple[Setting, ...] = get_args(Setting)
