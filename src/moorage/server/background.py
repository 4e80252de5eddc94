"""What a server does beside answering: the jobs of the queue, what is done by the clock, the events on their way.

Loaded when the ports are open: no answer needs it.
"""

from __future__ import annotations

import asyncio

from moorage.access.call import Services
from moorage.config.settings import Settings
from moorage.registry.events.delivery import KIND as DELIVERIES
from moorage.registry.events.delivery import Delivery
from moorage.registry.events.outbox import Dispatcher
from moorage.registry.events.targets import MOST as MOST_TARGETS
from moorage.registry.replication.job import Replicator
from moorage.server import schedule
from moorage.server.jobs import Handler, JobRunner
from moorage.server.tracing.parts import UNTRACED, Parts


async def work(services: Services, settings: Settings, delivery: Delivery, parts: Parts = UNTRACED) -> None:
    """Until cancelled."""
    replicator = Replicator(
        settings.replication_peers, settings.replication_tags, services.clock, parts.peer_egress
    )
    handlers = parts.handlers(
        {
            **schedule.HANDLERS,
            **schedule.replication(replicator),
            DELIVERIES: Handler(delivery.run, at_once=MOST_TARGETS),
        }
    )
    subscribers = (*schedule.SUBSCRIBERS, delivery.take) if settings.event_targets else schedule.SUBSCRIBERS
    try:
        await asyncio.gather(
            schedule.run_all(services, parts.periodic(schedule.PERIODIC)),
            JobRunner(services, handlers).run(),
            Dispatcher(services, subscribers).run(),
            return_exceptions=True,
        )
    finally:
        await replicator.close()
