"""What a setting of a repository is, and when it came to be."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.access import resource_policy
from moorage.access.identities import trust
from moorage.base.errors.lifecycle import LifecyclePolicyNotFound
from moorage.base.errors.repositories import RepositoryNotFound
from moorage.registry.account import setting_changes
from moorage.registry.account.setting_changes import Change
from moorage.registry.account.setting_names import Setting
from moorage.registry.lifecycle import stored as lifecycle
from moorage.registry.repositories import repository as repositories
from moorage.registry.repositories import tags as resource_tags
from moorage.registry.repositories.mutability import Mutability
from moorage.registry.repositories.repository import Repository
from moorage.store.db.api import Reads

State = Mutability | Mapping[str, str] | bool | str | None
"""Lifecycle and policy: text or None; scanning: on push or not; tags: by key.

What a policy says is as its readers see it: with ARNs in the place of ids.
"""


async def change_of(reads: Reads, repository: Repository, setting: Setting) -> Change:
    """The last; a setting that was never changed is as old as the repository."""
    known = await setting_changes.last_change(reads, repository, setting)
    return known or Change(repository.created, None)


async def state_of(reads: Reads, repository: Repository, setting: Setting) -> State:
    """As it is now; `repository` may have been read before."""
    match setting:
        case "lifecycle":
            try:
                return (await lifecycle.find(reads, repository)).text
            except LifecyclePolicyNotFound:
                return None
        case "policy":
            text = await resource_policy.find(reads, repository.arn)
            if text is None:
                return None
            return (await trust.with_arns(reads, repository.registry.account, {"": text}))[""]
        case "tags":
            return dict(await resource_tags.of(reads, repository.arn))
    current = await repositories.find_by_id(reads, repository.id)
    if current is None:
        raise RepositoryNotFound(name=repository.name, registry_id=repository.registry.account)
    return current.mutability if setting == "mutability" else current.scan_on_push


def tag_steps(wanted: Mapping[str, str], had: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The tags to set, and the keys to take off."""
    set_ = {key: value for key, value in wanted.items() if had.get(key) != value}
    return set_, [key for key in had if key not in wanted]
