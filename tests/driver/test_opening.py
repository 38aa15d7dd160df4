"""Openings whose command or outcome is lost, and refusals that may pass; as dialogues."""

from __future__ import annotations

import errno

import pytest

from nbsocket._driver import (
    Connected,
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    DataReceived,
    PeerClosed,
    RawCommand,
    RequestDone,
    RequestProgress,
    Settings,
)
from nbsocket._driver._opening import ABSENT_TIME, FIRST_LOOK
from tests.driver.bench import ATTACH, Bench, Pile

OPEN = 'AT+QIOPEN=0,0,"TCP","10.0.0.9",80'
STATE = "AT+QISTATE=1,0"
MARKER = ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK")
#: Answers of a module that is registered and has an address.
NETWORK = {line: list(answer) for line, *answer in ATTACH}


def row(state: int, port: int = 80) -> str:
    return f'+QISTATE: 0,"TCP","10.0.0.9",{port},0,{state},0,1'


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.start()
    return bench


def begin(bench: Bench) -> int:
    """Ask for a connection to 10.0.0.9 port 80."""
    return bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)


def run(bench: Bench, seconds: float, answers: dict[str, list[str]]) -> list[tuple[float, str]]:
    """Let time pass; answer each command by its beginning. Give when each came; ends with the first event."""
    end, lines = bench.now + seconds, []
    while True:
        while line := bench.sent().decode().removesuffix("\r"):
            lines.append((bench.now, line))
            answer = next((said for start, said in answers.items() if line.startswith(start)), ["OK"])
            bench.say(*answer)
        if bench.now >= end or bench.events:
            return lines
        deadline = bench.driver.next_deadline()
        moment = end if deadline is None else max(bench.now, min(deadline, end))
        bench.advance(moment - bench.now)


# -- the command or its outcome is lost


def test_healthy_slow_connect_is_not_asked_about(bench: Bench) -> None:
    begin(bench)
    bench.dialog((OPEN, "OK"))
    bench.advance(FIRST_LOOK - 0.1)
    bench.expect()
    bench.say("+QIOPEN: 0,0")
    bench.take(Connected)
    bench.expect()


def test_ignored_command_is_found_out_and_given_again(bench: Bench) -> None:
    key = begin(bench)
    bench.expect(OPEN)
    bench.advance(5.1)
    bench.dialog(("AT", "OK"), MARKER, (STATE, "OK"), (STATE, "OK"))
    bench.advance(0.9)
    bench.expect()
    bench.advance(0.2)
    bench.dialog((OPEN, "OK", "+QIOPEN: 0,0"))
    assert bench.take(Connected).key == key


def test_ignored_command_is_found_out_where_no_socket_is_an_error(bench: Bench) -> None:
    """Some firmware refuses AT+QISTATE for a socket that it has not."""
    key = begin(bench)
    bench.expect(OPEN)
    bench.advance(5.1)
    bench.dialog(("AT", "OK"), MARKER, (STATE, "+CME ERROR: 567"), (STATE, "+CME ERROR: 567"))
    bench.advance(1.1)
    bench.dialog((OPEN, "OK", "+QIOPEN: 0,0"))
    assert bench.take(Connected).key == key


def test_ignored_command_is_found_out_where_no_socket_is_an_error_without_a_number(bench: Bench) -> None:
    key = begin(bench)
    bench.expect(OPEN)
    bench.advance(5.1)
    bench.dialog(("AT", "OK"), MARKER, (STATE, "ERROR"))
    bench.advance(2.1)
    bench.dialog(("AT+QISTATE?", "OK"), ("AT+QISTATE?", "OK"))
    bench.advance(1.1)
    bench.dialog((OPEN, "OK", "+QIOPEN: 0,0"))
    assert bench.take(Connected).key == key


def test_module_that_ignores_what_comes_soon_after_an_answer_costs_seconds(bench: Bench) -> None:
    key = begin(bench)
    began = bench.now
    bench.expect(OPEN)
    bench.advance(5.1)
    bench.dialog(("AT", "OK"))
    bench.expect(MARKER[0])
    bench.advance(3.0)
    bench.dialog(("AT+CFUN?", "+CFUN: 1", "OK"))
    bench.expect()
    bench.advance(1.2)
    bench.dialog(MARKER)
    for turn in ((STATE, "OK"), (STATE, "OK"), (OPEN, "OK", "+QIOPEN: 0,0")):
        bench.expect()
        bench.advance(1.2)
        bench.dialog(turn)
    assert bench.take(Connected).key == key and bench.now - began < 14.0


