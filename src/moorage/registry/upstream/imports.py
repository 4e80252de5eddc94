"""The rest of an image whose manifest came from upstream: work that the pull leaves behind (ECR user guide: an index
brings all its platforms, and what was pulled through is then like any other image).
"""

from __future__ import annotations

from dataclasses import dataclass

from moorage.access.authorizer import Circumstances
from moorage.access.call import Call, Services
from moorage.access.principals import root_of
from moorage.base.addresses import Registry
from moorage.base.clock import SECOND
from moorage.base.digest import Digest
from moorage.base.http import Arrival
from moorage.store.db.api import Transaction
from moorage.store.jobs.queue import Job

KIND = "import"
LINGER_US = 2 * SECOND
"""Who pulls asks for the layers now: those come in the order that the client wants."""


@dataclass(frozen=True, slots=True)
class Import:
    """An image of the cache that is to be made whole."""

    repository: int
    """Id of the row."""
    digest: Digest

    @property
    def subject(self) -> str:
        """Of its job."""
        return f"{self.repository}/{self.digest}"

    @classmethod
    def parse(cls, subject: str) -> Import:
        repository, digest = subject.split("/", 1)
        return cls(int(repository), Digest.parse(digest))


async def put(services: Services, tx: Transaction, repository: int, digest: Digest) -> None:
    """Have the rest brought, soon after this transaction."""
    now = services.clock()
    subject = Import(repository, digest).subject
    await services.jobs.put(tx, KIND, subject, now=now, due=now + LINGER_US)


async def run(services: Services, job: Job) -> int | None:
    return await services.upstreams.rest(services, job)


def call_in(services: Services, registry: Registry) -> Call:
    """A call that the cache makes by itself, for the registry's own account: the pull before it was allowed to."""
    now = services.clock()
    return Call(
        principal=root_of(registry.account, f"upstream/{registry.account}"),
        account=registry.account,
        region=registry.region,
        host="",
        now=now,
        request_id="import",
        services=services,
        around=Circumstances(Arrival(), None, registry.region, now),
    )
