"""UDP end to end: unconnected and connected sockets, addresses, sizes."""

from __future__ import annotations

import asyncio
import errno
import select
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import nbsocket
from nbsocket import Modem
from nbsocket.sim import Simulator
from tests.helpers import AT_LOOKALIKES, EVERY_BYTE, PATIENCE, echo, pattern, tcp_server, udp_server

HOST = "server.example"


def udp_socket(modem: Modem, family: int = socket.AF_INET) -> nbsocket.socket:
    sock = nbsocket.socket(family, socket.SOCK_DGRAM, modem=modem)
    sock.settimeout(PATIENCE)
    return sock


@pytest.fixture
def sock(make_modem: Callable[..., Modem]) -> Iterator[nbsocket.socket]:
    with udp_socket(make_modem()) as sock:
        yield sock


@pytest.fixture
def port() -> Iterator[int]:
    with udp_server() as port:
        yield port


def test_echo_of_every_byte(modem: Modem, port: int) -> None:
    with udp_socket(modem) as sock:
        assert sock.sendto(EVERY_BYTE, (HOST, port)) == 256
        assert sock.recvfrom(1000) == (EVERY_BYTE, (modem.resolve(HOST)[0], port))
        sock.connect((HOST, port))
        assert sock.send(EVERY_BYTE) == 256
        assert sock.recv(1000) == EVERY_BYTE


def test_payload_that_looks_like_at_traffic(modem: Modem, port: int) -> None:
    with tcp_server(echo) as tcp_port, udp_socket(modem) as sock, nbsocket.socket(modem=modem) as bystander:
        bystander.settimeout(PATIENCE)
        bystander.connect((HOST, tcp_port))
        for payload in AT_LOOKALIKES:
            sock.sendto(payload, (HOST, port))
            assert sock.recv(1000) == payload
            bystander.sendall(b"still here")
            assert bystander.recv(100) == b"still here"


def test_the_largest_datagram_and_one_byte_more(modem: Modem, port: int) -> None:
    size = modem.segment_size
    assert size in (512, 1024)
    with udp_socket(modem) as sock:
        assert sock.sendto(pattern(size), (HOST, port)) == size
        assert sock.recv(2000) == pattern(size)
        with pytest.raises(OSError, match=str(size)) as caught:
            sock.sendto(bytes(size + 1), (HOST, port))
        assert caught.value.errno == errno.EMSGSIZE
        sock.connect((HOST, port))
        with pytest.raises(OSError) as connected:
            sock.send(bytes(size + 1))
        assert connected.value.errno == errno.EMSGSIZE
        assert sock.send(pattern(size)) == size
        assert sock.recv(2000) == pattern(size)


def test_several_peers(sock: nbsocket.socket) -> None:
    with udp_server() as one, udp_server(lambda data: data[::-1]) as two:
        sock.sendto(b"abc", (HOST, one))
        sock.sendto(b"abc", (HOST, two))
        answers = dict(reversed(sock.recvfrom(100)) for _ in range(2))
        assert {address[1]: data for address, data in answers.items()} == {one: b"abc", two: b"cba"}


def test_more_peers_than_the_module_has_sockets(sock: nbsocket.socket, port: int) -> None:
    """The least recently used peer's place is taken."""
    hosts = [f"198.18.0.{number}" for number in range(1, 8)]
    for host in hosts * 2:
        sock.sendto(host.encode(), (host, port))
        assert sock.recvfrom(100) == (host.encode(), (host, port))


def test_every_way_to_send_and_receive(sock: nbsocket.socket, port: int) -> None:
    buffer = bytearray(10)
    assert sock.sendto(b"a", 0, (HOST, port)) == 1
    data, address = sock.recvfrom(100)
    assert data == b"a"
    assert sock.sendmsg([b"b", memoryview(b"c")], [], 0, address) == 2
    assert sock.recvmsg(100) == (b"bc", [], 0, address)
    sock.sendto(bytearray(b"defgh"), address)
    assert sock.recv(100, socket.MSG_PEEK) == b"defgh"
    assert sock.recvmsg(3) == (b"def", [], socket.MSG_TRUNC, address)
    sock.sendto(bytes(500), address)
    assert sock.recv(3) == bytes(3)
    sock.sendto(memoryview(b"ijk"), address)
    assert sock.recv_into(buffer) == 3
    sock.sendto(b"lmnop", address)
    assert sock.recvfrom_into(buffer, 2) == (2, address)
    assert buffer[:3] == b"lmk"
    sock.sendto(b"qrstu", address)
    pieces = [bytearray(2), bytearray(8)]
    assert sock.recvmsg_into(pieces) == (5, [], 0, address)
    assert bytes(pieces[0] + pieces[1][:3]) == b"qrstu"
    for name in ("recv_into", "recvfrom_into"):
        with pytest.raises(ValueError, match="negative"):
            getattr(sock, name)(buffer, -1)
        with pytest.raises(ValueError, match="greater"):
            getattr(sock, name)(buffer, 11)
    with pytest.raises(ValueError, match="negative"):
        sock.recv(-1)


