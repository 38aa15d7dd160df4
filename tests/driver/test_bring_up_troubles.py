"""Bring-up over a bad line, with odd modules, and after other programs. Reported of real modules, except the damage."""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import pytest

from nbsocket._driver import (
    ConnectFailed,
    ConnectionReset,
    GetInfo,
    GetStatus,
    RawCommand,
    RequestDone,
    RequestFailed,
    Resolve,
    Settings,
    Stopped,
    WaitUp,
)
from tests.driver.bench import Bench, Pile
from tests.driver.responder import HEALTHY, Answer, Responder

FIXED = Settings(baudrate=115200)
ORPHAN = '+QISTATE: 2,"TCP","203.0.113.9",7,40000,2,0,1'

#: Bytes that one of an answer may turn into: another digit, a letter, a quote, a line end, what no line has.
GARBLED = (b"\xb1", b"\x00", b"9", b"K", b'"', b"\r", b"+", b">")


def open_socket(module: Responder) -> int:
    """Open a connection through the responder and return its key."""
    bench = module.bench
    key = bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    module.answers["AT+QISTATE?"] = ('+QISTATE: 0,"TCP","10.0.0.9",80,0,2,0,1', "OK")
    module.answers["AT+QISEND=0,0"] = ("+QISEND: 1,1,0", "OK")
    module.answers['AT+QISEND=0,1,"78"'] = ("OK", "SEND OK")
    module.run(1.0)
    module.say("+QIOPEN: 0,0")
    module.run(0.0)
    bench.events.clear()
    return key


def once(first: tuple[str, ...], then: tuple[str, ...]) -> Callable[[], tuple[str, ...]]:
    """An answer that is another one the first time."""
    answers = iter((first,))
    return lambda: next(answers, then)


# -- a bad line


class Damage:
    """Changes one byte of all that is said, by its place."""

    def __init__(self, place: int, byte: bytes) -> None:
        self.place, self.byte, self.seen = place, byte, 0

    def __call__(self, data: bytes) -> bytes:
        at, self.seen = self.place - self.seen, self.seen + len(data)
        return data[:at] + self.byte + data[at + 1 :] if 0 <= at < len(data) else data


@pytest.mark.parametrize("byte", GARBLED)
def test_one_garbled_byte_anywhere_in_the_bring_up(byte: bytes) -> None:
    """Every byte of every answer of a fresh module's bring-up, in turn."""
    answers: dict[str, Answer] = {
        "AT+CMEE?": ("+CMEE: 0", "OK"),
        "AT+CPSMS?": ('+CPSMS: 1,,,"01000001","00000000"', "OK"),
        'AT+QICFG="dataformat"': ('+QICFG: "dataformat",0,0', "OK"),
        "AT+CFUN?": ("+CFUN: 0", "OK"),
        "AT+CEREG?": ("+CEREG: 0,1", "OK"),
        "AT+QISTATE?": (ORPHAN, "OK"),
        "AT+QICLOSE=2": ("OK", "CLOSE OK"),
    }
    settings = Settings(baudrate=115200, apn="iot")
    whole = Responder(Bench(settings), answers, echoes=lambda line: line in ("AT", "ATE0"))
    whole.damage = Damage(-1, b"")
    assert whole.open()
    healthy = whole.lines
    for place in range(whole.damage.seen):
        module = Responder(Bench(settings), answers, echoes=lambda line: line in ("AT", "ATE0"))
        module.damage = Damage(place, byte)
        begin = module.bench.now
        assert module.open(), (place, module.lines, module.bench.logs)
        # A missing answer costs 5 s, one of two looks at the line as much, and everything is asked again then.
        assert module.bench.now - begin <= 20.0, (place, module.lines)
        assert len(module.lines) <= 3 * len(healthy), (place, module.lines)


def test_orphan_whose_row_is_garbled_is_closed_all_the_same() -> None:
    for row in (ORPHAN.replace("7,4", "7,\xb4"), ORPHAN.replace("STATE", "ST\xc1TE"), "+QISTATE: \xb2,", "+QISTATE:2"):
        module = Responder(
            Bench(FIXED), {"AT+QISTATE?": once((row, "OK"), (ORPHAN, "OK")), "AT+QICLOSE=2": ("OK", "CLOSE OK")}
        )
        assert module.open() and module.lines.count("AT+QICLOSE=2") == 1, module.lines


@pytest.mark.parametrize(
    "row",
    ["+QISTATE: 2", "+QISTATE: 2,TCP,203.0.113.9,7", '+QISTATE: 2,"TCP CLIENT","h",7,0,"CONNECTED",1,0,0,"uart1"'],
)
def test_of_a_row_of_qistate_only_the_id_is_needed(row: str) -> None:
    module = Responder(Bench(FIXED), {"AT+QISTATE?": (row, "OK"), "AT+QICLOSE=2": ("OK", "CLOSE OK")})
    assert module.open() and module.lines.count("AT+QICLOSE=2") == 1
    assert module.lines.count("AT+QISTATE?") == 1


def test_format_that_is_garbled_each_time_is_an_error_that_names_it() -> None:
    """Without it nothing can be sent."""
    module = Responder(Bench(FIXED), {'AT+QICFG="dataformat"': ('+QICFG: "dataformat",1,\xb1', "OK")})
    module.bench.driver.submit(GetInfo(), None, module.bench.now)
    assert not module.open(60.0)
    failed = next(event for event in module.bench.events if isinstance(event, RequestFailed))
    assert failed.error.errno == errno.EIO and 'malformed answer to AT+QICFG="dataformat"' in str(failed.error)
    assert module.lines.count('AT+QICFG="dataformat"') == 3


