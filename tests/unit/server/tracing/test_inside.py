"""The spans of what a request does inside."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from opentelemetry.trace import StatusCode

from moorage.access.authorize import authorize
from moorage.access.grants import StoredGrants
from moorage.access.organization import Organization
from moorage.base.errors.images import ImageNotFound
from moorage.keys.frames import BlobKey
from moorage.keys.sealed import SealedBlobs
from moorage.server.app import _work_in
from moorage.server.tracing.inside import (
    SEALING,
    Sealing,
    TracedAuthorizer,
    TracedDatabase,
    TracedWriter,
    in_context,
)
from moorage.store.blobs.memory import MemoryBlobs

from ...registry.memory import in_memory
from ...registry.registry import ACCOUNT, REGION, MemoryRegistry
from .conftest import Traced, is_below

ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/app"


@in_memory
async def test_a_transaction_says_when_it_began_and_when_it_was_committed(registry: MemoryRegistry) -> None:
    traced = Traced()
    db = TracedDatabase(registry.db, traced.tracer)

    with traced.tracer.start_as_current_span("request"):
        async with db.transaction() as tx:
            await tx.run("access.insert_account", {"id": "210987654321", "created": 0})

    span = traced.one("transaction")
    assert is_below(span, traced.one("request"))
    assert [event.name for event in span.events] == ["begun", "commit"]
    assert await db.one("access.accounts", {"after": "", "limit": 9}) is not None


@in_memory
async def test_a_transaction_that_the_caller_gives_up_is_no_error_of_ours(registry: MemoryRegistry) -> None:
    traced = Traced()
    db = TracedDatabase(registry.db, traced.tracer)

    with traced.tracer.start_as_current_span("request"):
        with pytest.raises(ImageNotFound):
            async with db.transaction():
                raise ImageNotFound("secret")
        with pytest.raises(ValueError, match="secret"):
            async with db.transaction():
                raise ValueError("secret")

    given_up, broken = (span for span in traced.spans if span.name == "transaction")
    assert (given_up.attributes or {})["error.type"] == "ImageNotFound"
    assert given_up.status.status_code is StatusCode.UNSET
    assert [event.name for event in given_up.events] == ["begun"]
    assert broken.status.status_code is StatusCode.ERROR
    assert "secret" not in given_up.to_json() + broken.to_json()


@in_memory
async def test_nothing_is_measured_outside_of_a_span(registry: MemoryRegistry) -> None:
    traced = Traced()
    db = TracedDatabase(registry.db, traced.tracer)

    async with db.transaction() as tx:
        await tx.one("access.accounts", {"after": "", "limit": 9})

    assert traced.spans == []


@in_memory
async def test_a_decision_has_a_span_until_it_is_remembered(registry: MemoryRegistry) -> None:
    traced, services = Traced(), registry.services
    stored = StoredGrants(services.db, services.epochs, Organization())
    call = replace(
        registry.call,
        services=replace(services, authorizer=TracedAuthorizer(stored, services.epochs, traced.tracer)),
    )

    with traced.tracer.start_as_current_span("request"):
        for _ in range(3):
            await authorize(call, "ecr:PutImage", ARN)

    assert traced.names == ["authorize", "request"]
    assert traced.attributes("authorize") == {"moorage.action": "ecr:PutImage", "moorage.allowed": True}


def blobs() -> SealedBlobs:
    return SealedBlobs(MemoryBlobs(), writer=TracedWriter)


def begin_blob(sealed: SealedBlobs) -> TracedWriter:
    writer = sealed.create(secrets.token_bytes(16), 1, BlobKey.new())
    assert isinstance(writer, TracedWriter)
    return writer


def test_all_pieces_of_a_layer_are_one_span(traced: Traced) -> None:
    writer = begin_blob(blobs())

    with traced.tracer.start_as_current_span("request"):
        sealing = Sealing(traced.tracer)
        token = SEALING.set(sealing)
        for _ in range(5):
            writer.append(memoryview(b"x" * 100_000))
        writer.finish()
        sealing.end()
        SEALING.reset(token)

    assert traced.names == ["seal", "store", "request"]
    assert traced.attributes("seal")["moorage.bytes"] == 500_000
    assert is_below(traced.one("seal"), traced.one("request"))
    assert is_below(traced.one("store"), traced.one("request"))


def test_a_writer_outside_of_a_span_only_writes(traced: Traced) -> None:
    writer = begin_blob(blobs())

    writer.append(memoryview(b"x"))
    writer.finish()

    assert writer.is_finished
    assert traced.spans == []


def test_a_worker_thread_writes_for_the_request_that_had_it_done(traced: Traced) -> None:
    writer = begin_blob(blobs())

    async def over() -> None:
        with ThreadPoolExecutor(1) as pool, traced.tracer.start_as_current_span("request"):
            token = SEALING.set(Sealing(traced.tracer))
            work = in_context(_work_in(pool))
            await work(writer.append, memoryview(b"x"))
            await work(writer.finish)
            SEALING.reset(token)

    asyncio.run(over())

    assert is_below(traced.one("seal"), traced.one("request"))
    assert is_below(traced.one("store"), traced.one("request"))
