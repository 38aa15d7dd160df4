"""Programs that are server and client at once, patched with ``bypass="none"``: CPython's own tests are such programs.

What serves stays on the operating system, what connects goes over the modem, even to loopback.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator

import pytest

import nbsocket
from nbsocket import Modem
from tests.helpers import PATIENCE, unused_port


@pytest.fixture
def patched(make_modem: Callable[..., Modem]) -> Iterator[Modem]:
    """A modem that everything goes over."""
    modem = make_modem(close_delay=0)
    with nbsocket.patch(modem, bypass="none"):
        yield modem


def opens(modem: Modem) -> int:
    """Return how many connections the module was asked to open."""
    return modem.stats().counters["opens"]


@pytest.fixture
def udp_pair(patched: Modem) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A bound server and a client."""
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        client.settimeout(PATIENCE)
        yield server, client


def test_a_udp_server_on_loopback_stays_there(patched: Modem, udp_pair: tuple[socket.socket, socket.socket]) -> None:
    """Its client's datagrams go over the modem, its answers do not."""
    server, client = udp_pair
    client.sendto(b"question", server.getsockname())
    data, sender = server.recvfrom(100)
    assert data == b"question"
    server.sendto(b"answer", sender)
    assert client.recvfrom(100) == (b"answer", server.getsockname())
    assert opens(patched) == 1


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_bound_to_loopback_only_loopback_is_reached(patched: Modem, kind: int, host: str) -> None:
    """UDP not over the modem, for it may be a server that answers; nothing else is reached at all."""
    with socket.socket(type=kind) as sock, socket.socket(type=kind) as peer:
        peer.bind((host, 0))
        if kind == socket.SOCK_STREAM:
            peer.listen()
        sock.bind((host, 0))
        with pytest.raises(OSError) as caught:
            sock.connect(("192.0.2.1", 9))
        assert caught.value.errno == errno.EADDRNOTAVAIL
        sock.connect(peer.getsockname())
        assert sock.getpeername() == peer.getsockname()
    assert opens(patched) == (kind == socket.SOCK_STREAM)


def test_sending_outside_from_loopback_is_refused(udp_pair: tuple[socket.socket, socket.socket]) -> None:
    """It would leave neither way with the address that it was bound to."""
    server, _ = udp_pair
    with pytest.raises(OSError) as caught:
        server.sendto(b"x", ("192.0.2.1", 9))
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_another_address_of_the_host_cannot_be_bound(patched: Modem) -> None:
    """From there it would be the host's network."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(OSError) as caught:
            sock.bind(("192.0.2.1", 0))
        assert caught.value.errno == errno.EADDRNOTAVAIL


def test_a_port_on_loopback_stands_for_the_modules_own(patched: Modem) -> None:
    """Where even loopback goes over the modem."""
    port = unused_port()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as sock:
        sock.bind(("127.0.0.1", port))
        sock.connect(server.getsockname())
        assert sock.getsockname() == (patched.status().address, port)
        assert [row.local_port for row in patched.sockets()] == [port]


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_wrong_arguments_are_told_in_the_words_of_c(patched: Modem, kind: int) -> None:
    """CPython's tests compare them."""
    with socket.socket(type=kind) as sock:
        for data in ("text", 5j):
            with pytest.raises(TypeError, match=f"^a bytes-like object is required, not '{type(data).__name__}'$"):
                sock.sendto(data, ("192.0.2.1", 9))  # type: ignore[call-overload]  # what is tested
        with pytest.raises(TypeError, match="not NoneType"):
            sock.sendto(b"", None)  # type: ignore[call-overload]  # what is tested
        with pytest.raises(TypeError):
            sock.sendmsg([b"x"], [], 0, object())  # type: ignore[arg-type]  # what is tested
        for item in (object(), (object(), 0, b""), (0, object(), b""), (0, 0, object()), (0, 0), (0, 0, b"", 0)):
            with pytest.raises(TypeError):
                sock.sendmsg([b"x"], [item])  # type: ignore[list-item]  # what is tested


@pytest.mark.skipif(not hasattr(socket, "_fallback_socketpair"), reason="this version has it on Windows only")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_pair_made_of_connections_stays_inside(patched: Modem, family: int) -> None:
    """As socketpair() does where the system has it."""
    one, other = socket._fallback_socketpair(family)  # type: ignore[attr-defined]  # since 3.12.5
    with one, other:
        one.sendall(b"x")
        assert other.recv(1) == b"x"
        assert one.getpeername() == other.getsockname()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        assert opens(patched) == 1
