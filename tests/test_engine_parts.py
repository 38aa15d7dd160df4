"""What the engine is made of: its loop, its poller and the log of the wire."""

from __future__ import annotations

import errno
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from nbsocket._driver import Driver, Settings
from nbsocket._engine import _serial_line
from nbsocket._engine._loop import Loop
from nbsocket._engine._poller import Poller, Ready, SelectorPoller, make_poller
from nbsocket._engine._serial_line import SerialLine
from nbsocket._engine._wirelog import WireLog
from nbsocket._port import Port
from nbsocket._runtime._outcome import Outcome
from tests.helpers import PATIENCE


class Rig:
    """A loop whose deadline and after-step a test sets."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        self.rounds = 0
        self.failures: list[Exception] = []
        self.due = threading.Event()
        self.loop = Loop(after=self._after, next_deadline=lambda: self.deadline, crashed=self.failures.append)

    def _after(self) -> None:
        self.rounds += 1
        if self.deadline is not None and time.monotonic() >= self.deadline:
            self.deadline = None
            self.due.set()

    def end(self) -> None:
        if self.loop.is_running:
            self.loop.call(self.loop.stop)
        assert self.loop.join(PATIENCE)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.end()


def test_calls_run_in_order_on_its_own_thread(rig: Rig) -> None:
    seen: list[int] = []
    futures = [rig.loop.call(lambda number=number: seen.append(number)) for number in range(100)]  # type: ignore[misc]
    for future in futures:
        future.result(PATIENCE)
    assert seen == list(range(100))
    assert rig.loop.call(lambda: rig.loop.is_own_thread).result(PATIENCE)
    assert not rig.loop.is_own_thread


def test_exception_of_a_call_is_the_callers(rig: Rig) -> None:
    with pytest.raises(ZeroDivisionError):
        rig.loop.call(lambda: 1 / 0).result(PATIENCE)
    assert rig.failures == []
    assert rig.loop.call(lambda: 5).result(PATIENCE) == 5


def test_deadline_without_anything_else(rig: Rig) -> None:
    def set_deadline() -> None:
        rig.deadline = time.monotonic() + 0.02

    rig.loop.call(set_deadline)
    assert rig.due.wait(PATIENCE)


def test_nothing_to_do_is_no_wake_up(rig: Rig) -> None:
    rig.loop.call(lambda: None).result(PATIENCE)
    wait_for_quiet(rig)
    before = rig.loop.wakeups
    time.sleep(0.1)
    assert rig.loop.wakeups == before


def wait_for_quiet(rig: Rig) -> None:
    """The round that ran the call may still be under way when its future is done."""
    rounds = -1
    while rounds != rig.rounds:
        rounds = rig.rounds
        time.sleep(0.02)


def test_watched_descriptor(rig: Rig) -> None:
    ours, theirs = socket.socketpair()
    got: list[bytes] = []
    done = threading.Event()

    def handle(ready: Ready) -> None:
        got.append(ours.recv(10))
        done.set()

    rig.loop.call(lambda: rig.loop.watch(ours.fileno(), handle, read=True)).result(PATIENCE)
    theirs.send(b"x")
    assert done.wait(PATIENCE) and got == [b"x"]
    rig.loop.call(lambda: rig.loop.forget(ours.fileno())).result(PATIENCE)
    theirs.send(b"y")
    rig.loop.call(lambda: None).result(PATIENCE)
    assert got == [b"x"]
    ours.close()
    theirs.close()


def test_bug_in_a_handler_is_told_and_survived(rig: Rig) -> None:
    ours, theirs = socket.socketpair()

    def handle(ready: Ready) -> None:
        rig.loop.forget(ours.fileno())
        raise ZeroDivisionError

    rig.loop.call(lambda: rig.loop.watch(ours.fileno(), handle, read=True)).result(PATIENCE)
    theirs.send(b"x")
    while not rig.failures:
        rig.loop.call(lambda: None).result(PATIENCE)
    assert isinstance(rig.failures[0], ZeroDivisionError)
    assert rig.loop.call(lambda: 5).result(PATIENCE) == 5
    ours.close()
    theirs.close()


def test_stopped_and_started_again(rig: Rig) -> None:
    for _ in range(20):
        assert rig.loop.call(lambda: 5).result(PATIENCE) == 5
        rig.loop.call(rig.loop.stop).result(PATIENCE)
        # A call that comes in the very moment of the end is run all the same.
        assert rig.loop.call(lambda: 6).result(PATIENCE) == 6
        rig.end()
    assert not rig.loop.is_running


def test_called_in_the_moment_of_its_end(rig: Rig) -> None:
    def stop_and_call() -> Outcome[int]:
        rig.loop.stop()
        return rig.loop.call(lambda: 7)

    assert rig.loop.call(stop_and_call).result(PATIENCE).result(PATIENCE) == 7
    assert rig.loop.is_running


def test_callers_on_many_threads(rig: Rig) -> None:
    seen: list[int] = []

    def ask(number: int) -> None:
        for _ in range(50):
            rig.loop.call(lambda: seen.append(number)).result(PATIENCE)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(seen) == sorted(list(range(8)) * 50)


# -- the poller


@pytest.fixture(params=[make_poller, SelectorPoller, lambda: SelectorPoller(selectors.PollSelector())])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    make: Callable[[], Poller] = request.param
    poller = make()
    yield poller
    poller.close()


def test_poller(poller: Poller) -> None:
    ours, theirs = socket.socketpair()
    fd = ours.fileno()
    poller.watch(fd, True, False)
    assert poller.wait(0) == []
    theirs.send(b"x")
    assert poller.wait(PATIENCE) == [Ready(fd, True, False, False)]
    poller.watch(fd, True, True)
    assert poller.wait(PATIENCE) == [Ready(fd, True, True, False)]
    poller.watch(fd, False, False)
    assert poller.wait(0) == []
    poller.watch(fd, True, False)
    assert [ready.fd for ready in poller.wait(PATIENCE)] == [fd]
    poller.forget(fd)
    poller.forget(fd)
    assert poller.wait(0) == []
    ours.close()
    theirs.close()


def test_hang_up_is_seen_while_nothing_is_asked() -> None:
    poller = make_poller()
    if isinstance(poller, SelectorPoller):
        pytest.skip("this platform's selector cannot")
    ours, theirs = socket.socketpair()
    poller.watch(ours.fileno(), False, False)
    theirs.send(b"unread")
    theirs.shutdown(socket.SHUT_WR)
    assert poller.wait(0) == []
    theirs.close()
    assert [ready.is_hung_up for ready in poller.wait(PATIENCE)] == [True]
    ours.close()
    poller.close()


def test_forgetting_what_was_closed() -> None:
    poller = make_poller()
    reader, writer = os.pipe()
    poller.watch(reader, True, False)
    os.close(reader)
    poller.forget(reader)
    os.close(writer)
    poller.close()


# -- the log of the wire


@pytest.fixture
def at_log(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    caplog.set_level(logging.DEBUG, "nbsocket.at")
    return lambda: "\n".join(record.getMessage() for record in caplog.records if record.name == "nbsocket.at")


HEX_TRAFFIC = b'\r\nOK\r\n\r\n+QIURC: "recv",0,3,"5365C2"\r\n\r\n+CSQ: 20,0\r\n'
RAW_TRAFFIC = b'\r\nOK\r\n\r\n+QIURC: "recv",0,12,"SECRET\r\n+SET"\r\n\r\n+CSQ: 20,0\r\n'
BARE_TRAFFIC = b'\r\nOK\r\n\r\n+QIURC: "recv",1,6,SECRET\r\n+QIURC: "recv",1,6,SECRET\r\n+CSQ: 20,0\r\n'


@pytest.mark.parametrize("traffic", [HEX_TRAFFIC, RAW_TRAFFIC, BARE_TRAFFIC])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 1000])
def test_received_payload_is_not_logged(at_log: Callable[[], str], traffic: bytes, size: int) -> None:
    log = WireLog()
    for start in range(0, len(traffic), size):
        log.received(traffic[start : start + size])
    text = "".join(line[3:] for line in at_log().splitlines())
    assert not set("ET5") & set(text.partition("recv")[2].replace("+QIURC", "")), "even the last byte"
    assert "bytes>" in text and "+CSQ: 20,0" in text and "recv" in text


def test_sent_payload_is_not_logged(at_log: Callable[[], str]) -> None:
    log = WireLog()
    log.sent(b'AT+QISEND=0,3,"5365C2",1\r')
    log.sent(b"SECRET")
    log.sent(b'AT+QIOPEN=0,0,"TCP","192.0.2.1",80\r')
    assert at_log().splitlines() == [
        '>> AT+QISEND=0,3,"<3 bytes>",1',
        ">> <6 bytes>",
        '>> AT+QIOPEN=0,0,"TCP","192.0.2.1",80',
    ]


def test_payload_on_request(at_log: Callable[[], str]) -> None:
    log = WireLog(log_payload=True)
    log.sent(b'AT+QISEND=0,3,"5365C2"\r')
    log.received(HEX_TRAFFIC)
    assert at_log().count("5365C2") == 2


def test_reopened_port_begins_afresh(at_log: Callable[[], str]) -> None:
    log = WireLog()
    log.received(b'+QIURC: "recv",0,100,"ab')
    log.clear()
    log.received(b"\r\nRDY\r\n")
    assert "RDY" in at_log()


# -- the serial line


def test_port_that_cannot_be_opened_is_tried_at_growing_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    now, attempts = [0.0], []

    def fail(url: str, baudrate: int | None) -> Port:
        attempts.append(now[0])
        raise OSError(errno.ENOENT, "no such device")

    monkeypatch.setattr(_serial_line, "monotonic", lambda: now[0])
    line = SerialLine("/dev/none", None, fail, WireLog(), lambda error: None)
    loop, driver = Loop(after=lambda: None, next_deadline=lambda: None, crashed=lambda error: None), Driver(Settings())
    while now[0] < 100.0:
        with pytest.raises(OSError, match="no such device"):
            line.require(loop, driver)
        now[0] += 0.5
    assert attempts == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 61.0, 91.0]
    line.try_at_once()
    with pytest.raises(OSError, match="no such device"):
        line.require(loop, driver)
    assert attempts[-1] == 100.0
