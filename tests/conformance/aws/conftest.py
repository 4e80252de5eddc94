"""Parameters and results for every operation, made up from botocore's model."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

SAMPLES = {
    "": "x",
    r"^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$": "abc",
    "[0-9]{12}": "123456789012",
    r"\d{12}": "123456789012",
    "^o-[a-z0-9]{10,32}$": "o-abcdefghij",
    r"^o-[0-9a-z]{10,32}\/r-[0-9a-z]{4,32}[0-9a-z-\/]*": "o-abcdefghij/r-abcd",
    "^p-[0-9a-zA-Z_]{8,128}$": "p-abcdefgh",
    r"((/[A-Za-z0-9\.,\+@=_-]+)*)/": "/a/",
    r"v[1-9][0-9]*(\.[A-Za-z0-9-]*)?": "v1",
    r"^http(s?)://[a-zA-Z0-9._/-]*(\?[a-zA-Z0-9._=&-]*)?(#[a-zA-Z0-9._/-]*)?$": "https://example.com/",
    r"/[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*/": "/path/",
    r"\u002F[\u0021-\u007F]*": "/path/",
    r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)": "/path/",
    "[A-Z0-9]+": "A" * 22,
    "cluster-[2-7a-zA-Z]{11,16}": "cluster-abcdefghijk",
    r"^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$": "arn:aws:iam::123456789012:role/a",
    r"^([a-z]+-){2,3}\d+$": "us-east-1",
    r"^([a-z]+-)+\d+$": "us-east-1",
    r"^([A-Za-z0-9\-]+)\.([A-Za-z0-9\-]+)(\.[A-Za-z0-9\-]+)+$": "a.b.example",
    "^https://[a-zA-Z0-9.-]+$": "https://example.com",
    r"^(/[a-zA-Z0-9\/_-]+/kms/xks/v\d{1,2})$|^(/kms/xks/v\d{1,2})$": "/kms/xks/v1",
    r"^(com|eu)\.amazonaws\.vpce\.([a-z]+-){2,3}\d+\.vpce-svc-[0-9a-z]+$": (
        "com.amazonaws.vpce.us-east-1.vpce-svc-1a"
    ),
    "^[A-Z2-7]+$": "A" * 20,
    r"[\d]+": "123456",
    r"[\d]*": "123456",
    "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+": "sha256:abcdef",
    "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}": (
        "01234567-89ab-cdef-0123-456789abcdef"
    ),
    r"^arn:aws(-\w+)*:secretsmanager:[a-zA-Z0-9-:]+:secret:ecr\-pullthroughcache\/[a-zA-Z0-9\/_+=.@-]+$": (
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/hub"
    ),
    r"^$|arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key\/[a-z0-9-]+": "",
    r"^arn:aws(-[a-z]+)*:iam::[0-9]{12}:(role|user)/[\w+=,.@-]+(/[\w+=,.@-]+)*$": (
        "arn:aws:iam::123456789012:role/a"
    ),
    r"^arn:aws(-[a-z]+)*:signer:[a-z0-9-]+:[0-9]{12}:\/signing-profiles\/[a-zA-Z0-9_]{2,}$": (
        "arn:aws:signer:us-east-1:123456789012:/signing-profiles/ab"
    ),
}
MOMENT = datetime(2026, 3, 4, 5, 6, 7, 250000, tzinfo=UTC)


@pytest.fixture(scope="session")
def example() -> Callable[[Any], Any]:
    return _example


def _example(shape: Any) -> Any:
    """A value with every member set, as short as the model allows."""
    make: dict[str, Callable[[], Any]] = {
        "structure": lambda: _members(shape),
        "list": lambda: [_example(shape.member) for _ in range(shape.metadata.get("min") or 1)],
        "map": lambda: {_example(shape.key): _example(shape.value)},
        "string": lambda: _text(shape),
        "blob": lambda: b"\x00\xffbytes",
        "boolean": lambda: True,
        "timestamp": lambda: MOMENT,
        "integer": lambda: shape.metadata.get("min") or 7,
        "long": lambda: shape.metadata.get("min") or 7,
        "double": lambda: 1.5,
    }
    return make[shape.type_name]()


def _members(shape: Any) -> dict[str, Any]:
    members = list(shape.members.items())[: 1 if shape.is_tagged_union else None]
    return {name: _example(member) for name, member in members}


def _text(shape: Any) -> str:
    if shape.enum:
        return str(shape.enum[-1])
    pattern = shape.metadata.get("pattern", "")
    sample = SAMPLES.get(pattern, "a<&>é" if not pattern else "a")
    return sample.ljust(shape.metadata.get("min") or 0, "a")
