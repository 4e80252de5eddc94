from __future__ import annotations

from pathlib import Path

import pytest

from moorage.store.db.statements import Statements


@pytest.fixture(scope="session")
def statements() -> Statements:
    return Statements.load([("test", Path(__file__).with_name("queries.sql"))])
