"""The documentation as the tests read it: pages, sections, and the blocks that a reader would type.

    sh                what is typed; it succeeds
    console           a transcript: what stands after `$ ` is typed
    console refused   the same, but each command fails and says what stands under it; `…` is anything
    toml              under the line `# moorage.toml`: the configuration of the server

A page is typed section by section, each on a machine of its own; one with the line `<!-- typed as a whole -->` is one
section.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PAGES = sorted([CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *(CHECKOUT / "docs").rglob("*.md")])
COMMAND_PAGES = [page for page in PAGES if page.parent.name != "adr"]

_WHOLE = "\n<!-- typed as a whole -->\n"
_BLOCK = re.compile(r"^```(?P<language>[a-z ]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_CONFIGURATION = "# moorage.toml\n"
_EXCHANGE = re.compile(r"((?:.*\\\n)*.*)\n?((?s:.*))")
_HEADING = re.compile(r"^#{2,} (?P<title>.+)$", re.MULTILINE)
_PROGRAM = re.compile(
    r"(?:^|[|(] ?)(buildah|crane|ctr|docker|helm|openssl|oras|podman|skopeo)(?= )", re.MULTILINE
)


@dataclass(frozen=True)
class Section:
    """What is typed in one section, after the blocks before the page's first heading."""

    page: str
    title: str
    blocks: tuple[str, ...]
    configuration: str = ""

    @property
    def server(self) -> str | None:
        """The block that a reader would leave running in a terminal of its own."""
        return next((block for block in self.blocks if _serves(block)), None)

    @property
    def script(self) -> str:
        return "\n".join(block for block in self.blocks if not _serves(block))

    @property
    def programs(self) -> list[str]:
        """What it takes besides Moorage and the AWS CLI."""
        return sorted(set(_PROGRAM.findall(self.script)))


def sections() -> list[Section]:
    """All sections with commands."""
    return [section for page in COMMAND_PAGES for section in _sections_of(page) if section.blocks]


def _sections_of(page: Path) -> list[Section]:
    text = page.read_text(encoding="utf-8")
    name = str(page.relative_to(CHECKOUT))
    if _WHOLE in text:
        return [Section(name, "as a whole", _commands(text), _configuration(text))]
    parts = _HEADING.split(_without_headings_in_blocks(text))
    opening = _commands(parts[0])
    named = zip(parts[1::2], parts[2::2], strict=True)
    return [
        Section(name, title, (*opening, *commands), _configuration(part))
        for title, part in named
        if (commands := _commands(part))
    ]


def _without_headings_in_blocks(text: str) -> str:
    """A comment in a shell script is not a heading."""
    return _BLOCK.sub(lambda block: block[0].replace("\n##", "\n #"), text)


def _commands(text: str) -> tuple[str, ...]:
    typed = {"console": _prompted, "console refused": refused, "sh": str}
    return tuple(
        typed[block["language"]](block["text"])
        for block in _BLOCK.finditer(text)
        if block["language"] in typed
    )


def _configuration(text: str) -> str:
    found = [block["text"] for block in _BLOCK.finditer(text) if block["language"] == "toml"]
    return next((text for text in found if text.startswith(_CONFIGURATION)), "")


def _prompted(text: str) -> str:
    """Of a transcript, what was typed."""
    return "".join(
        line.removeprefix("$ ") for line in text.splitlines(keepends=True) if line.startswith("$ ")
    )


def refused(text: str) -> str:
    """Of a transcript of refusals, what was typed and what was said, for the function `refused` of the shell."""
    lines = []
    for exchange in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        typed, said = _EXCHANGE.fullmatch(exchange).groups()  # type: ignore[union-attr]  # matches everything
        lines.append(f"refused {shlex.quote(typed)} {shlex.quote(' '.join(said.split()))}\n")
    return "".join(lines)


def _serves(block: str) -> bool:
    return block.startswith(("make run", "moorage serve"))
