"""`moorage env`."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping

from moorage.cli.options import settings_from
from moorage.cli.output import say
from moorage.cli.profile import PROFILE, stored_profile

# Each would win over the profile: botocore asks the environment first, even where AWS_PROFILE is set.
_WINNING = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_PROFILE",
    "AWS_ENDPOINT_URL_ECR",
    "AWS_ENDPOINT_URL_MOORAGE",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_ROLE_ARN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    profile = stored_profile(settings)
    variables = {
        "AWS_SHARED_CREDENTIALS_FILE": str(settings.credentials_file.resolve()),
        "AWS_PROFILE": PROFILE,
        "AWS_REGION": profile.region,
        "AWS_DEFAULT_REGION": profile.region,
        "AWS_ENDPOINT_URL": profile.endpoint,
    }
    if profile.authority is not None:
        variables["AWS_CA_BUNDLE"] = str(profile.authority)
    removed = winning(os.environ)
    if arguments.json:
        say(json.dumps({"set": variables, "unset": removed}))
        return 0
    export, unset = _SYNTAX[arguments.shell]
    say(*(unset(name) for name in removed), *(export(name, value) for name, value in variables.items()))
    return 0


def winning(environment: Mapping[str, str]) -> list[str]:
    """Variables in `environment` that would win over the profile."""
    return [name for name in _WINNING if name in environment]


def _quoted(value: str, quote: str) -> str:
    """In single quotes; `quote` stands for one inside."""
    return "'" + value.replace("'", quote) + "'"


def _fish(value: str) -> str:
    return _quoted(value.replace("\\", "\\\\"), "\\'")


_SYNTAX: dict[str, tuple[Callable[[str, str], str], Callable[[str], str]]] = {
    "fish": (lambda name, value: f"set -gx {name} {_fish(value)}", lambda name: f"set -e {name}"),
    "powershell": (
        lambda name, value: f"$Env:{name} = {_quoted(value, chr(39) * 2)}",
        lambda name: f"Remove-Item Env:{name}",
    ),
    "sh": (
        lambda name, value: f"export {name}={_quoted(value, chr(39) + chr(92) + chr(39) + chr(39))}",
        lambda name: f"unset {name}",
    ),
}