@pytest.mark.parametrize("answer", [("+X: \xb1", "OK"), ("",), ("ERROR",), ("+CME ERROR: 4",), ("OK",)])
@pytest.mark.parametrize("command", ["AT+CMEE?", "AT+CPSMS?", "AT+CFUN?", "AT+QISTATE?", "AT+CGDCONT?"])
def test_module_is_used_whatever_it_makes_of_the_other_questions(command: str, answer: tuple[str, ...]) -> None:
    prefix = command.removeprefix("AT").removesuffix("?")
    module = Responder(
        Bench(Settings(baudrate=115200, apn="iot")), {command: tuple(line.replace("+X", prefix) for line in answer)}
    )
    assert module.open(30.0), module.lines
    assert module.lines.count(command) <= 6


# -- slow modules


@pytest.mark.parametrize("in_turn", [False, True])
@pytest.mark.parametrize("delay", [0.9, 1.0, 2.0, 3.3, 4.9])
@pytest.mark.parametrize("baudrate", [None, 115200])
def test_module_that_takes_long_for_each_answer(delay: float, in_turn: bool, baudrate: int | None) -> None:
    module = Responder(Bench(Settings(baudrate=baudrate)), delay=delay, in_turn=in_turn, rate=115200)
    assert module.open(120.0), (module.lines, module.bench.logs)
    assert len(module.lines) <= 20
    request = module.bench.driver.submit(RawCommand("AT+CSQ"), None, module.bench.now)
    module.run(30.0)
    done = [event for event in module.bench.events if isinstance(event, RequestDone)]
    assert [(event.request_id, event.value) for event in done] == [(request, ["+CSQ: 20,0"])]


@pytest.mark.parametrize("seconds", [14.0, 30.0, 85.0])
def test_radio_that_takes_long_to_be_switched_on(seconds: float) -> None:
    module = Responder(Bench(FIXED), {"AT+CFUN?": ("+CFUN: 0", "OK"), "AT+CFUN=1": ("",)})
    module.bench.driver.port_opened(module.bench.now)
    module.run(seconds)
    assert module.lines[-1] == "AT+CFUN=1", "nothing is said meanwhile, which could break it off"
    module.say("OK")
    assert module.run(5.0, lambda: module.bench.driver.is_ready)
    assert module.lines.count("AT+CFUN=1") == 1


def test_radio_that_cannot_be_switched_on_is_an_error_that_says_so() -> None:
    module = Responder(Bench(FIXED), {"AT+CFUN?": ("+CFUN: 0", "OK"), "AT+CFUN=1": ("",)})
    module.bench.driver.submit(GetInfo(), None, module.bench.now)
    assert not module.open(120.0)
    failed = next(event for event in module.bench.events if isinstance(event, RequestFailed))
    assert "does not switch its radio on" in str(failed.error)
    assert module.lines.count("AT+CFUN=1") == 2


def test_opening_waits_for_the_module_and_for_nothing_else() -> None:
    module = Responder(Bench(FIXED), delay=4.9)
    request = module.bench.driver.submit(WaitUp(), None, module.bench.now)
    module.bench.driver.port_opened(module.bench.now)
    module.run(60.0, lambda: any(isinstance(event, RequestDone) for event in module.bench.events))
    assert module.lines[-1] == "AT+CEREG?" and not module.bench.driver.is_ready
    module.bench.events.clear()
    again = module.bench.driver.submit(WaitUp(), None, module.bench.now)
    assert module.bench.take(RequestDone).request_id == again == request + 1


def test_radio_is_waited_for_by_a_module_that_refuses_everything_meanwhile() -> None:
    """A line that may have been the garbled answer ends the wait for it; the module is still at work."""
    module = Responder(Bench(FIXED), {"AT+CFUN?": ("+CFUN: 0", "OK"), "AT+CFUN=1": ("",)})
    module.bench.driver.port_opened(module.bench.now)
    module.run(2.0)
    module.answers.update(dict.fromkeys(("AT", 'AT+QICFG="dataformat"', "AT+CFUN?", "AT+CFUN=1"), ("ERROR",)))
    module.say("HELLO")
    module.run(60.0)
    for command in ("AT", 'AT+QICFG="dataformat"', "AT+CFUN?", "AT+CFUN=1"):
        del module.answers[command]
    module.answers.update(HEALTHY)
    assert module.run(10.0, lambda: module.bench.driver.is_ready), module.lines
    assert module.lines.count("AT+CFUN=1") == 1


@pytest.mark.parametrize("command", ["ATE0", "AT+CMEE=1", "AT+QSCLK=0", "AT+CPSMS=0", 'AT+QICFG="dataformat",1,1'])
def test_command_that_is_ignored_in_each_bring_up_is_given_again(command: str) -> None:
    """A module may ignore what comes soon after an answer: then it is the same one of a series each time."""
    answers: dict[str, Answer] = {
        "AT+CMEE?": ("+CMEE: 0", "OK"),
        "AT+CPSMS?": ('+CPSMS: 1,,,"01000001","00000000"', "OK"),
        'AT+QICFG="dataformat"': ('+QICFG: "dataformat",0,0', "OK"),
    }
    module = Responder(Bench(FIXED), answers, echoes=lambda line: line == "AT")
    last = ""

    def ignore_behind_another() -> tuple[str, ...]:
        nonlocal last
        last, before = module.lines[-1], module.lines[-2]
        return ("OK",) if before == command else ("",)

    module.answers[command] = ignore_behind_another
    assert module.open(30.0), module.lines
    assert last == command and module.lines.count(command) == 2


