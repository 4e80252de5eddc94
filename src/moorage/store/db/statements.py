"""Named SQL: what stands in the `queries.sql` of the slices, addressed as `slice.name`.

A statement is a header line and the text up to the next header;
a header follows an empty line or opens the file:

    -- image_page: newest first, after a position
    SELECT id, digest FROM images WHERE repository = :repository ORDER BY pushed DESC, digest LIMIT :limit

    -- claim [postgres]: skips what another node has locked
    ...

`:name` is a value; `IN :name` takes a sequence. One text serves both engines unless a header names an engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal

from moorage.store.db.api import Value

Engine = Literal["sqlite", "postgres"]

_HEADER = re.compile(
    r"(?:\A|(?<=\n\n))-- (?P<name>[a-z][a-z0-9_]*)(?: \[(?P<engine>sqlite|postgres)\])?: \S.*$", re.MULTILINE
)
_TOKEN = re.compile(
    r"""(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")"""
    r"|(?P<comment>--[^\n]*|/\*.*?\*/)"
    r"|(?P<cast>::)"
    r"|(?P<not_in>\bNOT\s+IN\s+:)"
    r"|\bIN\s+:(?P<sequence>[a-z][a-z0-9_]*)"
    r"|:(?P<value>[a-z][a-z0-9_]*)"
    r"|(?P<percent>%)",
    re.DOTALL | re.IGNORECASE,
)


class Statements:
    """The statements of all slices, as written. An engine takes its own with `for_engine`."""

    def __init__(self, texts: Mapping[tuple[str, Engine | None], str]) -> None:
        self._texts = dict(texts)

    @classmethod
    def discover(cls, package: str = "moorage") -> Statements:
        """Every `queries.sql` below a package; the folder is the slice."""
        return cls.load(_queries_below(resources.files(package)))

    @classmethod
    def load(cls, sources: Iterable[tuple[str, Traversable]]) -> Statements:
        """`sources` are pairs of a slice and its file. Two statements of one name raise `ValueError`."""
        texts: dict[tuple[str, Engine | None], str] = {}
        for slice_, path in sources:
            for name, engine, text in _split(path.read_text(encoding="utf-8"), str(path)):
                key = (f"{slice_}.{name}", engine)
                if key in texts:
                    raise ValueError(f"{path}: the statement {key[0]} stands there twice")
                texts[key] = text
        return cls(texts)

    def for_engine(self, engine: Engine) -> EngineStatements:
        names = {name for name, _ in self._texts}
        chosen = {name: self._texts.get((name, engine)) or self._texts.get((name, None)) for name in names}
        return EngineStatements({name: text for name, text in chosen.items() if text is not None}, engine)


class EngineStatements:
    """The statements in one engine's parameter style. Each is translated when it is first wanted: most wait long."""

    def __init__(self, texts: Mapping[str, str], engine: Engine) -> None:
        self._texts = dict(texts)
        self._engine = engine
        self._statements: dict[str, _Statement] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def bind(self, name: str, values: Mapping[str, Value]) -> tuple[str, dict[str, Value]]:
        """The text to execute and its values, sequences expanded. An unknown name raises `KeyError`."""
        statement = self._statements.get(name) or self._translated(name)
        if not statement.sequences:
            return statement.text, values if isinstance(values, dict) else dict(values)
        return statement.expand(values)

    def _translated(self, name: str) -> _Statement:
        statement = self._statements[name] = _Statement(name, self._texts[name], self._engine)
        return statement


class _Statement:
    """One statement in one engine's style. `text` is complete if it takes no sequence."""

    def __init__(self, name: str, text: str, engine: Engine) -> None:
        self._open, self._close = (":", "") if engine == "sqlite" else ("%(", ")s")
        self._percent = "%" if engine == "sqlite" else "%%"
        self._expanded: dict[tuple[int, ...], str] = {}
        self._parts: list[str] = []
        self.sequences: list[str] = []
        self._scan(name, text)
        self.text = "".join(self._parts)

    def expand(self, values: Mapping[str, Value]) -> tuple[str, dict[str, Value]]:
        sequences = {name: _sequence(name, values[name]) for name in self.sequences}
        lengths = tuple(map(len, sequences.values()))
        text = self._expanded.get(lengths)
        if text is None:
            text = self._expanded[lengths] = self._text_of(sequences)
        flat = {name: value for name, value in values.items() if name not in sequences}
        for name, sequence in sequences.items():
            for position, value in enumerate(sequence):
                flat[f"{name}_{position}"] = value
        return text, flat

    def _scan(self, name: str, text: str) -> None:
        """Translate the parameters. The parts at odd places are the names of sequences."""
        part, end = "", 0
        for token in _TOKEN.finditer(text):
            part += text[end : token.start()]
            end = token.end()
            match token.lastgroup:
                case "comment":
                    pass
                case "not_in":
                    raise ValueError(f"{name}: NOT IN takes no sequence; NULL and emptiness make it a trap")
                case "sequence":
                    self._parts += [part, token["sequence"]]
                    self.sequences.append(token["sequence"])
                    part = ""
                case "value":
                    part += f"{self._open}{token['value']}{self._close}"
                case _:
                    part += token[0].replace("%", self._percent)
        self._parts.append(part + text[end:])

    def _text_of(self, sequences: Mapping[str, Sequence[object]]) -> str:
        parts = list(self._parts)
        for at in range(1, len(parts), 2):
            name = parts[at]
            places = (f"{self._open}{name}_{i}{self._close}" for i in range(len(sequences[name])))
            # `IN (NULL)` is never true, and both engines give NULL the type of the left side.
            parts[at] = f"IN ({', '.join(places) or 'NULL'})"
        return "".join(parts)


def _queries_below(folder: Traversable) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name == "queries.sql":
            yield folder.name, entry
        elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
            yield from _queries_below(entry)


def _split(source: str, path: str) -> Iterator[tuple[str, Engine | None, str]]:
    headers = list(_HEADER.finditer(source))
    preface = source[: headers[0].start()] if headers else source
    if any(line.strip() and not line.startswith("--") for line in preface.splitlines()):
        raise ValueError(f"{path}: SQL before the first `-- name: comment` line")
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        text = source[header.end() : following.start() if following else None].strip().rstrip(";")
        if not text:
            raise ValueError(f"{path}: the statement {header['name']} has no text")
        engine: Engine | None = "postgres" if header["engine"] == "postgres" else None
        yield header["name"], "sqlite" if header["engine"] == "sqlite" else engine, text


def _sequence(name: str, value: Value) -> Sequence[int | str | bytes]:
    if value is None or isinstance(value, int | str | bytes):
        raise TypeError(f"IN :{name} takes a sequence, not {type(value).__name__}")
    return value
