from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import pytest

from moorage.cli.options import FIELDS, add_settings, settings_from
from moorage.config.settings import Settings


def parsed(*arguments: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_settings(parser, FIELDS)
    return settings_from(parser.parse_args(arguments))


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*FIELDS, "config"):
        monkeypatch.delenv(f"MOORAGE_{name.upper()}", raising=False)


def test_settings_without_options_are_the_defaults() -> None:
    assert parsed() == Settings()


@pytest.mark.parametrize("name", [name for name, item in FIELDS.items() if item.type == "bool"])
def test_switch_can_be_turned_both_ways(name: str) -> None:
    option = name.replace("_", "-")

    on, off = parsed(f"--{option}"), parsed(f"--no-{option}")

    assert (getattr(on, name), getattr(off, name)) == (True, False)


def test_every_field_that_takes_a_value_is_an_option() -> None:
    values = {
        "data": "d", "listen": "h:1", "listen_tls": "h:2", "certificates": "c", "domain": "e.f",
        "account": "123456789012", "region": "eu-1", "hostname": "n",
        "root_key_file": "k", "memory_cache": "1", "workers": "2", "upload_idle_hours": "3", "grace_hours": "4",
        "password_hours": "5", "quotas": "aws",
    }  # fmt: skip

    settings = parsed(*(f"--{name.replace('_', '-')}={value}" for name, value in values.items()))

    as_given = dataclasses.asdict(settings)
    assert {name: str(as_given[name]).removesuffix(".0") for name in values} == values


def test_option_wins_over_variable_and_variable_over_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "moorage.toml"
    file.write_text('region = "file"\nhostname = "file"\naccount = "111111111111"\n')
    monkeypatch.setenv("MOORAGE_CONFIG", str(file))
    monkeypatch.setenv("MOORAGE_REGION", "variable")
    monkeypatch.setenv("MOORAGE_HOSTNAME", "variable")

    settings = parsed("--region", "option")

    assert (settings.region, settings.hostname, settings.account) == ("option", "variable", "111111111111")
