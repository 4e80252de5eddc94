"""Whether there are traces, and where they go."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest

from moorage.config.invalid import InvalidSettings
from moorage.server.tracing.opening import collector, open_parts
from moorage.server.tracing.parts import Parts

BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
FULL = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


@pytest.mark.parametrize(
    ("given", "environment", "url"),
    [
        ("", {}, ""),
        ("http://c:4318", {}, "http://c:4318/v1/traces"),
        ("http://c:4318/", {}, "http://c:4318/v1/traces"),
        ("https://c/otlp", {}, "https://c/otlp/v1/traces"),
        ("https://c/otlp/v1/traces", {}, "https://c/otlp/v1/traces"),
        ("", {BASE: "http://c:4318/"}, "http://c:4318/v1/traces"),
        ("", {BASE: "http://c:4318", FULL: "http://d/as/it/is"}, "http://d/as/it/is"),
        ("http://a:4318", {BASE: "http://c:4318"}, "http://a:4318/v1/traces"),
        ("", {BASE: "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, ""),
        ("http://a:4318", {"OTEL_TRACES_EXPORTER": "none"}, "http://a:4318/v1/traces"),
        ("http://a:4318", {"OTEL_SDK_DISABLED": "true"}, ""),
        ("", {BASE: " "}, ""),
    ],
)
def test_where_traces_go(given: str, environment: Mapping[str, str], url: str) -> None:
    assert collector(given, environment) == url


def test_without_a_collector_the_parts_are_plain() -> None:
    assert type(open_parts("", {})) is Parts


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])
def test_a_protocol_that_is_not_spoken_is_refused(variable: str) -> None:
    with pytest.raises(InvalidSettings, match=f"{variable} is 'grpc'.*http/protobuf.*4318"):
        open_parts("http://127.0.0.1:4317", {variable: "grpc"})


def test_a_protocol_for_others_does_not_matter_without_traces() -> None:
    assert type(open_parts("", {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})) is Parts


@pytest.mark.parametrize(
    "url", ["collector:4318", "ftp://collector", "http://user:password@collector", "http://collector/#there"]
)
def test_what_is_no_url_is_refused_whoever_says_it(url: str) -> None:
    for given, environment in ((url, {}), ("", {FULL: url})):
        with pytest.raises(InvalidSettings, match=r"the collector of traces.*:") as caught:
            open_parts(given, environment)
        assert "password" not in str(caught.value)


def test_without_the_extra_the_error_says_how_to_install_it() -> None:
    probe = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from moorage.server.tracing.opening import open_parts\n"
        "open_parts('http://127.0.0.1:4318', {})"
    )

    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)

    assert "InvalidSettings: traces are to go to http://127.0.0.1:4318/v1/traces" in done.stderr
    assert "pip install 'moorage[otel]'" in done.stderr


def test_without_traces_nothing_of_opentelemetry_is_loaded() -> None:
    probe = (
        "import sys, moorage.server.app, moorage.server.background\n"
        "from moorage.server.tracing.opening import open_parts\n"
        "open_parts('', {})\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'requests', 'google'))])"
    )

    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