def test_deaf_module_that_says_strange_lines_comes_up() -> None:
    module = Responder(Bench(), deaf_time=1.0, echoes=lambda line: line in ("AT", "ATE0"))
    module.bench.driver.port_opened(module.bench.now)
    for seconds in (2.6, 4.8, 9.2, 1.7, 10.3):
        module.run(seconds)
        module.say("HELLO")
    assert module.run(60.0, lambda: module.bench.driver.is_ready), module.lines


def test_garbled_ok_of_the_radio_is_not_waited_for_long() -> None:
    module = Responder(
        Bench(FIXED), {"AT+CFUN?": once(("+CFUN: 0", "OK"), ("+CFUN: 1", "OK")), "AT+CFUN=1": ("O\xb1",)}
    )
    assert module.open(15.0)


# -- the SIM card and the radio at the start


@pytest.mark.parametrize(
    ("command", "refusal", "seconds"),
    [
        ("AT+CFUN=1", "+CME ERROR: 14", 19.0),
        ("AT+CFUN?", "+CME ERROR: 14", 19.0),
        ("AT+CFUN=1", "+CME ERROR: SIM busy", 19.0),
        ("AT+CFUN=1", "ERROR", 3.0),
        ('AT+QICFG="dataformat"', "+CME ERROR: 14", 19.0),
        ('AT+QICFG="dataformat",1,1', "+CME ERROR: 14", 19.0),
        ('AT+CGDCONT=1,"IP","iot"', "+CME ERROR: 14", 19.0),
    ],
)
def test_sim_that_is_busy_at_first_is_waited_for(command: str, refusal: str, seconds: float) -> None:
    bench = Bench(Settings(baudrate=115200, apn="iot"))
    answers: dict[str, Answer] = {
        "AT+CFUN?": ("+CFUN: 0", "OK"),
        'AT+QICFG="dataformat"': ('+QICFG: "dataformat",0,0', "OK"),
        "AT+CGDCONT?": ("OK",),
    }
    module = Responder(bench, answers)
    answer, begin = module.answers.get(command, ("OK",)), bench.now
    assert not callable(answer)
    healthy: tuple[str, ...] = answer
    module.answers[command] = lambda: (refusal,) if bench.now < begin + seconds else healthy
    assert module.open(seconds + 2.0), module.lines
    assert module.lines.count(command) <= 25


def test_sim_that_stays_busy_is_an_error_that_says_so() -> None:
    module = Responder(Bench(FIXED), {'AT+QICFG="dataformat"': ("+CME ERROR: 14",)})
    module.bench.driver.submit(GetInfo(), None, module.bench.now)
    assert not module.open(60.0)
    failed = next(event for event in module.bench.events if isinstance(event, RequestFailed))
    assert "SIM busy" in str(failed.error)


# -- what other programs leave, and echo


@pytest.mark.parametrize("is_echoing", [False, True])
@pytest.mark.parametrize("baudrate", [None, 115200])
@pytest.mark.parametrize("left", ["ATV0", "ATQ1", "both"])
def test_results_as_numbers_or_none_at_all(left: str, baudrate: int | None, is_echoing: bool) -> None:
    echo = is_echoing

    def echoes(line: str) -> bool:
        nonlocal echo
        was, echo = echo, echo and line != "ATE0"
        return was

    module = Responder(Bench(Settings(baudrate=baudrate)), echoes=echoes)
    module.is_numeric, module.is_quiet = left != "ATQ1", left != "ATV0"
    assert module.open(10.0 if baudrate else 15.0), module.lines
    assert not (module.is_numeric or module.is_quiet or echo)
    assert module.bench.driver.counters["restarts"] == 0


@pytest.mark.parametrize("is_echoing", [False, True])
def test_results_as_numbers_that_come_late_at_a_rate_seldom_met(is_echoing: bool) -> None:
    """Each comes when the next AT is out, or after the last one: it tells of the rate all the same."""
    module = Responder(
        Bench(Settings()), delay=1.0, in_turn=True, echoes=lambda line: is_echoing and line[:3] != "ATE", rate=57600
    )
    module.is_numeric = True
    assert module.open(60.0), module.lines
    assert not module.is_numeric and module.bench.driver.baudrate == 57600


def test_module_that_gives_numbers_and_ignores_the_first_question_for_words() -> None:
    """It ignores what comes soon after an answer, and says each AT's number just before the next question."""
    module = Responder(Bench(FIXED), delay=0.1, deaf_time=1.0, echoes=lambda line: True)
    module.is_numeric = True
    assert module.open(60.0), module.lines
    assert module.lines[:3] == ["AT", "ATV1", "ATV1"]


@pytest.mark.parametrize("says_something", [True, False])
def test_module_that_wakes_up_at_a_rate_seldom_met(says_something: bool) -> None:
    """What it says while it wakes up is noise at the other rates, and shows that something is there. One that wakes up
    without a word is looked for where it is to sleep. Simulation seed 16251727."""
    module = Responder(Bench(Settings(power="awake" if says_something else "psm")), rate=57600)
    woken_at: float | None = None
    answer = module._answer

    def sleep(line: str) -> None:
        nonlocal woken_at
        if woken_at is None or module.bench.now > woken_at + 4.0:
            woken_at = module.bench.now + 2.0  # what wakes it is lost
        if module.bench.now >= woken_at:
            answer(line)

    module._answer = sleep  # type: ignore[method-assign]  # a module that sleeps
    module.bench.driver.port_opened(module.bench.now)
    module.run(3.0)
    if says_something:
        module.bench.feed(b"\r\n\xd8\xdf\xfe\x84\x9b\r\n")
    assert module.run(120.0, lambda: module.bench.driver.is_ready), module.bench.logs


