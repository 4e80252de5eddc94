"""The AWS door of a real server: boto3 clients whose every answer is held against the service model, and raw calls.

Each test has a region of its own, which is an empty registry of the same account.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import hmac
import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import boto3
import pytest
from botocore.config import Config

from ...conftest import knowing_all_services

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
TARGET = "AmazonEC2ContainerRegistry_V20150921"

# Lists that callers index without asking (ECR API reference: null lists are absent keys for boto3).
ALWAYS_THERE = {
    "BatchCheckLayerAvailability": ("layers", "failures"),
    "BatchDeleteImage": ("imageIds", "failures"),
    "BatchGetImage": ("images", "failures"),
    "BatchGetRepositoryScanningConfiguration": ("scanningConfigurations", "failures"),
    "ExplainLifecyclePolicy": ("explanations", "summary"),
    "GetLifecyclePolicyRun": ("status",),
    "ListDeletedImages": ("deletedImages",),
    "ListImageUses": ("imageUses",),
    "RestoreDeletedImages": ("restoredImages", "failures"),
    "DescribeImageSigningStatus": ("signingStatuses",),
    "DescribeImageReplicationStatus": ("repositoryName", "imageId", "replicationStatuses"),
    "DescribeImages": ("imageDetails",),
    "DescribePullThroughCacheRules": ("pullThroughCacheRules",),
    "DescribeRegistry": ("registryId", "replicationConfiguration"),
    "DescribeReplicationBackfillResults": ("status", "destination", "results"),
    "DescribeRepositories": ("repositories",),
    "DescribeRepositoryCreationTemplates": ("registryId", "repositoryCreationTemplates"),
    "GetAuthorizationToken": ("authorizationData",),
    "GetDownloadUrlForLayer": ("downloadUrl", "layerDigest"),
    "ListImageReferrers": ("referrers",),
    "ListImages": ("imageIds",),
    "ListPullTimeUpdateExclusions": ("pullTimeUpdateExclusions",),
    "ListSecrets": ("SecretList",),
    "ListReplicationBackfills": ("backfills",),
    "ListTagsForResource": ("tags",),
}
COMMON_ERRORS = {
    "AccessDeniedException",
    "InvalidSignatureException",
    "SerializationException",
    "UnrecognizedClientException",
    "UnsupportedOperationException",
}
COMMON_QUERY_ERRORS = {
    "AccessDenied",
    "InvalidClientTokenId",
    "InvalidParameterValue",
    "MalformedInput",
    "SignatureDoesNotMatch",
    "UnsupportedOperation",
    "ValidationError",
}
# What AWS's model does not declare: the first is an old error of AWS, the second our own (docs/differences.md).
UNDECLARED = {"GetAccessKeyLastUsed": {"NoSuchEntity"}, "DeleteAccessKey": {"InvalidInput"}}


def sha256(content: bytes | str) -> str:
    return "sha256:" + hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def descriptor(digest: str, size: int, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}


@dataclass(frozen=True)
class Key:
    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of an error; the header says the same as the body, and both spellings of the text are there."""
        body = self.json
        assert self.headers["x-amzn-errortype"] == body["__type"]
        assert body["message"] == body["Message"]
        return str(body["__type"])

    @property
    def text(self) -> str:
        return str(self.json["message"])


