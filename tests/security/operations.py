"""Every operation of every service and every route of the registry, with the least that a valid request of it has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from moorage.aws.operation import OPERATIONS
from moorage.aws.shapes import SERVICES, load
from moorage.server.app import load_operations

from .calling import REGION, model_of

load_operations()

ABSENT = "absent/matrix"
DIGEST = "sha256:" + "0" * 64
UPLOAD = "11111111-2222-4333-8444-555555555555"
DOCUMENT = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*"}]}'

# By the name of the member, in lower case; what is not here is made from its pattern and length.
VALUES: dict[str, Any] = {
    "accesskeyid": "AKIA" + "B" * 16,
    "assumerolepolicydocument": DOCUMENT.replace('"Resource":"*"', '"Principal":{"AWS":"*"}').replace(
        "ecr:*", "sts:AssumeRole"
    ),
    "authorizationencodedmessage": "x" * 20,
    "awsservicename": "replication.ecr.amazonaws.com",
    "deletiontaskid": "task/aws-service-role/replication.ecr.amazonaws.com/x/" + UPLOAD,
    "imagedigest": DIGEST,
    "layerdigest": DIGEST,
    "layerdigests": [DIGEST],
    "openidconnectproviderarn": "arn:aws:iam::{account}:oidc-provider/id.example.com",
    "entitypath": "o-aaaaaaaaaaaa/r-aaaa",
    "jobid": UPLOAD,
    "lifecyclepolicytext": f"{DOCUMENT:<100}",
    "signingalgorithm": "RS256",
    "partfirstbyte": 0,
    "partlastbyte": 1,
    "permissionsboundary": "arn:aws:iam::{account}:policy/absent",
    "policyarn": "arn:aws:iam::{account}:policy/absent",
    "policydocument": DOCUMENT,
    "policyinputlist": [DOCUMENT],
    "policysourcearn": "arn:aws:iam::{account}:user/absent",
    "policytext": DOCUMENT,
    "primaryregion": "eu-west-1",
    "principalarn": "arn:aws:iam::{account}:role/absent",
    "registryid": "{account}",
    "replicaregion": "eu-west-1",
    "repositoryname": ABSENT,
    "samlmetadatadocument": "x" * 1_000,
    "signingprofilearn": f"arn:aws:signer:{REGION}:{{account}}:/signing-profiles/absent",
    "resourcearn": f"arn:aws:ecr:{REGION}:{{account}}:repository/{ABSENT}",
    "resourceid": ["vpce-" + "0" * 17],
    "resources": ["vpce-" + "0" * 17],
    "rolearn": "arn:aws:iam::{account}:role/absent",
    "serialnumber": "arn:aws:iam::{account}:mfa/absent",
    "servicename": f"com.amazonaws.{REGION}.ecr.api",
    "uploadid": UPLOAD,
    "url": "https://id.example.com",
    "versionid": "v1",
    "vpcendpointid": "vpce-" + "0" * 17,
    "vpcendpointids": ["vpce-" + "0" * 17],
    "vpcid": "vpc-1",
    "webidentitytoken": "a.b.c",
}
TRIES = ["matrix-absent", "matrix", "10", "2", UPLOAD, "Z" * 32, "a" * 40, "a" * 64, "123456", DOCUMENT]


@dataclass(frozen=True)
class Named:
    """An operation, `ecr` `PutImage`."""

    service: str
    name: str

    def __str__(self) -> str:
        return f"{self.service}.{self.name}"

    @property
    def is_built(self) -> bool:
        return (self.service, self.name) in OPERATIONS

    @property
    def action(self) -> str:
        """What Amazon's service authorization reference calls the permission."""
        return OTHER_ACTIONS.get(str(self), f"{self.service}:{self.name}")

    @property
    def members(self) -> frozenset[str]:
        shape = model_of(self.service).operation_model(self.name).input_shape
        return frozenset(shape.members if shape is not None else ())

    def request(self, account: str, **others: Any) -> dict[str, Any]:
        return _made(self.service, self.name, account) | others


# ListImageReferrers has no action of its own: who may get the images may ask what refers to them.
OTHER_ACTIONS = {"ecr.ListImageReferrers": "ecr:BatchGetImage"}

