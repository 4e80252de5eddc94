"""OpenTelemetry's SDK, fitted in: spans wait in a queue of limited length, and a thread of its own sends them.

It goes to the one address that the operator has given, follows no redirect, and is led there by nothing that a
stranger sends. What cannot be sent is dropped; no request waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from threading import Thread

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer

import moorage

FLUSH_S = 1.0
_EXPORTER_LOG = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_QUEUE_LOG = "opentelemetry.sdk._shared_internal"
_REASON_MAX = 300

_log = logging.getLogger("moorage")


class Exporting:
    """A tracer, and what becomes of its spans."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._provider = TracerProvider(resource=resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))

    @classmethod
    def to(cls, url: str) -> Exporting:
        """A collector. Its headers, certificates, sampling and limits are what `OTEL_…` variables say."""
        return cls(OnceTold(OTLPSpanExporter(endpoint=url), url))

    @property
    def tracer(self) -> Tracer:
        return self._provider.get_tracer("moorage", moorage.__version__)

    async def close(self) -> None:
        """Send what waits, for as long as a second: then it is dropped, and the thread ends with the process."""
        closing = Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, FLUSH_S)


class OnceTold(SpanExporter):
    """Logs when a collector begins to fail and when it takes spans again, not each time."""

    def __init__(self, exporter: SpanExporter, url: str) -> None:
        self._exporter = exporter
        self._url = url
        self._reason = _Reason()
        self._is_failing = False
        logging.getLogger(_EXPORTER_LOG).addFilter(self._reason)
        logging.getLogger(_QUEUE_LOG).setLevel(logging.CRITICAL)  # a full queue: it is known by then why

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing and not self._is_failing:
            _log.warning(
                "traces cannot be sent to %s, and are dropped until they can: %r",
                self._url,
                self._reason.last,
            )
        elif self._is_failing and not is_failing:
            _log.warning("traces are sent to %s again", self._url)
        self._is_failing = is_failing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
        logging.getLogger(_EXPORTER_LOG).removeFilter(self._reason)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Reason(logging.Filter):
    """Keeps what the exporter would have logged."""

    last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self.last = record.getMessage()[:_REASON_MAX]
        return False


def resource() -> Resource:
    """Who sends them: Moorage, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` say otherwise."""
    own = Resource.create({"service.name": "moorage", "service.version": moorage.__version__})
    return own.merge(OTELResourceDetector().detect())
