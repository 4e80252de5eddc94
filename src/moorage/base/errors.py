"""Every error a caller may meet.

A class is raised with facts (`RepositoryNotFound(name=..., registry_id=...)`); the doors give it its status and its
wire form. On the AWS wire the code is the class name plus `Exception`; the OCI codes are a table in `oci/errors.py`.
Texts are those that tools match on (reference: Amazon ECR API, "Common Errors").
"""

from __future__ import annotations

from typing import ClassVar


class MoorageError(Exception):
    """`facts` fill `template`; `members` are the facts that travel as members of the error body of their own."""

    template: ClassVar[str] = ""
    status: ClassVar[int] = 400
    members: ClassVar[tuple[str, ...]] = ()

    def __init__(self, message: str | None = None, /, **facts: object) -> None:
        self.facts = facts
        super().__init__(message if message is not None else self.template.format(**facts))

    @classmethod
    def code(cls) -> str:
        return cls.__name__ + "Exception"


# Repositories


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
        "Repository policy does not exist for the repository with name '{name}' in the registry with id '{registry_id}'"
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

    template = "The repository '{name}' was not created: the creation template with the prefix '{prefix}' {reason}"
    status = 403

    @classmethod
    def code(cls) -> str:
        return "ValidationException"


class InvalidTagParameter(MoorageError):
    template = "Tag parameters are invalid"


class TooManyTags(MoorageError):
    template = "The maximum number of tags that can be applied to a repository is 50."


# Images


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
    pass


class ImageStorageClassUpdateNotSupported(MoorageError):
    template = "The requested image storage class update is not supported. {reason}"


# Lifecycle policies


class LifecyclePolicyNotFound(MoorageError):
    template = (
        "Lifecycle policy does not exist for the repository with name '{name}' in the registry with id '{registry_id}'"
    )


class LifecyclePolicyPreviewNotFound(MoorageError):
    template = (
        "Lifecycle policy preview does not exist for the repository with name '{name}' in the registry with id "
        "'{registry_id}'"
    )


class LifecyclePolicyPreviewInProgress(MoorageError):
    template = "The previous lifecycle policy preview request has not completed. Wait and try again."


# Replication


class ReplicationPeerFailed(MoorageError):
    """Another installation did not take what was sent to it; nobody who calls meets this."""

    template = "The replication peer {peer} {reason}"


class ReplicationBackfillInProgress(MoorageError):
    template = "A replication backfill to the Region '{region}' is already in progress"


class ReplicationBackfillInvalidStatus(MoorageError):
    template = "The replication backfill with id '{id}' cannot be stopped: its status is {status}"


class ReplicationBackfillNotFound(MoorageError):
    template = "The replication backfill with id '{id}' does not exist in the registry with id '{registry_id}'"


# Layers


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
        "Invalid parameter at 'digest' failed to satisfy constraint: 'must be a sha256 or sha512 digest' ({digest})"
    )


class SizeInvalid(MoorageError):
    template = "The body has {received} bytes where {announced} were announced"


class LayerReferenced(MoorageError):
    template = (
        "The layer with digest '{digest}' is used by an image of the repository; delete the image first"
    )
    status = 405


# The pull-through cache and its secrets (Secrets Manager API reference)


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


class ResourceNotFound(MoorageError):
    template = "Secrets Manager can't find the specified secret."


class ResourceExists(MoorageError):
    pass


class InvalidRequest(MoorageError):
    pass


class InvalidNextToken(MoorageError):
    template = "Invalid NextToken."


# Requests


class InvalidParameter(MoorageError):
    template = "Invalid parameter at '{at}' failed to satisfy constraint: '{constraint}'"


class Validation(MoorageError):
    """A semantic failure of a newer feature (`ValidationException`)."""


class Serialization(MoorageError):
    """The body is not the JSON that the operation takes."""


class UnknownOperation(MoorageError):
    template = "The operation '{operation}' is not one of {service}"


class UnsupportedOperation(MoorageError):
    template = (
        "The operation {service}:{operation} is known but not built yet; docs/api/missing.md lists what is missing"
    )


class RequestEntityTooLarge(MoorageError):
    template = "The body is larger than {limit} bytes"
    status = 413


# Who and may they


class AccessDenied(MoorageError):
    template = "User: {principal} is not authorized to perform: {action} on resource: {resource} {because}"


class MissingAuthenticationToken(MoorageError):
    template = "Request is missing Authentication Token"


class IncompleteSignature(MoorageError):
    pass


class InvalidSignature(MoorageError):
    pass


class UnrecognizedClient(MoorageError):
    template = "The security token included in the request is invalid."


class ExpiredToken(MoorageError):
    template = "The security token included in the request is expired"


class Unauthorized(MoorageError):
    """A registry request without usable credentials: 401 and a challenge."""

    template = "Not Authorized"
    status = 401


class TooManyRequests(MoorageError):
    """Too many failed logins from one address."""

    template = "Rate exceeded"
    status = 429

    @classmethod
    def code(cls) -> str:
        return "ThrottlingException"


class TokenExpired(MoorageError):
    """A registry password that was good once: 403 with the text that tools know."""

    template = "Your authorization token has expired. Reauthenticate and try again."
    status = 403


# Users, roles and policies (IAM, STS)


