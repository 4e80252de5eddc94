from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moorage.access.endpoints.configured import read_endpoints
from moorage.access.endpoints.names import id_of_name, is_endpoint_id
from moorage.access.endpoints.table import EndpointMisconfigured, EndpointTable, tables_in
from moorage.config.invalid import InvalidSettings
from moorage.config.settings import Settings

LAN: dict[str, Any] = {"name": "lan", "listener": "lan", "services": ["ecr.api"], "network": "vpc-lan"}


def read(*tables: Any) -> tuple[EndpointTable, ...]:
    return tables_in(list(tables), {"lan"})


def test_a_table_is_read_and_its_id_is_the_same_after_every_start() -> None:
    (table,) = read(LAN | {"services": ["ecr.api", "sts", "sts"]})

    assert table == EndpointTable(
        name="lan", listener="lan", services=("ecr.api", "sts"), network="vpc-lan", id=id_of_name("lan")
    )
    assert is_endpoint_id(table.id)
    assert id_of_name("lan") != id_of_name("lan2")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": ""}, r"endpoints\[1\]: name is ''"),
        ({"name": 1}, "name is 1: it has to be text"),
        ({"listener": ""}, "endpoint lan: listener is missing"),
        ({"listener": "wan"}, "there is no listener called 'wan'"),
        ({"services": []}, r"services is \[\]"),
        ({"services": "sts"}, "services is 'sts'"),
        ({"services": ["s3"]}, "a list of some of cloudtrail, ec2, ecr.api"),
        ({"services": [{}]}, "a list of some of cloudtrail, ec2, ecr.api"),
        ({"network": "lan"}, "network is 'lan'"),
        ({"id": "vpce-1"}, "id is 'vpce-1'"),
        ({"account": "1"}, "account is '1'"),
        ({"polcy": "x"}, "there is no setting called polcy"),
    ],
)
def test_a_table_that_is_wrong_says_where(change: dict[str, Any], says: str) -> None:
    with pytest.raises(EndpointMisconfigured, match=says):
        read(LAN | change)


def test_names_and_ids_are_one_endpoints() -> None:
    with pytest.raises(EndpointMisconfigured, match="two endpoints have one name"):
        read(LAN, LAN)
    with pytest.raises(EndpointMisconfigured, match="two endpoints have one id"):
        read(LAN, LAN | {"name": "b", "id": id_of_name("lan")})


@pytest.mark.parametrize("value", [{}, "a", [1], [[]]])
def test_what_is_no_list_of_tables_is_refused(value: Any) -> None:
    with pytest.raises(EndpointMisconfigured):
        tables_in(value, set())


def test_each_service_of_a_table_is_an_endpoint_of_the_default_account(tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text('{"Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"*"}]}')
    tables = read(LAN | {"services": ["ecr.api", "sts"], "policy": str(policy)})

    made = read_endpoints(tables, "123456789012", "home-1", 5)

    assert [each.service_name for each in made] == [
        "com.amazonaws.home-1.ecr.api",
        "com.amazonaws.home-1.sts",
    ]
    assert {each.id for each in made} == {tables[0].id}
    assert {(each.account, each.policy, each.is_configured) for each in made} == {
        ("123456789012", policy.read_text(), True)
    }


@pytest.mark.parametrize("text", [b"{", b"\xff", b"", None, b'{"Statement":[]}'])
def test_a_policy_that_cannot_be_used_ends_the_start(tmp_path: Path, text: bytes | None) -> None:
    policy = tmp_path / "policy.json"
    if text is not None:
        policy.write_bytes(text)

    with pytest.raises(
        EndpointMisconfigured, match=r"endpoint lan: the policy .*policy\.json cannot be used"
    ):
        read_endpoints(read(LAN | {"policy": str(policy)}), "123456789012", "home-1", 5)


def test_the_file_of_settings_has_endpoints_beside_their_listeners(tmp_path: Path) -> None:
    file = tmp_path / "moorage.toml"
    table = '[[endpoints]]\nname = "lan"\nlistener = "lan"\nservices = ["sts"]\nnetwork = "vpc-a"\n'
    file.write_text('[[listeners]]\nname = "lan"\nunix = "s"\n' + table)

    settings = Settings.load({}, {}, file)

    assert [endpoint.services for endpoint in settings.endpoints] == [("sts",)]
    file.write_text(table)
    with pytest.raises(InvalidSettings, match="endpoint lan: there is no listener called 'lan'"):
        Settings.load({}, {}, file)
