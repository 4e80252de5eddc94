"""The table of the private API's operations: what makes each succeed, what makes it fail, its pages, its repetition."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .conftest import Api, sha256
from .preparations import (
    Parameters,
    Provocation,
    a_hundred_exclusions,
    after,
    an_app,
    dead_upstream,
    ended_backfill,
    ended_backfills,
    enhanced,
    excluded,
    exclusion,
    far,
    foreign_secret,
    given,
    hub,
    images,
    immutable_tag,
    itself,
    known_layer,
    last_backfill,
    layer_kept_upstream,
    layer_of_no_image,
    lost_secret,
    made_before,
    many_tags,
    nothing,
    of_missing_image,
    of_missing_layer,
    only_secret,
    preview,
    pushed,
    pushed_before,
    referrers,
    registry_policy,
    replicated,
    replication,
    repository_policy,
    rules,
    signing,
    tagged,
    template,
    templates,
    two_repositories,
    unknown_arn,
    upload,
)
from .test_lifecycle import NEWEST, NOWHERE, preview_of
from .test_replication import wait

# What the repetition of a call that succeeded gives; anything else is the name of an error
SAME = "the same answer"
ANEW = "another answer"

# Why an error does not happen
BROKEN = "only when the server is broken, and then with status 500"
NO_KEYS = "no repository here is under a key of KMS"
NO_QUOTA = "only with the quotas of AWS, which this server does not keep (tests/unit/access/test_quotas.py)"
NO_PARAMETERS = "it takes no parameters"
ALL_INVALID = "what is wrong with the request is an InvalidParameterException"
IN_FAILURES = "each repository that is not there is one of the failures of the answer"
NO_ORGANIZATION_POLICY = "the policies of an organization about scanning belong to no operation here"
OWN_SEAL = "secrets are sealed with the key of the registry: what cannot be opened is a broken server"
ONLY_FEWER = "taking tags away cannot make them too many"
OWN_REFERRERS = "only for an image that came from an upstream registry, which nothing here is"
NO_SUCH_SIZE = "only after more bytes than a layer may have (`limits.layer_bytes`)"
TOO_FAST = (
    "ten would have to be in progress at once, and here they end before that (a test of backfills holds them)"
)
NOTHING_TO_COUNT = "nothing is added, so no limit is reached"


@dataclass(frozen=True)
class Row:
    """`prepare` answers the parameters of a success."""

    prepare: Callable[[Api], Parameters]
    again: str
    errors: Mapping[str, Provocation | str]
    pages: str | None = None
    """The list that comes in pages; there are two of it or more."""
    settle: Callable[[Api, Any], object] = field(default=lambda api, answer: None)
    """Wait, before the repetition, for what the answer has begun."""


# Errors that many have

SERVER: dict[str, Provocation | str] = {"Server": BROKEN}
REPOSITORY: dict[str, Provocation | str] = {
    **SERVER,
    "InvalidParameter": {"repositoryName": "NO"},
    "RepositoryNotFound": {"repositoryName": "nothing/here"},
}
IMAGE: dict[str, Provocation | str] = {
    **REPOSITORY,
    "InvalidParameter": {"imageId": {}},
    "ImageNotFound": {"imageId": {"imageTag": "nothing"}},
}
NO_VALIDATION: dict[str, Provocation | str] = {"Validation": ALL_INVALID}
WITHOUT_PARAMETERS: dict[str, Provocation | str] = {
    **SERVER,
    "InvalidParameter": NO_PARAMETERS,
    "Validation": NO_PARAMETERS,
}
TAGS: dict[str, Provocation | str] = {
    **SERVER,
    "InvalidParameter": {"resourceArn": "no arn"},
    "RepositoryNotFound": unknown_arn,
}
BAD_TOKEN: dict[str, Provocation | str] = {"InvalidParameter": {"nextToken": "nonsense"}}
BAD_PREFIX: dict[str, Provocation | str] = {"InvalidParameter": {"prefix": "NO"}}
BAD_RULE: dict[str, Provocation | str] = {"InvalidParameter": {"ecrRepositoryPrefix": "NO"}}
TAG = {"imageTag": "v1"}
NO_POLICY = {"policyText": "{}"}

# The table

ROWS: dict[str, Row] = {
    "BatchCheckLayerAvailability": Row(an_app(layerDigests=[sha256("{}")]), SAME, REPOSITORY),
    "BatchDeleteImage": Row(images("v1", imageIds=[TAG]), ANEW, REPOSITORY),
    "BatchGetImage": Row(
        images("v1", imageIds=[TAG]),
        SAME,
        {**REPOSITORY, "LimitExceeded": NOTHING_TO_COUNT, "UnableToGetUpstreamImage": dead_upstream},
    ),
    "BatchGetRepositoryScanningConfiguration": Row(
        lambda api: {"repositoryNames": [an_app()(api)["repositoryName"]]},
        SAME,
        {
            **SERVER,
            **NO_VALIDATION,
            "InvalidParameter": {"repositoryNames": ["NO"]},
            "RepositoryNotFound": IN_FAILURES,
        },
    ),
    "CompleteLayerUpload": Row(
        upload(b"layer", layerDigests=[sha256("layer")]),
        "UploadNotFound",
        {
            **REPOSITORY,
            "UploadNotFound": {"uploadId": str(uuid.uuid4())},
            "InvalidLayer": {"layerDigests": [NOWHERE]},
            "LayerPartTooSmall": lambda api, _: upload(b"la", b"yer")(api),
            "LayerAlreadyExists": lambda api, _: {"uploadId": None, **known_layer(api)},
            "EmptyUpload": lambda api, _: upload()(api),
            "Kms": NO_KEYS,
        },
    ),
    "CreatePullThroughCacheRule": Row(
        given(ecrRepositoryPrefix="quay", upstreamRegistryUrl="quay.io"),
        "PullThroughCacheRuleAlreadyExists",
        {
            **SERVER,
            **BAD_RULE,
            "Validation": itself,
            "PullThroughCacheRuleAlreadyExists": made_before("create_pull_through_cache_rule"),
            "UnsupportedUpstreamRegistry": {"upstreamRegistryUrl": "quay.io/team"},
            "LimitExceeded": NO_QUOTA,
            "UnableToAccessSecret": foreign_secret,
            "SecretNotFound": lost_secret,
            "UnableToDecryptSecretValue": OWN_SEAL,
        },
    ),
    "CreateRepository": Row(
        given(repositoryName="app"),
        "RepositoryAlreadyExists",
        {
            **SERVER,
            "InvalidParameter": {"repositoryName": "NO"},
            "InvalidTagParameter": {"tags": [{"Key": "aws:a", "Value": ""}]},
            "TooManyTags": {"tags": many_tags()},
            "RepositoryAlreadyExists": made_before("create_repository"),
            "LimitExceeded": NO_QUOTA,
            "Kms": {"encryptionConfiguration": {"encryptionType": "KMS"}},
        },
    ),
    "CreateRepositoryCreationTemplate": Row(
        template("prod"),
        "TemplateAlreadyExists",
        {
            **SERVER,
            **BAD_PREFIX,
            "Validation": {"resourceTags": [{"Key": "aws:a", "Value": ""}]},
            "LimitExceeded": NO_QUOTA,
            "TemplateAlreadyExists": made_before("create_repository_creation_template"),
        },
    ),
    "DeleteLifecyclePolicy": Row(
        after("put_lifecycle_policy", an_app(lifecyclePolicyText=NEWEST)),
        "LifecyclePolicyNotFound",
        {
            **REPOSITORY,
            **NO_VALIDATION,
            "LifecyclePolicyNotFound": made_before("delete_lifecycle_policy"),
        },
    ),
    "DeletePullThroughCacheRule": Row(
        rules("own", ecrRepositoryPrefix="own"),
        "PullThroughCacheRuleNotFound",
        {
            **SERVER,
            **BAD_RULE,
            **NO_VALIDATION,
            "PullThroughCacheRuleNotFound": {"ecrRepositoryPrefix": "nope"},
        },
    ),
    "DeleteRegistryPolicy": Row(
        after("put_registry_policy", registry_policy),
        "RegistryPolicyNotFound",
        {**WITHOUT_PARAMETERS, "RegistryPolicyNotFound": made_before("delete_registry_policy")},
    ),
    "DeleteRepository": Row(
        an_app(),
        "RepositoryNotFound",
        {
            **REPOSITORY,
            "RepositoryNotEmpty": lambda api, _: images("v1")(api),
            "Kms": NO_KEYS,
        },
    ),
    "DeleteRepositoryCreationTemplate": Row(
        after("create_repository_creation_template", template("prod")),
        "TemplateNotFound",
        {**SERVER, **BAD_PREFIX, **NO_VALIDATION, "TemplateNotFound": {"prefix": "nope"}},
    ),
    "DeleteRepositoryPolicy": Row(
        after("set_repository_policy", repository_policy),
        "RepositoryPolicyNotFound",
        {**REPOSITORY, "RepositoryPolicyNotFound": made_before("delete_repository_policy")},
    ),
    "DeleteSigningConfiguration": Row(
        after("put_signing_configuration", signing),
        "SigningConfigurationNotFound",
        {
            **SERVER,
            "Validation": NO_PARAMETERS,
            "SigningConfigurationNotFound": made_before("delete_signing_configuration"),
        },
    ),
    "DeregisterPullTimeUpdateExclusion": Row(
        after("register_pull_time_update_exclusion", exclusion),
        "ExclusionNotFound",
        {
            **SERVER,
            **NO_VALIDATION,
            "InvalidParameter": {"principalArn": "nobody"},
            "ExclusionNotFound": lambda api, _: exclusion(api, "other"),
            "LimitExceeded": NOTHING_TO_COUNT,
        },
    ),
    "DescribeImageReplicationStatus": Row(images("v1", imageId=TAG), SAME, {**IMAGE, **NO_VALIDATION}),
    "DescribeImageSigningStatus": Row(images("v1", imageId=TAG), SAME, {**IMAGE, **NO_VALIDATION}),
    "DescribeImages": Row(
        images("v1", "v2"),
        SAME,
        {**REPOSITORY, "ImageNotFound": {"imageIds": [{"imageTag": "nothing"}]}},
        pages="imageDetails",
    ),
    "DescribePullThroughCacheRules": Row(
        rules("one", "two"),
        SAME,
        {
            **SERVER,
            **BAD_TOKEN,
            **NO_VALIDATION,
            "PullThroughCacheRuleNotFound": {"ecrRepositoryPrefixes": ["nope"]},
        },
        pages="pullThroughCacheRules",
    ),
    "DescribeRegistry": Row(nothing, SAME, WITHOUT_PARAMETERS),
    "DescribeReplicationBackfillResults": Row(
        ended_backfills(1, is_named=True),
        SAME,
        {
            **SERVER,
            **BAD_TOKEN,
            **NO_VALIDATION,
            "ReplicationBackfillNotFound": {"replicationBackfillId": str(uuid.uuid4())},
        },
        pages="results",
    ),
    "DescribeRepositories": Row(
        two_repositories,
        SAME,
        {**SERVER, **BAD_TOKEN, "RepositoryNotFound": {"repositoryNames": ["nothing/here"]}},
        pages="repositories",
    ),
    "DescribeRepositoryCreationTemplates": Row(
        templates,
        SAME,
        {**SERVER, **BAD_TOKEN, **NO_VALIDATION},
        pages="repositoryCreationTemplates",
    ),
    "GetAccountSetting": Row(
        given(name="BLOB_MOUNTING"),
        SAME,
        {**SERVER, "InvalidParameter": {"name": "x" * 65}, "Validation": {"name": "NOTHING"}},
    ),
    "GetAuthorizationToken": Row(nothing, ANEW, {**SERVER, "InvalidParameter": {"registryIds": ["x"]}}),
    "GetDownloadUrlForLayer": Row(
        images("v1", layerDigest=sha256("{}")),
        ANEW,
        {
            **REPOSITORY,
            "LayersNotFound": {"layerDigest": NOWHERE},
            "LayerInaccessible": layer_of_no_image,
            "UnableToGetUpstreamLayer": layer_kept_upstream,
        },
    ),
    "GetLifecyclePolicy": Row(
        after("put_lifecycle_policy", an_app(lifecyclePolicyText=NEWEST)),
        SAME,
        {
            **REPOSITORY,
            **NO_VALIDATION,
            "LifecyclePolicyNotFound": made_before("delete_lifecycle_policy"),
        },
    ),
    "GetLifecyclePolicyPreview": Row(
        preview,
        SAME,
        {
            **REPOSITORY,
            **NO_VALIDATION,
            "LifecyclePolicyPreviewNotFound": lambda api, _: {"repositoryName": api.repository("other")},
        },
        pages="previewResults",
    ),
    "GetRegistryPolicy": Row(
        after("put_registry_policy", registry_policy),
        SAME,
        {**WITHOUT_PARAMETERS, "RegistryPolicyNotFound": made_before("delete_registry_policy")},
    ),
    "GetRegistryScanningConfiguration": Row(nothing, SAME, WITHOUT_PARAMETERS),
    "GetRepositoryPolicy": Row(
        after("set_repository_policy", repository_policy),
        SAME,
        {**REPOSITORY, "RepositoryPolicyNotFound": made_before("delete_repository_policy")},
    ),
    "GetSigningConfiguration": Row(
        after("put_signing_configuration", signing),
        SAME,
        {
            **WITHOUT_PARAMETERS,
            "SigningConfigurationNotFound": made_before("delete_signing_configuration"),
        },
    ),
    "InitiateLayerUpload": Row(an_app(), ANEW, {**REPOSITORY, "Kms": NO_KEYS}),
    "ListImageReferrers": Row(
        referrers,
        SAME,
        {**REPOSITORY, **NO_VALIDATION, "UnableToListUpstreamImageReferrers": OWN_REFERRERS},
        pages="referrers",
    ),
    "ListImages": Row(images("v1", "v2"), SAME, REPOSITORY, pages="imageIds"),
    "ListPullTimeUpdateExclusions": Row(
        excluded("one", "two"),
        SAME,
        {**SERVER, **BAD_TOKEN, **NO_VALIDATION, "LimitExceeded": NOTHING_TO_COUNT},
        pages="pullTimeUpdateExclusions",
    ),
    "ListReplicationBackfills": Row(
        ended_backfills(2, is_named=False),
        SAME,
        {**SERVER, **BAD_TOKEN, **NO_VALIDATION},
        pages="backfills",
    ),
    "ListTagsForResource": Row(tagged(), SAME, TAGS),
    "PutAccountSetting": Row(
        given(name="BLOB_MOUNTING", value="DISABLED"),
        SAME,
        {
            **SERVER,
            "InvalidParameter": {"name": "x" * 65},
            "Validation": {"value": "PERHAPS"},
            "LimitExceeded": NOTHING_TO_COUNT,
        },
    ),
    "PutImage": Row(
        pushed,
        "ImageAlreadyExists",
        {
            **REPOSITORY,
            "ImageAlreadyExists": pushed_before,
            "LayersNotFound": of_missing_layer,
            "ReferencedImagesNotFound": of_missing_image,
            "LimitExceeded": NO_QUOTA,
            "ImageTagAlreadyExists": immutable_tag,
            "ImageDigestDoesNotMatch": {"imageDigest": NOWHERE},
            "Kms": NO_KEYS,
        },
    ),
    "PutImageScanningConfiguration": Row(
        an_app(imageScanningConfiguration={"scanOnPush": True}), SAME, {**REPOSITORY, "Validation": enhanced}
    ),
    "PutImageTagMutability": Row(an_app(imageTagMutability="IMMUTABLE"), SAME, REPOSITORY),
    "PutLifecyclePolicy": Row(
        an_app(lifecyclePolicyText=NEWEST),
        SAME,
        {**REPOSITORY, **NO_VALIDATION, "InvalidParameter": {"lifecyclePolicyText": "{}".ljust(100)}},
    ),
    "PutRegistryPolicy": Row(
        registry_policy, SAME, {**SERVER, **NO_VALIDATION, "InvalidParameter": NO_POLICY}
    ),
    "PutRegistryScanningConfiguration": Row(
        given(scanType="BASIC", rules=[]),
        SAME,
        {
            **SERVER,
            "InvalidParameter": {"scanType": "NONE"},
            "Validation": {
                "rules": [
                    {
                        "scanFrequency": "CONTINUOUS_SCAN",
                        "repositoryFilters": [{"filter": "*", "filterType": "WILDCARD"}],
                    }
                ]
            },
            "BlockedByOrganizationPolicy": NO_ORGANIZATION_POLICY,
        },
    ),
    "PutReplicationConfiguration": Row(
        lambda api: replication(api, "far-1"),
        SAME,
        {
            **SERVER,
            "InvalidParameter": lambda api, _: replication(api, api.region),
            "Validation": lambda api, _: replication(api, *(f"far-{n}" for n in range(26))),
        },
    ),
    "PutSigningConfiguration": Row(
        signing,
        SAME,
        {
            **SERVER,
            "InvalidParameter": {"signingConfiguration": {"rules": [{"signingProfileArn": "nothing"}]}},
            "Validation": lambda api, _: signing(api, "elsewhere-1"),
        },
    ),
    "RegisterPullTimeUpdateExclusion": Row(
        exclusion,
        "ExclusionAlreadyExists",
        {
            **SERVER,
            **NO_VALIDATION,
            "InvalidParameter": {"principalArn": "nobody"},
            "ExclusionAlreadyExists": made_before("register_pull_time_update_exclusion"),
            "LimitExceeded": a_hundred_exclusions,
        },
    ),
    "SetRepositoryPolicy": Row(repository_policy, SAME, {**REPOSITORY, "InvalidParameter": NO_POLICY}),
    "StartLifecyclePolicyPreview": Row(
        an_app(lifecyclePolicyText=NEWEST),
        SAME,
        {
            **REPOSITORY,
            **NO_VALIDATION,
            "LifecyclePolicyNotFound": {"lifecyclePolicyText": None},
            "LifecyclePolicyPreviewInProgress": {},
        },
        settle=lambda api, _: preview_of(api, "app"),
    ),
    "StartReplicationBackfill": Row(
        replicated,
        ANEW,
        {
            **SERVER,
            **NO_VALIDATION,
            "InvalidParameter": lambda api, _: far(api, 99),
            "LimitExceeded": TOO_FAST,
            "ReplicationBackfillInProgress": {},
        },
        settle=lambda api, answer: wait(api, answer["replicationBackfillId"]),
    ),
    "StopReplicationBackfill": Row(
        last_backfill,
        "ReplicationBackfillInvalidStatus",
        {
            **SERVER,
            **NO_VALIDATION,
            "InvalidParameter": {"replicationBackfillId": "x" * 36},
            "ReplicationBackfillNotFound": {"replicationBackfillId": str(uuid.uuid4())},
            "ReplicationBackfillInvalidStatus": ended_backfill,
        },
        settle=lambda api, answer: wait(api, answer["replicationBackfillId"]),
    ),
    "TagResource": Row(
        tagged(tags=[{"Key": "team", "Value": "b"}]),
        SAME,
        {
            **TAGS,
            "InvalidTagParameter": {"tags": [{"Key": "aws:a", "Value": ""}]},
            "TooManyTags": {"tags": many_tags()},
        },
    ),
    "UntagResource": Row(
        tagged(tagKeys=["team"]),
        SAME,
        {**TAGS, "InvalidTagParameter": {"tagKeys": ["aws:a"]}, "TooManyTags": ONLY_FEWER},
    ),
    "UpdateImageStorageClass": Row(
        images("v1", imageId=TAG, targetStorageClass="ARCHIVE"),
        "ImageStorageClassUpdateNotSupported",
        {
            **IMAGE,
            **NO_VALIDATION,
            "ImageStorageClassUpdateNotSupported": {"targetStorageClass": "STANDARD"},
        },
    ),
    "UpdatePullThroughCacheRule": Row(
        hub,
        SAME,
        {
            **SERVER,
            **BAD_RULE,
            "Validation": lambda api, _: {
                "credentialArn": None,
                "customRoleArn": f"arn:aws:iam::{api.account}:role/puller",
            },
            "UnableToAccessSecret": only_secret(foreign_secret),
            "PullThroughCacheRuleNotFound": {"ecrRepositoryPrefix": "nope"},
            "SecretNotFound": only_secret(lost_secret),
            "UnableToDecryptSecretValue": OWN_SEAL,
        },
    ),
    "UpdateRepositoryCreationTemplate": Row(
        after("create_repository_creation_template", template("prod"), description="another"),
        SAME,
        {
            **SERVER,
            **BAD_PREFIX,
            "Validation": {"resourceTags": [{"Key": "aws:a", "Value": ""}]},
            "TemplateNotFound": {"prefix": "nope"},
        },
    ),
    "UploadLayerPart": Row(
        upload(partFirstByte=0, partLastByte=4, layerPartBlob=b"layer"),
        "InvalidLayerPart",
        {
            **REPOSITORY,
            "InvalidLayerPart": {"partFirstByte": 1, "partLastByte": 5},
            "UploadNotFound": {"uploadId": str(uuid.uuid4())},
            "LimitExceeded": NO_SUCH_SIZE,
            "Kms": NO_KEYS,
        },
    ),
    "ValidatePullThroughCacheRule": Row(
        rules("own", ecrRepositoryPrefix="own"),
        SAME,
        {
            **SERVER,
            **BAD_RULE,
            **NO_VALIDATION,
            "PullThroughCacheRuleNotFound": {"ecrRepositoryPrefix": "nope"},
        },
    ),
}
