"""Pull through cache rules, and the secrets that they name."""

from __future__ import annotations

import json
import secrets as randomness
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ...conftest import Server
from ..people import Account, Caller, allow
from .test_registry import described
from .test_settings import refused
from .test_sts import keys_in

TOKEN = json.dumps({"username": "robot", "accessToken": "s3cret-value"})


@pytest.fixture(scope="module")
def account(server: Server) -> Account:
    return Account.of(Caller(server, *keys_in(server.data / "credentials")))


def secret(api: Any, name: str = "hub", value: str = TOKEN) -> str:
    """The ARN of a new one."""
    made = api.client("secretsmanager").create_secret(Name=f"ecr-pullthroughcache/{name}", SecretString=value)
    return str(made["ARN"])


# Rules


@pytest.mark.parametrize(
    ("url", "upstream"),
    [
        ("public.ecr.aws", "ecr-public"),
        ("registry.k8s.io", "k8s"),
        ("quay.io", "quay"),
    ],
)
def test_a_rule_for_an_open_registry_needs_its_url_only(api: Any, url: str, upstream: str) -> None:
    made = described(
        api.ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="mirror", upstreamRegistryUrl=url)
    )
    (read,) = api.ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=["mirror"])[
        "pullThroughCacheRules"
    ]

    assert made == {
        "ecrRepositoryPrefix": "mirror",
        "upstreamRegistryUrl": url,
        "createdAt": made["createdAt"],
        "registryId": api.account,
        "upstreamRegistry": upstream,
        "upstreamRepositoryPrefix": "ROOT",
    }
    assert read == {**made, "updatedAt": made["createdAt"]}


@pytest.mark.parametrize(
    ("url", "upstream"),
    [
        ("registry-1.docker.io", "docker-hub"),
        ("ghcr.io", "github-container-registry"),
        ("registry.gitlab.com", "gitlab-container-registry"),
        ("cgr.dev", "chainguard"),
        ("myown.azurecr.io", "azure-container-registry"),
    ],
)
def test_a_rule_for_a_closed_registry_needs_a_secret(api: Any, url: str, upstream: str) -> None:
    arn = secret(api)
    request = {"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": url, "upstreamRegistry": upstream}

    with pytest.raises(
        api.ecr.exceptions.UnsupportedUpstreamRegistryException, match="requires authentication"
    ):
        api.ecr.create_pull_through_cache_rule(**request)
    made = api.ecr.create_pull_through_cache_rule(**request, credentialArn=arn)

    assert (made["credentialArn"], made["upstreamRegistry"]) == (arn, upstream)


def test_a_private_registry_of_another_account_needs_a_role(api: Any) -> None:
    own = f"{api.account}.dkr.ecr.elsewhere-1.amazonaws.com"
    foreign = "999999999999.dkr.ecr.us-east-1.amazonaws.com"
    role = f"arn:aws:iam::{api.account}:role/puller"

    made = api.ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="own", upstreamRegistryUrl=own)
    with pytest.raises(api.ecr.exceptions.UnsupportedUpstreamRegistryException, match="role"):
        api.ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="foreign", upstreamRegistryUrl=foreign)
    with_role = api.ecr.create_pull_through_cache_rule(
        ecrRepositoryPrefix="foreign", upstreamRegistryUrl=foreign, customRoleArn=role
    )
    with pytest.raises(api.ecr.exceptions.ValidationException, match="itself"):
        api.ecr.create_pull_through_cache_rule(
            ecrRepositoryPrefix="itself", upstreamRegistryUrl=api.registry_host
        )

    assert made["upstreamRegistry"] == with_role["upstreamRegistry"] == "ecr"
    assert with_role["customRoleArn"] == role


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"ecrRepositoryPrefix": "a"}, "InvalidParameterException"),
        ({"ecrRepositoryPrefix": "a" * 31}, "InvalidParameterException"),
        ({"ecrRepositoryPrefix": "Upper"}, "InvalidParameterException"),
        ({"upstreamRegistry": "nothing"}, "InvalidParameterException"),
        ({"upstreamRegistry": "docker-hub"}, "ValidationException"),
        ({"upstreamRegistryUrl": "quay.io/team"}, "UnsupportedUpstreamRegistryException"),
        ({"upstreamRegistryUrl": "user@quay.io"}, "UnsupportedUpstreamRegistryException"),
        ({"upstreamRegistryUrl": "ftp://quay.io"}, "UnsupportedUpstreamRegistryException"),
        ({"ecrRepositoryPrefix": "ROOT", "upstreamRepositoryPrefix": "team"}, "ValidationException"),
        ({"customRoleArn": "arn:aws:iam::123456789012:role/a"}, "ValidationException"),
        (
            {"credentialArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:other/hub-AbCdEf"},
            "InvalidParameterException",
        ),
        ({"credentialArn": "arn:aws:secretsmanager:x"}, "InvalidParameterException"),
    ],
    ids=str,
)
def test_what_is_no_rule_is_refused(api: Any, members: dict[str, Any], code: str) -> None:
    request = {"ecrRepositoryPrefix": "quay", "upstreamRegistryUrl": "quay.io", **members}

    assert refused(api, "CreatePullThroughCacheRule", **request)[0] == code
    assert api.ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"] == []


