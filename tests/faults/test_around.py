"""The process around the modem: its log handlers, signals, garbage collector, clock, files and threads."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from nbsocket import Modem
from nbsocket._engine import _log
from nbsocket._engine._log import MESSAGE_LIMIT, EngineLog
from nbsocket._runtime import _threads
from nbsocket._runtime._outcome import Outcome
from nbsocket.sim import Fault, Simulator
from tests.faults.load import connect
from tests.helpers import PATIENCE, echo, logs_delivered, run_isolated, tcp_server

MakeSimulator = Callable[..., Simulator]

# -- log handlers


@pytest.mark.parametrize("speed", ["fast", "slow"])
def test_handler_that_sends_over_the_modem(speed: str) -> None:
    """It does so on the modem's own warnings; "slow": another thread holds the handler's lock meanwhile."""
    assert run_isolated("log_http.py", speed).splitlines() == ["ConnectionResetError"] * 3 + ["connected"]


@pytest.mark.parametrize("host", ["198.18.0.1", "log.example"])
@pytest.mark.parametrize("way", ["udp", "tcp"])
def test_what_a_handler_sends_does_not_feed_itself(way: str, host: str) -> None:
    assert int(run_isolated("log_syslog.py", way, host)) <= 2


class Collecting(logging.Handler):
    """Keeps the records, and whether the thread was one of the library's; may be made to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.threads: set[threading.Thread] = set()
        self.has_own = False
        self.may_go = threading.Event()
        self.may_go.set()

    def emit(self, record: logging.LogRecord) -> None:
        self.has_own |= _threads.is_own()
        self.threads.add(threading.current_thread())
        assert self.may_go.wait(PATIENCE)
        self.records.append(record)


@pytest.fixture
def handler() -> Iterator[Collecting]:
    handler, logger = Collecting(), logging.getLogger("nbsocket")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    handler.may_go.set()
    logs_delivered()
    logger.removeHandler(handler)
    logger.setLevel(level)


def on_a_thread_of_ours(function: Callable[[], object]) -> None:
    """Run it where the engine would, and wait for its end."""
    done: Outcome[None] = Outcome()

    def run() -> None:
        try:
            function()
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    _threads.start(run)
    done.result(PATIENCE)


def test_a_handler_that_waits_holds_nothing_up(make_simulator: MakeSimulator, handler: Collecting) -> None:
    handler.may_go.clear()
    simulator = make_simulator()
    with Modem(simulator.path) as modem, tcp_server(echo) as port:
        with connect(modem, port) as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
            simulator.inject(Fault("restart"))
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        assert handler.records == []
        handler.may_go.set()
        logs_delivered()
    assert not handler.has_own
    assert "restarted" in " ".join(record.getMessage() for record in handler.records)


def test_records_tell_thread_place_and_time(handler: Collecting) -> None:
    log = EngineLog("nbsocket")
    handler.may_go.clear()
    on_a_thread_of_ours(lambda: log.log(logging.INFO, "first %s", "message"))
    on_a_thread_of_ours(lambda: log.log(logging.ERROR, "second", error=ZeroDivisionError("why")))
    handler.may_go.set()
    logs_delivered()
    first, second = handler.records
    assert (first.getMessage(), second.getMessage()) == ("first message", "second")
    assert (first.threadName, first.filename, first.levelname) == ("nbsocket", "test_around.py", "INFO")
    assert first.created <= second.created
    assert second.exc_info is not None and "why" in str(second.exc_info[1])


def test_records_of_the_callers_thread_are_synchronous(handler: Collecting) -> None:
    EngineLog("nbsocket").log(logging.INFO, "now")
    assert [record.getMessage() for record in handler.records] == ["now"]
    assert handler.threads == {threading.current_thread()}


def test_too_many_messages_are_counted_and_told(handler: Collecting) -> None:
    log, at_work = EngineLog("nbsocket"), threading.Event()
    handler.may_go.clear()

    def note(record: logging.LogRecord) -> bool:
        at_work.set()
        return True

    handler.addFilter(note)
    on_a_thread_of_ours(lambda: log.log(logging.INFO, "0"))
    assert at_work.wait(PATIENCE), "that one is being handed out"

    def say_too_much() -> None:
        for number in range(1, MESSAGE_LIMIT + 51):
            log.log(logging.INFO, "%d", number)

    on_a_thread_of_ours(say_too_much)
    handler.may_go.set()
    logs_delivered()
    messages = [record.getMessage() for record in handler.records]
    assert messages[:-1] == [str(number) for number in range(MESSAGE_LIMIT + 1)]
    assert messages[-1] == "50 messages were dropped: log handlers are too slow"


def test_what_is_about_a_handlers_traffic_is_left_out_but_for_a_warning(handler: Collecting) -> None:
    log = EngineLog("nbsocket")
    _log._post_office._warned_at = float("-inf")

    def say() -> None:
        _log.hush_while(lambda: True)
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            log.log(level, "hushed")
        _log.hush_while(lambda: False)
        log.log(logging.DEBUG, "after")

    on_a_thread_of_ours(say)
    logs_delivered()
    assert [(record.levelname, record.getMessage()) for record in handler.records] == [
        ("WARNING", "hushed"),
        ("DEBUG", "after"),
    ]


def test_a_child_of_a_handler_has_the_programs_mask(handler: Collecting) -> None:
    assert run_isolated("log_child.py") == "forked: 10\nstarted: 10\n"


# -- signals


@pytest.mark.parametrize(
    "scene", ["blocked before", "blocked after", "masks", "broken pipe", "handlers", "look-ups", "patches"]
)
def test_signals(scene: str) -> None:
    assert run_isolated("signals.py", scene) == "done\n"


# -- the rest


@pytest.mark.parametrize(
    ("scene", "lines"),
    [
        ("frozen clock", []),
        ("frozen before the import", []),
        ("fake file system", ["reset"]),
        ("another directory", []),
        ("no threads", ["ModemError cannot start a thread for the modem: can't start new thread"] * 4),
        ("join all", ["['MainThread']"]),
        ("garbage", ["2 " + errno.errorcode[errno.EDEADLK]]),
        ("waits of its own", []),
    ],
)
def test_around(scene: str, lines: list[str]) -> None:
    with tcp_server(echo) as port:
        assert run_isolated("around.py", scene, str(port)).splitlines() == [*lines, "done"]
