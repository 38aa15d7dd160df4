"""Peers that push more than the application takes: memory stays bounded and nobody else is harmed."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import nbsocket
from nbsocket import Modem
from nbsocket._channel import DatagramChannel, StreamChannel
from nbsocket._channel import _datagram as datagram_module
from nbsocket._channel import _stream as stream_module
from tests.faults.load import FAR, connect, wait_until
from tests.helpers import PATIENCE, TcpServer, echo, logs_delivered, pattern, receive_exactly, tcp_server, udp_server

MakeModem = Callable[..., Modem]

PUSHED = 64 * 1024 * 1024

#: What a connection that nobody reads may cost: queue, kernel buffers, pieces on their way, and as much again.
MEMORY_BOUND = 2 * stream_module.QUEUE_LIMIT + 8 * 1024 * 1024


def resident() -> int:
    """Return the memory of this process that is in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def push(sock: socket.socket) -> None:
    """Send 64 MiB, or what goes."""
    block = pattern(65536)
    with suppress(OSError):
        for _ in range(PUSHED // len(block)):
            sock.sendall(block)


def exchange(sock: nbsocket.socket, size: int = 200) -> None:
    """Demand an answer from an echo server."""
    data = os.urandom(size)
    sock.sendall(data)
    assert receive_exactly(sock, size) == data


@pytest.mark.parametrize("data_format", ["hex", "raw"])
def test_64_mib_at_an_application_that_does_not_read(
    make_modem: MakeModem, caplog: pytest.LogCaptureFixture, data_format: str
) -> None:
    assert stream_module.QUEUE_LIMIT == 4 * 1024 * 1024, "docs/security.md says so"
    modem = make_modem("pty", data_format)
    with tcp_server(echo) as echo_port, tcp_server(push) as port, connect(modem, echo_port) as other:
        exchange(other)
        before = resident()
        highest = before
        with connect(modem, port) as sock:
            while len(modem.sockets()) == 2:
                exchange(other)
                highest = max(highest, resident())
            assert highest - before < MEMORY_BOUND
            got = bytearray()
            with pytest.raises(ConnectionResetError) as caught:
                while data := sock.recv(65536):
                    got += data
            assert caught.value.errno == errno.ECONNRESET
            assert 0 < len(got) < stream_module.QUEUE_LIMIT
            assert bytes(got) == (pattern(65536) * (len(got) // 65536 + 1))[: len(got)]
        exchange(other)
        logs_delivered()
        lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert lines == [f"{FAR} port {port} is reset: the application does not read what it receives"]


def flood(sock: socket.socket) -> None:
    """Send without end."""
    with suppress(OSError):
        while True:
            sock.sendall(bytes(65536))


def test_flood_does_not_starve_the_others(make_modem: MakeModem) -> None:
    """The flooded application reads as fast as it can; four others, a datagram and a question get their turn."""
    modem = make_modem()
    flooder, reading = TcpServer(flood), threading.Event()
    with udp_server() as udp_port, tcp_server(echo) as port, connect(modem, flooder.port) as flooded:

        def read() -> None:
            with suppress(OSError):
                while flooded.recv(65536):
                    reading.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        assert reading.wait(PATIENCE)
        others = [connect(modem, port) for _ in range(3)]
        datagram = nbsocket.socket(type=socket.SOCK_DGRAM, modem=modem)
        datagram.settimeout(PATIENCE)
        for _ in range(10):
            for other in others:
                began = time.monotonic()
                exchange(other, 1000)
                assert time.monotonic() - began < 3.0
            datagram.sendto(b"x", (FAR, udp_port))
            assert datagram.recvfrom(10)[0] == b"x"
            assert modem.command("AT", 3.0) == []
        assert reader.is_alive()
        flooder.close()
        reader.join(PATIENCE)
        for sock in (*others, datagram):
            sock.close()


def test_flood_of_bypassed_datagrams_does_not_hold_the_thread(
    make_modem: MakeModem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come past the module, as fast as the kernel can: the thread must still look after everything else."""
    modem = make_modem()
    sock = socket.socket(type=socket.SOCK_DGRAM)
    channel = DatagramChannel(sock, bypass=lambda host: host == "127.0.0.1")
    modem.engine.attach(channel)
    modem.engine.call(lambda: None).result(PATIENCE)
    channel.shadow.bind(("127.0.0.1", 0))
    target = channel.shadow.getsockname()
    taken = 0

    class Endless:
        """A shadow that always has another datagram."""

        def recvfrom(self, *arguments: int) -> tuple[bytes, tuple[str, int]]:
            nonlocal taken
            taken += 1
            return b"x", ("127.0.0.1", 9)

        def __getattr__(self, name: str) -> object:
            return getattr(shadow, name)

    shadow = channel.shadow
    monkeypatch.setattr(channel, "shadow", Endless())
    with socket.socket(type=socket.SOCK_DGRAM) as flooder:
        flooder.sendto(b"x", target)
        wait_until(lambda: taken > 1000)
        assert modem.command("AT", 3.0) == []
    monkeypatch.undo()
    sock.close()
    assert modem.command("AT", 3.0) == []


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """Tells the bytes that Python objects take."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()


def test_peer_that_dribbles_costs_what_it_sends(traced: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte at a time must not cost an object a byte."""
    monkeypatch.setattr(stream_module, "QUEUE_LIMIT", 100_000)
    with socket.socket() as sock:
        channel = StreamChannel(sock, (FAR, 80))
        channel.install(sock)
        channel.opened(None)
        before = traced()
        count = 0
        while channel.deliver(b"%c" % (count % 256)):
            count += 1
        assert traced() - before < 300_000
        sock.settimeout(PATIENCE)
        got = bytearray()
        while len(got) < count:
            got += sock.recv(65536)
            channel.flush()
        assert got[:count] == bytes(number % 256 for number in range(count))
        channel.finish()


@pytest.mark.parametrize("size", [0, 1])
def test_tiny_datagrams_nobody_reads_are_bounded(
    traced: Callable[[], int], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    assert datagram_module.QUEUE_LIMIT == 4 * 1024 * 1024, "docs/security.md says so"
    monkeypatch.setattr(datagram_module, "QUEUE_LIMIT", 100_000)
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        channel = DatagramChannel(sock)
        channel.connect(sock, (FAR, 9))
        before = traced()
        for _ in range(50_000):
            channel.deliver((FAR, 9), bytes(size))
        assert traced() - before < 300_000
        assert channel.dropped > 40_000
        channel.finish()
