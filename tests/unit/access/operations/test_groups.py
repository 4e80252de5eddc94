from __future__ import annotations

import pytest

from moorage.access.operations import groups
from moorage.aws.shapes import iam
from moorage.base.errors.identities import DeleteConflict, EntityAlreadyExists, NoSuchEntity
from moorage.base.errors.images import LimitExceeded

from ...registry.memory import in_memory, with_limits
from ...registry.registry import ACCOUNT, MemoryRegistry
from .calling import ALLOW, OTHER, add_account, add_group, add_user, every_page

MEMBERSHIP = {"group_name": "team", "user_name": "alice"}


@in_memory
async def test_create_group_answers_it_and_get_group_finds_it_in_any_case(registry: MemoryRegistry) -> None:
    call = await add_account(registry)

    created = await add_group(call, "Team", path="/ci/")
    found = await groups.get_group(call, iam.GetGroupRequest(group_name="TEAM"))

    assert found.group == created
    assert created.arn == f"arn:aws:iam::{ACCOUNT}:group/ci/Team"
    assert created.group_id.startswith("AGPA")
    assert (found.users, found.is_truncated, found.marker) == ([], False, None)
    with pytest.raises(EntityAlreadyExists, match=r"^Group with name team already exists\.$"):
        await add_group(call, "team")


@in_memory
async def test_get_group_has_its_members_by_name_in_pages(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    names = ["echo", "Bravo", "delta", "alpha", "charlie"]
    for name in [*names, "outsider"]:
        await add_user(call, name)
    await add_group(call, "team", *names)

    pages = await every_page(call, groups.get_group, iam.GetGroupRequest, "users", group_name="team")

    assert [[user.user_name for user in page] for page in pages] == [
        ["alpha", "Bravo"],
        ["charlie", "delta"],
        ["echo"],
    ]


@in_memory
async def test_list_groups_is_by_name_in_pages_below_a_path(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    for name, path in (("c", "/x/"), ("a", "/"), ("B", "/x/y/")):
        await add_group(call, name, path=path)

    everything = await every_page(call, groups.list_groups, iam.ListGroupsRequest, "groups")
    below = await groups.list_groups(call, iam.ListGroupsRequest(path_prefix="/x/"))

    assert [[group.group_name for group in page] for page in everything] == [["a", "B"], ["c"]]
    assert [group.group_name for group in below.groups] == ["B", "c"]


@in_memory
async def test_update_group_keeps_members_and_policies(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice")
    before = await add_group(call, "team", "alice")

    await groups.update_group(
        call, iam.UpdateGroupRequest(group_name="team", new_group_name="crew", new_path="/x/")
    )

    after = await groups.get_group(call, iam.GetGroupRequest(group_name="crew"))
    assert (after.group.group_id, after.group.arn) == (
        before.group_id,
        f"arn:aws:iam::{ACCOUNT}:group/x/crew",
    )
    assert [user.user_name for user in after.users] == ["alice"]


@in_memory
async def test_a_user_is_added_once_however_often_and_removed_once(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice")
    await add_group(call, "team", "alice", "alice")

    assert registry.count("memberships") == 1
    await groups.remove_user_from_group(call, iam.RemoveUserFromGroupRequest(**MEMBERSHIP))
    assert registry.count("memberships") == 0
    with pytest.raises(NoSuchEntity, match="alice is not in the group team"):
        await groups.remove_user_from_group(call, iam.RemoveUserFromGroupRequest(**MEMBERSHIP))


@in_memory
async def test_adding_raises_the_epoch(registry: MemoryRegistry) -> None:
    """Or what a member may do would be remembered from before."""
    call = await add_account(registry)
    await add_user(call, "alice")
    await add_group(call, "team")
    before = registry.services.epochs.of(ACCOUNT)

    await groups.add_user_to_group(call, iam.AddUserToGroupRequest(**MEMBERSHIP))

    assert registry.services.epochs.of(ACCOUNT) > before


@in_memory
async def test_a_user_is_in_ten_groups_where_quotas_are_on(registry: MemoryRegistry) -> None:
    await add_account(registry)
    await add_user(registry.call, "alice")
    with_limits(registry, aws_quotas=True)
    for n in range(10):
        await add_group(registry.call, f"g{n}", "alice")

    with pytest.raises(LimitExceeded, match=r"^Cannot exceed quota for GroupsPerUser: 10$"):
        await add_group(registry.call, "g10", "alice")
    again = iam.AddUserToGroupRequest(group_name="g3", user_name="alice")
    await groups.add_user_to_group(registry.call, again)
    pages = await every_page(
        registry.call, groups.list_groups_for_user, iam.ListGroupsForUserRequest, "groups", user_name="alice"
    )

    assert [group.group_name for page in pages for group in page] == [f"g{n}" for n in range(10)]


@pytest.mark.parametrize("holding", ["member", "policy", "attachment"])
@in_memory
async def test_delete_group_that_still_has_something_is_refused(
    registry: MemoryRegistry, holding: str
) -> None:
    call = await add_account(registry)
    await add_user(call, "alice")
    group = await add_group(call, "team", *(["alice"] if holding == "member" else []))
    if holding == "policy":
        registry.db._writer.execute("INSERT INTO inline_policies VALUES (?, 'p', ?)", (group.group_id, ALLOW))
    if holding == "attachment":
        registry.db._writer.execute("INSERT INTO attachments VALUES (?, 'arn')", (group.group_id,))

    with pytest.raises(DeleteConflict, match=r"^Cannot delete entity, must "):
        await groups.delete_group(call, iam.DeleteGroupRequest(group_name="team"))
    for table in ("memberships", "inline_policies", "attachments"):
        registry.db._writer.execute(f"DELETE FROM {table}")
    await groups.delete_group(call, iam.DeleteGroupRequest(group_name="team"))

    assert registry.count("principals") == 1


@in_memory
async def test_groups_and_users_of_another_account_are_not_there(registry: MemoryRegistry) -> None:
    call, other = await add_account(registry), await add_account(registry, OTHER)
    await add_user(call, "alice")
    await add_group(call, "team", "alice")
    await add_user(other, "alice")

    for operation, request in (
        (groups.get_group, iam.GetGroupRequest(group_name="team")),
        (groups.update_group, iam.UpdateGroupRequest(group_name="team", new_path="/x/")),
        (groups.delete_group, iam.DeleteGroupRequest(group_name="team")),
        (groups.add_user_to_group, iam.AddUserToGroupRequest(**MEMBERSHIP)),
        (groups.remove_user_from_group, iam.RemoveUserFromGroupRequest(**MEMBERSHIP)),
    ):
        with pytest.raises(NoSuchEntity, match=r"^The group with name team cannot be found\.$"):
            await operation(other, request)  # type: ignore[operator]
    assert (await groups.list_groups(other, iam.ListGroupsRequest())).groups == []
    request = iam.ListGroupsForUserRequest(user_name="alice")
    assert (await groups.list_groups_for_user(other, request)).groups == []
