"""Private endpoints (EC2 API reference, "Error codes")."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


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