def test_a_secret_must_be_there_in_the_account_and_region_and_not_be_deleted(api: Any) -> None:
    here = f"arn:aws:secretsmanager:{api.region}:{api.account}:secret:ecr-pullthroughcache/nope-AbCdEf"
    elsewhere = here.replace(api.region, "elsewhere-1")
    foreign = here.replace(api.account, "999999999999")
    deleted = secret(api, "deleted")
    api.client("secretsmanager").delete_secret(SecretId=deleted)

    codes = [
        refused(
            api,
            "CreatePullThroughCacheRule",
            ecrRepositoryPrefix="hub",
            upstreamRegistryUrl="registry-1.docker.io",
            credentialArn=arn,
        )[0]
        for arn in (here, elsewhere, foreign, deleted)
    ]

    assert codes == ["SecretNotFoundException", *["UnableToAccessSecretException"] * 3]


def test_a_prefix_has_one_rule_and_a_rule_is_found_by_its_prefix(api: Any) -> None:
    api.ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="quay/", upstreamRegistryUrl="quay.io")

    with pytest.raises(api.ecr.exceptions.PullThroughCacheRuleAlreadyExistsException, match="prefix 'quay'"):
        api.ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="quay", upstreamRegistryUrl="quay.io")
    with pytest.raises(api.ecr.exceptions.PullThroughCacheRuleNotFoundException, match="prefix 'nope'"):
        api.ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=["quay", "nope"])
    for ask in (api.ecr.delete_pull_through_cache_rule, api.ecr.validate_pull_through_cache_rule):
        with pytest.raises(api.ecr.exceptions.PullThroughCacheRuleNotFoundException):
            ask(ecrRepositoryPrefix="nope")
    deleted = described(api.ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix="quay"))
    assert set(deleted) == {
        "ecrRepositoryPrefix",
        "upstreamRegistryUrl",
        "createdAt",
        "registryId",
        "upstreamRepositoryPrefix",
    }
    with pytest.raises(api.ecr.exceptions.PullThroughCacheRuleNotFoundException):
        api.ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix="quay")


def test_rules_are_listed_in_pages(api: Any) -> None:
    for n in range(5):
        api.ecr.create_pull_through_cache_rule(ecrRepositoryPrefix=f"q{n}", upstreamRegistryUrl="quay.io")

    pages = [
        [each["ecrRepositoryPrefix"] for each in page["pullThroughCacheRules"]]
        for page in api.ecr.get_paginator("describe_pull_through_cache_rules").paginate(
            PaginationConfig={"PageSize": 2}
        )
    ]

    assert pages == [["q0", "q1"], ["q2", "q3"], ["q4"]]
    code, _ = refused(api, "DescribePullThroughCacheRules", ecrRepositoryPrefixes=["q1"], maxResults=1)
    assert code == "InvalidParameterException"


def test_only_the_credentials_of_a_rule_can_be_changed(api: Any) -> None:
    first, second = secret(api, "one"), secret(api, "two")
    made = api.ecr.create_pull_through_cache_rule(
        ecrRepositoryPrefix="hub", upstreamRegistryUrl="registry-1.docker.io", credentialArn=first
    )

    updated = described(
        api.ecr.update_pull_through_cache_rule(ecrRepositoryPrefix="hub", credentialArn=second)
    )
    (read,) = api.ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"]
    neither = refused(api, "UpdatePullThroughCacheRule", ecrRepositoryPrefix="hub")
    role = refused(
        api,
        "UpdatePullThroughCacheRule",
        ecrRepositoryPrefix="hub",
        customRoleArn=f"arn:aws:iam::{api.account}:role/a",
    )

    assert updated == {
        "ecrRepositoryPrefix": "hub",
        "registryId": api.account,
        "updatedAt": updated["updatedAt"],
        "credentialArn": second,
        "upstreamRepositoryPrefix": "ROOT",
    }
    assert read["createdAt"] == made["createdAt"]
    assert read["updatedAt"] == updated["updatedAt"] > made["createdAt"]
    assert neither == (
        "InvalidParameterException",
        "Invalid input: Please set either credential arn or role arn to update the credentials",
    )
    assert role[0] == "ValidationException"


