"""Repositories, the settings of a registry, and templates."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class RepositoryNotFound(MoorageError):
    template = "The repository with name '{name}' does not exist in the registry with id '{registry_id}'"


class RepositoryAlreadyExists(MoorageError):
    template = "The repository with name '{name}' already exists in the registry with id '{registry_id}'"


class RepositoryNotEmpty(MoorageError):
    template = (
        "The repository with name '{name}' in registry with id '{registry_id}' cannot be deleted because it still "
        "contains images"
    )


class RepositoryPolicyNotFound(MoorageError):
    template = (
        "Repository policy does not exist for the repository with name '{name}' in the registry with id "
        "'{registry_id}'"
    )


class RegistryPolicyNotFound(MoorageError):
    template = "Registry policy does not exist in the registry with id '{registry_id}'"


class SigningConfigurationNotFound(MoorageError):
    template = "Signing configuration does not exist in the registry with id '{registry_id}'"


class ExclusionAlreadyExists(MoorageError):
    template = (
        "The pull time update exclusion for the principal '{principal}' already exists in the registry with id "
        "'{registry_id}'"
    )


class ExclusionNotFound(MoorageError):
    template = (
        "The pull time update exclusion for the principal '{principal}' does not exist in the registry with id "
        "'{registry_id}'"
    )


class TemplateAlreadyExists(MoorageError):
    template = (
        "The repository creation template with the prefix '{prefix}' already exists in the registry with id "
        "'{registry_id}'"
    )


class TemplateNotFound(MoorageError):
    template = (
        "The repository creation template with the prefix '{prefix}' does not exist in the registry with id "
        "'{registry_id}'"
    )


class TemplateUnusable(MoorageError):
    """A template that was accepted, and cannot be followed now."""

    template = (
        "The repository '{name}' was not created: the creation template with the prefix '{prefix}' {reason}"
    )
    status = 403

    @classmethod
    def code(cls) -> str:
        return "ValidationException"


class InvalidTagParameter(MoorageError):
    template = "Tag parameters are invalid"


class TooManyTags(MoorageError):
    template = "The maximum number of tags that can be applied to a repository is 50."
