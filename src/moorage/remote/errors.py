"""Why nothing came back from a server of others. Who asked tells it in words of its own."""

from __future__ import annotations


class RemoteError(Exception):
    """Either of the two below; the text is fit for a log and for whoever configured the address."""


class RemoteRefused(RemoteError):
    """We do not go there: the URL, or the address that its name has."""


class RemoteFailed(RemoteError):
    """We went there, and it did not answer as it should, or not in time."""