def test_healthy_module_is_not_told_how_to_give_results() -> None:
    module = Responder(Bench(FIXED))
    assert module.open()
    assert not [line for line in module.lines if line.startswith(("ATQ", "ATV", "ATE"))]
    assert [line for line in module.lines if "=" in line] == ["AT+QSCLK=0", 'AT+QICFG="dataformat"']


@pytest.mark.parametrize("echo_end", [b"\r", b"\r\n", b"\r\r\n"])
def test_echo_that_does_not_end(echo_end: bytes) -> None:
    module = Responder(Bench(FIXED), echoes=lambda line: True, echo_end=echo_end)
    assert module.open(5.0)
    assert len(module.lines) <= 14 and module.lines.count("ATE0") == 2
    assert sum("echo" in message for message in module.bench.logs) == 1
    key = open_socket(module)
    count = len(module.lines)
    source = Pile(b"x")
    link = module.bench.driver._core.connections.table.get(key)
    assert link is not None
    link.source = source
    module.bench.driver.data_available(key, 1, module.bench.now)
    module.run(600.0)
    assert not any(isinstance(event, ConnectionReset) for event in module.bench.events)
    assert 'AT+QISEND=0,1,"78"' in module.lines[count:]
    assert not [line for line in module.lines[count:] if not line.startswith("AT+QISEND")], "nothing more is tried"


@pytest.mark.parametrize("echoed", ["AT+QI", "AT+C", "AT+QICFG"])
def test_echo_of_some_commands_only(echoed: str) -> None:
    module = Responder(Bench(FIXED), echoes=lambda line: line.startswith(echoed))
    assert module.open(5.0)
    open_socket(module)
    for _ in range(20):
        module.bench.driver.submit(RawCommand("AT+CSQ"), None, module.bench.now)
        module.run(1.0)
    assert module.bench.driver.counters["restarts"] == 0
    assert not any(isinstance(event, ConnectionReset) for event in module.bench.events)
    assert module.lines.count("ATE0") <= 8


def test_echo_that_does_not_end_cannot_carry_raw_payload() -> None:
    module = Responder(
        Bench(Settings(baudrate=115200, data_format="raw")),
        {'AT+QICFG="dataformat"': ('+QICFG: "dataformat",0,0', "OK")},
        echoes=lambda line: True,
    )
    module.bench.driver.submit(GetInfo(), None, module.bench.now)
    assert not module.open(30.0)
    failed = next(event for event in module.bench.events if isinstance(event, RequestFailed))
    assert "echo" in str(failed.error) and len(module.lines) <= 20


def test_echo_alone_is_told_as_such() -> None:
    """Nothing but what is sent comes back: the module is off, and an adapter, or a plug, sends it back."""
    module = Responder(Bench(FIXED), {"AT": ("",), "ATQ0": ("",)}, echoes=lambda line: True)
    module.bench.driver.submit(GetInfo(), None, module.bench.now)
    assert not module.open(60.0)
    failed = next(event for event in module.bench.events if isinstance(event, RequestFailed))
    assert failed.error.errno == errno.ENODEV and "echo" in str(failed.error)


def test_module_that_restarts_again_and_again_is_left_alone_in_the_end() -> None:
    module = Responder(Bench(FIXED))
    assert module.open()
    for _ in range(30):
        module.say("RDY", "+CFUN: 1", "+CPIN: READY", "+IP: 10.1.2.3")
        module.run(1.0)
    assert len(module.lines) <= 120
    count = len(module.lines)
    module.run(600.0)
    assert len(module.lines) == count
    request = module.bench.driver.submit(GetInfo(), None, module.bench.now)
    module.run(5.0)
    assert len(module.lines) > count, f"request {request} begins anew"


# -- settings are written only when they differ


@pytest.mark.parametrize("has", [("+CPSMS: 1",), ('+CPSMS: 1,,,"01000001","00000000"',), ("+CPSMS: 2,,,,",)])
def test_power_saving_of_the_radio_is_ended(has: tuple[str, ...]) -> None:
    module = Responder(Bench(FIXED), {"AT+CPSMS?": (*has, "OK")})
    assert module.open() and module.lines.count("AT+CPSMS=0") == 1


@pytest.mark.parametrize(
    "answer", [("+CPSMS: 0", "OK"), ("OK",), ("ERROR",), ("+CME ERROR: 3",), ("+CPSMS: 0,,,,", "OK")]
)
def test_power_saving_that_is_off_or_unknown_is_left_alone(answer: tuple[str, ...]) -> None:
    module = Responder(Bench(FIXED), {"AT+CPSMS?": answer})
    assert module.open() and "AT+CPSMS=0" not in module.lines


def test_power_saving_of_the_radio_is_left_to_psm() -> None:
    module = Responder(Bench(Settings(baudrate=115200, power="psm")), {"AT+CPSMS?": ("+CPSMS: 1", "OK")})
    assert module.open() and not [line for line in module.lines if "CPSMS" in line]