def _size(call: Callable[[socket.socket], Any]) -> Callable[[socket.socket], Any]:
    """Of what a call returns, only how long it is: what did not fit is undefined."""
    return lambda sock: len(call(sock))


def _message(call: Callable[[socket.socket], Any]) -> Callable[[socket.socket], Any]:
    """All but the address."""
    return lambda sock: call(sock)[:3]


TRUNC, PEEK = getattr(socket, "MSG_TRUNC", 0), socket.MSG_PEEK

#: Ways to take a datagram of 300 bytes.
CUT: dict[str, Callable[[Any], Any]] = {
    "recv": lambda sock: sock.recv(3),
    "recv, real size": _size(lambda sock: sock.recv(3, TRUNC)),
    "recv, room for all": lambda sock: sock.recv(400, TRUNC),
    "recv of nothing": lambda sock: sock.recv(0),
    "recv of nothing, real size": lambda sock: sock.recv(0, TRUNC | PEEK),
    "recvfrom": lambda sock: sock.recvfrom(3)[0],
    "recvfrom of nothing": lambda sock: sock.recvfrom(0)[0],
    "recvfrom, real size": _size(lambda sock: sock.recvfrom(3, TRUNC)[0]),
    "recv_into": lambda sock: sock.recv_into(bytearray(10), 4),
    "recv_into, real size": lambda sock: sock.recv_into(bytearray(10), 4, TRUNC),
    "recv_into, a look at the real size": lambda sock: sock.recv_into(bytearray(1), 0, TRUNC | PEEK),
    "recv_into nothing": lambda sock: sock.recv_into(bytearray()),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(10))[0],
    "recvfrom_into, real size": lambda sock: sock.recvfrom_into(bytearray(10), 0, TRUNC)[0],
    "recvfrom_into nothing": lambda sock: sock.recvfrom_into(bytearray())[0],
    "recvfrom_into nothing, real size": lambda sock: sock.recvfrom_into(bytearray(), 0, TRUNC)[0],
    "recvmsg": _message(lambda sock: sock.recvmsg(3)),
    "recvmsg of nothing": _message(lambda sock: sock.recvmsg(0)),
    "recvmsg, real size": _message(lambda sock: sock.recvmsg(3, 0, TRUNC)),
    "recvmsg, a look": _message(lambda sock: sock.recvmsg(3, 0, TRUNC | PEEK)),
    "recvmsg, room for all": _message(lambda sock: sock.recvmsg(400, 0, TRUNC)),
    "recvmsg_into": _message(lambda sock: sock.recvmsg_into([bytearray(2), bytearray(3)])),
    "recvmsg_into, real size": _message(lambda sock: sock.recvmsg_into([bytearray(2), bytearray(3)], 0, TRUNC)),
    "recvmsg_into nothing": _message(lambda sock: sock.recvmsg_into([], 0, TRUNC)),
    "recvmsg_into, room for all": _message(lambda sock: sock.recvmsg_into([bytearray(400)], 0, TRUNC)),
}


def _taken(sock: socket.socket, way: str, send: Callable[[bytes], object]) -> tuple[Any, Any]:
    """What a way gives, and what the next recv() gives after it; two datagrams wait."""
    for data in (bytes(range(250)) + bytes(50), b"next"):
        send(data)
    sock.settimeout(PATIENCE)
    while len(sock.recv(500, PEEK)) != 300:
        pass
    return CUT[way](sock), sock.recv(500)


@pytest.mark.parametrize("is_connected", [False, True])
@pytest.mark.parametrize("way", CUT)
def test_datagrams_that_do_not_fit_as_natively(sock: nbsocket.socket, way: str, is_connected: bool) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as native:
        server.bind(("127.0.0.1", 0))
        native.bind(("127.0.0.1", 0))
        right = _taken(native, way, lambda data: server.sendto(data, native.getsockname()))
        address = ("198.18.0.1", server.getsockname()[1])
        if is_connected:
            sock.connect(address)
        sock.sendto(b"x", address)
        far = server.recvfrom(10)[1]
        assert _taken(sock, way, lambda data: server.sendto(data, far)) == right


