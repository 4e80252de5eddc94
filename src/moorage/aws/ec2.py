"""The AWS protocol of EC2: as that of `query`, with other lists, names and errors (botocore, "ec2").

Lists are `TagSpecification.1.Tag.2.Key` in a form and `<item>` in an answer. A name of the model is a form's when its
first letter is a capital: `tagSpecification` of an answer is `TagSpecification` of a form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

import msgspec

from moorage.aws.explain import Violation, normalized, violations
from moorage.aws.model import ListOf, Node, Scalar, Structure, structure_of
from moorage.aws.query import Tree, form_of, in_order, read_scalar, text_of, tree_of
from moorage.aws.shapes import Shape
from moorage.base.errors.endpoints import InvalidParameterValue, MissingParameter
from moorage.base.errors.error import MoorageError
from moorage.base.errors.requests import Serialization
from moorage.base.http import Reply

S = TypeVar("S", bound=Shape)

CONTENT_TYPE = (b"content-type", b"text/xml;charset=UTF-8")
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

_UNKNOWN_CREDENTIALS = "AWS was not able to validate the provided access credentials"
_UNAUTHORIZED = "You are not authorized to perform this operation."

# What EC2 calls the errors that every service has, their statuses, and what stands before our text
# (EC2 API reference, "Error codes"; AuthFailure, RequestExpired and InternalError as clients show them).
_COMMON = {
    "AccessDeniedException":              ("UnauthorizedOperation", 403, _UNAUTHORIZED),
    "ExpiredTokenException":              ("RequestExpired", 400, ""),
    "IncompleteSignatureException":       ("IncompleteSignature", 400, ""),
    "InvalidParameterException":          ("InvalidParameterValue", 400, ""),
    "InvalidSignatureException":          ("AuthFailure", 401, f"{_UNKNOWN_CREDENTIALS}."),
    "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403, ""),
    "SerializationException":             ("InvalidQueryParameter", 400, ""),
    "ServerException":                    ("InternalError", 500, ""),
    "UnknownOperationException":          ("InvalidAction", 400, ""),
    "UnrecognizedClientException":        ("AuthFailure", 401, f"{_UNKNOWN_CREDENTIALS}."),
    "ValidationException":                ("InvalidParameterValue", 400, ""),
}  # fmt: skip


def decoder(shape: type[S]) -> Callable[[bytes], S]:
    """Forms to `shape`; raise `Serialization`, `MissingParameter` or `InvalidParameterValue`."""
    structure = structure_of(shape)

    def decode(form: bytes) -> S:
        tree = normalized(structure, _read_structure(structure, tree_of(form_of(form))))
        for violation in islice(violations(structure, tree), 1):
            raise _refusal(violation)
        try:
            return msgspec.convert(tree, shape)
        except msgspec.ValidationError as error:  # a difference between msgspec's rules and those above
            raise Serialization(str(error)) from None

    return decode


def _refusal(violation: Violation) -> MoorageError:
    name = violation.path[:1].upper() + violation.path[1:]
    if violation.value is None:
        return MissingParameter(name=name)
    return InvalidParameterValue(value=violation.value, name=name, reason=f"It {violation.rule}.")


def _read_structure(structure: Structure, tree: Tree) -> Tree:
    names = [(f"{member.wire[:1].upper()}{member.wire[1:]}", member) for member in structure.members]
    return {member.wire: _read(member.node, tree[name]) for name, member in names if name in tree}


def _read(node: Node, value: str | Tree) -> Any:
    if isinstance(node, Scalar):
        return read_scalar(node, value)
    inner = {} if value == "" else value
    if isinstance(inner, str):
        raise Serialization("A list or structure was expected")
    if isinstance(node, Structure):
        return _read_structure(node, inner)
    if isinstance(node, ListOf):
        return [_read(node.item, item) for item in in_order(inner)]
    raise TypeError("EC2 has no maps")


def encode(namespace: str, operation: str, response: Shape, request_id: str) -> Reply:
    structure = structure_of(type(response))
    # What has no result of its own says that it was done.
    result = "".join(_structure(structure, response)) if structure.members else "<return>true</return>"
    body = (
        f'{_DECLARATION}<{operation}Response xmlns="{namespace}/"><requestId>{request_id}</requestId>'
        f"{result}</{operation}Response>"
    )
    return Reply(200, [CONTENT_TYPE], body.encode())


def _structure(structure: Structure, value: Shape) -> Iterator[str]:
    for member in structure.members:
        inner = getattr(value, member.attribute)
        if inner is not None:
            yield _element(member.wire, member.node, inner)


def _element(tag: str, node: Node, value: Any) -> str:
    return f"<{tag}>{''.join(_content(node, value))}</{tag}>"


def _content(node: Node, value: Any) -> Iterator[str]:
    if isinstance(node, Structure):
        yield from _structure(node, value)
    elif isinstance(node, ListOf):
        yield from (_element("item", node.item, item) for item in value)
    else:
        yield text_of(value)


def encode_error(error: MoorageError, request_id: str) -> Reply:
    own = (error.code().removesuffix("Exception"), error.status, "")
    code, status, before = _COMMON.get(error.code(), own)
    # EC2 names no resource where it could only be any (seen in its answers to DescribeVpcs).
    text = f"{before} {error}".strip().replace(" on resource: * ", " ", 1)
    body = (
        f"{_DECLARATION}<Response><Errors><Error><Code>{code}</Code><Message>{text_of(text)}</Message></Error>"
        f"</Errors><RequestID>{request_id}</RequestID></Response>"
    )
    return Reply(status, [CONTENT_TYPE], body.encode())