def test_late_answer_to_the_question_that_was_given_up_is_not_taken_for_another(bench: Bench) -> None:
    """A slow module: the OK to AT was that of the command before, and all that follows is one behind."""
    key = begin(bench)
    bench.expect(OPEN)
    bench.advance(5.1)
    bench.dialog(("AT", "OK"))
    bench.expect(MARKER[0])
    bench.advance(3.0)
    bench.expect("AT+CFUN?")
    bench.say("OK", *MARKER[1:])
    bench.expect()
    bench.say("+CFUN: 1", "OK")
    bench.advance(1.2)
    bench.dialog(MARKER)
    bench.advance(1.2)
    bench.dialog((STATE, row(1), "OK"))
    bench.say("+QIOPEN: 0,0")
    assert bench.take(Connected).key == key


def test_command_that_is_ignored_again_and_again_is_given_for_a_minute(bench: Bench) -> None:
    begin(bench)
    began = bench.now
    tries = 0
    while not bench.events:
        line = bench.sent().decode().removesuffix("\r")
        if line.startswith("AT+QIOPEN"):
            tries += 1
        elif line:
            bench.say(*(MARKER[1:] if "QICFG" in line else ["OK"]))
        bench.advance(0.5)
    assert isinstance(bench.take(ConnectFailed).error, TimeoutError)
    assert 55.0 <= bench.now - began <= 70.0 and tries >= 6


def test_first_byte_lost_is_an_error_that_is_looked_into(bench: Bench) -> None:
    """The module answers ERROR to what it does not know: there is no such socket, and the network is there."""
    key = begin(bench)
    bench.dialog((OPEN, "ERROR"), ("AT+QIGETERROR", "ERROR"), ("AT+QISTATE?", "OK"), ("AT+QICLOSE=0", "ERROR"), *ATTACH)
    bench.advance(1.0)
    bench.dialog(("AT+QICLOSE=0", "ERROR"))
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.9",80', "OK", "+QIOPEN: 1,0"))
    assert bench.take(Connected).key == key


def test_lost_outcome_is_found_out(bench: Bench) -> None:
    key = begin(bench)
    bench.dialog((OPEN, "OK"))
    bench.advance(FIRST_LOOK)
    bench.dialog((STATE, row(2), "OK"))
    assert bench.take(Connected).key == key
    bench.say("+QIOPEN: 0,0", "+QIOPEN: 0,0")  # late, and twice
    bench.no_events()
    bench.expect()


@pytest.mark.parametrize("garbled", ["+QIOPZN: 0,0", "QIOPEN: 0,0", "+QIOPEN: 0", "+QIOPEN: ,0"])
def test_garbled_outcome_is_asked_for_at_once(bench: Bench, garbled: str) -> None:
    key = begin(bench)
    bench.dialog((OPEN, "OK"))
    bench.advance(2.0)
    bench.say(garbled)
    bench.advance(0.6)
    bench.dialog((STATE, row(2), "OK"))
    assert bench.take(Connected).key == key


def test_outcome_that_comes_while_it_is_asked_for(bench: Bench) -> None:
    key = begin(bench)
    bench.dialog((OPEN, "OK"))
    bench.advance(FIRST_LOOK)
    bench.expect(STATE)
    bench.say("+QIOPEN: 0,0", row(1), "OK")
    assert bench.take(Connected).key == key
    bench.advance(60.0)
    bench.expect()


def test_refusal_that_comes_while_it_is_asked_for(bench: Bench) -> None:
    begin(bench)
    bench.dialog((OPEN, "OK"))
    bench.advance(FIRST_LOOK)
    bench.expect(STATE)
    bench.say(row(1), "+QIOPEN: 0,566", "OK")
    assert isinstance(bench.take(ConnectFailed).error, ConnectionRefusedError)
    bench.expect("AT+QICLOSE=0")


