"""`traceparent`, the header of W3C Trace Context: which span of whose trace a request belongs to. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Version 00 is all of it. A later version may go on after a dash; what follows is not for us (section 3.2.2).
_HEADER = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_LONGEST = 512
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class TraceParent:
    trace: int
    span: int
    is_sampled: bool

    @classmethod
    def parse(cls, header: str) -> TraceParent | None:
        """None for what is not valid: a trace of our own is begun then, nobody is refused anything."""
        match = _HEADER.fullmatch(header) if len(header) <= _LONGEST else None
        if match is None or match["version"] == "ff" or (match["version"] == "00" and match["more"]):
            return None
        trace, span = int(match["trace"], 16), int(match["span"], 16)
        if not trace or not span:
            return None
        return cls(trace, span, bool(int(match["flags"], 16) & _SAMPLED))

    def __str__(self) -> str:
        return f"00-{self.trace:032x}-{self.span:016x}-{int(self.is_sampled):02x}"
