"""The ECR operations on pull through cache rules."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from moorage.access.authorize import authorize
from moorage.access.call import Call
from moorage.access.paging import DEFAULT_PAGE, next_token, position_in, refuse_paging
from moorage.access.service_roles import PULL_THROUGH_CACHE, check_passing, ensure_service_linked
from moorage.aws.operation import operation
from moorage.aws.shapes.ecr import (
    CreatePullThroughCacheRuleRequest,
    CreatePullThroughCacheRuleResponse,
    DeletePullThroughCacheRuleRequest,
    DeletePullThroughCacheRuleResponse,
    DescribePullThroughCacheRulesRequest,
    DescribePullThroughCacheRulesResponse,
    PullThroughCacheRule,
    UpdatePullThroughCacheRuleRequest,
    UpdatePullThroughCacheRuleResponse,
    ValidatePullThroughCacheRuleRequest,
    ValidatePullThroughCacheRuleResponse,
)
from moorage.base.addresses import Registry
from moorage.base.clock import wire_seconds
from moorage.base.errors.images import LimitExceeded
from moorage.base.errors.requests import InvalidParameter, Validation
from moorage.base.errors.upstream import UnsupportedUpstreamRegistry
from moorage.registry.upstream import credentials, rules
from moorage.registry.upstream.inside import is_ours
from moorage.registry.upstream.known import private_registry, upstream_of
from moorage.registry.upstream.rules import ROOT, Rule
from moorage.registry.upstream.validation import failure_of

_UNAUTHENTICATED = (
    "The specified upstream registry requires authentication. Specify a valid Secrets Manager ARN that contains the "
    "credentials for the upstream registry."
)
_FOREIGN = (
    "The specified upstream registry is of another account. Specify the ARN of a role that may pull from it."
)


@operation
async def create_pull_through_cache_rule(
    call: Call, request: CreatePullThroughCacheRuleRequest
) -> CreatePullThroughCacheRuleResponse:
    registry = _registry(call, request.registry_id)
    upstream = upstream_of(request.upstream_registry_url, request.upstream_registry, call.services.addresses)
    rule = Rule(
        registry=registry,
        prefix=rules.normal(request.ecr_repository_prefix),
        upstream_prefix=rules.normal(request.upstream_repository_prefix or ROOT),
        written=request.ecr_repository_prefix,
        upstream=upstream.name or "",
        url=request.upstream_registry_url,
        credential_arn=request.credential_arn or "",
        role_arn=request.custom_role_arn or "",
        created=call.now,
        updated=None,
    )
    if rule.prefix == ROOT and rule.upstream_prefix != ROOT:
        raise Validation(
            "An upstream repository prefix can be set only if the Amazon ECR repository prefix is not ROOT"
        )
    await _check_credentials(call, rule)
    most = call.limits.quotas.pull_through_rules
    if call.limits.aws_quotas and len(await rules.page(call.db, registry, "", most)) == most:
        raise LimitExceeded(
            f"The registry with id '{registry.account}' already has the maximum allowed number of pull through cache "
            f"rules which is '{most}'",
            quota="pull-through-rules",
        )
    await ensure_service_linked(call, registry.account, PULL_THROUGH_CACHE, caller_needs_right=False)
    await rules.create(call.db, rule)
    return CreatePullThroughCacheRuleResponse(
        ecr_repository_prefix=rule.written,
        upstream_registry_url=rule.url,
        created_at=wire_seconds(rule.created),
        registry_id=registry.account,
        upstream_registry=rule.kind.name,
        credential_arn=rule.credential_arn or None,
        custom_role_arn=rule.role_arn or None,
        upstream_repository_prefix=rule.upstream_prefix,
    )


@operation
async def describe_pull_through_cache_rules(
    call: Call, request: DescribePullThroughCacheRulesRequest
) -> DescribePullThroughCacheRulesResponse:
    """Those named, all of which must exist, or a page by prefix."""
    prefixes = request.ecr_repository_prefixes
    refuse_paging(prefixes, request.next_token, request.max_results, "ecrRepositoryPrefixes")
    registry = _registry(call, request.registry_id)
    more = None
    if prefixes is not None:
        shown = await rules.find_all(call.db, registry, prefixes)
    else:
        listing = ("DescribePullThroughCacheRules", registry.account)
        after = position_in(call, listing, request.next_token, _Prefix)
        limit = request.max_results or DEFAULT_PAGE
        found = await rules.page(call.db, registry, after.prefix if after else "", limit + 1)
        shown = found[:limit]
        more = next_token(call, listing, _Prefix(shown[-1].prefix)) if len(found) > limit else None
    return DescribePullThroughCacheRulesResponse(
        pull_through_cache_rules=[_shape(rule) for rule in shown], next_token=more
    )


@operation
async def update_pull_through_cache_rule(
    call: Call, request: UpdatePullThroughCacheRuleRequest
) -> UpdatePullThroughCacheRuleResponse:
    """Other credentials; all else of a rule stays as it was made."""
    if request.credential_arn is None and request.custom_role_arn is None:
        raise InvalidParameter(
            "Invalid input: Please set either credential arn or role arn to update the credentials"
        )
    registry = _registry(call, request.registry_id)
    updated = None
    while updated is None:
        found = await rules.find(call.db, registry, request.ecr_repository_prefix)
        changed = replace(
            found,
            credential_arn=found.credential_arn if request.credential_arn is None else request.credential_arn,
            role_arn=found.role_arn if request.custom_role_arn is None else request.custom_role_arn,
        )
        await _check_credentials(call, changed)
        updated = await rules.set_credentials(
            call.db, found, changed.credential_arn, changed.role_arn, call.now
        )
    return UpdatePullThroughCacheRuleResponse(
        ecr_repository_prefix=updated.written,
        registry_id=registry.account,
        updated_at=wire_seconds(call.now),
        credential_arn=updated.credential_arn or None,
        custom_role_arn=updated.role_arn or None,
        upstream_repository_prefix=updated.upstream_prefix,
    )


@operation
async def delete_pull_through_cache_rule(
    call: Call, request: DeletePullThroughCacheRuleRequest
) -> DeletePullThroughCacheRuleResponse:
    """Repositories that it made stay, and are like any other."""
    deleted = await rules.delete(call.db, _registry(call, request.registry_id), request.ecr_repository_prefix)
    return DeletePullThroughCacheRuleResponse(
        ecr_repository_prefix=deleted.written,
        upstream_registry_url=deleted.url,
        created_at=wire_seconds(deleted.created),
        registry_id=deleted.registry.account,
        credential_arn=deleted.credential_arn or None,
        custom_role_arn=deleted.role_arn or None,
        upstream_repository_prefix=deleted.upstream_prefix,
    )


@operation
async def validate_pull_through_cache_rule(
    call: Call, request: ValidatePullThroughCacheRuleRequest
) -> ValidatePullThroughCacheRuleResponse:
    """That it is of no use is an answer, not an error."""
    registry = _registry(call, request.registry_id)
    rule = await rules.find(call.db, registry, request.ecr_repository_prefix)
    failure = await failure_of(call, rule)
    return ValidatePullThroughCacheRuleResponse(
        ecr_repository_prefix=rule.written,
        registry_id=registry.account,
        upstream_registry_url=rule.url,
        credential_arn=rule.credential_arn or None,
        custom_role_arn=rule.role_arn or None,
        upstream_repository_prefix=rule.upstream_prefix,
        is_valid=failure is None,
        failure=failure,
    )


async def _check_credentials(call: Call, rule: Rule) -> None:
    """What the upstream registry needs is there, and the caller may give it to the service.

    Raise `UnsupportedUpstreamRegistry`, `Validation`, `AccessDenied`, `SecretNotFound` or `UnableToAccessSecret`.
    """
    upstream, source = rule.kind, None
    if upstream.needs == "secret" and not rule.credential_arn:
        raise UnsupportedUpstreamRegistry(_UNAUTHENTICATED)
    if upstream.needs == "role":
        source = private_registry(rule.url, call.services.addresses)
        _check_private(rule, source)
    elif rule.role_arn:
        raise Validation("A custom role can be given only for upstream registries of Amazon ECR")
    if rule.credential_arn:
        if not upstream.takes_secret:
            raise Validation(f"The upstream registry {upstream.name} takes a role, no secret")
        if upstream.name is None:  # a host of the caller's choice will be told the secret
            await authorize(call, "secretsmanager:GetSecretValue", rule.credential_arn)
        await credentials.secret_of(call, rule)
    if rule.role_arn:
        assert source is not None  # only a private registry takes one
        elsewhere = "" if await is_ours(call.db, source) else source.account
        await check_passing(call, rule.role_arn, rule.registry.account, elsewhere)


def _check_private(rule: Rule, source: Registry | None) -> None:
    """Another registry, and of another account with a role only."""
    if source is None:  # a name of ours when the rule was made, and none any more
        raise UnsupportedUpstreamRegistry(f"The upstream registry '{rule.url}' is not known here")
    if source == rule.registry:
        raise Validation("The upstream registry cannot be the registry itself")
    if source.account != rule.registry.account and not rule.role_arn:
        raise UnsupportedUpstreamRegistry(_FOREIGN)


def _shape(rule: Rule) -> PullThroughCacheRule:
    return PullThroughCacheRule(
        ecr_repository_prefix=rule.written,
        upstream_registry_url=rule.url,
        created_at=wire_seconds(rule.created),
        registry_id=rule.registry.account,
        credential_arn=rule.credential_arn or None,
        custom_role_arn=rule.role_arn or None,
        upstream_repository_prefix=rule.upstream_prefix,
        upstream_registry=rule.kind.name,
        updated_at=wire_seconds(rule.updated or rule.created),
    )


class _Prefix(msgspec.Struct, array_like=True):
    prefix: str


def _registry(call: Call, account: str | None) -> Registry:
    return Registry(account or call.account, call.region)