class NoSuchEntity(MoorageError):
    pass


class EntityAlreadyExists(MoorageError):
    pass


class DeleteConflict(MoorageError):
    template = "Cannot delete entity, must remove referenced objects first."


class MalformedPolicyDocument(MoorageError):
    """`MalformedPolicy` of `access.policies.document`, told in IAM's code."""


class InvalidInput(MoorageError):
    pass


class PolicyNotAttachable(MoorageError):
    pass


class UnmodifiableEntity(MoorageError):
    pass


class InvalidIdentityToken(MoorageError):
    """A token of an identity provider that is not accepted."""


class IdentityTokenExpired(MoorageError):
    template = "Token expired: current date/time {now} must be before the expiration date/time {expires}"

    @classmethod
    def code(cls) -> str:
        return "ExpiredIdentityTokenException"


class IDPCommunicationError(MoorageError):
    template = "The identity provider could not be reached: {reason}"


class IDPRejectedClaim(MoorageError):
    pass


class PackedPolicyTooLarge(MoorageError):
    template = "Packed policy consumes {percent}% of allotted space"


# Private endpoints (EC2 API reference, "Error codes")


class EndpointRefused(MoorageError):
    """What came in by a private listener is for a service that none of its endpoints carries."""

    template = "The private endpoint does not carry {service}"
    status = 403

    @classmethod
    def code(cls) -> str:
        return "AccessDeniedException"


class VpcEndpointNotFound(MoorageError):
    template = "The Vpc Endpoint Id '{id}' does not exist"

    @classmethod
    def code(cls) -> str:
        return "InvalidVpcEndpointId.NotFound"


class VpcEndpointIdMalformed(MoorageError):
    template = "Invalid Id: '{id}' (expecting 'vpce-...')"

    @classmethod
    def code(cls) -> str:
        return "InvalidVpcEndpointId.Malformed"


class ResourceIdInvalid(MoorageError):
    template = "The ID '{id}' is not valid: only private endpoints have tags here"

    @classmethod
    def code(cls) -> str:
        return "InvalidID"


class InvalidServiceName(MoorageError):
    template = "The Vpc Endpoint Service '{name}' does not exist"


class InvalidPolicyDocument(MoorageError):
    template = "The policy document is not valid: {reason}"


class InvalidParameterValue(MoorageError):
    template = "Value ({value}) for parameter {name} is invalid. {reason}"


class InvalidFilter(MoorageError):
    template = "The filter '{name}' is invalid"

    @classmethod
    def code(cls) -> str:
        return "InvalidParameterValue"


class InvalidParameterCombination(MoorageError):
    pass


class MissingParameter(MoorageError):
    template = "The request must contain the parameter {name}"


class IdempotentParameterMismatch(MoorageError):
    template = "The client token {token} was used before, with other parameters"


class DryRunOperation(MoorageError):
    template = "Request would have succeeded, but DryRun flag is set."
    status = 412


class VpcEndpointLimitExceeded(MoorageError):
    template = "The maximum number of VPC endpoints, {limit}, has been reached."


class TagLimitExceeded(MoorageError):
    template = "The maximum number of tags that can be applied to a resource is {limit}."


class OperationNotPermitted(MoorageError):
    """On what the configuration says: the file is where it is changed."""

    template = "The endpoint '{id}' stands in the configuration of the registry and is changed there"


# The registry wire


class NameInvalid(MoorageError):
    template = (
        "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression "
        "'[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*''"
    )


class TagInvalid(MoorageError):
    template = (
        "Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular expression '{pattern}''"
    )


class PageSizeInvalid(MoorageError):
    template = "Invalid parameter at 'n' failed to satisfy constraint: 'must be a number of at least 0'"


class TooManyTagParameters(MoorageError):
    template = "At most {limit} tags can be given with one manifest"
    status = 414


class RangeNotSatisfiable(MoorageError):
    """`size` is the length of what was asked for; the answer carries `Content-Range: bytes */size`."""

    template = "The range lies outside of the {size} bytes of the blob"
    status = 416


class BadRequest(MoorageError):
    """The HTTP request itself is malformed; `reason` says how."""

    template = "{reason}"


class MethodNotAllowed(MoorageError):
    """`allowed` lists the methods of the path, as the `Allow` header wants them."""

    template = "The method {method} is not supported here; use one of {allowed}"
    status = 405


class PathUnknown(MoorageError):
    template = "There is nothing at this path"
    status = 404


# Records of calls (CloudTrail)


class InvalidLookupAttributes(MoorageError):
    pass


class InvalidTimeRange(MoorageError):
    template = "The start time is after the end time"


# Ourselves


class KmsFailure(MoorageError):
    """A key cannot be used; `kmsError` is the KMS code (`DisabledException` and the like)."""

    members = ("kmsError",)

    @classmethod
    def code(cls) -> str:
        return "KmsException"


class StorageFull(MoorageError):
    template = "There is no space left to store this; free some and try again"
    status = 507


class Corrupted(MoorageError):
    """What is stored fails authentication: it is never served, the connection breaks."""

    template = "The stored data of '{what}' failed authentication"
    status = 500


class Server(MoorageError):
    template = "An internal error occurred; the server's log has it under the request id"
    status = 500
