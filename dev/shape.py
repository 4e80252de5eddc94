"""What to look at: long files and functions, wide interfaces. Watched, not enforced (docs/map.md, "Sizes")."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "moorage"
GENERATED = SOURCE / "aws" / "shapes"
FILE_LINES, FUNCTION_LINES, INTERFACE_METHODS = 500, 60, 8


def main() -> None:
    found = sorted(worth_a_look(), reverse=True)
    for size, what, where in found:
        print(f"{size:6}  {what:<10}  {where}")
    if not found:
        print(
            f"no file over {FILE_LINES} lines, no function over {FUNCTION_LINES}, "
            f"no interface over {INTERFACE_METHODS} methods"
        )


def worth_a_look() -> Iterator[tuple[int, str, str]]:
    """Size, what it counts, and where it stands."""
    for path in SOURCE.rglob("*.py"):
        if GENERATED in path.parents:
            continue
        text = path.read_text()
        name = path.relative_to(SOURCE.parents[1]).as_posix()
        if (lines := text.count("\n")) > FILE_LINES:
            yield lines, "lines", name
        for node in ast.walk(ast.parse(text)):
            yield from _of_node(node, name)


def _of_node(node: ast.AST, name: str) -> Iterator[tuple[int, str, str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES:
            yield lines, "lines", f"{name}:{node.lineno} {node.name}"
    if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases):
        methods = sum(isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) for item in node.body)
        if methods > INTERFACE_METHODS:
            yield methods, "methods", f"{name}:{node.lineno} {node.name}"


if __name__ == "__main__":
    main()
