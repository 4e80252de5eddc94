"""What is stored about who may do what, compiled: of a principal, and of a resource. Remembered by the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from moorage.access.epochs import Epochs
from moorage.access.identities import entity as entities
from moorage.access.identities.aws_managed import document_of
from moorage.access.identities.entity import Kind
from moorage.access.organization import Organization
from moorage.access.policies.compile import Policy, compile_policy
from moorage.access.policies.decide import Caller
from moorage.access.policies.document import Kind as PolicyKind
from moorage.access.policies.document import MalformedPolicy
from moorage.access.principals import Principal
from moorage.store.db.api import Database

_REMEMBERED = 8_192
_DENY_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny",%s"Action":"*","Resource":"*"}]}'


@dataclass(frozen=True, slots=True)
class Grants:
    """Of a principal."""

    caller: Caller
    identity: tuple[Policy, ...]
    boundary: tuple[Policy, ...] | None
    session: tuple[Policy, ...] | None
    scps: tuple[tuple[Policy, ...], ...]
    context: Mapping[str, str]
    """The condition keys that say who calls, in lower case."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Of a resource."""

    account: str
    policies: tuple[Policy, ...] = ()
    rcps: tuple[tuple[Policy, ...], ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    """The condition keys that say what is called, in lower case."""


class StoredGrants:
    def __init__(self, db: Database, epochs: Epochs, organization: Organization) -> None:
        self._db = db
        self._epochs = epochs
        self._organization = organization
        self._of_principals: dict[str, tuple[int, Grants]] = {}
        self._of_resources: dict[tuple[str, str], tuple[int, Facts]] = {}

    async def of(self, principal: Principal) -> Grants:
        epoch = self._epochs.of(principal.account)
        kept = self._of_principals.get(principal.access_key_id)
        if kept is not None and kept[0] == epoch:
            return kept[1]
        grants = await self._load(principal)
        if len(self._of_principals) >= _REMEMBERED:
            self._of_principals.clear()
        self._of_principals[principal.access_key_id] = (epoch, grants)
        return grants

    async def about(self, resource: str, account: str, region: str) -> Facts:
        """`account` and `region` are of the registry called, for a resource (`*`) that does not say."""
        owner = account_of(resource) or account
        epoch = self._epochs.of(owner)
        kept = self._of_resources.get((resource, region))
        if kept is not None and kept[0] == epoch and kept[1].account == owner:
            return kept[1]
        facts = await self._look_up(resource, owner, region)
        if len(self._of_resources) >= _REMEMBERED:
            self._of_resources.clear()
        self._of_resources[resource, region] = (epoch, facts)
        return facts

    async def _load(self, principal: Principal) -> Grants:
        identity: list[Policy] = []
        boundary: tuple[Policy, ...] | None = None
        tags: dict[str, str] = {}
        if principal.kind in ("user", "role"):
            for how, owner_kind, owner, name, document in await self._db.all(
                "identities.grants", {"principal": principal.id}
            ):
                source = f"{owner_kind}/{owner}/{name}" if how == "inline" else name
                identity.append(_compiled(document or document_of(name), "identity", source))
            entity = await entities.by_id(self._db, principal.id)
            if entity is not None and entity.boundary:
                boundary = (await self._managed(entity.boundary),)
            tags = dict(await self._db.all("identities.tags_of", {"owner": principal.id}))
        return Grants(
            caller=_caller(principal, has_boundary=boundary is not None),
            identity=tuple(identity),
            boundary=boundary,
            session=await self._session_policies(principal),
            scps=self._organization.scps_of(principal.account),
            context=_context_of(principal, tags, self._organization),
        )

    async def _session_policies(self, principal: Principal) -> tuple[Policy, ...] | None:
        session = principal.session
        if session is None or not (session.policy or session.policy_arns):
            return None
        own = (_compiled(session.policy, "identity", "session"),) if session.policy else ()
        return own + tuple([await self._managed(arn) for arn in session.policy_arns])

    async def _managed(self, arn: str) -> Policy:
        row = await self._db.one("identities.managed_document", {"arn": arn})
        return _compiled(row[0] if row else document_of(arn), "identity", arn)

    async def _look_up(self, resource: str, owner: str, region: str) -> Facts:
        context = {"aws:resourceaccount": owner}
        if self._organization.id:
            context["aws:resourceorgid"] = self._organization.id
        policies: list[Policy] = []
        parts = resource.split(":", 5)
        if len(parts) == 6 and parts[2] == "ecr":
            for arn, text in await self._db.all(
                "access.resource_policies", {"arns": [resource, registry_arn(owner, parts[3] or region)]}
            ):
                kind: PolicyKind = "repository" if arn == resource else "registry"
                policies.append(_compiled(text, kind, arn))
            for key, value in await self._db.all("access.resource_tags", {"arn": resource}):
                context[f"aws:resourcetag/{key.lower()}"] = context[f"ecr:resourcetag/{key.lower()}"] = value
        elif resource == "*":
            row = await self._db.one("access.resource_policy", {"arn": registry_arn(owner, region)})
            if row is not None:
                policies.append(_compiled(row[0], "registry", registry_arn(owner, region)))
        elif len(parts) == 6 and parts[2] == "iam":
            context |= await self._identity_keys(owner, parts[5])
        return Facts(owner, tuple(policies), self._organization.rcps_of(owner), context)

    async def _identity_keys(self, account: str, named: str) -> dict[str, str]:
        kind, _, rest = named.partition("/")
        kinds: dict[str, Kind] = {"user": "user", "role": "role"}
        if kind not in kinds:
            return {}
        entity = await entities.find(self._db, account, kinds[kind], rest.rpartition("/")[2])
        if entity is None:
            return {}
        found = {
            f"{service}:resourcetag/{key.lower()}": value
            for key, value in await self._db.all("identities.tags_of", {"owner": entity.id})
            for service in ("aws", "iam")
        }
        # What a request sets in its place (PutUserPermissionsBoundary) is in the request's own context, and wins.
        return found | {"iam:permissionsboundary": entity.boundary} if entity.boundary else found


def registry_arn(account: str, region: str) -> str:
    """Under which the policy of a registry is stored. AWS gives registries no ARN that a policy could name."""
    return f"arn:aws:ecr:{region}:{account}:registry"


def account_of(arn: str) -> str:
    """arn:partition:service:region:ACCOUNT:resource. Empty where there is none: AWS's policies are everybody's own."""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 and parts[4] != "aws" else ""


def _compiled(document: str | None, kind: PolicyKind, source: str) -> Policy:
    """In place of a policy that cannot be read, or is gone, one that refuses all: what it refused is not known."""
    try:
        if document:
            return compile_policy(document, kind, source=source)
    except MalformedPolicy:
        pass
    return compile_policy(_DENY_ALL % ("" if kind == "identity" else '"Principal":"*",'), kind, source=source)


def _caller(principal: Principal, *, has_boundary: bool) -> Caller:
    return Caller(
        kind=principal.kind,
        account=principal.account,
        arn=principal.arn,
        role_arn=principal.role_arn,
        unique_id=principal.id,
        has_boundary=has_boundary,
    )


_TYPES = {"root": "Account", "user": "User", "role": "AssumedRole", "anonymous": "Anonymous"}


def _context_of(principal: Principal, tags: Mapping[str, str], organization: Organization) -> dict[str, str]:
    """Who calls (security of AWS: global condition keys). What does not apply is absent, not empty."""
    context = {
        "aws:principalarn": principal.role_arn or principal.arn,
        "aws:principaltype": _TYPES[principal.kind],
        "aws:userid": principal.user_id,
        "aws:principalisawsservice": "false",
        "aws:viaawsservice": "false",
    }
    if principal.account:
        context["aws:principalaccount"] = principal.account
    if organization.id and principal.account:
        context["aws:principalorgid"] = organization.id
    if principal.kind == "user":
        context["aws:username"] = principal.name
    session = principal.session
    carried = dict(session.tags) if session is not None else {}
    for key, value in {**tags, **carried}.items():  # those of the session win
        context[f"aws:principaltag/{key.lower()}"] = value
    if session is not None:
        context["aws:tokenissuetime"] = _iso(session.issued)
        context["aws:multifactorauthpresent"] = "false"
        if session.provider:
            context["aws:federatedprovider"] = session.provider
        if session.source_identity:
            context["aws:sourceidentity"] = session.source_identity
    return context


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
