"""Failed logins slow down whoever fails, and nobody else."""

from __future__ import annotations

import pytest

from moorage.access.throttle import LoginThrottle
from moorage.base.clock import MINUTE, SECOND
from moorage.base.errors.access import TooManyRequests

NOW = 1_000 * MINUTE


def test_who_fails_as_often_as_allowed_waits_although_time_goes_on() -> None:
    throttle = LoginThrottle(60)

    for n in range(60):
        throttle.check("192.0.2.1", NOW + n * 1_000)
        throttle.failed("192.0.2.1", NOW + n * 1_000)
    with pytest.raises(TooManyRequests):
        throttle.check("192.0.2.1", NOW + 60_000)
    throttle.check("192.0.2.2", NOW + 60_000)


def test_one_failure_is_forgiven_at_a_time() -> None:
    throttle = LoginThrottle(60)
    for _ in range(60):
        throttle.failed("192.0.2.1", NOW)

    throttle.check("192.0.2.1", NOW + SECOND)
    throttle.failed("192.0.2.1", NOW + SECOND)
    with pytest.raises(TooManyRequests):
        throttle.check("192.0.2.1", NOW + SECOND + 1)


def test_a_minute_forgives_everything() -> None:
    throttle = LoginThrottle(3)
    for _ in range(300):
        throttle.failed("192.0.2.1", NOW)

    for _ in range(3):
        throttle.check("192.0.2.1", NOW + MINUTE)
        throttle.failed("192.0.2.1", NOW + MINUTE)
    with pytest.raises(TooManyRequests):
        throttle.check("192.0.2.1", NOW + MINUTE)


def test_no_limit_is_no_limit() -> None:
    throttle = LoginThrottle(0)

    for _ in range(10_000):
        throttle.failed("192.0.2.1", NOW)
        throttle.check("192.0.2.1", NOW)


def test_many_addresses_do_not_fill_the_memory() -> None:
    throttle = LoginThrottle(1)

    for n in range(20_000):
        throttle.failed(str(n), NOW)
    throttle.check("0", NOW)
    with pytest.raises(TooManyRequests):
        throttle.check("19999", NOW)
