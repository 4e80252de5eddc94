"""One call: who asks, which registry is meant, what the verbs may use to answer. An argument, never global."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from moorage.access.authorizer import Authorizer, Circumstances
from moorage.access.endpoints.endpoints import Endpoints
from moorage.access.epochs import Epochs
from moorage.access.principals import Principal
from moorage.access.pull_times import PullTimes
from moorage.access.quotas import AWS_QUOTAS, Quotas
from moorage.access.service_events import ServiceEvents
from moorage.access.sessions import Sessions
from moorage.access.usage import Usage
from moorage.access.web_identity.provider_keys import ProviderKeys
from moorage.base.addresses import Addresses, Registry
from moorage.base.clock import HOUR, SECOND, Clock
from moorage.base.digest import Digest
from moorage.base.http import Arrival, Arriving, BlobSource
from moorage.keys.keyring import Keyring
from moorage.keys.receiving import OpenUploads
from moorage.keys.sealed import SealedBlobs
from moorage.keys.tokens import Tokens
from moorage.store.blobs.api import Tiers
from moorage.store.db.api import Database
from moorage.store.jobs.bell import Bell
from moorage.store.jobs.queue import Job, Jobs

Result = TypeVar("Result")


class Work(Protocol):
    def __call__(self, function: Callable[..., Result], /, *arguments: object) -> Awaitable[Result]: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a registry allows. AWS's own quotas are off unless `quotas` is "aws" (decisions, 23)."""

    manifest_bytes: int = 4_194_304
    layer_bytes: int = 52_000 << 20
    layer_part_min_bytes: int = 5 << 20
    tags_in_one_push: int = 100
    upload_idle_us: int = 24 * HOUR
    grace_us: int = 24 * HOUR
    """How long a layer stays that nothing refers to (microseconds, as all times)."""
    password_us: int = 12 * HOUR
    download_url_us: int = HOUR
    restore_us: int = 10 * SECOND
    """How long an archived image is on its way back."""
    lifecycle_extensions: bool = False
    undelete_us: int = 0
    """How long what a lifecycle policy has taken can be brought back."""
    allow_missing_references: bool = False
    strict_immutable: bool = False
    aws_quotas: bool = False
    quotas: Quotas = AWS_QUOTAS
    """The numbers of those that `aws_quotas` turns on."""
    names_denying_policy: bool = False
    """To callers of the account that the policy is in (AWS does since 2026; parsers of older texts do not mind)."""


class ArrivingLayer(Arriving, Protocol):
    """A layer that comes from an upstream registry just now."""

    @property
    def size(self) -> int: ...

    async def arrived(self) -> None:
        """Wait until the layer is here. Raise ConnectionError if it never will be."""
        ...

    def follow(self) -> BlobSource:
        """Good as far as `reach`; the caller closes it. Raise FileNotFoundError when the layer is there already."""
        ...


class Upstreams(Protocol):
    """The pull-through cache, as those who answer pulls see it."""

    async def image(self, call: Call, name: str, reference: str) -> bool:
        """Bring an image that is not here, by tag or digest. True: look again, False: no rule is for it.

        Raise ECR's errors for what the caller may not, and for what the upstream registry has not or does not give.
        """
        ...

    async def freshen(self, call: Call, repository: int, name: str, tag: str) -> int:
        """Look whether a tag of the cache has moved upstream, if that is due. Return until when the answer holds.

        0 is for a tag that has nothing to do with the cache. No failure of the upstream is an error here.
        """
        ...

    async def layer(self, call: Call, name: str, digest: Digest) -> ArrivingLayer | None:
        """Bring a layer that an image of the cache uses. None: there is none, or the layer is here by now.

        Its bytes have begun to come. Raises as `image` does.
        """
        ...

    async def referrers(self, call: Call, name: str, subject: Digest) -> bytes | None:
        """An index of what the upstream registry says refers to an image; None if that is none of the cache.

        It may be as old as a tag may be. Raises as `image` does where nothing is known of it.
        """
        ...

    async def rest(self, services: Services, job: Job) -> int | None:
        """Bring what is missing of an image: a job that `image` leaves behind. Return when to go on, or None."""
        ...

    async def refusal(self, call: Call, prefix: str) -> str | None:
        """Why the upstream registry of a pull through cache rule is of no use; None if it takes the credentials."""
        ...

    async def close(self) -> None: ...


class NoUpstreams:
    """A registry whose images are all its own."""

    async def image(self, call: Call, name: str, reference: str) -> bool:
        return False

    async def freshen(self, call: Call, repository: int, name: str, tag: str) -> int:
        return 0

    async def layer(self, call: Call, name: str, digest: Digest) -> ArrivingLayer | None:
        return None

    async def referrers(self, call: Call, name: str, subject: Digest) -> bytes | None:
        return None

    async def rest(self, services: Services, job: Job) -> int | None:
        return None

    async def refusal(self, call: Call, prefix: str) -> str | None:
        return None

    async def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Services:
    """What one process holds open, made once by the composition root."""

    db: Database
    blobs: SealedBlobs
    keys: Keyring
    tokens: Tokens
    addresses: Addresses
    clock: Clock
    limits: Limits
    uploads: OpenUploads
    epochs: Epochs
    sessions: Sessions
    endpoints: Endpoints
    authorizer: Authorizer
    usage: Usage
    provider_keys: ProviderKeys
    process: str
    """Random name of this process: an upload session does not outlive it."""
    work: Work
    """Run a function that waits (for a disk) in a worker thread."""
    compute: Work
    """Run one that computes: only so many at once as there are cores for."""
    tiers: Tiers | None = None
    """Where layers of archived images go, if there is a cheaper store."""
    replicated_settings: Mapping[Registry, Collection[str]] = field(default_factory=dict)
    """By destination, which settings of repositories replication brings there (`[replication_settings]`)."""
    jobs: Jobs = field(default_factory=Jobs)
    """Work to be done later."""
    pull_times: PullTimes = field(default_factory=PullTimes)
    service_events: ServiceEvents = field(default_factory=ServiceEvents)
    upstreams: Upstreams = field(default_factory=NoUpstreams)
    outbox: Bell = field(default_factory=Bell)
    """Rung when an event was written."""


@dataclass(frozen=True, slots=True)
class Call:
    principal: Principal
    account: str
    """The registry addressed: by host on `/v2/`, the principal's own on the API."""
    region: str
    host: str
    now: int
    """Microseconds."""
    request_id: str
    services: Services
    around: Circumstances

    @property
    def arrival(self) -> Arrival:
        return self.around.arrival

    @property
    def db(self) -> Database:
        return self.services.db

    @property
    def blobs(self) -> SealedBlobs:
        return self.services.blobs

    @property
    def keys(self) -> Keyring:
        return self.services.keys

    @property
    def limits(self) -> Limits:
        return self.services.limits
