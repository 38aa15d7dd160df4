"""TCP end to end: an application's socket, the simulated module, a real server on loopback."""

from __future__ import annotations

import errno
import queue
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import nbsocket
from nbsocket import Modem
from nbsocket.sim import Fault, Simulator
from tests.helpers import (
    AT_LOOKALIKES,
    EVERY_BYTE,
    PATIENCE,
    echo,
    pattern,
    receive_all,
    receive_exactly,
    tcp_server,
    unused_port,
)

HOST = "server.example"


def connected(modem: Modem, port: int, host: str = HOST) -> nbsocket.socket:
    sock = nbsocket.socket(modem=modem)
    sock.settimeout(PATIENCE)
    sock.connect((host, port))
    return sock


def test_echo_of_every_byte(modem: Modem) -> None:
    with tcp_server(echo) as port, connected(modem, port) as sock:
        sock.sendall(EVERY_BYTE)
        assert receive_exactly(sock, 256) == EVERY_BYTE
        for byte in EVERY_BYTE:
            sock.sendall(bytes([byte]))
        assert receive_exactly(sock, 256) == EVERY_BYTE


def test_payload_that_looks_like_at_traffic(modem: Modem) -> None:
    with tcp_server(echo) as port, connected(modem, port) as sock, connected(modem, port) as bystander:
        for payload in AT_LOOKALIKES:
            sock.sendall(payload)
            bystander.sendall(b"still here")
            assert receive_exactly(sock, len(payload)) == payload
            assert receive_exactly(bystander, 10) == b"still here"
        everything = b"".join(AT_LOOKALIKES) * 20
        sock.sendall(everything)
        assert receive_exactly(sock, len(everything)) == everything


def test_a_long_stream_both_ways(modem: Modem) -> None:
    data = pattern(100_000)
    with tcp_server(echo) as port, connected(modem, port) as sock:
        sender = threading.Thread(target=sock.sendall, args=(data,))
        sender.start()
        assert receive_exactly(sock, len(data)) == data
        sender.join(PATIENCE)


def test_addresses(make_modem: Callable[..., Modem]) -> None:
    modem = make_modem(address="10.9.8.7")
    with tcp_server(echo) as port, connected(modem, port) as sock:
        address, peer_port = sock.getpeername()
        assert socket.inet_aton(address)
        assert peer_port == port
        assert sock.getsockname()[0] == "10.9.8.7"
        assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
        assert f"raddr=('{address}', {port})" in repr(sock)
        with connected(modem, port, address) as other:
            assert other.getpeername() == (address, port)


def test_ipv6(make_modem: Callable[..., Modem]) -> None:
    modem = make_modem()
    with tcp_server(echo) as port, nbsocket.socket(socket.AF_INET6, modem=modem) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(("::ffff:198.18.0.1", port))
        assert sock.getpeername() == ("::ffff:198.18.0.1", port, 0, 0)
        assert len(sock.getsockname()) == 4
        sock.sendall(b"six")
        assert sock.recv(10) == b"six"


def test_five_connections_and_no_sixth(modem: Modem) -> None:
    with tcp_server(echo) as port:
        socks = [connected(modem, port) for _ in range(5)]
        payloads = [pattern(5000, seed) for seed in range(5)]
        senders = [
            threading.Thread(target=sock.sendall, args=(data,)) for sock, data in zip(socks, payloads, strict=True)
        ]
        for sender in senders:
            sender.start()
        assert [receive_exactly(sock, 5000) for sock in socks] == payloads
        with nbsocket.socket(modem=modem) as sixth:
            sixth.settimeout(PATIENCE)
            with pytest.raises(OSError, match="5") as caught:
                sixth.connect((HOST, port))
            assert caught.value.errno == errno.EMFILE
            socks.pop().close()
            wait_until_free(modem)
            sixth.connect((HOST, port))
            sixth.sendall(b"in")
            assert sixth.recv(10) == b"in"
        for sock in socks:
            sock.close()


