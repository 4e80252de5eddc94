"""Users, roles and policies (IAM, STS)."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


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