def test_every_way_when_connected(sock: nbsocket.socket, port: int) -> None:
    buffer = bytearray(10)
    sock.connect((HOST, port))
    peer = sock.getpeername()
    assert peer[1] == port
    sock.sendall(b"abc")
    assert sock.recvfrom(2) == (b"ab", peer)
    assert sock.sendmsg([b"d", b"ef"]) == 3
    assert sock.recvmsg(2) == (b"de", [], socket.MSG_TRUNC, peer)
    assert sock.sendto(b"ghi", peer) == 3
    assert sock.recvfrom_into(buffer) == (3, peer)
    sock.send(b"jkl")
    assert sock.recvmsg_into([buffer]) == (3, [], 0, peer)
    sock.send(b"mno")
    assert sock.recv_into(buffer) == 3
    with pytest.raises(OSError) as caught:
        sock.sendto(b"x", (HOST, port ^ 1))
    assert caught.value.errno == errno.EISCONN


def test_reconnecting(sock: nbsocket.socket) -> None:
    with udp_server() as one, udp_server(lambda data: data[::-1]) as two:
        sock.connect((HOST, one))
        sock.send(b"abc")
        assert sock.recv(100) == b"abc"
        sock.connect((HOST, two))
        sock.send(b"abc")
        assert sock.recvfrom(100) == (b"cba", sock.getpeername())


def test_unconnected(sock: nbsocket.socket) -> None:
    for call in (lambda: sock.send(b"x"), lambda: sock.sendall(b"x"), lambda: sock.sendmsg([b"x"])):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EDESTADDRREQ
    for question in (sock.getpeername, lambda: sock.shutdown(socket.SHUT_RDWR)):
        with pytest.raises(OSError) as caught:
            question()
        assert caught.value.errno == errno.ENOTCONN


def test_addresses_and_kind(sock: nbsocket.socket) -> None:
    assert (sock.family, sock.type, sock.proto) == (socket.AF_INET, socket.SOCK_DGRAM, 0)
    assert sock.getsockname() == ("0.0.0.0", 0)
    sock.bind(("", 4000))
    assert sock.getsockname() == ("0.0.0.0", 4000)
    with pytest.raises(OSError) as caught:
        sock.bind(("", 4001))
    assert caught.value.errno == errno.EINVAL


def test_own_address_of_a_connected_socket(make_modem: Callable[..., Modem], port: int) -> None:
    """Programs learn their own address so, before anything was sent."""
    modem = make_modem(attached=False, attach_delay=0.3)
    with udp_socket(modem) as sock:
        sock.connect(("198.18.0.1", port))
        assert "0.0.0.0" in repr(sock), "showing it waits for nobody"
        sock.setblocking(False)
        assert sock.getsockname() == ("0.0.0.0", 0)
        sock.setblocking(True)
        assert sock.getsockname() == ("10.18.237.42", 0)
        sock.setblocking(False)
        assert sock.getsockname() == ("10.18.237.42", 0)
        assert "10.18.237.42" in repr(sock)
        assert not modem.sockets(), "nothing was opened for it"
    with udp_socket(modem) as sock:
        assert sock.getsockname() == ("0.0.0.0", 0)
        sock.bind(("", 4321))
        assert sock.getsockname() == ("0.0.0.0", 4321)
        sock.connect(("198.18.0.1", port))
        assert sock.getsockname() == ("10.18.237.42", 4321)
    with udp_socket(modem, socket.AF_INET6) as sock:
        sock.connect(("::ffff:198.18.0.1", port))
        assert sock.getsockname() == ("::ffff:10.18.237.42", 0, 0, 0)


def test_own_address_without_a_network(make_modem: Callable[..., Modem]) -> None:
    modem = make_modem(registration="searching")
    with udp_socket(modem) as sock, udp_socket(Modem("/nonexistent")) as other:
        for item in (sock, other):
            item.settimeout(0.2)
            item.connect(("198.18.0.1", 9))
            assert item.getsockname() == ("0.0.0.0", 0)


def test_the_local_port_reaches_the_module(make_simulator: Callable[..., Simulator], port: int) -> None:
    simulator = make_simulator()
    with Modem(simulator.path) as modem, udp_socket(modem) as sock:
        sock.bind(("", 4321))
        sock.sendto(b"x", ("198.18.0.1", port))
        assert sock.recv(10) == b"x"
    assert f'AT+QIOPEN=0,0,"UDP","198.18.0.1",{port},4321,1' in simulator.commands


