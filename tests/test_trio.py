"""The trio door: sockets and look-ups of a ``trio.run`` over the modem, without patch()."""

from __future__ import annotations

import errno
import inspect
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
import trio
import trio.testing

import nbsocket.trio
from nbsocket import Modem
from tests.helpers import PATIENCE, echo, pattern, tcp_server, udp_server, unused_port

HOST = "server.example"
DATA = pattern(5000)


@pytest.fixture
def port() -> Iterator[int]:
    """An echo server's."""
    with tcp_server(echo) as number:
        yield number


@pytest.fixture
def modem(make_modem: Callable[..., Modem]) -> Modem:
    """In this process."""
    return make_modem()


def run(modem: Modem, work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work`` in trio with the door open."""

    async def main() -> None:
        nbsocket.trio.install(modem)
        with trio.fail_after(PATIENCE):
            await work()

    trio.run(main)


async def exchange(stream: trio.abc.Stream) -> None:
    """Send DATA and want it back."""
    await stream.send_all(DATA)
    received = b""
    while len(received) < len(DATA):
        received += await stream.receive_some()
    assert received == DATA


def test_streams(modem: Modem, port: int) -> None:
    async def work() -> None:
        async with await trio.open_tcp_stream(HOST, port) as stream:
            assert isinstance(stream.socket, nbsocket.trio.SocketType)
            assert stream.socket.getpeername() == (modem.resolve(HOST)[0], port)
            await exchange(stream)
            await stream.send_eof()
            assert stream.socket.did_shutdown_SHUT_WR

    run(modem, work)
    assert [connection.service for connection in modem.stats().connections] == ["TCP"]


def test_two_tasks_on_one_stream(modem: Modem, port: int) -> None:
    async def work() -> None:
        async with await trio.open_tcp_stream(HOST, port) as stream, trio.open_nursery() as nursery:
            nursery.start_soon(exchange, stream)

    run(modem, work)


def test_datagrams(modem: Modem) -> None:
    async def work() -> None:
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            await sock.bind(("", 0))
            assert await sock.sendto(b"one", (HOST, port)) == 3
            data, peer = await sock.recvfrom(100)
            assert (data, peer) == (b"one", (modem.resolve(HOST)[0], port))
            assert await sock.sendmsg([b"t", b"wo"], [], 0, peer) == 3
            assert await sock.recvmsg(100) == (b"two", [], 0, peer)
            await sock.connect(peer)
            await sock.send(b"three")
            await trio.lowlevel.wait_readable(sock.fileno())
            assert sock.is_readable()
            buffer = bytearray(10)
            assert await sock.recvfrom_into(buffer) == (5, peer)
            await sock.send(b"four")
            assert await sock.recv_into(buffer) == 4
            assert buffer[:5] == b"foure"

    with udp_server() as port:
        run(modem, work)


def test_look_ups(modem: Modem) -> None:
    async def work() -> None:
        found = await trio.socket.getaddrinfo(HOST, 80, type=socket.SOCK_STREAM)
        assert [entry[4] for entry in found] == [(modem.resolve(HOST)[0], 80)]
        assert await trio.socket.getnameinfo((str(found[0][4][0]), 80), 0) == (found[0][4][0], "http")

    run(modem, work)


def test_refusals(modem: Modem) -> None:
    async def work() -> None:
        with trio.socket.socket() as sock, pytest.raises(ConnectionRefusedError):
            await sock.connect((HOST, closed))
        with trio.socket.socket() as sock:
            with pytest.raises(OSError, match="listen") as caught:
                sock.listen()
            assert caught.value.errno == errno.EOPNOTSUPP

    closed = unused_port()
    run(modem, work)


def test_other_families_are_the_operating_systems(modem: Modem, tmp_path: object) -> None:
    async def work() -> None:
        with trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, pytest.raises(FileNotFoundError):
            await sock.connect(f"{tmp_path}/nobody")

    run(modem, work)
    assert modem.stats().commands == 0


def test_closing_wakes_who_waits(modem: Modem, port: int) -> None:
    async def work() -> None:
        stream = await trio.open_tcp_stream(HOST, port)

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            await stream.aclose()

    run(modem, work)


def test_outside_of_trio() -> None:
    with pytest.raises(RuntimeError):
        nbsocket.trio.install()


def test_every_method_of_trios_sockets_is_there() -> None:
    names = {
        name
        for name, value in vars(trio.socket.SocketType).items()
        if callable(value) or inspect.isdatadescriptor(value)
    }
    missing = {name for name in names - {"__weakref__", "__dict__"} if name not in vars(nbsocket.trio.SocketType)}
    assert not missing


class CancelAt(trio.abc.Instrument):
    """Cancels a scope when the main task is about to take its n-th step."""

    def __init__(self, scope: trio.CancelScope, task: trio.lowlevel.Task, step: int) -> None:
        self._scope, self._task, self._left = scope, task, step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._left -= 1
            if self._left == 0:
                self._scope.cancel()


def wait_for_no_sockets(modem: Modem) -> None:
    """Wait until the module has no socket open."""
    deadline = time.monotonic() + PATIENCE
    while modem.sockets():
        assert time.monotonic() < deadline, modem.sockets()


def test_cancelled_at_every_await_no_socket_is_left(make_modem: Callable[..., Modem], port: int) -> None:
    modem = make_modem(latency=0.02)
    is_done = False
    steps = 0

    async def talk() -> None:
        async with await trio.open_tcp_stream(HOST, port) as stream:
            await exchange(stream)

    async def work() -> None:
        nonlocal is_done
        with trio.CancelScope() as scope:
            instrument = CancelAt(scope, trio.lowlevel.current_task(), steps)
            trio.lowlevel.add_instrument(instrument)
            try:
                await talk()
            finally:
                trio.lowlevel.remove_instrument(instrument)
        is_done = not scope.cancelled_caught

    while not is_done:
        steps += 1
        run(modem, work)
        wait_for_no_sockets(modem)
    assert steps > 5


@pytest.mark.parametrize("step", range(1, 8))
def test_a_cancelled_connect_closes_its_socket(make_modem: Callable[..., Modem], port: int, step: int) -> None:
    modem = make_modem(latency=0.05)

    async def work() -> None:
        sock = trio.socket.socket()
        with trio.CancelScope() as scope:
            instrument = CancelAt(scope, trio.lowlevel.current_task(), step)
            trio.lowlevel.add_instrument(instrument)
            try:
                await sock.connect((HOST, port))
            finally:
                trio.lowlevel.remove_instrument(instrument)
        assert scope.cancelled_caught == (sock.fileno() == -1)
        sock.close()

    run(modem, work)
    wait_for_no_sockets(modem)


def test_happy_eyeballs_costs_one_connection(modem: Modem, port: int) -> None:
    async def work() -> None:
        await (await trio.open_tcp_stream(HOST, port, happy_eyeballs_delay=0)).aclose()

    run(modem, work)
    assert modem.stats().counters["opens"] == 1
