"""`moorage certs init`."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from moorage.cli.authority import CERTIFICATE, clear_file_errors, create_authority
from moorage.cli.options import settings_from
from moorage.cli.output import say


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    with clear_file_errors():
        authority = create_authority(settings, datetime.now(UTC))
    file = str((settings.authority_folder / CERTIFICATE).resolve())
    if arguments.json:
        expires = authority.certificate.not_valid_after_utc.isoformat()
        say(json.dumps({"certificate": file, "expires": expires}))
    else:
        say(f"Authority in {file}; `moorage certs trust` says where clients need it")
    return 0
