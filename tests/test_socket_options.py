"""Options, binding, and what the module cannot do."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

import nbsocket
from nbsocket import NB_RAI, NB_UNACKED, SOL_NB, Modem, patch
from nbsocket.sim import Simulator
from tests.helpers import PATIENCE, echo, tcp_server, udp_server

ADDRESS = "198.18.0.1"


@pytest.fixture
def port() -> Iterator[int]:
    with tcp_server(echo) as port:
        yield port


@pytest.fixture(params=["unconnected", "connected"])
def sock(request: pytest.FixtureRequest, make_modem: Callable[..., Modem], port: int) -> Iterator[nbsocket.socket]:
    with nbsocket.socket(modem=make_modem()) as sock:
        sock.settimeout(PATIENCE)
        if request.param == "connected":
            sock.connect((ADDRESS, port))
        yield sock


@pytest.mark.parametrize(
    ("level", "name", "value"),
    [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 30),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
        (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1),
        (socket.SOL_SOCKET, socket.SO_BROADCAST, 1),
        (socket.IPPROTO_IP, socket.IP_TTL, 33),
        (socket.IPPROTO_IP, socket.IP_TOS, 0x10),
    ],
)
def test_options_are_kept(sock: nbsocket.socket, level: int, name: int, value: int) -> None:
    sock.setsockopt(level, name, value)
    assert sock.getsockopt(level, name) == value


def test_options_set_before_connect_are_there_afterwards(make_modem: Callable[..., Modem], port: int) -> None:
    with nbsocket.socket(modem=make_modem()) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 44)
        sock.setsockopt(SOL_NB, NB_RAI, 2)
        sock.connect((ADDRESS, port))
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 44
        assert sock.getsockopt(SOL_NB, NB_RAI) == 2


def test_the_kind(sock: nbsocket.socket) -> None:
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    if hasattr(socket, "SO_DOMAIN"):
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == socket.AF_INET
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) == socket.IPPROTO_TCP


def test_linger_and_buffers(sock: nbsocket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 7))
    assert struct.unpack("ii", sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == (1, 7)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 65536


@pytest.mark.parametrize(("level", "name"), [(socket.IPPROTO_TCP, 9999), (99, 1), (SOL_NB, 99), (SOL_NB, NB_UNACKED)])
def test_unknown_options(sock: nbsocket.socket, level: int, name: int) -> None:
    with pytest.raises(OSError) as caught:
        sock.setsockopt(level, name, 1)
    assert caught.value.errno in (errno.ENOPROTOOPT, errno.EOPNOTSUPP)


def test_rai(sock: nbsocket.socket) -> None:
    assert sock.getsockopt(SOL_NB, NB_RAI) == 0
    for value in (1, 2, 0):
        sock.setsockopt(SOL_NB, NB_RAI, value)
        assert sock.getsockopt(SOL_NB, NB_RAI) == value
    sock.setsockopt(SOL_NB, NB_RAI, struct.pack("i", 1))
    assert sock.getsockopt(SOL_NB, NB_RAI, 4) == struct.pack("i", 1)
    for wrong in (3, -1):
        with pytest.raises(OSError, match="0, 1 or 2"):
            sock.setsockopt(SOL_NB, NB_RAI, wrong)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_rai_reaches_the_module(make_simulator: Callable[..., Simulator], port: int, kind: int) -> None:
    simulator = make_simulator()
    with (
        udp_server() as udp_port,
        Modem(simulator.path) as modem,
        nbsocket.socket(socket.AF_INET, kind, modem=modem) as sock,
    ):
        sock.settimeout(PATIENCE)
        sock.setsockopt(SOL_NB, NB_RAI, 2)
        sock.connect((ADDRESS, port if kind == socket.SOCK_STREAM else udp_port))
        sock.send(b"ab")
        assert sock.recv(10) == b"ab"
        sock.setsockopt(SOL_NB, NB_RAI, 0)
        sock.send(b"cd")
        assert sock.recv(10) == b"cd"
    assert 'AT+QISEND=0,2,"6162",2' in simulator.commands
    assert 'AT+QISEND=0,2,"6364"' in simulator.commands


def test_unacknowledged_bytes(make_modem: Callable[..., Modem], port: int) -> None:
    with nbsocket.socket(modem=make_modem()) as sock:
        with pytest.raises(OSError) as caught:
            sock.getsockopt(SOL_NB, NB_UNACKED)
        assert caught.value.errno == errno.ENOTCONN
        sock.connect((ADDRESS, port))
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        assert sock.getsockopt(SOL_NB, NB_UNACKED) == 0


def test_binding_a_local_port(make_simulator: Callable[..., Simulator], port: int) -> None:
    simulator = make_simulator()
    with Modem(simulator.path) as modem, nbsocket.socket(modem=modem) as sock:
        sock.bind(("", 4321))
        assert sock.getsockname() == ("0.0.0.0", 4321)
        with pytest.raises(OSError) as caught:
            sock.bind(("", 4322))
        assert caught.value.errno == errno.EINVAL
        sock.connect((ADDRESS, port))
        assert sock.getsockname()[1] == 4321
    assert f'AT+QIOPEN=0,0,"TCP","{ADDRESS}",{port},4321,1' in simulator.commands


def test_binding_the_wildcard_is_nothing(make_simulator: Callable[..., Simulator], port: int) -> None:
    simulator = make_simulator()
    with Modem(simulator.path) as modem, nbsocket.socket(modem=modem) as sock:
        sock.bind(("", 0))
        sock.connect((ADDRESS, port))
    assert f'AT+QIOPEN=0,0,"TCP","{ADDRESS}",{port}' in simulator.commands


def test_the_70_seconds_of_a_local_port(make_modem: Callable[..., Modem], port: int) -> None:
    modem = make_modem()
    for outcome in (0, errno.EADDRINUSE):
        with nbsocket.socket(modem=modem) as sock:
            sock.bind(("", 4321))
            assert sock.connect_ex((ADDRESS, port)) == outcome
        while modem.sockets():
            pass


def test_binding_another_address_is_refused(sock: nbsocket.socket) -> None:
    with pytest.raises(OSError) as caught:
        sock.bind(("127.0.0.1", 0))
    assert caught.value.errno in (errno.EADDRNOTAVAIL, errno.EINVAL)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_no_traffic_before_connect(make_simulator: Callable[..., Simulator], family: int) -> None:
    simulator = make_simulator()
    modem = Modem(simulator.path)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with nbsocket.socket(family, kind, modem=modem) as sock:
            sock.bind(("", 0))
            sock.getsockname()
            sock.setsockopt(SOL_NB, NB_RAI, 1)
            if kind == socket.SOCK_DGRAM:
                sock.connect(("2001:db8::1" if family == socket.AF_INET6 else ADDRESS, 80))
    assert modem.stats().bytes_up == 0
    assert simulator.stats().bytes_up == 0
    modem.close()


def unsupported(call: Callable[[], object]) -> None:
    with pytest.raises(OSError) as caught:
        call()
    assert caught.value.errno == errno.EOPNOTSUPP
    assert "not possible over the module" in str(caught.value)


def test_what_the_module_cannot_do() -> None:
    unsupported(lambda: nbsocket.socket(socket.AF_INET, socket.SOCK_RAW))
    unsupported(lambda: nbsocket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP))
    unsupported(lambda: nbsocket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_UDP))
    unsupported(lambda: nbsocket.create_server(("", 0)))
    membership = socket.inet_aton("224.0.0.1") + socket.inet_aton("0.0.0.0")
    with nbsocket.socket() as stream, nbsocket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        unsupported(stream.listen)
        unsupported(lambda: stream.listen(5))
        unsupported(datagram.listen)
        unsupported(lambda: stream.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership))
        unsupported(lambda: datagram.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership))
    if hasattr(socket, "MSG_FASTOPEN"):
        with nbsocket.socket() as sock:
            unsupported(lambda: sock.sendto(b"x", socket.MSG_FASTOPEN, (ADDRESS, 80)))
            unsupported(lambda: sock.sendmsg([b"x"], [], socket.MSG_FASTOPEN, (ADDRESS, 80)))


def test_other_families_are_the_operating_systems(tmp_path: object) -> None:
    path = f"{tmp_path}/socket"
    with nbsocket.socket(socket.AF_UNIX) as server, nbsocket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"
            assert client.getpeername() == path


# -- SO_LINGER


def set_linger(sock: socket.socket, seconds: int) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))


class Sink:
    """A server that notes what it gets of its one connection."""

    def __init__(self) -> None:
        self.data = b""
        self.has_ended = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                self.data += piece
        self.has_ended.set()


def close(sock: socket.socket) -> None:
    sock.close()


def close_file_last(sock: socket.socket) -> None:
    file = sock.makefile("rb")
    sock.close()
    file.close()


@pytest.mark.parametrize("way", [close, close_file_last])
@pytest.mark.parametrize("timeout", [None, 0.0, 0.01], ids=["blocking", "non-blocking", "short time-out"])
@pytest.mark.parametrize("is_patched", [False, True])
def test_positive_linger_waits_for_the_acknowledgement(
    make_modem: Callable[..., Modem], way: Callable[[socket.socket], None], timeout: float | None, is_patched: bool
) -> None:
    """As on Linux, whatever the socket's time-out."""
    modem, sink = make_modem(latency=0.4), Sink()
    with tcp_server(sink) as port, patch(modem, bypass="none") if is_patched else contextlib.nullcontext():
        sock = socket.socket() if is_patched else nbsocket.socket(modem=modem)
        sock.settimeout(PATIENCE)
        sock.connect((ADDRESS, port))
        set_linger(sock, 20)
        sock.settimeout(timeout)
        assert sock.send(bytes(2000)) == 2000
        way(sock)
        assert len(sink.data) == 2000
        assert not any(item.is_open for item in modem.stats().connections), "and was acknowledged"


