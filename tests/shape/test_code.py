"""The code about itself: what a reader may rely on without looking."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "moorage"
GENERATED = SOURCE / "aws" / "shapes"
FILES = sorted(path for path in SOURCE.rglob("*.py") if GENERATED not in path.parents)

FORBIDDEN_NAMES = re.compile(r"(utils?|helpers?|common|misc|manager|service|handler|core)s?|base_.*|.*_impl")
# Where a broad `except Exception` is right: it logs and goes on, or answers 500.
MAY_CATCH_ALL = {
    "registry/events/outbox.py",
    "server/audit.py",
    "server/jobs.py",
    "server/pipeline.py",
    "server/schedule.py",
}
# Only what prints to a person may.
MAY_PRINT = {"cli/output.py", "cli/program.py"}
# Where settings are read.
MAY_READ_SETTINGS = ("cli", "server", "config")


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in FILES:
        yield name_of(path), ast.parse(path.read_text())


def test_files_are_named_after_what_is_in_them() -> None:
    assert [name_of(path) for path in FILES if FORBIDDEN_NAMES.fullmatch(path.stem)] == []


def test_every_module_says_what_it_is() -> None:
    silent = [name for name, tree in trees() if tree.body and not ast.get_docstring(tree)]

    assert silent == []


def test_exceptions_are_caught_narrowly() -> None:
    broad = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        if name not in MAY_CATCH_ALL
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and _is_broad(node)
    ]

    assert broad == []


def _is_broad(handler: ast.ExceptHandler) -> bool:
    """`except BaseException: undo; raise` is a clean-up, not a catch."""
    kind = handler.type.id if isinstance(handler.type, ast.Name) else None if handler.type else ""
    reraises = isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None
    return kind in ("", "Exception", "BaseException") and not reraises


def test_operations_are_found_by_their_name_in_one_place() -> None:
    from moorage.aws.operation import OPERATIONS
    from moorage.server import app

    assert app.load_operations()
    tops = [(file, node) for file, tree in trees() for node in tree.body]
    for (service, name), operation in OPERATIONS.items():
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
        places = [file for file, node in tops if _defines(node, snake)]
        assert len(places) == 1, (service, name, places)
        assert operation.handler is not None


def _defines(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.AsyncFunctionDef) and node.name == name


def test_settings_are_read_by_cli_and_server_only() -> None:
    readers = [
        name
        for name, tree in trees()
        if not name.startswith(MAY_READ_SETTINGS)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("moorage.config")
    ]

    assert readers == []


def test_sql_stands_in_queries_files() -> None:
    sql = re.compile(r"\b(SELECT .+ FROM|INSERT INTO|UPDATE .+ SET|DELETE FROM)\b")
    loose = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        if not name.startswith("store/db/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and sql.search(node.value)
    ]

    assert loose == []


def test_tables_are_written_by_one_slice() -> None:
    """A slice above may clear a candidate or add one: those rows are the contract between images and layers."""
    shared = {"candidates"}
    writes = re.compile(r"^(?:INSERT INTO|UPDATE|DELETE FROM)\s+([a-z_]+)", re.MULTILINE)
    writers: dict[str, set[str]] = {}
    for path in SOURCE.rglob("queries.sql"):
        for table in writes.findall(path.read_text()):
            writers.setdefault(table, set()).add(path.parent.name)

    assert {
        table: slices for table, slices in writers.items() if len(slices) > 1 and table not in shared
    } == {}


def test_every_statement_is_used() -> None:
    source = "\n".join(path.read_text() for path in FILES)
    header = re.compile(r"^-- ([a-z0-9_]+)(?: \[[a-z]+\])?:", re.MULTILINE)
    # Built from a table of suffixes in registry/images/find.py.
    assembled = re.compile(r"images\.(image_page|id_page)(_tagged|_untagged)?")
    unused = [
        f"{path.parent.name}.{name}"
        for path in SOURCE.rglob("queries.sql")
        for name in header.findall(path.read_text())
        if f'"{path.parent.name}.{name}"' not in source
        and not assembled.fullmatch(f"{path.parent.name}.{name}")
    ]

    assert unused == []


def test_listings_are_ordered_and_bounded() -> None:
    """A SELECT that can give many rows has an ORDER BY and a LIMIT."""
    by_key = re.compile(r"WHERE.*\b(id|arn|name|digest|tag|account|blob|child|domain)\b", re.DOTALL)
    loose = []
    for path in SOURCE.rglob("queries.sql"):
        for text in re.split(r"\n\n(?=-- )", path.read_text()):
            statement = re.sub(r"^--.*$", "", text, flags=re.MULTILINE).strip()
            if statement.startswith("SELECT") and "LIMIT" not in statement and not by_key.search(statement):
                loose.append(text.splitlines()[0])

    assert loose == []


@pytest.mark.parametrize("word", ["print("])
def test_only_the_command_line_prints(word: str) -> None:
    printing = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        if name not in MAY_PRINT
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and f"{node.func.id}(" == word
    ]

    assert printing == []


def test_randomness_comes_from_secrets() -> None:
    imports = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import) and any(alias.name in ("random", "pickle") for alias in node.names)
    ]

    assert imports == []


def test_transactions_wait_for_nothing_but_their_own_verbs() -> None:
    """One that waits for anything else holds up all others, and is rolled back (`store/db/api.py`)."""
    waiting = [
        f"{name}:{awaited.lineno}"
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncWith)
        for transaction in _transactions(node)
        for awaited in ast.walk(node)
        if isinstance(awaited, ast.Await) and transaction not in _names(awaited)
    ]

    assert waiting == []


def _transactions(block: ast.AsyncWith) -> Iterator[str]:
    """What the transactions that it opens are called."""
    for item in block.items:
        opens = {node.attr for node in ast.walk(item.context_expr) if isinstance(node, ast.Attribute)}
        if isinstance(item.optional_vars, ast.Name) and opens & {"transaction", "changing"}:
            yield item.optional_vars.id


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
