"""Whether there are traces, and where they go: the setting, or the variables that OpenTelemetry has for it."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.config.invalid import InvalidSettings
from moorage.remote.errors import RemoteRefused
from moorage.remote.urls import Url
from moorage.server.tracing.parts import Parts

_PATH = "/v1/traces"
_PROTOCOL = "http/protobuf"
_PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def open_parts(given: str, environment: Mapping[str, str]) -> Parts:
    """`given` is the setting `otlp_endpoint`. Without traces nothing of OpenTelemetry is imported.

    Raise `InvalidSettings` where there should be traces and cannot be.
    """
    url = collector(given, environment)
    if not url:
        return Parts()
    _check(url, environment)
    try:
        from moorage.server.tracing.traced import TracedParts
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise InvalidSettings(
            f"traces are to go to {url}, and {error.name} is not installed: pip install 'moorage[otel]'"
        ) from None
    return TracedParts.open(url)


def collector(given: str, environment: Mapping[str, str]) -> str:
    """The URL that spans are posted to; empty for none."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ""
    if given:
        return given if given.endswith(_PATH) else given.rstrip("/") + _PATH
    if environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return ""
    if url := environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip():
        return url
    base = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    return base.rstrip("/") + _PATH if base else ""


def _check(url: str, environment: Mapping[str, str]) -> None:
    try:
        Url.parse(url, frozenset({"http", "https"}))
    except RemoteRefused as error:
        where = "otlp_endpoint or OTEL_EXPORTER_OTLP_ENDPOINT"
        raise InvalidSettings(f"the collector of traces, {where}: {error}") from None
    for variable in _PROTOCOL_VARIABLES:
        if protocol := environment.get(variable, "").strip():
            if protocol != _PROTOCOL:
                raise InvalidSettings(
                    f"{variable} is '{protocol}': traces are sent as {_PROTOCOL}, which collectors take on port 4318"
                )
            return
