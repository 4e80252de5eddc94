import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.remote.errors import RemoteRefused
from moorage.remote.urls import Scheme, Url, is_host_name

SECURE: frozenset[Scheme] = frozenset({"https"})
BOTH: frozenset[Scheme] = frozenset({"http", "https"})


def test_a_url_is_taken_apart() -> None:
    url = Url.parse("https://IdP.example:8443/a/b%2Fc?x=1&y=%20", SECURE)

    assert url == Url("https", "idp.example", 8443, "/a/b%2Fc", "x=1&y=%20")
    assert url.authority == "idp.example:8443"
    assert str(url) == "https://idp.example:8443/a/b%2Fc?x=1&y=%20"


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://idp.example", ("https", "idp.example", 443)),
        ("http://idp.example:80/", ("http", "idp.example", 80)),
        ("https://[2606:4700::1111]/", ("https", "2606:4700::1111", 443)),
        ("https://[2606:4700:0::1111]/", ("https", "2606:4700::1111", 443)),
        ("https://1.1.1.1:8443", ("https", "1.1.1.1", 8443)),
        ("https://my_bucket.example/", ("https", "my_bucket.example", 443)),
    ],
)
def test_hosts_and_ports_are_read(text: str, origin: tuple[str, str, int]) -> None:
    assert Url.parse(text, BOTH).origin == origin


def test_an_address_is_known_from_a_name() -> None:
    assert Url.parse("https://[::1]/", SECURE).is_literal
    assert Url.parse("https://127.0.0.1/", SECURE).is_literal
    assert not Url.parse("https://127.example/", SECURE).is_literal


@pytest.mark.parametrize(
    "text",
    [
        "http://idp.example/",
        "file:///etc/passwd",
        "gopher://idp.example:70/_x",
        "HTTPS://idp.example/",
        "https:idp.example",
        "//idp.example/",
        "",
    ],
)
def test_other_schemes_are_refused(text: str) -> None:
    with pytest.raises(RemoteRefused):
        Url.parse(text, SECURE)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.1.",
        "1.2.3.4.5",
        "example.0x7f",
        "example.com.",
        "-example.com",
        "a..b",
        "[::1",
        "[fe80::1%25eth0]",
        "[::127.0.0.1.]",
        "ex%61mple.com",
        "exämple.com",
        "１２７.0.0.1",
        "a" * 64 + ".example",
    ],
)
def test_a_host_that_could_be_read_in_two_ways_is_refused(host: str) -> None:
    with pytest.raises(RemoteRefused):
        Url.parse(f"https://{host}/", SECURE)


@pytest.mark.parametrize(
    "text",
    [
        "https://user@idp.example/",
        "https://user:password@idp.example/",
        "https://idp.example@127.0.0.1/",
        "https://idp.example/#fragment",
        "https://idp.example\\@127.0.0.1/",
        "https://idp.example/a b",
        "https://idp.example/\r\nHost: x",
        "https://idp.example/\x00",
        "https://idp.example\t/",
        "https://idp.example/ü",
        "https://idp.example/" + "a" * 9_000,
    ],
)
def test_anything_but_a_plain_url_is_refused(text: str) -> None:
    with pytest.raises(RemoteRefused):
        Url.parse(text, SECURE)


@pytest.mark.parametrize("port", ["0", "22", "25", "81", "1023", "65536", "99999", "-1", "8443x"])
def test_ports_that_are_not_for_http_are_refused(port: str) -> None:
    with pytest.raises(RemoteRefused):
        Url.parse(f"https://idp.example:{port}/", SECURE)


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_is_refused(text: str) -> None:
    try:
        url = Url.parse("https://" + text, BOTH)
    except RemoteRefused:
        return
    assert Url.parse(str(url), BOTH) == url


def test_no_number_is_a_host_name() -> None:
    assert is_host_name("idp")
    assert not is_host_name("127")
    assert not is_host_name("10.0.0.0/8")
