"""An account as a whole through boto3: summary, alias, authorization details, credential report."""

from __future__ import annotations

import csv
import time

import pytest
from botocore.exceptions import ClientError

from .conftest import Api


@pytest.fixture(scope="module")
def furnished(stranger: Api) -> Api:
    """An account with a user who is in a group."""
    iam = stranger.iam
    iam.create_user(UserName="anna", Tags=[{"Key": "team", "Value": "one"}])
    iam.create_group(GroupName="crew")
    iam.add_user_to_group(GroupName="crew", UserName="anna")
    iam.attach_group_policy(GroupName="crew", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    return stranger


def test_a_summary_has_every_number_that_aws_has(furnished: Api) -> None:
    model = furnished.iam.meta.service_model.shape_for("summaryKeyType")

    summary = furnished.iam.get_account_summary()["SummaryMap"]

    assert set(summary) == set(model.enum)
    assert (summary["Users"], summary["Groups"], summary["AccountAccessKeysPresent"]) == (1, 1, 1)


def test_an_alias_is_unique(furnished: Api, root: Api) -> None:
    furnished.iam.create_account_alias(AccountAlias="harbour-1")

    assert furnished.iam.list_account_aliases()["AccountAliases"] == ["harbour-1"]
    with pytest.raises(root.iam.exceptions.EntityAlreadyExistsException):
        root.iam.create_account_alias(AccountAlias="harbour-1")
    with pytest.raises(ClientError, match="ValidationError"):
        root.iam.create_account_alias(AccountAlias="Not-Lower")
    furnished.iam.delete_account_alias(AccountAlias="harbour-1")
    assert furnished.iam.list_account_aliases()["AccountAliases"] == []


def test_the_paginator_of_details_puts_everything_together(furnished: Api) -> None:
    paginator = furnished.iam.get_paginator("get_account_authorization_details")

    pages = list(paginator.paginate(PaginationConfig={"PageSize": 4}))

    details = [user for page in pages for user in page["UserDetailList"]]
    assert [(each["UserName"], each["GroupList"]) for each in details] == [("anna", ["crew"])]
    (group,) = [each for page in pages for each in page["GroupDetailList"]]
    assert [each["PolicyName"] for each in group["AttachedManagedPolicies"]] == ["ReadOnlyAccess"]
    policies = [policy for page in pages for policy in page["Policies"]]
    assert "ReadOnlyAccess" in [policy["PolicyName"] for policy in policies]
    version = policies[0]["PolicyVersionList"][0]
    assert version["Document"]["Version"] == "2012-10-17"
    only_groups = furnished.iam.get_account_authorization_details(Filter=["Group"])
    assert (only_groups["UserDetailList"], len(only_groups["GroupDetailList"])) == ([], 1)


def test_a_report_is_there_when_it_was_generated(furnished: Api) -> None:
    assert furnished.iam.generate_credential_report()["State"] == "COMPLETE"

    report = furnished.iam.get_credential_report()

    assert report["ReportFormat"] == "text/csv"
    assert abs(report["GeneratedTime"].timestamp() - time.time()) < 60
    root, anna = csv.DictReader(report["Content"].decode().splitlines())
    assert (root["user"], root["access_key_1_active"]) == ("<root_account>", "true")
    assert (anna["user"], anna["access_key_1_active"]) == ("anna", "false")


def test_the_last_key_of_an_account_cannot_be_thrown_away(furnished: Api) -> None:
    with pytest.raises(ClientError, match="last active"):
        furnished.iam.delete_access_key(AccessKeyId=furnished.key.id)
    with pytest.raises(furnished.iam.exceptions.InvalidInputException, match="last active"):
        furnished.iam.update_access_key(AccessKeyId=furnished.key.id, Status="Inactive")
    assert [key["Status"] for key in furnished.iam.list_access_keys()["AccessKeyMetadata"]] == ["Active"]