@pytest.mark.parametrize(("answer", "is_written"), [("+CMEE: 1", 0), ("+CMEE: 0", 1), ("+CMEE: 2", 1), ("", 1)])
def test_form_of_errors_is_written_only_when_it_differs(answer: str, is_written: int) -> None:
    module = Responder(Bench(FIXED), {"AT+CMEE?": (answer, "OK") if answer else ("OK",)})
    assert module.open() and module.lines.count("AT+CMEE=1") == is_written


@pytest.mark.parametrize("n", range(6))
def test_reports_of_the_registration_are_asked_for_only_when_they_are_off(n: int) -> None:
    module = Responder(Bench(FIXED), {"AT+CEREG?": (f"+CEREG: {n},1", "OK")})
    assert module.open() and module.lines.count("AT+CEREG=1") == (n == 0)


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_sleep_mode_is_put_back_by_who_only_looks(mode: int) -> None:
    module = Responder(Bench(Settings(baudrate=115200, restore_sleep=True)), {"AT+QSCLK?": (f"+QSCLK: {mode}", "OK")})
    assert module.open()
    module.bench.driver.submit(GetStatus(), None, module.bench.now)
    module.bench.driver.shut_down(module.bench.now)
    assert module.run(5.0, lambda: any(isinstance(event, Stopped) for event in module.bench.events))
    written = [line for line in module.lines if line.startswith("AT+QSCLK=")]
    assert written == ["AT+QSCLK=0", *([f"AT+QSCLK={mode}"] if mode else [])]
    assert not mode or module.lines[-1] == f"AT+QSCLK={mode}"


# -- the network


def reason(module: Responder, seconds: float = 6.0) -> str:
    """What a connection and a look-up are told that wait so long for the network."""
    bench = module.bench
    bench.driver.port_opened(bench.now)
    bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    module.run(seconds)
    failed = next(event for event in bench.events if isinstance(event, ConnectFailed))
    looked_up = next(event for event in bench.events if isinstance(event, RequestFailed))
    assert failed.error.errno == errno.ENETDOWN and str(failed.error.strerror) in str(looked_up.error)
    return str(failed.error)


HASTY = Settings(baudrate=115200, attach_timeout=5.0)


@pytest.mark.parametrize(
    ("pin", "words"),
    [
        (("+CPIN: SIM PIN", "OK"), "wants its PIN"),
        (("+CPIN: SIM PUK", "OK"), "wants its PUK"),
        (("+CME ERROR: 10",), "no SIM card"),
        (("+CME ERROR: SIM not inserted",), "no SIM card"),
        (("+CME ERROR: 13",), "does not work"),
        (("+CME ERROR: 14",), "SIM card is busy"),
        (("+CPIN: NOT INSERTED", "OK"), "no SIM card"),
        (("+CPIN: PH-NET PIN", "OK"), "PH-NET PIN"),
    ],
)
@pytest.mark.parametrize("cereg", ["+CEREG: 1,0", "+CEREG: 1,2", "+CEREG: 1,4", "+CME ERROR: 10", "+CME ERROR: 3"])
def test_error_tells_what_is_the_matter_with_the_sim_card(cereg: str, pin: tuple[str, ...], words: str) -> None:
    answers: dict[str, Answer] = {
        "AT+CPIN?": pin,
        "AT+CEREG?": (cereg, "OK") if cereg.startswith("+CEREG") else (cereg,),
        "AT+CGPADDR?": ("+CGPADDR: 0", "OK"),
    }
    module = Responder(Bench(HASTY), answers)
    assert words in reason(module)
    assert len(module.lines) <= 20


def test_sim_that_is_missing_when_the_radio_is_switched_on_does_not_stop_the_bring_up() -> None:
    answers: dict[str, Answer] = {
        "AT+CFUN?": ("+CFUN: 0", "OK"),
        "AT+CFUN=1": ("+CME ERROR: 10",),
        "AT+CPIN?": ("+CME ERROR: 10",),
        "AT+CEREG?": ("+CEREG: 1,0", "OK"),
        "AT+CGPADDR?": ("+CGPADDR: 0", "OK"),
    }
    module = Responder(Bench(HASTY), answers)
    assert "no SIM card" in reason(module)
    module.bench.events.clear()
    module.bench.driver.submit(GetStatus(), None, module.bench.now)
    module.run(1.0)
    status = next(event for event in module.bench.events if isinstance(event, RequestDone)).value
    assert "no SIM card" in status.registration  # type: ignore[attr-defined]  # a NetworkStatus


@pytest.mark.parametrize(
    ("cereg", "words"),
    [
        ("+CEREG: 1,0", "not registered, not searching"),
        ("+CEREG: 1,2", "not registered, searching"),
        ("+CEREG: 1,3", "registration denied"),
        ("+CEREG: 3,3,,,,0,17", "registration denied, cause 17: network failure"),
        ("+CEREG: 5,3,,,,0,13,,", "registration denied, cause 13: roaming"),
        ("+CEREG: 5,3,,,,1,101", "registration denied, cause 101"),
        ("+CEREG: 3,0,,,,0,17", "not registered, not searching"),
        ("+CEREG: 1,4", "registration unknown"),
        ("+CEREG: 1,9", "state 9"),
        ("ERROR", "registration is not told"),
    ],
)
def test_error_tells_the_registration_as_it_was_heard_last(cereg: str, words: str) -> None:
    answers: dict[str, Answer] = {
        "AT+CEREG?": (cereg, "OK") if cereg.startswith("+") else (cereg,),
        "AT+CGPADDR?": ("+CGPADDR: 0", "OK"),
    }
    module = Responder(Bench(HASTY), answers)
    assert words in reason(module)
    assert module.lines.count("AT+CPIN?") == 1


