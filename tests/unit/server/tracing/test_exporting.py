"""What becomes of spans: sent, or dropped without anybody waiting."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from moorage.server.tracing.exporting import FLUSH_S, Exporting, OnceTold, resource

FAILURE, SUCCESS = SpanExportResult.FAILURE, SpanExportResult.SUCCESS


class Collector(SpanExporter):
    """Answers as it is told, and notes what it gets."""

    def __init__(self, *answers: SpanExportResult, hangs: bool = False) -> None:
        self.answers = list(answers)
        self.got: list[str] = []
        self.let_go = threading.Event()
        self.hangs = hangs

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.hangs:
            self.let_go.wait(60)
        self.got += [span.name for span in spans]
        return self.answers.pop(0) if self.answers else SUCCESS


def test_an_outage_is_told_once_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    exporter = OnceTold(Collector(SUCCESS, FAILURE, FAILURE, FAILURE, SUCCESS, SUCCESS), "http://c/v1/traces")

    with caplog.at_level(logging.INFO):
        for _ in range(6):
            exporter.export([])
    exporter.shutdown()

    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "traces cannot be sent to http",
        "traces are sent to http",
    ]


def test_what_the_exporter_itself_would_log_becomes_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    exporter = OnceTold(Collector(FAILURE), "http://c/v1/traces")

    with caplog.at_level(logging.INFO):
        logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").error("code: %s", 500)
        exporter.export([])
    exporter.shutdown()

    [record] = caplog.records
    assert record.name == "moorage"
    assert "'code: 500'" in record.getMessage()


def test_what_waits_is_sent_at_the_end() -> None:
    collector = Collector()
    exporting = Exporting(collector)
    exporting.tracer.start_span("last").end()

    asyncio.run(exporting.close())

    assert collector.got == ["last"]


def test_the_end_does_not_wait_for_a_collector_that_hangs() -> None:
    collector = Collector(hangs=True)
    exporting = Exporting(collector)
    exporting.tracer.start_span("last").end()
    began = time.monotonic()

    asyncio.run(exporting.close())

    assert time.monotonic() - began < FLUSH_S + 2
    collector.let_go.set()


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "20")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")
    collector = Collector(hangs=True)
    exporting = Exporting(OnceTold(collector, "http://c/v1/traces"))

    for number in range(1_000):
        exporting.tracer.start_span(str(number)).end()
    collector.hangs = False
    collector.let_go.set()
    asyncio.run(exporting.close())

    assert len(collector.got) <= 40
    assert caplog.records == []


def test_the_service_is_moorage_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.delenv("OTEL_RESOURCE_ATTRIBUTES", raising=False)
    before = dict(resource().attributes)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=home,service.version=7")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "registry")
    after = dict(resource().attributes)

    assert before["service.name"] == "moorage"
    assert (after["service.name"], after["service.version"]) == ("registry", "7")
    assert after["deployment.environment"] == "home"


def test_a_sampler_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    collector = Collector()
    exporting = Exporting(collector)
    exporting.tracer.start_span("unseen").end()

    asyncio.run(exporting.close())

    assert collector.got == []
