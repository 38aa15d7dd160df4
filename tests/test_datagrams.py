"""More datagrams than the module has sockets, and modules that lose sockets: nothing is lost in silence."""

from __future__ import annotations

import errno
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import nbsocket
from nbsocket import Modem
from nbsocket._engine import _datagrams, _drops, _peer_table
from nbsocket._engine._drops import DropLog
from nbsocket.sim import Fault, Simulator
from tests.helpers import PATIENCE, echo, logs_delivered, tcp_server, udp_server
from tests.test_engine import wait_until

FAR = "198.51.100.7"
MakeModem = Callable[..., Modem]


def peer(number: int) -> str:
    return f"198.51.100.{number + 1}"


def udp(modem: Modem) -> nbsocket.socket:
    sock = nbsocket.socket(socket.AF_INET, socket.SOCK_DGRAM, modem=modem)
    sock.settimeout(PATIENCE)
    return sock


def tcp(modem: Modem, port: int) -> nbsocket.socket:
    sock = nbsocket.socket(modem=modem)
    sock.settimeout(PATIENCE)
    sock.connect((FAR, port))
    return sock


def dropped(modem: Modem) -> int:
    return modem.stats().counters["dropped_datagrams"]


@pytest.fixture
def got() -> list[bytes]:
    """What the server that does not answer has got."""
    return []


@pytest.fixture
def silent(got: list[bytes]) -> Iterator[int]:
    with udp_server(lambda data: got.append(data)) as port:
        yield port


@pytest.fixture
def server() -> Iterator[int]:
    with udp_server() as port:
        yield port


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for answers that do not come."""
    monkeypatch.setattr(_peer_table, "ANSWER_TIME", 0.05)


# -- a healthy network loses nothing


@pytest.mark.parametrize("is_connected", [False, True])
def test_a_socket_a_message(make_modem: MakeModem, silent: int, got: list[bytes], is_connected: bool) -> None:
    modem = make_modem(latency=0.05)
    for number in range(30):
        with udp(modem) as sock:
            if is_connected:
                sock.connect((FAR, silent))
                sock.send(b"%d" % number)
            else:
                sock.sendto(b"%d" % number, (FAR, silent))
    wait_until(lambda: len(got) == 30)
    assert sorted(got, key=int) == [b"%d" % number for number in range(30)]
    assert dropped(modem) == 0
    wait_until(lambda: not modem.engine._core.datagrams)
    assert modem.sockets() == []


@pytest.mark.usefixtures("hurry")
def test_one_socket_and_twenty_peers(make_modem: MakeModem, silent: int, got: list[bytes]) -> None:
    modem = make_modem(latency=0.05)
    with udp(modem) as sock:
        for number in range(20):
            sock.sendto(b"%d" % number, (peer(number), silent))
        wait_until(lambda: len(got) == 20)
    assert dropped(modem) == 0


def test_one_socket_and_twenty_peers_that_answer(make_modem: MakeModem, server: int) -> None:
    modem = make_modem(latency=0.2)
    with udp(modem) as sock:
        for number in range(20):
            sock.sendto(b"%d" % number, (peer(number), server))
        answers = {sock.recvfrom(10) for _ in range(20)}
    assert answers == {(b"%d" % number, (peer(number), server)) for number in range(20)}
    assert dropped(modem) == 0


def test_thirty_threads_that_ask_one_server(make_modem: MakeModem, server: int) -> None:
    """As look-ups by a resolver of the program's own do."""
    modem, answers = make_modem(latency=0.1), []

    def ask(number: int) -> None:
        with udp(modem) as sock:
            sock.sendto(b"%d" % number, (FAR, server))
            answers.append(sock.recv(10))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(answers, key=int) == [b"%d" % number for number in range(30)]
    assert dropped(modem) == 0


def test_closing_with_unread_answers_loses_nothing(make_modem: MakeModem, server: int) -> None:
    """The kernel then says ECONNRESET to the engine's end, before what the application wrote last."""
    modem = make_modem(line="sim")
    for number in range(10):
        sock = udp(modem)
        for word in (b"first", b"second"):
            sock.sendto(word, (FAR, server))
        assert sock.recv(10, socket.MSG_PEEK) == b"first"
        modem.engine.call(lambda: time.sleep(0.02))  # the engine is busy: what follows waits in the kernel
        sock.sendto(b"last %d" % number, (FAR, server))
        sock.close()
        wait_until(lambda: not any(item.is_open for item in modem.stats().connections))
        connection = modem.stats().connections[-1]
        assert connection.bytes_up == len(b"firstsecondlast 0"), number
    assert dropped(modem) == 0


