"""What a registry has set: account settings, scanning, signing, replication, and whose pulls do not count."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ...conftest import Server
from ..people import Account, Caller, allow, trust
from .conftest import OCI_INDEX
from .test_registry import described
from .test_sts import keys_in

PROFILE = "arn:aws:signer:{region}:{account}:/signing-profiles/release"


def refused(api: Any, operation: str, **members: Any) -> tuple[str, str]:
    """The code and text of an error, of a request that boto3 might not send."""
    answer = api.call(operation, members)
    assert answer.status == 400, answer.body
    return answer.code, answer.text


# Account settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE"),
        ("BLOB_MOUNTING", "ENABLED"),
        ("REGISTRY_POLICY_SCOPE", "V2"),
    ],
)
def test_a_setting_that_nobody_put_has_its_default(api: Any, name: str, value: str) -> None:
    assert described(api.ecr.get_account_setting(name=name)) == {"name": name, "value": value}


def test_a_setting_reads_as_it_was_put(api: Any) -> None:
    put = api.ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
    again = api.ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")

    assert described(put) == described(again) == {"name": "BLOB_MOUNTING", "value": "DISABLED"}
    assert api.ecr.get_account_setting(name="BLOB_MOUNTING")["value"] == "DISABLED"
    assert api.in_region("other-1").ecr.get_account_setting(name="BLOB_MOUNTING")["value"] == "ENABLED"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BASIC_SCAN_TYPE_VERSION", "CLAIR"),
        ("BLOB_MOUNTING", "enabled"),
        ("REGISTRY_POLICY_SCOPE", "V1"),
        ("NOTHING", "ENABLED"),
    ],
)
def test_a_value_that_a_setting_cannot_have_is_refused(api: Any, name: str, value: str) -> None:
    code, text = refused(api, "PutAccountSetting", name=name, value=value)

    assert code == "ValidationException"
    assert name in text


def test_an_unknown_setting_is_no_setting(api: Any) -> None:
    assert refused(api, "GetAccountSetting", name="nothing")[0] == "ValidationException"
    assert refused(api, "GetAccountSetting", name="")[0] == "InvalidParameterException"
    assert refused(api, "GetAccountSetting", name="scanning")[0] == "ValidationException"


def test_layers_are_mounted_only_where_that_is_enabled(api: Any, app: str) -> None:
    other = api.repository("team/other")
    layer = api.layer(app, b"shared")
    path = f"/v2/{other}/blobs/uploads/?mount={layer}&from={app}"

    api.ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
    begun = api.v2("POST", path)
    api.ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    mounted = api.v2("POST", path)

    assert begun.status == 202
    assert mounted.status == 201
    assert mounted.headers["docker-content-digest"] == layer


# Scanning


def test_a_new_registry_scans_by_hand(api: Any) -> None:
    assert described(api.ecr.get_registry_scanning_configuration()) == {
        "registryId": api.account,
        "scanningConfiguration": {"scanType": "BASIC", "rules": []},
    }


def scanning(frequency: str, *filters: str) -> dict[str, Any]:
    return {
        "scanFrequency": frequency,
        "repositoryFilters": [{"filter": each, "filterType": "WILDCARD"} for each in filters],
    }


def test_a_scanning_configuration_reads_as_it_was_put_and_omitted_members_are_reset(api: Any) -> None:
    rules = [scanning("CONTINUOUS_SCAN", "prod*"), scanning("SCAN_ON_PUSH", "*")]

    put = api.ecr.put_registry_scanning_configuration(scanType="ENHANCED", rules=rules)
    read = api.ecr.get_registry_scanning_configuration()
    reset = api.ecr.put_registry_scanning_configuration()

    assert described(put) == {"registryScanningConfiguration": {"scanType": "ENHANCED", "rules": rules}}
    assert read["scanningConfiguration"] == put["registryScanningConfiguration"]
    assert reset["registryScanningConfiguration"] == {"scanType": "BASIC", "rules": []}


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"scanType": "BASIC", "rules": [scanning("CONTINUOUS_SCAN", "*")]}, "ValidationException"),
        ({"scanType": "ENHANCED", "rules": [scanning("MANUAL", "*")]}, "ValidationException"),
        ({"rules": [scanning("SCAN_ON_PUSH", "a"), scanning("SCAN_ON_PUSH", "b")]}, "ValidationException"),
        ({"rules": [scanning("MANUAL", "a")] * 3}, "InvalidParameterException"),
        ({"rules": [scanning("MANUAL", "A")]}, "InvalidParameterException"),
        ({"rules": [scanning("MANUAL", *["a"] * 101)]}, "InvalidParameterException"),
        ({"scanType": "NONE"}, "InvalidParameterException"),
        ({"rules": [{"scanFrequency": "MANUAL"}]}, "InvalidParameterException"),
    ],
)
def test_what_is_no_scanning_configuration_changes_nothing(api: Any, members: Any, code: str) -> None:
    before = api.ecr.get_registry_scanning_configuration()["scanningConfiguration"]

    assert refused(api, "PutRegistryScanningConfiguration", **members)[0] == code
    assert api.ecr.get_registry_scanning_configuration()["scanningConfiguration"] == before


def test_repositories_are_scanned_as_rules_and_their_flags_say(api: Any) -> None:
    names = ["prod/api", "test", "flagged"]
    for name in names:
        api.repository(name)
    api.ecr.put_image_scanning_configuration(
        repositoryName="flagged", imageScanningConfiguration={"scanOnPush": True}
    )
    api.ecr.put_registry_scanning_configuration(scanType="BASIC", rules=[scanning("SCAN_ON_PUSH", "prod")])

    found = described(
        api.ecr.batch_get_repository_scanning_configuration(repositoryNames=[*names, "nope", "test"])
    )

    assert found == {
        "scanningConfigurations": [
            {
                "repositoryArn": f"arn:aws:ecr:{api.region}:{api.account}:repository/{name}",
                "repositoryName": name,
                "scanOnPush": is_scanned,
                "scanFrequency": "SCAN_ON_PUSH" if is_scanned else "MANUAL",
                "appliedScanFilters": filters,
            }
            for name, is_scanned, filters in (
                ("prod/api", True, [{"filter": "prod", "filterType": "WILDCARD"}]),
                ("test", False, []),
                ("flagged", True, []),
            )
        ],
        "failures": [
            {
                "repositoryName": "nope",
                "failureCode": "REPOSITORY_NOT_FOUND",
                "failureReason": "REPOSITORY_NOT_FOUND",
            }
        ],
    }


def test_the_continuous_rule_wins_under_enhanced_scanning(api: Any) -> None:
    api.repository("prod-x")
    rules = [scanning("SCAN_ON_PUSH", "*"), scanning("CONTINUOUS_SCAN", "prod*")]
    api.ecr.put_registry_scanning_configuration(scanType="ENHANCED", rules=rules)

    (found,) = api.ecr.batch_get_repository_scanning_configuration(repositoryNames=["prod-x"])[
        "scanningConfigurations"
    ]

    assert found["scanFrequency"] == "CONTINUOUS_SCAN"
    assert found["appliedScanFilters"] == [{"filter": "prod*", "filterType": "WILDCARD"}]


def test_the_flag_of_a_repository_is_put_and_read(api: Any, app: str) -> None:
    put = api.ecr.put_image_scanning_configuration(
        repositoryName=app, imageScanningConfiguration={"scanOnPush": True}
    )
    (repository,) = api.ecr.describe_repositories(repositoryNames=[app])["repositories"]
    omitted = api.ecr.put_image_scanning_configuration(repositoryName=app, imageScanningConfiguration={})

    assert described(put) == {
        "registryId": api.account,
        "repositoryName": app,
        "imageScanningConfiguration": {"scanOnPush": True},
    }
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert omitted["imageScanningConfiguration"] == {"scanOnPush": False}


def test_the_flag_means_nothing_under_enhanced_scanning(api: Any, app: str) -> None:
    api.ecr.put_registry_scanning_configuration(scanType="ENHANCED")

    with pytest.raises(api.ecr.exceptions.ValidationException, match="This feature is disabled"):
        api.ecr.put_image_scanning_configuration(
            repositoryName=app, imageScanningConfiguration={"scanOnPush": True}
        )
    with pytest.raises(api.ecr.exceptions.RepositoryNotFoundException):
        api.ecr.put_image_scanning_configuration(
            repositoryName="nope", imageScanningConfiguration={"scanOnPush": True}
        )


# Signing


def profile(api: Any) -> str:
    return PROFILE.format(region=api.region, account=api.account)


def test_without_a_signing_configuration_there_is_nothing_to_get_or_delete(api: Any) -> None:
    for ask in (api.ecr.get_signing_configuration, api.ecr.delete_signing_configuration):
        with pytest.raises(api.ecr.exceptions.SigningConfigurationNotFoundException):
            ask()


def test_a_signing_configuration_reads_as_it_was_put_until_it_is_deleted(api: Any) -> None:
    configuration = {
        "rules": [
            {
                "signingProfileArn": profile(api),
                "repositoryFilters": [{"filter": "prod/*", "filterType": "WILDCARD_MATCH"}],
            }
        ]
    }

    put = api.ecr.put_signing_configuration(signingConfiguration=configuration)
    read = api.ecr.get_signing_configuration()
    empty = api.ecr.put_signing_configuration(signingConfiguration={"rules": []})
    deleted = api.ecr.delete_signing_configuration()

    assert described(put) == {"signingConfiguration": configuration}
    assert described(read) == {"registryId": api.account, "signingConfiguration": configuration}
    assert empty["signingConfiguration"] == {"rules": []}
    assert described(deleted) == {"registryId": api.account, "signingConfiguration": {"rules": []}}
    with pytest.raises(api.ecr.exceptions.SigningConfigurationNotFoundException):
        api.ecr.get_signing_configuration()


def test_a_signing_profile_is_of_the_region(api: Any) -> None:
    elsewhere = PROFILE.format(region="elsewhere-1", account=api.account)

    code, _ = refused(
        api,
        "PutSigningConfiguration",
        signingConfiguration={"rules": [{"signingProfileArn": elsewhere}]},
    )

    assert code == "ValidationException"


def test_what_is_pushed_where_a_signing_rule_holds_waits_for_its_signature(api: Any, app: str) -> None:
    before = api.image(app, "before")
    none = api.ecr.describe_image_signing_status(repositoryName=app, imageId={"imageTag": "before"})
    rule = {"signingProfileArn": profile(api)}
    api.ecr.put_signing_configuration(signingConfiguration={"rules": [rule, rule]})
    after = api.image(app, "after", note="after")

    asked = {"imageDigest": after.digest}
    status = api.ecr.describe_image_signing_status(repositoryName=app, imageId=asked)
    old = api.ecr.describe_image_signing_status(repositoryName=app, imageId={"imageDigest": before.digest})

    assert none["signingStatuses"] == []
    assert none["imageId"] == {"imageDigest": before.digest, "imageTag": "before"}
    assert old["signingStatuses"] == []
    assert described(status) == {
        "registryId": api.account,
        "repositoryName": app,
        "imageId": asked,
        "signingStatuses": [{"signingProfileArn": profile(api), "status": "IN_PROGRESS"}],
    }
    with pytest.raises(api.ecr.exceptions.ImageNotFoundException):
        api.ecr.describe_image_signing_status(repositoryName=app, imageId={"imageTag": "nope"})
    with pytest.raises(api.ecr.exceptions.RepositoryNotFoundException):
        api.ecr.describe_image_signing_status(repositoryName="nope", imageId={"imageTag": "nope"})


# Replication


def test_a_replication_configuration_reads_as_it_was_put(api: Any) -> None:
    configuration = {
        "rules": [
            {
                "destinations": [{"region": "far-1", "registryId": api.account}],
                "repositoryFilters": [{"filter": "prod", "filterType": "PREFIX_MATCH"}],
            }
        ]
    }

    put = api.ecr.put_replication_configuration(replicationConfiguration=configuration)
    read = api.ecr.describe_registry()
    api.ecr.put_replication_configuration(replicationConfiguration={"rules": []})

    assert described(put) == {"replicationConfiguration": configuration}
    assert read["replicationConfiguration"] == configuration
    assert api.ecr.describe_registry()["replicationConfiguration"] == {"rules": []}


def test_a_registry_is_not_replicated_to_itself(api: Any) -> None:
    here = {"region": api.region, "registryId": api.account}
    far = [{"region": f"far-{n}", "registryId": api.account} for n in range(26)]

    itself = refused(
        api, "PutReplicationConfiguration", replicationConfiguration={"rules": [{"destinations": [here]}]}
    )
    too_many = refused(
        api, "PutReplicationConfiguration", replicationConfiguration={"rules": [{"destinations": far}]}
    )

    assert itself == (
        "InvalidParameterException",
        "Invalid parameter at 'replicationConfiguration' failed to satisfy constraint: "
        "'Replication destination cannot be the same as the source registry'",
    )
    assert too_many[0] == "ValidationException"
    assert api.ecr.describe_registry()["replicationConfiguration"] == {"rules": []}


# Whose pulls do not count


def test_exclusions_are_registered_listed_in_pages_and_deregistered(api: Any) -> None:
    arns = [f"arn:aws:iam::{api.account}:role/scanner-{n}" for n in range(5)]
    for arn in arns:
        registered = api.ecr.register_pull_time_update_exclusion(principalArn=arn)
        assert registered["principalArn"] == arn
        assert registered["createdAt"]

    first = api.ecr.list_pull_time_update_exclusions(maxResults=3)
    second = api.ecr.list_pull_time_update_exclusions(maxResults=3, nextToken=first["nextToken"])

    assert first["pullTimeUpdateExclusions"] + second["pullTimeUpdateExclusions"] == arns
    assert "nextToken" not in second
    with pytest.raises(api.ecr.exceptions.ExclusionAlreadyExistsException):
        api.ecr.register_pull_time_update_exclusion(principalArn=arns[0])
    assert api.ecr.deregister_pull_time_update_exclusion(principalArn=arns[0])["principalArn"] == arns[0]
    with pytest.raises(api.ecr.exceptions.ExclusionNotFoundException):
        api.ecr.deregister_pull_time_update_exclusion(principalArn=arns[0])


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::123456789012:role/*",
        "arn:aws:iam::123456789012:group/a",
        "arn:aws:iam::123456789012:root",
        "arn:aws:sts::123456789012:assumed-role/a/b",
        "role/a",
    ],
)
def test_only_a_role_or_a_user_can_be_excluded(api: Any, arn: str) -> None:
    assert refused(api, "RegisterPullTimeUpdateExclusion", principalArn=arn)[0] == "InvalidParameterException"


def test_a_hundred_exclusions_are_possible(api: Any) -> None:
    for n in range(100):
        api.ecr.register_pull_time_update_exclusion(principalArn=f"arn:aws:iam::{api.account}:user/u{n}")

    with pytest.raises(api.ecr.exceptions.LimitExceededException):
        api.ecr.register_pull_time_update_exclusion(principalArn=f"arn:aws:iam::{api.account}:user/one-more")


# The time of the last pull


def pulled(api: Any, repository: str, digest: str) -> Any:
    (image,) = api.ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])[
        "imageDetails"
    ]
    return image.get("lastRecordedPullTime")


def test_getting_a_manifest_is_a_pull_and_asking_for_it_is_none(api: Any, app: str) -> None:
    image = api.image(app, "v1")

    assert api.v2("HEAD", f"/v2/{app}/manifests/v1").status == 200
    assert api.v2("GET", f"/v2/{app}/manifests/v2").status == 404
    asked = pulled(api, app, image.digest)
    assert api.v2("GET", f"/v2/{app}/manifests/v1").status == 200
    first = pulled(api, app, image.digest)
    assert api.v2("GET", f"/v2/{app}/manifests/v1", password=api.password()).status == 200

    assert asked is None
    assert first is not None
    assert pulled(api, app, image.digest) >= first


def test_a_kept_answer_is_a_pull_too(api: Any, app: str) -> None:
    image = api.image(app, "v1")
    password = api.password()
    times = []

    for _ in range(4):
        assert api.v2("GET", f"/v2/{app}/manifests/v1", password=password).status == 200
        times.append(pulled(api, app, image.digest))

    assert times == sorted(set(times)), "each pull is later than the one before"


def test_batch_get_image_is_a_pull(api: Any, app: str) -> None:
    image = api.image(app, "v1")
    other = api.image(app, "v2", note="other")

    api.ecr.batch_get_image(repositoryName=app, imageIds=[{"imageTag": "v1"}, {"imageTag": "nope"}])

    assert pulled(api, app, image.digest) is not None
    assert pulled(api, app, other.digest) is None


def test_pulls_of_an_excluded_role_do_not_count(server: Server) -> None:
    """Of the role behind a session, whatever the session is called; from then on, and until it is deregistered."""
    account = Account.of(Caller(server, *keys_in(server.data / "credentials")))
    ecr = account.root.client("ecr")
    name = f"excluded-{server.port}"
    ecr.create_repository(repositoryName=name)
    arn, user = account.user()
    role = account.role(trust({"AWS": arn}), allow("ecr:*"))
    session = Caller.of(
        server, user.client("sts").assume_role(RoleArn=role, RoleSessionName="x1")["Credentials"]
    )
    manifest = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
    ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="v1")

    def pulled() -> Any:
        session.client("ecr").batch_get_image(repositoryName=name, imageIds=[{"imageTag": "v1"}])
        return ecr.describe_images(repositoryName=name)["imageDetails"][0].get("lastRecordedPullTime")

    ecr.register_pull_time_update_exclusion(principalArn=role)
    excluded = pulled()
    ecr.deregister_pull_time_update_exclusion(principalArn=role)

    assert excluded is None
    assert pulled() is not None
