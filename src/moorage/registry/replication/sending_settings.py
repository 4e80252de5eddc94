"""One setting of a repository, set at another installation by the calls of its API.

Each call says where what it brings was changed, and when (`x-moorage-replica`): there it is not replicated onward, and
is left if something newer is there. Amazon's own registries do not read that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.base.arn import RepositoryArn
from moorage.registry.account.setting_names import Setting
from moorage.registry.peers.sign_in import PeerRefusal
from moorage.registry.replication.peer_client import PeerClient
from moorage.registry.replication.setting_states import State, tag_steps
from moorage.registry.repositories.mutability import Mutability


async def send_setting(client: PeerClient, name: str, setting: Setting, wanted: State, change: str) -> None:
    """Raise `AccessDenied`, `PeerRefusal` or `PeerFailed`."""
    match setting, wanted:
        case "lifecycle", str(text):
            await client.bring("PutLifecyclePolicy", change, repositoryName=name, lifecyclePolicyText=text)
        case "lifecycle", _:
            await _delete(client, "LifecyclePolicy", name, change)
        case "mutability", Mutability() as mutability:
            await client.bring("PutImageTagMutability", change, repositoryName=name, **_members(mutability))
        case "policy", str(text):
            # It may shut us out; so does the same policy here.
            await client.bring(
                "SetRepositoryPolicy", change, repositoryName=name, policyText=text, force=True
            )
        case "policy", _:
            await _delete(client, "RepositoryPolicy", name, change)
        case "scanning", bool(on_push):
            flag = {"scanOnPush": on_push}
            await client.bring(
                "PutImageScanningConfiguration", change, repositoryName=name, imageScanningConfiguration=flag
            )
        case "tags", _:
            assert isinstance(wanted, Mapping)
            await _send_tags(client, name, wanted, change)


def _members(mutability: Mutability) -> dict[str, Any]:
    filters = [{"filterType": "WILDCARD", "filter": text} for text in mutability.filters]
    members: dict[str, Any] = {"imageTagMutability": mutability.mode}
    return members | ({"imageTagMutabilityExclusionFilters": filters} if filters else {})


async def _delete(client: PeerClient, what: str, name: str, change: str) -> None:
    try:
        await client.bring(f"Delete{what}", change, repositoryName=name)
    except PeerRefusal as refusal:
        if refusal.error != f"{what}NotFound":
            raise


async def _send_tags(client: PeerClient, name: str, wanted: Mapping[str, str], change: str) -> None:
    arn = str(RepositoryArn(client.peer.account, client.peer.region, name))
    said = await client.api("ListTagsForResource", resourceArn=arn)
    set_, unset = tag_steps(
        wanted, {str(tag.get("Key")): str(tag.get("Value")) for tag in said.get("tags", [])}
    )
    if unset:  # first: there may be room for 50 only
        await client.bring("UntagResource", change, resourceArn=arn, tagKeys=unset)
    if set_:
        tags = [{"Key": key, "Value": value} for key, value in set_.items()]
        await client.bring("TagResource", change, resourceArn=arn, tags=tags)
