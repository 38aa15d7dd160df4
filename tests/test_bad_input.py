"""Bad input to every call: an error that says what is allowed, before a byte reaches the wire."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from math import nan
from typing import Any

import pytest

import nbsocket
from nbsocket import NB_RAI, SOL_NB, Modem
from nbsocket.sim import Simulator

LONG_HOST = "h" * 151


@pytest.fixture
def simulator(make_simulator: Callable[..., Simulator]) -> Simulator:
    return make_simulator(firmware="A02")


@pytest.fixture
def modem(simulator: Simulator) -> Iterator[Modem]:
    with Modem(simulator.path) as modem:
        modem.wait_attached(20)
        yield modem


CALLS: list[tuple[str, Callable[[Modem], object], str]] = [
    ("host of 151 bytes, resolve", lambda modem: modem.resolve(LONG_HOST), "1 to 150 characters, not 151"),
    ("host of 151 bytes, ping", lambda modem: modem.ping(LONG_HOST), "1 to 150 characters, not 151"),
    ("host of 151 bytes, ntp", lambda modem: modem.ntp(LONG_HOST), "1 to 150 characters, not 151"),
    ("empty host", lambda modem: modem.resolve(""), "1 to 150 characters, not 0"),
    ("quote in a host", lambda modem: modem.ping('x",1\r\nAT+CFUN=0\r'), "without quotes"),
    ("server of 65 bytes", lambda modem: modem.set_dns_servers("1" * 65), "1 to 64 characters, not 65"),
    ("server that is a name", lambda modem: modem.set_dns_servers("dns.example"), "IPv4 or IPv6 address"),
    ("second server", lambda modem: modem.set_dns_servers("1.1.1.1", "1.1.1"), "IPv4 or IPv6 address"),
    ("port 0", lambda modem: modem.ntp("ntp.example", 0), "1 to 65535, not 0"),
    ("port 65536", lambda modem: modem.ntp("ntp.example", 65536), "1 to 65535, not 65536"),
    ("ping of 31", lambda modem: modem.ping("10.0.0.9", size=31), "32 to 1500, not 31"),
    ("ping of 1501", lambda modem: modem.ping("10.0.0.9", size=1501), "32 to 1500, not 1501"),
    ("no pings", lambda modem: modem.ping("10.0.0.9", count=0), "1 to 10, not 0"),
    ("11 pings", lambda modem: modem.ping("10.0.0.9", count=11), "1 to 10, not 11"),
    ("ping's time-out of 0", lambda modem: modem.ping("10.0.0.9", timeout=0), "1 to 255, not 0"),
    ("ping's time-out of 256", lambda modem: modem.ping("10.0.0.9", timeout=256), "1 to 255, not 256"),
    ("ping's negative time-out", lambda modem: modem.ping("10.0.0.9", timeout=-1), "1 to 255, not -1"),
    ("context 1", lambda modem: modem.sockets(context_id=1), "context_id must be 0"),
    ("socket 5", lambda modem: modem.sockets(socket_id=5), "0 to 4, not 5"),
    ("both", lambda modem: modem.sockets(context_id=0, socket_id=0), "not both"),
    ("negative time-out", lambda modem: modem.command("AT", -1), "0 or more seconds"),
    ("time-out that is no number", lambda modem: modem.wait_attached(nan), "0 or more seconds"),
    ("two commands", lambda modem: modem.command("AT\rAT+CFUN=0"), "one line of printable ASCII"),
    ("no command", lambda modem: modem.command("CSQ"), "begins with AT"),
    ("payload without a prompt", lambda modem: modem.command("AT+CSQ", payload=b"x"), "takes no payload"),
    ("no payload", lambda modem: modem.command("AT+QISEND=0"), "none was given"),
    ("payload of another size", lambda modem: modem.command("AT+QISEND=0,2", payload=b"x"), "exactly 2 bytes"),
    ("payload of 1025", lambda modem: modem.command("AT+QISEND=0", payload=b"x" * 1025), "1 to 1024 bytes"),
    ("a rate that there is not", lambda modem: modem.set_baudrate(12345), "one of 2400"),
]


@pytest.mark.parametrize(("call", "words"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS])
def test_refused_before_anything_is_sent(
    simulator: Simulator, modem: Modem, call: Callable[[Modem], object], words: str
) -> None:
    before = simulator.commands
    with pytest.raises(ValueError) as caught:
        call(modem)
    assert words in str(caught.value)
    assert simulator.commands == before


def test_ping_of_201_with_old_firmware(simulator: Simulator, modem: Modem) -> None:
    with pytest.raises(OSError, match="32 to 200 with firmware BC260YCNAAR01A02, not 201") as caught:
        modem.ping("10.0.0.9", size=201)
    assert caught.value.errno == errno.EINVAL
    assert not any("QPING" in line for line in simulator.commands)
    assert modem.ping("10.0.0.9", size=200, count=1).received == 1


@pytest.mark.parametrize(
    ("port", "error"), [(0, OSError), (65536, OverflowError), (-1, OverflowError), ("80", TypeError)]
)
def test_ports_of_a_socket(simulator: Simulator, modem: Modem, port: Any, error: type[Exception]) -> None:
    before = simulator.commands
    with nbsocket.socket(modem=modem) as sock, pytest.raises(error):
        sock.connect(("198.51.100.7", port))
    assert simulator.commands == before


def test_host_of_a_socket(simulator: Simulator, modem: Modem) -> None:
    before = simulator.commands
    with nbsocket.socket(modem=modem) as sock, pytest.raises((OSError, ValueError)):
        sock.connect((LONG_HOST, 80))
    assert simulator.commands == before


@pytest.mark.parametrize("value", [-1, 3, 255])
def test_rai(modem: Modem, value: int) -> None:
    with nbsocket.socket(modem=modem) as sock, pytest.raises(OSError, match="0, 1 or 2") as caught:
        sock.setsockopt(SOL_NB, NB_RAI, value)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_rai_needs_hex(simulator: Simulator, kind: int) -> None:
    """Only AT+QISEND in command mode carries it, which is 8-bit clean in hex only: nothing is ignored silently."""
    modem = Modem(simulator.path, data_format="raw")
    with nbsocket.socket(type=kind, modem=modem) as sock:
        with pytest.raises(OSError, match="hex") as caught:
            sock.setsockopt(SOL_NB, NB_RAI, 1)
        assert caught.value.errno == errno.EOPNOTSUPP
        sock.setsockopt(SOL_NB, NB_RAI, 0)
    modem.close()


@pytest.mark.parametrize(
    "options",
    [
        {"baudrate": 12345},
        {"data_format": "octal"},
        {"power": "off"},
        {"attach_timeout": -1},
        {"ack_timeout": 0},
        {"apn": 'a"b'},
    ],
)
def test_options_of_a_modem(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Modem("sim://", **options)
