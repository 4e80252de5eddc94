"""The operations of AWS Secrets Manager that the credentials of upstream registries need.

A secret may be named by its name or its ARN, so that only the operation knows the ARN that policies speak of: it
authorizes itself, before it tells whether the secret is there.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Callable, Mapping, Sequence

import msgspec

from moorage.access.authorize import decision_on, denied
from moorage.access.call import Call
from moorage.access.paging import next_token, position_in
from moorage.aws.operation import operation
from moorage.aws.shapes.secretsmanager import (
    CreateSecretRequest,
    CreateSecretResponse,
    DeleteSecretRequest,
    DeleteSecretResponse,
    DescribeSecretRequest,
    DescribeSecretResponse,
    Filter,
    GetSecretValueRequest,
    GetSecretValueResponse,
    ListSecretsRequest,
    ListSecretsResponse,
    PutSecretValueRequest,
    PutSecretValueResponse,
    RestoreSecretRequest,
    RestoreSecretResponse,
    SecretListEntry,
    Tag,
    UpdateSecretRequest,
    UpdateSecretResponse,
)
from moorage.base.addresses import Registry
from moorage.base.clock import HOUR, wire_seconds
from moorage.base.errors.requests import InvalidParameter
from moorage.base.errors.upstream import InvalidNextToken, InvalidRequest, ResourceNotFound
from moorage.registry.repositories.tags import TAGS_MAX, is_tag
from moorage.registry.upstream import secrets
from moorage.registry.upstream.secrets import Secret, Value, arn_of

_DAY = 24 * HOUR
WINDOW_DAYS, WINDOW_MIN, WINDOW_MAX = 30, 7, 30
PAGE = 100
_OWN_KEY = ("alias/aws/secretsmanager", "")


def _to_be_made(request: CreateSecretRequest, account: str, region: str) -> tuple[str]:
    """Six characters will be appended; which is not known when the caller is authorized."""
    return (arn_of(Registry(account, region), f"{request.name}-??????"),)


def _decided_by_operation(request: object, account: str, region: str) -> tuple[()]:
    return ()


@operation(resources=_to_be_made)
async def create_secret(call: Call, request: CreateSecretRequest) -> CreateSecretResponse:
    _refuse_key(request.kms_key_id)
    if request.add_replica_regions or request.cross_account_primary_arn or request.type:
        raise InvalidParameter("Secrets here are not replicated, and of no managed type")
    value = _value_in(request)
    version_id = request.client_request_token or _new_version_id()
    created = await secrets.create(
        call,
        request.name,
        value,
        version_id,
        description=request.description or "",
        tags=_tags_in(request.tags or []),
    )
    return CreateSecretResponse(
        arn=created.arn, name=created.name, version_id=version_id if value is not None else None
    )


@operation(resources=_decided_by_operation)
async def get_secret_value(call: Call, request: GetSecretValueRequest) -> GetSecretValueResponse:
    secret = _usable(await _find(call, "GetSecretValue", request.secret_id))
    version = await secrets.version_of(call, secret, request.version_id, request.version_stage)
    content, is_text = version.value.content, version.value.is_text
    return GetSecretValueResponse(
        arn=secret.arn,
        name=secret.name,
        version_id=version.id,
        secret_string=content.decode() if is_text else None,
        secret_binary=None if is_text else content,
        version_stages=list(version.stages),
        created_date=wire_seconds(version.created),
    )


@operation(resources=_decided_by_operation)
async def put_secret_value(call: Call, request: PutSecretValueRequest) -> PutSecretValueResponse:
    secret = _usable(await _find(call, "PutSecretValue", request.secret_id))
    value = _value_in(request)
    if value is None:
        raise InvalidParameter("You must provide either SecretString or SecretBinary.")
    version_id = request.client_request_token or _new_version_id()
    stages = list(dict.fromkeys(request.version_stages or [secrets.CURRENT]))
    kept = await secrets.put_value(call, secret, value, version_id, stages)
    return PutSecretValueResponse(
        arn=secret.arn, name=secret.name, version_id=version_id, version_stages=list(kept)
    )


@operation(resources=_decided_by_operation)
async def update_secret(call: Call, request: UpdateSecretRequest) -> UpdateSecretResponse:
    secret = _usable(await _find(call, "UpdateSecret", request.secret_id))
    _refuse_key(request.kms_key_id)
    value = _value_in(request)
    version_id = None
    if value is not None:
        version_id = request.client_request_token or _new_version_id()
        await secrets.put_value(call, secret, value, version_id)
    if request.description is not None:
        await secrets.describe(call, secret, request.description)
    return UpdateSecretResponse(arn=secret.arn, name=secret.name, version_id=version_id)


@operation(resources=_decided_by_operation)
async def describe_secret(call: Call, request: DescribeSecretRequest) -> DescribeSecretResponse:
    secret = _there(await _find(call, "DescribeSecret", request.secret_id))
    stages = (await secrets.stages_of(call.db, [secret]))[secret.id]
    return DescribeSecretResponse(
        arn=secret.arn,
        name=secret.name,
        description=secret.description or None,
        last_changed_date=wire_seconds(secret.changed),
        deleted_date=None if secret.deleted is None else wire_seconds(secret.deleted),
        tags=_tags(secret),
        version_ids_to_stages={id_: list(labels) for id_, labels in stages.items()} or None,
        created_date=wire_seconds(secret.created),
    )


@operation(resources=_decided_by_operation)
async def delete_secret(call: Call, request: DeleteSecretRequest) -> DeleteSecretResponse:
    """After a window in which it can be restored, unless that is forced."""
    secret = await _find(call, "DeleteSecret", request.secret_id)
    days = request.recovery_window_in_days
    if request.force_delete_without_recovery and days is not None:
        raise InvalidParameter(
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
        )
    if days is not None and not WINDOW_MIN <= days <= WINDOW_MAX:
        raise InvalidParameter(
            f"The RecoveryWindowInDays value must be between {WINDOW_MIN} and {WINDOW_MAX} days (inclusive)."
        )
    if request.force_delete_without_recovery:
        found = _there(secret)
        await secrets.delete(call, found, None)
        return DeleteSecretResponse(arn=found.arn, name=found.name, deletion_date=wire_seconds(call.now))
    found = _usable(secret)
    at = call.now + (days or WINDOW_DAYS) * _DAY
    await secrets.delete(call, found, at)
    return DeleteSecretResponse(arn=found.arn, name=found.name, deletion_date=wire_seconds(at))


@operation(resources=_decided_by_operation)
async def restore_secret(call: Call, request: RestoreSecretRequest) -> RestoreSecretResponse:
    secret = _there(await _find(call, "RestoreSecret", request.secret_id))
    await secrets.restore(call, secret)
    return RestoreSecretResponse(arn=secret.arn, name=secret.name)


@operation
async def list_secrets(call: Call, request: ListSecretsRequest) -> ListSecretsResponse:
    """In the order asked, by name as long as no other is."""
    filters = request.filters or []
    listing = ("ListSecrets", repr([(each.key, each.values) for each in filters]), request.sort_by,
               request.sort_order, request.include_planned_deletion)  # fmt: skip
    try:
        after = position_in(call, listing, request.next_token, _After)
    except InvalidParameter:
        raise InvalidNextToken() from None
    found = [
        secret
        for secret in await secrets.all_of(call.db, Registry(call.account, call.region))
        if (secret.deleted is None or request.include_planned_deletion)
        and all(_passes(secret, each) for each in filters)
    ]
    order, is_descending = _ORDERS[request.sort_by or "name"], request.sort_order == "desc"
    found.sort(key=order, reverse=is_descending)
    start = 0
    if after is not None:  # by its place: that secret itself may be gone
        place = after.number, after.name
        start = sum(order(each) >= place if is_descending else order(each) <= place for each in found)
    shown = found[start : start + (request.max_results or PAGE)]
    is_all = start + len(shown) == len(found)
    stages = await secrets.stages_of(call.db, shown)
    return ListSecretsResponse(
        secret_list=[_entry(secret, stages[secret.id]) for secret in shown],
        next_token=None if is_all else next_token(call, listing, _After(*order(shown[-1]))),
    )


class _After(msgspec.Struct, array_like=True):
    number: int
    name: str


_ORDERS: dict[str, Callable[[Secret], tuple[int, str]]] = {
    "created-date":       lambda secret: (secret.created, secret.name),
    "last-accessed-date": lambda secret: (secret.created, secret.name),  # not recorded
    "last-changed-date":  lambda secret: (secret.changed, secret.name),
    "name":               lambda secret: (0, secret.name),
}  # fmt: skip


async def _find(call: Call, name: str, secret_id: str) -> Secret | None:
    """The secret, after the caller has been authorized for it, be it there or not."""
    registry = Registry(call.account, call.region)
    found = await secrets.find(call.db, registry, secret_id, call.now)
    arn = found.arn if found is not None else _arn_of_none(registry, secret_id)
    action = f"secretsmanager:{name}"
    decision = await decision_on(call, action, arn)
    if not decision.allowed:  # told with the name given: what was appended to it would say that it is there
        raise denied(call, action, secret_id, decision)
    return found


def _arn_of_none(registry: Registry, secret_id: str) -> str:
    return secret_id if secret_id.startswith("arn:") else arn_of(registry, f"{secret_id}-??????")


def _there(secret: Secret | None) -> Secret:
    if secret is None:
        raise ResourceNotFound()
    return secret


def _usable(secret: Secret | None) -> Secret:
    found = _there(secret)
    if found.deleted is not None:
        raise InvalidRequest(
            "You can't perform this operation on the secret because it was marked for deletion."
        )
    return found


def _value_in(request: CreateSecretRequest | PutSecretValueRequest | UpdateSecretRequest) -> Value | None:
    if request.secret_string is not None and request.secret_binary is not None:
        raise InvalidParameter("You can't specify both a binary secret value and a string secret value.")
    if request.secret_string is not None:
        return Value(request.secret_string.encode(), is_text=True)
    return Value(request.secret_binary, is_text=False) if request.secret_binary is not None else None


def _refuse_key(key: str | None) -> None:
    if key is not None and key not in _OWN_KEY:
        raise InvalidParameter(
            f"Secrets of the pull through cache are encrypted with {_OWN_KEY[0]} only (KmsKeyId: '{key[:64]}')"
        )


def _tags_in(tags: Sequence[Tag]) -> dict[str, str]:
    pairs = {tag.key or "": tag.value or "" for tag in tags}
    if len(pairs) > TAGS_MAX or not all(is_tag(key, value) for key, value in pairs.items()):
        raise InvalidParameter("The tags of the secret are not valid.")
    return pairs


def _tags(secret: Secret) -> list[Tag]:
    return [Tag(key=key, value=value) for key, value in secret.tags]


def _passes(secret: Secret, wanted: Filter) -> bool:
    """One of the values begins what is asked for; with `!` before it, it must not."""
    values = wanted.values or []
    texts = _texts(secret, wanted.key or "all")
    refused = [value[1:] for value in values if value.startswith("!")]
    looked_for = [value for value in values if not value.startswith("!")]
    if any(text.startswith(value) for value in refused for text in texts):
        return False
    return not looked_for or any(text.startswith(value) for value in looked_for for text in texts)


def _texts(secret: Secret, key: str) -> list[str]:
    keys, values = [k for k, _ in secret.tags], [v for _, v in secret.tags]
    texts: dict[str, list[str]] = {
        "all": [secret.name, secret.description, *keys, *values],
        "description": [secret.description],
        "name": [secret.name],
        "tag-key": keys,
        "tag-value": values,
    }
    return texts.get(key, [])


def _entry(secret: Secret, stages: Mapping[str, Sequence[str]]) -> SecretListEntry:
    return SecretListEntry(
        arn=secret.arn,
        name=secret.name,
        description=secret.description or None,
        last_changed_date=wire_seconds(secret.changed),
        deleted_date=None if secret.deleted is None else wire_seconds(secret.deleted),
        tags=_tags(secret),
        secret_versions_to_stages={id_: list(labels) for id_, labels in stages.items()} or None,
        created_date=wire_seconds(secret.created),
    )


def _new_version_id() -> str:
    return randomness.token_hex(16)
