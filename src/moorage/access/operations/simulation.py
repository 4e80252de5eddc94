"""IAM's policy simulator: for policies that come with the request, or those stored of a user, group or role."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from moorage.access.call import Call
from moorage.access.grants import Grants
from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Entity
from moorage.access.operations.listing import Listing
from moorage.access.policies.compile import Policy, compile_once
from moorage.access.policies.decide import Asked, Caller, Decision, PolicySet
from moorage.access.policies.document import Kind, MalformedPolicy, parse
from moorage.access.policies.explain import Explanation, Matched, Position, explain, keys_read
from moorage.access.policies.syntax import read
from moorage.access.policies.variables import Context
from moorage.access.principals import principal_of
from moorage.aws.operation import operation
from moorage.aws.shapes import iam
from moorage.base.errors.identities import InvalidInput, NoSuchEntity

POLICIES_MAX = 32
POLICY_CHARACTERS_MAX = 10_240
"""White space not counted: the largest that can be stored."""
RESOURCES_MAX = 200
DECISIONS_MAX = 200
"""In one answer; more are answered page by page."""

_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9]+")
_CALLER = re.compile(
    r"arn:aws[a-z-]*:iam::(?P<account>[0-9]{12}):(?P<kind>user|group|role)/(?P<name>[\w+=,.@/-]+)", re.ASCII
)
_OWNER = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>[0-9]{12}):root")
_EVERYTHING = "*"

# The worst counts for an action on several resources.
_SEVERITY: tuple[iam.PolicyEvaluationDecisionType, ...] = ("allowed", "implicitDeny", "explicitDeny")


@operation
async def simulate_custom_policy(
    call: Call, request: iam.SimulateCustomPolicyRequest
) -> iam.SimulatePolicyResponse:
    """One result an action, with one an ARN inside where ARNs are given; pages are of actions."""
    return await _simulated(call, request, await call.services.compute(_scene, call.account, request))


@operation
async def simulate_principal_policy(
    call: Call, request: iam.SimulatePrincipalPolicyRequest
) -> iam.SimulatePolicyResponse:
    """With the policies that the principal has, those of its groups, and those that come with the request."""
    entity = await _entity(call, request.policy_source_arn)
    grants = await _grants(call, entity)
    request_given = request.policy_input_list or []
    custom = iam.SimulateCustomPolicyRequest(
        policy_input_list=list(request_given),
        permissions_boundary_policy_input_list=request.permissions_boundary_policy_input_list,
        action_names=request.action_names,
        resource_arns=request.resource_arns,
        resource_policy=request.resource_policy,
        resource_owner=request.resource_owner,
        caller_arn=request.caller_arn or entity.arn,
        context_entries=request.context_entries,
        max_items=request.max_items,
        marker=request.marker,
    )
    given = await call.services.compute(_scene, call.account, custom)
    scene = replace(
        given,
        policies=replace(
            given.policies,
            identity=grants.identity + given.policies.identity,
            boundary=given.policies.boundary if given.policies.boundary is not None else grants.boundary,
            scps=grants.scps,
        ),
        context={**grants.context, **given.context},
    )
    return await _simulated(call, request, scene)


async def _simulated(
    call: Call, request: iam.SimulateCustomPolicyRequest | iam.SimulatePrincipalPolicyRequest, scene: _Scene
) -> iam.SimulatePolicyResponse:
    resources = request.resource_arns or [_EVERYTHING]
    if len(resources) > RESOURCES_MAX:
        raise InvalidInput(f"At most {RESOURCES_MAX} resources can be simulated")
    for action in request.action_names:
        if not _ACTION.fullmatch(action):
            raise InvalidInput(f"Invalid action name: {action}")
    listing = Listing(call, request, most=max(1, DECISIONS_MAX // len(resources)))
    page = listing.page_of_all(request.action_names)
    return iam.SimulatePolicyResponse(
        evaluation_results=await call.services.compute(_results, scene, page.items, resources),
        is_truncated=page.is_truncated,
        marker=page.marker,
    )


@operation
async def get_context_keys_for_custom_policy(
    call: Call, request: iam.GetContextKeysForCustomPolicyRequest
) -> iam.GetContextKeysForPolicyResponse:
    """As the policies spell them; each key once, whatever the case."""
    return iam.GetContextKeysForPolicyResponse(context_key_names=_keys_in(request.policy_input_list))


@operation
async def get_context_keys_for_principal_policy(
    call: Call, request: iam.GetContextKeysForPrincipalPolicyRequest
) -> iam.GetContextKeysForPolicyResponse:
    """Those of the principal's own policies, of its groups', and of those that come with the request."""
    grants = await _grants(call, await _entity(call, request.policy_source_arn))
    stored = [policy.text for policy in (*grants.identity, *(grants.boundary or ()))]
    names = _keys_in(request.policy_input_list or [])
    known = {name.lower() for name in names}
    for text in stored:
        names += [key for key in keys_read(read(text)) if key.lower() not in known]
        known |= {name.lower() for name in names}
    return iam.GetContextKeysForPolicyResponse(context_key_names=names)


def _keys_in(texts: Sequence[str]) -> list[str]:
    _check_number(texts)
    found: dict[str, str] = {}
    for text in texts:
        try:
            document = parse(text, "identity")
        except MalformedPolicy as error:
            raise InvalidInput(str(error)) from None
        for key in keys_read(document):
            found.setdefault(key.lower(), key)
    return list(found.values())


async def _entity(call: Call, arn: str) -> Entity:
    """A user, group or role of the account. Raise `NoSuchEntity`, `InvalidInput`."""
    found = _CALLER.fullmatch(arn)
    if found is None or found["account"] != call.account:
        raise InvalidInput("PolicySourceArn must be the ARN of a user, group or role of the account")
    kinds: dict[str, entities.Kind] = {"user": "user", "group": "group", "role": "role"}
    entity = await entities.need(
        call.db, call.account, kinds[found["kind"]], found["name"].rpartition("/")[2]
    )
    if entity.arn != arn:
        raise NoSuchEntity(f"The {entity.kind} with ARN {arn} cannot be found.")
    return entity


async def _grants(call: Call, entity: Entity) -> Grants:
    """A group has policies as a user has."""
    as_if = replace(principal_of(entity, f"simulated {entity.id}", None), id=entity.id)
    return await call.services.authorizer.grants_of(as_if)


@dataclass(frozen=True, slots=True)
class _Scene:
    caller: Caller
    policies: PolicySet
    context: Context
    owner: str
    """The account of resources whose ARN names none."""

    def explanation(self, action: str, resource: str) -> Explanation:
        account = self.caller.account
        if self.policies.resource:
            # Without a resource policy only the caller's side is simulated.
            parts = resource.split(":", 5)
            account = (parts[4] if len(parts) == 6 else "") or self.owner
        return explain(Asked(self.caller, action, resource, account, self.context), self.policies)


def _scene(account: str, request: iam.SimulateCustomPolicyRequest) -> _Scene:
    levels = request.ordered_organization_policy_input_list or []
    boundary = request.permissions_boundary_policy_input_list
    _check_number(
        [
            *request.policy_input_list,
            *(boundary or ()),
            *(text for level in levels for text in level.service_control_policy_input_list or ()),
        ]
    )
    if request.resource_policy and not request.caller_arn:
        raise InvalidInput("CallerArn is required with a ResourcePolicy")
    if boundary and len(boundary) > 1:
        raise InvalidInput("Only one permissions boundary can be simulated")
    caller = _caller(request.caller_arn or f"arn:aws:iam::{account}:user/simulated")
    policies = PolicySet(
        identity=_compiled(request.policy_input_list, "identity", "PolicyInputList"),
        boundary=_compiled(boundary, "identity", "PermissionsBoundaryPolicyInputList") if boundary else None,
        resource=(_policy(request.resource_policy, "repository", "ResourcePolicy"),)
        if request.resource_policy
        else (),
        scps=tuple(
            _compiled(
                level.service_control_policy_input_list or (), "scp", "OrderedOrganizationPolicyInputList"
            )
            for level in levels
        ),
    )
    return _Scene(caller, policies, _context(request.context_entries or ()), _owner(request, caller))


def _check_number(texts: Sequence[str]) -> None:
    if len(texts) > POLICIES_MAX:
        raise InvalidInput(f"At most {POLICIES_MAX} policies can be simulated")


def _compiled(texts: Iterable[str], kind: Kind, name: str) -> tuple[Policy, ...]:
    """A policy's source is the member it came in, from 1."""
    return tuple(_policy(text, kind, f"{name}.{number}") for number, text in enumerate(texts, 1))


