"""Lifecycle policies, their previews and runs, and images in use."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class LifecyclePolicyNotFound(MoorageError):
    template = (
        "Lifecycle policy does not exist for the repository with name '{name}' in the registry with id "
        "'{registry_id}'"
    )


class DefaultLifecyclePolicyNotFound(MoorageError):
    template = "There is no default lifecycle policy in the registry with id '{registry_id}'"


class LifecyclePolicyRunNotFound(MoorageError):
    template = (
        "No lifecycle policy was applied yet to the repository with name '{name}' in the registry with id "
        "'{registry_id}'"
    )


class ImageUseNotFound(MoorageError):
    template = (
        "The image with digest '{digest}' in the repository with name '{name}' in the registry with id "
        "'{registry_id}' is not registered as in use by '{consumer}'"
    )


class LifecyclePolicyPreviewNotFound(MoorageError):
    template = (
        "Lifecycle policy preview does not exist for the repository with name '{name}' in the registry with id "
        "'{registry_id}'"
    )


class LifecyclePolicyPreviewInProgress(MoorageError):
    template = "The previous lifecycle policy preview request has not completed. Wait and try again."
