"""Identity providers whose tokens begin sessions."""

from __future__ import annotations

import argparse

from moorage.cli.commands.command import OPENED, Command, json_output


def _trusted_issuer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--issuer", required=True, metavar="URL", help="As the `iss` of its tokens has it.")
    parser.add_argument(
        "--audience",
        action="append",
        dest="audiences",
        metavar="TEXT",
        help="What its tokens are for; may be given several times. Default: sts.amazonaws.com.",
    )
    parser.add_argument(
        "--jwks", metavar="FILE", help="Its public keys (JSON Web Key Set). Default: it is asked, over HTTPS."
    )
    parser.add_argument(
        "--account", dest="id", metavar="ID", help="Whose roles it is for. Default: the default account."
    )


COMMANDS = (
    Command(
        "oidc",
        None,
        "trust and list identity providers",
        "Trust and list the OpenID Connect providers whose tokens begin sessions of roles.",
        "moorage oidc list",
    ),
    Command(
        "oidc trust",
        "oidc_trust",
        "trust an identity provider, also one that cannot be reached",
        "Trust a provider as `aws iam create-open-id-connect-provider` does. With --jwks its keys are those\n"
        "of the file and it is never asked: for clusters without a public issuer, whose URL may then be\n"
        "http. Doing it again replaces audiences and keys. Works beside the running server.",
        "moorage oidc trust --issuer https://token.actions.githubusercontent.com\n"
        "kubectl get --raw /openid/v1/jwks > jwks.json\n"
        "moorage oidc trust --issuer https://kubernetes.default.svc.cluster.local --jwks jwks.json",
        (_trusted_issuer, OPENED, json_output),
    ),
    Command(
        "oidc list",
        "oidc_list",
        "list the identity providers",
        "List the providers of all accounts. Works beside the running server.",
        "moorage oidc list\nmoorage oidc list --json",
        (OPENED, json_output),
    ),
)
