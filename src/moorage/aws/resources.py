"""What a request is about, read off its members: the ARNs it is authorized on, and the condition keys it fills.

So authorization needs no line per operation. Sources: service authorization reference of ecr, ecr-public, iam and sts.
Where a name alone does not tell the ARN (the path of a user or role), the ARN has none, and `access` adds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from moorage.aws.shapes import Service, Shape

Resources = Callable[[Any, str, str], Sequence[str]]
"""From a request, the caller's account and the region to the ARNs that the request is about."""

Context = Mapping[str, str | tuple[str, ...]]
"""Condition keys in lower case."""

# Our own service is about the same registries and repositories as Amazon ECR's.
_OF_REGISTRIES = ("ecr", "moorage")

# These are authorized on `*`, whatever their members are called (service authorization reference, ecr).
_REGISTRY_WIDE = frozenset(
    {
        "CreatePullThroughCacheRule",
        "CreateRepositoryCreationTemplate",
        "DeletePullThroughCacheRule",
        "DeleteDefaultLifecyclePolicy",
        "DeleteRegistryPolicy",
        "DeleteRepositoryCreationTemplate",
        "DeleteSigningConfiguration",
        "DeregisterPullTimeUpdateExclusion",
        "DescribePullThroughCacheRules",
        "DescribeRegistry",
        "DescribeReplicationBackfillResults",
        "DescribeRepositoryCreationTemplates",
        "GetAccountSetting",
        "GetAuthorizationToken",
        "GetDefaultLifecyclePolicy",
        "GetRegistryPolicy",
        "GetRegistryScanningConfiguration",
        "GetSigningConfiguration",
        "ListPullTimeUpdateExclusions",
        "ListReplicationBackfills",
        "PutAccountSetting",
        "PutDefaultLifecyclePolicy",
        "PutRegistryPolicy",
        "PutRegistryScanningConfiguration",
        "PutReplicationConfiguration",
        "PutSigningConfiguration",
        "RegisterPullTimeUpdateExclusion",
        "StartReplicationBackfill",
        "StopReplicationBackfill",
        "UpdatePullThroughCacheRule",
        "UpdateRepositoryCreationTemplate",
        "ValidatePullThroughCacheRule",
    }
)

DECIDE_THEMSELVES = frozenset(
    {
        "sts:AssumeRole",  # by the trust policy of the role, which only the operation has read
        "sts:AssumeRoleWithSAML",
        "sts:AssumeRoleWithWebIdentity",
        "sts:GetCallerIdentity",  # whoever signs may know whom the signature is of
        "sts:GetSessionToken",  # needs no permission (STS API reference)
    }
)

_IAM_ARNS = ("policy_arn", "policy_source_arn", "open_id_connect_provider_arn")
_IAM_NAMES = (("group_name", "group"), ("role_name", "role"), ("user_name", "user"))


def resources_of(service: Service, name: str, request: type[Shape]) -> Resources:
    """How the ARNs of an operation are found. None at all for those in `DECIDE_THEMSELVES`."""
    if f"{service.name}:{name}" in DECIDE_THEMSELVES:
        return lambda r, account, region: ()
    members = request.__struct_fields__
    if service.name in _OF_REGISTRIES and name in _REGISTRY_WIDE and "registry_id" in members:
        return _registry
    if service.name in (*_OF_REGISTRIES, "ecr-public") and name not in _REGISTRY_WIDE:
        if "repository_name" in members:
            return lambda r, account, region: (_repository(service, r, account, region, r.repository_name),)
        if "repository_names" in members:
            return lambda r, account, region: [
                _repository(service, r, account, region, n) for n in r.repository_names or ["*"]
            ]
        if "resource_arn" in members:
            return lambda r, account, region: (r.resource_arn,)
    if service.name == "iam":
        return _iam(name, members)
    return lambda r, account, region: ("*",)


def _registry(request: Any, account: str, region: str) -> tuple[str]:
    """Another account's registry is named, so that its owner has a say."""
    owner = request.registry_id or account
    return ("*" if owner == account else f"arn:aws:ecr:{region}:{owner}:registry",)


