"""The command: choose groups, run them, write results.json and results.md."""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator

from bench import report
from bench.cases import (
    access,
    download,
    events,
    lifecycle,
    memory,
    mixed,
    pull_through,
    replication,
    slow,
    small,
    startup,
    tags,
    upload,
)
from bench.lab import Lab, Sample, open_lab

GROUPS: dict[str, Callable[[Lab], Iterator[Sample]]] = {
    "small": small.run,
    "download": download.run,
    "upload": upload.run,
    "mixed": mixed.run,
    "startup": startup.run,
    "memory": memory.run,
    "slow": slow.run,
    "tags": tags.run,
    "access": access.run,
    "lifecycle": lifecycle.run,
    "events": events.run,
    "replication": replication.run,
    "pull-through": pull_through.run,
}


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # So that servers end and files go.
    options = _parser().parse_args()
    names = options.only.split(",") if options.only else list(GROUPS)
    if unknown := set(names) - set(GROUPS):
        sys.exit(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")

    results = report.load()
    chosen = frozenset(options.servers.split(",")) if options.servers else None
    with open_lab(quick=options.quick, rounds=options.rounds, chosen=chosen) as lab:
        for name in names:
            lab.say(f"== {name}")
            began = time.time()
            samples = list(GROUPS[name](lab))
            results[name] = report.Group(
                name=name,
                when=time.strftime("%Y-%m-%d %H:%M", time.gmtime(began)),
                quick=lab.quick,
                minutes=round((time.time() - began) / 60, 1),
                machine=lab.machine(),
                servers=lab.descriptions(),
                samples=samples,
            )
            report.write(results, order=list(GROUPS))
    print(f"wrote {report.MARKDOWN} and {report.JSON}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: a few minutes")
    parser.add_argument("--only", metavar="NAMES", help=f"comma-separated, of: {', '.join(GROUPS)}")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of every case (usually 1 to 7)")
    parser.add_argument("--servers", metavar="NAMES", help="only these columns, such as d3,moorage")
    return parser


if __name__ == "__main__":
    main()
