"""What callers of Modem give, checked at the call: nothing that cannot be meant reaches the modem."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from nbsocket._driver import (
    check_raw_command,
)
from nbsocket._parameter import check_host

#: Longest name server address in bytes. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.7.
MAX_SERVER_SIZE = 64

#: Name servers that the modem keeps.
MAX_SERVERS = 2


def check_range(name: str, value: int, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if lowest == highest != value:
        raise ValueError(f"{name} must be {lowest}: the module has no other, not {value}")
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must be {lowest} to {highest}, not {value}")
    return value


def check_ping(host: str, timeout: int, count: int, size: int) -> str:
    """Return the host as it goes to the modem; ValueError for what no firmware takes.

    Source: BC260Y-CN TCP/IP guide 1.1 §2.3.8.
    """
    name = check_host(host)
    check_range("timeout", timeout, 1, 255)
    check_range("count", count, 1, 10)
    check_range("size", size, 32, 1500)
    return name


def check_address(address: str) -> str:
    address = check_host(address, "the name server", MAX_SERVER_SIZE)
    try:
        ip_address(address)
    except ValueError:
        raise ValueError(f"a name server must be an IPv4 or IPv6 address, not {address!r}") from None
    return address


def check_servers(servers: Sequence[str]) -> tuple[str, ...]:
    if isinstance(servers, str):
        servers = (servers,)
    if len(servers) > MAX_SERVERS:
        raise ValueError(f"dns must be one or two addresses, not {len(servers)}")
    return tuple(check_address(server) for server in servers)


def check_timeout(timeout: float | None) -> float | None:
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"timeout must be 0 or more seconds, or None, not {timeout!r}")
    return timeout


def check_command(text: str, payload: bytes | None = None) -> str:
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, not {type(text).__name__}")
    if payload is not None and not isinstance(payload, bytes):
        raise TypeError(f"payload must be bytes, not {type(payload).__name__}")
    if not (text.isascii() and text.isprintable()) or text[:2].upper() != "AT":
        raise ValueError(f"text must be one line of printable ASCII that begins with AT, not {text!r}")
    check_raw_command(text, payload)
    return text
