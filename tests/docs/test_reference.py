"""Options, settings and links in the documentation are those of the code."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.cli.options import option
from moorage.cli.program import make_parser
from moorage.config.settings import OPTIONS
from moorage.oci.routes import ROUTES

from .pages import CHECKOUT, PAGES

OPERATE = (CHECKOUT / "docs" / "operate.md").read_text(encoding="utf-8")
POLICIES = (CHECKOUT / "docs" / "policies.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]*)(?:#(?P<anchor>[^)]*))?\)")
CODE_PATH = re.compile(
    r"`((?:src/moorage/|base/|aws/|store/|keys/|access/|registry/|oci/|server/|cli/)[\w/.]*\.(?:py|sql))"
)


PATHS = {
    "blob": "NAME/blobs/DIGEST",
    "catalog": "_catalog",
    "discover": "_oci/ext/discover",
    "manifest": "NAME/manifests/TAG or DIGEST",
    "ping": "",
    "referrers": "NAME/referrers/DIGEST",
    "tags": "NAME/tags/list",
    "upload": "NAME/blobs/uploads/ID",
    "uploads": "NAME/blobs/uploads/",
}
# Where condition keys are filled; elsewhere they are only asked for.
FILLING = (
    "access/authorizer.py",
    "access/endpoints/endpoint.py",
    "access/grants.py",
    "access/operations/role_sessions.py",
    "access/operations/sts.py",
    "access/service_roles.py",
    "aws/operation.py",
    "aws/resources.py",
)
CONDITION_KEY = re.compile(r"\b(?:aws|ecr|iam|moorage|sts):[A-Za-z]+")


def test_settings_table_equals_the_settings() -> None:
    assert _between(OPERATE, "settings") == settings_table()


def test_table_of_requests_equals_the_routes() -> None:
    assert _between(POLICIES, "requests") == requests_table()


def test_condition_keys_are_those_that_are_filled() -> None:
    written = {key.lower() for key in CONDITION_KEY.findall(_between(POLICIES, "keys"))}
    code = "\n".join((CHECKOUT / "src/moorage" / file).read_text(encoding="utf-8") for file in FILLING)
    filled = set(re.findall(r"[\"](" + CONDITION_KEY.pattern.replace("A-Z", "") + r")(?=[\"/])", code))
    assert 'f"{service}:resourcetag/' in code

    assert written == (filled | {"iam:resourcetag"}) - {"sts:getcalleridentity"}


def test_options_of_every_command_are_documented() -> None:
    undocumented = [text for text in _options(make_parser()) if text not in OPERATE]

    assert undocumented == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    broken = [
        match[0]
        for match in LINK.finditer(page.read_text(encoding="utf-8"))
        if not _exists(page, match["path"], match["anchor"])
    ]

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = CODE_PATH.findall(page.read_text(encoding="utf-8"))

    missing = [
        path
        for path in named
        if not (CHECKOUT / path).exists() and not (CHECKOUT / "src/moorage" / path).exists()
    ]

    assert missing == []


def _between(page: str, name: str) -> str:
    """What stands between two marks."""
    return page.partition(f"<!-- {name}")[2].partition("-->\n")[2].partition(f"<!-- end of {name}")[0]


def requests_table() -> str:
    """What belongs between the two marks of docs/policies.md."""
    rows = [
        f"| `{route.method} /v2/{PATHS[route.kind]}` | "
        f"{', '.join(f'`{action}`' for action in route.actions) or 'a valid password is enough'} |"
        for route in ROUTES
    ]
    return "\n".join(["| request | action |", "|---|---|", *rows]) + "\n"


def settings_table() -> str:
    """What belongs between the two marks of docs/operate.md."""
    rows = [
        f"| `{option(item.name)}` | `MOORAGE_{item.name.upper()}` | `{item.name}` | {_default(item.default)} "
        f"| {item.metadata['help']} |"
        for item in OPTIONS.values()
    ]
    return "\n".join(["| option | variable | line | default | |", "|---|---|---|---|---|", *rows]) + "\n"


def _default(value: object) -> str:
    if value is None or value == "":
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Long options of a parser and its commands; a switch is documented by its positive form."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _options(command)
        yield from (
            text
            for text in action.option_strings[:2]
            if text.startswith("--") and not text.startswith("--no-")
        )


def _exists(page: Path, path: str, anchor: str | None) -> bool:
    target = page.parent / path if path else page
    if not target.exists():
        return False
    return anchor is None or anchor in _anchors(target.read_text(encoding="utf-8"))


def _anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
