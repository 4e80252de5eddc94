"""`[[replication_peers]]` and `[[upstream_peers]]`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from moorage.registry.peers.peer import PeerMisconfigured, peers_in

from ..registry import ACCOUNT

TABLE = {
    "account": "210987654321",
    "region": "eu-west-1",
    "url": "https://registry.example",
    "credentials": "peer",
}
SETTING, FOLDER = "replication_peers", Path("/etc/moorage")


def test_paths_are_relative_to_the_configuration() -> None:
    (peer,) = peers_in([TABLE | {"ca_file": "/etc/ssl/ca.pem"}], SETTING, FOLDER)

    assert peer.credentials == FOLDER / "peer"
    assert peer.ca_file == Path("/etc/ssl/ca.pem")
    assert str(peer.door) == str(peer.api) == "https://registry.example/"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"account": "12"}, "account is '12'"),
        ({"region": "EU"}, "region is 'EU'"),
        ({"credentials": ""}, "credentials is missing"),
        ({"url": "http://registry.example"}, "http URLs are not asked for here"),
        ({"url": "https://registry.example/v2"}, "something after the host"),
        ({"url": "https://user@registry.example"}, "not a plain URL"),
        ({"registry_url": "ftp://registry.example"}, "not a plain URL"),
        ({"sts_url": "https://sts.example/x"}, "something after the host"),
        ({"networks": "10.0.0.0/8/8"}, "neither a network"),
        ({"sources": "123456789012, me"}, "sources has 'me'"),
        ({"role": "arn"}, "no setting called role"),
        ({"role_arn": 7}, "has to be text"),
    ],
)
def test_what_is_wrong_with_a_peer_is_said(changed: Mapping[str, Any], says: str) -> None:
    with pytest.raises(PeerMisconfigured, match=says) as raised:
        peers_in([TABLE | changed], SETTING, FOLDER)

    assert "replication_peers[1]" in str(raised.value)


def test_two_peers_of_one_registry_are_refused() -> None:
    with pytest.raises(PeerMisconfigured, match="one account and region"):
        peers_in([TABLE, TABLE], SETTING, FOLDER)


def test_http_is_for_networks_of_ones_own() -> None:
    (peer,) = peers_in([TABLE | {"url": "http://10.1.2.3:5000", "networks": "10.0.0.0/8"}], SETTING, FOLDER)

    assert str(peer.api) == "http://10.1.2.3:5000/"


def test_only_the_default_account_may_use_a_peer_unless_others_are_named() -> None:
    (peer,) = peers_in([TABLE], SETTING, FOLDER)
    (wider,) = peers_in([TABLE | {"sources": "333333333333, 444444444444"}], SETTING, FOLDER)

    assert peer.serves(ACCOUNT, default=ACCOUNT)
    assert not peer.serves("333333333333", default=ACCOUNT)
    assert wider.serves("333333333333", default=ACCOUNT)
    assert not wider.serves(ACCOUNT, default=ACCOUNT)


@pytest.mark.parametrize(
    ("region", "domain"), [("eu-west-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn")]
)
def test_without_a_url_a_peer_is_amazons(region: str, domain: str) -> None:
    table = {"account": "210987654321", "region": region, "credentials": "peer"}

    (peer,) = peers_in([table], "upstream_peers", FOLDER)

    assert str(peer.api) == f"https://api.ecr.{region}.{domain}/"
    assert str(peer.sts) == f"https://sts.{region}.{domain}/"
    assert str(peer.door) == f"https://210987654321.dkr.ecr.{region}.{domain}/"