@dataclass(frozen=True)
class Signing:
    """A request and how it is signed; `replace` breaks one thing. Written from AWS's description."""

    key: Key
    host: str
    at: datetime
    region: str = "us-east-1"
    service: str = "ecr"
    method: str = "POST"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    algorithm: str = "AWS4-HMAC-SHA256"
    terminator: str = "aws4_request"
    scope_date: str = ""
    payload: str = ""
    """What is signed in place of the body's hash."""
    unsigned: frozenset[str] = frozenset()

    @property
    def date(self) -> str:
        return self.at.strftime("%Y%m%dT%H%M%SZ")

    @property
    def scope(self) -> str:
        return "/".join((self.scope_date or self.date[:8], self.region, self.service, self.terminator))

    def signed(self) -> list[tuple[str, str]]:
        """All headers, `Authorization` last."""
        headers = [("host", self.host), ("x-amz-date", self.date), *self.headers]
        names, signature = self._signature(headers, self.query)
        value = f"{self.algorithm} Credential={self.key.id}/{self.scope}, SignedHeaders={names}, Signature={signature}"
        return [*headers, ("authorization", value)]

    def presigned(self, expires: int = 60, **others: str) -> str:
        """The query string of the presigned form."""
        headers = [("host", self.host), *self.headers]
        names = ";".join(sorted({name for name, _ in headers} - self.unsigned))
        added = {
            "X-Amz-Algorithm": self.algorithm,
            "X-Amz-Credential": f"{self.key.id}/{self.scope}",
            "X-Amz-Date": self.date,
            "X-Amz-Expires": str(expires),
            "X-Amz-SignedHeaders": names,
            **others,
        }
        pairs = [part for part in self.query.split("&") if part]
        pairs += [f"{name}={quote(value, safe='-_.~')}" for name, value in added.items()]
        query = "&".join(pairs)
        return f"{query}&X-Amz-Signature={self._signature(headers, query)[1]}"

    def _signature(self, headers: list[tuple[str, str]], query: str) -> tuple[str, str]:
        names = sorted({name for name, _ in headers} - self.unsigned)
        lines = "".join(f"{name}:{','.join(v.strip() for n, v in headers if n == name)}\n" for name in names)
        payload = self.payload or hashlib.sha256(self.body).hexdigest()
        signed = ";".join(names)
        canonical = "\n".join(
            (self.method, "/", "&".join(sorted(filter(None, query.split("&")))), lines, signed, payload)
        )
        text = (
            f"{self.algorithm}\n{self.date}\n{self.scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        )
        key = b"AWS4" + self.key.secret.encode()
        for part in self.scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return signed, hmac.digest(key, text.encode(), "sha256").hex()


@dataclass(frozen=True)
class Image:
    manifest: str
    digest: str
    tag: str | None = None


@dataclass(frozen=True)
class Api:
    """One caller in one region."""

    host: str
    key: Key
    account: str
    region: str
    clients: Callable[[Key, str, str], Any]
    data: Path

    def client(self, service: str) -> Any:
        return self.clients(self.key, self.region, service)

    @property
    def ecr(self) -> Any:
        return self.client("ecr")

    @property
    def iam(self) -> Any:
        return self.client("iam")

    @property
    def moorage(self) -> Any:
        """Our own operations."""
        return self.client("moorage")

    @property
    def registry_host(self) -> str:
        """What the registry of this region is called."""
        return f"{self.account}.dkr.ecr.{self.region}.amazonaws.com"

    def in_region(self, region: str) -> Api:
        return replace(self, region=region)

    # Content

    def repository(self, name: str = "app", **options: Any) -> str:
        self.ecr.create_repository(repositoryName=name, **options)
        return name

    def layer(self, repository: str, content: bytes = b"{}") -> str:
        """Upload it; its digest."""
        digest = sha256(content)
        upload = self.ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
        place = {"repositoryName": repository, "uploadId": upload}
        self.ecr.upload_layer_part(
            **place, partFirstByte=0, partLastByte=len(content) - 1, layerPartBlob=content
        )
        done = self.ecr.complete_layer_upload(**place, layerDigests=[digest])
        assert done["layerDigest"] == digest
        return digest

    @staticmethod
    def manifest(note: object = "", layers: Mapping[str, int] | None = None, **members: Any) -> str:
        """An image of the config `{}`; `layers` are digests and sizes."""
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(sha256(b"{}"), 2, CONFIG_TYPE),
            "layers": [descriptor(digest, size, LAYER_TYPE) for digest, size in (layers or {}).items()],
            "annotations": {"note": str(note)},
        }
        return json.dumps(document | members)

    @staticmethod
    def index(*children: Image, note: object = "", **members: Any) -> str:
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [descriptor(child.digest, len(child.manifest), OCI_MANIFEST) for child in children],
            "annotations": {"note": str(note)},
        }
        return json.dumps(document | members)

    def image(self, repository: str, tag: str | None = None, note: object = "", **members: Any) -> Image:
        """Push an image; `note` makes it another one. The config, `{}`, must be there."""
        return self.push(repository, self.manifest(note, **members), tag)

    def push(self, repository: str, manifest: str, tag: str | None = None) -> Image:
        options = {"imageTag": tag} if tag else {}
        put = self.ecr.put_image(repositoryName=repository, imageManifest=manifest, **options)
        return Image(manifest, put["image"]["imageId"]["imageDigest"], tag)

    def image_ids(self, repository: str, **options: Any) -> set[tuple[str, str | None]]:
        found = self.ecr.list_images(repositoryName=repository, **options)["imageIds"]
        return {(each["imageDigest"], each.get("imageTag")) for each in found}

    # Raw

    def signing(self, operation: str | None = None, body: bytes | object = b"", **others: Any) -> Signing:
        """A request of this caller, not signed yet."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers: tuple[tuple[str, str], ...] = ()
        if operation is not None:
            target = operation if "." in operation else f"{TARGET}.{operation}"
            headers = (("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target))
        values = {"region": self.region, "body": content, "headers": headers, **others}
        return Signing(self.key, self.host, datetime.now(UTC), **values)

    def call(self, operation: str, body: bytes | object = b"{}", **others: Any) -> Answer:
        """Sign and send what boto3 would not."""
        return self.send(self.signing(operation, body, **others))

    def send(self, signing: Signing) -> Answer:
        target = f"/?{signing.query}" if signing.query else "/"
        return self.exchange(signing.method, target, signing.signed(), signing.body)

    def exchange(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes | None = None
    ) -> Answer:
        """Exactly those headers, with the body's length."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value.encode("latin-1"))
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, received, response.read())
        finally:
            connection.close()

    # The registry's door

    def password(self) -> str:
        token = self.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        user, _, password = base64.b64decode(token).decode().partition(":")
        assert user == "AWS"
        return password

    def v2(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        host: str | None = None,
        password: str | None = None,
        **headers: str,
    ) -> Answer:
        """A registry request to the registry of this region, with a password of this caller."""
        value = base64.b64encode(f"AWS:{password or self.password()}".encode()).decode()
        sent = [("host", host or self.registry_host), ("authorization", f"Basic {value}")]
        sent += [(name.replace("_", "-"), text) for name, text in headers.items()]
        return self.exchange(method, path, sent, body)


