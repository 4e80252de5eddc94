from __future__ import annotations

import pytest

from moorage.access.grants import account_of


@pytest.mark.parametrize(
    ("arn", "account"),
    [
        ("arn:aws:ecr:us-east-1:123456789012:repository/a:b", "123456789012"),
        ("arn:aws:iam::123456789012:role/deploy", "123456789012"),
        ("arn:aws:iam::aws:policy/ReadOnlyAccess", ""),
        ("*", ""),
    ],
)
def test_the_account_of_a_resource_is_in_its_arn_if_anywhere(arn: str, account: str) -> None:
    assert account_of(arn) == account
