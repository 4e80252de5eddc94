"""Which upstream registries may be connected to, and how."""

from __future__ import annotations

import pytest

from moorage.base.errors.upstream import UpstreamUnavailable
from moorage.registry.upstream.reach import Reach


def test_registries_that_amazon_names_need_no_setting() -> None:
    reach = Reach.parse("", "")

    assert reach.origin("quay.io", is_named=True) == "https://quay.io"
    assert reach.origin("https://quay.io", is_named=True) == "https://quay.io"
    assert not reach.is_opted("https://quay.io")


@pytest.mark.parametrize(
    "url", ["registry.example", "http://registry.example", "127.0.0.1:5000", "169.254.169.254"]
)
def test_others_are_not_connected_to_unless_opted_into(url: str) -> None:
    with pytest.raises(UpstreamUnavailable, match="upstream_hosts"):
        Reach.parse("other.example", "").origin(url, is_named=False)


def test_a_named_registry_is_never_spoken_to_in_the_clear() -> None:
    with pytest.raises(UpstreamUnavailable):
        Reach.parse("", "").origin("http://quay.io", is_named=True)


def test_what_is_opted_into_is_reached_in_the_way_written() -> None:
    reach = Reach.parse("registry.example, http://127.0.0.1:5000", "")

    assert reach.origin("registry.example", is_named=False) == "https://registry.example"
    assert reach.origin("127.0.0.1:5000", is_named=False) == "http://127.0.0.1:5000"
    assert reach.origin("http://127.0.0.1:5000", is_named=False) == "http://127.0.0.1:5000"
    with pytest.raises(UpstreamUnavailable):
        reach.origin("https://127.0.0.1:5000", is_named=False)
    with pytest.raises(UpstreamUnavailable):
        reach.origin("127.0.0.1:5001", is_named=False)


def test_only_the_client_of_those_opted_into_goes_to_private_places() -> None:
    reach = Reach.parse("http://registry.corp.example", "10.0.0.0/8")

    assert reach.named_rules.allowed.hosts == frozenset()
    assert reach.named_rules.allowed.networks == ()
    assert reach.named_rules.schemes == frozenset({"https"})
    assert reach.other_rules.allowed.hosts == frozenset({"registry.corp.example"})
    assert [str(network) for network in reach.other_rules.allowed.networks] == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    "hosts", ["registry.example/path", "ftp://registry.example", "user@registry.example", "0x7f.1", "a:22"]
)
def test_what_is_no_host_is_refused(hosts: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Reach.parse(hosts, "")
