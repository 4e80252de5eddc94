"""Lifecycle policies and their previews."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class LifecyclePolicyNotFound(MoorageError):
    template = (
        "Lifecycle policy does not exist for the repository with name '{name}' in the registry with id "
        "'{registry_id}'"
    )


class LifecyclePolicyPreviewNotFound(MoorageError):
    template = (
        "Lifecycle policy preview does not exist for the repository with name '{name}' in the registry with id "
        "'{registry_id}'"
    )


class LifecyclePolicyPreviewInProgress(MoorageError):
    template = "The previous lifecycle policy preview request has not completed. Wait and try again."
