"""`moorage certs issue`, and what `moorage serve` does by itself where there is no certificate yet."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from moorage.base.names import is_account_id, is_region
from moorage.cli.authority import CERTIFICATE, DAYS, clear_file_errors, create_authority, read_authority
from moorage.cli.options import settings_from
from moorage.cli.output import Failed, say
from moorage.config.settings import Settings

NAME = "server"
DAYS_MAX = 3_650
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_LOCAL = ("localhost", "127.0.0.1", "::1")
_REGISTRIES = (
    "{account}.dkr.ecr.{region}.amazonaws.com",
    "{account}.dkr-ecr.{region}.on.aws",
    "{account}.dkr.ecr.{region}.localhost",
)
_OF_A_REGION = (
    "api.ecr.{region}.amazonaws.com",
    "ecr.{region}.api.aws",
    "sts.{region}.amazonaws.com",
    "ec2.{region}.amazonaws.com",
)
_GLOBAL = (
    "sts.amazonaws.com",
    "iam.amazonaws.com",
    "public.ecr.aws",
    "api.ecr-public.us-east-1.amazonaws.com",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a certificate is to be good for; what is empty has a default."""

    hosts: Sequence[str] = ()
    accounts: Sequence[str] = ()
    regions: Sequence[str] = ()


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    wanted = Wanted(arguments.hosts or (), arguments.accounts or (), arguments.regions or ())
    hosts = hosts_of(settings, wanted)
    if not _NAME.fullmatch(arguments.name):
        raise Failed(f"'{arguments.name}' is no name of a file: 1 to 64 letters, digits, '.', '_' and '-'")
    if not 0 < arguments.days <= DAYS_MAX:
        raise Failed(f"--days is {arguments.days}: 1 to {DAYS_MAX}")
    file = settings.certificates_folder / f"{arguments.name}.pem"
    with clear_file_errors():
        issued = read_authority(settings).sign_server(hosts, arguments.days, datetime.now(UTC))
        issued.write(file, file.with_suffix(".key"))
    expires = issued.certificate.not_valid_after_utc
    if arguments.json:
        document = {"certificate": str(file.resolve()), "expires": expires.isoformat(), "names": hosts}
        say(json.dumps(document))
    else:
        say(
            f"Certificate in {file.resolve()}, until {expires:%Y-%m-%d}, for:",
            *(f"  {host}" for host in hosts),
        )
    return 0


def hosts_of(settings: Settings, wanted: Wanted) -> list[str]:
    """All names, each once. Raise `Failed` for what is no account or region."""
    for account in wanted.accounts:
        if not is_account_id(account):
            raise Failed(f"--account is '{account}': an account id has 12 digits")
    for region in wanted.regions:
        if not is_region(region):
            raise Failed(f"--region is '{region}': a label of 2 to 25 characters a-z, 0-9 and -")
    accounts, regions = wanted.accounts or ("*",), wanted.regions or (settings.region,)
    hosts = list(wanted.hosts) or [settings.hostname, *_LOCAL, *settings.aliases]
    for region in regions:
        hosts += [
            shape.format(account=account, region=region) for account in accounts for shape in _REGISTRIES
        ]
        hosts += [shape.format(region=region) for shape in _OF_A_REGION]
        if settings.domain:
            hosts += [f"{account}.{region}.{settings.domain}" for account in accounts]
    if settings.domain:
        hosts.append(settings.domain)
    return list(dict.fromkeys([*hosts, *_GLOBAL]))


def make_first_certificate(settings: Settings) -> bool:
    """Where TLS is served and nothing is there to serve it with. True if one was made; raise `Failed`."""
    folder = settings.certificates_folder
    if not settings.has_tls or any(folder.glob("*.pem")):
        return False
    now = datetime.now(UTC)
    has_authority = (settings.authority_folder / CERTIFICATE).exists()
    authority = read_authority(settings) if has_authority else create_authority(settings, now)
    issued = authority.sign_server(hosts_of(settings, Wanted()), DAYS, now)
    issued.write(folder / f"{NAME}.pem", folder / f"{NAME}.key")
    return True
