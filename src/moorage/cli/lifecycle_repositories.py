"""Which repository a `moorage lifecycle` command means, opened beside the server."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from moorage.base.addresses import Registry
from moorage.base.errors.error import MoorageError
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.base.names import is_account_id, is_repository_name
from moorage.cli.output import Failed
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings
from moorage.registry.lifecycle import stored
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository
from moorage.server.app import Beside, opened_beside

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class BesideRegistry:
    """A registry whose server may be running."""

    beside: Beside
    registry: Registry

    async def repository(self, name: str) -> Repository:
        try:
            return await repositories.find_in(self.beside.db, self.registry, name)
        except RepositoryNotFound as error:
            raise Failed(f"{error} in region {self.registry.region}") from error

    async def with_policies(self) -> list[Repository]:
        found: list[str] = []
        while page := await stored.names_with_policies(
            self.beside.db, self.registry, found[-1] if found else "", _PAGE
        ):
            found += page
        return [await self.repository(name) for name in found]


@asynccontextmanager
async def opened_registry(settings: Settings, arguments: argparse.Namespace) -> AsyncIterator[BesideRegistry]:
    """The account asked for, in the default region. What Moorage refuses becomes one line."""
    async with opened_beside(settings) as beside:
        account = arguments.id or await beside.default_account()
        try:
            yield BesideRegistry(beside, Registry(account, settings.region))
        except MoorageError as error:
            raise Failed(str(error)) from error


def check_names(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    """Raise `InvalidSettings` for what can be no repository or account."""
    for name in names:
        if not is_repository_name(name):
            raise InvalidSettings(f"'{name}' is no name of a repository")
    if arguments.id is not None and not is_account_id(arguments.id):
        raise InvalidSettings(f"--account is '{arguments.id}': an account id has 12 digits")
