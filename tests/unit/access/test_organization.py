from __future__ import annotations

from pathlib import Path

import pytest

from moorage.access.organization import Organization
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings
from moorage.server.app import read_organization

ALLOW = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'
DENY = '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"ecr:Delete*","Resource":"*"}}'
DENY_CALLED = DENY.replace('"Action"', '"Principal":"*","Action"')
ACCOUNT, OTHER = "123456789012", "210987654321"


def read(folder: Path, text: str) -> Organization:
    for name, document in (("allow", ALLOW), ("deny", DENY), ("called", DENY_CALLED), ("broken", "{")):
        (folder / f"{name}.json").write_text(document)
    file = folder / "moorage.toml"
    file.write_text(text)
    return read_organization(Settings.load({}, {}, file))


def test_levels_hold_for_the_accounts_that_they_name(tmp_path: Path) -> None:
    organization = read(
        tmp_path,
        f"""
        [organization]
        id = "o-0123456789"
        [[control_policies]]
        kind = "scp"
        accounts = ["*"]
        files = ["allow.json"]
        [[control_policies]]
        kind = "scp"
        accounts = ["{ACCOUNT}"]
        files = ["allow.json", "deny.json"]
        [[control_policies]]
        kind = "rcp"
        accounts = ["{OTHER}"]
        files = ["called.json"]
        """,
    )

    assert organization.id == "o-0123456789"
    assert [[policy.source for policy in level] for level in organization.scps_of(ACCOUNT)] == [
        ["allow"],
        ["allow", "deny"],
    ]
    assert len(organization.scps_of(OTHER)) == 1
    assert organization.rcps_of(ACCOUNT) == ()
    assert organization.rcps_of(OTHER)[0][0].source == "called"


def test_without_tables_nothing_limits(tmp_path: Path) -> None:
    organization = read(tmp_path, "")

    assert (organization.id, organization.scps_of(ACCOUNT), organization.rcps_of(ACCOUNT)) == ("", (), ())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('organization = "o-1"', "organization has to be a table"),
        ('[organization]\nid = "x-1"', "id is 'x-1'"),
        ('[[control_policies]]\nkind = "acl"', "kind is 'acl': scp or rcp"),
        (
            '[[control_policies]]\nkind = "scp"\naccounts = ["12"]\nfiles = ["allow.json"]',
            "accounts has '12'",
        ),
        ('[[control_policies]]\nkind = "scp"\naccounts = ["*"]\nfiles = []', r"files is \[\]"),
        (
            '[[control_policies]]\nkind = "scp"\naccounts = ["*"]\nfiles = ["gone.json"]',
            "gone.json: No such file",
        ),
        (
            '[[control_policies]]\nkind = "scp"\naccounts = ["*"]\nfiles = ["broken.json"]',
            "broken.json: Syntax errors",
        ),
        (
            '[[control_policies]]\nkind = "scp"\naccounts = ["*"]\nfiles = ["deny.json"]',
            r"a level of scp allows nothing \(.*deny.json\)",
        ),
        (
            '[[control_policies]]\nkind = "rcp"\naccounts = ["*"]\nfiles = ["deny.json"]',
            r'deny.json: Principal must be "\*"',
        ),
        ('[[control_policies]]\nkind = "scp"\ncolour = 1', "there is no setting called colour"),
    ],
)
def test_what_is_wrong_is_named_with_its_table_or_file(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(InvalidSettings, match=reason):
        read(tmp_path, text)
