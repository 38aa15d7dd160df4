"""No host name reaches the wire unless it is a plain one."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

import nbsocket
from nbsocket import Modem
from nbsocket.sim import Simulator

HOSTS: list[str | bytes | bytearray] = [
    'x",1\r\nAT+CFUN=0\r',
    'x","TCP","198.18.0.1',
    "x\r\nAT+QRST=1\r\n",
    "x\rATZ",
    "x\nATZ",
    "x\0y",
    "x y",
    "x\x1a",
    "x\x1b",
    "x\x7f",
    "x\u2028y",
    "x\u00a0y",
    "＂,1",
    "a" * 64,
    ".".join(["abcdefgh"] * 20),
    b'x",1\r\nAT+CFUN=0\r',
    bytearray(b'x"'),
    b"\xff\xfe",
    " ",
    "\t",
]


def calls(modem: Modem, host: str | bytes | bytearray) -> list[Callable[[], object]]:
    stream = nbsocket.socket(modem=modem)
    datagram = nbsocket.socket(socket.AF_INET, socket.SOCK_DGRAM, modem=modem)
    return [
        lambda: stream.connect((host, 80)),
        lambda: stream.connect_ex((host, 80)),
        lambda: stream.bind((host, 80)),
        lambda: datagram.connect((host, 80)),
        lambda: datagram.sendto(b"x", (host, 80)),
        lambda: datagram.sendmsg([b"x"], [], 0, (host, 80)),
        lambda: datagram.bind((host, 80)),
        lambda: nbsocket.getaddrinfo(host, 80),  # type: ignore[arg-type]  # bytearray is wrong here, too
        lambda: nbsocket.gethostbyname(host),  # type: ignore[arg-type]  # as above
        lambda: nbsocket.gethostbyname_ex(host),  # type: ignore[arg-type]  # as above
        lambda: nbsocket.gethostbyaddr(host),  # type: ignore[arg-type]  # as above
        lambda: nbsocket.create_connection((str(host), 80)),
        stream.close,
        datagram.close,
    ]


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: ascii(host)[:40])
def test_refused_before_a_byte_reaches_the_wire(
    make_simulator: Callable[..., Simulator], monkeypatch: pytest.MonkeyPatch, host: str | bytes | bytearray
) -> None:
    from nbsocket import _default_modem

    simulator = make_simulator()
    with Modem(simulator.path) as modem:
        monkeypatch.setattr(_default_modem, "_default", modem)
        modem.wait_attached()
        before = modem.stats().bytes_up
        *network, close_stream, close_datagram = calls(modem, host)
        for call in network:
            with pytest.raises((OSError, UnicodeError, TypeError)):
                call()
        close_stream()
        close_datagram()
        assert modem.stats().bytes_up == before


@pytest.mark.parametrize("host", ["x.example", "bücher.example", "a_b.example", "-.example"])
def test_plain_names_go_through(make_simulator: Callable[..., Simulator], host: str) -> None:
    simulator = make_simulator()
    with Modem(simulator.path) as modem, nbsocket.socket(socket.AF_INET, socket.SOCK_DGRAM, modem=modem) as sock:
        sock.connect((host, 80))
    wire_name = host.encode("idna").decode()
    assert f'AT+QIDNSGIP=0,"{wire_name}"' in simulator.commands
