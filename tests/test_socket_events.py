"""What event loops, ssl and files need of a socket: non-blocking connect, readiness, one real descriptor."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import select
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

import nbsocket
from nbsocket import Modem
from tests.helpers import PATIENCE, echo, pattern, receive_exactly, tcp_server, unused_port

ADDRESS = "198.18.0.1"


@pytest.fixture
def modem(make_modem: Callable[..., Modem]) -> Modem:
    return make_modem()


@pytest.fixture
def port() -> Iterator[int]:
    with tcp_server(echo) as port:
        yield port


def start(modem: Modem, address: tuple[str, int]) -> nbsocket.socket:
    """Return a socket whose non-blocking connect is under way."""
    sock = nbsocket.socket(modem=modem)
    sock.setblocking(False)
    with pytest.raises(BlockingIOError) as caught:
        sock.connect(address)
    assert caught.value.errno == errno.EINPROGRESS
    return sock


def connected(modem: Modem, port: int) -> nbsocket.socket:
    sock = nbsocket.socket(modem=modem)
    sock.settimeout(PATIENCE)
    sock.connect((ADDRESS, port))
    return sock


def by_select(sock: socket.socket, timeout: float) -> bool:
    return bool(select.select([], [sock], [], timeout)[1])


def by_poll(sock: socket.socket, timeout: float) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(timeout * 1000))


def by_epoll(sock: socket.socket, timeout: float) -> bool:
    with select.epoll() as epoll:
        epoll.register(sock, select.EPOLLOUT)
        return bool(epoll.poll(timeout))


WAITS = [by_select, by_poll] + ([by_epoll] if hasattr(select, "epoll") else [])


@pytest.mark.parametrize("wait", WAITS)
def test_non_blocking_connect(make_modem: Callable[..., Modem], port: int, wait: Callable[..., bool]) -> None:
    modem = make_modem(latency=0.1)
    with start(modem, (ADDRESS, port)) as sock:
        assert not wait(sock, 0)
        with pytest.raises(BlockingIOError) as caught:
            sock.connect((ADDRESS, port))
        assert caught.value.errno == errno.EALREADY
        assert sock.connect_ex((ADDRESS, port)) == errno.EALREADY
        with pytest.raises(OSError) as unconnected:
            sock.getpeername()
        assert unconnected.value.errno == errno.ENOTCONN
        with pytest.raises(BlockingIOError):
            sock.send(b"too early")
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        assert wait(sock, PATIENCE)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        assert sock.getpeername() == (ADDRESS, port)
        assert sock.connect_ex((ADDRESS, port)) == errno.EISCONN
        assert select.select([sock], [], [], 0)[0] == []
        sock.setblocking(True)
        sock.sendall(b"no stray bytes")
        assert receive_exactly(sock, 14) == b"no stray bytes"


@pytest.mark.parametrize("wait", WAITS)
def test_non_blocking_connect_that_fails(modem: Modem, port: int, wait: Callable[..., bool]) -> None:
    with start(modem, (ADDRESS, unused_port())) as sock:
        assert wait(sock, PATIENCE)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        with pytest.raises(OSError) as unconnected:
            sock.getpeername()
        assert unconnected.value.errno == errno.ENOTCONN
        assert sock.connect_ex((ADDRESS, port)) == errno.EINPROGRESS
        assert wait(sock, PATIENCE)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        assert sock.getpeername() == (ADDRESS, port)


def test_connect_tells_a_pending_failure(modem: Modem) -> None:
    with start(modem, (ADDRESS, unused_port())) as sock:
        assert by_select(sock, PATIENCE)
        assert sock.connect_ex((ADDRESS, 80)) == errno.ECONNREFUSED


def test_a_sixth_connection_fails_at_once_without_blocking_too(modem: Modem, port: int) -> None:
    five = [connected(modem, port) for _ in range(5)]
    with start(modem, (ADDRESS, port)) as sixth:
        assert by_select(sixth, PATIENCE)
        assert sixth.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.EMFILE
    for sock in five:
        sock.close()


def test_closing_while_connecting_frees_the_id(make_modem: Callable[..., Modem]) -> None:
    modem = make_modem(hosts={"198.18.0.9": "timeout"})
    for _ in range(7):
        start(modem, ("198.18.0.9", 80)).close()
        while modem.sockets():
            pass


def test_the_blocking_mode_and_timeout_survive_connecting(modem: Modem, port: int) -> None:
    with nbsocket.socket(modem=modem) as sock:
        for timeout in (None, 3.0):
            sock.settimeout(timeout)
        before = sock.fileno(), sock.get_inheritable()
        sock.set_inheritable(True)
        sock.connect((ADDRESS, port))
        assert sock.gettimeout() == 3.0
        assert (sock.fileno(), sock.get_inheritable()) == (before[0], True)
        assert not os.get_blocking(sock.fileno())
    with nbsocket.socket(modem=modem) as sock:
        sock.connect((ADDRESS, port))
        assert sock.getblocking()
        assert os.get_blocking(sock.fileno())


def test_the_default_timeout_holds(modem: Modem, port: int) -> None:
    nbsocket.setdefaulttimeout(PATIENCE)
    try:
        with nbsocket.socket(modem=modem) as sock:
            assert sock.gettimeout() == PATIENCE
            sock.connect((ADDRESS, port))
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
    finally:
        nbsocket.setdefaulttimeout(None)


def test_selectors(modem: Modem, port: int) -> None:
    with selectors.DefaultSelector() as selector, connected(modem, port) as sock:
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        assert [mask for _, mask in selector.select(PATIENCE)] == [selectors.EVENT_WRITE]
        sock.sendall(b"x")
        selector.modify(sock, selectors.EVENT_READ)
        assert [mask for _, mask in selector.select(PATIENCE)] == [selectors.EVENT_READ]


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="Linux")
def test_pooled_connections_notice_the_end(modem: Modem) -> None:
    """redis polls for POLLIN and POLLRDHUP, urllib3 for POLLIN, before a pooled connection is used again."""
    go = threading.Event()

    def end_when_told(connection: socket.socket) -> None:
        assert go.wait(PATIENCE)

    with tcp_server(end_when_told) as port, connected(modem, port) as sock:
        poll = select.poll()
        poll.register(sock, select.POLLIN | select.POLLRDHUP)
        assert poll.poll(0) == []
        go.set()
        ((_, mask),) = poll.poll(PATIENCE * 1000)
        assert mask & select.POLLIN
        assert mask & select.POLLRDHUP
        assert sock.recv(1, socket.MSG_PEEK) == b""


def test_asyncio_streams(modem: Modem, port: int) -> None:
    async def talk() -> bytes:
        loop = asyncio.get_running_loop()
        sock = nbsocket.socket(modem=modem)
        sock.setblocking(False)
        await loop.sock_connect(sock, (ADDRESS, port))
        reader, writer = await asyncio.open_connection(sock=sock)
        assert writer.get_extra_info("peername") == (ADDRESS, port)
        data = pattern(50_000)
        writer.write(data)
        answer = await asyncio.wait_for(reader.readexactly(len(data)), PATIENCE)
        assert answer == data
        writer.close()
        await writer.wait_closed()
        return answer[:5]

    assert asyncio.run(talk(), debug=True) == pattern(5)


def test_asyncio_connect_refused(modem: Modem) -> None:
    async def connect() -> None:
        sock = nbsocket.socket(modem=modem)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (ADDRESS, unused_port()))
        finally:
            sock.close()

    with pytest.raises(ConnectionRefusedError):
        asyncio.run(connect())


@pytest.fixture(scope="module")
def certificate() -> trustme.LeafCert:
    return AUTHORITY.issue_cert("server.example")


AUTHORITY = trustme.CA()


@pytest.fixture
def tls_port(certificate: trustme.LeafCert) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            echo(secure)

    with tcp_server(serve) as port:
        yield port


@pytest.fixture
def context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@pytest.mark.parametrize("data_format", ["hex", "raw"])
def test_tls(make_modem: Callable[..., Modem], tls_port: int, context: ssl.SSLContext, data_format: str) -> None:
    data = pattern(40_000)
    sock = connected(make_modem("pty", data_format), tls_port)
    with context.wrap_socket(sock, server_hostname="server.example") as secure:
        # One thread: OpenSSL does not allow reading and writing at once. What comes back waits in the channel.
        secure.sendall(data)
        assert receive_exactly(secure, len(data)) == data
        assert secure.version() is not None


def test_tls_with_a_wrong_name_is_refused(modem: Modem, tls_port: int, context: ssl.SSLContext) -> None:
    with connected(modem, tls_port) as sock, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(sock, server_hostname="other.example")


def test_wrapping_in_tls_before_connect_does_not_leak(modem: Modem, context: ssl.SSLContext) -> None:
    """Without patch() the wrapper's connect would be the operating system's."""
    with nbsocket.socket(modem=modem) as sock, pytest.raises(OSError, match="detaching an unconnected") as caught:
        context.wrap_socket(sock, server_hostname="server.example")
    assert caught.value.errno == errno.EOPNOTSUPP
    with socket.socket() as bystander:
        # The wrapper that came to nothing must not close the fd number that is another's now.
        del caught
        gc.collect()
        bystander.getsockname()


def test_asyncio_tls(modem: Modem, tls_port: int, context: ssl.SSLContext) -> None:
    async def talk() -> bytes:
        sock = nbsocket.socket(modem=modem)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (ADDRESS, tls_port))
        reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname="server.example")
        writer.write(b"secret")
        answer = await asyncio.wait_for(reader.readexactly(6), PATIENCE)
        writer.close()
        await writer.wait_closed()
        return answer

    assert asyncio.run(talk()) == b"secret"


def test_makefile(modem: Modem, port: int) -> None:
    with connected(modem, port) as sock:
        with sock.makefile("rw", encoding="utf-8", newline="\n") as file:
            file.write("zwölf\nzeilen\n")
            file.flush()
            assert file.readline() == "zwölf\n"
            sock.close()
            assert file.readline() == "zeilen\n"
        assert sock.fileno() == -1


def test_makefile_unbuffered_and_not_blocking(modem: Modem, port: int) -> None:
    with connected(modem, port) as sock, sock.makefile("rb", buffering=0) as file:
        sock.setblocking(False)
        assert file.read(1) is None


def test_dup(modem: Modem, port: int) -> None:
    with connected(modem, port) as sock, sock.dup() as copy:
        assert type(copy) is nbsocket.socket
        assert copy.getpeername() == sock.getpeername()
        sock.close()
        copy.sendall(b"by the copy")
        assert receive_exactly(copy, 11) == b"by the copy"


def test_dup_before_connect(modem: Modem, port: int) -> None:
    with nbsocket.socket(modem=modem) as sock, sock.dup() as copy:
        copy.settimeout(PATIENCE)
        copy.connect((ADDRESS, port))
        copy.sendall(b"x")
        assert copy.recv(1) == b"x"


def test_detach_and_wrap_again(modem: Modem, port: int) -> None:
    sock = connected(modem, port)
    fd = sock.detach()
    assert sock.fileno() == -1
    with nbsocket.socket(fileno=fd) as again:
        assert (again.family, again.type) == (socket.AF_INET, socket.SOCK_STREAM)
        assert again.getpeername() == (ADDRESS, port)
        again.settimeout(PATIENCE)
        again.sendall(b"again")
        assert receive_exactly(again, 5) == b"again"


def test_detach_of_an_unconnected_socket_is_refused(modem: Modem) -> None:
    with nbsocket.socket(modem=modem) as sock:
        with pytest.raises(OSError, match="detaching"):
            sock.detach()
        assert sock.fileno() >= 0
    assert sock.detach() == -1


def test_the_fd_alone_keeps_the_connection(modem: Modem, port: int) -> None:
    """As a C library would have it, without any Python object."""
    fd = connected(modem, port).detach()
    gc.collect()
    os.set_blocking(fd, True)
    os.write(fd, b"by number")
    assert os.read(fd, 100) == b"by number"
    os.close(fd)
    while modem.sockets():
        pass


def test_a_forgotten_socket_frees_its_id(modem: Modem, port: int) -> None:
    sock = connected(modem, port)
    with pytest.warns(ResourceWarning):
        del sock
        gc.collect()
    while modem.sockets():
        pass


def test_adopted_descriptors_are_left_alone(modem: Modem) -> None:
    ours, theirs = socket.socketpair()
    with theirs, nbsocket.socket(fileno=ours.detach(), modem=modem) as adopted:
        assert adopted.family == socket.AF_UNIX
        adopted.sendall(b"x")
        assert theirs.recv(1) == b"x"
    with tcp_server(echo) as port:
        native = socket.create_connection(("127.0.0.1", port))
        with nbsocket.fromfd(native.fileno(), socket.AF_INET, socket.SOCK_STREAM) as adopted:
            native.close()
            assert adopted.getpeername() == ("127.0.0.1", port)
            adopted.sendall(b"x")
            assert adopted.recv(1) == b"x"
            with pytest.raises(OSError) as caught:
                adopted.connect((ADDRESS, port))
            assert caught.value.errno == errno.EISCONN


def test_socketpair() -> None:
    one, other = nbsocket.socketpair()
    with one, other:
        assert type(one) is nbsocket.socket
        assert one.family == socket.AF_UNIX
        one.sendall(b"x")
        assert other.recv(1) == b"x"


def test_connecting_twice(modem: Modem, port: int) -> None:
    with connected(modem, port) as sock:
        with pytest.raises(OSError) as caught:
            sock.connect((ADDRESS, port))
        assert caught.value.errno == errno.EISCONN
        assert sock.connect_ex((ADDRESS, port)) == errno.EISCONN


@pytest.mark.parametrize("method", ["connect", "connect_ex", "bind"])
@pytest.mark.parametrize("address", [("h", -1), ("h", 65536), ("h", "80"), "h:80", ("h",), None])
def test_wrong_addresses(modem: Modem, method: str, address: Any) -> None:
    with nbsocket.socket(modem=modem) as sock, pytest.raises((TypeError, OverflowError)):
        getattr(sock, method)(address)


CALLS_ON_CLOSED: list[Callable[[nbsocket.socket], object]] = [
    lambda sock: sock.connect((ADDRESS, 80)),
    lambda sock: sock.bind(("", 80)),
    lambda sock: sock.sendto(b"x", (ADDRESS, 80)),
    lambda sock: sock.send(b"x"),
    lambda sock: sock.recv(1),
    lambda sock: sock.getpeername(),
    lambda sock: sock.getsockname(),
    lambda sock: sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE),
    lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    lambda sock: sock.setsockopt(nbsocket.SOL_NB, nbsocket.NB_RAI, 1),
    lambda sock: sock.shutdown(socket.SHUT_RDWR),
]


@pytest.mark.parametrize("call", CALLS_ON_CLOSED)
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_closed_sockets(modem: Modem, kind: int, call: Callable[[nbsocket.socket], object]) -> None:
    sock = nbsocket.socket(socket.AF_INET, kind, modem=modem)
    sock.close()
    with pytest.raises(OSError) as caught:
        call(sock)
    assert caught.value.errno == errno.EBADF
