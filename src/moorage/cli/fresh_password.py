"""A registry password, asked for with whatever credentials were found."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from urllib.parse import urlencode

from moorage.cli.aws_credentials import Source, WebIdentity
from moorage.cli.ecr import Password, call, get_password
from moorage.cli.output import Failed
from moorage.cli.profile import Profile

_ELEMENT = r"<{0}>(?P<text>[^<]+)</{0}>"
_TOKEN_BYTES_MAX = 65_536


def fresh_password(source: Source) -> Password:
    """Raise `Unreachable`, or `Failed` with the server's words."""
    if source.web_identity is not None:
        source = _assume(source, source.web_identity)
    return get_password(_profile(source, source.endpoint))


def _profile(source: Source, endpoint: str) -> Profile:
    return Profile(
        source.access_key_id,
        source.secret,
        source.region,
        endpoint,
        authority=source.authority if endpoint.startswith("https:") else None,
        session_token=source.session_token,
    )


def _assume(source: Source, identity: WebIdentity) -> Source:
    """AssumeRoleWithWebIdentity: the token is the credential, so nothing is signed."""
    try:
        with identity.token_file.open(encoding="ascii") as file:
            token = file.read(_TOKEN_BYTES_MAX).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a token"
        raise Failed(f"{identity.token_file}: {reason}") from None
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": identity.role_arn,
        "RoleSessionName": identity.session_name,
        "WebIdentityToken": token,
    }
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = call(_profile(source, source.sts_endpoint), "POST", "/", headers, urlencode(form).encode())
    text = answer.body.decode(errors="replace")
    if answer.status != 200:
        raise Failed(f"{source.sts_endpoint} refused {identity.role_arn}: {_element(text, 'Message')}")
    return replace(
        source,
        access_key_id=_element(text, "AccessKeyId"),
        secret=_element(text, "SecretAccessKey"),
        session_token=_element(text, "SessionToken"),
    )


def _element(text: str, name: str) -> str:
    """Of an answer without nesting of equal names: STS's."""
    found = re.search(_ELEMENT.format(name), text)
    return html.unescape(found["text"]) if found else ""