def test_other_registries_can_be_named_and_have_no_name_of_their_own(api: Any) -> None:
    made = api.ecr.create_pull_through_cache_rule(
        ecrRepositoryPrefix="lab", upstreamRegistryUrl="http://registry.example:5000"
    )

    assert made["upstreamRegistryUrl"] == "http://registry.example:5000"
    assert "upstreamRegistry" not in made


def test_a_secret_is_shown_to_a_host_of_the_callers_choice_only_by_who_may_read_it(account: Account) -> None:
    """With a known host the service alone reads it; another host would be told it."""
    name = f"ecr-pullthroughcache/own-{randomness.token_hex(4)}"
    arn = account.root.client("secretsmanager").create_secret(Name=name, SecretString=TOKEN)["ARN"]
    _, caller = account.user(allow("ecr:CreatePullThroughCacheRule"))
    _, reader = account.user(allow("ecr:CreatePullThroughCacheRule", "secretsmanager:GetSecretValue"))
    request = {
        "ecrRepositoryPrefix": f"x{randomness.token_hex(4)}",
        "upstreamRegistryUrl": "evil.example",
        "credentialArn": arn,
    }

    with pytest.raises(ClientError, match="secretsmanager:GetSecretValue"):
        caller.client("ecr").create_pull_through_cache_rule(**request)
    reader.client("ecr").create_pull_through_cache_rule(**request)


def test_a_rule_with_a_role_needs_the_right_to_pass_it(account: Account) -> None:
    role = f"arn:aws:iam::{account.id}:role/puller"
    _, without = account.user(allow("ecr:*"))
    _, allowed = account.user(allow("ecr:*", "iam:PassRole"))
    request = {
        "ecrRepositoryPrefix": f"x{randomness.token_hex(4)}",
        "upstreamRegistryUrl": "999999999999.dkr.ecr.us-east-1.amazonaws.com",
        "customRoleArn": role,
    }

    with pytest.raises(ClientError, match="iam:PassRole"):
        without.client("ecr").create_pull_through_cache_rule(**request)
    allowed.client("ecr").create_pull_through_cache_rule(**request)


def test_the_rules_of_another_account_are_its_own(api: Any, stranger: Any) -> None:
    api.ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="quay", upstreamRegistryUrl="quay.io")
    other = stranger.in_region(api.region)

    code, _ = refused(other, "DescribePullThroughCacheRules", registryId=api.account)
    allow_all = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": other.account},
                "Action": "ecr:DescribePullThroughCacheRules",
                "Resource": "*",
            }
        ],
    }
    api.ecr.put_registry_policy(policyText=json.dumps(allow_all))
    shown = other.ecr.describe_pull_through_cache_rules(registryId=api.account)["pullThroughCacheRules"]

    assert code == "AccessDeniedException"
    assert [each["registryId"] for each in shown] == [api.account]
    assert other.ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"] == []


@pytest.mark.parametrize(
    "value",
    ["test", '{"username": "a"}', '{"username": "a", "accessToken": 1}', "[]"],
)
def test_a_rule_whose_secret_is_no_credentials_is_not_valid(api: Any, value: str) -> None:
    """That is an answer, not an error; creating the rule looks only whether the secret is there."""
    arn = secret(api, value=value)
    api.ecr.create_pull_through_cache_rule(
        ecrRepositoryPrefix="hub", upstreamRegistryUrl="registry-1.docker.io", credentialArn=arn
    )

    answer = described(api.ecr.validate_pull_through_cache_rule(ecrRepositoryPrefix="hub"))

    assert answer["isValid"] is False
    assert "accessToken" in answer["failure"]
    assert answer["credentialArn"] == arn


def test_a_rule_whose_secret_is_gone_is_not_valid(api: Any) -> None:
    arn = secret(api)
    api.ecr.create_pull_through_cache_rule(
        ecrRepositoryPrefix="hub", upstreamRegistryUrl="registry-1.docker.io", credentialArn=arn
    )
    api.client("secretsmanager").delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)

    answer = api.ecr.validate_pull_through_cache_rule(ecrRepositoryPrefix="hub")

    assert answer["isValid"] is False
    assert arn in answer["failure"]


# Secrets


