"""What a change of a repository's setting makes of `[replication_settings]`: work, put down in its own transaction.

It is a job for each repository, destination and setting: "make it there as it is here". The state is sent and not the
change, so a job may run twice or late: the newest state ends there.

Each change has its time and, if replication brought it, the registry where it was made. What was brought is not sent
onward; and of two registries that replicate to each other, both end with what was changed last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from moorage.access.call import Call, Services
from moorage.base.addresses import Registry
from moorage.base.clock import HOUR
from moorage.registry.account import replicas
from moorage.registry.account.destinations import destinations_of
from moorage.registry.account.replicas import Place, rules_of
from moorage.registry.account.setting_names import SETTINGS, Setting
from moorage.store.db.api import Reads, Transaction

KIND = "replicate setting"

AHEAD_MAX_US = HOUR
"""So far the clock of another installation may be ahead of ours; a time beyond that is taken for this one."""
_BY = re.compile(r"([0-9]{12})/([a-z0-9-]{2,25})/([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Change:
    time: int
    by: Registry | None
    """Where it was made, if replication brought it; None: here."""

    @classmethod
    def parse(cls, text: str, now: int) -> Change | None:
        """Of a call that another installation makes to replicate (`x-moorage-replica`); None for any other."""
        match = _BY.fullmatch(text)
        if match is None:
            return None
        return cls(min(int(match[3]), now + AHEAD_MAX_US), Registry(match[1], match[2]))

    def written(self, here: Registry) -> str:
        """For that call."""
        by = self.by or here
        return f"{by.account}/{by.region}/{self.time}"

    def order(self, here: Registry) -> tuple[int, str, str]:
        """The same at every registry, so that all choose the same one of two."""
        by = self.by or here
        return self.time, by.account, by.region


@dataclass(frozen=True, slots=True)
class Carried:
    """One setting of a repository, and where it is to be the same."""

    repository: int
    destination: Registry
    setting: Setting

    @property
    def subject(self) -> str:
        """Of its job."""
        to = self.destination
        return f"{self.repository}/{to.account}/{to.region}/{self.setting}"

    @classmethod
    def parse(cls, subject: str) -> Carried:
        repository, account, region, name = subject.split("/")
        return cls(int(repository), Registry(account, region), next(s for s in SETTINGS if s == name))


async def changes(call: Call, tx: Transaction, place: Place, setting: Setting) -> bool:
    """To be asked first by whoever changes a setting, in that transaction. False: leave it as it is.

    That is for what another installation replicates here when a newer one is here already.
    """
    known = await last_change(tx, place, setting)
    brought = Change.parse(call.around.replica_of, call.now)
    if brought is None or brought.by == place.registry:
        # Later than the one before also when the clock was set back.
        time = max(call.now, known.time + 1) if known else call.now
        await note(tx, place, setting, Change(time, None))
        for destination in await _destinations(call.services, tx, place, setting):
            await put(call.services, tx, Carried(place.id, destination, setting))
        return True
    if await is_outdated(call.services, tx, place, setting, brought):
        return False
    await note(tx, place, setting, brought)
    return True


async def last_change(reads: Reads, place: Place, setting: Setting) -> Change | None:
    """None if it is as the repository was made."""
    row = await reads.one("account.setting_change", {"repository": place.id, "setting": setting})
    if row is None:
        return None
    time, account, region = row
    return Change(time, Registry(account, region) if account else None)


async def note(tx: Transaction, place: Place, setting: Setting, change: Change) -> None:
    await tx.run(
        "account.note_setting_change",
        {
            "repository": place.id,
            "setting": setting,
            "changed": change.time,
            "account": change.by.account if change.by else "",
            "region": change.by.region if change.by else "",
        },
    )


async def is_outdated(
    services: Services, reads: Reads, place: Place, setting: Setting, brought: Change
) -> bool:
    """Is what was brought to `place` older than what is there?

    What was changed there by hand counts only if that registry replicates back: elsewhere the source says.
    """
    known = await last_change(reads, place, setting)
    if known is None:
        return False
    if known.by is None and brought.by not in await _destinations(services, reads, place, setting):
        return False
    return brought.order(place.registry) < known.order(place.registry)


async def is_carried(services: Services, reads: Reads, place: Place, wanted: Carried) -> bool:
    """The operator and the rules say so, still."""
    return wanted.destination in await _destinations(services, reads, place, wanted.setting)


def carried_to(services: Services, destination: Registry) -> list[Setting]:
    chosen = services.replicated_settings.get(destination, ())
    return [setting for setting in SETTINGS if setting in chosen]


async def put(services: Services, tx: Transaction, carried: Carried, due: int | None = None) -> None:
    now = services.clock()
    await services.jobs.put(tx, KIND, carried.subject, now=now, due=due)


async def put_all(
    services: Services, tx: Transaction, place: Place, to: Registry, due: int | None = None
) -> None:
    """Of all settings that go there."""
    for setting in carried_to(services, to):
        await put(services, tx, Carried(place.id, to, setting), due)


async def is_waiting(reads: Reads, carried: Carried) -> bool:
    """It is to be made there, and neither is nor was refused."""
    return await reads.one("account.waiting", {"kind": KIND, "subject": carried.subject}) is not None


async def forget(services: Services, tx: Transaction, place: Place) -> None:
    """The repository is deleted: nothing of it is to be replicated, nor seen as given up."""
    for kind in (replicas.KIND, KIND):
        await services.jobs.drop(tx, kind, f"{place.id}/")


async def _destinations(services: Services, reads: Reads, place: Place, setting: Setting) -> list[Registry]:
    if not services.replicated_settings:  # most installations
        return []
    named = destinations_of(await rules_of(reads, place.registry), place.name)
    return [to for to in named if setting in services.replicated_settings.get(to, ())]