def test_cause_of_a_refusal_that_comes_unasked_is_told() -> None:
    module = Responder(Bench(HASTY), {"AT+CEREG?": ("+CEREG: 3,2", "OK"), "AT+CGPADDR?": ("OK",)})
    bench = module.bench
    bench.driver.port_opened(bench.now)
    bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    module.run(1.0)
    module.answers["AT+CEREG?"] = ("+CEREG: 3,3", "OK")
    module.say("+CEREG: 3,,,,0,12")
    module.run(6.0)
    failed = next(event for event in bench.events if isinstance(event, ConnectFailed))
    assert "cause 12: this tracking area" in str(failed.error)


@pytest.mark.parametrize("has_urc", [False, True])
@pytest.mark.parametrize(
    "none", [("OK",), ("+CGPADDR: 0", "OK"), ('+CGPADDR: 5,""', "OK"), ('+CGPADDR: 5,"0.0.0.0"', "OK")]
)
def test_registered_before_there_is_an_address(none: tuple[str, ...], has_urc: bool) -> None:
    bench = Bench(FIXED)
    address: tuple[str, ...] = none
    module = Responder(bench, {"AT+CGPADDR?": lambda: address})
    bench.driver.port_opened(bench.now)
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    module.run(6.0)
    assert not [line for line in module.lines if "QIDNSGIP" in line or "QIOPEN" in line]
    assert module.lines.count("AT+CGPADDR?") <= 5
    address = ('+CGPADDR: 5,"10.1.2.3"', "OK")
    if has_urc:
        module.say("+IP: 10.1.2.3")
        module.run(0.0)
        assert bench.driver.is_ready
    assert module.run(8.0, lambda: bench.driver.is_ready)
    assert bench.driver.local_address == "10.1.2.3"
    module.run(1.0)
    assert [line for line in module.lines if "QIDNSGIP" in line or "QIOPEN" in line]


def test_reports_do_not_shorten_the_wait_for_the_address() -> None:
    """Simulation seed 16253844."""
    module = Responder(Bench(FIXED), {"AT+CGPADDR?": ("+CGPADDR: 5", "OK")})
    module.bench.driver.port_opened(module.bench.now)
    module.run(1.0)
    began = module.bench.now
    while module.bench.now < began + 10.0:
        module.run(0.5)
        module.say("+CEREG: 1")
    module.run(0.0)
    assert not module.bench.driver.is_ready
    assert module.run(30.0, lambda: module.bench.driver.is_ready), "then it is used without"


def test_error_tells_that_only_the_address_is_missing() -> None:
    module = Responder(Bench(HASTY), {"AT+CGPADDR?": ("+CGPADDR: 0", "OK")})
    assert "registered, home network, but without an IP address" in reason(module)


@pytest.mark.parametrize("answer", [("ERROR",), ("+CGPADDR: 0", "OK"), ("+CGPADDR: \xb5", "OK")])
def test_module_that_never_tells_its_address_is_used_all_the_same(answer: tuple[str, ...]) -> None:
    module = Responder(Bench(FIXED), {"AT+CGPADDR?": answer, "AT+CGPADDR": ("ERROR",)})
    assert module.open(40.0)
    assert len(module.lines) <= 20


@pytest.mark.parametrize("cereg", [("ERROR",), ("+CEREG: 1,4", "OK"), ("+CEREG: 1,0", "OK"), ("+CEREG: \xb1", "OK")])
def test_address_is_as_good_as_a_registration_that_is_not_told(cereg: tuple[str, ...]) -> None:
    module = Responder(Bench(FIXED), {"AT+CEREG?": cereg})
    assert module.open(20.0)


def test_report_of_an_address_is_as_good_as_a_registration() -> None:
    module = Responder(Bench(FIXED), {"AT+CEREG?": ("+CEREG: 1,2", "OK"), "AT+CGPADDR?": ("+CGPADDR: 0", "OK")})
    assert not module.open(5.0)
    module.answers["AT+CGPADDR?"] = ('+CGPADDR: 5,"10.1.2.3"', "OK")
    module.say("+IP: 10.1.2.3")
    assert module.run(1.0, lambda: module.bench.driver.is_ready)


@pytest.mark.parametrize(
    ("answer", "address"),
    [
        ('+CGPADDR: 5,"2001:db8::1"', "2001:db8::1"),
        ('+CGPADDR: 5,"2001:db8::1","10.1.2.3"', "10.1.2.3"),
        ('+CGPADDR: 5,"32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.1"', "2001:db8::1"),
        ("+CGPADDR: 0,10.1.2.3", "10.1.2.3"),
    ],
)
def test_own_address_in_every_form(answer: str, address: str) -> None:
    module = Responder(Bench(FIXED), {"AT+CGPADDR?": (answer, "OK")})
    assert module.open() and module.bench.driver.local_address == address


# -- the user's own commands


