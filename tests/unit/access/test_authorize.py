from __future__ import annotations

import pytest

from moorage.access.authorize import allows, authorize, decide
from moorage.access.principals import root_of
from moorage.base.errors import AccessDenied

from ..registry.memory import call_of, in_memory
from ..registry.registry import ACCOUNT, MemoryRegistry

OWN = f"arn:aws:ecr:home-1:{ACCOUNT}:repository/app"


@pytest.mark.parametrize(
    ("resource", "may"),
    [
        (OWN, True),
        ("*", True),
        (f"arn:aws:ecr:home-1:{ACCOUNT}:repository/a:b", True),
        ("arn:aws:ecr:home-1:210987654321:repository/app", False),
        (f"arn:aws:ecr:home-1:210987654321:repository/{ACCOUNT}", False),
        (f"arn:aws:ecr:{ACCOUNT}:210987654321:repository/app", False),
        (f"arn:aws:ecr:home-1:{ACCOUNT}", False),
        ("arn:aws:ecr:home-1::repository/app", False),
        (ACCOUNT, False),
        ("", False),
        ("**", False),
    ],
)
def test_decide_lets_root_do_all_in_the_own_account_and_nothing_else(resource: str, may: bool) -> None:
    assert decide(root_of(ACCOUNT, "AKIA"), "ecr:PutImage", resource) is may


@in_memory
async def test_authorize_says_who_may_not_do_what_to_which(registry: MemoryRegistry) -> None:
    call = call_of(registry, "210987654321")
    with pytest.raises(AccessDenied) as raised:
        authorize(call, "ecr:PutImage", OWN)

    assert str(raised.value) == (
        f"User: arn:aws:iam::210987654321:root is not authorized to perform: ecr:PutImage on resource: {OWN} because "
        "no resource-based policy allows the ecr:PutImage action"
    )
    assert not allows(call, "ecr:PutImage", OWN)
    assert allows(registry.call, "ecr:PutImage", OWN)
