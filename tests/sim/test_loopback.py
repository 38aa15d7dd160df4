"""The network of real sockets, driven without the module's line."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest

from nbsocket.sim import LoopbackNetwork
from nbsocket.sim._hosts import LoopbackTarget as Target
from nbsocket.sim._loopback import LINGER_TIME
from nbsocket.sim._network import Arrived, Ended, NetworkEvent, Opened

PATIENCE = 10.0


@pytest.fixture
def network() -> Iterator[LoopbackNetwork]:
    made = LoopbackNetwork()
    yield made
    made.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        yield server


def until(network: LoopbackNetwork, is_enough: Callable[[list[NetworkEvent]], bool]) -> list[NetworkEvent]:
    """Poll, waiting on the network's descriptor, until the events are enough."""
    events: list[NetworkEvent] = []
    deadline = time.monotonic() + PATIENCE
    while not is_enough(events):
        fd = network.fileno()
        assert fd is not None
        if network.next_deadline() is None:
            assert select.select([fd], [], [], deadline - time.monotonic())[0], events
        events += network.poll(time.monotonic())
    return events


def connect(network: LoopbackNetwork, listener: socket.socket, handle: int = 1) -> socket.socket:
    network.open(handle, "TCP", Target(*listener.getsockname()), 0, 0.0)
    assert until(network, bool) == [Opened(handle, 0)]
    peer = listener.accept()[0]
    peer.settimeout(PATIENCE)
    return peer


def read_all(peer: socket.socket) -> bytes:
    pieces = []
    while piece := peer.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def arrived(events: list[NetworkEvent]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Arrived))


def test_bytes_go_both_ways_and_fin_comes_last(network: LoopbackNetwork, listener: socket.socket) -> None:
    with connect(network, listener) as peer:
        network.send(1, b"hello", 0.0)
        assert peer.recv(100) == b"hello"
        peer.sendall(b"x" * 10000)
        peer.shutdown(socket.SHUT_WR)
        events = until(network, lambda events: bool(events) and isinstance(events[-1], Ended))
        assert arrived(events) == b"x" * 10000
        assert events[-1] == Ended(1, is_reset=False)
        network.finish(1)
        assert peer.recv(1) == b""


def test_a_reset(network: LoopbackNetwork, listener: socket.socket) -> None:
    peer = connect(network, listener)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    assert until(network, bool) == [Ended(1, is_reset=True)]


def test_refused(network: LoopbackNetwork) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        network.open(1, "TCP", Target(*closed.getsockname()), 0, 0.0)
        assert until(network, bool) == [Opened(1, 566)]


@pytest.mark.parametrize(
    ("service", "verdict", "expected"),
    [("TCP", "refused", [566]), ("UDP", "refused", [0]), ("UDP", "timeout", [0]), ("TCP", "timeout", [])],
)
def test_nowhere(network: LoopbackNetwork, service: str, verdict: str, expected: list[int]) -> None:
    network.open(1, service, verdict, 0, 0.0)
    assert network.poll(0.0) == [Opened(1, result) for result in expected]
    network.send(1, b"into the void", 0.0)
    network.finish(1)


@pytest.mark.parametrize("address", ["198.51.100.1", "0.0.0.0", "2001:db8::1", "10.0.0.1"])
def test_nothing_leaves_loopback(network: LoopbackNetwork, address: str) -> None:
    with pytest.raises(AssertionError, match="never leave loopback"):
        network.open(1, "UDP", Target(address, 9), 0, 0.0)


def test_finish_delivers_everything_although_the_peer_talks(network: LoopbackNetwork, listener: socket.socket) -> None:
    peer = connect(network, listener)
    size = 4 << 20
    network.send(1, b"x" * size, 0.0)
    assert network.unacknowledged(1) > 0
    peer.sendall(b"y" * 1000)  # unread: a plain close would reset the connection and lose data
    network.finish(1)
    received = 0
    while received < size:
        received += len(peer.recv(1 << 20))
        network.poll(time.monotonic())
    assert received == size
    assert peer.recv(1) == b""
    peer.close()


