from __future__ import annotations

from dataclasses import replace

import pytest

from moorage.access.epochs import Epochs
from moorage.access.operations import groups, users
from moorage.aws.shapes import iam
from moorage.base.clock import SECOND
from moorage.base.errors.error import MoorageError
from moorage.base.errors.identities import DeleteConflict, EntityAlreadyExists, InvalidInput, NoSuchEntity
from moorage.base.errors.images import LimitExceeded
from moorage.base.errors.requests import Validation

from ...registry.memory import in_memory, with_limits
from ...registry.registry import ACCOUNT, MemoryRegistry
from ...registry.straddling import TRANSACTION, straddle
from .calling import OTHER, add_account, add_group, add_key, add_user, by, by_role, every_page, put_policy

PULL_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"


@in_memory
async def test_create_user_answers_all_that_was_given(registry: MemoryRegistry) -> None:
    call = await add_account(registry)

    created = await add_user(
        call,
        "Alice",
        path="/staff/",
        permissions_boundary=PULL_ONLY,
        tags=[iam.Tag(key="team", value="one"), iam.Tag(key="Cost", value="")],
    )
    found = (await users.get_user(call, iam.GetUserRequest(user_name="alice"))).user

    assert found.arn == created.arn == f"arn:aws:iam::{ACCOUNT}:user/staff/Alice"
    assert found.user_id.startswith("AIDA")
    assert len(found.user_id) == 21
    assert found.create_date == registry.now / SECOND
    assert found.permissions_boundary is not None
    assert found.permissions_boundary.permissions_boundary_arn == PULL_ONLY
    assert [(tag.key, tag.value) for tag in found.tags or []] == [("Cost", ""), ("team", "one")]


@in_memory
async def test_create_user_raises_the_epoch_of_its_account_only(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    epochs = registry.services.epochs
    before, other = epochs.of(ACCOUNT), epochs.of(OTHER)

    await add_user(call, "alice")

    assert epochs.of(ACCOUNT) > before
    assert epochs.of(OTHER) == other


@in_memory
async def test_create_user_of_a_name_in_another_case_is_refused(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice")

    with pytest.raises(EntityAlreadyExists, match=r"^User with name ALICE already exists\.$"):
        await add_user(call, "ALICE")


@in_memory
async def test_a_name_may_be_that_of_a_group_and_of_a_user_elsewhere(registry: MemoryRegistry) -> None:
    call, other = await add_account(registry), await add_account(registry, OTHER)

    await add_user(call, "alice")
    await add_group(call, "alice")
    await add_user(other, "alice")

    assert registry.count("principals") == 3


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"permissions_boundary": f"arn:aws:iam::{OTHER}:policy/theirs"}, NoSuchEntity),
        ({"permissions_boundary": f"arn:aws:iam::{ACCOUNT}:policy/missing"}, NoSuchEntity),
        ({"permissions_boundary": f"arn:aws:iam::{ACCOUNT}:role/no-policy"}, NoSuchEntity),
        ({"tags": [iam.Tag(key="Team", value="1"), iam.Tag(key="team", value="2")]}, InvalidInput),
        ({"tags": [iam.Tag(key="aws:team", value="1")]}, InvalidInput),
    ],
)
@in_memory
async def test_create_user_that_is_refused_leaves_nothing(
    registry: MemoryRegistry, members: dict[str, object], error: type[MoorageError]
) -> None:
    call = await add_account(registry)

    with pytest.raises(error):
        await add_user(call, "alice", **members)

    assert registry.count("principals") == registry.count("identity_tags") == 0


@in_memory
async def test_create_user_keeps_the_quota_where_quotas_are_on(registry: MemoryRegistry) -> None:
    await add_account(registry)
    registry.db._writer.executemany(
        "INSERT INTO principals SELECT ?, ?, 'user', '/', ?, ?, 0, '', '', 0, '', 0, NULL, ''",
        [(f"AIDA{n}", ACCOUNT, f"u{n}", f"u{n}") for n in range(5_000)],
    )
    await add_user(registry.call, "one-more")

    with_limits(registry, aws_quotas=True)
    with pytest.raises(LimitExceeded, match="UsersPerAccount: 5000"):
        await add_user(registry.call, "too-many")


