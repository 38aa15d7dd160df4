"""A socket before and while it is connected: every test runs over the operating system's network, too."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import queue
import resource
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

import nbsocket
from nbsocket import Modem
from tests.helpers import PATIENCE, receive_exactly, tcp_server, unused_port

ADDRESS = "198.18.0.1"
SILENT = "198.18.0.2"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="epoll and TCP_INFO are Linux's")


@dataclass
class Network:
    """Makes sockets, and says where there is what."""

    make: Callable[..., socket.socket]
    #: a server that hands out its ends of the connections
    server: tuple[str, int]
    accepted: queue.Queue[socket.socket]
    #: nobody listens
    refusing: tuple[str, int]
    #: nobody answers
    silent: tuple[str, int]

    def peer(self) -> socket.socket:
        """The server's end of the connection made last."""
        return self.accepted.get(timeout=PATIENCE)


@contextmanager
def full_backlog() -> Iterator[tuple[str, int]]:
    """The address of a listener that takes no more connections: the kernel lets attempts wait."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


@pytest.fixture(params=["native", "modem"])
def network(request: pytest.FixtureRequest, make_modem: Callable[..., Modem]) -> Iterator[Network]:
    accepted: queue.Queue[socket.socket] = queue.Queue()
    made: list[socket.socket] = []
    make: Callable[..., socket.socket]
    is_over = threading.Event()

    def handle(connection: socket.socket) -> None:
        accepted.put(connection)
        is_over.wait(PATIENCE)

    with ExitStack() as stack:
        port = stack.enter_context(tcp_server(handle))
        stack.callback(is_over.set)
        if request.param == "native":
            silent = stack.enter_context(full_backlog())
            make, host = partial(socket.socket), "127.0.0.1"
        else:
            make = partial(nbsocket.socket, modem=make_modem(hosts={SILENT: "timeout"}))
            host, silent = ADDRESS, (SILENT, 80)

        def keep(**arguments: Any) -> socket.socket:
            made.append(make(**arguments))
            stack.callback(made[-1].close)
            return made[-1]

        yield Network(keep, (host, port), accepted, (host, unused_port()), silent)


# -- epoll


def events(epoll: select.epoll, timeout: float = PATIENCE) -> list[tuple[int, int]]:
    return epoll.poll(timeout)


def begin(sock: socket.socket, address: tuple[str, int]) -> None:
    sock.setblocking(False)
    assert sock.connect_ex(address) == errno.EINPROGRESS


def wait_until_connected(sock: socket.socket) -> None:
    assert select.select([], [sock], [], PATIENCE)[1]


@pytest.fixture
def epoll() -> Iterator[select.epoll]:
    with select.epoll() as epoll:
        yield epoll


def test_registered_before_connecting(network: Network, epoll: select.epoll) -> None:
    """As kafka-python 2 and tornado do: what is registered, modified and removed is the connection."""
    sock = network.make()
    sock.setblocking(False)
    epoll.register(sock, select.EPOLLIN)
    begin(sock, network.server)
    wait_until_connected(sock)
    assert events(epoll, 0) == []
    network.peer().sendall(b"hello")
    assert events(epoll) == [(sock.fileno(), select.EPOLLIN)]
    epoll.modify(sock, select.EPOLLOUT)
    assert events(epoll) == [(sock.fileno(), select.EPOLLOUT)]
    epoll.unregister(sock)
    assert events(epoll, 0) == []
    epoll.register(sock, select.EPOLLIN)


def test_registered_before_a_blocking_connect(network: Network, epoll: select.epoll) -> None:
    sock = network.make()
    epoll.register(sock, select.EPOLLIN | select.EPOLLOUT)
    assert events(epoll) == [(sock.fileno(), select.EPOLLOUT | select.EPOLLHUP)]
    sock.settimeout(PATIENCE)
    sock.connect(network.server)
    assert events(epoll) == [(sock.fileno(), select.EPOLLOUT)]


def test_nothing_is_reported_while_connecting(network: Network, epoll: select.epoll) -> None:
    sock = network.make()
    epoll.register(sock, select.EPOLLIN | select.EPOLLOUT)
    begin(sock, network.silent)
    assert events(epoll, 0) == []


@pytest.mark.parametrize("flag", [select.EPOLLET, select.EPOLLONESHOT])
def test_edge_triggered_and_one_shot(network: Network, epoll: select.epoll, flag: int) -> None:
    sock = network.make()
    epoll.register(sock, select.EPOLLIN | flag)
    begin(sock, network.server)
    wait_until_connected(sock)
    peer = network.peer()
    peer.sendall(b"a")
    assert events(epoll) == [(sock.fileno(), select.EPOLLIN)]
    assert events(epoll, 0) == []
    epoll.modify(sock, select.EPOLLIN | flag)
    assert events(epoll) == [(sock.fileno(), select.EPOLLIN)]


def test_exclusive_and_nested(network: Network, epoll: select.epoll) -> None:
    sock = network.make()
    with select.epoll() as outer:
        epoll.register(sock, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        outer.register(epoll, select.EPOLLIN)
        begin(sock, network.server)
        wait_until_connected(sock)
        assert outer.poll(0) == []
        network.peer().sendall(b"a")
        assert outer.poll(PATIENCE) == [(epoll.fileno(), select.EPOLLIN)]
        assert events(epoll) == [(sock.fileno(), select.EPOLLIN)]


def test_several_sets_and_two_descriptors_of_one(network: Network, epoll: select.epoll) -> None:
    sock = network.make()
    copy = os.dup(epoll.fileno())
    with select.epoll() as other, select.epoll.fromfd(copy) as same:
        epoll.register(sock, select.EPOLLOUT)
        other.register(sock, select.EPOLLIN)
        begin(sock, network.server)
        assert events(epoll) == [(sock.fileno(), select.EPOLLOUT)]
        assert same.poll(0) == [(sock.fileno(), select.EPOLLOUT)]
        network.peer().sendall(b"a")
        assert other.poll(PATIENCE) == [(sock.fileno(), select.EPOLLIN)]


class Event(ctypes.Structure):
    if os.uname().machine == "x86_64":
        _pack_ = 1
    _fields_ = (("events", ctypes.c_uint32), ("data", ctypes.c_uint64))


def test_the_data_of_a_registration_stays(network: Network, epoll: select.epoll) -> None:
    """libevent, libuv and others keep a pointer there."""
    libc = ctypes.CDLL(None)
    sock = network.make()
    data = 0x8899AABB_CCDDEEFF
    assert libc.epoll_ctl(epoll.fileno(), 1, sock.fileno(), ctypes.byref(Event(select.EPOLLOUT, data))) == 0
    begin(sock, network.server)
    found = Event()
    assert libc.epoll_wait(epoll.fileno(), ctypes.byref(found), 1, int(PATIENCE * 1000)) == 1
    assert (found.events, found.data) == (select.EPOLLOUT, data)


def test_a_descriptor_beyond_select(network: Network, epoll: select.epoll) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2100:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    low = network.make()
    high = fcntl.fcntl(low.fileno(), fcntl.F_DUPFD_CLOEXEC, 2048)
    low.close()
    sock = network.make(fileno=high)
    epoll.register(sock, select.EPOLLOUT)
    begin(sock, network.server)
    assert events(epoll) == [(high, select.EPOLLOUT)]


def test_second_connect_after_a_failure(network: Network, epoll: select.epoll) -> None:
    sock = network.make()
    epoll.register(sock, select.EPOLLOUT)
    begin(sock, network.refusing)
    assert events(epoll)[0][1] & select.EPOLLHUP
    assert sock.connect_ex(network.refusing) == errno.ECONNREFUSED
    assert sock.connect_ex(network.server) == errno.EINPROGRESS
    assert events(epoll) == [(sock.fileno(), select.EPOLLOUT)]
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    # Linux tells once more that it has succeeded.
    assert sock.connect_ex(network.server) in (0, errno.EISCONN)
    epoll.unregister(sock)


def test_second_blocking_connect_after_a_failure(network: Network, epoll: select.epoll) -> None:
    sock = network.make()
    epoll.register(sock, select.EPOLLOUT)
    assert sock.connect_ex(network.refusing) == errno.ECONNREFUSED
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert events(epoll) == [(sock.fileno(), select.EPOLLOUT | select.EPOLLHUP)]
    assert sock.connect_ex(network.server) == 0
    assert events(epoll) == [(sock.fileno(), select.EPOLLOUT)]


def test_a_thread_that_waits_already(network: Network, epoll: select.epoll) -> None:
    sock = network.make()
    epoll.register(sock, select.EPOLLIN | select.EPOLLET)
    assert len(events(epoll)) == 1
    found: queue.Queue[list[tuple[int, int]]] = queue.Queue()
    thread = threading.Thread(target=lambda: found.put(epoll.poll(PATIENCE)))
    thread.start()
    begin(sock, network.server)
    network.peer().sendall(b"a")
    assert found.get(timeout=PATIENCE) == [(sock.fileno(), select.EPOLLIN)]
    thread.join()


def test_a_registration_of_another_socket_stays(network: Network, epoll: select.epoll) -> None:
    """A duplicate that was closed leaves its number in the set; the number may be another socket's by then."""
    first = network.make()
    copy = os.dup(first.fileno())
    epoll.register(copy, select.EPOLLIN)
    os.close(copy)
    second = network.make()
    assert second.fileno() == copy
    begin(second, network.server)
    wait_until_connected(second)
    assert {events for _, events in events(epoll, 0)} == {select.EPOLLHUP}


