"""What an unauthenticated client is told (Amazon ECR: Basic, in this order and quoting; tools parse it)."""

from __future__ import annotations

from moorage.base.http import Reply, Request

SERVICE = "ecr.amazonaws.com"


def challenge(request: Request, reply: Reply) -> Reply:
    """The reply with the challenge of the private host: one scheme only, the word "bearer" nowhere."""
    host = "".join(char for char in request.host if (char.isascii() and char.isalnum()) or char in ".-:[]")
    value = f'Basic realm="https://{host}/",service="{SERVICE}"'
    reply.headers.append((b"www-authenticate", value.encode()))
    return reply
