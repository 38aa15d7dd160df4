"""Sockets handed to libraries: no patch is needed where there is a place for them."""

from __future__ import annotations

from collections.abc import Callable

from compat_tests._servers import ServerMissing, Servers


def test_libraries_that_take_a_socket(run: Callable[..., str], servers: Servers) -> None:
    """asyncio, aiohttp, websockets and dnspython."""
    ports = [servers.start(kind).plain for kind in ("echo", "http", "websockets")]
    try:
        ports.append(servers.start("unbound").plain)
    except ServerMissing:
        ports.append(0)
    assert run("injected_sockets.py", "sim://", *ports).splitlines()
