"""The IAM operations on OpenID Connect identity providers."""

from __future__ import annotations

from moorage.access.call import Call
from moorage.access.identities import providers, tags
from moorage.access.operations.listing import Listing
from moorage.access.operations.users import tag_shapes
from moorage.aws.operation import operation
from moorage.aws.shapes.iam import (
    AddClientIDToOpenIDConnectProviderRequest,
    AddClientIDToOpenIDConnectProviderResponse,
    CreateOpenIDConnectProviderRequest,
    CreateOpenIDConnectProviderResponse,
    DeleteOpenIDConnectProviderRequest,
    DeleteOpenIDConnectProviderResponse,
    GetOpenIDConnectProviderRequest,
    GetOpenIDConnectProviderResponse,
    ListOpenIDConnectProvidersRequest,
    ListOpenIDConnectProvidersResponse,
    ListOpenIDConnectProviderTagsRequest,
    ListOpenIDConnectProviderTagsResponse,
    OpenIDConnectProviderListEntry,
    RemoveClientIDFromOpenIDConnectProviderRequest,
    RemoveClientIDFromOpenIDConnectProviderResponse,
    TagOpenIDConnectProviderRequest,
    TagOpenIDConnectProviderResponse,
    UntagOpenIDConnectProviderRequest,
    UntagOpenIDConnectProviderResponse,
    UpdateOpenIDConnectProviderThumbprintRequest,
    UpdateOpenIDConnectProviderThumbprintResponse,
)
from moorage.base.clock import wire_seconds
from moorage.base.errors.identities import InvalidInput


@operation
async def create_open_id_connect_provider(
    call: Call, request: CreateOpenIDConnectProviderRequest
) -> CreateOpenIDConnectProviderResponse:
    if request.context_provider is not None or request.identity_center_instance_arn is not None:
        raise InvalidInput("Identity Center is not part of this service.")
    given = [(tag.key, tag.value) for tag in request.tags or []]
    async with call.services.epochs.changing(call.account) as tx:
        created = await providers.create(
            tx,
            call.account,
            request.url,
            call.now,
            audiences=request.client_id_list or [],
            thumbprints=request.thumbprint_list or [],
        )
        await tags.add(tx, created.arn, given)
    return CreateOpenIDConnectProviderResponse(
        open_id_connect_provider_arn=created.arn, tags=tag_shapes(given) or None
    )


@operation
async def get_open_id_connect_provider(
    call: Call, request: GetOpenIDConnectProviderRequest
) -> GetOpenIDConnectProviderResponse:
    found = await providers.need(call.db, call.account, request.open_id_connect_provider_arn)
    return GetOpenIDConnectProviderResponse(
        url=found.place,
        client_id_list=list(found.audiences),
        thumbprint_list=list(found.thumbprints),
        create_date=wire_seconds(found.created),
        tags=tag_shapes(await tags.of(call.db, found.arn)),
    )


@operation
async def list_open_id_connect_providers(
    call: Call, request: ListOpenIDConnectProvidersRequest
) -> ListOpenIDConnectProvidersResponse:
    found = await providers.of_account(call.db, call.account)
    return ListOpenIDConnectProvidersResponse(
        open_id_connect_provider_list=[OpenIDConnectProviderListEntry(arn=each.arn) for each in found]
    )


@operation
async def delete_open_id_connect_provider(
    call: Call, request: DeleteOpenIDConnectProviderRequest
) -> DeleteOpenIDConnectProviderResponse:
    """Sessions that it has begun go on; nothing else begins one."""
    async with call.services.epochs.changing(call.account) as tx:
        await providers.delete(tx, call.account, request.open_id_connect_provider_arn)
    return DeleteOpenIDConnectProviderResponse()


@operation
async def update_open_id_connect_provider_thumbprint(
    call: Call, request: UpdateOpenIDConnectProviderThumbprintRequest
) -> UpdateOpenIDConnectProviderThumbprintResponse:
    async with call.services.epochs.changing(call.account) as tx:
        provider = await providers.need(tx, call.account, request.open_id_connect_provider_arn)
        await providers.change(tx, provider, thumbprints=request.thumbprint_list)
    return UpdateOpenIDConnectProviderThumbprintResponse()


@operation
async def add_client_id_to_open_id_connect_provider(
    call: Call, request: AddClientIDToOpenIDConnectProviderRequest
) -> AddClientIDToOpenIDConnectProviderResponse:
    async with call.services.epochs.changing(call.account) as tx:
        provider = await providers.need(tx, call.account, request.open_id_connect_provider_arn)
        await providers.change(tx, provider, audiences=[*provider.audiences, request.client_id])
    return AddClientIDToOpenIDConnectProviderResponse()


@operation
async def remove_client_id_from_open_id_connect_provider(
    call: Call, request: RemoveClientIDFromOpenIDConnectProviderRequest
) -> RemoveClientIDFromOpenIDConnectProviderResponse:
    """Also one that it has not: the outcome is the same."""
    async with call.services.epochs.changing(call.account) as tx:
        provider = await providers.need(tx, call.account, request.open_id_connect_provider_arn)
        kept = [audience for audience in provider.audiences if audience != request.client_id]
        await providers.change(tx, provider, audiences=kept)
    return RemoveClientIDFromOpenIDConnectProviderResponse()


@operation
async def tag_open_id_connect_provider(
    call: Call, request: TagOpenIDConnectProviderRequest
) -> TagOpenIDConnectProviderResponse:
    async with call.services.epochs.changing(call.account) as tx:
        provider = await providers.need(tx, call.account, request.open_id_connect_provider_arn)
        await tags.add(tx, provider.arn, [(tag.key, tag.value) for tag in request.tags])
    return TagOpenIDConnectProviderResponse()


@operation
async def untag_open_id_connect_provider(
    call: Call, request: UntagOpenIDConnectProviderRequest
) -> UntagOpenIDConnectProviderResponse:
    async with call.services.epochs.changing(call.account) as tx:
        provider = await providers.need(tx, call.account, request.open_id_connect_provider_arn)
        await tags.remove(tx, provider.arn, request.tag_keys)
    return UntagOpenIDConnectProviderResponse()


@operation
async def list_open_id_connect_provider_tags(
    call: Call, request: ListOpenIDConnectProviderTagsRequest
) -> ListOpenIDConnectProviderTagsResponse:
    provider = await providers.need(call.db, call.account, request.open_id_connect_provider_arn)
    page = Listing(call, request, provider.arn).page_of_sorted(
        await tags.of(call.db, provider.arn), tags.key_of
    )
    return ListOpenIDConnectProviderTagsResponse(
        tags=tag_shapes(page.items), is_truncated=page.is_truncated, marker=page.marker
    )
