"""Medians and paired ratios over samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import median

from bench.lab import Sample


@dataclass(frozen=True)
class Spread:
    median: float
    least: float
    most: float


def spread(samples: Sequence[Sample], case: str, server: str, metric: str) -> Spread | None:
    """Over the rounds; None where nothing was measured."""
    values = list(_by_round(samples, case, server, metric).values())
    return Spread(median(values), min(values), max(values)) if values else None


def ratio(samples: Sequence[Sample], case: str, server: str, peer: str, metric: str) -> Spread | None:
    """`server` to `peer`, formed within each round: what disturbed the round disturbed both."""
    ours = _by_round(samples, case, server, metric)
    theirs = _by_round(samples, case, peer, metric)
    values = [ours[round_] / theirs[round_] for round_ in ours if theirs.get(round_)]
    return Spread(median(values), min(values), max(values)) if values else None


def growth(samples: Sequence[Sample], small: str, large: str, server: str, metric: str) -> Spread | None:
    """The case `small` to the case `large` on one server, within each round."""
    before = _by_round(samples, small, server, metric)
    after = _by_round(samples, large, server, metric)
    values = [before[round_] / after[round_] for round_ in before if after.get(round_)]
    return Spread(median(values), min(values), max(values)) if values else None


def cases(samples: Sequence[Sample], *patterns: str) -> list[str]:
    """The cases that match one of the patterns (fnmatch), in the order of the run."""
    found = dict.fromkeys(sample.case for sample in samples)
    return [case for case in found if any(fnmatchcase(case, pattern) for pattern in patterns)]


def _by_round(samples: Sequence[Sample], case: str, server: str, metric: str) -> dict[int, float]:
    return {
        sample.round: sample.value
        for sample in samples
        if (sample.case, sample.server, sample.metric) == (case, server, metric)
    }