def _policy(text: str, kind: Kind, source: str) -> Policy:
    if sum(map(len, text.split())) > POLICY_CHARACTERS_MAX:
        raise InvalidInput(f"{source}: a policy has at most {POLICY_CHARACTERS_MAX} characters")
    try:
        parse(text, kind)
    except MalformedPolicy as error:
        raise InvalidInput(f"{source}: {error}") from None
    return compile_once(text, kind, source)


def _caller(arn: str) -> Caller:
    """A role stands for a session of it. A group has no calls; it stands for a member."""
    found = _CALLER.fullmatch(arn)
    if found is None:
        raise InvalidInput("CallerArn must be the ARN of a user, group or role")
    if found["kind"] != "role":
        return Caller("user", found["account"], arn)
    name = found["name"].rpartition("/")[2]
    session = f"arn:aws:sts::{found['account']}:assumed-role/{name}/simulated"
    return Caller("role", found["account"], session, role_arn=arn)


def _owner(request: iam.SimulateCustomPolicyRequest, caller: Caller) -> str:
    if not request.resource_owner:
        return caller.account
    found = _OWNER.fullmatch(request.resource_owner)
    if found is None:
        raise InvalidInput("ResourceOwner must be the ARN of an account's root")
    return found["account"]


def _context(entries: Iterable[iam.ContextEntry]) -> Context:
    context: dict[str, str | tuple[str, ...]] = {}
    for entry in entries:
        key, values = (entry.context_key_name or "").lower(), entry.context_key_values or []
        if not key or key in context:
            raise InvalidInput("Each context entry has a key of its own")
        if (entry.context_key_type or "").endswith("List"):
            context[key] = tuple(values)
        elif len(values) == 1:
            context[key] = values[0]
        else:
            raise InvalidInput(
                f"The context key {entry.context_key_name} must have one value, or a list's type"
            )
    return context


