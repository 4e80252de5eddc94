from __future__ import annotations

from pathlib import Path

import pytest

from moorage.store.db.statements import Engine, EngineStatements, Statements


def load(tmp_path: Path, source: str, engine: Engine = "sqlite") -> EngineStatements:
    path = tmp_path / "queries.sql"
    path.write_text(source)
    return Statements.load([("images", path)]).for_engine(engine)


def text_of(tmp_path: Path, sql: str, engine: Engine = "sqlite") -> str:
    return load(tmp_path, f"-- it: a statement\n{sql}\n", engine).bind("images.it", {})[0]


def test_a_file_is_split_at_its_headers(tmp_path: Path) -> None:
    statements = load(
        tmp_path,
        "-- Images, as pushed.\n\n"
        "-- image_page: newest first, after a position\nSELECT 1\nFROM images\n\n"
        "-- image_2: another;\nSELECT 2;\n",
    )

    assert sorted(statements) == ["images.image_2", "images.image_page"]
    assert statements.bind("images.image_page", {})[0] == "SELECT 1\nFROM images"
    assert statements.bind("images.image_2", {})[0] == "SELECT 2"


def test_a_comment_inside_a_statement_is_no_header_and_is_left_out(tmp_path: Path) -> None:
    assert text_of(tmp_path, "SELECT 1 -- it's :one\n-- note: of 'the\nFROM /* :a */ t").split() == [
        *("SELECT", "1", "FROM", "t")
    ]


@pytest.mark.parametrize(
    ("written", "sqlite", "postgres"),
    [
        ("SELECT :a, :a_2", "SELECT :a, :a_2", "SELECT %(a)s, %(a_2)s"),
        ("SELECT :a::bigint", "SELECT :a::bigint", "SELECT %(a)s::bigint"),
        ("SELECT ':a', ':'':b'", "SELECT ':a', ':'':b'", "SELECT ':a', ':'':b'"),
        ('SELECT ":a"', 'SELECT ":a"', 'SELECT ":a"'),
        ("SELECT 7 % 2, 'x%'", "SELECT 7 % 2, 'x%'", "SELECT 7 %% 2, 'x%%'"),
        ("LIKE :a || '%'", "LIKE :a || '%'", "LIKE %(a)s || '%%'"),
        ("WHERE begin :a", "WHERE begin :a", "WHERE begin %(a)s"),
    ],
)
def test_parameters_take_the_style_of_the_engine(
    tmp_path: Path, written: str, sqlite: str, postgres: str
) -> None:
    assert text_of(tmp_path, written, "sqlite") == sqlite
    assert text_of(tmp_path, written, "postgres") == postgres


@pytest.mark.parametrize(
    ("names", "sqlite", "postgres"),
    [
        ([], "n IN (NULL) AND r = :r", "n IN (NULL) AND r = %(r)s"),
        (["x"], "n IN (:names_0) AND r = :r", "n IN (%(names_0)s) AND r = %(r)s"),
        (("x", "y"), "n IN (:names_0, :names_1) AND r = :r", "n IN (%(names_0)s, %(names_1)s) AND r = %(r)s"),
    ],
)
def test_a_sequence_is_expanded(tmp_path: Path, names: list[str], sqlite: str, postgres: str) -> None:
    for engine, expected in (("sqlite", sqlite), ("postgres", postgres)):
        statements = load(tmp_path, "-- it: some\nn IN :names AND r = :r\n", engine)  # type: ignore[arg-type]

        text, values = statements.bind("images.it", {"names": names, "r": 7})

        assert text == expected
        assert values == {"r": 7} | {f"names_{at}": name for at, name in enumerate(names)}


def test_one_length_is_expanded_once(tmp_path: Path) -> None:
    statements = load(tmp_path, "-- it: some\nn IN :a OR n in :b\n")

    first, _ = statements.bind("images.it", {"a": [1, 2], "b": [3]})
    second, values = statements.bind("images.it", {"a": [4, 5], "b": [6]})

    assert first is second
    assert first == "n IN (:a_0, :a_1) OR n IN (:b_0)"
    assert values == {"a_0": 4, "a_1": 5, "b_0": 6}


@pytest.mark.parametrize("value", ["text", b"bytes", 7, None])
def test_in_refuses_what_is_no_sequence(tmp_path: Path, value: str | bytes | int | None) -> None:
    statements = load(tmp_path, "-- it: some\nn IN :names\n")

    with pytest.raises(TypeError, match="IN :names takes a sequence"):
        statements.bind("images.it", {"names": value})


def test_an_engine_takes_its_own_variant(tmp_path: Path) -> None:
    source = (
        "-- it: of both\nSELECT 1\n\n"
        "-- it [postgres]: because\nSELECT 2\n\n"
        "-- own [sqlite]: there only\nSELECT 3\n"
    )

    sqlite, postgres = load(tmp_path, source, "sqlite"), load(tmp_path, source, "postgres")

    assert sqlite.bind("images.it", {})[0] == "SELECT 1"
    assert postgres.bind("images.it", {})[0] == "SELECT 2"
    assert list(postgres) == ["images.it"]
    assert sorted(sqlite) == ["images.it", "images.own"]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("-- it: one\nSELECT 1\n\n-- it: again\nSELECT 2\n", "images.it stands there twice"),
        ("-- it: one\n\n-- other: two\nSELECT 2\n", "it has no text"),
        ("SELECT 1\n\n-- it: one\nSELECT 2\n", "SQL before the first"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, source: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        load(tmp_path, source)


def test_a_statement_that_cannot_be_meant_is_refused_when_it_is_wanted(tmp_path: Path) -> None:
    statements = load(tmp_path, "-- it: none of\nn NOT IN :names\n")

    with pytest.raises(ValueError, match="NOT IN takes no sequence"):
        statements.bind("images.it", {"names": ["a"]})


def test_an_unknown_statement_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=r"images\.nothing"):
        load(tmp_path, "-- it: one\nSELECT 1\n").bind("images.nothing", {})


def test_discover_names_the_slices_by_their_folders() -> None:
    statements = Statements.discover("moorage").for_engine("sqlite")

    assert "repositories.by_name" in set(statements)