# What a service model says of a value


def check_shape(shape: Any, value: Any, path: str) -> None:
    """Every key known, every type right, what is required there. Values are as on the wire."""
    assert value is not None, f"{path} is null"
    if shape.type_name == "structure":
        assert isinstance(value, dict), path
        unknown = value.keys() - shape.members.keys()
        assert not unknown, f"{path}: the model has no {sorted(unknown)}"
        lacking = [name for name in shape.required_members if name not in value]
        assert not lacking, f"{path} lacks {lacking}"
        for name, member in value.items():
            check_shape(shape.members[name], member, f"{path}.{name}")
    elif shape.type_name == "list":
        assert isinstance(value, list), path
        for n, item in enumerate(value):
            check_shape(shape.member, item, f"{path}[{n}]")
    elif shape.type_name == "map":
        assert isinstance(value, dict), path
        for key, item in value.items():
            check_shape(shape.value, item, f"{path}[{key}]")
    else:
        kinds = {"boolean": bool, "integer": int, "long": int, "timestamp": float, "double": float}
        assert type(value) is kinds.get(shape.type_name, str), f"{path} is {value!r}"
        if getattr(shape, "enum", None):
            assert value in shape.enum, f"{path} is {value!r}"


def check_answer(operation_model: Any, response_dict: Mapping[str, Any], **_: Any) -> None:
    """boto3's `before-parse`: raises inside of the call."""
    protocol = operation_model.service_model.metadata["protocol"]
    if protocol == "query":
        check_xml_answer(operation_model, response_dict)
    if protocol != "json":
        return
    status, name = response_dict["status_code"], operation_model.name
    body = json.loads(response_dict["body"])
    headers = {key.lower(): value for key, value in response_dict["headers"].items()}
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert headers["x-amzn-requestid"]
    assert headers["date"]
    if status == 200:
        check_shape(operation_model.output_shape, body, name)
        lacking = [key for key in ALWAYS_THERE.get(name, ()) if key not in body]
        assert not lacking, f"{name} lacks {lacking}"
        return
    assert status == 400, body
    assert body["__type"] == headers["x-amzn-errortype"]
    declared = {shape.name for shape in operation_model.error_shapes} | COMMON_ERRORS
    assert body["__type"] in declared, f"{name} does not declare {body['__type']}"


