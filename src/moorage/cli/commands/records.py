"""What is on record: keys and their use, background work, calls."""

from __future__ import annotations

import argparse

from moorage.cli.commands.command import OPENED, Command, json_output


def _older_than(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--older-than", metavar="DAYS", help="Only keys that are at least so old.")


def _job(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=int, metavar="ID", help="Of the job, as `moorage jobs` lists it.")


def _records(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--event", metavar="NAME", help="Only calls of that operation.")
    parser.add_argument("--user", metavar="NAME", help="Only calls of that user, or session of a role.")
    parser.add_argument("--key", metavar="ID", help="Only calls with that access key.")
    parser.add_argument("--resource", metavar="NAME", help="Only calls about that repository, user or role.")
    parser.add_argument("--denied", action="store_true", help="Only calls that were refused or failed.")
    parser.add_argument("--since", metavar="TIME", help="Not before that time, ISO 8601.")
    parser.add_argument(
        "--limit", type=int, default=100, metavar="NUMBER", help="At most so many, the newest. Default: 100."
    )


def _chained(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--head",
        metavar="HASH",
        help="That an earlier check has printed: what it covered must still be there.",
    )


COMMANDS = (
    Command(
        "keys",
        "keys",
        "list access keys, how old they are and when they were last used",
        "List the access keys of all accounts, the oldest first. A key is replaced, not changed: its age\n"
        "is the time since the last rotation. Works beside the running server, which writes down the last\n"
        "use every minute.",
        "moorage keys\nmoorage keys --older-than 90 --json",
        (_older_than, OPENED, json_output),
    ),
    Command(
        "jobs",
        "jobs",
        "list the work that waits, runs or has failed",
        "List the jobs: events on their way, lifecycle runs, replication and the like. What fails is tried\n"
        "again, each time later, and stays listed when it is given up. Works beside the running server.",
        "moorage jobs\nmoorage jobs --json",
        (OPENED, json_output),
    ),
    Command(
        "jobs retry",
        "jobs_retry",
        "have a job tried again at once",
        "Have a job tried again at once, also one that was given up.",
        "moorage jobs retry 17",
        (_job, OPENED, json_output),
    ),
    Command(
        "audit",
        "audit",
        "show who did what, and what was refused",
        "Show the calls on record, the newest first; with --json as AWS CloudTrail writes them. Works beside\n"
        "the running server, which writes what happens within a second.",
        "moorage audit --resource team/app\n"
        "moorage audit --denied --since 2026-11-24T20:00:00Z\n"
        "moorage audit --user ci --event PutImage --json",
        (_records, OPENED, json_output),
    ),
    Command(
        "audit verify",
        "audit_verify",
        "check that the record was not changed",
        "Work out the chain of hashes of the record again (setting `audit_chain`). Note the hash that is\n"
        "printed elsewhere: with --head a later check shows that nothing up to it was changed.",
        "moorage audit verify\n"
        "moorage audit verify --head 0f3a5d0c7e9b1d2f4a6c8e0b2d4f6a8c0e1f3b5d7a9c2e4f6b8d0a1c3e5f7092",
        (_chained, OPENED, json_output),
    ),
)
