"""How often an account may call an operation."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.access.rates import AWS_RATES, Rates, RatesMisconfigured, rates_in
from moorage.base.addresses import Registry
from moorage.base.clock import HOUR, SECOND
from moorage.base.errors.access import Throttled

NOW = 1_000 * HOUR
HERE, THERE = Registry("1", "here"), Registry("1", "there")


def taken(rates: Rates, at: int, times: int = 1_000, caller: str = "1", registry: Registry = HERE) -> int:
    return sum(rates.allows(caller, registry, "PutImage", at) for _ in range(times))


@pytest.mark.parametrize("rate", [1, 3, 7, 10, 999])
def test_a_second_has_as_many_calls_as_the_rate_at_once_or_one_after_the_other(rate: int) -> None:
    rates = Rates({"PutImage": rate})

    assert taken(rates, NOW) == rate
    assert taken(rates, NOW + SECOND) == rate
    spread = sum(taken(rates, NOW + 2 * SECOND + n * SECOND // 100, 100) for n in range(100))
    assert rate <= spread <= 2 * rate


def test_what_is_refused_says_which_operation_it_was_and_takes_nothing() -> None:
    rates = Rates({"PutImage": 2})
    taken(rates, NOW)

    with pytest.raises(Throttled, match=r"^Rate exceeded$") as raised:
        rates.take("1", HERE, "PutImage", NOW)

    assert raised.value.quota_header == [(b"x-moorage-quota", b"PutImage")]
    assert taken(rates, NOW + SECOND // 2) == 1


def test_accounts_regions_and_operations_have_their_own() -> None:
    rates = Rates({"PutImage": 5})
    taken(rates, NOW)

    assert taken(rates, NOW, caller="2") == 5
    assert taken(rates, NOW, registry=THERE) == 5
    assert all(rates.allows("1", HERE, "DescribeImages", NOW) for _ in range(10_000))


def test_a_clock_that_is_set_back_closes_nobody_out() -> None:
    rates = Rates({"PutImage": 5})
    taken(rates, NOW)

    assert taken(rates, NOW - HOUR) == 5
    assert taken(rates, NOW - HOUR) == 0


def test_many_regions_do_not_fill_the_memory() -> None:
    rates = Rates({"PutImage": 1})

    for number in range(20_000):
        rates.allows("1", Registry("1", f"region-{number}"), "PutImage", NOW)

    assert len(rates._full_at) == 16_384


def test_none_is_limited_where_all_are_zero() -> None:
    assert not Rates({}).are_limited
    assert not Rates({"PutImage": 0}).are_limited
    assert Rates(AWS_RATES).are_limited


def test_the_table_names_operations_of_ecr() -> None:
    assert rates_in({"PutImage": 3, "DescribeImages": 0}) == {"PutImage": 3, "DescribeImages": 0}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ([], "rates has to be a table"),
        ({"PutImages": 1}, "PutImages is no operation of ECR"),
        ({"PutImage": -1}, "a number of calls a second"),
        ({"PutImage": 1.5}, "a number of calls a second"),
        ({"PutImage": True}, "a number of calls a second"),
        ({"PutImage": 10_000_000}, "a number of calls a second"),
    ],
)
def test_what_is_no_rate_is_said(table: Any, says: str) -> None:
    with pytest.raises(RatesMisconfigured, match=says):
        rates_in(table)