def check_xml_answer(operation_model: Any, response_dict: Mapping[str, Any]) -> None:
    """The same for IAM and STS."""
    name, namespace = operation_model.name, operation_model.service_model.metadata["xmlNamespace"]
    headers = {key.lower(): value for key, value in response_dict["headers"].items()}
    assert headers["content-type"] == "text/xml"
    root = ElementTree.fromstring(response_dict["body"])
    for element in root.iter():
        assert element.tag.startswith(f"{{{namespace}}}"), element.tag
        element.tag = element.tag.removeprefix(f"{{{namespace}}}")
    if response_dict["status_code"] == 200:
        assert [element.tag for element in root] == [f"{name}Result", "ResponseMetadata"]
        assert root.findtext("ResponseMetadata/RequestId") == headers["x-amzn-requestid"]
        if operation_model.output_shape is None:
            assert len(root[0]) == 0, f"{name} answers nothing"
            return
        check_shape(operation_model.output_shape, value_of(root[0], operation_model.output_shape, name), name)
        return
    assert root.tag == "ErrorResponse"
    assert root.findtext("RequestId") == headers["x-amzn-requestid"]
    assert root.findtext("Error/Type") in ("Sender", "Receiver")
    codes = {
        shape.metadata.get("error", {}).get("code", shape.name) for shape in operation_model.error_shapes
    }
    code = root.findtext("Error/Code")
    assert code in codes | COMMON_QUERY_ERRORS | UNDECLARED.get(name, set()), (
        f"{name} does not declare {code}"
    )


def value_of(element: Any, shape: Any, path: str) -> Any:
    """An XML element as the JSON it would be, by its shape."""
    kind, text = shape.type_name, element.text or ""
    if kind == "structure":
        assert len({child.tag for child in element}) == len(element), f"{path} has a member twice"
        unknown = [child.tag for child in element if child.tag not in shape.members]
        assert not unknown, f"{path}: the model has no {unknown}"
        return {
            child.tag: value_of(child, shape.members[child.tag], f"{path}.{child.tag}") for child in element
        }
    if kind == "list":
        assert {child.tag for child in element} <= {"member"}, path
        return [value_of(child, shape.member, f"{path}[{n}]") for n, child in enumerate(element)]
    if kind == "map":
        assert {child.tag for child in element} <= {"entry"}, path
        return {
            entry.findtext("key"): value_of(entry.find("value"), shape.value, f"{path}.value")
            for entry in element
        }
    assert len(element) == 0, f"{path} is a {kind}"
    if kind == "boolean":
        return {"true": True, "false": False}[text]
    if kind in ("integer", "long"):
        return int(text)
    if kind == "timestamp":
        assert text.endswith("Z"), f"{path} is {text}"
        return datetime.fromisoformat(text).timestamp()
    return text


# Fixtures


def clients_of(server: Any) -> Callable[[Key, str, str], Any]:
    """Makers of boto3 clients, without retries; a client is kept for the session."""
    session = boto3.Session(botocore_session=knowing_all_services())
    made: dict[tuple[str, str, str], Any] = {}

    def client(key: Key, region: str, service: str) -> Any:
        names = (key.id, region, service)
        if names not in made:
            made[names] = session.client(
                service,
                region_name=region,
                endpoint_url=server.endpoint,
                aws_access_key_id=key.id,
                aws_secret_access_key=key.secret,
                config=Config(retries={"total_max_attempts": 1}, read_timeout=30),
            )
            made[names].meta.events.register("before-parse", check_answer)
        return made[names]

    return client


@pytest.fixture(scope="session")
def clients(server: Any) -> Callable[[Key, str, str], Any]:
    return clients_of(server)


@pytest.fixture(scope="session")
def root(server: Any, clients: Any) -> Api:
    """The default account in the default region."""
    return root_of(server, clients)


@pytest.fixture(scope="session")
def stranger(server: Any, clients: Any, root: Api) -> Api:
    """The root of another account, created beside the running server."""
    program = Path(sys.executable).with_name("moorage")
    command = [program, "account", "create", "--data", server.data, "--json"]
    created = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return _api(server, clients, Path(created["credentials"]), "us-east-1")


@pytest.fixture(scope="session")
def regions() -> Iterator[str]:
    return (f"home-{n}" for n in count(1))


@pytest.fixture
def api(root: Api, regions: Iterator[str]) -> Api:
    """The default account in a region that no other test has: an empty registry."""
    return root.in_region(next(regions))


@pytest.fixture
def app(api: Api) -> str:
    """A repository with the layer `{}`, which is every image's config."""
    name = api.repository("team/app")
    api.layer(name)
    return name


def root_of(server: Any, clients: Any) -> Api:
    return _api(server, clients, server.data / "credentials", "us-east-1")


def _api(server: Any, clients: Any, credentials: Path, region: str) -> Api:
    profile = configparser.ConfigParser()
    profile.read(credentials)
    section = profile[profile.sections()[0]]
    key = Key(section["aws_access_key_id"], section["aws_secret_access_key"])
    account = clients(key, region, "sts").get_caller_identity()["Account"]
    return Api(server.host, key, account, region, clients, server.data)