def test_connecting_for_long_is_asked_about_more_and_more_rarely(bench: Bench) -> None:
    begin(bench)
    lines = run(bench, 64.0, {STATE: [row(1), "OK"]})
    looks = [moment for moment, line in lines if line == STATE]
    assert len(looks) <= 4
    bench.say("+QIOPEN: 0,0")
    bench.take(Connected)


def test_lost_outcome_of_a_failure_is_tried_again(bench: Bench) -> None:
    key = begin(bench)
    bench.dialog((OPEN, "OK"))
    bench.advance(FIRST_LOOK)
    bench.dialog((STATE, row(0), "OK"), ("AT+QICLOSE=0", "OK", "CLOSE OK"))
    bench.advance(1.1)
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.9",80', "OK", "+QIOPEN: 1,0"))
    assert bench.take(Connected).key == key


def test_module_that_lists_no_socket_while_it_looks_a_name_up_is_waited_for(bench: Bench) -> None:
    bench.driver.open("TCP", "a.example", 80, 0, Pile(), bench.now)
    bench.dialog(('AT+QIOPEN=0,0,"TCP","a.example",80', "OK"))
    lines = run(bench, ABSENT_TIME - 2.0, {STATE: ["OK"]})
    assert {line for _, line in lines} == {STATE}
    bench.say("+QIOPEN: 0,0")
    bench.take(Connected)


def test_peer_that_closes_before_a_lost_outcome_is_found_out(bench: Bench) -> None:
    key = begin(bench)
    bench.dialog((OPEN, "OK"))
    bench.advance(FIRST_LOOK)
    bench.dialog((STATE, row(4), "OK"))
    assert bench.take(Connected).key == key
    run(bench, 1.0, {STATE: [row(4), "OK"], "AT+QICLOSE": ["OK", "CLOSE OK"]})
    assert bench.take(PeerClosed).key == key


def test_peer_that_greets_and_closes_and_the_outcome_is_lost(bench: Bench) -> None:
    key = begin(bench)
    bench.dialog((OPEN, "OK", '+QIURC: "recv",0,2,"6869"', '+QIURC: "closed",0'))
    bench.advance(0.6)
    bench.dialog((STATE, "OK"))
    assert bench.take(Connected).key == key
    assert bench.take(DataReceived) == DataReceived(key, b"hi")
    run(bench, 1.0, {STATE: [row(4), "OK"], "AT+QICLOSE": ["OK", "CLOSE OK"]})
    assert bench.take(PeerClosed).key == key


def test_another_socket_under_the_id_is_not_taken_for_ours(bench: Bench) -> None:
    key = begin(bench)
    bench.expect(OPEN)
    bench.advance(5.1)
    bench.dialog(("AT", "OK"), MARKER, (STATE, row(2, port=4711), "OK"), ("AT+QICLOSE=0", "OK", "CLOSE OK"))
    bench.advance(1.1)
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.9",80', "OK", "+QIOPEN: 1,0"))
    assert bench.take(Connected).key == key


def test_first_command_that_comes_to_something_after_all_is_the_connection(bench: Bench) -> None:
    """It was slow, and the second one is refused because the first one has the id."""
    key = begin(bench)
    bench.expect(OPEN)
    bench.advance(5.1)
    bench.dialog(("AT", "OK"), MARKER, (STATE, "OK"), (STATE, "OK"))
    bench.advance(1.1)
    bench.dialog((OPEN, "+QIOPEN: 0,0", "+CME ERROR: 563"))
    assert bench.take(Connected).key == key
    bench.no_events()


def test_caller_that_gives_up_ends_the_tries(bench: Bench) -> None:
    key = begin(bench)
    bench.dialog((OPEN, "+CME ERROR: 568"), ("AT+QICLOSE=0", "+CME ERROR: 567"))
    bench.driver.abort(key, bench.now)
    assert bench.take(ConnectionEnded).key == key
    bench.advance(60.0)
    bench.expect()


# -- refusals that may pass


