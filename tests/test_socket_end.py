"""The end of a connection looks to a program as it does over the operating system's own TCP."""

from __future__ import annotations

import errno
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable

import pytest

import nbsocket
from nbsocket import Modem
from tests.helpers import PATIENCE, TcpServer


@pytest.fixture
def ended(make_modem: Callable[..., Modem]) -> nbsocket.socket:
    """A connection that the peer has ended."""
    server = TcpServer(lambda connection: connection.sendall(b"bye"))
    sock = nbsocket.socket(modem=make_modem(close_delay=0))
    sock.settimeout(PATIENCE)
    try:
        sock.connect(("192.0.2.1", server.port))
        assert sock.recv(100) == b"bye"
        assert sock.recv(100) == b""
    finally:
        server.close()
    return sock


def eventually_fails(sock: socket.socket) -> int:
    """Write until that fails and return the errno."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            sock.send(b"x")
        except OSError as error:
            return error.errno or 0
    raise AssertionError("every write succeeds")


def test_the_first_write_after_the_peers_end_succeeds(ended: nbsocket.socket) -> None:
    """Nobody has said that the peer does not read; then EPIPE, and never a reset where there was an end."""
    with ended:
        ended.sendall(b"x")
        assert eventually_fails(ended) == errno.EPIPE
        assert ended.recv(100) == b""
        assert ended.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="POLLRDHUP is Linux's")
def test_the_peers_end_is_no_hang_up(ended: nbsocket.socket) -> None:
    """POLLHUP means both directions; libraries of pooled connections look for POLLRDHUP."""
    with ended:
        poll = select.poll()
        poll.register(ended, select.POLLIN | select.POLLOUT | select.POLLRDHUP)
        assert poll.poll(0) == [(ended.fileno(), select.POLLIN | select.POLLOUT | select.POLLRDHUP)]


def test_a_reset_connection_has_no_peer(make_modem: Callable[..., Modem]) -> None:
    """But what it received can be read: ``ssl`` takes that for data before the handshake."""

    def reset(connection: socket.socket) -> None:
        connection.sendall(b"bye")
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    server = TcpServer(reset)
    with nbsocket.patch(make_modem(close_delay=0), bypass="none"), socket.socket() as sock:
        sock.connect(("192.0.2.1", server.port))
        assert sock.recv(3, socket.MSG_PEEK) == b"bye"
        sock.sendall(b"x")
        poll = select.poll()
        poll.register(sock, 0)
        assert poll.poll(1000 * PATIENCE)
        with pytest.raises(OSError) as caught:
            sock.getpeername()
        assert caught.value.errno == errno.ENOTCONN
        with pytest.raises(ssl.SSLError, match="before TLS handshake with data"):
            ssl.create_default_context().wrap_socket(sock, server_hostname="broker.example")
    server.close()


@pytest.mark.parametrize(("peer", "own"), [("::1", "::"), ("::ffff:127.0.0.1", "::ffff:10.0.0.9")])
def test_the_name_of_an_ipv6_socket_where_the_module_has_ipv4(
    make_modem: Callable[..., Modem], peer: str, own: str
) -> None:
    """An address of the wrong family would mislead, as in FTP's EPRT."""
    modem = make_modem(address="10.0.0.9")
    server = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    with server, nbsocket.socket(socket.AF_INET6, modem=modem) as sock:
        sock.connect((peer, server.getsockname()[1]))
        assert sock.getsockname() == (own, 0, 0, 0)


def test_both_directions_ended(ended: nbsocket.socket) -> None:
    """Our own end after the peer's is no error."""
    with ended:
        ended.shutdown(socket.SHUT_WR)
        assert ended.recv(100) == b""
        with pytest.raises(BrokenPipeError):
            ended.send(b"x")


def test_closing_the_modem_leaves_no_descriptor(make_modem: Callable[..., Modem]) -> None:
    """The peer has ended, the program has not noticed, and the modem is closed."""
    modem = make_modem()
    release = threading.Event()

    def hold(connection: socket.socket) -> None:
        release.wait(PATIENCE)

    server = TcpServer(hold)
    with nbsocket.socket(modem=modem) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(("192.0.2.1", server.port))
        release.set()
        assert sock.recv(1) == b""
        modem.close()
        poll = select.poll()
        poll.register(sock, 0)
        assert poll.poll(0) == [(sock.fileno(), select.POLLHUP)]
    server.close()
