"""The managed policies that AWS gives to every account, as far as they speak of a registry, its keys and identities.

Facts from AWS's managed policy reference: ARNs, versions, dates, and what each allows. They have no rows: an account
attaches them by ARN, and a new release of Moorage brings their new versions.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from moorage.base.clock import SECOND

ARN_PREFIX = "arn:aws:iam::aws:policy"
_SERVICE_LINKED = "/aws-service-role/"


@dataclass(frozen=True, slots=True)
class AwsManagedPolicy:
    path: str
    name: str
    version: int
    """The newest, and the only one kept."""
    created: int
    updated: int
    """Microseconds, as all times."""
    document: str

    @property
    def arn(self) -> str:
        return f"{ARN_PREFIX}{self.path}{self.name}"

    @property
    def id(self) -> str:
        """The same in every installation."""
        return "ANPA" + base64.b32encode(hashlib.sha256(self.arn.encode()).digest()).decode()[:17]

    @property
    def is_attachable(self) -> bool:
        """Those of service-linked roles are attached with their role, by nobody else."""
        return self.path != _SERVICE_LINKED


def aws_managed(arn: str) -> AwsManagedPolicy | None:
    return _BY_ARN.get(arn)


def document_of(arn: str) -> str | None:
    found = _BY_ARN.get(arn)
    return None if found is None else found.document


def all_aws_managed() -> Sequence[AwsManagedPolicy]:
    """In the order of their ARNs."""
    return _SORTED


Statement = Mapping[str, object]

_TOKEN = ("ecr:GetAuthorizationToken",)
_PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_CHECK = ("ecr:BatchCheckLayerAvailability",)
_PUSH = ("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage")
_READ = (
    *_TOKEN,
    *_CHECK,
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetRepositoryPolicy",
    "ecr:DescribeRepositories",
    "ecr:ListImages",
    "ecr:DescribeImages",
    "ecr:BatchGetImage",
    "ecr:GetLifecyclePolicy",
    "ecr:GetLifecyclePolicyPreview",
    "ecr:ListTagsForResource",
    "ecr:DescribeImageScanFindings",
)
_PUBLIC_TOKEN = ("ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken")
_PUBLIC_READ = (
    *_PUBLIC_TOKEN,
    "ecr-public:BatchCheckLayerAvailability",
    "ecr-public:GetRepositoryPolicy",
    "ecr-public:DescribeRepositories",
    "ecr-public:DescribeRegistries",
    "ecr-public:DescribeImages",
    "ecr-public:DescribeImageTags",
    "ecr-public:GetRepositoryCatalogData",
    "ecr-public:GetRegistryCatalogData",
)
_PUBLIC_PUSH = tuple(action.replace("ecr:", "ecr-public:") for action in _PUSH)
_LOG_LINES = ("logs:CreateLogStream", "logs:PutLogEvents")
_OWN_ACCOUNT = {"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}
_ORGANIZATION = (
    "organizations:DescribeAccount",
    "organizations:DescribeOrganization",
    "organizations:DescribeOrganizationalUnit",
    "organizations:DescribePolicy",
    "organizations:ListChildren",
    "organizations:ListParents",
    "organizations:ListPolicies",
    "organizations:ListPoliciesForTarget",
    "organizations:ListRoots",
    "organizations:ListTargetsForPolicy",
)
# AWS's own has thousands of actions; these are those of the services that Moorage speaks.
_READ_ONLY = (
    *("ec2:Describe*", "ec2:Get*"),
    *("ecr:BatchCheck*", "ecr:BatchGet*", "ecr:Describe*", "ecr:Get*", "ecr:List*"),
    *_PUBLIC_READ[2:],
    *("ecr-public:GetAuthorizationToken", "ecr-public:ListTagsForResource"),
    *("iam:Generate*", "iam:Get*", "iam:List*", "iam:Simulate*"),
    *("kms:Describe*", "kms:Get*", "kms:List*"),
    *("organizations:Describe*", "organizations:List*"),
    *("sts:GetAccessKeyInfo", "sts:GetCallerIdentity", "sts:GetSessionToken"),
)


def _allow(
    *actions: str,
    on: str | Sequence[str] = "*",
    when: Mapping[str, object] | None = None,
    sid: str | None = None,
) -> Statement:
    statement: dict[str, object] = {"Sid": sid} if sid else {}
    statement |= {"Effect": "Allow", "Action": list(actions), "Resource": on}
    return statement | {"Condition": when} if when else statement


def _allow_but(*actions: str) -> Statement:
    return {"Effect": "Allow", "NotAction": list(actions), "Resource": "*"}


Row = tuple[str, int, str, str, tuple[Statement, ...]]
"""Path and name, newest version, when the policy was made and when that version was, what it says."""

_ROWS: tuple[Row, ...] = (
    (
        "/AdministratorAccess",
        1,
        "2015-02-06T18:39:46Z",
        "2015-02-06T18:39:46Z",
        ({"Effect": "Allow", "Action": "*", "Resource": "*"},),
    ),
    (
        "/PowerUserAccess",
        12,
        "2015-02-06T18:39:47Z",
        "2026-02-12T17:59:14Z",
        (
            _allow_but("iam:*", "organizations:*", "account:*"),
            _allow(
                "account:GetAccountInformation",
                "account:GetGovCloudAccountInformation",
                "account:GetPrimaryEmail",
                "account:ListRegions",
                "iam:CreateServiceLinkedRole",
                "iam:DeleteServiceLinkedRole",
                "iam:ListRoles",
                "organizations:DescribeEffectivePolicy",
                "organizations:DescribeOrganization",
            ),
        ),
    ),
    (
        "/ReadOnlyAccess",
        188,
        "2015-02-06T18:39:48Z",
        "2026-07-21T18:42:30Z",
        (_allow(*_READ_ONLY),),
    ),
    (
        "/IAMFullAccess",
        2,
        "2015-02-06T18:40:38Z",
        "2019-06-21T19:40:00Z",
        (_allow("iam:*", *_ORGANIZATION),),
    ),
    (
        "/IAMReadOnlyAccess",
        4,
        "2015-02-06T18:40:39Z",
        "2018-01-25T19:11:27Z",
        (
            _allow(
                "iam:GenerateCredentialReport",
                "iam:GenerateServiceLastAccessedDetails",
                "iam:Get*",
                "iam:List*",
                "iam:SimulateCustomPolicy",
                "iam:SimulatePrincipalPolicy",
            ),
        ),
    ),
    (
        "/IAMUserChangePassword",
        5,
        "2016-11-15T00:25:16Z",
        "2026-02-12T17:58:57Z",
        (
            _allow(
                "iam:ChangePassword",
                on=("arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::*:user/*/${aws:username}"),
            ),
            _allow("iam:GetAccountPasswordPolicy"),
        ),
    ),
    (
        "/AmazonEC2ContainerRegistryReadOnly",
        3,
        "2015-12-21T17:04:15Z",
        "2019-12-10T20:56:32Z",
        (_allow(*_READ),),
    ),
    (
        "/AmazonEC2ContainerRegistryPowerUser",
        3,
        "2015-12-21T17:05:33Z",
        "2019-12-10T20:48:08Z",
        (_allow(*_READ, *_PUSH),),
    ),
    (
        "/AmazonEC2ContainerRegistryFullAccess",
        3,
        "2015-12-21T17:06:48Z",
        "2020-12-05T00:04:19Z",
        (
            _allow("ecr:*", "cloudtrail:LookupEvents"),
            _allow(
                "iam:CreateServiceLinkedRole",
                when={"StringEquals": {"iam:AWSServiceName": ["replication.ecr.amazonaws.com"]}},
            ),
        ),
    ),
    (
        "/AmazonEC2ContainerRegistryPullOnly",
        1,
        "2024-10-04T16:58:49Z",
        "2024-10-04T16:58:49Z",
        (_allow(*_TOKEN, *_PULL, "ecr:BatchImportUpstreamImage"),),
    ),
    (
        "/AmazonElasticContainerRegistryPublicReadOnly",
        1,
        "2020-12-01T17:27:04Z",
        "2020-12-01T17:27:04Z",
        (_allow(*_PUBLIC_READ),),
    ),
    (
        "/AmazonElasticContainerRegistryPublicPowerUser",
        1,
        "2020-12-01T16:16:54Z",
        "2020-12-01T16:16:54Z",
        (_allow(*_PUBLIC_READ, *_PUBLIC_PUSH),),
    ),
    (
        "/AmazonElasticContainerRegistryPublicFullAccess",
        1,
        "2020-12-01T17:25:52Z",
        "2020-12-01T17:25:52Z",
        (_allow("ecr-public:*", "sts:GetServiceBearerToken"),),
    ),
    (
        "/EC2InstanceProfileForImageBuilderECRContainerBuilds",
        1,
        "2020-12-11T19:48:15Z",
        "2020-12-11T19:48:15Z",
        (
            _allow(
                "imagebuilder:GetComponent",
                "imagebuilder:GetContainerRecipe",
                *_TOKEN,
                *_CHECK,
                *_PULL,
                *_PUSH,
            ),
            _allow(
                "kms:Decrypt",
                when={
                    "ForAnyValue:StringEquals": {
                        "kms:EncryptionContextKeys": "aws:imagebuilder:arn",
                        "aws:CalledVia": ["imagebuilder.amazonaws.com"],
                    }
                },
            ),
            _allow("s3:GetObject", on="arn:aws:s3:::ec2imagebuilder*"),
            _allow("logs:CreateLogGroup", *_LOG_LINES, on="arn:aws:logs:*:*:log-group:/aws/imagebuilder/*"),
        ),
    ),
    (
        "/service-role/AWSAppRunnerServicePolicyForECRAccess",
        1,
        "2021-05-14T19:17:21Z",
        "2021-05-14T19:17:21Z",
        (_allow(*_TOKEN, *_CHECK, *_PULL, "ecr:DescribeImages"),),
    ),
    (
        "/service-role/AmazonECSTaskExecutionRolePolicy",
        1,
        "2017-11-16T18:48:22Z",
        "2017-11-16T18:48:22Z",
        (_allow(*_TOKEN, *_CHECK, *_PULL, *_LOG_LINES),),
    ),
    (
        "/aws-service-role/ECRReplicationServiceRolePolicy",
        1,
        "2020-12-04T22:11:28Z",
        "2020-12-04T22:11:28Z",
        (_allow("ecr:CreateRepository", "ecr:ReplicateImage"),),
    ),
    (
        "/aws-service-role/AWSECRPullThroughCache_ServiceRolePolicy",
        4,
        "2021-11-26T21:51:09Z",
        "2026-05-12T18:12:08Z",
        (
            _allow(
                *_TOKEN,
                *_CHECK,
                *_PULL,
                *_PUSH,
                "ecr:BatchImportUpstreamImage",
                "ecr:GetImageCopyStatus",
                when=_OWN_ACCOUNT,
                sid="ECR",
            ),
            _allow(
                "secretsmanager:GetSecretValue",
                on="arn:aws:secretsmanager:*:*:secret:ecr-pullthroughcache/*",
                when=_OWN_ACCOUNT,
                sid="SecretsManager",
            ),
        ),
    ),
    (
        "/aws-service-role/ECRTemplateServiceRolePolicy",
        1,
        "2024-06-19T23:11:37Z",
        "2024-06-19T23:11:37Z",
        (_allow("ecr:CreateRepository", sid="CreateRepositoryWithTemplate"),),
    ),
)


def _policies() -> Iterator[AwsManagedPolicy]:
    for place, version, created, updated, statements in _ROWS:
        path, _, name = place.rpartition("/")
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=2)
        yield AwsManagedPolicy(f"{path}/", name, version, _moment(created), _moment(updated), document)


def _moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


_SORTED = tuple(sorted(_policies(), key=lambda policy: policy.arn))
_BY_ARN = {policy.arn: policy for policy in _SORTED}