@pytest.mark.parametrize("refusal", [["+CME ERROR: 568"], ["ERROR"], ["OK", "+QIOPEN: {},568"], ["+CME ERROR: 563"]])
def test_refusal_that_lasts_ten_seconds_is_waited_out(bench: Bench, refusal: list[str]) -> None:
    begin(bench)
    end = bench.now + 10.0
    while not bench.events:
        line = bench.sent().decode().removesuffix("\r")
        if line.startswith("AT+QIOPEN"):
            accepted = ["OK", "+QIOPEN: {},0"]
            bench.say(*(said.format(line[12]) for said in (refusal if bench.now < end else accepted)))
        elif line.startswith("AT+QICLOSE"):
            bench.say("+CME ERROR: 567")
        elif line.startswith(("AT+CEREG", "AT+CGPADDR")):
            bench.say(*(ATTACH[0][1:] if "CEREG" in line else ATTACH[1][1:]))
        elif line:
            bench.say("ERROR" if "QIGETERROR" in line else "OK")
        bench.advance(0.25)
    bench.take(Connected)
    assert bench.now < end + 6.0


@pytest.mark.parametrize("code", [565, 566, 567, 569])
def test_what_the_network_said_is_told_at_once(bench: Bench, code: int) -> None:
    begin(bench)
    bench.dialog((OPEN, "OK", f"+QIOPEN: 0,{code}"))
    assert bench.take(ConnectFailed).error.result == code  # type: ignore[attr-defined]  # of our errors


def test_reason_that_the_firmware_tells_when_asked(bench: Bench) -> None:
    begin(bench)
    bench.dialog((OPEN, "ERROR"), ("AT+QIGETERROR", '+QIGETERROR: 566,"Socket connection failed"', "OK"))
    assert isinstance(bench.take(ConnectFailed).error, ConnectionRefusedError)


def test_id_in_use_is_told_when_asked(bench: Bench) -> None:
    begin(bench)
    bench.dialog((OPEN, "ERROR"), ("AT+QIGETERROR", "+QIGETERROR: 563", "OK"), ("AT+QICLOSE=0", "OK", "CLOSE OK"))
    bench.advance(1.1)
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.9",80', "OK", "+QIOPEN: 1,0"))
    bench.take(Connected)


def test_wait_for_anothers_opening_is_not_taken_from_ones_own_time(bench: Bench) -> None:
    """One that was refused for a moment waits while another connects for a minute. Simulation seed 16048711."""
    first = begin(bench)
    bench.dialog((OPEN, "+CME ERROR: 568"), ("AT+QICLOSE=0", "OK", "CLOSE OK"))
    bench.driver.open("TCP", "10.0.0.9", 81, 0, Pile(), bench.now)
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.9",81', "OK"))
    began = bench.now
    while bench.now < began + 64.0:
        bench.advance(1.0)
        if line := bench.sent():
            assert line == b"AT+QISTATE=1,1\r"
            bench.say('+QISTATE: 1,"TCP","10.0.0.9",81,0,1,0,1', "OK")
    bench.say("+QIOPEN: 1,569")
    bench.events.clear()
    bench.dialog(("AT+QICLOSE=1", "OK", "CLOSE OK"))
    bench.dialog(('AT+QIOPEN=0,2,"TCP","10.0.0.9",80', "+CME ERROR: 568"))
    assert not any(isinstance(event, ConnectFailed) for event in bench.events), "it was tried for a moment only"
    bench.dialog(("AT+QICLOSE=2", "OK", "CLOSE OK"))
    bench.advance(5.0)
    bench.dialog(('AT+QIOPEN=0,3,"TCP","10.0.0.9",80', "OK", "+QIOPEN: 3,0"))
    assert next(event for event in bench.events if isinstance(event, Connected)).key == first


@pytest.mark.parametrize("state", [0, 4])
def test_refusal_after_what_was_taken_for_the_outcome_is_a_reset(bench: Bench, state: int) -> None:
    """A line that says that it is open was not meant. Simulation seed 16205492."""
    key = begin(bench)
    bench.dialog((OPEN, "OK", "+QIOPEN: 0,0"))
    bench.take(Connected)
    bench.advance(30.0)
    bench.say("+QIOPEN: 0,569")
    bench.dialog(("AT+QISTATE?", row(state), "OK"), ("AT+QISTATE?", row(state), "OK"))
    reset = bench.take(ConnectionReset)
    assert reset.key == key and reset.error.errno == errno.ETIMEDOUT
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))


