from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from moorage.base.addresses import Registry
from moorage.config.invalid import InvalidSettings
from moorage.config.private_listener import PrivateListener
from moorage.config.settings import Settings


def loaded(folder: Path, text: str) -> Settings:
    file = folder / "moorage.toml"
    file.write_text(text)
    return Settings.load({}, {}, file)


def test_listeners_of_the_file_are_read(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        """
        [[listeners]]
        name = "lan"
        listen = "10.0.0.5:5443"
        tls = true
        client_ca = "clients.pem"

        [[listeners]]
        name = "side"
        unix = "/run/moorage.sock"
        allow_uids = [1000, 0]

        [[listeners]]
        name = "balancer"
        listen = "[::]:6443"
        proxy_protocol = true
        trusted_proxies = ["10.0.0.0/24", "2001:db8::1"]
        """,
    )

    assert settings.listeners == (
        PrivateListener("lan", listen="10.0.0.5:5443", tls=True, client_ca=tmp_path / "clients.pem"),
        PrivateListener("side", unix=Path("/run/moorage.sock"), allow_uids=(1000, 0)),
        PrivateListener(
            "balancer",
            listen="[::]:6443",
            proxy_protocol=True,
            trusted_proxies=(ip_network("10.0.0.0/24"), ip_network("2001:db8::1")),
        ),
    )


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('listen = "a:1"', "name is ''"),
        ('name = "A"\nlisten = "a:1"', "name is 'A'"),
        ('name = "a"', "give listen or unix"),
        ('name = "a"\nlisten = "a:1"\nunix = "s"', "give listen or unix"),
        ('name = "a"\nlisten = "a"', "listen is 'a': HOST:PORT"),
        ('name = "a"\nlisten = "a:70000"', "listen is 'a:70000'"),
        ('name = "a"\nlisten = 5', "listen is 5: it has to be text"),
        ('name = "a"\nlisten = "a:1"\ntls = "yes"', "tls is 'yes': it has to be true or false"),
        ('name = "a"\nlisten = "a:1"\ntls = 1', "tls is 1: it has to be true or false"),
        ('name = "a"\nlisten = "a:1"\nport = 1', "there is no setting called port"),
        ('name = "a"\nunix = "s"\ntls = true', "a socket file has no tls"),
        ('name = "a"\nunix = "s"\nallow_uids = [true]', "allow_uids is [True]"),
        ('name = "a"\nunix = "s"\nallow_uids = 1', "allow_uids is 1: it has to be a list"),
        ('name = "a"\nlisten = "a:1"\nallow_uids = [1]', "allow_uids needs unix"),
        ('name = "a"\nlisten = "a:1"\nclient_ca = "c"', "client_ca needs tls"),
        ('name = "a"\nlisten = "a:1"\nproxy_protocol = true', "proxy_protocol needs trusted_proxies"),
        ('name = "a"\nlisten = "a:1"\ntrusted_proxies = ["10.0.0.1"]', "proxy_protocol needs trusted_proxies"),
        ('name = "a"\nunix = "s"\nproxy_protocol = true\ntrusted_proxies = ["10.0.0.1"]', "needs listen"),
        ('name = "a"\nlisten = "a:1"\nproxy_protocol = true\ntrusted_proxies = ["10.0.0.1/8"]', "has host bits set"),
        ('name = "a"\nlisten = "a:1"\nproxy_protocol = true\ntrusted_proxies = ["lan"]', "trusted_proxies: 'lan'"),
        (
            'name = "a"\nlisten = "a:1"\ntls = true\nclient_ca = "c"\nproxy_protocol = true\n'
            'trusted_proxies = ["10.0.0.1"]',
            "one of them is to be trusted",
        ),
    ],
)  # fmt: skip
def test_listener_that_is_wrong_is_refused_with_what_is_wrong(tmp_path: Path, table: str, says: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        loaded(tmp_path, f"[[listeners]]\n{table}\n")

    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('listeners = "a"', "listeners has to be a list of tables"),
        ("listeners = [1]", "has to be a table"),
        ('aliases = "a"', "aliases has to be a table"),
        ('[aliases]\n"a.example" = "1/eu-west-1"', "ACCOUNT/REGION"),
        ('[aliases]\n"a.example" = 5', "ACCOUNT/REGION"),
        ('[aliases]\n"a.example:5" = "123456789012/eu-west-1"', "no host name"),
        ('domain = "Registry.example"', "domain is 'Registry.example'"),
        ('listen = "none"', "nobody could connect"),
        ('listen_tls = "x"', "listen_tls is 'x'"),
        ('[[listeners]]\nname = "a"\nlisten = "a:1"\n[[listeners]]\nname = "a"\nlisten = "a:2"', "two listeners"),
    ],
)  # fmt: skip
def test_setting_that_is_wrong_is_refused_with_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        loaded(tmp_path, text)

    assert says in str(raised.value)


def test_aliases_of_the_file_are_registries(tmp_path: Path) -> None:
    settings = loaded(tmp_path, '[aliases]\n"registry.example.com" = "123456789012/eu-west-1"\n')

    assert settings.aliases == {"registry.example.com": Registry("123456789012", "eu-west-1")}


def test_tables_are_no_variables() -> None:
    settings = Settings.load({}, {"MOORAGE_ALIASES": "x", "MOORAGE_LISTENERS": "x"}, None)

    assert (settings.aliases, settings.listeners) == ({}, ())


@pytest.mark.parametrize(
    ("port", "secure_port", "endpoint"),
    [
        (5050, None, "http://localhost:5050"),
        (5050, 443, "http://localhost:5050"),
        (None, 443, "https://localhost"),
        (None, 5443, "https://localhost:5443"),
    ],
)
def test_endpoint_is_plain_where_there_is_a_choice(
    port: int | None, secure_port: int | None, endpoint: str
) -> None:
    assert Settings().endpoint(port, secure_port) == endpoint
