"""Images, their manifests and tags."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class ImageNotFound(MoorageError):
    template = (
        "The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within the repository with "
        "name '{name}' in the registry with id '{registry_id}'"
    )


class ManifestUnknown(MoorageError):
    template = "Requested image not found"
    status = 404


class ImageAlreadyExists(MoorageError):
    template = (
        "Image with digest '{digest}' and tag '{tag}' already exists in the repository with name '{name}' in registry "
        "with id '{registry_id}'"
    )


class ImageTagAlreadyExists(MoorageError):
    # kaniko and others match on "cannot be overwritten because the repository is immutable".
    template = (
        "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the "
        "repository is immutable."
    )


class ImageDigestDoesNotMatch(MoorageError):
    template = (
        "The image with digest '{digest}' in repository '{name}' and registry ID '{registry_id}' does not match the "
        "image digest that Amazon ECR has calculated."
    )


class LayersNotFound(MoorageError):
    template = (
        "Layers with digests '[{digests}]' required for pushing image into repository with name '{name}' in the "
        "registry with id '{registry_id}' do not exist"
    )


class ReferencedImagesNotFound(MoorageError):
    template = (
        "Images with digests '[{digests}]' required for pushing image into repository with name '{name}' in the "
        "registry with id '{registry_id}' do not exist"
    )


class ManifestInvalid(MoorageError):
    """The manifest breaks the image specification; `reason` says where."""

    template = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: '{reason}'"


class ManifestTooLarge(MoorageError):
    template = (
        "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'must be at most {limit} bytes'"
    )
    status = 413


class LimitExceeded(MoorageError):
    """A quota; the fact `quota` says which, in a header."""


class ImageStorageClassUpdateNotSupported(MoorageError):
    template = "The requested image storage class update is not supported. {reason}"