def test_refusal_of_an_earlier_opening_costs_a_look(bench: Bench) -> None:
    """Simulation seed 16000051."""
    begin(bench)
    bench.dialog((OPEN, "OK", "+QIOPEN: 0,0"))
    bench.take(Connected)
    bench.say("+QIOPEN: 0,566")
    bench.dialog(("AT+QISTATE?", row(2), "OK"))
    bench.no_events()
    bench.expect()


def test_outcome_of_a_users_own_opening_of_a_socket_in_use_is_theirs(bench: Bench) -> None:
    """Simulation seed 16222847."""
    bench.open()
    command = 'AT+QIOPEN=0,0,"UDP","10.0.0.7",7'
    bench.driver.submit(RawCommand(command, wants_outcome=True), None, bench.now)
    bench.dialog((command, "OK", "+QIOPEN: 0,569"))
    assert bench.take(RequestProgress).value == "OK"
    assert bench.take(RequestProgress).value == "+QIOPEN: 0,569"
    bench.take(RequestDone)
    bench.no_events()
    bench.expect()


def test_firmware_that_does_not_tell_is_asked_once(bench: Bench) -> None:
    begin(bench)
    lines = run(bench, 40.0, {"AT+QIOPEN": ["ERROR"], "AT+QIGETERROR": ["ERROR"], **NETWORK})
    assert [line for _, line in lines].count("AT+QIGETERROR") == 1
    error = bench.take(ConnectFailed).error
    assert isinstance(error, ConnectionRefusedError)


def test_bare_error_without_registration_waits_for_the_network(bench: Bench) -> None:
    begin(bench)
    bench.dialog((OPEN, "ERROR"), ("AT+QIGETERROR", "ERROR"), ("AT+QISTATE?", "OK"), ("AT+QICLOSE=0", "OK", "CLOSE OK"))
    bench.dialog(("AT+CEREG?", "+CEREG: 1,2", "OK"))
    assert not bench.driver.is_ready
    bench.advance(1.5)
    bench.expect()
    bench.say("+CEREG: 1")
    bench.dialog(*ATTACH, ('AT+QIOPEN=0,1,"TCP","10.0.0.9",80', "OK", "+QIOPEN: 1,0"))
    bench.take(Connected)


def test_wait_for_the_network_after_a_refusal_ends_with_the_attach_timeout() -> None:
    bench = Bench(Settings(baudrate=115200, attach_timeout=50.0))
    bench.start()
    began = bench.now
    begin(bench)
    searching = {"AT+CEREG": ["+CEREG: 1,2", "OK"], "AT+CPIN": ["+CPIN: READY", "OK"]}
    run(bench, 80.0, {"AT+QIOPEN": ["+CME ERROR: 572"], "AT+QICLOSE": ["ERROR"], **searching})
    assert bench.take(ConnectFailed).error.errno == errno.ENETDOWN
    assert 49.0 <= bench.now - began <= 51.0


@pytest.mark.parametrize("code", [561, 570, 572])
def test_no_network_soon_after_registration_means_not_now(bench: Bench, code: int) -> None:
    begin(bench)
    bench.dialog((OPEN, "OK", f"+QIOPEN: 0,{code}"), ("AT+QICLOSE=0", "OK"), *ATTACH)
    bench.say("CLOSE OK")
    bench.advance(1.1)
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.9",80', "OK", "+QIOPEN: 1,0"))
    bench.take(Connected)


@pytest.mark.parametrize("code", [561, 570, 572])
def test_no_network_much_later_is_looked_into_once_and_told(bench: Bench, code: int) -> None:
    bench.advance(100.0)
    begin(bench)
    refused = ["OK", f"+QIOPEN: 0,{code}"]
    bench.dialog((OPEN, *refused), ("AT+QICLOSE=0", "OK", "CLOSE OK"), *ATTACH)
    bench.advance(1.1)
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.9",80', "OK", f"+QIOPEN: 1,{code}"))
    assert bench.take(ConnectFailed).error.result == code  # type: ignore[attr-defined]  # of our errors