def test_a_secret_reads_as_it_was_written(api: Any) -> None:
    manager = api.client("secretsmanager")
    made = manager.create_secret(
        Name="ecr-pullthroughcache/hub",
        Description="For Docker Hub",
        SecretString=TOKEN,
        Tags=[{"Key": "team", "Value": "a"}],
    )

    by_name = manager.get_secret_value(SecretId="ecr-pullthroughcache/hub")
    by_part = manager.get_secret_value(SecretId=made["ARN"][:-7])
    read = described(manager.describe_secret(SecretId=made["ARN"]))

    prefix = f"arn:aws:secretsmanager:{api.region}:{api.account}:secret:ecr-pullthroughcache/hub-"
    assert made["ARN"].startswith(prefix)
    assert len(made["ARN"]) == len(prefix) + 6
    assert by_name["SecretString"] == by_part["SecretString"] == TOKEN
    assert by_name["VersionStages"] == ["AWSCURRENT"]
    assert by_name["VersionId"] == made["VersionId"]
    assert read == {
        "ARN": made["ARN"],
        "Name": "ecr-pullthroughcache/hub",
        "Description": "For Docker Hub",
        "LastChangedDate": read["LastChangedDate"],
        "CreatedDate": read["CreatedDate"],
        "Tags": [{"Key": "team", "Value": "a"}],
        "VersionIdsToStages": {made["VersionId"]: ["AWSCURRENT"]},
    }


def test_a_new_value_leaves_the_one_before_as_previous(api: Any) -> None:
    manager = api.client("secretsmanager")
    arn = secret(api, value="one")

    manager.put_secret_value(SecretId=arn, SecretString="two")
    manager.update_secret(SecretId=arn, SecretString="three", Description="third")
    binary = manager.put_secret_value(SecretId=arn, SecretBinary=b"\x00\xff", VersionStages=["AWSPENDING"])

    assert manager.get_secret_value(SecretId=arn)["SecretString"] == "three"
    previous = manager.get_secret_value(SecretId=arn, VersionStage="AWSPREVIOUS")
    pending = manager.get_secret_value(SecretId=arn, VersionId=binary["VersionId"])
    read = manager.describe_secret(SecretId=arn)
    assert previous["SecretString"] == "two"
    assert pending["SecretBinary"] == b"\x00\xff"
    assert pending["VersionStages"] == ["AWSPENDING"]
    assert read["Description"] == "third"
    assert sorted(read["VersionIdsToStages"].values()) == [["AWSCURRENT"], ["AWSPENDING"], ["AWSPREVIOUS"]]


def test_a_repeated_request_changes_nothing_and_another_value_is_refused(api: Any) -> None:
    manager = api.client("secretsmanager")
    token = "0" * 32
    create = {"Name": "ecr-pullthroughcache/hub", "ClientRequestToken": token}

    first = manager.create_secret(**create, SecretString="one")
    again = manager.create_secret(**create, SecretString="one")
    put = manager.put_secret_value(SecretId=first["ARN"], ClientRequestToken=token, SecretString="one")

    assert described(first) == described(again)
    assert put["VersionId"] == token
    for ask in (
        lambda: manager.create_secret(**create, SecretString="two"),
        lambda: manager.create_secret(Name="ecr-pullthroughcache/hub", SecretString="one"),
        lambda: manager.put_secret_value(SecretId=first["ARN"], ClientRequestToken=token, SecretString="two"),
    ):
        with pytest.raises(manager.exceptions.ResourceExistsException):
            ask()


def test_a_deleted_secret_can_be_restored_within_its_window(api: Any) -> None:
    manager = api.client("secretsmanager")
    arn = secret(api)

    deleted = manager.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
    for ask in (
        lambda: manager.get_secret_value(SecretId=arn),
        lambda: manager.put_secret_value(SecretId=arn, SecretString="x"),
        lambda: manager.create_secret(Name="ecr-pullthroughcache/hub", SecretString="x"),
    ):
        with pytest.raises(manager.exceptions.InvalidRequestException):
            ask()
    hidden = manager.list_secrets()["SecretList"]
    shown = manager.list_secrets(IncludePlannedDeletion=True)["SecretList"]
    manager.restore_secret(SecretId=arn)

    assert hidden == []
    assert [each["ARN"] for each in shown] == [arn]
    assert shown[0]["DeletedDate"] == deleted["DeletionDate"]
    assert manager.get_secret_value(SecretId=arn)["SecretString"] == TOKEN


