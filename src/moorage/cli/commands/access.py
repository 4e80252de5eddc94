"""Who may do what, and taking it back."""

from __future__ import annotations

import argparse

from moorage.cli.commands.command import DECIDED, OPENED, Command, json_output, of_account

POLICY_KINDS = ("identity", "trust", "repository", "registry", "endpoint", "scp", "rcp")


def _revoked(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--user", metavar="NAME", help="End what was issued to a user: sessions and passwords.")
    what.add_argument("--role", metavar="NAME", help="End what was issued to a role: sessions and passwords.")
    what.add_argument("--session", metavar="ID", help="End one session, by its key id ASIA…")
    what.add_argument(
        "--key", metavar="ID", help="Switch off an access key AKIA…, and what was made with it."
    )
    parser.add_argument("--before", metavar="TIME", help="Issued before that time, ISO 8601. Default: now.")
    parser.add_argument("--force", action="store_true", help="Also the last active key of its account.")
    of_account(parser)


def _analyzed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="REPOSITORY", help="Its name.")
    parser.add_argument(
        "--action",
        action="append",
        metavar="ACTION",
        help="pull, push, delete or an action as ecr:PutImage; may be given several times. Default: the three.",
    )
    parser.add_argument("--principal", metavar="ARN", help="Only that root, user or role.")
    of_account(parser)


def _checked(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="The policy; - is standard input.")
    parser.add_argument(
        "--kind",
        choices=POLICY_KINDS,
        help="What it is to be. Default: what it looks like (identity, trust or repository).",
    )


def _explained(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--principal", metavar="ARN", required=True, help="A root, user or role.")
    parser.add_argument("--action", metavar="ACTION", required=True, help="As ecr:PutImage.")
    parser.add_argument("--resource", metavar="ARN", required=True, help="An ARN, or *.")
    parser.add_argument(
        "--context",
        action="append",
        metavar="KEY=VALUE",
        help="A condition key of the request, as aws:SourceIp=10.0.0.1; may be given several times.",
    )


COMMANDS = (
    Command(
        "revoke",
        "revoke",
        "end sessions and passwords, or switch off an access key",
        "Take access back at once. A running server refuses what was ended within half a second.\n"
        "The users and roles stay, and can log in again with what holds.",
        "moorage revoke --user ci\n"
        "moorage revoke --role deploy --before 2026-11-24T20:00:00Z\n"
        "moorage revoke --session ASIA0123456789ABCDEF\n"
        "moorage revoke --key AKIA0123456789ABCDEF",
        (_revoked, OPENED, json_output),
    ),
    Command(
        "access",
        "access",
        "show who may pull, push and delete, and why",
        "Show every root, user and role that may pull from a repository, push to it or delete in it, and which\n"
        "policy says so. What depends on the request is shown as a condition. Works beside the running server.",
        "moorage access team/app\n"
        "moorage access team/app --action push --action ecr:PutImageTagMutability\n"
        "moorage access team/app --principal arn:aws:iam::123456789012:user/ci --json",
        (_analyzed, DECIDED, json_output),
    ),
    Command(
        "policy",
        None,
        "check policies and explain decisions",
        "Check policies before they are stored, and explain what was decided.",
        "moorage policy check policy.json",
    ),
    Command(
        "policy check",
        "policy_check",
        "check a policy before it is stored",
        "Say what is wrong with a policy, with line and column, and what its author may not have meant.\n"
        "Exit 1 if it cannot be stored; warnings do not count.",
        "moorage policy check policy.json\nmoorage policy check --kind trust - <trust.json",
        (_checked, json_output),
    ),
    Command(
        "policy explain",
        "policy_explain",
        "explain why somebody may or may not do something",
        "Decide as at a request, and show every statement that has a say. Exit 1 if it is denied.\n"
        "Works beside the running server.",
        "moorage policy explain --principal arn:aws:iam::123456789012:user/ci --action ecr:PutImage \\\n"
        "  --resource arn:aws:ecr:us-east-1:123456789012:repository/app --context aws:SourceIp=10.0.0.1",
        (_explained, DECIDED, json_output),
    ),
)