def test_a_peer_that_talks_after_the_end_is_reset(network: LoopbackNetwork, listener: socket.socket) -> None:
    peer = connect(network, listener)
    network.send(1, b"last words", 0.0)
    network.finish(1)
    assert peer.recv(100) == b"last words"
    assert peer.recv(100) == b""
    peer.settimeout(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while time.monotonic() < deadline:
            peer.send(b"x")
            network.poll(0.0)
    peer.close()


def test_a_slow_peer_still_gets_everything(network: LoopbackNetwork, listener: socket.socket) -> None:
    size, now = 16 << 20, 1000.0
    with connect(network, listener) as peer:
        network.poll(now)
        network.send(1, b"x" * size, now)
        network.finish(1)
        received = 0
        while piece := peer.recv(1 << 17):
            received += len(piece)
            now += 0.25  # far more than the linger time in all
            network.poll(now)
        assert received == size
        assert now > 1000.0 + 3 * LINGER_TIME


def test_what_the_peer_does_not_read_is_not_acknowledged(network: LoopbackNetwork, listener: socket.socket) -> None:
    with connect(network, listener) as peer:
        size = 8 << 20
        network.send(1, b"x" * size, 0.0)
        network.poll(0.0)
        assert network.unacknowledged(1) > 0
        received = 0
        deadline = time.monotonic() + PATIENCE
        while network.unacknowledged(1):
            if select.select([peer], [], [], 0)[0]:
                received += len(peer.recv(1 << 20))
            network.poll(time.monotonic())
            assert time.monotonic() < deadline
        assert received <= size


def test_a_pause_closes_the_window(network: LoopbackNetwork, listener: socket.socket) -> None:
    with connect(network, listener) as peer:
        network.set_receiving(1, False)
        peer.sendall(b"x")
        assert network.poll(0.0) == []
        network.set_receiving(1, True)
        assert until(network, bool) == [Arrived(1, b"x")]


def test_a_connection_that_vanished_is_reset_when_the_peer_speaks(
    network: LoopbackNetwork, listener: socket.socket
) -> None:
    with connect(network, listener) as peer:
        network.vanish(1)
        assert network.poll(0.0) == []
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(1)
        peer.settimeout(PATIENCE)
        peer.sendall(b"hello?")
        fd = network.fileno()
        assert fd is not None and select.select([fd], [], [], PATIENCE)[0]
        assert network.poll(0.0) == []
        with pytest.raises(ConnectionResetError):
            peer.recv(1)


def test_ghosts_are_few(network: LoopbackNetwork, listener: socket.socket) -> None:
    peers = []
    for handle in range(70):
        peers.append(connect(network, listener, handle))
        network.vanish(handle)
    with pytest.raises(ConnectionResetError):
        peers[0].recv(1)
    for peer in peers:
        peer.close()


def test_datagrams(network: LoopbackNetwork) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        network.open(1, "UDP", Target(*server.getsockname()), 0, 0.0)
        assert network.poll(0.0) == [Opened(1, 0)]
        network.send(1, b"", 0.0)
        data, address = server.recvfrom(100)
        assert data == b""
        network.send(1, b"x" * 1024, 0.0)
        assert server.recv(2000) == b"x" * 1024
        for data in (b"", b"y" * 3000):
            server.sendto(data, address)
            assert until(network, bool) == [Arrived(1, data)]
        assert network.unacknowledged(1) == 0


def test_a_datagram_nobody_wants_is_just_lost(network: LoopbackNetwork) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        target = Target(*closed.getsockname())
    network.open(1, "UDP", target, 0, 0.0)
    network.poll(0.0)
    for _ in range(3):
        network.send(1, b"x", 0.0)
        assert network.poll(0.0) == []


@pytest.mark.parametrize("service", ["TCP", "UDP"])
def test_a_local_port(network: LoopbackNetwork, listener: socket.socket, service: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if service == "TCP":
        network.open(1, "TCP", Target(*listener.getsockname()), port, 0.0)
        assert until(network, bool) == [Opened(1, 0)]
        peer, address = listener.accept()
        peer.close()
        assert address[1] == port
        return
    network.open(1, "UDP", Target("127.0.0.1", 9), port, 0.0)
    network.open(2, "UDP", Target("127.0.0.1", 9), port, 0.0)
    assert network.poll(0.0) == [Opened(1, 0), Opened(2, 556)]


def test_a_local_port_that_this_machine_uses(network: LoopbackNetwork, listener: socket.socket) -> None:
    """The module has ports of its own: only the port that the peer sees is another one then."""
    host, port = listener.getsockname()
    network.open(1, "TCP", Target(host, port), port, 0.0)
    assert until(network, bool) == [Opened(1, 0)]
    peer, address = listener.accept()
    peer.close()
    assert address[1] != port


def test_ipv6(network: LoopbackNetwork) -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with server:
        network.open(1, "TCP", Target("::1", server.getsockname()[1]), 0, 0.0)
        assert until(network, bool) == [Opened(1, 0)]
        server.accept()[0].close()
