"""The pull-through cache and its secrets (Secrets Manager API reference)."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class PullThroughCacheRuleAlreadyExists(MoorageError):
    template = (
        "The pull through cache rule with Amazon ECR repository prefix '{prefix}' already exists in the registry with "
        "id '{registry_id}'"
    )


class PullThroughCacheRuleNotFound(MoorageError):
    template = (
        "The pull through cache rule with Amazon ECR repository prefix '{prefix}' does not exist in the registry with "
        "id '{registry_id}'"
    )


class UnsupportedUpstreamRegistry(MoorageError):
    pass


class SecretNotFound(MoorageError):
    template = "The secret '{arn}' was not found: create it, or give the rule the ARN of one that exists"


class UnableToAccessSecret(MoorageError):
    template = "The secret '{arn}' cannot be accessed: {reason}"


class UpstreamImageUnknown(MoorageError):
    """The upstream registry has no such image or layer."""

    template = "Requested image not found"
    status = 404


class UpstreamAccessDenied(MoorageError):
    template = (
        "The authentication to the upstream registry failed. Verify that the credentials stored in the secret of the "
        "pull through cache rule are valid, and that they may pull the image"
    )
    status = 403


class UpstreamTooManyRequests(MoorageError):
    template = (
        "The upstream registry '{upstream}' refuses further requests for now (too many requests); try again after "
        "{retry_after} seconds"
    )
    status = 429


class UpstreamUnavailable(MoorageError):
    template = "The upstream registry '{upstream}' is not available: {reason}"
    status = 503


class UnableToGetUpstreamImage(MoorageError):
    template = "The image of the upstream registry could not be retrieved: {reason}"


class UnableToGetUpstreamLayer(MoorageError):
    template = "The layer of the upstream registry could not be retrieved: {reason}"


class UnableToListUpstreamImageReferrers(MoorageError):
    template = "What refers to the image in the upstream registry could not be listed: {reason}"


class ResourceNotFound(MoorageError):
    template = "Secrets Manager can't find the specified secret."


class ResourceExists(MoorageError):
    pass


class InvalidRequest(MoorageError):
    pass


class InvalidNextToken(MoorageError):
    template = "Invalid NextToken."
