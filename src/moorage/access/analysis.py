"""Who may do what with a repository, and why: every principal of the installation, by the rules of each request.

What depends on the request (where it comes from, the image's tag, the time) is told as a condition. Sessions are
told as the role or user that they are of; a session policy can only narrow that.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from moorage.access.authorizer import as_asked
from moorage.access.grants import Facts, Grants, StoredGrants, account_of
from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Entity, Kind
from moorage.access.policies.context import is_lasting
from moorage.access.policies.decide import Asked, Decision, PolicySet
from moorage.access.policies.denial import because
from moorage.access.policies.undecided import IsKnown, foresee
from moorage.access.principals import Principal, principal_of, root_of
from moorage.store.db.api import Database, Reads

LOGIN = "ecr:GetAuthorizationToken"
VERBS: Mapping[str, tuple[str, ...]] = {
    "pull": (LOGIN, "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
    "push": (
        LOGIN,
        "ecr:BatchCheckLayerAvailability",
        "ecr:InitiateLayerUpload",
        "ecr:UploadLayerPart",
        "ecr:CompleteLayerUpload",
        "ecr:PutImage",
    ),
    "delete": ("ecr:BatchDeleteImage",),
}
"""What a client asks for, all of which has to be allowed."""

_PAGE = 1_000
_NAMED = re.compile(
    r"arn:aws:(?P<service>iam|sts)::(?P<account>[0-9]{12}):"
    r"(?P<kind>root|user|role|assumed-role)(?:/(?P<rest>[\w+=,.@/-]+))?",
    re.ASCII,
)
_OF_SESSIONS = ("aws:federatedprovider", "aws:principaltag/", "aws:sourceidentity", "aws:userid")
May = Literal["yes", "if", "no"]


@dataclass(frozen=True, slots=True)
class Finding:
    principal: str
    """ARN; of a role, not of its sessions."""
    verb: str
    """Of `VERBS`, or an action."""
    may: May
    why: str
    conditions: tuple[str, ...] = ()


class UnknownPrincipal(Exception):
    """Nobody here has that ARN."""


async def findings(
    db: Database,
    stored: StoredGrants,
    repository: str,
    verbs: Sequence[str],
    *,
    accounts: Collection[str],
    only: str = "",
) -> list[Finding]:
    """On the repository of that ARN, by the principals of all accounts, or `only` one. Raise `UnknownPrincipal`.

    Of other accounts only those are told who may do something.
    """
    owner, region = account_of(repository), repository.split(":", 5)[3]
    facts = await stored.about(repository, owner, region)
    found = []
    async for principal in _principals(db, owner, accounts if facts.policies else (), only):
        grants = await stored.of(principal)
        # A password is asked of the caller's own registry.
        own = await stored.about("*", principal.account, region)
        each = [_finding(principal, grants, (own, facts), repository, verb) for verb in verbs]
        if only or principal.account == owner or any(one.may != "no" for one in each):
            found += each
    return found


async def principal_named(reads: Reads, arn: str) -> Principal:
    """Of `…:root`, `…:user/PATH/NAME`, `…:role/PATH/NAME` or `…:assumed-role/ROLE/SESSION`.

    Raise `UnknownPrincipal`.
    """
    named = _NAMED.fullmatch(arn)
    if named is None:
        raise UnknownPrincipal(arn)
    account, kind, rest = named["account"], named["kind"], named["rest"] or ""
    if kind == "root":
        if await reads.one("identities.account_created", {"account": account}) is None:
            raise UnknownPrincipal(arn)
        return root_of(account, arn)
    kinds: Mapping[str, Kind] = {"user": "user", "role": "role", "assumed-role": "role"}
    name = rest.partition("/")[0] if kind == "assumed-role" else rest.rpartition("/")[2]
    entity = await entities.find(reads, account, kinds[kind], name)
    if entity is None or (kind != "assumed-role" and entity.arn != arn):
        raise UnknownPrincipal(arn)
    return principal_of(entity, entity.id, None)


def policies_of(grants: Grants, facts: Facts) -> PolicySet:
    return PolicySet(
        identity=grants.identity,
        boundary=grants.boundary,
        resource=facts.policies,
        scps=grants.scps,
        rcps=facts.rcps,
    )


def context_of(principal: Principal, grants: Grants, facts: Facts) -> dict[str, str]:
    """The condition keys that every request of that principal has."""
    context = {**grants.context, **facts.context}
    if principal.kind == "role":
        del context["aws:userid"]  # ends with the session's name
    return context


def reason(decision: Decision, action: str) -> str:
    """What allows, or why not."""
    statement = f", statement {decision.statement}" if decision.statement else ""
    if not decision.allowed:
        text = because(decision, action, names_source=True)
        return text.removeprefix("because ") + (statement if decision.explicit else "")
    if not decision.source:
        return "root of the account"
    return f"{_POLICY_OF.get(decision.layer or '', 'policy')} {decision.source}{statement}"


_POLICY_OF = {"identity": "identity policy", "resource": "policy of", "trust": "trust policy of"}


async def _principals(
    db: Database, owner: str, accounts: Collection[str], only: str
) -> AsyncIterator[Principal]:
    """Those of the owner first."""
    if only:
        yield await principal_named(db, only)
        return
    for account in (owner, *(each for each in accounts if each != owner)):
        yield root_of(account, f"arn:aws:iam::{account}:root")
        for kind in ("user", "role"):
            async for entity in _entities(db, account, "user" if kind == "user" else "role"):
                yield principal_of(entity, entity.id, None)


async def _entities(db: Database, account: str, kind: Kind) -> AsyncIterator[Entity]:
    after = ""
    while page := await entities.page(db, account, kind, after=after, limit=_PAGE):
        for entity in page:
            yield entity
        after = page[-1].name


def _finding(
    principal: Principal, grants: Grants, facts: tuple[Facts, Facts], repository: str, verb: str
) -> Finding:
    """The first action that is refused tells for all. `facts` are of the caller's registry and of the repository."""
    conditions: dict[str, None] = {}
    why = ""
    for action in VERBS.get(verb, (verb,)):
        resource, stored = ("*", facts[0]) if action == LOGIN else (repository, facts[1])
        about = as_asked(stored, principal, action)
        context = context_of(principal, grants, about)
        asked = Asked(grants.caller, action, resource, about.account, context)
        outlook = foresee(asked, policies_of(grants, about), _known(principal, context))
        why = reason(outlook.decision, action)
        if about.account != principal.account and outlook.decision.layer != "resource":
            why += "; the repository's policy lets the account in"
        if not outlook.decision.allowed:
            return Finding(_arn(principal), verb, "no", reason(outlook.decision, action))
        conditions |= dict.fromkeys(outlook.conditions)
    return Finding(_arn(principal), verb, "if" if conditions else "yes", why, tuple(conditions))


def _arn(principal: Principal) -> str:
    return principal.role_arn or principal.arn


def _known(principal: Principal, context: Mapping[str, str]) -> IsKnown:
    def is_known(key: str) -> bool:
        if key in context:
            return True
        # A session may bring along what its role has not.
        is_of_session = key.startswith(_OF_SESSIONS) and principal.kind == "role"
        return is_lasting(key) and key != "aws:tokenissuetime" and not is_of_session

    return is_known
