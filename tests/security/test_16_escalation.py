"""Permissions on identities are no way to more than a boundary allows; without them there is no way at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from .calling import Answer, Caller
from .places import Account, allow, assumed, deny, policy, trust_policy

ADMIN = policy(allow("*"))
SECRET = "ecr.DescribeRegistry"


@dataclass(frozen=True)
class Stage:
    """A victim with every permission, and an attacker with one on identities."""

    a: Account
    name: str
    attacker: Caller
    me: str
    admin: str
    admin_role: str
    group: str
    boundary: str

    def try_(self, operation: str, **members: Any) -> Answer:
        return self.attacker.call(operation, **members)


# action → what it would do to become an administrator
PATHS: dict[str, Callable[[Stage], Answer]] = {
    "iam:PutUserPolicy": lambda s: s.try_(
        "iam.PutUserPolicy", UserName=s.me, PolicyName="x", PolicyDocument=ADMIN
    ),
    "iam:AttachUserPolicy": lambda s: s.try_(
        "iam.AttachUserPolicy", UserName=s.me, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    ),
    "iam:PutGroupPolicy": lambda s: s.try_(
        "iam.PutGroupPolicy", GroupName=s.group, PolicyName="x", PolicyDocument=ADMIN
    ),
    "iam:AttachGroupPolicy": lambda s: s.try_(
        "iam.AttachGroupPolicy", GroupName=s.group, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    ),
    "iam:AddUserToGroup": lambda s: s.try_(
        "iam.AddUserToGroup", GroupName=f"{s.group}-admins", UserName=s.me
    ),
    "iam:CreatePolicyVersion": lambda s: s.try_(
        "iam.CreatePolicyVersion",
        PolicyArn=f"arn:aws:iam::{s.a.id}:policy/{s.name}-mine",
        PolicyDocument=ADMIN,
        SetAsDefault=True,
    ),
    "iam:SetDefaultPolicyVersion": lambda s: s.try_(
        "iam.SetDefaultPolicyVersion",
        PolicyArn=f"arn:aws:iam::{s.a.id}:policy/{s.name}-mine",
        VersionId="v2",
    ),
    "iam:CreateAccessKey": lambda s: s.try_("iam.CreateAccessKey", UserName=s.admin),
    "iam:UpdateAssumeRolePolicy": lambda s: s.try_(
        "iam.UpdateAssumeRolePolicy",
        RoleName=s.admin_role,
        PolicyDocument=trust_policy({"AWS": f"arn:aws:iam::{s.a.id}:user/{s.me}"}),
    ),
    "iam:PutRolePolicy": lambda s: s.try_(
        "iam.PutRolePolicy", RoleName=f"{s.name}-mine", PolicyName="x", PolicyDocument=ADMIN
    ),
    "iam:AttachRolePolicy": lambda s: s.try_(
        "iam.AttachRolePolicy",
        RoleName=f"{s.name}-mine",
        PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess",
    ),
    "iam:DeleteUserPermissionsBoundary": lambda s: s.try_("iam.DeleteUserPermissionsBoundary", UserName=s.me),
    "iam:PutUserPermissionsBoundary": lambda s: s.try_(
        "iam.PutUserPermissionsBoundary",
        UserName=s.me,
        PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess",
    ),
    "iam:DeleteUserPolicy": lambda s: s.try_("iam.DeleteUserPolicy", UserName=s.me, PolicyName="limits"),
    "iam:DetachUserPolicy": lambda s: s.try_(
        "iam.DetachUserPolicy", UserName=s.me, PolicyArn=f"arn:aws:iam::{s.a.id}:policy/{s.name}-mine"
    ),
    "iam:CreateUser": lambda s: s.try_("iam.CreateUser", UserName=f"{s.name}-new"),
    "iam:CreateRole": lambda s: s.try_(
        "iam.CreateRole", RoleName=f"{s.name}-new", AssumeRolePolicyDocument=trust_policy({"AWS": s.a.id})
    ),
    "iam:UpdateUser": lambda s: s.try_("iam.UpdateUser", UserName=s.me, NewUserName=f"{s.me}-2"),
    "iam:TagUser": lambda s: s.try_("iam.TagUser", UserName=s.me, Tags=[{"Key": "role", "Value": "admin"}]),
    "iam:RemoveUserFromGroup": lambda s: s.try_("iam.RemoveUserFromGroup", GroupName=s.group, UserName=s.me),
    "iam:UpdateAccessKey": lambda s: s.try_(
        "iam.UpdateAccessKey", UserName=s.admin, AccessKeyId="AKIA" + "C" * 16, Status="Active"
    ),
}


@pytest.fixture(scope="module")
def stage_of(a: Account) -> Callable[..., Stage]:
    """Everything in its own names. `bound` is who works under a boundary of registries and identities."""

    def made(name: str, *statements: dict[str, Any], bound: bool) -> Stage:
        root = a.root
        limits = policy(allow(["ecr:ListImages", "iam:*", "sts:*"]))
        boundary = root.need(
            "iam.CreatePolicy", PolicyName=f"{name}-boundary", PolicyDocument=limits
        ).element("Arn")
        mine = root.need(
            "iam.CreatePolicy", PolicyName=f"{name}-mine", PolicyDocument=policy(allow("s3:*"))
        ).element("Arn")
        root.need("iam.CreatePolicyVersion", PolicyArn=mine, PolicyDocument=ADMIN)
        root.need("iam.CreateGroup", GroupName=f"{name}-group")
        root.need("iam.CreateGroup", GroupName=f"{name}-group-admins")
        root.need(
            "iam.PutGroupPolicy", GroupName=f"{name}-group-admins", PolicyName="x", PolicyDocument=ADMIN
        )
        me = f"{name}-me"
        attacker = a.user(*statements, name=me, **({"PermissionsBoundary": boundary} if bound else {}))
        root.need("iam.AddUserToGroup", GroupName=f"{name}-group", UserName=me)
        root.need("iam.AttachUserPolicy", UserName=me, PolicyArn=mine)
        root.need("iam.PutUserPolicy", UserName=me, PolicyName="limits", PolicyDocument=policy(deny("ecr:*")))
        root.need("iam.CreateUser", UserName=f"{name}-admin")
        a.role(f"{name}-admin", allow("*"), trust={"AWS": f"arn:aws:iam::{a.id}:user/{name}-admin"})
        a.role(f"{name}-mine", trust={"AWS": f"arn:aws:iam::{a.id}:user/{me}"})
        root.need("iam.DeleteUserPolicy", UserName=me, PolicyName="limits")
        return Stage(a, name, attacker, me, f"{name}-admin", f"{name}-admin", f"{name}-group", boundary)

    return made


@pytest.fixture(scope="module")
def without(stage_of: Callable[..., Stage]) -> Stage:
    return stage_of("escalate-none", allow(["ecr:ListImages", "sts:*"]), bound=False)


@pytest.mark.parametrize("action", PATHS)
def test_without_the_permission_there_is_no_way(action: str, without: Stage) -> None:
    answer = PATHS[action](without)

    assert answer.is_denied, answer
    assert f"perform: {action} on" in answer.message


BECOMES_ITSELF = [
    "iam:PutUserPolicy",
    "iam:AttachUserPolicy",
    "iam:PutGroupPolicy",
    "iam:AttachGroupPolicy",
    "iam:AddUserToGroup",
    "iam:CreatePolicyVersion",
    "iam:SetDefaultPolicyVersion",
]


@pytest.mark.parametrize("action", BECOMES_ITSELF)
def test_within_a_boundary_more_policies_are_no_more_permissions(
    action: str, stage_of: Callable[..., Stage]
) -> None:
    name = f"bound-{action.partition(':')[2].lower()}"
    stage = stage_of(name, allow(action), bound=True)
    free = stage_of(f"{name}-free", allow(action), bound=False)

    assert PATHS[action](stage).status == 200
    assert PATHS[action](free).status == 200

    assert stage.attacker.call(SECRET).is_denied
    assert free.attacker.call(SECRET).status == 200, "the path itself works"


def within(stage_boundary: str) -> dict[str, Any]:
    """The usual delegation: users and roles may be made and changed only under this boundary."""
    return {"Condition": {"StringEquals": {"iam:PermissionsBoundary": stage_boundary}}}


DELEGATED = [
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:CreateRole",
    "iam:CreateUser",
    "iam:DetachUserPolicy",
    "iam:DeleteUserPolicy",
    "iam:PutRolePolicy",
    "iam:PutUserPermissionsBoundary",
    "iam:PutUserPolicy",
]


def test_who_may_work_only_under_a_boundary_makes_nobody_without_it(
    a: Account, stage_of: Callable[..., Stage]
) -> None:
    stage = stage_of("delegate", bound=False)
    a.let(
        stage.me, allow(DELEGATED, **within(stage.boundary)), allow(["iam:CreateAccessKey", "sts:AssumeRole"])
    )
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    trust = trust_policy({"AWS": f"arn:aws:iam::{a.id}:user/{stage.me}"})
    do = stage.attacker.call

    # Not without, not under another, not onto who has none.
    assert do("iam.CreateUser", UserName="delegate-free").is_denied
    assert do("iam.CreateUser", UserName="delegate-free", PermissionsBoundary=admin).is_denied
    assert do("iam.CreateRole", RoleName="delegate-free", AssumeRolePolicyDocument=trust).is_denied
    assert do("iam.PutUserPolicy", UserName=stage.me, PolicyName="x", PolicyDocument=ADMIN).is_denied
    assert do("iam.AttachUserPolicy", UserName=stage.admin, PolicyArn=admin).is_denied
    assert do("iam.PutRolePolicy", RoleName=stage.admin_role, PolicyName="x", PolicyDocument=ADMIN).is_denied

    # Under it, and then no further.
    bound = {"PermissionsBoundary": stage.boundary}
    assert do("iam.CreateUser", UserName="delegate-bound", **bound).status == 200
    assert do("iam.AttachUserPolicy", UserName="delegate-bound", PolicyArn=admin).status == 200
    assert do(
        "iam.PutUserPermissionsBoundary", UserName="delegate-bound", PermissionsBoundary=admin
    ).is_denied
    assert do("iam.DeleteUserPermissionsBoundary", UserName="delegate-bound").is_denied
    made = do("iam.CreateRole", RoleName="delegate-bound", AssumeRolePolicyDocument=trust, **bound)
    assert made.status == 200
    assert do("iam.AttachRolePolicy", RoleName="delegate-bound", PolicyArn=admin).status == 200

    role = made.element("Arn")
    assert assumed(stage.attacker, role).call(SECRET).is_denied
    assert a.key_of("delegate-bound").call(SECRET).is_denied
    assert assumed(stage.attacker, role).call("iam.ListUsers").status == 200


def test_a_boundary_is_no_permission(a: Account, stage_of: Callable[..., Stage]) -> None:
    stage = stage_of("bare", bound=True)

    assert stage.attacker.call("iam.ListUsers").is_denied
    assert stage.attacker.call("ecr.ListImages", repositoryName="x/y").is_denied


def test_a_policy_that_bounds_somebody_cannot_be_deleted_away(
    a: Account, stage_of: Callable[..., Stage]
) -> None:
    stage = stage_of("keeps", allow("*"), bound=True)

    assert stage.attacker.call("iam.DeletePolicy", PolicyArn=stage.boundary).code == "DeleteConflict"
    assert stage.attacker.call(SECRET).is_denied


def test_own_keys_are_of_the_caller_alone(a: Account) -> None:
    """`${aws:username}` in a resource means the caller, in whatever case the request writes the name."""
    own = f"arn:aws:iam::{a.id}:user/${{aws:username}}"
    caller = a.user(allow("iam:*AccessKey*", own), name="keeper")
    a.root.need("iam.CreateUser", UserName="keeper2")

    assert caller.call("iam.ListAccessKeys", UserName="keeper").status == 200
    assert caller.call("iam.ListAccessKeys").status == 200
    for name in ("keeper2", "Keeper2", "KEEPER2"):
        assert caller.call("iam.CreateAccessKey", UserName=name).is_denied


def test_a_denial_by_name_holds_in_whatever_case_the_name_is_written(a: Account) -> None:
    """Names are one without regard to case: a denial that names a user means that user."""
    target = f"arn:aws:iam::{a.id}:user/Vault-Admin"
    a.root.need("iam.CreateUser", UserName="Vault-Admin")
    caller = a.user(allow("iam:*"), deny("iam:*", target), name="vault-visitor")

    for name in ("Vault-Admin", "vault-admin", "VAULT-ADMIN"):
        assert caller.call("iam.CreateAccessKey", UserName=name).is_denied, name


def test_a_denial_by_path_holds_for_names_without_it(a: Account) -> None:
    a.root.need("iam.CreateUser", UserName="path-admin", Path="/admins/")
    caller = a.user(allow("iam:*"), deny("iam:*", f"arn:aws:iam::{a.id}:user/admins/*"), name="path-visitor")

    assert caller.call("iam.CreateAccessKey", UserName="path-admin").is_denied
    assert caller.call("iam.UpdateUser", UserName="path-visitor", NewPath="/admins/").is_denied
    a.root.need("iam.CreateGroup", GroupName="path-group")
    groups = deny("iam:*", f"arn:aws:iam::{a.id}:group/admins/*")
    a.let("path-visitor", allow("iam:*"), deny("iam:*", f"arn:aws:iam::{a.id}:user/admins/*"), groups)
    assert caller.call("iam.UpdateGroup", GroupName="path-group", NewPath="/admins/").is_denied
    assert caller.call("iam.UpdateGroup", GroupName="path-group", NewGroupName="path-group-2").status == 200
    assert caller.call("iam.UpdateUser", UserName="path-visitor", NewUserName="path-visitor-2").status == 200
    assert caller.call("iam.CreateUser", UserName="path-second", Path="/admins/").is_denied