def _results(scene: _Scene, actions: Sequence[str], resources: Sequence[str]) -> list[iam.EvaluationResult]:
    return [_result(scene, action, resources) for action in actions]


def _result(scene: _Scene, action: str, resources: Sequence[str]) -> iam.EvaluationResult:
    explanations = [scene.explanation(action, resource) for resource in resources]
    is_specific = list(resources) != [_EVERYTHING]
    determining = {one: None for explanation in explanations for one in explanation.determining}
    organization = [
        one.allowed_by_organization for one in explanations if one.allowed_by_organization is not None
    ]
    return iam.EvaluationResult(
        eval_action_name=action,
        eval_resource_name=resources[0] if len(resources) == 1 else _EVERYTHING,
        eval_decision=max((_said(one.decision) for one in explanations), key=_SEVERITY.index),
        matched_statements=_statements(determining),
        missing_context_values=list(dict.fromkeys(key for one in explanations for key in one.missing)),
        organizations_decision_detail=(
            iam.OrganizationsDecisionDetail(allowed_by_organizations=all(organization))
            if organization
            else None
        ),
        permissions_boundary_decision_detail=_boundary(explanations),
        resource_specific_results=[
            iam.ResourceSpecificResult(
                eval_resource_name=resource,
                eval_resource_decision=_said(explanation.decision),
                matched_statements=_statements(explanation.determining),
                missing_context_values=list(explanation.missing),
                permissions_boundary_decision_detail=_boundary([explanation]),
            )
            for resource, explanation in zip(resources, explanations, strict=True)
        ]
        if is_specific
        else None,
    )


def _said(decision: Decision) -> iam.PolicyEvaluationDecisionType:
    if decision.allowed:
        return "allowed"
    return "explicitDeny" if decision.explicit else "implicitDeny"


def _statements(matched: Iterable[Matched]) -> list[iam.Statement]:
    return [
        iam.Statement(
            source_policy_id=one.source,
            start_position=_position(one.start),
            end_position=_position(one.end),
        )
        for one in matched
    ]


def _position(place: Position) -> iam.Position:
    return iam.Position(line=place.line, column=place.column)


def _boundary(explanations: Iterable[Explanation]) -> iam.PermissionsBoundaryDecisionDetail | None:
    said = [one.allowed_by_boundary for one in explanations if one.allowed_by_boundary is not None]
    if not said:
        return None
    return iam.PermissionsBoundaryDecisionDetail(allowed_by_permissions_boundary=all(said))
