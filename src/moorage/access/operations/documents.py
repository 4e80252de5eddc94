"""Policy documents at IAM's door: checked on their way in, percent-encoded on their way out."""

from __future__ import annotations

from urllib.parse import quote

from moorage.access.policies.document import Kind, MalformedPolicy, parse
from moorage.base.errors.identities import MalformedPolicyDocument


def check(text: str, kind: Kind) -> None:
    """Raise `MalformedPolicyDocument`. What is stored is the text as it was written."""
    try:
        parse(text, kind)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(str(error)) from None


def encoded(text: str) -> str:
    """As IAM answers it, after RFC 3986."""
    return quote(text, safe="")
