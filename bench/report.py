"""results.json holds every sample; results.md is drawn from it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.lab import Sample
from bench.medians import Spread, cases, ratio, spread
from bench.targets import TARGETS, Target, judge

HERE = Path(__file__).resolve().parent
JSON = HERE / "results.json"
MARKDOWN = HERE / "results.md"

# The metric whose spread and ratio to d3 a table shows.
MAIN_METRIC = {
    "small": "rps",
    "download": "MB/s",
    "upload": "MB/s",
    "mixed": "p99 ms",
    "startup": "seconds",
    "memory": "resident MiB",
    "slow": "above idle MiB",
    "tags": "rps",
    "access": "rps",
    "lifecycle": "p99 ms",
    "events": "µs",
    "replication": "ms",
    "pull-through": "ms",
}
PEER = "d3"


@dataclass(frozen=True)
class Group:
    """One group of cases as last run."""

    name: str
    when: str
    quick: bool
    minutes: float
    machine: str
    servers: list[str]
    samples: list[Sample]


def load() -> dict[str, Group]:
    """The groups of earlier runs, so that one can be measured again without the others."""
    if not JSON.exists():
        return {}
    groups = json.loads(JSON.read_text())
    return {
        group["name"]: Group(**{**group, "samples": [Sample(*row) for row in group["samples"]]})
        for group in groups
    }


def write(groups: dict[str, Group], order: Sequence[str]) -> None:
    present = [groups[name] for name in order if name in groups]
    rows = [{**asdict(group), "samples": [_row(sample) for sample in group.samples]} for group in present]
    JSON.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")
    MARKDOWN.write_text("\n".join(_markdown(present)) + "\n")


def _row(sample: Sample) -> list[str | int | float]:
    return [sample.case, sample.server, sample.round, sample.metric, float(f"{sample.value:.5g}")]


def _markdown(groups: Sequence[Group]) -> Iterator[str]:
    yield "# Results"
    yield ""
    yield "Written by `make bench`. How to read it: [README.md](README.md). Where the time goes where a target is"
    yield "missed: [analysis.md](analysis.md)."
    yield ""
    yield "## Targets"
    yield ""
    yield "| group | target | worst case | there | |"
    yield "|---|---|---|---:|---|"
    by_name = {group.name: group for group in groups}
    yield from (_target(target, by_name.get(target.group)) for target in TARGETS)
    for group in groups:
        yield from _section(group)
    yield ""
    yield "## Servers"
    yield ""
    lines = dict.fromkeys(line for group in groups for line in group.servers)
    yield from (f"- {line}" for line in lines)


def _target(target: Target, group: Group | None) -> str:
    verdict = judge(target, group.samples) if group else None
    if not verdict:
        return f"| {target.group} | {target.text} | | | not measured |"
    return f"| {target.group} | {target.text} | {verdict.case} | {_number(verdict.worst)} | {verdict.text} |"


def _section(group: Group) -> Iterator[str]:
    main = MAIN_METRIC[group.name]
    others = [metric for metric in dict.fromkeys(s.metric for s in group.samples) if metric != main]
    quick = ", quick" if group.quick else ""
    rounds = 1 + max(sample.round for sample in group.samples)
    yield ""
    yield f"## {group.name}"
    yield ""
    yield f"{group.when} UTC, {group.minutes} minutes{quick}; medians of {rounds} rounds."
    yield f"{group.machine}."
    yield ""
    titles = [title for metric in others for title in _titles(metric)]
    yield f"| case | server | {main} | min–max | × {PEER} | min–max | {' | '.join(titles)} |"
    yield "|---|---|" + "---:|" * (4 + len(titles))
    servers = list(dict.fromkeys(sample.server for sample in group.samples))
    for case in cases(group.samples, "*"):
        for server in sorted(servers):
            yield from _line(group.samples, case, server, main, others)


def _line(
    samples: Sequence[Sample], case: str, server: str, main: str, others: Sequence[str]
) -> Iterator[str]:
    value = spread(samples, case, server, main)
    if not value and not any(spread(samples, case, server, metric) for metric in others):
        return
    cells = [case, server, _number(value.median), _between(value)] if value else [case, server, "", ""]
    compared = ratio(samples, case, server, PEER, main) if server != PEER else None
    cells += [f"**{_number(compared.median)}**", _between(compared)] if compared else ["", ""]
    for metric in others:
        cells += _other(samples, case, server, metric)
    yield f"| {' | '.join(cells)} |"


def _titles(metric: str) -> list[str]:
    """CPU time is the steadiest number of a busy machine, and so has its ratio beside it."""
    return [metric, f"× {PEER}"] if metric.startswith("CPU") else [metric]


def _other(samples: Sequence[Sample], case: str, server: str, metric: str) -> list[str]:
    found = spread(samples, case, server, metric)
    cells = [_number(found.median) if found else ""]
    if metric.startswith("CPU"):
        compared = ratio(samples, case, server, PEER, metric) if server != PEER else None
        cells.append(_number(compared.median) if compared else "")
    return cells


def _between(value: Spread) -> str:
    return f"{_number(value.least)}–{_number(value.most)}"


def _number(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
