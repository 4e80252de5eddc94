"""Other installations, which images are sent to and pulled from."""

from __future__ import annotations

from moorage.base.errors.error import MoorageError


class PeerFailed(MoorageError):
    """Another installation did not answer as it should; callers of the API never meet this."""

    template = "The peer {peer} {reason}"
