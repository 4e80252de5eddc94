"""Where AWS credentials are, as the SDKs look for them; without an SDK, so that it takes a few milliseconds.

1. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
2. AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN (a pod's service account)
3. the profile AWS_PROFILE, if one of the variables that name it or its files is set
4. the data directory MOORAGE_DATA, if it is set
5. the profile `default`
6. `moorage-data` in the working directory
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

_REGION_IN_HOST = re.compile(
    r"[0-9]{12}\.(?:dkr[.-]ecr(?:-fips)?\.)?(?P<region>[a-z0-9][a-z0-9-]{1,24})\..+", re.IGNORECASE
)
_LOOPBACK = re.compile(r"(?:.+\.)?localhost|127(?:\.[0-9]{1,3}){3}|\[::1\]", re.IGNORECASE)
_DEFAULT_REGION = "us-east-1"
Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WebIdentity:
    token_file: Path
    role_arn: str
    session_name: str


@dataclass(frozen=True, slots=True)
class Source:
    """Who asks for a password, and where."""

    access_key_id: str = ""
    secret: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    web_identity: WebIdentity | None = None
    """Whose token is exchanged for keys first."""
    region: str = ""
    endpoint: str = ""
    sts_endpoint: str = ""
    authority: Path | None = None
    """Certificates to trust besides those of the system."""

    @property
    def identity(self) -> str:
        """Tells sources apart; no secret."""
        if self.web_identity is not None:
            return f"{self.web_identity.role_arn} {self.web_identity.token_file}"
        return self.access_key_id


class UnreadableCredentials(Exception):
    """A file that was asked for cannot be read; says why."""


def find_source(registry: str, environment: Values, home: Path | None, folder: Path) -> Source | None:
    """For a registry's HOST or HOST:PORT. Raise `UnreadableCredentials`."""
    files = _Files.of(environment, home, folder)
    found = next(_found(environment, files), None)
    return None if found is None else _addressed(found, registry, environment, files)


@dataclass(frozen=True, slots=True)
class _Files:
    name: str
    """Of the profile."""
    profile: Values
    endpoints: Values
    """By service, of the profile's `services`."""
    is_named: bool
    data: Path
    is_data_named: bool

    @classmethod
    def of(cls, environment: Values, home: Path | None, folder: Path) -> _Files:
        name = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE") or "default"
        sections = _sections(_file(environment, "AWS_CONFIG_FILE", home, "config"))
        own = sections.get(name if name == "default" else f"profile {name}", {})
        stored = _sections(_file(environment, "AWS_SHARED_CREDENTIALS_FILE", home, "credentials"))
        services = _nested(sections.get(f"services {own.get('services', '')}", {}))
        return cls(
            name=name,
            profile={**own, **stored.get(name, {})},
            endpoints=services,
            is_named=any(
                environment.get(variable)
                for variable in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SHARED_CREDENTIALS_FILE")
            ),
            data=folder / (environment.get("MOORAGE_DATA") or "moorage-data"),
            is_data_named=bool(environment.get("MOORAGE_DATA")),
        )


def _found(environment: Values, files: _Files) -> Iterator[Source]:
    """In order."""
    if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        yield Source(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN", ""),
        )
    if environment.get("AWS_WEB_IDENTITY_TOKEN_FILE") and environment.get("AWS_ROLE_ARN"):
        yield Source(
            web_identity=WebIdentity(
                Path(environment["AWS_WEB_IDENTITY_TOKEN_FILE"]),
                environment["AWS_ROLE_ARN"],
                environment.get("AWS_ROLE_SESSION_NAME") or "docker-credential-moorage",
            )
        )
    profile = list(_of_profile(files.profile))
    if files.is_named:
        yield from profile
    if files.is_data_named:
        yield from _of_data(files.data)
    yield from profile
    yield from _of_data(files.data)


def _of_profile(values: Values) -> Iterator[Source]:
    if values.get("aws_access_key_id") and values.get("aws_secret_access_key"):
        yield Source(
            values["aws_access_key_id"],
            values["aws_secret_access_key"],
            values.get("aws_session_token", ""),
            region=values.get("region", ""),
            endpoint=values.get("endpoint_url", ""),
        )
    elif values.get("web_identity_token_file") and values.get("role_arn"):
        yield Source(
            web_identity=WebIdentity(
                Path(values["web_identity_token_file"]),
                values["role_arn"],
                values.get("role_session_name") or "docker-credential-moorage",
            ),
            region=values.get("region", ""),
            endpoint=values.get("endpoint_url", ""),
        )


def _of_data(data: Path) -> Iterator[Source]:
    """The root credentials of an installation, with its own authority."""
    for source in _of_profile(_sections(data / "credentials").get("default", {})):
        authority = data / "ca" / "ca.pem"
        yield replace(source, authority=authority if authority.exists() else None)


def _addressed(source: Source, registry: str, environment: Values, files: _Files) -> Source:
    """With region, endpoints and authority: the environment wins, the registry itself comes last."""
    in_host = _REGION_IN_HOST.fullmatch(registry)
    own = f"{'http' if is_loopback(registry) else 'https'}://{registry}"
    endpoint = source.endpoint or files.profile.get("endpoint_url") or own
    general = environment.get("AWS_ENDPOINT_URL", "")
    bundle = environment.get("AWS_CA_BUNDLE") or environment.get("SSL_CERT_FILE")
    ca = files.data / "ca" / "ca.pem"
    return replace(
        source,
        region=(in_host["region"].lower() if in_host else "")
        or environment.get("AWS_REGION")
        or environment.get("AWS_DEFAULT_REGION")
        or source.region
        or files.profile.get("region")
        or _DEFAULT_REGION,
        endpoint=environment.get("AWS_ENDPOINT_URL_ECR") or general or files.endpoints.get("ecr") or endpoint,
        sts_endpoint=environment.get("AWS_ENDPOINT_URL_STS")
        or general
        or files.endpoints.get("sts")
        or endpoint,
        authority=Path(bundle) if bundle else source.authority or (ca if ca.exists() else None),
    )


def is_loopback(registry: str) -> bool:
    """Such names are asked without TLS, as clients do."""
    host, colon, port = registry.rpartition(":")
    return _LOOPBACK.fullmatch(host if colon and port.isdecimal() else registry) is not None


def _file(environment: Values, variable: str, home: Path | None, name: str) -> Path | None:
    if environment.get(variable):
        return Path(environment[variable]).expanduser()
    return home / ".aws" / name if home is not None else None


def _sections(file: Path | None) -> dict[str, dict[str, str]]:
    """Nothing of a file that is not there."""
    if file is None:
        return {}
    parser = configparser.RawConfigParser(strict=False, default_section="")
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "not in the form of AWS's files"
        raise UnreadableCredentials(f"{file}: {reason}") from None
    return {name: dict(parser[name]) for name in parser.sections()}


def _nested(section: Values) -> dict[str, str]:
    """`endpoint_url` by service: `ecr =` and, indented, `endpoint_url = …`."""
    found = {}
    for service, text in section.items():
        for line in text.splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "endpoint_url":
                found[service] = value.strip()
    return found
