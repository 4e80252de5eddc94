"""Who is deleted and made again under the same name is somebody else: neither sessions nor trust pass on."""

from __future__ import annotations

from .places import Account, allow, assumed, grant, policy


def remove_user(a: Account, name: str) -> None:
    for _ in range(2):
        listed = a.root.need("iam.ListAccessKeys", UserName=name)
        if b"<AccessKeyId>" in listed.body:
            a.root.need("iam.DeleteAccessKey", UserName=name, AccessKeyId=listed.element("AccessKeyId"))
    a.root.need("iam.DeleteUser", UserName=name)


def remove_role(a: Account, name: str) -> None:
    a.root.need("iam.DeleteRolePolicy", RoleName=name, PolicyName="own")
    a.root.need("iam.DeleteRole", RoleName=name)


def test_sessions_of_a_role_end_with_it(a: Account) -> None:
    role = a.role("again-role", allow("*"))
    user = a.user(allow("sts:AssumeRole"), name="again-assumer")
    session = assumed(user, role).logged_in()
    assert session.call("ecr.DescribeRepositories").status == 200
    assert session.v2("GET", "/v2/_catalog").status == 200

    remove_role(a, "again-role")
    assert session.call("ecr.DescribeRepositories").code == "UnrecognizedClientException"
    assert session.v2("GET", "/v2/_catalog").status == 403

    a.role("again-role", allow("*"))
    assert session.call("ecr.DescribeRepositories").code == "UnrecognizedClientException"
    assert session.v2("GET", "/v2/_catalog").status == 403
    assert assumed(user, role).call("ecr.DescribeRepositories").status == 200


def test_a_trust_in_a_role_means_that_role(a: Account) -> None:
    trusted = a.role("again-trusted", allow("*"))
    target = a.role("again-target", allow("*"), trust={"AWS": trusted})
    assumed(a.session("role", "again-trusted"), target)

    remove_role(a, "again-trusted")
    a.role("again-trusted", allow("*"))

    again = a.session("role", "again-trusted")
    assert again.call("sts.AssumeRole", RoleArn=target, RoleSessionName="run-1").is_denied


def test_a_grant_of_a_repository_means_that_user(a: Account) -> None:
    name = "again-granted"
    caller = a.user(name=name)
    a.repository("again/granted")
    text = policy(grant({"AWS": f"arn:aws:iam::{a.id}:user/{name}"}, "ecr:ListImages"))
    a.root.need("ecr.SetRepositoryPolicy", repositoryName="again/granted", policyText=text)
    assert caller.call("ecr.ListImages", repositoryName="again/granted").status == 200

    remove_user(a, name)
    again = a.user(name=name)

    assert again.call("ecr.ListImages", repositoryName="again/granted").is_denied


def test_tags_memberships_and_policies_do_not_pass_on(a: Account) -> None:
    name = "again-empty"
    a.user(allow("*"), name=name, Tags=[{"Key": "team", "Value": "red"}])
    a.root.need("iam.CreateGroup", GroupName="again-group")
    a.root.need(
        "iam.PutGroupPolicy", GroupName="again-group", PolicyName="own", PolicyDocument=policy(allow("*"))
    )
    a.root.need("iam.AddUserToGroup", GroupName="again-group", UserName=name)
    a.root.need("iam.RemoveUserFromGroup", GroupName="again-group", UserName=name)
    a.root.need("iam.DeleteUserPolicy", UserName=name, PolicyName="own")
    remove_user(a, name)

    again = a.user(name=name)

    assert again.call("ecr.DescribeRepositories").is_denied
    assert b"red" not in a.root.need("iam.ListUserTags", UserName=name).body


def test_a_policy_of_a_repository_goes_with_it(a: Account) -> None:
    caller = a.user(name="again-reader")
    a.repository("again/app")
    text = policy(grant("*", "ecr:ListImages"))
    a.root.need("ecr.SetRepositoryPolicy", repositoryName="again/app", policyText=text)
    assert caller.call("ecr.ListImages", repositoryName="again/app").status == 200

    a.root.need("ecr.DeleteRepository", repositoryName="again/app")
    a.repository("again/app")

    assert caller.call("ecr.ListImages", repositoryName="again/app").is_denied