@pytest.mark.parametrize(
    ("command", "setting", "changed", "written"),
    [
        ("ATE1", "", (), "ATE0"),
        ("AT+CMEE=0", "AT+CMEE?", ("+CMEE: 0", "OK"), "AT+CMEE=1"),
        ("AT+CEREG=0", "AT+CEREG?", ("+CEREG: 0,1", "OK"), "AT+CEREG=1"),
        (
            'at+qicfg="dataformat",0,0',
            'AT+QICFG="dataformat"',
            ('+QICFG: "dataformat",0,0', "OK"),
            'AT+QICFG="dataformat",1,1',
        ),
        ("AT&F", "AT+CMEE?", ("+CMEE: 0", "OK"), "AT+CMEE=1"),
        ("ATZ", "AT+CEREG?", ("+CEREG: 0,1", "OK"), "AT+CEREG=1"),
        ("ATV0", "", (), "ATV1"),
        ("ATQ1", "", (), "ATQ0"),
    ],
)
def test_what_the_user_changes_by_a_command_is_put_right(
    command: str, setting: str, changed: tuple[str, ...], written: str
) -> None:
    echo = False

    def echoes(line: str) -> bool:
        nonlocal echo
        was, echo = echo, line == "ATE1" or (echo and line != "ATE0")
        return was

    module = Responder(Bench(FIXED), echoes=echoes)
    assert module.open()
    open_socket(module)
    if setting:
        module.answers[setting] = changed
    count = len(module.lines)
    module.bench.driver.submit(RawCommand(command), None, module.bench.now)
    module.run(0.1)
    module.say('+QIURC: "recv",0,2,"6869"')
    module.run(60.0)
    assert module.lines[count:].count(written) == 1, module.lines[count:]
    assert len(module.lines) - count <= 14
    assert not any(isinstance(event, ConnectionReset) for event in module.bench.events)
    assert module.bench.driver.counters["restarts"] == 0 and not module.is_quiet and not module.is_numeric


def test_errors_to_the_question_for_the_format_are_no_restart() -> None:
    """After a missing answer the module is asked for it; it says what it likes a few times."""
    module = Responder(Bench(FIXED))
    assert module.open()
    open_socket(module)
    module.answers["AT+CSQ"] = ("",)
    refusals = iter([("+CME ERROR: 50",)] * 4)
    module.answers['AT+QICFG="dataformat"'] = lambda: next(refusals, ('+QICFG: "dataformat",1,1', "OK"))
    module.bench.driver.submit(RawCommand("AT+CSQ"), None, module.bench.now)
    module.run(60.0)
    assert next(refusals, None) is None
    assert module.bench.driver.counters["restarts"] == 0
    assert not any(isinstance(event, ConnectionReset) for event in module.bench.events)


def test_users_own_format_is_no_restart_even_where_it_is_put_right_late() -> None:
    module = Responder(Bench(FIXED))
    assert module.open()
    open_socket(module)
    wrong, right = ('+QICFG: "dataformat",1,0', "OK"), ('+QICFG: "dataformat",1,1', "OK")
    tries = 0

    def put_right() -> tuple[str, ...]:
        nonlocal tries
        tries += 1
        if tries <= 2:
            return ("",)
        module.answers['AT+QICFG="dataformat"'] = right
        return ("OK",)

    module.answers['AT+QICFG="dataformat"'] = wrong
    module.answers['AT+QICFG="dataformat",1,1'] = put_right
    module.bench.driver.submit(RawCommand('AT+QICFG="dataformat",1,0'), None, module.bench.now)
    module.run(60.0)
    assert tries == 3 and module.lines.count("AT+QISTATE?") >= 1
    assert not any(isinstance(event, ConnectionReset) for event in module.bench.events)
    assert module.bench.driver.counters["restarts"] == 0


def test_data_that_comes_as_text_meanwhile_is_received() -> None:
    module = Responder(Bench(FIXED))
    assert module.open()
    open_socket(module)
    module.answers['AT+QICFG="dataformat"'] = ("",)
    module.bench.driver.submit(RawCommand('AT+QICFG="dataformat",0,0'), None, module.bench.now)
    module.run(0.1)
    module.say('+QIURC: "recv",0,5,"say ""')
    module.say('+QICFG: "dataformat",0,0', "OK")
    module.run(0.1)
    module.say('+QIURC: "recv",0,2,"6869"')
    received = [event.data for event in module.bench.events if hasattr(event, "data")]
    assert received == [b'say "', b"hi"]
    assert not any(isinstance(event, ConnectionReset) for event in module.bench.events)


# -- lines that nobody asked for


@pytest.mark.parametrize(
    "line",
    ['NAME: "x"', "^MODE: 17,17", '*x: 1,"y"', 'NAME: "ab"', '^SIND: "ab",12', "RING 12", '*EBC: 1,"12"', '+X "aa"'],
)
def test_line_that_cannot_be_received_data_costs_no_connection(line: str) -> None:
    module = Responder(Bench(FIXED))
    assert module.open()
    open_socket(module)
    module.say(line)
    module.bench.no_events()
    assert module.bench.driver.counters["damaged"] == 0


@pytest.mark.parametrize(
    "line", ['recv",0,2,"6869"', '6869"', ',2,"6869"', "68696a6b", 'OK6869"', ",0,3,68696A", '"6869"']
)
def test_line_that_may_be_received_data_is_not_passed_over(line: str) -> None:
    module = Responder(Bench(FIXED))
    assert module.open()
    key = open_socket(module)
    module.say(line)
    assert module.bench.take(ConnectionReset).key == key