def test_connecting_costs_nothing(make_simulator: Callable[..., Simulator], port: int) -> None:
    simulator = make_simulator()
    with Modem(simulator.path) as modem:
        with udp_socket(modem) as sock:
            sock.bind(("", 0))
            sock.connect(("198.18.0.1", port))
            assert sock.getpeername() == ("198.18.0.1", port)
        modem.command("AT")
        assert not [line for line in simulator.commands if "QIOPEN" in line]


@pytest.mark.parametrize("destination", [("224.0.0.1", 9), ("255.255.255.255", 9), ("<broadcast>", 9)])
def test_multicast_and_broadcast_are_refused(sock: nbsocket.socket, destination: tuple[str, int]) -> None:
    for call in (sock.connect, lambda address: sock.sendto(b"x", address)):
        with pytest.raises(OSError, match="multicast") as caught:
            call(destination)
        assert caught.value.errno == errno.EOPNOTSUPP


@pytest.mark.parametrize(
    "args", [(b"x",), (b"x", 0, ("h", 1), 2), ("x", ("192.0.2.1", 9)), (b"x", "192.0.2.1"), (b"x", ("192.0.2.1",))]
)
def test_wrong_arguments(sock: nbsocket.socket, args: Any) -> None:
    with pytest.raises(TypeError):
        sock.sendto(*args)


def test_empty_datagrams_are_refused(sock: nbsocket.socket, port: int) -> None:
    with pytest.raises(OSError, match="empty") as caught:
        sock.sendto(b"", (HOST, port))
    assert caught.value.errno == errno.EINVAL


def test_ipv6(make_modem: Callable[..., Modem]) -> None:
    with udp_socket(make_modem(), socket.AF_INET6) as sock:
        assert sock.getsockname() == ("::", 0, 0, 0)
        with pytest.raises(socket.gaierror):
            sock.sendto(b"x", ("192.0.2.1", 9))


def test_timeouts_and_readiness(sock: nbsocket.socket, port: int) -> None:
    sock.settimeout(0.01)
    with pytest.raises(TimeoutError):
        sock.recvfrom(10)
    sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        sock.recvfrom(10)
    assert select.select([sock], [sock], [], 0) == ([], [sock], [])
    sock.sendto(b"x", (HOST, port))
    assert select.select([sock], [], [], PATIENCE)[0] == [sock]
    assert sock.recv(10) == b"x"


def test_closing_the_modem_ends_receiving(make_modem: Callable[..., Modem], port: int) -> None:
    modem = make_modem()
    with udp_socket(modem) as sock:
        sock.sendto(b"x", (HOST, port))
        assert sock.recv(10) == b"x"
        modem.close()
        with pytest.raises(OSError, match="closed"):
            sock.recv(10)


def test_dup_detach_and_wrap_again(make_modem: Callable[..., Modem], port: int) -> None:
    with udp_socket(make_modem()) as sock:
        copy = sock.dup()
        copy.sendto(b"by copy", (HOST, port))
        assert sock.recv(100) == b"by copy"
        copy.close()
        again = nbsocket.socket(fileno=sock.detach(), modem=make_modem())
    with again:
        assert (again.family, again.type) == (socket.AF_INET, socket.SOCK_DGRAM)
        again.settimeout(PATIENCE)
        again.sendto(b"wrapped again", (HOST, port))
        assert again.recvfrom(100)[0] == b"wrapped again"


@pytest.mark.parametrize("is_connected", [True, False])
def test_asyncio_endpoint(make_modem: Callable[..., Modem], port: int, is_connected: bool) -> None:
    """asyncio registers the fd when the endpoint is made, before anything is sent."""

    class Asker(asyncio.DatagramProtocol):
        def __init__(self, answer: asyncio.Future[bytes]) -> None:
            self.answer = answer

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.answer.set_result(data)

    async def ask(modem: Modem) -> bytes:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        sock = nbsocket.socket(socket.AF_INET, socket.SOCK_DGRAM, modem=modem)
        sock.setblocking(False)
        if is_connected:
            sock.connect(("198.18.0.1", port))
        transport, _ = await loop.create_datagram_endpoint(lambda: Asker(answer), sock=sock)
        transport.sendto(b"hello", None if is_connected else ("198.18.0.1", port))
        try:
            return await asyncio.wait_for(answer, PATIENCE)
        finally:
            transport.close()

    assert asyncio.run(ask(make_modem())) == b"hello"
