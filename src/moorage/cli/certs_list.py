"""`moorage certs list`."""

from __future__ import annotations

import argparse
import json

from moorage.cli.authority import clear_file_errors
from moorage.cli.options import settings_from
from moorage.cli.output import columns, say, styled
from moorage.server.tls import Pair, read_pairs

_NAMES_SHOWN = 3


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    with clear_file_errors():
        pairs, wrong = read_pairs(settings.certificates_folder)
    if arguments.json:
        say(json.dumps({"certificates": [_document(pair) for pair in pairs], "broken": wrong}))
        return 0
    heading = [styled(title, "bold") for title in ("CERTIFICATE", "EXPIRES", "NAMES")]
    say(*columns([heading, *(_row(pair) for pair in pairs)]))
    say(*(f"not served: {line}" for line in wrong))
    return 0


def _document(pair: Pair) -> dict[str, object]:
    return {
        "name": pair.name,
        "file": str(pair.chain.resolve()),
        "expires": pair.expires.isoformat(),
        "names": list(pair.names),
    }


def _row(pair: Pair) -> list[str]:
    names = " ".join(pair.names[:_NAMES_SHOWN])
    more = len(pair.names) - _NAMES_SHOWN
    return [pair.name, f"{pair.expires.astimezone():%Y-%m-%d}", f"{names} +{more}" if more > 0 else names]