def test_an_opening_that_takes_long_is_waited_for(
    make_modem: MakeModem, monkeypatch: pytest.MonkeyPatch, silent: int, got: list[bytes]
) -> None:
    """A server that does not answer keeps the line busy for a minute: datagrams wait, however many."""
    monkeypatch.setattr(_peer_table, "SOCKET_WAIT", 0.1)
    modem = make_modem(connect_timeout=1.0, hosts={"dead.example": "timeout"}, dns={"dead.example": "203.0.113.77"})
    modem.open()
    outcome: list[BaseException] = []

    def connect() -> None:
        with nbsocket.socket(modem=modem) as sock:
            try:
                sock.connect(("203.0.113.77", 80))
            except OSError as error:
                outcome.append(error)

    with udp(modem) as early:
        early.sendto(b"early", (FAR, silent))
        wait_until(lambda: got == [b"early"])
        thread = threading.Thread(target=connect)
        thread.start()
        wait_until(lambda: any(item.service == "TCP" for item in modem.stats().connections))
        early.sendto(b"0", (FAR, silent))
        for number in range(1, 12):
            with udp(modem) as sock:
                sock.sendto(b"%d" % number, (FAR, silent))
        thread.join(PATIENCE)
        wait_until(lambda: len(got) == 13)
    assert sorted(got[1:], key=int) == [b"%d" % number for number in range(12)]
    assert dropped(modem) == 0


def test_a_tcp_connection_is_not_refused_because_of_closed_datagram_sockets(
    make_modem: MakeModem, silent: int, got: list[bytes]
) -> None:
    modem = make_modem(latency=0.05)
    with tcp_server(echo) as port:
        for number in range(12):
            with udp(modem) as sock:
                sock.sendto(b"%d" % number, (FAR, silent))
        with tcp(modem, port) as stream:
            stream.sendall(b"x")
            assert stream.recv(1) == b"x"
        wait_until(lambda: len(got) == 12)
    assert dropped(modem) == 0


# -- which peer makes room


def test_who_has_answered_makes_room_before_who_was_not_answered(make_modem: MakeModem, server: int) -> None:
    with udp_server(lambda data: None) as mute, udp(modem := make_modem()) as sock:
        for number in range(4):
            sock.sendto(b"?", (peer(number), mute))
        sock.sendto(b"last", (peer(4), server))
        assert sock.recv(10) == b"last"
        sock.sendto(b"more", (peer(5), server))
        assert sock.recv(10) == b"more"
        assert sorted(item.host for item in modem.sockets()) == sorted(peer(n) for n in (0, 1, 2, 3, 5))


@pytest.mark.usefixtures("hurry")
def test_who_was_used_least_recently_makes_room(make_modem: MakeModem, silent: int, got: list[bytes]) -> None:
    with udp(modem := make_modem()) as sock:
        for number in (0, 1, 2, 3, 4, 0, 1):
            sock.sendto(b"%d" % number, (peer(number), silent))
        wait_until(lambda: len(got) == 7)
        sock.sendto(b"5", (peer(5), silent))
        wait_until(lambda: len(got) == 8)
        assert sorted(item.host for item in modem.sockets()) == sorted(peer(n) for n in (0, 1, 3, 4, 5))


def test_a_bound_port_that_the_module_keeps_busy(make_modem: MakeModem, silent: int, got: list[bytes]) -> None:
    """After its first socket made room the port is busy for 70 s: the datagram goes out from another one."""
    modem = make_modem()
    with udp(modem) as sock:
        sock.bind(("", 4321))
        sock.sendto(b"first", (FAR, silent))
        wait_until(lambda: got == [b"first"])
        modem.command("AT+QICLOSE=0")
        sock.sendto(b"second", (FAR, silent))
        wait_until(lambda: got == [b"first", b"second"])
    assert dropped(modem) == 0


@pytest.mark.usefixtures("hurry")
def test_a_bound_port_after_its_socket_made_room(make_modem: MakeModem, silent: int, got: list[bytes]) -> None:
    modem = make_modem()
    with udp(modem) as bound, udp(modem) as other:
        bound.bind(("", 4321))
        bound.sendto(b"first", (FAR, silent))
        wait_until(lambda: got == [b"first"])
        for number in range(10, 15):
            other.sendto(b"x", (peer(number), silent))
        wait_until(lambda: len(got) == 6)
        bound.sendto(b"last", (FAR, silent))
        wait_until(lambda: got[-1] == b"last")
    assert dropped(modem) == 0


# -- sockets that others hold


@pytest.fixture
def held(make_modem: MakeModem) -> Iterator[tuple[Modem, list[nbsocket.socket]]]:
    """A modem, and five TCP connections that hold its sockets."""
    modem = make_modem()
    with tcp_server(echo) as port:
        streams = [tcp(modem, port) for _ in range(5)]
        try:
            yield modem, streams
        finally:
            for stream in streams:
                stream.close()


