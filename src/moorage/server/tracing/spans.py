"""What all spans have in common."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, get_current_span

from moorage.base.errors.error import MoorageError

Attributes = Mapping[str, str | bool | int]


def is_traced() -> bool:
    """What happens now belongs to a span that is recorded. Nothing else is measured."""
    return get_current_span().is_recording()


def begin(
    tracer: Tracer,
    name: str,
    attributes: Attributes,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    context: Context | None = None,
    links: tuple[Link, ...] = (),
    start: int | None = None,
) -> Span:
    """One that its caller ends. Times are nanoseconds."""
    return tracer.start_span(
        name,
        context=context,
        kind=kind,
        attributes=attributes,
        links=links,
        start_time=start,
        record_exception=False,  # what an error says may be a stranger's words, or name what is secret
        set_status_on_exception=False,
    )


@contextmanager
def failing(span: Span) -> Iterator[Span]:
    """End the span with the block, and say of what raises only what it is called."""
    try:
        yield span
    except BaseException as error:
        note_failure(span, error)
        raise
    finally:
        span.end()


def note_failure(span: Span, error: BaseException) -> None:
    """What the caller did wrong is no error of the span, nor that it was ended from outside."""
    span.set_attribute("error.type", type(error).__name__)
    if isinstance(error, CancelledError) or (isinstance(error, MoorageError) and error.status < 500):
        return
    span.set_status(Status(StatusCode.ERROR))
