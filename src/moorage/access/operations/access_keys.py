"""The IAM operations on access keys: of a user, or of the root that calls."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.access.credentials import insert_key
from moorage.access.identities import keys
from moorage.access.identities.keys import Key
from moorage.access.operations.listing import Listing
from moorage.access.operations.users import ROOT_NAME, user_or_caller
from moorage.aws.operation import operation
from moorage.aws.shapes.iam import (
    AccessKey,
    AccessKeyLastUsed,
    AccessKeyMetadata,
    CreateAccessKeyRequest,
    CreateAccessKeyResponse,
    DeleteAccessKeyRequest,
    DeleteAccessKeyResponse,
    GetAccessKeyLastUsedRequest,
    GetAccessKeyLastUsedResponse,
    ListAccessKeysRequest,
    ListAccessKeysResponse,
    UpdateAccessKeyRequest,
    UpdateAccessKeyResponse,
)
from moorage.base.clock import wire_seconds
from moorage.base.errors.identities import InvalidInput
from moorage.store.db.api import Reads

NEVER = "N/A"


@operation
async def create_access_key(call: Call, request: CreateAccessKeyRequest) -> CreateAccessKeyResponse:
    async with call.services.epochs.changing(call.account) as tx:
        owner, name = await _owner(call, tx, request.user_name)
        await keys.check_room(tx, owner)
        key_id, secret = await insert_key(tx, call.keys, call.account, owner, call.now)
    return CreateAccessKeyResponse(
        access_key=AccessKey(
            user_name=name,
            access_key_id=key_id,
            status="Active",
            secret_access_key=secret,
            create_date=wire_seconds(call.now),
        )
    )


@operation
async def list_access_keys(call: Call, request: ListAccessKeysRequest) -> ListAccessKeysResponse:
    owner, name = await _owner(call, call.db, request.user_name)
    listing = Listing(call, request, owner)
    found = await keys.of_owner(call.db, owner, after=listing.after, limit=listing.ask)
    page = listing.page(found, lambda key: key.id)
    return ListAccessKeysResponse(
        access_key_metadata=[_metadata(key, name) for key in page.items],
        is_truncated=page.is_truncated,
        marker=page.marker,
    )


@operation
async def update_access_key(call: Call, request: UpdateAccessKeyRequest) -> UpdateAccessKeyResponse:
    if request.status == "Expired":
        raise InvalidInput("The status of an access key is Active or Inactive.")
    async with call.services.epochs.changing(call.account) as tx:
        owner, _ = await _owner(call, tx, request.user_name)
        await keys.set_status(tx, owner, request.access_key_id, request.status)
        if request.status == "Inactive":
            await keys.check_way_in(tx, call.account, request.access_key_id)
    return UpdateAccessKeyResponse()


@operation
async def delete_access_key(call: Call, request: DeleteAccessKeyRequest) -> DeleteAccessKeyResponse:
    async with call.services.epochs.changing(call.account) as tx:
        owner, _ = await _owner(call, tx, request.user_name)
        await keys.delete(tx, owner, request.access_key_id)
        await keys.check_way_in(tx, call.account, request.access_key_id)
    return DeleteAccessKeyResponse()


@operation
async def get_access_key_last_used(
    call: Call, request: GetAccessKeyLastUsedRequest
) -> GetAccessKeyLastUsedResponse:
    found = await keys.owned(call.db, call.account, request.access_key_id)
    key = found.key
    return GetAccessKeyLastUsedResponse(
        user_name=found.user or ROOT_NAME,
        access_key_last_used=AccessKeyLastUsed(
            last_used_date=None if key.last_used is None else wire_seconds(key.last_used),
            service_name=key.last_service or NEVER,
            region=key.last_region or NEVER,
        ),
    )


async def _owner(call: Call, reads: Reads, user_name: str | None) -> tuple[str, str]:
    """Whose keys are meant, and what they are called: a user, or the root that calls."""
    if user_name is None and call.principal.kind == "root":
        return f"arn:aws:iam::{call.account}:root", ROOT_NAME
    user = await user_or_caller(call, user_name, reads)
    return user.id, user.name


def _metadata(key: Key, name: str) -> AccessKeyMetadata:
    return AccessKeyMetadata(
        user_name=name, access_key_id=key.id, status=key.status, create_date=wire_seconds(key.created)
    )
