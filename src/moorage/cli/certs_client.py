"""`moorage certs client`: what a client shows on a listener with `client_ca`."""

from __future__ import annotations

import argparse
import json
import re
from datetime import UTC, datetime

from moorage.cli.authority import clear_file_errors, read_authority
from moorage.cli.certs_issue import DAYS_MAX
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, say

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?")
_URI = re.compile(r"[a-z][a-z0-9+.-]{0,31}://[!-~]{1,500}")


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    name = arguments.client
    if not _NAME.fullmatch(name):
        raise Failed(f"'{name}' is no name of a client: 1 to 64 characters a-z, 0-9, '.' and '-'")
    uri = arguments.uri or f"spiffe://{settings.hostname}/{name}"
    if not _URI.fullmatch(uri):
        raise Failed(f"--uri is '{uri}': for instance spiffe://{settings.hostname}/{name}")
    if not 0 < arguments.days <= DAYS_MAX:
        raise Failed(f"--days is {arguments.days}: 1 to {DAYS_MAX}")
    file = settings.data / "clients" / f"{name}.pem"
    with clear_file_errors():
        issued = read_authority(settings).sign_client(name, uri, arguments.days, datetime.now(UTC))
        issued.write(file, file.with_name(f"{name}.key"))
    expires = issued.certificate.not_valid_after_utc
    if arguments.json:
        say(json.dumps({"certificate": str(file.resolve()), "expires": expires.isoformat(), "identity": uri}))
    else:
        say(f"Certificate of {uri} in {file.resolve()}, until {expires:%Y-%m-%d}; its key is beside it")
    return 0
