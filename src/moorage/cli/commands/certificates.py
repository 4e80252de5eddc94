"""Certificates for HTTPS and for clients."""

from __future__ import annotations

import argparse
from functools import partial

from moorage.cli.commands.command import WHERE, Command, json_output
from moorage.cli.options import add_settings


def _new_certificate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        action="append",
        dest="hosts",
        metavar="NAME",
        help="A name or address of the server; may be given several times. Default: this machine, --hostname, aliases.",
    )
    parser.add_argument(
        "--account",
        action="append",
        dest="accounts",
        metavar="ID",
        help="An account for ECR's names; may be given several times. Default: all, by a wildcard.",
    )
    parser.add_argument(
        "--region",
        action="append",
        dest="regions",
        metavar="LABEL",
        help="A region for ECR's names; may be given several times. Default: the default region.",
    )
    parser.add_argument(
        "--name", default="server", metavar="NAME", help="Of the pair of files. Default: server."
    )


def _days(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--days", type=int, default=397, metavar="NUMBER", help="How long it is good. Default: 397."
    )


def _client(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("client", metavar="NAME", help="Of the client.")
    parser.add_argument("--uri", metavar="URI", help="Its identity. Default: spiffe://HOSTNAME/NAME.")


def _registry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="HOST:PORT", help="The registry, as it stands in names of images.")


_CERTIFIED = partial(add_settings, names=("data", "certificates", "hostname", "domain"))
_TRUSTED = partial(add_settings, names=("data", "listen_tls", "hostname"))

COMMANDS = (
    Command(
        "certs",
        None,
        "make and list certificates",
        "Make and list certificates for HTTPS.",
        "moorage certs init\nmoorage certs issue\nmoorage certs trust",
    ),
    Command(
        "certs init",
        "certs_init",
        "make a certificate authority",
        "Make a certificate authority in DIR/ca, good for 10 years. Its key (mode 0600) signs what the other\n"
        "commands make; `moorage serve --listen-tls` makes one by itself where there is none.",
        "moorage certs init",
        (WHERE, json_output),
    ),
    Command(
        "certs issue",
        "certs_issue",
        "make a certificate for the server",
        "Make a certificate, signed by the authority, in the directory of certificates. It is good for the names\n"
        "of this machine and for ECR's names of the region. A running server takes it up by itself.",
        "moorage certs issue\n"
        "moorage certs issue --host registry.example --host 10.0.0.5 --days 90\n"
        "moorage certs issue --name office --account 123456789012 --region home-1",
        (_new_certificate, _days, _CERTIFIED, json_output),
    ),
    Command(
        "certs client",
        "certs_client",
        "make a certificate for a client",
        "Make a certificate for a client of a private listener with `client_ca`, in DIR/clients.",
        "moorage certs client builder\nmoorage certs client builder --uri spiffe://example/builder --days 30",
        (_client, _days, partial(add_settings, names=("data", "hostname")), json_output),
    ),
    Command(
        "certs trust",
        "certs_trust",
        "print how clients come to trust the authority",
        "Print, for each client, the commands that make it trust the authority. Nothing is run.",
        "moorage certs trust\nmoorage certs trust --host registry.example",
        (_registry, _TRUSTED, json_output),
    ),
    Command(
        "certs list",
        "certs_list",
        "list the certificates that are served",
        "List the certificates that are served, with their names and when they expire.",
        "moorage certs list\nmoorage certs list --json",
        (partial(add_settings, names=("data", "certificates")), json_output),
    ),
)