def test_datagrams_wait_for_a_socket(held: tuple[Modem, list[nbsocket.socket]], silent: int, got: list[bytes]) -> None:
    modem, streams = held
    with udp(modem) as closed:
        closed.sendto(b"of a closed socket", (FAR, silent))
    with udp(modem) as sock:
        sock.sendto(b"of an open one", (FAR, silent))
        wait_until(lambda: len(modem.engine._core.datagrams.peers.parked) == 2)
        streams[0].close()
        wait_until(lambda: len(got) == 2)
    assert sorted(got) == [b"of a closed socket", b"of an open one"]
    assert dropped(modem) == 0


def test_what_waits_too_long_is_dropped_counted_and_told(
    held: tuple[Modem, list[nbsocket.socket]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    silent: int,
) -> None:
    monkeypatch.setattr(_peer_table, "SOCKET_WAIT", 0.2)
    modem, _ = held
    with caplog.at_level(logging.WARNING, "nbsocket"):
        with udp(modem) as sock:
            for _ in range(3):
                sock.sendto(b"x", (FAR, silent))
            wait_until(lambda: dropped(modem) == 3)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.EMFILE
        for _ in range(4):
            with udp(modem) as sock:
                sock.sendto(b"x", (FAR, silent))
        wait_until(lambda: dropped(modem) == 7)
        logs_delivered()
    told = [record.getMessage() for record in caplog.records if "dropped" in record.getMessage()]
    # How many the first message tells of depends on how soon after one another they were sent.
    (first,) = told
    assert re.fullmatch(rf"dropped (1 datagram|[23] datagrams) to {FAR} port {silent}: all of the module's .*", first)
    wait_until(lambda: not modem.engine._core.datagrams)


def test_what_waits_is_bounded_in_bytes(
    held: tuple[Modem, list[nbsocket.socket]], monkeypatch: pytest.MonkeyPatch, silent: int, got: list[bytes]
) -> None:
    monkeypatch.setattr(_datagrams, "MAX_TOTAL_SIZE", 10 * (500 + 128))
    modem, streams = held
    for _ in range(25):
        with udp(modem) as sock:
            sock.sendto(bytes(500), (FAR, silent))
    wait_until(lambda: dropped(modem) == 15)
    streams[0].close()
    wait_until(lambda: len(got) == 10)
    assert dropped(modem) == 15


def test_an_open_socket_is_held_back_by_the_kernel(
    held: tuple[Modem, list[nbsocket.socket]], silent: int, got: list[bytes]
) -> None:
    """Nothing is dropped of what fits: as with a full buffer, a send that does not fit waits."""
    modem, streams = held
    with udp(modem) as sock:
        sock.setblocking(False)
        sent = 0
        with pytest.raises(BlockingIOError):
            while sent < 5000:
                sock.sendto(b"%0400d" % sent, (FAR, silent))
                sent += 1
        assert modem.engine._core.datagrams.peers.backlog.size < 100_000
        streams[0].close()
        wait_until(lambda: len(got) >= sent)
    assert [int(data) for data in got] == list(range(sent))
    assert dropped(modem) == 0


def test_the_users_own_sockets_are_waited_for(make_modem: MakeModem, silent: int, got: list[bytes]) -> None:
    modem = make_modem()
    for number in range(5):
        modem.command(f'AT+QIOPEN=0,{number},"UDP","198.51.100.9",{silent}')
    wait_until(lambda: len(modem.sockets()) == 5)
    with udp(modem) as sock:
        sock.sendto(b"x", (FAR, silent))
        wait_until(lambda: bool(modem.engine._core.datagrams))
        assert not got
        modem.command("AT+QICLOSE=3")
        wait_until(lambda: got == [b"x"])
    assert dropped(modem) == 0


# -- modules that lose sockets, and ports that vanish


@pytest.mark.parametrize("state", [None, 0, 4])
@pytest.mark.parametrize("is_connected", [False, True])
def test_a_lost_socket_is_opened_again(
    make_simulator: Callable[..., Simulator], server: int, is_connected: bool, state: int | None
) -> None:
    simulator = make_simulator()
    with Modem(simulator.path) as modem, udp(modem) as sock:
        if is_connected:
            sock.connect((FAR, server))
        for number in range(4):
            data = b"%d" % number
            sock.send(data) if is_connected else sock.sendto(data, (FAR, server))
            assert sock.recvfrom(10) == (data, (FAR, server))
            simulator.inject(Fault("forget", socket_id=modem.sockets()[0].socket_id, code=state))
        assert dropped(modem) == 0


def test_waiting_datagrams_survive_a_restart(
    make_simulator: Callable[..., Simulator], silent: int, got: list[bytes]
) -> None:
    simulator = make_simulator(boot_time=0.2)
    with Modem(simulator.path) as modem, udp(modem) as sock:
        sock.sendto(b"before", (FAR, silent))
        wait_until(lambda: got == [b"before"])
        simulator.inject(Fault("restart"))
        for number in range(12):
            with udp(modem) as other:
                other.sendto(b"%d" % number, (FAR, silent))
        sock.sendto(b"after", (FAR, silent))
        wait_until(lambda: len(got) + dropped(modem) == 14)
        assert dropped(modem) <= 1, "what was being sent just then may have gone out"


def test_datagrams_of_a_port_that_vanished_are_counted(
    make_simulator: Callable[..., Simulator], silent: int, got: list[bytes]
) -> None:
    simulator = make_simulator(connect_timeout=60.0, hosts={"203.0.113.77": "timeout"})
    modem = Modem(simulator.path)
    modem.open()
    with nbsocket.socket(modem=modem) as stream, udp(modem) as sock:
        stream.setblocking(False)
        stream.connect_ex(("203.0.113.77", 80))
        for number in range(9):
            sock.sendto(b"x", (peer(number), silent))
        wait_until(lambda: len(modem.engine._core.datagrams) == 9)
        simulator.inject(Fault("hang_up"))
        wait_until(lambda: dropped(modem) == 9)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
    assert not got
    assert dropped(modem) == 9, "also when the socket is closed"
    modem.close()


def test_no_modem_at_all(silent: int) -> None:
    with udp(modem := Modem("/nonexistent/port")) as sock:
        for _ in range(3):
            sock.sendto(b"x", (FAR, silent))
        wait_until(lambda: dropped(modem) == 3)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ENOENT
    modem.close()


def test_received_datagrams_that_nobody_reads_stay_counted(
    make_modem: MakeModem, monkeypatch: pytest.MonkeyPatch, server: int
) -> None:
    from nbsocket._channel import _datagram

    monkeypatch.setattr(_datagram, "QUEUE_LIMIT", 0)
    modem = make_modem()
    with udp(modem) as sock:
        sock.sendto(b"x", (FAR, server))
        wait_until(lambda: dropped(modem) == 1)
    wait_until(lambda: not modem.engine._core.datagrams)
    assert dropped(modem) == 1


# -- statistics


def test_statistics_from_any_thread(make_modem: MakeModem) -> None:
    """Connections come and go meanwhile: each is seen once, and what is counted only grows."""
    modem = make_modem(close_delay=0)
    done = threading.Event()

    def churn() -> None:
        for _ in range(25):
            with tcp(modem, port) as sock:
                sock.sendall(b"x")
                assert sock.recv(1) == b"x"

    def wait_for_all() -> None:
        for thread in threads:
            thread.join()
        done.set()

    with tcp_server(echo) as port:
        threads = [threading.Thread(target=churn) for _ in range(3)]
        for thread in threads:
            thread.start()
        watcher = threading.Thread(target=wait_for_all)
        watcher.start()
        before: Any = modem.stats()
        while not done.is_set():
            now = modem.stats()
            assert all(now.counters[name] >= number for name, number in before.counters.items())
            assert sum(item.is_open for item in now.connections) <= 8
            before = now
        watcher.join()
    wait_until(lambda: not any(item.is_open for item in modem.stats().connections))
    connections = modem.stats().connections
    assert len(connections) == 75
    assert {(item.bytes_up, item.bytes_down) for item in connections} == {(1, 1)}


# -- the log of what is dropped


def test_a_burst_is_told_once_and_summed_up(caplog: pytest.LogCaptureFixture) -> None:
    log = DropLog()
    with caplog.at_level(logging.WARNING, "nbsocket"):
        for second in range(200):
            if second < 100:
                log.note(2, "to a: full", float(second))
            while log.due is not None and log.due <= second:
                log.handle_timeout(float(second))
        assert log.due is None, "an idle log wakes nobody"
        log.note(1, "to b: full", 1000.0)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "dropped 2 datagrams to a: full"
    assert lines[-1] == "dropped 1 datagram to b: full"
    assert len(lines) <= 7
    assert sum(int(line.split()[1]) for line in lines[:-1]) == 200
    assert all(line.endswith("more, the last one to a: full") for line in lines[1:-1])
    assert _drops.FIRST_INTERVAL < _drops.LONGEST_INTERVAL


def test_peer_that_was_used_least_recently_gives_its_socket_up(
    make_modem: MakeModem, silent: int, got: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_peer_table, "ANSWER_TIME", 0.0)  # so that each of the five could give its socket up
    modem = make_modem()
    with udp(modem) as sock:
        for count, number in enumerate((0, 1, 2, 3, 4, 0, 2, 5), 1):
            sock.sendto(b"x", (peer(number), silent))
            wait_until(lambda count=count: len(got) == count)  # type: ignore[misc]  # bound now
        assert {state.host for state in modem.sockets()} == {peer(number) for number in (0, 2, 3, 4, 5)}