def test_a_name_whose_secret_is_gone_gets_another_arn(api: Any) -> None:
    manager = api.client("secretsmanager")
    first = secret(api)
    manager.delete_secret(SecretId=first, ForceDeleteWithoutRecovery=True)

    second = secret(api)

    assert first != second
    with pytest.raises(manager.exceptions.ResourceNotFoundException):
        manager.get_secret_value(SecretId=first)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"Name": "db-password"}, "InvalidParameterException"),
        ({"Name": "ecr-pullthroughcache/"}, "InvalidParameterException"),
        ({"Name": "ecr-pullthroughcache/a b"}, "InvalidParameterException"),
        ({"KmsKeyId": "alias/own"}, "InvalidParameterException"),
        ({"SecretBinary": "AA=="}, "InvalidParameterException"),
        ({"Tags": [{"Key": "aws:a", "Value": "b"}]}, "InvalidParameterException"),
        ({"SecretString": "x" * 65_537}, "ValidationException"),
        ({"SecretString": ""}, "ValidationException"),
        ({"ClientRequestToken": "short"}, "ValidationException"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_secret_of_an_upstream_is_refused(api: Any, members: dict[str, Any], code: str) -> None:
    request = {"Name": "ecr-pullthroughcache/hub", "SecretString": TOKEN, **members}

    answer = api.call("secretsmanager.CreateSecret", request, service="secretsmanager")

    assert (answer.status, answer.code) == (400, code)
    assert "s3cret-value" not in answer.text
    assert api.client("secretsmanager").list_secrets()["SecretList"] == []


def test_secrets_are_listed_by_filter_in_pages_and_in_order(api: Any) -> None:
    manager = api.client("secretsmanager")
    for n in range(5):
        manager.create_secret(
            Name=f"ecr-pullthroughcache/s{n}",
            SecretString="x",
            Tags=[{"Key": "parity", "Value": "odd" if n % 2 else "even"}],
        )

    def names(**options: Any) -> list[str]:
        pages = manager.get_paginator("list_secrets").paginate(**options)
        return [each["Name"].rpartition("/")[2] for page in pages for each in page["SecretList"]]

    assert names(PaginationConfig={"PageSize": 2}) == ["s0", "s1", "s2", "s3", "s4"]
    assert names(SortOrder="desc", PaginationConfig={"PageSize": 2}) == ["s4", "s3", "s2", "s1", "s0"]
    assert names(Filters=[{"Key": "tag-value", "Values": ["odd"]}]) == ["s1", "s3"]
    assert names(Filters=[{"Key": "name", "Values": ["ecr-pullthroughcache/s3", "nope"]}]) == ["s3"]
    assert names(Filters=[{"Key": "tag-value", "Values": ["!odd"]}]) == ["s0", "s2", "s4"]
    with pytest.raises(manager.exceptions.InvalidNextTokenException):
        manager.list_secrets(NextToken="nothing")


def test_who_may_not_read_a_secret_does_not_learn_whether_it_is_there(account: Account) -> None:
    name = f"ecr-pullthroughcache/own-{randomness.token_hex(4)}"
    manager = account.root.client("secretsmanager")
    arn = manager.create_secret(Name=name, SecretString="x")["ARN"]
    _, nobody = account.user(allow("ecr:*"))
    _, reader = account.user(allow("secretsmanager:GetSecretValue", resource=arn))

    def denial(secret_id: str) -> str:
        with pytest.raises(ClientError) as error:
            nobody.client("secretsmanager").get_secret_value(SecretId=secret_id)
        assert error.value.response["Error"]["Code"] == "AccessDeniedException"
        return str(error.value.response["Error"]["Message"]).replace(secret_id, "NAMED")

    assert denial(name) == denial(name + "x")
    assert reader.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"] == "x"


def test_a_secret_is_sealed_at_rest(api: Any) -> None:
    secret(api, value="a value that nobody finds on disk")

    stored = b"".join(path.read_bytes() for path in api.data.glob("moorage.db*"))

    assert b"ecr-pullthroughcache/hub" in stored
    assert b"a value that nobody finds" not in stored


def test_the_stock_cli_keeps_secrets(aws: Any) -> None:
    name = f"ecr-pullthroughcache/cli-{randomness.token_hex(4)}"

    made = aws("secretsmanager", "create-secret", "--name", name, "--secret-string", TOKEN)
    value = aws("secretsmanager", "get-secret-value", "--secret-id", name)
    aws("secretsmanager", "delete-secret", "--secret-id", name, "--force-delete-without-recovery")

    assert value["SecretString"] == TOKEN
    assert value["ARN"] == made["ARN"]