@pytest.mark.parametrize(
    "line",
    [
        b"\xcfK",
        b"O\xcb",
        b"SEND O\xcb",
        b"CL\xcfSE OK",
        b"+QI\xcfPEN: 1,0",
        b"+QIDN\xd3GIP: 203.0.113.9",
        b'+QIURC: "clo\xf3ed",1',
        b'+QIURC: "closed",\xb1',
        b'+QIURC: "foo",0',
        b"+CER\xc5G: 1",
        b"\xe9",
        b"\xff\xfe",
    ],
)
def test_garbled_line_that_cannot_be_received_data_costs_no_connection(line: bytes) -> None:
    module = Responder(Bench(FIXED), {"AT+QISTATE?": ('+QISTATE: 0,"TCP","203.0.113.9",7,40000,2,0,1', "OK")})
    assert module.open()
    open_socket(module)
    module.bench.feed(b"\r\n" + line + b"\r\n")
    module.run(10.0)
    assert module.lines[-1] == "AT+QISTATE?", "it may have been RDY or a closed"
    module.bench.no_events()
    assert module.bench.driver.counters["damaged"] == 1


@pytest.mark.parametrize(
    "line", [b'+QIURC: "re\xb1v",0,2,"6869"', b'6\xb9"', b'+QIURG: "re\xb1v",0', b'OK\xb1869"', b"\xb1\xb2\xb3Q\xb5RC"]
)
def test_garbled_line_that_may_be_received_data_is_not_passed_over(line: bytes) -> None:
    module = Responder(Bench(FIXED))
    assert module.open()
    key = open_socket(module)
    module.bench.feed(b"\r\n" + line + b"\r\n")
    assert module.bench.take(ConnectionReset).key == key


def test_log_of_garbage_is_limited_and_summed_up() -> None:
    module = Responder(Bench(FIXED))
    assert module.open()
    del module.bench.logs[:]
    begin = module.bench.now
    for number in range(6000):
        module.bench.feed(b"\xb1\xb2\xb3\r\n" if number % 2 else b"hello\r\n")
        module.run(0.05)
    module.run(120.0)
    logs = module.bench.logs
    assert module.bench.now - begin > 300.0
    assert len(logs) <= 7 * (5 + 1 + 20 + 1)
    left_out = [int(message.split()[0]) for message in logs if message.endswith("were not logged")]
    assert sum(left_out) + len(logs) - len(left_out) == 6000
    assert module.bench.driver.next_deadline() is None, "and then it is quiet"


def test_moments_of_the_log_follow_from_the_clock_that_is_handed_in() -> None:
    """The same garbage gives the same log: nothing reads another clock."""
    logs = []
    for _ in range(2):
        module = Responder(Bench(FIXED))
        assert module.open()
        for _ in range(100):
            module.bench.feed(b"\xb1\r\n")
            module.run(1.0)
        logs.append(module.bench.logs)
    assert all(first == second for first, second in pairwise(logs))


@pytest.mark.parametrize("data_format", ["hex", "raw"])
def test_format_is_asked_for_when_all_that_is_received_is_damaged(data_format: Literal["hex", "raw"]) -> None:
    """A restart that nothing has told of has changed how received data come. Simulation seed 16011492."""
    is_hex = data_format == "hex"
    right, wrong = ("1,1", "1,0") if is_hex else ("0,0", "0,1")
    push = '+QIURC: "recv",{},8,"' + ("abcdefgh" if is_hex else b"abcdefgh".hex()) + '"'
    form = 'AT+QICFG="dataformat"'
    module = Responder(Bench(Settings(data_format=data_format, baudrate=115200)))
    module.answers[form] = (f'+QICFG: "dataformat",{right}', "OK")
    assert module.open(5.0)
    bench = module.bench
    for socket_id in range(2):
        bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
        module.run(0.0)
        module.say(f"+QIOPEN: {socket_id},0")
        module.run(0.0)
    module.answers[form] = lambda: (
        f'+QICFG: "dataformat",{right if f"{form},{right}" in module.lines else wrong}',
        "OK",
    )
    module.answers["AT+QISTATE?"] = ('+QISTATE: 1,"TCP","10.0.0.9",80,0,2,0,1', "OK")
    module.answers["AT+QICLOSE=0"] = ("OK", "CLOSE OK")
    count = len(module.lines)
    module.say(push.format(0))
    module.run(15.0)
    assert form not in module.lines[count:], "it may be bytes that were lost"
    module.say(push.format(1))
    module.run(15.0)
    assert module.lines.count(f"{form},{right}") == 1


def test_radio_that_is_not_switched_on_is_told_to_again_soon() -> None:
    """After a silent restart, by a command that may be ignored. Simulation seed 16052650."""
    module = Responder(Bench(Settings(baudrate=115200, attach_timeout=100.0)))
    is_on = [True, False]
    module.answers["AT+CFUN?"] = lambda: (f"+CFUN: {int(is_on[0])}", "OK")
    module.answers["AT+CEREG?"] = lambda: (f"+CEREG: 1,{1 if is_on[1] else 0}", "OK")
    module.answers["AT+CGPADDR?"] = lambda: ('+CGPADDR: 5,"10.1.2.3"', "OK") if is_on[1] else ("+CGPADDR: 5", "OK")

    def switch_on() -> tuple[str, ...]:
        if module.lines.count("AT+CFUN=1") == 1:
            return ("",)
        is_on[:] = [True, True]
        return ("OK",)

    module.answers["AT+CFUN=1"] = switch_on
    module.bench.driver.port_opened(module.bench.now)
    module.run(1.0)
    is_on[0] = False
    assert module.run(90.0, lambda: module.bench.driver.is_ready)