# -- giving up


def state_of(sock: socket.socket) -> int:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    assert len(info) == 104
    return int(info[0])


ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE, CLOSE_WAIT = 1, 2, 4, 5, 7, 8


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR])
def test_shutdown_ends_a_blocked_connect(network: Network, how: int) -> None:
    sock = network.make()
    outcome: queue.Queue[int] = queue.Queue()
    thread = threading.Thread(target=lambda: outcome.put(sock.connect_ex(network.silent)))
    thread.start()
    while state_of(sock) != SYN_SENT:
        pass
    sock.shutdown(how)
    assert outcome.get(timeout=PATIENCE) == errno.ECONNRESET
    thread.join()
    assert state_of(sock) == CLOSE
    with pytest.raises(OSError) as caught:
        sock.getpeername()
    assert caught.value.errno == errno.ENOTCONN
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert sock.connect_ex(network.server) == 0
    network.peer().sendall(b"a")
    assert sock.recv(1) == b"a"


def test_shutdown_while_a_non_blocking_connect_is_under_way(network: Network) -> None:
    sock = network.make()
    begin(sock, network.silent)
    sock.shutdown(socket.SHUT_RDWR)
    assert select.select([], [sock], [], 0)[1]
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
    assert state_of(sock) == CLOSE
    assert sock.connect_ex(network.server) == errno.EINPROGRESS


