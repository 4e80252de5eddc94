"""Our own operations that explain lifecycle policies and apply them at once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moorage.access.call import Call
from moorage.access.paging import next_token, position_in, refuse_paging
from moorage.aws.operation import operation
from moorage.aws.shapes.moorage import (
    ExpiringTag,
    ExplainLifecyclePolicyRequest,
    ExplainLifecyclePolicyResponse,
    ExplanationFilter,
    ExplanationSummary,
    GetLifecyclePolicyRunRequest,
    GetLifecyclePolicyRunResponse,
    IdentifyingRule,
    ImageExplanation,
    ImageIdentifier,
    LifecycleDecision,
    LifecyclePolicyRunStatus,
    LifecyclePolicySource,
    RunFailure,
    StartLifecyclePolicyRunRequest,
    StartLifecyclePolicyRunResponse,
)
from moorage.base.clock import wire_seconds
from moorage.base.errors.lifecycle import LifecyclePolicyRunNotFound
from moorage.base.errors.requests import InvalidParameter
from moorage.registry.images.identify import Failure, identify, refusal
from moorage.registry.images.job import write_pulls
from moorage.registry.lifecycle import explanation, job, stored
from moorage.registry.lifecycle.evaluate import Sighting
from moorage.registry.lifecycle.explanation import Explanation
from moorage.registry.lifecycle.job import Left, Run
from moorage.registry.lifecycle.policy import Action, parse
from moorage.registry.lifecycle.survey import survey, survey_tags
from moorage.registry.lifecycle.tags import has_tag_rules
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories.repository import Repository, confirm
from moorage.store.jobs import queue
from moorage.store.jobs.queue import Listed

PAGE = 1_000  # each page looks at the whole repository

_DECISIONS: dict[Action | None, LifecycleDecision] = {
    "expire": "EXPIRE",
    "transition": "ARCHIVE",
    None: "KEEP",
}


@operation
async def explain_lifecycle_policy(
    call: Call, request: ExplainLifecyclePolicyRequest
) -> ExplainLifecyclePolicyResponse:
    """Of the text given; without one, of the policy that applies."""
    refuse_paging(request.image_ids, request.next_token, request.max_results, "imageIds")
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    text, source = await _policy(call, repository, request.lifecycle_policy_text)
    wanted = request.filter or ExplanationFilter()
    listing = ("ExplainLifecyclePolicy", repository.id, text, wanted.decision, wanted.tag_status)
    after = position_in(call, listing, request.next_token, _Position)
    now = after.now if after else call.now
    digests = await _digests(call, repository, request.image_ids)
    explained = await _explain(call, repository, text, now)
    shown = [
        each
        for each in explained
        if _is_wanted(each, wanted) and (digests is None or each.image.digest in digests)
    ]
    page, more = _page(call, listing, shown, after, now, request.max_results)
    return ExplainLifecyclePolicyResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        lifecycle_policy_text=text,
        policy_source=source,
        evaluated_at=wire_seconds(now),
        explanations=[_explanation(each) for each in page],
        summary=_summary(explained),
        next_token=more,
    )


@operation
async def start_lifecycle_policy_run(
    call: Call, request: StartLifecyclePolicyRunRequest
) -> StartLifecyclePolicyRunResponse:
    """What was asked for is done in the background, once however often it is asked for meanwhile."""
    if not request.dry_run and (request.next_token is not None or request.max_results is not None):
        at = "nextToken" if request.next_token is not None else "maxResults"
        raise InvalidParameter(at=at, constraint="can be used with 'dryRun' only")
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    text, source = await _policy(call, repository, None)
    if request.dry_run:
        return await _dry_run(call, repository, request, text, source)
    async with call.db.transaction() as tx:
        await confirm(tx, repository)
        await stored.ask(tx, call.services.jobs, repository.id, now=call.now, due=call.now)
    return StartLifecyclePolicyRunResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        lifecycle_policy_text=text,
        policy_source=source,
        requested_at=wire_seconds(call.now),
    )


@operation
async def get_lifecycle_policy_run(
    call: Call, request: GetLifecyclePolicyRunRequest
) -> GetLifecyclePolicyRunResponse:
    """Of the run that goes on, or of the last one; with what it had to leave."""
    repository = await repositories.find(call, request.repository_name, request.registry_id)
    # Before the run, so that one that was asked for is not told of as over.
    asked = await queue.find(call.db, stored.APPLY, str(repository.id))
    run = await job.last_run(call.db, repository.id)
    answer = GetLifecyclePolicyRunResponse(
        registry_id=repository.registry.account, repository_name=repository.name
    )
    if run is None:
        if asked is not None and _is_pending(asked, call.now):
            return msgspec.structs.replace(answer, status="PENDING")
        raise LifecyclePolicyRunNotFound(name=repository.name, registry_id=repository.registry.account)
    return msgspec.structs.replace(
        answer,
        status=_status(run, asked, call.now),
        started_at=wire_seconds(run.started),
        finished_at=None if run.finished is None else wire_seconds(run.finished),
        expired_image_count=run.expired,
        archived_image_count=run.archived,
        expired_tag_count=run.untagged,
        failed_image_count=run.failed,
        failures=[_failure(each) for each in await job.left(call.db, repository.id)],
    )


async def _policy(call: Call, repository: Repository, text: str | None) -> tuple[str, LifecyclePolicySource]:
    """Raise `InvalidParameter` for a text that is none, `LifecyclePolicyNotFound` where there is none."""
    if text is not None:
        parse(text, with_extensions=True)
        return text, "REQUEST"
    found = await stored.effective(call.db, repository) or await stored.find(call.db, repository)
    return found.text, "REGISTRY_DEFAULT" if found.is_default else "REPOSITORY"


async def _explain(call: Call, repository: Repository, text: str, now: int) -> list[Explanation]:
    policy = parse(text, with_extensions=True)
    if any(rule.count_type == "sinceImagePulled" for rule in policy.rules):
        await write_pulls(call.services)  # what was pulled lately is not old
    images = await survey(call.db, repository.id, now)
    tags = await survey_tags(call.db, repository.id, images) if has_tag_rules(policy) else []
    return await call.services.compute(explanation.explain, images, tags, policy, now)


async def _dry_run(
    call: Call,
    repository: Repository,
    request: StartLifecyclePolicyRunRequest,
    text: str,
    source: LifecyclePolicySource,
) -> StartLifecyclePolicyRunResponse:
    listing = ("StartLifecyclePolicyRun", repository.id, text)
    after = position_in(call, listing, request.next_token, _Position)
    now = after.now if after else call.now
    explained = await _explain(call, repository, text, now)
    going = [each for each in explained if each.takes_something]
    page, more = _page(call, listing, going, after, now, request.max_results)
    return StartLifecyclePolicyRunResponse(
        registry_id=repository.registry.account,
        repository_name=repository.name,
        lifecycle_policy_text=text,
        policy_source=source,
        requested_at=wire_seconds(now),
        explanations=[_explanation(each) for each in page],
        summary=_summary(explained),
        next_token=more,
    )


class _Position(msgspec.Struct, array_like=True):
    """After which image a page begins, and for which moment the first page was decided."""

    now: int
    age_key: int
    digest: str


async def _digests(
    call: Call, repository: Repository, asked: Sequence[ImageIdentifier] | None
) -> set[str] | None:
    """Of the images asked for; None for all. Raise `ImageNotFound`."""
    if asked is None:
        return None
    digests = set()
    for each in asked:  # at most 100
        image = await identify(call.db, repository, each.image_digest, each.image_tag)
        if isinstance(image, Failure):
            raise refusal(repository, each.image_digest, each.image_tag, image, "imageIds")
        digests.add(image.digest.text)
    return digests


def _is_wanted(each: Explanation, wanted: ExplanationFilter) -> bool:
    if wanted.decision is not None and _DECISIONS[each.action] != wanted.decision:
        return False
    if wanted.tag_status in (None, "ANY"):
        return True
    return bool(each.image.tags) == (wanted.tag_status == "TAGGED")


def _page(
    call: Call,
    listing: tuple[object, ...],
    wanted: Sequence[Explanation],
    after: _Position | None,
    now: int,
    limit: int | None,
) -> tuple[Sequence[Explanation], str | None]:
    """And the token of the next one."""
    if after is not None:
        wanted = [each for each in wanted if each.position > (after.age_key, after.digest)]
    shown = wanted[: limit or PAGE]
    if len(shown) == len(wanted):
        return shown, None
    return shown, next_token(call, listing, _Position(now, *shown[-1].position))


def _explanation(each: Explanation) -> ImageExplanation:
    return ImageExplanation(
        image_digest=each.image.digest,
        image_tags=list(each.image.tags) or None,  # as Amazon ECR, which omits it when there is none
        image_pushed_at=wire_seconds(each.image.pushed),
        image_status=each.image.status,
        decision=_DECISIONS[each.action],
        applied_rule_priority=each.rule.priority if each.rule else None,
        reason=each.why,
        identified_by=[_identifying(sighting) for sighting in each.identified_by],
        held_by=list(each.held_by) or None,
        expiring_tags=[
            ExpiringTag(image_tag=tag, rule_priority=rule.priority) for tag, rule in each.expiring_tags
        ]
        or None,
    )


def _identifying(sighting: Sighting) -> IdentifyingRule:
    return IdentifyingRule(
        rule_priority=sighting.rule.priority,
        rule_description=sighting.rule.description or None,
        is_marking=sighting.is_marking,
        reason=sighting.why,
    )


def _summary(explained: Sequence[Explanation]) -> ExplanationSummary:
    expiring = sum(each.action == "expire" for each in explained)
    archiving = sum(each.action == "transition" for each in explained)
    return ExplanationSummary(
        expiring_image_total_count=expiring,
        archiving_image_total_count=archiving,
        kept_image_total_count=len(explained) - expiring - archiving,
        expiring_tag_total_count=sum(len(each.expiring_tags) for each in explained),
    )


def _status(run: Run, asked: Listed | None, now: int) -> LifecyclePolicyRunStatus:
    if asked is not None and asked.state == "failed":
        return "FAILED"
    if run.finished is None:
        return "IN_PROGRESS"
    return "PENDING" if asked is not None and _is_pending(asked, now) else "COMPLETE"


def _is_pending(asked: Listed, now: int) -> bool:
    """It is due, or just being taken up."""
    return asked.state == "running" or asked.due <= now


def _failure(each: Left) -> RunFailure:
    return RunFailure(
        image_digest=str(each.digest),
        rule_priority=each.priority or None,
        failure_code=each.code,
        failure_reason=each.reason,
    )
