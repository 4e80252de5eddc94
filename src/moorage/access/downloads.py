"""Download URLs: a path with a sealed token for one layer, its asker and a time. Usable by curl as it is."""

from __future__ import annotations

import msgspec

from moorage.access.bearers import Bearer, bearer_of, life_of
from moorage.access.call import Call, Services
from moorage.base.addresses import Registry
from moorage.base.clock import SECOND
from moorage.base.digest import Digest
from moorage.base.errors.access import AccessDenied, TokenExpired
from moorage.keys.tokens import TokenRefused

PURPOSE = "download"
PREFIX = "/_layers/"
ACTION = "ecr:GetDownloadUrlForLayer"


class Download(msgspec.Struct, array_like=True):
    bearer: Bearer
    account: str
    region: str
    repository: str
    digest: str
    expires: int
    """Seconds."""

    @property
    def registry(self) -> Registry:
        return Registry(self.account, self.region)


def download_url(call: Call, repository: str, digest: Digest) -> str:
    """Under the host that the caller used: who reaches the API reaches the layer."""
    claims = Download(
        bearer_of(call.principal, call.now),
        call.account,
        call.region,
        repository,
        str(digest),
        life_of(call.principal, call.now, call.limits.download_url_us) // SECOND,
    )
    token = call.services.tokens.seal(PURPOSE, claims)
    return f"{call.services.addresses.base_url(call.host, call.arrival.secure)}{PREFIX}{token}"


def read_download(services: Services, token: str) -> Download:
    """Raise `AccessDenied` for what is no such token, `TokenExpired` for one whose time is over."""
    try:
        download = services.tokens.open(PURPOSE, token, Download)
    except TokenRefused:
        raise AccessDenied(
            "The download URL is not valid; ask GetDownloadUrlForLayer for a new one"
        ) from None
    if download.expires * SECOND <= services.clock():
        raise TokenExpired("The download URL has expired; ask GetDownloadUrlForLayer for a new one")
    return download
