from __future__ import annotations

from typing import Any

import pytest

from moorage.access.call import Call
from moorage.access.identities import providers
from moorage.access.operations import identity_providers as operations
from moorage.aws.shapes import iam
from moorage.base.clock import SECOND
from moorage.base.errors.identities import EntityAlreadyExists, InvalidInput, NoSuchEntity
from moorage.base.errors.images import LimitExceeded

from ...registry.memory import in_memory
from ...registry.registry import ACCOUNT, MemoryRegistry
from .calling import OTHER, add_account, every_page

GITHUB = "https://token.actions.githubusercontent.com"
ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
THUMBPRINT = "6938fd4d98bab03faadb97b34396831e3780aea1"
JWKS = '{"keys":[{"kty":"RSA","kid":"1","n":"AQAB","e":"AQAB"}]}'


async def create(call: Call, url: str = GITHUB, *audiences: str, **members: Any) -> str:
    request = iam.CreateOpenIDConnectProviderRequest(
        url=url, client_id_list=list(audiences) or ["sts.amazonaws.com"], **members
    )
    created = await operations.create_open_id_connect_provider(call, request)
    return created.open_id_connect_provider_arn or ""


async def get(call: Call, arn: str = ARN) -> iam.GetOpenIDConnectProviderResponse:
    request = iam.GetOpenIDConnectProviderRequest(open_id_connect_provider_arn=arn)
    return await operations.get_open_id_connect_provider(call, request)


async def add_audience(call: Call, audience: str) -> None:
    await operations.add_client_id_to_open_id_connect_provider(
        call,
        iam.AddClientIDToOpenIDConnectProviderRequest(open_id_connect_provider_arn=ARN, client_id=audience),
    )


async def remove_audience(call: Call, audience: str) -> None:
    await operations.remove_client_id_from_open_id_connect_provider(
        call,
        iam.RemoveClientIDFromOpenIDConnectProviderRequest(
            open_id_connect_provider_arn=ARN, client_id=audience
        ),
    )


async def set_thumbprints(call: Call, *thumbprints: str) -> None:
    await operations.update_open_id_connect_provider_thumbprint(
        call,
        iam.UpdateOpenIDConnectProviderThumbprintRequest(
            open_id_connect_provider_arn=ARN, thumbprint_list=list(thumbprints)
        ),
    )


async def delete(call: Call, arn: str = ARN) -> None:
    request = iam.DeleteOpenIDConnectProviderRequest(open_id_connect_provider_arn=arn)
    await operations.delete_open_id_connect_provider(call, request)


async def listed(call: Call) -> list[str | None]:
    answer = await operations.list_open_id_connect_providers(call, iam.ListOpenIDConnectProvidersRequest())
    return [entry.arn for entry in answer.open_id_connect_provider_list or []]


@in_memory
async def test_a_provider_is_created_shown_without_its_scheme_and_deleted(registry: MemoryRegistry) -> None:
    call = await add_account(registry)

    arn = await create(
        call, GITHUB, "b", "a", "b", thumbprint_list=[THUMBPRINT], tags=[iam.Tag(key="team", value="ci")]
    )
    found = await get(call)

    assert arn == ARN
    assert found.url == "token.actions.githubusercontent.com"
    assert found.client_id_list == ["b", "a"]
    assert found.thumbprint_list == [THUMBPRINT]
    assert found.create_date == registry.now / SECOND
    assert [(tag.key, tag.value) for tag in found.tags or []] == [("team", "ci")]
    assert await listed(call) == [ARN]
    for _ in range(2):
        await delete(call)
    with pytest.raises(NoSuchEntity, match=f"OpenIDConnect Provider not found for arn {ARN}"):
        await get(call)
    assert await listed(call) == []
    assert registry.count("identity_tags") == 0


@in_memory
async def test_an_account_has_one_provider_of_a_url_and_others_have_their_own(
    registry: MemoryRegistry,
) -> None:
    call, stranger = await add_account(registry), await add_account(registry, OTHER)
    await create(call)

    with pytest.raises(EntityAlreadyExists, match=f"Provider with url {GITHUB} already exists"):
        await create(call)
    with pytest.raises(EntityAlreadyExists):
        await create(call, GITHUB + "/")
    with pytest.raises(NoSuchEntity):
        await get(stranger)
    await delete(stranger)
    assert await listed(stranger) == []
    assert await listed(call) == [ARN]
    await create(stranger)


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example",
        "issuer.example",
        "https://",
        "https:///path",
        "https://user@issuer.example",
        "https://issuer.example?x=1",
        "https://issuer.example/#x",
        "https://issuer.example/a b",
        "https://issuer.example:port",
        "https://-issuer.example",
        "https://issuer.example//x\n",
        "HTTPS://issuer.example",
    ],
)
@in_memory
async def test_what_is_no_https_url_of_an_issuer_is_invalid(registry: MemoryRegistry, url: str) -> None:
    call = await add_account(registry)

    with pytest.raises(InvalidInput):
        await create(call, url)
    assert await listed(call) == []


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://tenant.auth.example/", "tenant.auth.example"),
        ("https://oidc.eks.eu-west-1.amazonaws.com/id/ABC", "oidc.eks.eu-west-1.amazonaws.com/id/ABC"),
        ("https://kubernetes.lan:6443", "kubernetes.lan:6443"),
        ("https://keycloak.lan/realms/ci", "keycloak.lan/realms/ci"),
    ],
)
@in_memory
async def test_issuers_with_paths_ports_and_a_slash_at_their_end(
    registry: MemoryRegistry, url: str, place: str
) -> None:
    call = await add_account(registry)

    arn = await create(call, url)
    found = await providers.find(call.db, ACCOUNT, url)

    assert arn == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{place}"
    assert found is not None
    assert (found.issuer, found.place, found.arn) == (url, place, arn)


