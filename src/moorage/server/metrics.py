"""What Prometheus reads: `GET /metrics` on a listener of its own, off unless `metrics_listen` is set.

Counting is a few additions a request, also where it is answered from memory. What has to be asked of the database is
asked when somebody reads. Labels are ours: routes, operations, names of repositories; never what a stranger sent.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from moorage.access.call import Services
from moorage.access.identities import keys
from moorage.base.arn import RepositoryArn
from moorage.base.clock import SECOND
from moorage.base.http import Reply, Request
from moorage.oci.routes import Route
from moorage.registry.events import delivery
from moorage.registry.replication import statuses
from moorage.store.jobs import queue

# Seconds: a warm manifest takes microseconds, a layer of a GiB seconds.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
REPOSITORIES_MAX = 20_000
_KEYS_MAX = 1_000
_HEAD_MAX = 8_192
_HEAD_S = 5.0
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Labels = Mapping[str, str]


@dataclass(slots=True)
class Tally:
    """Of the requests of one route with one status."""

    count: int = 0
    seconds: float = 0.0
    received: int = 0
    sent: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))


@dataclass(slots=True)
class KeptTally:
    """Of the answers that are kept for one route."""

    count: int = 0
    sent: int = 0


@dataclass(slots=True)
class Pulls:
    """Of one repository: manifests that were pulled (CloudWatch, RepositoryPullCount)."""

    count: int = 0


class Metrics:
    def __init__(self) -> None:
        self._tallies: dict[tuple[str, int], Tally] = {}
        self._kept: dict[tuple[str, int], KeptTally] = {}
        self._pulls: dict[str, Pulls] = {}
        self.failed_logins = 0

    def note(self, route: str, status: int, seconds: float, received: int, sent: int) -> None:
        """A request has been answered by the pipeline."""
        tally = self._tallies.get((route, status))
        if tally is None:
            tally = self._tallies[route, status] = Tally()
        tally.count += 1
        tally.seconds += seconds
        tally.received += received
        tally.sent += sent
        tally.buckets[bisect_left(BUCKETS, seconds)] += 1

    def kept(self, route: str, status: int) -> KeptTally:
        """What is added to whenever a kept answer is given."""
        return self._kept.setdefault((route, status), KeptTally())

    def pulls(self, repository: str) -> Pulls:
        """Of a repository, by its ARN."""
        found = self._pulls.get(repository)
        if found is None:
            if len(self._pulls) >= REPOSITORIES_MAX:  # most of them are gone: a counter may begin anew
                self._pulls.clear()
            found = self._pulls[repository] = Pulls()
        return found

    def lines(self) -> Iterator[str]:
        """What is counted in memory."""
        yield from _head("requests_total", "counter", "Requests, by route and status.")
        for (route, status), count in sorted(self._counts().items()):
            yield _line("requests_total", {"route": route, "status": str(status)}, count)
        yield from _head("request_seconds", "histogram", "From the head of a request to its answer's head.")
        for (route, status), tally in sorted(self._tallies.items()):
            yield from _histogram({"route": route, "status": str(status)}, tally)
        yield from _head("kept_answers_total", "counter", "Requests answered from memory, among the others.")
        yield _line("kept_answers_total", {}, sum(each.count for each in self._kept.values()))
        yield from _head("received_bytes_total", "counter", "Bodies of requests whose length was announced.")
        yield _line("received_bytes_total", {}, sum(each.received for each in self._tallies.values()))
        yield from _head("sent_bytes_total", "counter", "Bodies of answers.")
        sent = sum(each.sent for each in self._tallies.values()) + sum(
            each.sent for each in self._kept.values()
        )
        yield _line("sent_bytes_total", {}, sent)
        yield from _head("repository_pull_count_total", "counter", "Manifests pulled (RepositoryPullCount).")
        for arn, pulls in sorted(self._pulls.items()):
            named = RepositoryArn.parse(arn)
            labels = {"account": named.account, "region": named.region, "repository": named.name}
            yield _line("repository_pull_count_total", labels, pulls.count)
        yield from _head("failed_logins_total", "counter", "Wrong passwords, signatures and tokens.")
        yield _line("failed_logins_total", {}, self.failed_logins)

    def _counts(self) -> dict[tuple[str, int], int]:
        counts = {key: tally.count for key, tally in self._tallies.items()}
        for key, kept in self._kept.items():
            counts[key] = counts.get(key, 0) + kept.count
        return counts


async def stored_lines(services: Services) -> list[str]:
    """What is asked of the database: events that wait, jobs, ages of keys."""
    now = services.clock()
    waiting, oldest = await delivery.undispatched(services.db)
    lags = await delivery.lags(services.db)
    lines = [*_head("outbox_waiting", "gauge", "Events that are not handed on yet.")]
    lines.append(_line("outbox_waiting", {}, waiting))
    lines += _head("outbox_lag_seconds", "gauge", "Age of the first of them.")
    lines.append(_line("outbox_lag_seconds", {}, _age(now, oldest)))
    lines += _head("event_target_waiting", "gauge", "Events that a target has still to get.")
    lines += [_line("event_target_waiting", {"target": lag.target}, lag.waiting) for lag in lags]
    lines += _head("event_target_lag_seconds", "gauge", "Age of the first of them.")
    lines += [
        _line("event_target_lag_seconds", {"target": lag.target}, _age(now, lag.oldest)) for lag in lags
    ]
    lines += _head("jobs", "gauge", "Jobs, by kind and state.")
    for (kind, state), count in sorted((await queue.counts(services.db)).items()):
        lines.append(_line("jobs", {"kind": kind, "state": state}, count))
    lines += _head("replication_lag_seconds", "gauge", "Age of the oldest change that is not replicated yet.")
    lines.append(_line("replication_lag_seconds", {}, await statuses.lag_us(services.db, now) / SECOND))
    lines += _head("access_key_age_seconds", "gauge", "Since an access key was made.")
    for owned in await keys.of_all(services.db, after="", limit=_KEYS_MAX):
        labels = {"access_key_id": owned.key.id, "account": owned.key.account, "status": owned.key.status}
        lines.append(_line("access_key_age_seconds", labels, _age(now, owned.key.created)))
    return lines


def is_pull(route: Route, request: Request, reply: Reply) -> bool:
    """Whether it counts as one: a manifest was given."""
    return route.kind == "manifest" and request.method == "GET" and reply.status == 200


class MetricsListener:
    """Answers one request a connection."""

    def __init__(self, services: Services, metrics: Metrics) -> None:
        self._services = services
        self._metrics = metrics

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Raise OSError."""
        return await asyncio.start_server(self._answer, host, port, limit=_HEAD_MAX)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
            status, body = await self._body(head.split(b"\r\n", 1)[0])
            writer.write(
                b"HTTP/1.1 %b\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n" % (status, len(body)) + body
            )
            async with asyncio.timeout(_HEAD_S):
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a timeout is an OSError; nobody waits for an answer
        finally:
            writer.close()

    async def _body(self, line: bytes) -> tuple[bytes, bytes]:
        method, _, rest = line.partition(b" ")
        if rest.partition(b" ")[0].partition(b"?")[0] != b"/metrics":
            return b"404 Not Found", b"GET /metrics\n"
        if method not in (b"GET", b"HEAD"):
            return b"405 Method Not Allowed", b"GET /metrics\n"
        text = "\n".join([*self._metrics.lines(), *await stored_lines(self._services), ""]).encode()
        return b"200 OK", b"" if method == b"HEAD" else text


def _histogram(labels: Labels, tally: Tally) -> Iterator[str]:
    total = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), tally.buckets, strict=True):
        total += count
        yield _line("request_seconds_bucket", {**labels, "le": bound}, total)
    yield _line("request_seconds_sum", labels, round(tally.seconds, 6))
    yield _line("request_seconds_count", labels, tally.count)


def _head(name: str, kind: str, says: str) -> tuple[str, str]:
    return f"# HELP moorage_{name} {says}", f"# TYPE moorage_{name} {kind}"


def _line(name: str, labels: Labels, value: float) -> str:
    listed = ",".join(f'{key}="{text.translate(_ESCAPED)}"' for key, text in labels.items())
    return f"moorage_{name}{{{listed}}} {value}" if listed else f"moorage_{name} {value}"


def _age(now: int, since: int | None) -> float:
    return 0 if since is None else max(now - since, 0) / SECOND
