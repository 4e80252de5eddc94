"""Amazon resource names of what Moorage holds."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.base.errors.requests import InvalidParameter
from moorage.base.names import is_account_id, is_region


@dataclass(frozen=True, slots=True)
class RepositoryArn:
    account: str
    region: str
    name: str

    @classmethod
    def parse(cls, text: str) -> RepositoryArn:
        """`arn:aws:ecr:REGION:ACCOUNT:repository/NAME`, any partition; raise `InvalidParameter` otherwise."""
        parts = text.split(":", 5)
        is_repository = (
            len(parts) == 6 and parts[0] == "arn" and parts[2] == "ecr" and parts[5].startswith("repository/")
        )
        if not (is_repository and is_region(parts[3]) and is_account_id(parts[4])):
            raise InvalidParameter(at="resourceArn", constraint="Invalid ARN")
        return cls(account=parts[4], region=parts[3], name=parts[5].removeprefix("repository/"))

    def __str__(self) -> str:
        return f"arn:aws:ecr:{self.region}:{self.account}:repository/{self.name}"
