"""What Moorage promises to reach, and whether it did."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.lab import Sample
from bench.medians import cases, growth, ratio, spread

Values = Callable[[Sequence[Sample]], dict[str, float]]
LARGE = ("1 GiB ×", "256 MiB ×")  # The second in a quick run.


@dataclass(frozen=True)
class Target:
    group: str
    text: str
    values: Values
    bound: float
    at_least: bool
    stretch: bool = False


@dataclass(frozen=True)
class Verdict:
    """The worst of the values a target looks at, and the case it comes from."""

    target: Target
    worst: float
    case: str

    @property
    def reached(self) -> bool:
        return self.worst >= self.target.bound if self.target.at_least else self.worst <= self.target.bound

    @property
    def text(self) -> str:
        if self.reached:
            return "reached"
        missed = abs(self.worst / self.target.bound - 1) * 100
        return f"{'stretch goal, ' if self.target.stretch else ''}missed by {missed:.0f}%"


def judge(target: Target, samples: Sequence[Sample]) -> Verdict | None:
    """None where the group did not measure what the target looks at."""
    values = target.values(samples)
    if not values:
        return None
    worst = (min if target.at_least else max)(values, key=values.__getitem__)
    return Verdict(target, values[worst], worst)


def _ratio(metric: str, server: str, peer: str, *patterns: str) -> Values:
    def values(samples: Sequence[Sample]) -> dict[str, float]:
        found = ((case, ratio(samples, case, server, peer, metric)) for case in cases(samples, *patterns))
        return {case: value.median for case, value in found if value}

    return values


def _value(metric: str, server: str, *patterns: str) -> Values:
    def values(samples: Sequence[Sample]) -> dict[str, float]:
        found = ((case, spread(samples, case, server, metric)) for case in cases(samples, *patterns))
        return {case: value.median for case, value in found if value}

    return values


def _growth(server: str, *names: str) -> Values:
    """How many times slower each request is on the largest repository than on that of ten tags."""

    def values(samples: Sequence[Sample]) -> dict[str, float]:
        found = {}
        for name in names:
            sizes = cases(samples, f"{name}, [0-9]* tags")
            grown = growth(samples, sizes[0], sizes[-1], server, "rps") if sizes else None
            if grown:
                found[sizes[-1]] = grown.median
        return found

    return values


def _share(metric: str, server: str, of: str, whole: str) -> Values:
    """A case of one caller over the same case of another, `user` over `root`."""

    def values(samples: Sequence[Sample]) -> dict[str, float]:
        found = {}
        for case in cases(samples, f"*, {of}, *"):
            part = spread(samples, case, server, metric)
            other = spread(samples, case.replace(f", {of},", f", {whole},"), server, metric)
            if part and other:
                found[case] = part.median / other.median
        return found

    return values


def _against(metric: str, server: str, busy: str, idle: str) -> Values:
    """The case `busy` over the case `idle`."""

    def values(samples: Sequence[Sample]) -> dict[str, float]:
        quiet = spread(samples, idle, server, metric)
        found = ((case, spread(samples, case, server, metric)) for case in cases(samples, busy))
        return {case: value.median / quiet.median for case, value in found if value and quiet}

    return values


def _at(*labels: str, threads: str = "[18]") -> tuple[str, ...]:
    return tuple(f"{label}{threads}" for label in labels)


TARGETS = (
    Target(
        "small", "manifest GET and HEAD ≥ 3 × d3", _ratio("rps", "moorage", "d3", "* manifest *"), 3, True
    ),
    Target("small", "blob HEAD ≥ 2 × d3", _ratio("rps", "moorage", "d3", "HEAD blob*"), 2, True),
    Target("small", "ping ≥ 1.5 × d3", _ratio("rps", "moorage", "d3", "ping*"), 1.5, True),
    Target("small", "all ≥ 10 × Debian's", _ratio("rps", "moorage", "debian", "*"), 10, True),
    Target("small", "all ≥ 6 × d3", _ratio("rps", "moorage", "d3", "*"), 6, True, stretch=True),
    Target("download", "cold, large ≥ 1 × d3", _ratio("MB/s", "moorage-cold", "d3", *_at(*LARGE)), 1, True),
    Target(
        "download", "cold, 64 MiB ×8 ≥ 0.9 × d3", _ratio("MB/s", "moorage-cold", "d3", "64 MiB ×8"), 0.9, True
    ),
    Target(
        "download", "cold, 1 MiB ≥ 1.5 × d3", _ratio("MB/s", "moorage-cold", "d3", *_at("1 MiB ×")), 1.5, True
    ),
    Target(
        "download",
        "hot ≥ 2 × d3",
        _ratio("MB/s", "moorage", "d3", *_at("1 MiB ×", "64 MiB ×", *LARGE)),
        2,
        True,
    ),
    Target("upload", "large ≥ 1 × d3", _ratio("MB/s", "moorage", "d3", *_at(*LARGE, threads="1")), 1, True),
    Target(
        "upload",
        "eight parallel ≥ 1.2 × d3",
        _ratio("MB/s", "moorage", "d3", *_at("64 MiB ×", *LARGE, threads="8")),
        1.2,
        True,
    ),
    Target("upload", "1 MiB ≥ 1.8 × d3", _ratio("MB/s", "moorage", "d3", *_at("1 MiB ×")), 1.8, True),
    Target("mixed", "p99 ≤ 25 ms beside large transfers", _value("p99 ms", "moorage", "*"), 25, False),
    Target("mixed", "the same, cache off", _value("p99 ms", "moorage-cold", "*"), 25, False),
    Target("mixed", "p99 ≤ d3's", _ratio("p99 ms", "moorage", "d3", "*"), 1, False),
    Target("mixed", "the same, cache off", _ratio("p99 ms", "moorage-cold", "d3", "*"), 1, False),
    Target("startup", "first start ≤ 0.55 s", _value("seconds", "moorage", "first start"), 0.55, False),
    Target("startup", "restart ≤ 0.4 s", _value("seconds", "moorage", "restart"), 0.4, False),
    Target("memory", "idle ≤ 90 MiB", _value("resident MiB", "moorage-capped", "idle"), 90, False),
    Target(
        "memory",
        "8 uploads ≤ 60 MiB above idle",
        _value("above idle MiB", "moorage-capped", "8 up*"),
        60,
        False,
    ),
    Target(
        "slow",
        "200 readers ≤ 150 MiB above idle",
        _value("above idle MiB", "moorage-capped", "*"),
        150,
        False,
    ),
    Target(
        "tags",
        "largest repository ≤ 1.5 × the smallest",
        _growth("moorage", "GET manifest", "tags page", "tags page in the middle", "DescribeImages page"),
        1.5,
        False,
    ),
    Target(
        "events",
        "telling adds ≤ 5 % to a push",
        _value("%", "moorage", "image *, what telling adds"),
        5,
        False,
    ),
    Target("access", "a decision ≤ 50 µs", _value("µs", "moorage", "decision*"), 50, False),
    Target("access", "both questions, /v2/ ≤ 150 µs", _value("µs", "moorage", "*, /v2/"), 150, False),
    Target("access", "both questions, API ≤ 250 µs", _value("µs", "moorage", "*, API"), 250, False),
    Target(
        "access",
        "a user's small requests ≥ 0.9 × root's",
        _share("rps", "moorage", "user", "root"),
        0.9,
        True,
    ),
    Target(
        "access",
        "nothing served to a revoked key",
        _value("served afterwards", "moorage", "revoked key"),
        0,
        False,
    ),
    Target(
        "lifecycle",
        "100,000 images, 5 rules: decided in ≤ 1 s",
        _value("seconds", "moorage", "evaluation, * 5 rules"),
        1,
        False,
    ),
    Target(
        "lifecycle",
        "p99 of small requests ≤ 25 ms while images expire",
        _value("p99 ms", "moorage", "small requests, while *"),
        25,
        False,
    ),
    Target(
        "lifecycle",
        "p99 of pulls ≤ 2 × while images expire",
        _against("p99 ms", "moorage", "pulls, while *", "pulls, idle"),
        2,
        False,
    ),
    Target(
        "lifecycle",
        "p99 of pushes ≤ 2 × while images expire",
        _against("p99 ms", "moorage", "pushes, while *", "pushes, idle"),
        2,
        False,
    ),
    Target(
        "replication",
        "an image is in the other region ≤ 2 s after its push",
        _value("ms", "moorage", "visible, *"),
        2_000,
        False,
    ),
    Target(
        "pull-through",
        "what is cached ≤ 1.2 × a local pull",
        _ratio("ms", "moorage-through", "moorage", "pull, *"),
        1.2,
        False,
    ),
    Target(
        "pull-through",
        "a layer that many miss is read upstream once",
        _value("reads upstream", "moorage-through", "* miss *"),
        1,
        False,
    ),
    Target(
        "pull-through",
        "all have the first byte of 1 GiB in ≤ 20 % of the time",
        _value("first byte, % of the last", "moorage-through", "* miss * 1024 MiB"),
        20,
        False,
    ),
    Target(
        "pull-through",
        "50 that miss it ≤ 150 MiB above idle",
        _value("above idle MiB", "moorage-through", "* miss *"),
        150,
        False,
    ),
)