def wait_until_free(modem: Modem) -> None:
    """An id is free when the module has closed it, which takes it a moment after close(); asking it takes time, too."""
    deadline = time.monotonic() + PATIENCE
    while len(modem.sockets()) == 5:
        assert time.monotonic() < deadline, "no id ever came free"


def test_refused(modem: Modem) -> None:
    port = unused_port()
    with nbsocket.socket(modem=modem) as sock:
        sock.settimeout(PATIENCE)
        with pytest.raises(ConnectionRefusedError) as caught:
            sock.connect((HOST, port))
        assert caught.value.errno == errno.ECONNREFUSED
        assert caught.value.result == 566  # type: ignore[attr-defined]  # documented extra attribute
        assert sock.connect_ex((HOST, port)) == errno.ECONNREFUSED
        with pytest.raises(OSError) as unconnected:
            sock.getpeername()
        assert unconnected.value.errno == errno.ENOTCONN
        with tcp_server(echo) as good_port:
            sock.connect((HOST, good_port))
            sock.sendall(b"the same socket again")
            assert sock.recv(100) == b"the same socket again"


def test_unknown_host(modem: Modem) -> None:
    with nbsocket.socket(modem=modem) as sock:
        sock.settimeout(PATIENCE)
        with pytest.raises(socket.gaierror) as caught:
            sock.connect(("nobody.invalid", 80))
        assert caught.value.errno == socket.EAI_NONAME


def test_timeout_during_connect_frees_the_id(make_simulator: Callable[..., Simulator]) -> None:
    simulator = make_simulator(hosts={"slow.example": "timeout"})
    with tcp_server(echo) as port, Modem(simulator.path) as modem:
        for _ in range(6):
            with nbsocket.socket(modem=modem) as sock:
                sock.settimeout(0.05)
                with pytest.raises(TimeoutError) as caught:
                    sock.connect(("slow.example", 80))
                assert str(caught.value) == "timed out"
                wait_until_free(modem)
                assert sock.connect_ex(("slow.example", 80)) == errno.EWOULDBLOCK
                wait_until_free(modem)
        with nbsocket.socket(modem=modem) as sock:
            sock.settimeout(PATIENCE)
            sock.connect((HOST, port))
            sock.sendall(b"free")
            assert sock.recv(10) == b"free"


def test_no_answer_from_far_away(make_modem: Callable[..., Modem]) -> None:
    modem = make_modem(hosts={"slow.example": "timeout"}, connect_timeout=0.2)
    with nbsocket.socket(modem=modem) as sock:
        with pytest.raises(TimeoutError) as caught:
            sock.connect(("slow.example", 80))
        assert caught.value.errno == errno.ETIMEDOUT


def test_data_and_then_the_end(modem: Modem) -> None:
    data = pattern(20_000)
    with tcp_server(lambda connection: connection.sendall(data)) as port, connected(modem, port) as sock:
        assert receive_all(sock) == data
        assert sock.recv(1) == b""


