"""An image as commands name it: REPOSITORY@DIGEST."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from moorage.base.digest import Digest
from moorage.base.errors.layers import InvalidDigest
from moorage.cli.lifecycle_repositories import check_names
from moorage.config.invalid import InvalidSettings


@dataclass(frozen=True, slots=True)
class ImageName:
    repository: str
    digest: Digest


def image_name(arguments: argparse.Namespace) -> ImageName:
    """Raise `InvalidSettings`."""
    repository, _, digest = arguments.image.partition("@")
    check_names(arguments, [repository])
    try:
        return ImageName(repository, Digest.parse(digest))
    except InvalidDigest:
        raise InvalidSettings(f"'{arguments.image}' is no image: REPOSITORY@sha256:…") from None
