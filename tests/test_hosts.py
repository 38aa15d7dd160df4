"""The names of this very host: what its table says, else loopback, and never a name server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from socket import AF_INET, AF_INET6, AI_CANONNAME, AI_V4MAPPED, SOCK_DGRAM, SOCK_STREAM
from typing import cast

import pytest

import nbsocket
from nbsocket._patching import _strict
from nbsocket._routing import _hosts, _resolver
from nbsocket._routing._bypass import Bypass
from nbsocket._routing._route import Route
from nbsocket._runtime import _stdlib

NAME = "gateway-7"

Table = Callable[[str], None]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """Write the table of hosts of a host that is called NAME and has IPv6."""
    monkeypatch.setattr(_hosts, "own_name", lambda: NAME)
    monkeypatch.setattr(_stdlib, "gethostname", lambda: NAME)
    monkeypatch.setattr(_hosts, "HOSTS_FILE", str(tmp_path / "hosts"))
    monkeypatch.setattr(_hosts, "IPV6_FILE", str(tmp_path / "if_inet6"))
    (tmp_path / "if_inet6").write_text("00000000000000000000000000000001 01 80 10 80       lo\n")

    def write(text: str) -> None:
        (tmp_path / "hosts").write_text(text)

    return write


@pytest.fixture
def route() -> Route:
    """A route whose modem must not be asked."""
    return Route(Bypass.parse(""), own_modem=cast(nbsocket.Modem, object()))


DEBIAN = """
127.0.0.1\tlocalhost
127.0.1.1 gateway-7.lan gateway-7   # by the installer
::1     localhost ip6-localhost ip6-loopback
fe00::0 ip6-localnet
192.168.1.5 printer
not-an-address gateway-7
"""

DOCKER = "127.0.0.1 localhost\n172.17.0.2 gateway-7\n"


@pytest.mark.parametrize(
    ("text", "name", "addresses"),
    [
        (DEBIAN, "localhost", ("127.0.0.1", "::1")),
        (DEBIAN, "LocalHost.", ("127.0.0.1", "::1")),
        (DEBIAN, "ip6-localhost", ("::1",)),
        (DEBIAN, NAME, ("127.0.1.1",)),
        (DEBIAN, "gateway-7.lan", ("127.0.1.1",)),
        (DEBIAN, "a.localhost", ("127.0.0.1",)),
        (DOCKER, "localhost", ("127.0.0.1",)),
        (DOCKER, NAME.upper(), ("172.17.0.2",)),
        ("127.0.0.1 localhost app.localhost\n127.0.0.5 api.localhost", "api.localhost", ("127.0.0.5",)),
        ("", "localhost", ("127.0.0.1",)),
        ("", NAME, ("127.0.0.1",)),
        ("", "ip6-loopback", ("::1",)),
        ("::1 localhost", "localhost", ("::1",)),
        ("\0\udcff garbage".encode("utf-8", "replace").decode(), "localhost", ("127.0.0.1",)),
    ],
)
def test_what_the_table_says(table: Table, text: str, name: str, addresses: tuple[str, ...]) -> None:
    table(text)
    assert _hosts.is_local_name(name)
    assert _hosts.find(name).addresses == addresses


def test_without_a_table(table: Table) -> None:
    assert _hosts.find("localhost").addresses == _hosts.find(NAME).addresses == ("127.0.0.1",)


def test_a_table_that_changes_is_read_again(table: Table) -> None:
    table("127.0.0.1 localhost")
    assert _hosts.find("localhost").addresses == ("127.0.0.1",)
    table("127.0.0.9 localhost # another one")
    assert _hosts.find("localhost").addresses == ("127.0.0.9",)


@pytest.mark.parametrize("name", ["printer", "ip6-localnet", "gateway-70", "", "lan", "localhost.example"])
def test_other_names_are_not_this_host(table: Table, name: str) -> None:
    table(DEBIAN)
    assert not _hosts.is_local_name(name)


def test_names_that_share_a_line_with_localhost_are_not_all_this_host(table: Table) -> None:
    table(f"127.0.0.1 localhost {NAME} ads.example")
    assert _hosts.is_local_name(NAME) and not _hosts.is_local_name("ads.example")


def test_ipv6_is_left_out_where_the_host_has_none(table: Table, tmp_path: Path) -> None:
    table(DEBIAN + "::1 six-only.localhost\n")
    (tmp_path / "if_inet6").unlink()
    assert _hosts.find("localhost").addresses == ("127.0.0.1",)
    assert _hosts.find("six-only.localhost").addresses == ("::1",), "it is all there is"


def test_getaddrinfo(table: Table, route: Route) -> None:
    table(DEBIAN)
    assert _resolver.getaddrinfo(route, "localhost", "http", 0, SOCK_STREAM) == [
        (AF_INET, SOCK_STREAM, 6, "", ("127.0.0.1", 80)),
        (AF_INET6, SOCK_STREAM, 6, "", ("::1", 80, 0, 0)),
    ]
    assert _resolver.getaddrinfo(route, NAME, None, 0, SOCK_DGRAM, 0, AI_CANONNAME) == [
        (AF_INET, SOCK_DGRAM, 17, "gateway-7.lan", ("127.0.1.1", 0)),
    ]
    mapped = _resolver.getaddrinfo(route, NAME, 1, AF_INET6, SOCK_STREAM, 0, AI_V4MAPPED)
    assert [entry[4][0] for entry in mapped] == ["::ffff:127.0.1.1"]
    assert [entry[4][0] for entry in _resolver.getaddrinfo(route, NAME, 1, AF_INET6, SOCK_STREAM)] == ["::1"]
    with pytest.raises(socket.gaierror):
        _resolver.getaddrinfo(route, "localhost", "no-such-service")


def test_the_others(table: Table, route: Route) -> None:
    table(DEBIAN)
    assert _resolver.gethostbyname(route, NAME) == "127.0.1.1"
    assert _resolver.gethostbyname_ex(route, NAME) == ("gateway-7.lan", ["gateway-7"], ["127.0.1.1"])
    assert _resolver.gethostbyaddr(route, NAME) == ("gateway-7.lan", ["gateway-7"], ["127.0.1.1"])
    assert _resolver.getfqdn(route) == "gateway-7.lan"
    assert _resolver.resolve_one(route, "localhost", AF_INET6) == "::1"


def test_the_hosts_own_address_is_bypassed_as_loopback_is(table: Table, route: Route) -> None:
    table(DOCKER)
    assert not route.covers("172.17.0.2")
    assert _resolver.resolve_one(route, NAME, AF_INET) == "172.17.0.2"
    assert route.covers("172.17.0.2")
    over_modem = Route(Bypass.parse("none"), own_modem=route.own_modem)
    assert _resolver.resolve_one(over_modem, NAME, AF_INET) == "172.17.0.2"
    assert not over_modem.covers("172.17.0.2")


@pytest.mark.parametrize("family", [AF_INET, socket.AF_UNSPEC])
def test_servers_on_localhost_start_where_there_is_no_ipv6(
    table: Table, tmp_path: Path, make_modem: Callable[..., nbsocket.Modem], family: int
) -> None:
    table(DEBIAN)
    (tmp_path / "if_inet6").unlink()

    async def serve() -> list[str]:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "localhost", 0, family=family)
        async with server:
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection("localhost", address[1])
            assert await reader.read() == b""
            writer.close()
            return [sock.getsockname()[0] for sock in server.sockets]

    modem = make_modem()
    with nbsocket.patch(modem):
        assert asyncio.run(serve()) == ["127.0.0.1"]
        with socket.socket() as sock:
            sock.bind(("localhost", 0))
            assert sock.getsockname()[0] == "127.0.0.1"
        with socket.socket(type=SOCK_DGRAM) as sock:
            sock.bind((NAME, 0))
            assert sock.getsockname()[0] == "127.0.1.1"
    assert modem.stats().connections == ()


def test_the_strict_guard_knows_the_hosts_own_addresses(table: Table) -> None:
    table(DOCKER)
    assert _strict._is_loopback("172.17.0.2") and not _strict._is_loopback("172.17.0.3")