def test_positive_linger_that_passes_drops_the_rest(make_modem: Callable[..., Modem]) -> None:
    modem, sink = make_modem(radio_rate=500.0, send_buffer=1024), Sink()
    with tcp_server(sink) as port:
        with nbsocket.socket(modem=modem) as sock:
            sock.settimeout(PATIENCE)
            sock.connect((ADDRESS, port))
            set_linger(sock, 1)
            sock.sendall(bytes(5000))
        assert len(sink.data) < 5000, "close() has not waited for all of it"
        assert sink.has_ended.wait(PATIENCE)
        assert len(sink.data) < 5000


def test_linger_of_0_drops_everything_at_once(make_modem: Callable[..., Modem]) -> None:
    modem, sink = make_modem(latency=1.0), Sink()
    with tcp_server(sink) as port:
        with nbsocket.socket(modem=modem) as sock:
            sock.settimeout(PATIENCE)
            sock.connect((ADDRESS, port))
            set_linger(sock, 0)
            sock.sendall(bytes(5000))
        assert not sink.data
        assert sink.has_ended.wait(PATIENCE)
        assert len(sink.data) < 5000


def test_linger_is_the_last_descriptors(make_modem: Callable[..., Modem]) -> None:
    modem, sink = make_modem(latency=0.4), Sink()
    with tcp_server(sink) as port, nbsocket.socket(modem=modem) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((ADDRESS, port))
        set_linger(sock, 20)
        copy = sock.dup()
        copy.sendall(bytes(2000))
        copy.close()
        assert len(sink.data) < 2000, "it is not the last one"
        sock.close()
        assert len(sink.data) == 2000


def test_linger_of_what_has_ended_waits_for_nothing(make_modem: Callable[..., Modem]) -> None:
    modem = make_modem()
    with tcp_server(lambda connection: None) as port:
        for is_closed in (False, True):
            sock = nbsocket.socket(modem=modem)
            sock.settimeout(PATIENCE)
            sock.connect((ADDRESS, port))
            set_linger(sock, 1000)
            assert sock.recv(1) == b""
            if is_closed:
                modem.close()
            sock.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
@pytest.mark.parametrize("is_connected", [False, True])
def test_user_timeout_of_0_is_the_default(make_modem: Callable[..., Modem], port: int, is_connected: bool) -> None:
    with nbsocket.socket(modem=make_modem(latency=0.2)) as sock:
        sock.settimeout(PATIENCE)
        if is_connected:
            sock.connect((ADDRESS, port))
        for value in (30_000, 0):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, value)
        if not is_connected:
            sock.connect((ADDRESS, port))
        for _ in range(3):
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0
