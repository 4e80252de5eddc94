"""What all errors share."""

from __future__ import annotations

from typing import ClassVar


class MoorageError(Exception):
    """`facts` fill `template`; `members` are the facts that travel as members of the error body of their own."""

    template: ClassVar[str] = ""
    status: ClassVar[int] = 400
    members: ClassVar[tuple[str, ...]] = ()

    def __init__(self, message: str | None = None, /, **facts: object) -> None:
        self.facts = facts
        super().__init__(message if message is not None else self.template.format(**facts))

    @property
    def quota_header(self) -> list[tuple[bytes, bytes]]:
        """Which quota was exceeded, for programs; nothing for other errors."""
        quota = self.facts.get("quota")
        return [(b"x-moorage-quota", str(quota).encode())] if quota else []

    @classmethod
    def code(cls) -> str:
        return cls.__name__ + "Exception"
