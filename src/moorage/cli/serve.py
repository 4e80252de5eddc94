"""`moorage serve`."""

from __future__ import annotations

import argparse
import logging
import os
import resource
import shlex
import signal
import sys
from types import FrameType

import uvloop

from moorage.cli.opening import clear_errors, record_address
from moorage.cli.options import settings_from
from moorage.cli.output import say, styled
from moorage.config.settings import Settings
from moorage.server.app import Installation, serve
from moorage.server.listeners import Listeners


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("moorage").setLevel(logging.INFO)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # memory holds keys: a crash must not write it to disk
    with clear_errors(settings):
        if _make_first_certificate(settings):
            say(
                f"Certificate and authority made in {settings.certificates_folder} and {settings.authority_folder}; "
                "`moorage certs trust` says where clients need it"
            )
        uvloop.run(serve(settings, announce))
    return 0


def announce(installation: Installation, listeners: Listeners) -> None:
    """The ports are open: say where, and at the first start what to type next."""
    settings = installation.settings
    endpoint = settings.endpoint(listeners.port, listeners.secure_port)
    is_first = record_address(installation, endpoint)
    say(*_ways_in(settings, listeners))
    if is_first:
        account, credentials = installation.default.account, settings.credentials_file.resolve()
        say(f"Account {account}; root credentials in {credentials}")
    if is_first or sys.stdout.isatty():
        say(*_next_steps(settings, endpoint.partition("://")[2]))


def _make_first_certificate(settings: Settings) -> bool:
    if not settings.has_tls:
        return False
    from moorage.cli.certs_issue import make_first_certificate  # Its X.509 takes a sixth of a start.

    return make_first_certificate(settings)


def _stop(number: int, frame: FrameType | None) -> None:
    """Before the server runs, and once more after: it catches signals, stops, and raises them again."""
    sys.exit(0)


def _next_steps(settings: Settings, registry: str) -> list[str]:
    data = os.path.relpath(settings.data)
    option = "" if data == "moorage-data" else f" --data {shlex.quote(data)}"
    return [
        styled("In another terminal:", "dim"),
        f'  eval "$(moorage env{option})"',
        "  aws ecr create-repository --repository-name hello",
        f"  moorage login{option}",
        f"  docker tag IMAGE {registry}/hello:1",
        f"  docker push {registry}/hello:1",
    ]


def _ways_in(settings: Settings, listeners: Listeners) -> list[str]:
    lines = []
    if listeners.plain is not None:
        lines.append(f"Listening on http://{_bound(settings.listen, listeners.plain.port)}")
    if listeners.secure is not None:
        lines.append(f"Listening on https://{_bound(settings.listen_tls, listeners.secure.port)}")
    for listener in listeners.private:
        where = listener.path or "{}:{}".format(*listener.socket.getsockname()[:2])
        lines.append(f"Listening on {where} as {listener.name}")
    return lines


def _bound(address: str, port: int) -> str:
    """As it was asked for, with the port that it became."""
    return f"{address.rpartition(':')[0]}:{port}"