def test_shutdown_of_an_unconnected_socket(network: Network) -> None:
    with pytest.raises(OSError) as caught:
        network.make().shutdown(socket.SHUT_RDWR)
    assert caught.value.errno == errno.ENOTCONN


def set_send_timeout(sock: socket.socket, microseconds: int) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, microseconds))


def test_the_send_timeout_bounds_a_connect(network: Network) -> None:
    sock = network.make()
    set_send_timeout(sock, 200_000)
    assert sock.connect_ex(network.silent) == errno.EINPROGRESS
    assert state_of(sock) == SYN_SENT
    assert sock.connect_ex(network.silent) == errno.EALREADY
    sock.settimeout(0.1)
    assert sock.connect_ex(network.silent) == errno.EALREADY
    sock.shutdown(socket.SHUT_RDWR)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


def test_the_send_timeout_does_not_matter_when_it_is_long_enough(network: Network) -> None:
    sock = network.make()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(PATIENCE), 0))
    sock.connect(network.server)
    network.peer().sendall(b"a")
    assert sock.recv(1) == b"a"


def test_a_blocking_connect_takes_an_attempt_over(network: Network) -> None:
    sock = network.make()
    begin(sock, network.server)
    sock.setblocking(True)
    assert sock.connect_ex(network.server) in (0, errno.EISCONN)
    sock.sendall(b"a")
    assert receive_exactly(network.peer(), 1) == b"a"
    assert sock.connect_ex(network.server) == errno.EISCONN


def test_timeouts_of_reading_set_before_connecting_hold(network: Network) -> None:
    sock = network.make()
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", 0, 100_000))
    sock.connect_ex(network.server)
    wait_until_connected(sock)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == struct.pack("ll", 0, 100_000)
    with pytest.raises(BlockingIOError):
        sock.recv(1)


# -- TCP_INFO


def test_states(network: Network) -> None:
    sock = network.make()
    assert state_of(sock) == CLOSE
    begin(sock, network.silent)
    assert state_of(sock) == SYN_SENT
    sock.close()
    refused = network.make()
    assert refused.connect_ex(network.refusing) == errno.ECONNREFUSED
    assert state_of(refused) == CLOSE
    connection = network.make()
    connection.connect(network.server)
    assert state_of(connection) == ESTABLISHED
    connection.shutdown(socket.SHUT_RD)
    assert state_of(connection) == ESTABLISHED
    connection.shutdown(socket.SHUT_WR)
    assert state_of(connection) in (FIN_WAIT1, FIN_WAIT2)


def test_states_when_the_peer_ends(network: Network) -> None:
    sock = network.make()
    sock.connect(network.server)
    network.peer().close()
    assert sock.recv(1) == b""
    assert state_of(sock) == CLOSE_WAIT


def test_states_after_a_reset(network: Network) -> None:
    sock = network.make()
    sock.connect(network.server)
    peer = network.peer()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Over a modem what was not answered makes it a reset.
    sock.sendall(b"a")
    assert peer.recv(1) == b"a"
    peer.close()
    with pytest.raises(ConnectionResetError):
        sock.recv(1)
    assert state_of(sock) == CLOSE


def test_less_of_tcp_info(network: Network) -> None:
    sock: Any = network.make()
    sock.connect(network.server)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == bytes([ESTABLISHED])
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO).to_bytes(4, sys.byteorder)[0] == ESTABLISHED