KNOWN = [Named(service, name) for service in SERVICES for name in load(service).OPERATIONS]
BUILT = [named for named in KNOWN if named.is_built]

# They need no permission, or the trust policy of a role decides.
UNSIGNED = {"sts.AssumeRoleWithSAML", "sts.AssumeRoleWithWebIdentity"}
FREE = {"sts.GetCallerIdentity", "sts.GetSessionToken"}
TRUST = {"sts.AssumeRole"}


@cache
def _made(service: str, name: str, account: str) -> dict[str, Any]:
    shape = model_of(service).operation_model(name).input_shape
    if shape is None:
        return {}
    return {member: _value(shape.members[member], member, account) for member in shape.required_members}


def _value(shape: Any, name: str, account: str) -> Any:
    if shape.type_name == "string" and getattr(shape, "enum", None):
        return str(shape.enum[0])
    given = VALUES.get(name.lower())
    if isinstance(given, str):
        return given.replace("{account}", account)
    if given is not None:
        return given
    match shape.type_name:
        case "structure":
            needed = shape.required_members or list(shape.members)[:1]  # without any it would not be sent
            return {member: _value(shape.members[member], member, account) for member in needed}
        case "list":
            least = max(1, shape.metadata.get("min", 1))
            return [_value(shape.member, name.removesuffix("s"), account)] * least
        case "map":
            return {_value(shape.key, "key", account): _value(shape.value, "value", account)}
        case "boolean":
            return False
        case "blob":
            return b"{}"
        case "timestamp":
            return 0
        case "integer" | "long" | "double" | "float":
            return max(1, shape.metadata.get("min", 1))
    return _text(shape, name)


def _text(shape: Any, name: str) -> str:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 1 << 20)
    pattern = str(shape.metadata.get("pattern", "")).replace("\\p{L}\\p{Z}\\p{N}", "\\w ")
    for text in TRIES:
        if least <= len(text) <= most and (not pattern or re.fullmatch(pattern, text)):
            return text
    raise AssertionError(f"no value for {name}: {pattern} {least}..{most}")


# The registry's HTTP API (OCI distribution): method, path, what it needs


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    actions: tuple[str, ...]
    body: bytes | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path.partition('?')[0]}"


def routes(repository: str, upload: str = UPLOAD) -> list[Asked]:
    base = f"/v2/{repository}"
    manifest = b'{"schemaVersion":2}'
    return [
        Asked("GET", "/v2/", ()),
        Asked("GET", "/v2/_oci/ext/discover", ()),
        Asked("GET", "/v2/_catalog", ("ecr:DescribeRepositories",)),
        Asked("GET", f"{base}/tags/list", ("ecr:ListImages",)),
        Asked("GET", f"{base}/referrers/{DIGEST}", ("ecr:BatchGetImage",)),
        Asked("GET", f"{base}/manifests/latest", ("ecr:BatchGetImage",)),
        Asked("HEAD", f"{base}/manifests/latest", ("ecr:BatchGetImage",)),
        Asked("PUT", f"{base}/manifests/latest", ("ecr:PutImage",), manifest),
        Asked("DELETE", f"{base}/manifests/{DIGEST}", ("ecr:BatchDeleteImage",)),
        Asked("GET", f"{base}/blobs/{DIGEST}", ("ecr:GetDownloadUrlForLayer",)),
        Asked("HEAD", f"{base}/blobs/{DIGEST}", ("ecr:BatchCheckLayerAvailability",)),
        Asked("DELETE", f"{base}/blobs/{DIGEST}", ("ecr:BatchDeleteImage",)),
        Asked("POST", f"{base}/blobs/uploads/", ("ecr:InitiateLayerUpload",), b""),
        Asked("GET", f"{base}/blobs/uploads/{upload}", ("ecr:UploadLayerPart",)),
        Asked("PATCH", f"{base}/blobs/uploads/{upload}", ("ecr:UploadLayerPart",), b"x"),
        Asked("PUT", f"{base}/blobs/uploads/{upload}?digest={DIGEST}", ("ecr:CompleteLayerUpload",), b""),
        Asked("DELETE", f"{base}/blobs/uploads/{upload}", ("ecr:UploadLayerPart",)),
    ]
