"""Each kind of thing as Terraform keeps it: created, read, changed, read, deleted, and read as gone.

What is read is what was written, so that a plan after an apply is empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from .test_templates import LIFECYCLE, POLICY

Step = Callable[[Any, dict[str, Any]], Any]


@dataclass(frozen=True)
class Kind:
    """`first` and `second` are what is written; `read` gives of the service's answer what was written of it."""

    name: str
    first: dict[str, Any]
    second: dict[str, Any]
    create: Step
    update: Step
    delete: Callable[[Any], Any]
    read: Callable[[Any], dict[str, Any]]
    gone: str | None = None
    """The error of reading what is deleted; None where that reads as `default`."""
    default: dict[str, Any] | None = None


def put(operation: str) -> Step:
    return lambda api, members: getattr(api.ecr, operation)(**members)


def of(api: Any, operation: str, *path: str | int, **members: Any) -> Any:
    found = getattr(api.ecr, operation)(**members)
    for step in path:
        found = found[step]
    return found


def without(found: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in names}


def template_of(api: Any) -> dict[str, Any]:
    found = of(
        api, "describe_repository_creation_templates", "repositoryCreationTemplates", prefixes=["prod"]
    )
    if not found:
        api.ecr.delete_repository_creation_template(prefix="prod")  # says that it is not there
    shown = without(found[0], "createdAt", "updatedAt")
    if "repositoryPolicy" in shown:
        shown["repositoryPolicy"] = json.loads(shown["repositoryPolicy"])
    return shown


def write_template(operation: str) -> Step:
    def write(api: Any, members: dict[str, Any]) -> None:
        given = dict(members)
        if given.get("repositoryPolicy"):
            given["repositoryPolicy"] = json.dumps(given["repositoryPolicy"])
        getattr(api.ecr, operation)(**given)

    return write


REPOSITORY = {"repositoryName": "cycle/app"}
WILDCARD = {"filterType": "WILDCARD", "filter": "dev-*"}
SCANNING = {
    "scanType": "ENHANCED",
    "rules": [
        {
            "scanFrequency": "CONTINUOUS_SCAN",
            "repositoryFilters": [{"filter": "prod*", "filterType": "WILDCARD"}],
        }
    ],
}
TEMPLATE = {
    "prefix": "prod",
    "description": "one",
    "appliedFor": ["CREATE_ON_PUSH"],
    "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
    "imageTagMutabilityExclusionFilters": [WILDCARD],
    "encryptionConfiguration": {"encryptionType": "AES256"},
    "resourceTags": [{"Key": "team", "Value": "a"}],
    "repositoryPolicy": POLICY,
    "lifecyclePolicy": LIFECYCLE,
}
RULE = {"ecrRepositoryPrefix": "quay", "upstreamRegistryUrl": "quay.io", "upstreamRegistry": "quay"}


def signing(api: Any, *filters: str) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "signingProfileArn": f"arn:aws:signer:{api.region}:{api.account}:/signing-profiles/p1"
    }
    if filters:
        rule["repositoryFilters"] = [{"filter": each, "filterType": "WILDCARD_MATCH"} for each in filters]
    return {"rules": [rule]}


def replication(api: Any, region: str) -> dict[str, Any]:
    return {"rules": [{"destinations": [{"region": region, "registryId": api.account}]}]}