def reset_after(data: bytes, go: queue.Queue[None]) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.sendall(data)
        go.get(timeout=PATIENCE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return serve


def test_remote_reset(modem: Modem) -> None:
    go: queue.Queue[None] = queue.Queue()
    with tcp_server(reset_after(b"last words", go)) as port, connected(modem, port) as sock:
        assert receive_exactly(sock, 10) == b"last words"
        go.put(None)
        # The module says "closed" for a reset as for an end, and nothing that was written is lost.
        assert select.select([sock], [], [], PATIENCE)[0]
        assert sock.recv(10) == b""


def test_remote_reset_before_an_answer(modem: Modem) -> None:
    def serve(connection: socket.socket) -> None:
        assert receive_exactly(connection, 6) == b"heard?"
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with tcp_server(serve) as port, connected(modem, port) as sock:
        sock.sendall(b"heard?")
        with pytest.raises(ConnectionResetError):
            sock.recv(10)


def test_the_module_restarts(make_simulator: Callable[..., Simulator]) -> None:
    simulator = make_simulator()
    with tcp_server(echo) as port, Modem(simulator.path) as modem:
        with connected(modem, port) as sock:
            sock.sendall(b"before")
            assert receive_exactly(sock, 6) == b"before"
            simulator.inject(Fault("restart"))
            with pytest.raises(ConnectionResetError):
                sock.recv(10)
        with connected(modem, port) as sock:
            sock.sendall(b"after")
            assert receive_exactly(sock, 5) == b"after"


def test_the_port_vanishes(make_simulator: Callable[..., Simulator]) -> None:
    simulator = make_simulator()
    with tcp_server(echo) as port, Modem(simulator.path) as modem, connected(modem, port) as sock:
        simulator.inject(Fault("hang_up"))
        with pytest.raises(ConnectionResetError):
            sock.recv(10)


def test_close_with_data_in_flight(modem: Modem) -> None:
    arrived: queue.Queue[bytes] = queue.Queue()
    data = pattern(15_000)
    with tcp_server(lambda connection: arrived.put(receive_all(connection))) as port:
        sock = connected(modem, port)
        sock.sendall(data)
        sock.close()
        assert arrived.get(timeout=PATIENCE) == data


def test_all_is_sent_before_the_module_closes(make_simulator: Callable[..., Simulator]) -> None:
    arrived: queue.Queue[bytes] = queue.Queue()
    simulator = make_simulator(latency=0.02)
    data = pattern(3000)
    with tcp_server(lambda connection: arrived.put(receive_all(connection))) as port, Modem(simulator.path) as modem:
        sock = connected(modem, port)
        sock.sendall(data)
        sock.close()
        assert arrived.get(timeout=PATIENCE) == data
    commands = simulator.commands
    closing = commands.index("AT+QICLOSE=0")
    sends = [number for number, line in enumerate(commands) if line.startswith("AT+QISEND=0,") and '"' in line]
    assert sum(int(commands[number].split(",")[1]) for number in sends) == len(data)
    assert max(sends) < closing


def test_closing_the_modem_flushes(modem: Modem) -> None:
    arrived: queue.Queue[bytes] = queue.Queue()
    data = pattern(5000)
    with tcp_server(lambda connection: arrived.put(receive_all(connection))) as port:
        with connected(modem, port) as sock:
            sock.sendall(data)
        modem.close()
        assert arrived.get(timeout=PATIENCE) == data


def test_shutdown_of_writing(modem: Modem) -> None:
    """The module has no half-close: the server sees the end only when its own answer is over, or the linger time."""
    data = pattern(3000)

    def answer_by_size(connection: socket.socket) -> None:
        received = receive_exactly(connection, len(data))
        connection.sendall(received[::-1])

    with tcp_server(answer_by_size) as port, connected(modem, port) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        with pytest.raises(BrokenPipeError):
            sock.send(b"more")
        assert receive_all(sock) == data[::-1]


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_RDWR])
def test_shutdown_of_reading(make_modem: Callable[..., Modem], how: int) -> None:
    with tcp_server(echo) as port, connected(make_modem(), port) as sock:
        sock.sendall(b"x")
        sock.shutdown(how)
        while sock.recv(10):
            pass
        assert sock.recv(10) == b""


def test_sending_after_the_peer_closed_fails(make_modem: Callable[..., Modem]) -> None:
    with tcp_server(lambda connection: None) as port, connected(make_modem(), port) as sock:
        assert sock.recv(10) == b""
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while True:
                sock.sendall(bytes(1000))


def test_receiving_times_out(make_modem: Callable[..., Modem]) -> None:
    with tcp_server(echo) as port, connected(make_modem(), port) as sock:
        sock.settimeout(0.01)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)


