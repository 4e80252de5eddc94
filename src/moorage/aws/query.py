"""The AWS query protocol of STS and IAM: forms to requests, responses and errors to XML (botocore, "query").

Lists are `Tags.member.1.Key`, maps `Map.entry.1.key`; a timestamp is ISO 8601. Neither service flattens or
renames.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from moorage.aws.explain import convert
from moorage.aws.model import ListOf, MapOf, Node, Scalar, Structure, structure_of
from moorage.aws.shapes import SERVICES, Shape, load
from moorage.base.errors.error import MoorageError
from moorage.base.errors.requests import Serialization
from moorage.base.http import Reply

S = TypeVar("S", bound=Shape)
Form = Sequence[tuple[str, str]]
Tree = dict[str, Any]

MAX_FIELDS = 10_000
CONTENT_TYPE = (b"content-type", b"text/xml")

_INDEX = re.compile(r"[0-9]{1,5}")
_INTEGER = re.compile(r"-?[0-9]{1,19}")

# What the query services call the errors that every service has, and their statuses.
_COMMON = {
    "AccessDeniedException": ("AccessDenied", 403),
    "ExpiredIdentityTokenException": ("ExpiredTokenException", 400),
    "ExpiredTokenException": ("ExpiredToken", 403),
    "IncompleteSignatureException": ("IncompleteSignature", 403),
    "InvalidParameterException": ("InvalidParameterValue", 400),
    "InvalidSignatureException": ("SignatureDoesNotMatch", 403),
    "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403),
    "SerializationException": ("MalformedInput", 400),
    "ServerException": ("InternalFailure", 500),
    "UnknownOperationException": ("InvalidAction", 400),
    "UnrecognizedClientException": ("InvalidClientTokenId", 403),
    "ValidationException": ("ValidationError", 400),
}

# Characters that XML 1.0 does not have become U+FFFD.
_ESCAPES = dict.fromkeys((*range(32), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)), "\ufffd")
_ESCAPES |= {9: "\t", 10: "\n", 13: "&#13;", ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}


def form_of(text: bytes) -> Form:
    """The decoded pairs of a form body or of a raw query string; raise `Serialization`."""
    try:
        pairs = parse_qsl(text.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise Serialization("The form is not valid") from None
    return pairs


def decoder(service: str, shape: type[S]) -> Callable[[bytes], S]:
    """Forms to `shape`; raise `Serialization` or `Validation`."""
    structure = structure_of(shape)

    def decode(form: bytes) -> S:
        return convert(service, shape, _read_structure(structure, tree_of(form_of(form))))

    return decode


def tree_of(form: Form) -> Tree:
    """`a.b.1=x` as nested dictionaries. What has both a value and members keeps the members."""
    root: Tree = {}
    for name, value in form:
        *parents, last = name.split(".", 16)
        node = root
        for parent in parents:
            inner = node.get(parent)
            if not isinstance(inner, dict):
                inner = node[parent] = {}
            node = inner
        if not isinstance(node.get(last), dict):
            node[last] = value
    return root


def _read_structure(structure: Structure, tree: Tree) -> Tree:
    present = [member for member in structure.members if member.wire in tree]
    return {member.wire: _read(member.node, tree[member.wire]) for member in present}


def _read(node: Node, value: str | Tree) -> Any:
    if isinstance(node, Scalar):
        return read_scalar(node, value)
    inner = {} if value == "" else value  # `Tags=` is an empty list
    if isinstance(inner, str):
        raise Serialization("A list or structure was expected")
    if isinstance(node, Structure):
        return _read_structure(node, inner)
    if isinstance(node, ListOf):
        return [_read(node.item, item) for item in in_order(inner.get("member", {}))]
    entries = [entry for entry in in_order(inner.get("entry", {})) if isinstance(entry, dict)]
    return {
        _read(node.key, entry.get("key", "")): _read(node.value, entry.get("value", "")) for entry in entries
    }


def in_order(members: str | Tree) -> list[Any]:
    """The members of a list, by their numbers; raise `Serialization`."""
    if isinstance(members, str) or not all(map(_INDEX.fullmatch, members)):
        raise Serialization("The members of a list are numbered from 1")
    return [members[index] for index in sorted(members, key=int)]


def read_scalar(node: Scalar, value: str | Tree) -> Any:
    """A value of the node's kind, or the text as it is; raise `Serialization`."""
    if isinstance(value, dict):
        raise Serialization("Start of structure or map found where not expected.")
    if node.kind is int and _INTEGER.fullmatch(value):
        return int(value)
    if node.kind is bool and value in ("true", "false"):
        return value == "true"
    if node.kind is float:
        return _read_time(value)
    return value


def _read_time(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Serialization(f"'{text[:64]}' is not an ISO 8601 timestamp") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def encode(service: str, operation: str, response: Shape, request_id: str) -> Reply:
    namespace = SERVICES[service].namespace
    result = "".join(_structure(structure_of(type(response)), response))
    body = (
        f'<{operation}Response xmlns="{namespace}"><{operation}Result>{result}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
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
        yield from (_element("member", node.item, item) for item in value)
    elif isinstance(node, MapOf):
        for key, item in value.items():
            yield f"<entry>{_element('key', node.key, key)}{_element('value', node.value, item)}</entry>"
    else:
        yield text_of(value)


def text_of(value: Any) -> str:
    """A scalar as the text of an element, escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _iso(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value).translate(_ESCAPES)


def _iso(seconds: float) -> str:
    """`2019-07-15T23:28:33Z`, with milliseconds where there are any."""
    moment = datetime.fromtimestamp(round(seconds * 1000) / 1000, UTC)
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def encode_error(service: str, error: MoorageError, request_id: str) -> Reply:
    code, status = _COMMON.get(error.code()) or _modelled(service, error)
    kind = "Sender" if status < 500 else "Receiver"
    body = (
        f'<ErrorResponse xmlns="{SERVICES[service].namespace}"><Error><Type>{kind}</Type><Code>{code}</Code>'
        f"<Message>{text_of(str(error))}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Reply(status, [CONTENT_TYPE], body.encode())


def _modelled(service: str, error: MoorageError) -> tuple[str, int]:
    found: tuple[str, int] | None = load(service).ERRORS.get(error.code())
    return found or (error.code().removesuffix("Exception"), error.status)