KINDS = [
    Kind(
        "account setting",
        {"value": "DISABLED"},
        {"value": "ENABLED"},
        lambda api, members: api.ecr.put_account_setting(name="BLOB_MOUNTING", **members),
        lambda api, members: api.ecr.put_account_setting(name="BLOB_MOUNTING", **members),
        lambda api: api.ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED"),
        lambda api: {"value": of(api, "get_account_setting", "value", name="BLOB_MOUNTING")},
        default={"value": "ENABLED"},
    ),
    Kind(
        "registry scanning configuration",
        SCANNING,
        {"scanType": "BASIC", "rules": []},
        put("put_registry_scanning_configuration"),
        put("put_registry_scanning_configuration"),
        lambda api: api.ecr.put_registry_scanning_configuration(scanType="BASIC", rules=[]),
        lambda api: of(api, "get_registry_scanning_configuration", "scanningConfiguration"),
        default={"scanType": "BASIC", "rules": []},
    ),
    Kind(
        "signing configuration",
        {"filters": ["prod/*"]},
        {"filters": []},
        lambda api, m: api.ecr.put_signing_configuration(signingConfiguration=signing(api, *m["filters"])),
        lambda api, m: api.ecr.put_signing_configuration(signingConfiguration=signing(api, *m["filters"])),
        lambda api: api.ecr.delete_signing_configuration(),
        lambda api: {
            "filters": [
                each["filter"]
                for each in of(api, "get_signing_configuration", "signingConfiguration", "rules", 0).get(
                    "repositoryFilters", []
                )
            ]
        },
        gone="SigningConfigurationNotFoundException",
    ),
    Kind(
        "replication configuration",
        {"region": "far-1"},
        {"region": "far-2"},
        lambda api, m: api.ecr.put_replication_configuration(
            replicationConfiguration=replication(api, m["region"])
        ),
        lambda api, m: api.ecr.put_replication_configuration(
            replicationConfiguration=replication(api, m["region"])
        ),
        lambda api: api.ecr.put_replication_configuration(replicationConfiguration={"rules": []}),
        lambda api: {
            "region": "".join(
                rule["destinations"][0]["region"]
                for rule in of(api, "describe_registry", "replicationConfiguration", "rules")
            )
        },
        default={"region": ""},
    ),
    Kind(
        "repository creation template",
        TEMPLATE,
        {**TEMPLATE, "description": "two", "appliedFor": ["REPLICATION", "PULL_THROUGH_CACHE"]},
        write_template("create_repository_creation_template"),
        write_template("update_repository_creation_template"),
        lambda api: api.ecr.delete_repository_creation_template(prefix="prod"),
        template_of,
        gone="TemplateNotFoundException",
    ),
    Kind(
        "pull through cache rule",
        RULE,
        {**RULE, "credentialArn": "hub"},
        put("create_pull_through_cache_rule"),
        lambda api, members: api.ecr.update_pull_through_cache_rule(
            ecrRepositoryPrefix="quay",
            credentialArn=api.client("secretsmanager").create_secret(
                Name="ecr-pullthroughcache/hub", SecretString="{}"
            )["ARN"],
        ),
        lambda api: api.ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix="quay"),
        lambda api: rule_of(api),
        gone="PullThroughCacheRuleNotFoundException",
    ),
    Kind(
        "repository",
        {**REPOSITORY, "imageTagMutability": "MUTABLE", "imageScanningConfiguration": {"scanOnPush": True}},
        {
            **REPOSITORY,
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": False},
        },
        put("create_repository"),
        lambda api, members: [
            api.ecr.put_image_tag_mutability(**REPOSITORY, imageTagMutability=members["imageTagMutability"]),
            api.ecr.put_image_scanning_configuration(
                **REPOSITORY, imageScanningConfiguration=members["imageScanningConfiguration"]
            ),
        ],
        lambda api: api.ecr.delete_repository(**REPOSITORY),
        lambda api: without(
            of(api, "describe_repositories", "repositories", 0, repositoryNames=["cycle/app"]),
            "repositoryArn",
            "registryId",
            "repositoryUri",
            "createdAt",
            "encryptionConfiguration",
        ),
        gone="RepositoryNotFoundException",
    ),
    Kind(
        "registry policy",
        {"Action": "ecr:*"},
        {"Action": ["ecr:ReplicateImage", "ecr:CreateRepository"]},
        lambda api, members: api.ecr.put_registry_policy(policyText=registry_policy(api, members)),
        lambda api, members: api.ecr.put_registry_policy(policyText=registry_policy(api, members)),
        lambda api: api.ecr.delete_registry_policy(),
        lambda api: {
            "Action": json.loads(of(api, "get_registry_policy", "policyText"))["Statement"][0]["Action"]
        },
        gone="RegistryPolicyNotFoundException",
    ),
]


def rule_of(api: Any) -> dict[str, Any]:
    found = of(
        api,
        "describe_pull_through_cache_rules",
        "pullThroughCacheRules",
        0,
        ecrRepositoryPrefixes=["quay"],
    )
    shown = without(found, "createdAt", "updatedAt", "registryId", "upstreamRepositoryPrefix")
    if "credentialArn" in shown:
        shown["credentialArn"] = shown["credentialArn"].rpartition("/")[2].partition("-")[0]
    return shown


def registry_policy(api: Any, members: dict[str, Any]) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
        "Resource": f"arn:aws:ecr:{api.region}:{api.account}:repository/*",
        **members,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_read_is_what_was_written(api: Any, kind: Kind) -> None:
    kind.create(api, kind.first)
    created = kind.read(api)
    kind.update(api, kind.second)
    updated = kind.read(api)
    kind.delete(api)

    assert created == kind.first
    assert updated == kind.second
    if kind.gone is None:
        assert kind.read(api) == kind.default
    else:
        with pytest.raises(getattr(api.ecr.exceptions, kind.gone)):
            kind.read(api)
