"""``wait_for_socket``: connections beyond the module's five wait for one of them to be free."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import nbsocket
from nbsocket import Modem
from nbsocket._driver import Connected, ConnectFailed, ConnectionEnded, Settings
from tests.driver.bench import Bench, Pile
from tests.helpers import PATIENCE, echo, pattern, receive_exactly, sim_url, tcp_server

ADDRESS = "198.51.100.7"


@pytest.fixture
def bench() -> Bench:
    """A driver that lets connections wait for 30 s, its five sockets in use."""
    bench = Bench(Settings(wait_for_socket=30.0))
    bench.start()
    return bench


@pytest.fixture
def modem() -> Iterator[Modem]:
    """A modem that lets connections wait."""
    with Modem(sim_url(), wait_for_socket=PATIENCE) as modem:
        yield modem


@pytest.fixture
def port() -> Iterator[int]:
    """An echo server's."""
    with tcp_server(echo) as number:
        yield number


def open_another(bench: Bench) -> int:
    """Ask for one more connection."""
    return bench.driver.open("TCP", "10.0.0.9", 81, 0, Pile(), bench.now)


def test_who_came_first_is_served_first(bench: Bench) -> None:
    keys = [bench.open() for _ in range(5)]
    waiting = [open_another(bench) for _ in range(2)]
    assert bench.sent() == b""
    bench.driver.abort(keys[3], bench.now)
    bench.expect("AT+QICLOSE=3")
    bench.say("OK", "CLOSE OK")
    assert bench.take(ConnectionEnded).key == keys[3]
    bench.expect('AT+QIOPEN=0,3,"TCP","10.0.0.9",81')
    bench.say("OK", "+QIOPEN: 3,0")
    assert bench.take(Connected).key == waiting[0]


def test_the_wait_has_an_end(bench: Bench) -> None:
    for _ in range(5):
        bench.open()
    key = open_another(bench)
    bench.advance(29.0)
    bench.no_events()
    bench.advance(2.0)
    failed = bench.take(ConnectFailed)
    assert (failed.key, failed.error.errno) == (key, errno.EMFILE)


def test_what_waits_can_be_given_up(bench: Bench) -> None:
    for _ in range(5):
        bench.open()
    key = open_another(bench)
    bench.driver.abort(key, bench.now)
    assert bench.take(ConnectionEnded).key == key
    bench.advance(40.0)
    bench.no_events()


def test_datagrams_do_not_wait(bench: Bench) -> None:
    for _ in range(5):
        bench.open()
    with pytest.raises(OSError, match="in use") as caught:
        bench.driver.open("UDP", "10.0.0.9", 81, 0, Pile(), bench.now)
    assert caught.value.errno == errno.EMFILE


def test_bad_values() -> None:
    with pytest.raises(ValueError, match="wait_for_socket"):
        Modem("sim://", wait_for_socket=-1)


def test_fifty_threads_over_five_sockets(modem: Modem, port: int) -> None:
    def talk(number: int) -> bool:
        data = pattern(700, number)
        with nbsocket.socket(modem=modem) as sock:
            sock.settimeout(PATIENCE)
            sock.connect((ADDRESS, port))
            sock.sendall(data)
            return receive_exactly(sock, len(data)) == data

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(talk, range(50)))
    assert modem.stats().counters["opens"] == 50


def test_the_sockets_own_timeout_ends_the_wait(modem: Modem, port: int) -> None:
    held = [connect(modem, port) for _ in range(5)]
    with nbsocket.socket(modem=modem) as sock:
        sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            sock.connect((ADDRESS, port))
    for sock in held:
        sock.close()
    connect(modem, port).close()


def test_a_non_blocking_connect_waits_without_blocking(modem: Modem, port: int) -> None:
    held = [connect(modem, port) for _ in range(5)]
    with nbsocket.socket(modem=modem) as sock:
        sock.setblocking(False)
        assert sock.connect_ex((ADDRESS, port)) == errno.EINPROGRESS
        held.pop().close()
        sock.settimeout(PATIENCE)
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    for other in held:
        other.close()


def connect(modem: Modem, port: int) -> nbsocket.socket:
    """Return a connected socket."""
    sock = nbsocket.socket(modem=modem)
    sock.settimeout(PATIENCE)
    sock.connect((ADDRESS, port))
    return sock
