"""Audit events of sockets: over the modem the same as over the operating system's network, in number and arguments."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import nbsocket
from nbsocket._bypass import Bypass
from nbsocket._guard import refuse_host_network
from tests.helpers import echo, receive_exactly, tcp_server, udp_server

EVENTS = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")

seen: list[tuple[str, Any]] = []
watched: Any = None


def watch(event: str, args: tuple[Any, ...]) -> None:
    # The simulated module's own connections are made on another thread.
    if event in EVENTS and threading.current_thread() is threading.main_thread():
        assert args[0] is watched, (event, args)
        seen.append((event, args[1]))
        if args[1] == REFUSED:
            raise LookupError("refused by the program's own hook")


class Destination(tuple[Any, ...]):
    """A program's own address type, which reaches the hook as it is."""


REFUSED = ("127.0.0.1", 9)


def stream(sock: socket.socket, address: tuple[str, int]) -> None:
    sock.bind(("", 0))
    with suppress(LookupError):
        sock.connect(REFUSED)
    sock.connect(Destination(address))
    sock.sendmsg([b"a"])
    sock.sendto(b"b", address)
    sock.sendmsg([b"c"], [], 0, address)
    assert receive_exactly(sock, 3) == b"abc"


def other_way(sock: socket.socket, address: tuple[str, int]) -> None:
    with suppress(OverflowError):
        sock.connect((address[0], 70000))
    assert sock.connect_ex(address) == 0


def datagrams(sock: socket.socket, address: tuple[str, int]) -> None:
    sock.bind(("0.0.0.0", 0))
    sock.sendto(b"a", Destination(address))
    assert sock.recvfrom(10) == (b"a", address)
    sock.sendto(b"b", 0, address)
    sock.sendmsg([b"c"], [], 0, address)
    with suppress(LookupError):
        sock.sendto(b"d", REFUSED)
    sock.connect(address)
    sock.sendmsg([b"e"])


STEPS: list[tuple[int, Callable[[socket.socket, tuple[str, int]], None]]] = [
    (socket.SOCK_STREAM, stream),
    (socket.SOCK_STREAM, other_way),
    (socket.SOCK_DGRAM, datagrams),
]


def events_of(make: Callable[[int], socket.socket]) -> list[tuple[str, Any]]:
    global watched
    seen.clear()
    for kind, step in STEPS:
        with make(kind) as watched:
            watched.settimeout(20)
            step(watched, ("127.0.0.1", tcp_port if kind == socket.SOCK_STREAM else udp_port))
    return list(seen)


@contextmanager
def far_side() -> Iterator[tuple[int, int]]:
    with tcp_server(echo) as tcp, udp_server() as udp:
        yield tcp, udp


with far_side() as (tcp_port, udp_port), nbsocket.configure("sim://") as modem:
    modem.open()
    sys.addaudithook(watch)
    native = events_of(lambda kind: socket.socket(type=kind))
    assert {event for event, _ in native} == set(EVENTS)
    # Its hook comes after ours, and must let pass what goes over the modem.
    refuse_host_network(Bypass.parse("none"))
    assert events_of(lambda kind: nbsocket.socket(type=kind)) == native
    with nbsocket.patch(bypass="none"):
        assert events_of(lambda kind: socket.socket(type=kind)) == native
print("done")
