"""What lifecycle policies cost: deciding about 100,000 images; what pushes and pulls notice while thousands expire."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from bench.cases.small import measured, requests_of
from bench.content import MIB, manifest
from bench.images import at_once, percentile, pull, push
from bench.lab import LAYERS, REPOSITORY, Lab, Sample, refuse_errors
from bench.servers import MOORAGE, Running, ecr
from moorage.registry.lifecycle.evaluate import DAY, ImageFacts, evaluate
from moorage.registry.lifecycle.policy import Policy, parse

ROUNDS = 3
IMAGES = 100_000
EXPIRING = 10_000
FILL_CONNECTIONS = 16
CONNECTIONS = 4
SHARD = 0.5  # seconds of small requests for each measurement
AT_ONCE = 100  # images pushed or pulled for each measurement
NOW = 20_000 * DAY


def run(lab: Lab) -> Iterator[Sample]:
    images = _images(IMAGES)
    for round_ in range(lab.rounds(ROUNDS)):
        for rules in (5, 50):
            lab.say(f"lifecycle: {IMAGES:,} images, {rules} rules, round {round_ + 1}")
            seconds = _evaluated(images, _policy(rules))
            case = f"evaluation, {IMAGES:,} images, {rules} rules"
            yield Sample(case, MOORAGE.name, round_, "seconds", seconds)
    with lab.serving(MOORAGE) as [server]:
        yield from _while_images_expire(lab, server, 1_000 if lab.quick else EXPIRING)


def _images(count: int) -> list[ImageFacts]:
    """One in three untagged, one a second."""
    return [
        ImageFacts(
            n,
            f"sha256:{n:064x}",
            (f"prod-{n}", f"build-{n % 97}") if n % 3 else (),
            NOW - n * 1_000_000,
        )
        for n in range(count)
    ]


def _policy(rules: int) -> Policy:
    made: list[dict[str, Any]] = [
        _rule(n, tagStatus="tagged", tagPatternList=[f"build-{n}*"], countNumber=10)
        for n in range(1, rules - 1)
    ]
    made.append(_rule(rules - 1, tagStatus="untagged", countNumber=100))
    made.append(_rule(rules, tagStatus="any", countNumber=100))
    return parse(json.dumps({"rules": made}))


def _rule(priority: int, **selection: Any) -> dict[str, Any]:
    return {
        "rulePriority": priority,
        "selection": {"countType": "imageCountMoreThan", **selection},
        "action": {"type": "expire"},
    }


def _evaluated(images: Sequence[ImageFacts], policy: Policy) -> float:
    began = time.perf_counter()
    taken = evaluate(images, policy, NOW).taken
    seconds = time.perf_counter() - began
    assert taken
    return seconds


def _while_images_expire(lab: Lab, server: Running, count: int) -> Iterator[Sample]:
    """Pushes and pulls are of another repository; the pushes wait for the same writes."""
    blobs = lab.maker.blobs(1 + LAYERS, MIB)
    wanted = requests_of(lab.push_image(server, blobs))
    lab.put_manifests(server, REPOSITORY, [(manifest(blobs[0], blobs[1:]), "1")])
    requests = [wanted["GET manifest by tag"], wanted["HEAD blob"]]
    shards = (
        lambda when, round_: measured(
            lab, server, requests, CONNECTIONS, SHARD, f"small requests, {when}", round_
        ),
        partial(_images_timed, "pulls", partial(pull, server, REPOSITORY, blobs)),
        partial(_images_timed, "pushes", partial(push, server, REPOSITORY)),
    )
    _fill(lab, server, count)
    for round_ in range(1 + ROUNDS):
        samples = [sample for shard in shards for sample in shard("idle", round_)]
        yield from samples if round_ else ()  # The first warms.
    client = ecr(server)
    keep_one = json.dumps({"rules": [_rule(1, tagStatus="any", countNumber=1)]})
    client.put_lifecycle_policy(repositoryName="expiring", lifecyclePolicyText=keep_one)
    lab.say(f"lifecycle: {count:,} images expire")
    command = [sys.executable, "-m", "moorage", "lifecycle", "run", "expiring", "--data", str(server.data)]
    job = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    began, round_ = time.monotonic(), 0
    while job.poll() is None:
        for shard in shards:
            samples = list(shard(f"while {count:,} images expire", round_))
            if job.poll() is None:  # Else a part of it was idle.
                yield from samples
        round_ += 1
    seconds = time.monotonic() - began
    assert job.returncode == 0
    left = client.describe_images(repositoryName="expiring")["imageDetails"]
    assert len(left) == 1, len(left)
    yield Sample("expired", MOORAGE.name, 0, "images/s", count / seconds)


def _images_timed(what: str, once: Callable[[], float], when: str, round_: int) -> Iterator[Sample]:
    times = at_once(CONNECTIONS, AT_ONCE, once)
    for metric, share in (("p50 ms", 0.5), ("p99 ms", 0.99)):
        yield Sample(f"{what}, {when}", MOORAGE.name, round_, metric, percentile(times, share))


def _fill(lab: Lab, server: Running, count: int) -> None:
    server.create_repository("expiring")
    config, layer = blobs = lab.maker.blobs(2, MIB)
    refuse_errors(lab.load.put(server, "expiring", blobs, 1))
    tagged = [(manifest(config, [layer], note=str(n)), f"t{n}") for n in range(count)]
    lab.put_manifests(server, "expiring", tagged, FILL_CONNECTIONS)
