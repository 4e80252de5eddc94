"""`moorage COMMAND`: parse, run the command's module, and turn its failures into one line and an exit code.

Only the command that runs is imported: the server takes longer to load than most commands to run.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from moorage import __version__
from moorage.cli.commands import COMMANDS
from moorage.cli.commands.command import Command
from moorage.cli.output import Failed, styled
from moorage.config.invalid import InvalidSettings

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
_EXIT_CODES = "exit codes:\n  0 done, 1 failed, 2 wrong usage or settings, 130 interrupted"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    arguments = make_parser(_named_by(words)).parse_args(words)
    try:
        return int(_loaded(arguments.module).run(arguments))
    except Failed as error:
        return _complain(str(error), FAILED)
    except InvalidSettings as error:
        return _complain(str(error), USAGE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # Whoever read our output has gone: there is nobody to tell.
        return FAILED


def _loaded(name: str) -> ModuleType:
    """Nothing that is loaded is garbage: to look for some takes a twentieth of the time."""
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.enable()


def _named_by(words: Sequence[str]) -> Sequence[Command]:
    """The command that is asked for, and its group: to make a parser of all takes longer than all else of some.

    All of them where none is asked for, to tell what there is.
    """
    names = {" ".join(words[:1]), " ".join(words[:2])}
    named = [command for command in COMMANDS if command.name in names]
    return named if named and not _is_group(named[-1]) else COMMANDS


def make_parser(commands: Sequence[Command] = COMMANDS) -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        "moorage",
        description="A container registry that speaks Amazon ECR, on your own machine.",
        epilog=_epilog('moorage serve\neval "$(moorage env)"\nmoorage serve --help'),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"moorage {__version__}")
    groups = {"": top.add_subparsers(title="commands", metavar="COMMAND", required=True)}
    for command in commands:
        group, _, name = command.name.rpartition(" ")
        parser = groups[group].add_parser(
            name,
            help=command.summary,
            description=command.description,
            epilog=_epilog(command.examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _fill(parser, command, groups)
    return top


def _fill(
    parser: argparse.ArgumentParser,
    command: Command,
    groups: dict[str, argparse._SubParsersAction[argparse.ArgumentParser]],
) -> None:
    if _is_group(command):
        required = command.module is None
        groups[command.name] = parser.add_subparsers(title="commands", metavar="COMMAND", required=required)
    if command.module is None:
        return
    for add_options in command.options:
        add_options(parser)
    parser.set_defaults(module=f"moorage.cli.{command.module}")


def _is_group(command: Command) -> bool:
    return any(each.name.startswith(command.name + " ") for each in COMMANDS)


def _epilog(examples: str) -> str:
    indented = "".join(f"  {line}\n" for line in examples.splitlines())
    return f"examples:\n{indented}\n{_EXIT_CODES}"


def _complain(message: str, code: int) -> int:
    print(f"{styled('moorage:', 'red', sys.stderr)} {message}", file=sys.stderr)
    return code
