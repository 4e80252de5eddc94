"""Layers and their uploads."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class BlobUnknown(MoorageError):
    template = "The layer with digest '{digest}' does not exist within the repository with name '{name}'"
    status = 404


class LayerNotFound(MoorageError):
    template = (
        "The layer with digest '{digest}' does not exist within the repository with name '{name}' in the registry with "
        "id '{registry_id}'"
    )

    @classmethod
    def code(cls) -> str:
        return "LayersNotFoundException"


class LayerInaccessible(MoorageError):
    template = (
        "The layer with digest '{digest}' in the repository with name '{name}' in the registry with id "
        "'{registry_id}' is not available because it is not associated with an image. Push an image that refers to it."
    )


class LayerAlreadyExists(MoorageError):
    template = (
        "The layer with digest '{digest}' already exists in the repository with name '{name}' in registry with id "
        "'{registry_id}'"
    )


class LayerPartTooSmall(MoorageError):
    template = "All layer parts except the last part should be at least 5MB"


class EmptyUpload(MoorageError):
    template = (
        "The upload with id '{upload_id}' in the repository with name '{name}' in registry with id '{registry_id}' "
        "cannot be completed because it does not have any parts"
    )


class InvalidLayer(MoorageError):
    template = (
        "The layer digest calculation performed by Amazon ECR upon receipt of the image layer does not match the "
        "digest specified."
    )


class InvalidLayerPart(MoorageError):
    template = "First byte of the layer part is {first} instead of {expected}"
    members = ("registryId", "repositoryName", "uploadId", "lastValidByteReceived")


class UploadNotFound(MoorageError):
    template = (
        "Upload with id '{upload_id}' could not be found for the repository with name '{name}' in the registry with id "
        "'{registry_id}'"
    )


class RangeNotInOrder(MoorageError):
    """A chunk that does not start where the upload stands; the session is kept."""

    template = "First byte of the layer part is {first} instead of {expected}"
    status = 416


class DigestMismatch(MoorageError):
    template = "None of the provided layer digests match the calculated layer digest"


class InvalidDigest(MoorageError):
    template = (
        "Invalid parameter at 'digest' failed to satisfy constraint: 'must be a sha256 or sha512 digest' "
        "({digest})"
    )


class SizeInvalid(MoorageError):
    template = "The body has {received} bytes where {announced} were announced"


class LayerReferenced(MoorageError):
    template = (
        "The layer with digest '{digest}' is used by an image of the repository; delete the image first"
    )
    status = 405
