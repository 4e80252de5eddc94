"""What may stand in `[[event_targets]]`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moorage.base.addresses import Registry
from moorage.registry.events.shapes import Event
from moorage.registry.events.targets import Target, TargetMisconfigured, targets_in

WEBHOOK = {"type": "webhook", "url": "https://hooks.example/moorage", "secret": "/etc/secret"}


def parse(**table: Any) -> Target:
    return Target.parse(table, 1)


def test_a_webhook_a_file_and_standard_output() -> None:
    webhook, file, output = targets_in(
        [WEBHOOK, {"type": "file", "path": "/var/log/events"}, {"type": "stdout"}]
    )

    assert (webhook.name, webhook.schemes) == ("webhook", {"https"})
    assert (file.path, file.keep_files) == (Path("/var/log/events"), 5)
    assert output.name == "stdout"


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({}, "type is None: one of file, stdout, webhook"),
        ({"type": "webhook"}, "a webhook needs url"),
        ({"type": "webhook", "url": "https://hooks.example"}, "a webhook needs secret"),
        ({**WEBHOOK, "url": "http://hooks.example/"}, "http URLs are not asked for here"),
        ({**WEBHOOK, "url": "https://user@hooks.example/"}, "not a plain URL"),
        ({**WEBHOOK, "networks": "10.0.0.0/99"}, "neither a network in CIDR form nor a host name"),
        ({**WEBHOOK, "timeout_seconds": 0}, "timeout_seconds is from 1 to 60"),
        ({**WEBHOOK, "timeout_seconds": True}, "has to be a whole number"),
        ({**WEBHOOK, "kinds": ["ECR Image"]}, "kinds has 'ECR Image'"),
        ({**WEBHOOK, "repositories": "team"}, "has to be a list of texts"),
        ({**WEBHOOK, "name": "Main!"}, "1 to 32 characters"),
        ({**WEBHOOK, "secrets": "x"}, "there is no setting called secrets"),
        ({"type": "file"}, "a file needs path"),
        ({"type": "file", "path": "x", "rotate_bytes": 1}, "rotate_bytes is at least 4096"),
        ({"type": "stdout", "path": "x"}, "nothing else has one"),
        ({"type": "stdout", "networks": "10.0.0.0/8"}, "are a webhook's"),
    ],
)
def test_what_is_wrong_is_said(table: dict[str, Any], says: str) -> None:
    with pytest.raises(TargetMisconfigured) as caught:
        parse(**table)

    assert says in str(caught.value)


def test_http_goes_to_a_network_of_ones_own_only() -> None:
    assert parse(**{**WEBHOOK, "url": "http://hooks.corp/", "networks": "hooks.corp"}).schemes == {
        "http",
        "https",
    }


def test_names_are_told_apart() -> None:
    with pytest.raises(TargetMisconfigured, match="two event targets have one name: stdout, stdout"):
        targets_in([{"type": "stdout"}, {"type": "stdout"}])


def test_there_are_only_so_many() -> None:
    with pytest.raises(TargetMisconfigured, match="at most 32"):
        targets_in([{"type": "stdout", "name": f"n{n}"} for n in range(33)])


@pytest.mark.parametrize(
    ("table", "wants"),
    [
        ({}, True),
        ({"kinds": ["ECR Image Action"]}, True),
        ({"kinds": ["ECR Image Scan"]}, False),
        ({"repositories": ["other/", "team/"]}, True),
        ({"repositories": ["other/"]}, False),
        ({"kinds": ["ECR Image Scan"], "repositories": ["team/"]}, False),
    ],
)
def test_only_what_is_wanted_is_delivered(table: dict[str, Any], wants: bool) -> None:
    event = Event("ECR Image Action", Registry("123456789012", "home-1"), "team/app", {})

    assert parse(type="stdout", **table).wants(event) is wants