@in_memory
async def test_get_user_without_name_is_the_caller(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    alice = await add_user(call, "alice")
    nameless = iam.GetUserRequest()

    own = (await users.get_user(by(call, alice), nameless)).user
    root = (await users.get_user(call, nameless)).user
    with pytest.raises(Validation, match=r"^Must specify userName when calling with non-User credentials$"):
        await users.get_user(by_role(call), nameless)

    assert own == alice
    assert (root.user_id, root.arn) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")


@in_memory
async def test_users_of_another_account_are_not_there(registry: MemoryRegistry) -> None:
    call, other = await add_account(registry), await add_account(registry, OTHER)
    await add_user(call, "alice")

    for operation, request in (
        (users.get_user, iam.GetUserRequest(user_name="alice")),
        (users.update_user, iam.UpdateUserRequest(user_name="alice", new_path="/x/")),
        (users.delete_user, iam.DeleteUserRequest(user_name="alice")),
        (users.tag_user, iam.TagUserRequest(user_name="alice", tags=[])),
        (users.untag_user, iam.UntagUserRequest(user_name="alice", tag_keys=["a"])),
        (users.list_user_tags, iam.ListUserTagsRequest(user_name="alice")),
    ):
        with pytest.raises(NoSuchEntity, match=r"^The user with name alice cannot be found\.$"):
            await operation(other, request)  # type: ignore[operator]
    assert (await users.list_users(other, iam.ListUsersRequest())).users == []


@in_memory
async def test_list_users_is_by_name_in_pages_below_a_path(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    for name, path in (
        ("delta", "/a/"),
        ("Bravo", "/a/b/"),
        ("alpha", "/"),
        ("Echo", "/a/"),
        ("charlie", "/ab/"),
    ):
        await add_user(call, name, path=path)

    everyone = await every_page(call, users.list_users, iam.ListUsersRequest, "users")
    below = await every_page(call, users.list_users, iam.ListUsersRequest, "users", path_prefix="/a/")

    assert [[user.user_name for user in page] for page in everyone] == [
        ["alpha", "Bravo"],
        ["charlie", "delta"],
        ["Echo"],
    ]
    assert [user.user_name for page in below for user in page] == ["Bravo", "delta", "Echo"]


@in_memory
async def test_a_marker_of_another_listing_is_refused(registry: MemoryRegistry) -> None:
    call, other = await add_account(registry), await add_account(registry, OTHER)
    for name in ("a", "b"):
        await add_user(call, name)
    marker = (await users.list_users(call, iam.ListUsersRequest(max_items=1))).marker

    for caller, operation, request in (
        (other, users.list_users, iam.ListUsersRequest(marker=marker)),
        (call, users.list_users, iam.ListUsersRequest(marker=marker, path_prefix="/a/")),
        (call, users.list_users, iam.ListUsersRequest(marker="b")),
        (call, groups.list_groups, iam.ListGroupsRequest(marker=marker)),
    ):
        with pytest.raises(Validation, match=r"^Invalid Marker\.$"):
            await operation(caller, request)  # type: ignore[operator]


@in_memory
async def test_update_user_keeps_its_id_tags_and_policies(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    alice = await add_user(call, "alice", tags=[iam.Tag(key="team", value="one")])
    await put_policy(call, "alice", "push")

    await users.update_user(
        call, iam.UpdateUserRequest(user_name="alice", new_user_name="Alicia", new_path="/x/")
    )

    found = (await users.get_user(call, iam.GetUserRequest(user_name="alicia"))).user
    assert (found.user_id, found.arn) == (alice.user_id, f"arn:aws:iam::{ACCOUNT}:user/x/Alicia")
    assert found.tags == alice.tags
    assert registry.count("inline_policies") == 1


@in_memory
async def test_update_user_to_a_name_that_is_taken_is_refused_but_to_its_own_in_another_case_is_not(
    registry: MemoryRegistry,
) -> None:
    call = await add_account(registry)
    await add_user(call, "alice")
    await add_user(call, "bob")

    await users.update_user(call, iam.UpdateUserRequest(user_name="alice", new_user_name="Alice"))
    with pytest.raises(EntityAlreadyExists):
        await users.update_user(call, iam.UpdateUserRequest(user_name="alice", new_user_name="BOB"))


@pytest.mark.parametrize(
    ("holding", "first"),
    [
        ("key", "must delete access keys first"),
        ("policy", "must delete policies first"),
        ("attachment", "must detach all policies first"),
        ("group", "must remove users from group first"),
    ],
)
@in_memory
async def test_delete_user_that_still_has_something_is_refused(
    registry: MemoryRegistry, holding: str, first: str
) -> None:
    call = await add_account(registry)
    alice = await add_user(call, "alice")
    match holding:
        case "key":
            await add_key(call, "alice")
        case "policy":
            await put_policy(call, "alice", "push")
        case "attachment":
            registry.db._writer.execute("INSERT INTO attachments VALUES (?, ?)", (alice.user_id, PULL_ONLY))
        case "group":
            await add_group(call, "team", "alice")

    with pytest.raises(DeleteConflict, match=f"^Cannot delete entity, {first}\\.$"):
        await users.delete_user(call, iam.DeleteUserRequest(user_name="alice"))


@in_memory
async def test_delete_user_takes_its_tags_along_and_the_next_of_the_name_is_another(
    registry: MemoryRegistry,
) -> None:
    call = await add_account(registry)
    first = await add_user(call, "alice", tags=[iam.Tag(key="a", value="b")])

    await users.delete_user(call, iam.DeleteUserRequest(user_name="ALICE"))
    second = await add_user(call, "alice")

    assert registry.count("identity_tags") == 0
    assert second.user_id != first.user_id


@in_memory
async def test_tags_are_set_replaced_and_removed_without_regard_to_case(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice", tags=[iam.Tag(key="Team", value="1"), iam.Tag(key="b", value="2")])

    await users.tag_user(
        call,
        iam.TagUserRequest(
            user_name="alice", tags=[iam.Tag(key="team", value="3"), iam.Tag(key="c", value="4")]
        ),
    )
    await users.untag_user(call, iam.UntagUserRequest(user_name="alice", tag_keys=["B", "not-there"]))

    listed = await users.list_user_tags(call, iam.ListUserTagsRequest(user_name="alice"))
    assert [(tag.key, tag.value) for tag in listed.tags] == [("c", "4"), ("team", "3")]
    assert listed.is_truncated is False


@in_memory
async def test_a_user_has_fifty_tags_in_pages_and_not_one_more(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice", tags=[iam.Tag(key=f"{n:02}", value="") for n in range(50)])

    with pytest.raises(LimitExceeded):
        await users.tag_user(
            call, iam.TagUserRequest(user_name="alice", tags=[iam.Tag(key="more", value="")])
        )
    pages = await every_page(call, users.list_user_tags, iam.ListUserTagsRequest, "tags", user_name="alice")

    assert [tag.key for page in pages for tag in page] == [f"{n:02}" for n in range(50)]
    assert registry.count("identity_tags") == 50


@in_memory
async def test_a_boundary_is_put_replaced_and_deleted(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice")
    read_only = PULL_ONLY.replace("PullOnly", "ReadOnly")

    for policy in (PULL_ONLY, read_only):
        await users.put_user_permissions_boundary(
            call,
            iam.PutUserPermissionsBoundaryRequest(user_name="alice", permissions_boundary=policy),
        )
    bounded = (await users.get_user(call, iam.GetUserRequest(user_name="alice"))).user
    delete = iam.DeleteUserPermissionsBoundaryRequest(user_name="alice")
    await users.delete_user_permissions_boundary(call, delete)
    free = (await users.get_user(call, iam.GetUserRequest(user_name="alice"))).user

    assert bounded.permissions_boundary is not None
    assert bounded.permissions_boundary.permissions_boundary_arn == read_only
    assert free.permissions_boundary is None
    with pytest.raises(NoSuchEntity):
        await users.delete_user_permissions_boundary(call, delete)


@in_memory
async def test_a_boundary_that_is_no_policy_is_refused_in_aws_words(registry: MemoryRegistry) -> None:
    call = await add_account(registry)
    await add_user(call, "alice")
    missing = f"arn:aws:iam::{ACCOUNT}:policy/missing"

    with pytest.raises(NoSuchEntity, match=f"^Scope ARN: {missing} does not exist or is not attachable\\.$"):
        await users.put_user_permissions_boundary(
            call, iam.PutUserPermissionsBoundaryRequest(user_name="alice", permissions_boundary=missing)
        )


@in_memory
async def test_a_user_who_is_moved_meanwhile_is_authorized_under_the_path_it_has_then(
    registry: MemoryRegistry,
) -> None:
    call = await add_account(registry)
    await add_user(call, "alice", path="/dev/")

    async def move() -> None:
        await users.update_user(call, iam.UpdateUserRequest(user_name="alice", new_path="/prod/"))

    straddle(registry, TRANSACTION, move)
    straddled = replace(registry.services, epochs=Epochs(registry.services.db))
    renamed = iam.UpdateUserRequest(user_name="alice", new_user_name="bob")
    await users.update_user(replace(call, services=straddled), renamed)

    found = await users.get_user(call, iam.GetUserRequest(user_name="bob"))
    assert found.user.path == "/prod/"


@in_memory
async def test_tags_are_neither_skipped_nor_shown_twice_though_some_go_meanwhile(
    registry: MemoryRegistry,
) -> None:
    call = await add_account(registry)
    long = "é" * 127
    keys = ["a", "b", f"{long}1", f"{long}2", f"{long}3"]
    await add_user(call, "alice", tags=[iam.Tag(key=key, value="") for key in keys])

    async def page(most: int, marker: str | None) -> iam.ListUserTagsResponse:
        asked = iam.ListUserTagsRequest(user_name="alice", max_items=most, marker=marker)
        return await users.list_user_tags(call, asked)

    first = await page(1, None)
    await users.untag_user(call, iam.UntagUserRequest(user_name="alice", tag_keys=["a"]))
    second = await page(2, first.marker)
    third = await page(9, second.marker)

    assert [tag.key for shown in (first, second, third) for tag in shown.tags] == keys
    assert max(len(marker) for marker in (first.marker, second.marker) if marker) <= 320
