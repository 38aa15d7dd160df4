"""Audit events of sockets: over the modem the same as over the operating system's network, in number and arguments."""

import errno
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import nbsocket
from nbsocket._patching._strict import refuse_host_network
from nbsocket._routing._bypass import Bypass
from tests.helpers import echo, receive_exactly, tcp_server, udp_server

EVENTS = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")
LOOK_UPS = (
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
    "socket.getnameinfo",
    "socket.gethostname",
    "socket.getservbyname",
)

seen: list[tuple[str, Any]] = []
watched: Any = None


def watch(event: str, args: tuple[Any, ...]) -> None:
    # The simulated module's own connections are made on another thread.
    if threading.current_thread() is not threading.main_thread():
        return
    if event in LOOK_UPS:
        seen.append((event, args))
    if event in EVENTS:
        assert args[0] is watched, (event, args)
        seen.append((event, args[1]))
        if args[1] == REFUSED:
            raise LookupError("refused by the program's own hook")


refused_far_away: list[Any] = []


def refuse_far_away(event: str, args: tuple[Any, ...]) -> None:
    """Refuse the next connection of the simulated module, once, with an exception that is no OSError."""
    is_wanted = event == "socket.connect" and refused_far_away and args[1] == refused_far_away[0]
    if is_wanted and threading.current_thread() is not threading.main_thread():
        refused_far_away.clear()
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


#: Look-ups that ask nobody, so that they can be made natively, too.
OF_THIS_HOST: list[Callable[[Any], object]] = [
    lambda module: module.getaddrinfo("192.0.2.1", 80),
    lambda module: module.getaddrinfo(None, "80", 0, socket.SOCK_STREAM),
    lambda module: module.getaddrinfo(b"localhost", 80, flags=socket.AI_CANONNAME),
    lambda module: module.gethostbyname("localhost"),
    lambda module: module.gethostbyname("192.0.2.1"),
    lambda module: module.gethostbyname_ex("localhost"),
    lambda module: module.gethostbyaddr("127.0.0.1"),
    lambda module: module.getnameinfo(("127.0.0.1", 80), 0),
    lambda module: module.getnameinfo(("192.0.2.1", 80), socket.NI_NUMERICHOST),
    lambda module: module.getfqdn("localhost"),
]

#: Those that go over the modem, and what CPython raises for them.
OF_OTHERS: list[tuple[Callable[[Any], object], tuple[str, tuple[Any, ...]]]] = [
    (lambda module: module.getaddrinfo("a.example", 80), ("socket.getaddrinfo", ("a.example", 80, 0, 0, 0))),
    (lambda module: module.getaddrinfo(b"a.example", "80"), ("socket.getaddrinfo", (b"a.example", "80", 0, 0, 0))),
    (
        lambda module: module.getaddrinfo("a.example", None, 2, 1, 6, socket.AI_CANONNAME),
        ("socket.getaddrinfo", ("a.example", None, 2, 1, 6)),
    ),
    (lambda module: module.gethostbyname("a.example"), ("socket.gethostbyname", ("a.example",))),
    (lambda module: module.gethostbyname_ex("a.example"), ("socket.gethostbyname", ("a.example",))),
]


def look_ups_of(module: Any) -> list[tuple[str, Any]]:
    seen.clear()
    for call in OF_THIS_HOST:
        call(module)
    return list(seen)


def check_look_ups_over_the_modem(module: Any) -> None:
    for call, event in OF_OTHERS:
        seen.clear()
        call(module)
        assert seen == [event], (seen, event)


@contextmanager
def far_side() -> Iterator[tuple[int, int]]:
    with tcp_server(echo) as tcp, udp_server() as udp:
        yield tcp, udp


with far_side() as (tcp_port, udp_port), nbsocket.configure("sim://") as modem:
    modem.open()
    sys.addaudithook(watch)
    native = events_of(lambda kind: socket.socket(type=kind))
    assert {event for event, _ in native} == set(EVENTS)
    native_look_ups = look_ups_of(socket)
    # Its hook comes after ours, and must let pass what goes over the modem.
    refuse_host_network(Bypass.parse("none"))
    assert events_of(lambda kind: nbsocket.socket(type=kind)) == native
    assert look_ups_of(nbsocket) == native_look_ups
    check_look_ups_over_the_modem(nbsocket)
    sys.addaudithook(refuse_far_away)
    refused_far_away.append(("127.0.0.1", tcp_port))
    for error in (errno.ECONNREFUSED, 0):
        with nbsocket.socket() as watched:
            assert watched.connect_ex(("127.0.0.1", tcp_port)) == error
    with nbsocket.patch(bypass="none"):
        assert events_of(lambda kind: socket.socket(type=kind)) == native
        assert look_ups_of(socket) == native_look_ups
        check_look_ups_over_the_modem(socket)
print("done")
