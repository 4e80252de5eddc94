"""One server with two accounts for all of these tests. Each makes the users, roles and repositories that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from .calling import Caller
from .places import Account, Place, a_place


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with a_place(tmp_path_factory.mktemp("security")) as place:
        yield place


@pytest.fixture(scope="session")
def a(place: Place) -> Account:
    """The default account."""
    return place.a


@pytest.fixture(scope="session")
def b(place: Place) -> Account:
    return place.b


@pytest.fixture(scope="session")
def nobody(place: Place) -> Caller:
    return place.nobody


@pytest.fixture(scope="session")
def fresh() -> Callable[[str], str]:
    """A name that no other test has."""
    numbers = count(1)
    return lambda stem: f"{stem}-{next(numbers)}"
