"""The engine between real channels and a simulated module: connections, datagrams, the port's loss, the end, a fork."""

from __future__ import annotations

import errno
import gc
import logging
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nbsocket import Modem
from nbsocket._channel import ChannelState, DatagramChannel, StreamChannel
from nbsocket._channel import _stream as stream_module
from nbsocket._driver import Driver, Ping, RawCommand, Settings, WaitAttached
from nbsocket._engine import Engine, _peer_table
from nbsocket._port import Port
from nbsocket._runtime._outcome import Outcome
from nbsocket._runtime._stdlib import GenuineSocket
from nbsocket.sim import Fault, Simulator
from tests.helpers import (
    AT_LOOKALIKES,
    EVERY_BYTE,
    PATIENCE,
    echo,
    logs_delivered,
    pattern,
    receive_all,
    receive_exactly,
    run_isolated,
    sim_url,
    tcp_server,
    udp_server,
    unused_port,
)

FAR = "198.51.100.7"

MakeModem = Callable[..., Modem]
MakeSimulator = Callable[..., Simulator]


def connect(modem: Modem, port: int, host: str = FAR, timeout: float | None = PATIENCE) -> socket.socket:
    """Return a socket that is connected over the modem, in blocking mode with a time-out."""
    sock = socket.socket()
    sock.settimeout(PATIENCE)
    try:
        channel = StreamChannel(sock, (host, port))
        modem.engine.connect_and_wait(channel, host, port, timeout=timeout)
        channel.install(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def begin_connect(modem: Modem, port: int, host: str = FAR) -> tuple[socket.socket, StreamChannel]:
    """The same without waiting, as a non-blocking connect() does it."""
    sock = socket.socket()
    sock.setblocking(False)
    channel = StreamChannel(sock, (host, port))
    modem.engine.connect(channel, host, port)
    channel.install(sock)
    return sock, channel


def datagram(modem: Modem, **options: Any) -> tuple[socket.socket, DatagramChannel]:
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    channel = DatagramChannel(sock, **options)
    modem.engine.attach(channel)
    return sock, channel


def send_to(sock: socket.socket, channel: DatagramChannel, data: bytes, host: str, port: int) -> None:
    GenuineSocket.send(sock, channel.pack(data, (host, port)))


def receive_from(sock: socket.socket, channel: DatagramChannel) -> tuple[bytes, Any]:
    return channel.unpack(GenuineSocket.recv(sock, 70_000))


def wait_until(condition: Callable[[], bool]) -> None:
    """For what happens on another thread and tells nobody; looks again at every chance, fails after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)


def discard(connection: socket.socket) -> None:
    receive_all(connection)


def has_asked(simulator: Simulator, beginning: str) -> bool:
    return any(line.startswith(beginning) for line in simulator.commands)


def open_sockets(modem: Modem) -> int:
    return len(modem.sockets())


# -- streams


def test_every_byte_there_and_back(modem: Modem) -> None:
    data = EVERY_BYTE * 20 + b"".join(AT_LOOKALIKES)
    with tcp_server(echo) as port, connect(modem, port) as sock:
        sock.sendall(data)
        assert receive_exactly(sock, len(data)) == data
    wait_until(lambda: not any(item.is_open for item in modem.stats().connections))
    connection = modem.stats().connections[-1]
    assert (connection.bytes_up, connection.bytes_down) == (len(data), len(data))
    assert (connection.service, connection.host, connection.port) == ("TCP", FAR, port)


def test_close_sends_everything_first(make_modem: MakeModem) -> None:
    modem, data = make_modem(), pattern(50_000)
    received: list[bytes] = []
    with tcp_server(lambda connection: received.append(receive_all(connection))) as port:
        with connect(modem, port) as sock:
            sock.sendall(data)
        wait_until(lambda: bool(received))
    assert received == [data]


def test_peer_closes_after_data(modem: Modem) -> None:
    data = pattern(30_000)
    with tcp_server(lambda connection: connection.sendall(data)) as port, connect(modem, port) as sock:
        assert receive_all(sock) == data
    wait_until(lambda: open_sockets(modem) == 0)


def test_peer_resets(make_modem: MakeModem) -> None:
    modem = make_modem()

    def answer_and_reset(connection: socket.socket) -> None:
        connection.recv(100)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with tcp_server(answer_and_reset) as port, connect(modem, port) as sock:
        sock.sendall(b"go")
        with pytest.raises(ConnectionResetError):
            while sock.recv(100):
                pass
    wait_until(lambda: open_sockets(modem) == 0)


def test_half_close_still_reads(modem: Modem) -> None:
    def answer(connection: socket.socket) -> None:
        data = receive_exactly(connection, 3000)
        connection.sendall(data[::-1])

    data = pattern(3000)
    with tcp_server(answer) as port, connect(modem, port) as sock:
        channel = channel_of(sock)
        sock.sendall(data)
        channel.shutdown(sock, socket.SHUT_WR)
        assert receive_all(sock) == data[::-1]


def channel_of(sock: socket.socket) -> StreamChannel:
    from nbsocket._channel import lookup

    channel = lookup(sock.fileno())
    assert isinstance(channel, StreamChannel)
    return channel


def test_five_connections_and_a_sixth(make_modem: MakeModem) -> None:
    modem = make_modem()
    with tcp_server(echo) as port:
        socks = [connect(modem, port) for _ in range(5)]
        with pytest.raises(OSError) as caught:
            connect(modem, port)
        assert caught.value.errno == errno.EMFILE and "5" in str(caught.value)
        for number, sock in enumerate(socks):
            sock.sendall(pattern(5000, number))
        for number, sock in enumerate(socks):
            assert receive_exactly(sock, 5000) == pattern(5000, number)
        socks[2].close()
        wait_until(lambda: open_sockets(modem) == 4)
        socks[2] = connect(modem, port)
        for sock in socks:
            sock.close()


def test_refused_frees_the_socket(make_modem: MakeModem) -> None:
    modem = make_modem()
    for _ in range(6):
        with pytest.raises(ConnectionRefusedError) as caught:
            connect(modem, unused_port())
        assert caught.value.result == 566  # type: ignore[attr-defined]  # of our errors
    wait_until(lambda: open_sockets(modem) == 0)


def test_timeout_frees_the_socket(make_modem: MakeModem) -> None:
    modem = make_modem(hosts={FAR: "timeout"})
    for _ in range(6):
        with pytest.raises(TimeoutError, match="timed out"):
            connect(modem, 80, timeout=0.02)
    wait_until(lambda: open_sockets(modem) == 0)


def test_interrupted_connect_frees_the_socket(make_modem: MakeModem, monkeypatch: pytest.MonkeyPatch) -> None:
    modem = make_modem(hosts={FAR: "timeout"})
    modem.open()

    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Outcome, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            connect(modem, 80)
    wait_until(lambda: open_sockets(modem) == 0)


def test_interrupted_question_is_withdrawn(make_modem: MakeModem, monkeypatch: pytest.MonkeyPatch) -> None:
    modem = make_modem(registration="searching")
    modem.open()

    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Outcome, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            modem.engine.ask(WaitAttached(), 100.0)
    modem.engine.call(lambda: None).result(PATIENCE)
    assert len(modem.engine._core.requests) == 0


def test_closed_while_connecting(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator(hosts={FAR: "timeout"})
    with Modem(simulator.path) as modem:
        sock, _ = begin_connect(modem, 80)
        wait_until(lambda: has_asked(simulator, "AT+QIOPEN"))
        sock.close()
        wait_until(lambda: open_sockets(modem) == 0)


def test_not_blocking(make_modem: MakeModem) -> None:
    modem = make_modem(latency=0.02)
    with tcp_server(echo) as port:
        sock, channel = begin_connect(modem, port)
        assert channel.state is ChannelState.CONNECTING
        assert select.select([], [sock], [], 0)[1] == []
        assert select.select([], [sock], [], PATIENCE)[1] == [sock]
        assert channel.pop_error() == 0 and channel.sockname[0] == "10.18.237.42"
        sock.send(b"x")
        assert select.select([sock], [], [], PATIENCE)[0] == [sock]
        assert sock.recv(10) == b"x"
        sock.close()


def test_not_blocking_and_refused(make_modem: MakeModem) -> None:
    modem = make_modem(latency=0.02)
    sock, channel = begin_connect(modem, unused_port())
    assert select.select([], [sock], [], PATIENCE)[1] == [sock]
    assert channel.pop_error() == errno.ECONNREFUSED
    sock.close()


def test_lingering_zero_drops_what_waits(make_modem: MakeModem) -> None:
    modem = make_modem(baudrate=9600)
    with tcp_server(discard) as port, connect(modem, port) as sock:
        channel_of(sock).setsockopt(sock, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.sendall(bytes(8000))
        sock.close()
        wait_until(lambda: not any(item.is_open for item in modem.stats().connections))
    assert modem.stats().connections[-1].bytes_up < 8000


def test_application_is_held_back(make_modem: MakeModem) -> None:
    """On a slow line the kernel's buffer fills and send() says so: nothing piles up in between."""
    modem = make_modem(baudrate=9600)
    with tcp_server(discard) as port, connect(modem, port) as sock:
        sock.setblocking(False)
        accepted = 0
        with pytest.raises(BlockingIOError):
            while accepted < 1_000_000:
                accepted += sock.send(bytes(1024))
        assert accepted < 100_000
        channel_of(sock).setsockopt(sock, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_data_that_waits_costs_no_wake_ups(make_modem: MakeModem) -> None:
    """The application's end stays readable for the engine while a slow line is busy: that alone must not wake it."""
    modem = make_modem(baudrate=57600)
    with tcp_server(discard) as port, connect(modem, port) as sock:
        before = modem.stats()
        sock.sendall(bytes(1536))
        wait_until(lambda: channel_of(sock).bytes_up == 1536)
        after = modem.stats()
        assert after.wakeups - before.wakeups < 20 * (after.commands - before.commands)
        channel_of(sock).setsockopt(sock, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_application_that_does_not_read(make_modem: MakeModem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "QUEUE_LIMIT", 50_000)
    modem, data = make_modem(), pattern(2_000_000)
    with tcp_server(lambda connection: connection.sendall(data)) as port, connect(modem, port) as sock:
        wait_until(lambda: channel_of(sock).state is ChannelState.CLOSED)
        received = b""
        with pytest.raises(ConnectionResetError):
            while piece := sock.recv(65536):
                received += piece
        assert received and data.startswith(received)


def test_idle_connection_costs_nothing(modem: Modem) -> None:
    with tcp_server(echo) as port, connect(modem, port) as sock:
        sock.sendall(b"x")
        assert sock.recv(10) == b"x"
        modem.command("AT")
        before = modem.stats()
        time.sleep(0.3)
        assert modem.stats() == before


def test_options_reach_the_driver(make_modem: MakeModem) -> None:
    class Noting(Driver):
        def set_option(self, key: int, name: str, value: float) -> None:
            noted.append((name, value))
            super().set_option(key, name, value)

    noted: list[tuple[str, float]] = []
    with tcp_server(echo) as port, engine(make_driver=Noting) as one:
        sock = socket.socket()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        channel = StreamChannel(sock, (FAR, port))
        channel.set_option("rai", 2)
        one.connect_and_wait(channel, FAR, port, timeout=PATIENCE)
        channel.install(sock)
        channel.setsockopt(sock, socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 5000)
        one.call(lambda: None).result(PATIENCE)
        assert sorted(noted) == [("nodelay", 1), ("rai", 2), ("user_timeout", 5)]
        assert one.get_unacked(channel) == 0
        sock.close()


@contextmanager
def engine(url: str = "sim://", **options: Any) -> Iterator[Engine]:
    one = Engine(url, Settings(baudrate=115200), **options)
    try:
        yield one
    finally:
        one.close()


# -- datagrams


def test_datagrams_there_and_back(modem: Modem) -> None:
    with udp_server() as port:
        sock, channel = datagram(modem)
        for data in (EVERY_BYTE, b"x", *AT_LOOKALIKES, bytes(512)):
            send_to(sock, channel, data, FAR, port)
            assert receive_from(sock, channel) == (data, (FAR, port))
        sock.close()
        wait_until(lambda: open_sockets(modem) == 0)


def test_connected_datagrams_are_native(modem: Modem) -> None:
    with udp_server() as port:
        sock, channel = datagram(modem)
        channel.connect(sock, (FAR, port))
        os.write(sock.fileno(), b"bare")
        assert os.read(sock.fileno(), 100) == b"bare" if os.get_blocking(sock.fileno()) else sock.recv(100) == b"bare"
        sock.close()


def test_more_peers_than_the_module_has_sockets(make_modem: MakeModem) -> None:
    modem = make_modem()
    with udp_server() as port:
        sock, channel = datagram(modem)
        for round_ in range(2):
            for number in range(7):
                host = f"198.51.100.{number + 1}"
                send_to(sock, channel, b"%d %d" % (round_, number), host, port)
                assert receive_from(sock, channel) == (b"%d %d" % (round_, number), (host, port))
        assert channel.dropped == 0
        assert open_sockets(modem) == 5
        sock.close()


def test_no_socket_left_for_a_datagram(make_modem: MakeModem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_peer_table, "SOCKET_WAIT", 0.1)
    modem = make_modem()
    with tcp_server(echo) as port:
        socks = [connect(modem, port) for _ in range(5)]
        sock, channel = datagram(modem)
        send_to(sock, channel, b"x", FAR, port)
        wait_until(lambda: channel.dropped == 1)
        assert channel.pop_error() == errno.EMFILE
        assert modem.stats().counters["dropped_datagrams"] == 1
        for item in (sock, *socks):
            item.close()


def test_sent_before_close(make_modem: MakeModem) -> None:
    """All of it goes out, though the module's socket is not even open when the application closes its own."""
    modem = make_modem()
    received: list[bytes] = []

    def note(data: bytes) -> None:
        received.append(data)

    with udp_server(note) as port:
        sock, channel = datagram(modem)
        for number in range(20):
            send_to(sock, channel, b"%d" % number, FAR, port)
        sock.close()
        wait_until(lambda: len(received) == 20)
    assert received == [b"%d" % number for number in range(20)]
    wait_until(lambda: open_sockets(modem) == 0)


def test_too_long_a_datagram_written_natively(make_modem: MakeModem) -> None:
    modem = make_modem()
    with udp_server() as port:
        sock, channel = datagram(modem)
        channel.connect(sock, (FAR, port))
        sock.send(bytes(2000))
        sock.send(b"short")
        assert GenuineSocket.recv(sock, 4000) == b"short"
        assert channel.dropped == 1
        sock.close()


def test_bypassed_datagrams_use_the_system(make_modem: MakeModem) -> None:
    """Loopback without the modem, whose port is not even opened."""
    modem = make_modem()
    with udp_server() as port:
        sock, channel = datagram(modem, bypass=lambda host: host.startswith("127."))
        send_to(sock, channel, bytes(3000), "127.0.0.1", port)
        assert receive_from(sock, channel) == (bytes(3000), ("127.0.0.1", port))
        assert modem.stats().bytes_up == 0
        send_to(sock, channel, b"far", FAR, port)
        assert receive_from(sock, channel) == (b"far", (FAR, port))
        sock.close()


def test_restored_socket_is_not_carried(make_modem: MakeModem) -> None:
    modem = make_modem()
    with udp_server() as port:
        sock, channel = datagram(modem, bypass=lambda host: True)
        modem.engine.catch_up(PATIENCE)
        assert modem.engine._core.datagrams.has_sockets
        copy = os.dup(sock.fileno())  # else the engine would see that the application has closed its end
        channel.restore(sock)
        modem.engine.call(lambda: None).result(PATIENCE)
        assert channel.is_over() and not modem.engine._core.datagrams.has_sockets
        os.close(copy)
        sock.sendto(b"native", ("127.0.0.1", port))
        assert sock.recvfrom(100) == (b"native", ("127.0.0.1", port))
        sock.close()


def test_local_port_is_used_once(make_modem: MakeModem) -> None:
    modem = make_modem()
    local = 20_000 + unused_port() % 20_000
    with udp_server() as port:
        sock, channel = datagram(modem)
        channel.bind(("", local))
        for host in ("198.51.100.1", "198.51.100.2"):
            send_to(sock, channel, b"x", host, port)
            receive_from(sock, channel)
        assert sorted(item.local_port == local for item in modem.sockets()) == [False, True]
        sock.close()


# -- the port


def test_port_lost_and_found(make_simulator: MakeSimulator, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    link = tmp_path / "tty"
    first, second = make_simulator(), make_simulator()
    link.symlink_to(first.path)
    with tcp_server(echo) as port, Modem(str(link)) as modem:
        sock = connect(modem, port)
        first.inject(Fault("hang_up"))
        with pytest.raises(ConnectionResetError):
            sock.recv(10)
        logs_delivered()
        lines = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(lines) == 1 and str(link) in lines[0]
        link.unlink()
        link.symlink_to(second.path)
        with connect(modem, port) as again:
            again.sendall(b"x")
            assert again.recv(10) == b"x"
        sock.close()


def test_port_lost_while_connecting(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator(hosts={FAR: "timeout"})
    with Modem(simulator.path) as modem:
        sock, channel = begin_connect(modem, 80)
        wait_until(lambda: has_asked(simulator, "AT+QIOPEN"))
        waiting = modem.engine.request(RawCommand("AT+CSQ"), PATIENCE)
        simulator.inject(Fault("hang_up"))
        assert select.select([], [sock], [], PATIENCE)[1]
        assert channel.pop_error() == errno.EIO
        assert isinstance(waiting.exception(PATIENCE), OSError)
        sock.close()


def test_module_restart_resets_and_recovers(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator()
    with Modem(simulator.path) as modem, tcp_server(echo) as port:
        with connect(modem, port) as sock:
            simulator.inject(Fault("restart"))
            with pytest.raises(ConnectionResetError):
                sock.recv(10)
        with connect(modem, port) as sock:
            sock.sendall(b"x")
            assert sock.recv(10) == b"x"


def test_port_that_cannot_be_opened_is_tried_at_intervals() -> None:
    tries: list[str] = []

    def no_port(url: str, baudrate: int | None) -> Port:
        tries.append(url)
        raise FileNotFoundError(errno.ENOENT, "no such port")

    with engine("/dev/none", open_port=no_port) as one:
        for _ in range(3):
            with pytest.raises(FileNotFoundError, match="no such port"):
                one.ask(RawCommand("AT"), 1.0)
        assert len(tries) == 1
        with pytest.raises(FileNotFoundError):
            one.open()
        assert len(tries) == 2


def test_bug_resets_everything_and_the_next_call_works(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Driver):
        is_broken = False

        def receive_data(self, data: bytes, now: float) -> None:
            if Broken.is_broken:
                Broken.is_broken = False
                raise ZeroDivisionError("a bug")
            super().receive_data(data, now)

    with tcp_server(echo) as port, engine(make_driver=Broken) as one:
        sock = socket.socket()
        sock.settimeout(PATIENCE)
        channel = StreamChannel(sock, (FAR, port))
        one.connect_and_wait(channel, FAR, port, timeout=PATIENCE)
        channel.install(sock)
        Broken.is_broken = True
        with pytest.raises(ConnectionResetError, match="a bug"):
            one.ask(RawCommand("AT+CSQ"), PATIENCE)
        with pytest.raises(ConnectionResetError):
            sock.recv(10)
        logs_delivered()
        assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
        assert one.ask(RawCommand("AT"), PATIENCE) == []
        sock.close()


def test_rate_is_found(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator(baudrate=9600, strict_baud=True)
    with Modem(simulator.path) as modem:
        assert modem.info().model == "Quectel_BC260Y-CN"


# -- the end


def test_close_flushes_and_ends_the_thread(make_simulator: MakeSimulator) -> None:
    received: list[bytes] = []
    simulator, data = make_simulator(), pattern(15_000)
    modem = Modem(simulator.path)
    with tcp_server(lambda connection: received.append(receive_all(connection))) as port:
        sock = connect(modem, port)
        sock.sendall(data)
        modem.close()
        assert not [thread for thread in threading.enumerate() if thread.name == f"nbsocket {simulator.path}"]
        with pytest.raises(ConnectionResetError):
            sock.recv(10)
        with pytest.raises(OSError) as caught:
            modem.command("AT")
        assert caught.value.errno == errno.ENODEV and "open()" in str(caught.value)
        Port.open(simulator.path).close()
        wait_until(lambda: bool(received))
        assert received == [data]
        sock.close()
        with modem:
            assert modem.command("AT") == []


def test_close_is_bounded(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator()
    modem = Modem(simulator.path)
    modem.open()
    simulator.inject(Fault("silence", times=1000))
    waiting = modem.engine.request(RawCommand("AT+CSQ"), 100.0)
    began = time.monotonic()
    modem.close(0.1)
    assert time.monotonic() - began < 3
    assert isinstance(waiting.exception(PATIENCE), OSError)


def test_close_twice_and_unused() -> None:
    modem = Modem("/dev/none")
    modem.close()
    modem.close()
    assert modem.stats().wakeups == 0


def test_forgotten_modem_ends_with_its_last_connection(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator()
    with tcp_server(echo) as port:
        modem = Modem(simulator.path)
        engine = modem.engine
        sock = connect(modem, port)
        del modem
        gc.collect()
        sock.sendall(b"x")
        assert sock.recv(10) == b"x"
        assert engine.is_running
        sock.close()
        wait_until(lambda: not engine.is_running)
    Port.open(simulator.path).close()


def test_forgotten_unused_modem(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator()
    modem = Modem(simulator.path)
    modem.open()
    engine = modem.engine
    del modem
    gc.collect()
    wait_until(lambda: not engine.is_running)


@pytest.mark.parametrize("line", ["pty", "sim"])
def test_end_of_the_interpreter_flushes(line: str, make_simulator: MakeSimulator) -> None:
    received: list[bytes] = []
    url = make_simulator().path if line == "pty" else sim_url()
    with tcp_server(lambda connection: received.append(receive_all(connection))) as port:
        assert run_isolated("engine_exit.py", url, str(port)) == "sent\n"
        wait_until(lambda: bool(received))
    assert received == [bytes(range(256)) * 50]


def test_fork(make_simulator: MakeSimulator) -> None:
    """The child's own connect is refused by the lock; the inherited connection goes on through the parent."""
    assert run_isolated("engine_fork.py", make_simulator().path) == "ok\n"


def test_connections_leave_nothing_behind(make_modem: MakeModem) -> None:
    """No descriptor, and no socket of the module."""
    modem = make_modem()
    with tcp_server(echo) as port:
        connect(modem, port).close()
        wait_until(lambda: open_sockets(modem) == 0)
        before = len(os.listdir("/dev/fd"))
        for _ in range(30):
            with connect(modem, port) as sock:
                sock.sendall(b"x")
                sock.recv(1)
        wait_until(lambda: open_sockets(modem) == 0)
        wait_until(lambda: len(os.listdir("/dev/fd")) <= before)


def test_progress_of_a_request(make_modem: MakeModem) -> None:
    """What a request tells before it is done comes in order, on the caller's thread, before the outcome."""
    modem = make_modem()
    told: list[tuple[Any, str]] = []
    result = modem.engine.ask(
        Ping(FAR, count=3), PATIENCE, lambda reply: told.append((reply, threading.current_thread().name))
    )
    assert [reply for reply, _ in told] == list(result.replies) and len(told) == 3
    assert {name for _, name in told} == {threading.current_thread().name}
    assert len(modem.engine._core.requests) == 0


def test_opened_again_while_it_ends(make_simulator: MakeSimulator) -> None:
    """Whatever the moment, the port is open and served after open()."""
    simulator = make_simulator()
    modem = Modem(simulator.path)
    for _ in range(10):
        closer = threading.Thread(target=modem.close)
        modem.open()
        closer.start()
        wait_until(lambda: modem.engine.is_closed)
        modem.open()
        closer.join(PATIENCE)
        assert modem.command("AT") == []
    modem.close()


def test_closed_from_several_threads(make_simulator: MakeSimulator) -> None:
    modem = Modem(make_simulator().path)
    modem.open()
    closers = [threading.Thread(target=modem.close) for _ in range(4)]
    began = time.monotonic()
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join(PATIENCE)
    assert time.monotonic() - began < 5
