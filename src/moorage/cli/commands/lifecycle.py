"""Lifecycle policies: applied, explained, and what they must not take."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from moorage.cli.commands.command import DECIDED, Command, json_output, of_account
from moorage.cli.options import add_settings


def _applied(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "repositories", nargs="*", metavar="REPOSITORY", help="Default: all that have a lifecycle policy."
    )
    parser.add_argument("--dry-run", action="store_true", help="Show what would go, and change nothing.")
    of_account(parser)


def _lifecycle_explained(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="REPOSITORY", help="Its name.")
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="A lifecycle policy to try. Default: the one it has."
    )
    of_account(parser)


def _default_policy(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--put", type=Path, metavar="FILE", help="Have this one from now on.")
    what.add_argument("--remove", action="store_true", help="Have none from now on.")
    of_account(parser)


def _used_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="REPOSITORY@DIGEST", help="The image.")
    parser.add_argument("--by", required=True, metavar="NAME", help="Who runs it: a cluster, a host.")
    of_account(parser)


def _protected(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--until", metavar="TIME", help="When that ends, ISO 8601. Default: when it is taken back."
    )
    parser.set_defaults(verb="protect")
    _used_image(parser)


def _unprotected(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verb="unprotect")
    _used_image(parser)


def _uses(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="REPOSITORY", help="Its name.")
    parser.set_defaults(verb="uses")
    of_account(parser)


def _undeleted(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "image", metavar="REPOSITORY[@DIGEST]", help="The image; without a digest, what can be is listed."
    )
    of_account(parser)


COMMANDS = (
    Command(
        "lifecycle",
        None,
        "apply lifecycle policies, and say what they decide",
        "Apply lifecycle policies now, and say what they decide about each image.",
        "moorage lifecycle explain team/app\nmoorage lifecycle run --dry-run",
    ),
    Command(
        "lifecycle run",
        "lifecycle_run",
        "apply lifecycle policies now",
        "Have the running server apply lifecycle policies now instead of within the hour, and wait for it.\n"
        "With --dry-run nothing is changed, and no server is needed.",
        "moorage lifecycle run\nmoorage lifecycle run team/app --dry-run --json",
        (_applied, DECIDED, json_output),
    ),
    Command(
        "lifecycle explain",
        "lifecycle_explain",
        "say for each image which rule decides, and why",
        "Say for each image of a repository which rule of its lifecycle policy decides about it, what would\n"
        "happen and why; --policy tries another policy. Nothing is changed. Works beside the running server.",
        "moorage lifecycle explain team/app\nmoorage lifecycle explain team/app --policy policy.json --json",
        (
            _lifecycle_explained,
            partial(add_settings, names=("data", "region", "root_key_file", "lifecycle_extensions")),
            json_output,
        ),
    ),
    Command(
        "lifecycle default",
        "lifecycle_default",
        "show or change the policy of repositories without one",
        "Show the lifecycle policy of all repositories that have none of their own, put one, or remove it.\n"
        "It may have Moorage's extensions. Works beside the running server.",
        "moorage lifecycle default\nmoorage lifecycle default --put policy.json",
        (_default_policy, DECIDED, json_output),
    ),
    Command(
        "lifecycle protect",
        "lifecycle_uses",
        "say that an image is in use, so that no policy takes it",
        "Register an image as in use by a cluster or a host: no lifecycle policy takes it. Works beside the\n"
        "running server.",
        "moorage lifecycle protect team/app@sha256:… --by cluster-1\n"
        "moorage lifecycle protect team/app@sha256:… --by cluster-1 --until 2027-01-01T00:00:00Z",
        (_protected, DECIDED, json_output),
    ),
    Command(
        "lifecycle unprotect",
        "lifecycle_uses",
        "say that an image is no longer in use",
        "Take back that an image is in use. Works beside the running server.",
        "moorage lifecycle unprotect team/app@sha256:… --by cluster-1",
        (_unprotected, DECIDED, json_output),
    ),
    Command(
        "lifecycle uses",
        "lifecycle_uses",
        "list which images are in use, and by whom",
        "List the images of a repository that are registered as in use. Works beside the running server.",
        "moorage lifecycle uses team/app\nmoorage lifecycle uses team/app --json",
        (_uses, DECIDED, json_output),
    ),
    Command(
        "lifecycle undelete",
        "lifecycle_undelete",
        "bring back an image that a policy took",
        "Bring back an image that a lifecycle policy took within the last --undelete-hours of the server, with\n"
        "those of its tags that nobody has set since. Without a digest, list what can be brought back.",
        "moorage lifecycle undelete team/app\nmoorage lifecycle undelete team/app@sha256:…",
        (_undeleted, DECIDED, json_output),
    ),
)