def _repository(service: Service, request: Any, account: str, region: str, name: str) -> str:
    """The ARN of a repository of the registry that the request names, else of the caller's."""
    owner = getattr(request, "registry_id", None) or account
    if service.name == "ecr-public":  # one for the world
        return f"arn:aws:ecr-public::{owner}:repository/{name}"
    return f"arn:aws:ecr:{region}:{owner}:repository/{name}"


def _iam(name: str, members: tuple[str, ...]) -> Resources:
    if name == "CreatePolicy":
        return lambda r, account, region: (f"arn:aws:iam::{account}:policy{r.path or '/'}{r.policy_name}",)
    if name == "CreateOpenIDConnectProvider":
        return lambda r, account, region: (f"arn:aws:iam::{account}:oidc-provider/{host_and_path(r.url)}",)
    if name == "CreateServiceLinkedRole":
        return lambda r, account, region: (
            f"arn:aws:iam::{account}:role/aws-service-role/{r.aws_service_name}/*",
        )
    for member, kind in _IAM_NAMES:
        if member in members:
            return lambda r, account, region, member=member, kind=kind: (  # type: ignore[misc]
                f"arn:aws:iam::{account}:{kind}{getattr(r, 'path', None) or '/'}{getattr(r, member) or ''}",
            )
    for member in _IAM_ARNS:
        if member in members:
            return lambda r, account, region, member=member: (getattr(r, member),)  # type: ignore[misc]
    return lambda r, account, region: ("*",)


def host_and_path(url: str) -> str:
    """How an identity provider is called in ARNs and condition keys: its URL without scheme and last slash."""
    parts = urlsplit(url)
    return (parts.netloc + parts.path).rstrip("/")


def context_of(service: Service, request: Any) -> Context:
    """What the request says of itself: tags, boundaries, policies."""
    context: dict[str, str | tuple[str, ...]] = {}
    tags = _tags_of(request)
    if tags:
        context["aws:tagkeys"] = tuple(key for key, _ in tags)
        for key, value in tags:
            context[f"aws:requesttag/{key.lower()}"] = value
    keys = getattr(request, "tag_keys", None)
    if keys:
        context["aws:tagkeys"] = tuple(keys)
    if service.name == "iam":
        context |= _iam_context(request)
    if service.name == "ecr" and request.__struct_fields__ == ("name", "value"):  # PutAccountSetting
        context["ecr:accountsetting"] = request.name
    return context


def _tags_of(request: Any) -> list[tuple[str, str]]:
    """Also those of EC2, where a tag may lack either, and stands in a specification when something is made."""
    tags = [*(getattr(request, "tags", None) or ())]
    for specification in getattr(request, "tag_specifications", None) or ():
        tags += specification.tags or ()
    return [_pair(tag) for tag in tags]


def _pair(tag: Any) -> tuple[str, str]:
    if "tag_key" in tag.__struct_fields__:  # of KMS
        return tag.tag_key, tag.tag_value
    return tag.key or "", tag.value or ""


def _iam_context(request: Any) -> dict[str, str | tuple[str, ...]]:
    context: dict[str, str | tuple[str, ...]] = {}
    boundary = getattr(request, "permissions_boundary", None)
    if isinstance(boundary, str):
        context["iam:permissionsboundary"] = boundary
    names = {"user_name", "role_name", "group_name"}
    if names & set(request.__struct_fields__) and isinstance(getattr(request, "policy_arn", None), str):
        context["iam:policyarn"] = request.policy_arn
    service_name = getattr(request, "aws_service_name", None)
    if isinstance(service_name, str):
        context["iam:awsservicename"] = service_name
    return context


def image_tags_of(request: Any) -> tuple[str | None, ...]:
    """The tags of images that a request names, each to be authorized by itself; None where it names none."""
    tag = getattr(getattr(request, "image_id", None) or request, "image_tag", None)
    if tag is not None:
        return (tag,)
    named = getattr(request, "image_ids", None) or ()
    return tuple(dict.fromkeys(each.image_tag for each in named)) or (None,)