def test_every_way_to_send_and_receive(modem: Modem) -> None:
    buffer = bytearray(10)
    with tcp_server(echo) as port, connected(modem, port) as sock:
        assert sock.send(b"send") == 4
        assert receive_exactly(sock, 4) == b"send"
        assert sock.sendto(b"to", ("192.0.2.1", 9)) == 2
        wait_for(sock, 2)
        assert sock.recv(10, socket.MSG_PEEK) == b"to"
        assert sock.recvfrom(10) == (b"to", None)
        assert sock.sendmsg([b"m", memoryview(b"sg")]) == 3
        wait_for(sock, 3)
        assert sock.recvmsg(10)[0] == b"msg"
        sock.sendall(memoryview(b"into"))
        wait_for(sock, 4)
        assert sock.recv_into(buffer) == 4
        sock.sendall(bytearray(b"from"))
        wait_for(sock, 4)
        assert sock.recvfrom_into(buffer, 2) == (2, None)
        assert sock.recvmsg_into([bytearray(1), bytearray(5)])[0] == 2
        with pytest.raises(OSError, match="MSG_OOB") as caught:
            sock.send(b"!", socket.MSG_OOB)
        assert caught.value.errno == errno.EOPNOTSUPP
        with pytest.raises(OSError, match="ancillary"):
            sock.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", 0))])


def wait_for(sock: Any, size: int) -> None:
    """Wait until ``size`` bytes can be read at once."""
    sock.recv(size, socket.MSG_PEEK | socket.MSG_WAITALL)


def test_sendfile(make_modem: Callable[..., Modem], tmp_path: Any) -> None:
    data = pattern(9000)
    path = tmp_path / "data"
    path.write_bytes(data)
    with tcp_server(echo) as port, connected(make_modem(), port) as sock, path.open("rb") as file:
        assert sock.sendfile(file) == len(data)
        assert receive_exactly(sock, len(data)) == data


def test_two_modems_at_once(make_modem: Callable[..., Modem]) -> None:
    one, other = make_modem(address="10.0.0.1"), make_modem(address="10.0.0.2")
    with tcp_server(echo) as port, connected(one, port) as first, connected(other, port) as second:
        assert first.getsockname()[0] == "10.0.0.1"
        assert second.getsockname()[0] == "10.0.0.2"
        first.sendall(b"1")
        second.sendall(b"2")
        assert (first.recv(1), second.recv(1)) == (b"1", b"2")


def test_create_connection(make_modem: Callable[..., Modem], monkeypatch: pytest.MonkeyPatch) -> None:
    from nbsocket import _default_modem

    monkeypatch.setattr(_default_modem, "_default", make_modem())
    with tcp_server(echo) as port, nbsocket.create_connection((HOST, port), PATIENCE, ("", 0)) as sock:
        assert type(sock) is nbsocket.socket
        sock.sendall(b"hello")
        assert sock.recv(10) == b"hello"
    with pytest.raises(ConnectionRefusedError):
        nbsocket.create_connection((HOST, unused_port()), PATIENCE)
    assert nbsocket.gethostbyname(HOST).startswith("198.")
    assert nbsocket.getaddrinfo(HOST, 80, 0, socket.SOCK_STREAM)[0][4] == (nbsocket.gethostbyname(HOST), 80)


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="the platform's name for it differs")
def test_keepalive_finds_out_what_the_module_has_lost(make_simulator: Callable[..., Simulator]) -> None:
    simulator = make_simulator()
    with tcp_server(echo) as port, Modem(simulator.path) as modem, nbsocket.socket(modem=modem) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.settimeout(PATIENCE)
        sock.connect((HOST, port))
        sock.sendall(b"here")
        assert receive_exactly(sock, 4) == b"here"
        simulator.inject(Fault("forget", socket_id=0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        with pytest.raises(ConnectionResetError):
            sock.recv(10)