@in_memory
async def test_find_wants_the_issuer_to_the_letter_and_the_account(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create(call, "https://issuer.example/Realm")

    for issuer in (
        "https://issuer.example/realm",
        "https://issuer.example",
        "http://issuer.example/Realm",
        "https://ISSUER.example/Realm",
        "https://issuer.example/Realm//",
        "",
    ):
        assert await providers.find(call.db, ACCOUNT, issuer) is None
    assert await providers.find(call.db, OTHER, "https://issuer.example/Realm") is None
    assert await providers.find(call.db, ACCOUNT, "https://issuer.example/Realm/") is not None


@in_memory
async def test_audiences_are_added_and_removed_any_number_of_times(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create(call, GITHUB, "a")

    for _ in range(2):
        await add_audience(call, "b")
    added = (await get(call)).client_id_list
    for _ in range(2):
        await remove_audience(call, "a")

    assert added == ["a", "b"]
    assert (await get(call)).client_id_list == ["b"]


@in_memory
async def test_a_provider_has_a_hundred_audiences(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create(call, GITHUB, *[str(n) for n in range(providers.MOST_AUDIENCES)])

    await add_audience(call, "0")
    with pytest.raises(LimitExceeded, match="ClientIdsPerOpenIdConnectProvider: 100"):
        await add_audience(call, "one more")
    with pytest.raises(LimitExceeded):
        await create(call, "https://other.example", *[str(n) for n in range(101)])


@in_memory
async def test_an_account_has_a_hundred_providers(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    for n in range(providers.MOST_PROVIDERS):
        await create(call, f"https://issuer-{n}.example")

    with pytest.raises(LimitExceeded, match="OpenIdConnectProvidersPerAccount: 100"):
        await create(call)
    assert len(await listed(call)) == 100


@in_memory
async def test_thumbprints_are_replaced_and_checked(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create(call, thumbprint_list=[THUMBPRINT])

    await set_thumbprints(call, "0" * 40, "F" * 40)
    with pytest.raises(InvalidInput, match="40 hexadecimal"):
        await set_thumbprints(call, "g" * 40)
    with pytest.raises(InvalidInput, match="at most 5"):
        await set_thumbprints(call, *["0" * 40] * 6)

    assert (await get(call)).thumbprint_list == ["0" * 40, "F" * 40]


@in_memory
async def test_what_is_not_there_or_no_arn_is_told_by_every_verb(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    tags = iam.TagOpenIDConnectProviderRequest(open_id_connect_provider_arn=ARN, tags=[])
    untags = iam.UntagOpenIDConnectProviderRequest(open_id_connect_provider_arn=ARN, tag_keys=["a"])
    lists = iam.ListOpenIDConnectProviderTagsRequest(open_id_connect_provider_arn=ARN)

    for act in (
        add_audience(call, "a"),
        remove_audience(call, "a"),
        set_thumbprints(call),
        operations.tag_open_id_connect_provider(call, tags),
        operations.untag_open_id_connect_provider(call, untags),
        operations.list_open_id_connect_provider_tags(call, lists),
    ):
        with pytest.raises(NoSuchEntity):
            await act
    with pytest.raises(InvalidInput, match="Invalid ARN"):
        await get(call, "nothing-valid-in-here")


@in_memory
async def test_provider_tags_are_set_listed_by_page_and_removed(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await create(call)
    tags = [iam.Tag(key=key, value="") for key in ("a", "b", "c")]

    await operations.tag_open_id_connect_provider(
        call, iam.TagOpenIDConnectProviderRequest(open_id_connect_provider_arn=ARN, tags=tags)
    )
    pages = await every_page(
        call,
        operations.list_open_id_connect_provider_tags,
        iam.ListOpenIDConnectProviderTagsRequest,
        "tags",
        open_id_connect_provider_arn=ARN,
    )
    await operations.untag_open_id_connect_provider(
        call, iam.UntagOpenIDConnectProviderRequest(open_id_connect_provider_arn=ARN, tag_keys=["B"])
    )

    assert [[tag.key for tag in page] for page in pages] == [["a", "b"], ["c"]]
    assert [tag.key for tag in (await get(call)).tags or []] == ["a", "c"]


@in_memory
async def test_a_provider_with_keys_given_may_be_of_http_and_is_not_made_through_the_api(
    registry: MemoryRegistry,
) -> None:
    call = await add_account(registry)
    issuer = "http://kubernetes.default.svc"

    with pytest.raises(InvalidInput):
        await create(call, issuer)
    async with call.services.epochs.changing(ACCOUNT) as tx:
        made = await providers.create(
            tx, ACCOUNT, issuer, call.now, audiences=["sts.amazonaws.com"], jwks=providers.checked_jwks(JWKS)
        )
    found = await providers.find(call.db, ACCOUNT, issuer)

    assert found == made
    assert found.jwks == JWKS
    assert await providers.find(call.db, ACCOUNT, "https://kubernetes.default.svc") is None
    assert await providers.of_all(call.db) == [made]


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("", "A key set is JSON"),
        ("[]", "A key set is JSON"),
        ('{"keys":{}}', "A key set is JSON"),
        ("[" * 60_000, "A key set is JSON"),
        ('{"keys":[]}', "has no keys"),
        ('{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}', "type RSA or EC"),
        ('{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB"}]}', "private key"),
        ('{"keys":[{"kty":"EC","crv":"P-256","x":"","y":"","d":""}]}', "private key"),
        (JWKS + " " * 65_536, "at most 65536"),
    ],
)
def test_what_is_no_set_of_public_keys_is_refused(text: str, because: str) -> None:
    with pytest.raises(InvalidInput, match=because):
        providers.checked_jwks(text)
