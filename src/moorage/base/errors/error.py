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

    @classmethod
    def code(cls) -> str:
        return cls.__name__ + "Exception"
