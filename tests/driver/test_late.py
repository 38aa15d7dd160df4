"""Outcomes of look-ups, pings and time requests name nothing: a late one is never taken for the next request's."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import datetime, timezone
from typing import ClassVar

import pytest

from nbsocket._driver import (
    Ping,
    PingResult,
    RawCommand,
    RequestDone,
    RequestFailed,
    RequestProgress,
    Resolve,
    SetDnsServers,
    SyncTime,
)
from nbsocket._driver._late import LateOutcomes
from nbsocket._driver._requests import Plain, RequestContext
from nbsocket._driver._script import Steps
from tests.driver.bench import ATTACH, BRING_UP, Bench

#: What the driver asks after a command that was not answered.
BACK = [("AT", "OK"), ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK")]

#: A result code as the command's own answer, and as its outcome; and those that may mean that there is no network.
REFUSED, OUTCOME = "+CME ERROR: {}", "OK\r\n\r\n+QIDNSGIP: {}"
WITHOUT_NETWORK = (561, 570, 572)

A, B, C = ('AT+QIDNSGIP=0,"a.example"', 'AT+QIDNSGIP=0,"b.example"', 'AT+QIDNSGIP=0,"c.example"')


PING_A, PING_B = 'AT+QPING=0,"10.0.0.1",5,1,32', 'AT+QPING=0,"10.0.0.2",5,1,32'


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.start()
    return bench


def told(address: str) -> tuple[str, str]:
    return "+QIDNSGIP: 0,1,0", f"+QIDNSGIP: {address}"


def test_outcome_that_came_in_place_of_the_ok_is_not_that_of_the_next_try(bench: Bench) -> None:
    """Else the next try's own would be taken for another name's. Simulation seed 16067859."""
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.expect(A)
    bench.say(*told("10.0.0.1"))
    bench.advance(5.0)
    bench.dialog(*BACK)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((A, "OK"))
    bench.advance(61.0)
    assert isinstance(bench.events[0], RequestFailed), "nothing is owed for it any more"


def test_names_asked_one_after_the_other_get_their_own_answers(bench: Bench) -> None:
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.expect(A)
    bench.say(*told("10.0.0.1"))
    bench.advance(5.0)
    bench.dialog(*BACK, (A, "OK"))
    bench.no_events()
    bench.say(*told("10.0.0.1"))
    assert bench.take(RequestDone).value == ["10.0.0.1"]
    bench.dialog((B, "OK"))
    bench.no_events()
    bench.say(*told("10.0.0.2"))
    assert bench.take(RequestDone).value == ["10.0.0.2"]


def refuse(bench: Bench, answer: str = "ERROR") -> None:
    """The look-up of a.example is answered so, and whoever asked loses patience."""
    request = bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.dialog((A, answer), *ATTACH)
    bench.driver.cancel(request, bench.now)
    bench.no_events()
    assert bench.driver.is_at_rest


def test_outcome_of_a_refused_look_up_before_the_next_ones(bench: Bench) -> None:
    refuse(bench)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, *told("192.0.2.1"), "OK"), (B, "OK", *told("192.0.2.2")))
    bench.no_events()
    bench.dialog((B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


def test_outcome_of_a_refused_look_up_after_the_next_ones(bench: Bench) -> None:
    refuse(bench)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "OK", *told("192.0.2.2")), (B, "OK", *told("192.0.2.1")), (B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


def test_refused_look_up_that_was_not_carried_out_costs_one_question_more(bench: Bench) -> None:
    refuse(bench)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "OK", *told("192.0.2.2")), (B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]
    bench.advance(60.0)
    bench.driver.submit(Resolve("c.example"), None, bench.now)
    bench.dialog((C, "OK", *told("192.0.2.3")))
    assert bench.take(RequestDone).value == ["192.0.2.3"]


def test_the_outcome_that_was_pushed_aside_may_come_later_still(bench: Bench) -> None:
    refuse(bench)
    bench.advance(50.0)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    # Both are a.example's address, so nothing shows that b.example's own has not come yet.
    bench.dialog((B, "OK", *told("192.0.2.1")), (B, "OK", *told("192.0.2.1")))
    assert bench.take(RequestDone).value == ["192.0.2.1"]
    bench.advance(20.0)
    bench.driver.submit(Resolve("c.example"), None, bench.now)
    bench.dialog((C, "OK", *told("192.0.2.1")), (C, "OK", *told("192.0.2.3")), (C, "OK", *told("192.0.2.3")))
    assert bench.take(RequestDone).value == ["192.0.2.3"]


def test_same_name_again_may_take_the_late_outcome(bench: Bench) -> None:
    refuse(bench)
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.dialog((A, "OK", *told("192.0.2.1")))
    assert bench.take(RequestDone).value == ["192.0.2.1"]


def test_late_outcome_that_nobody_waits_for_settles_it(bench: Bench) -> None:
    refuse(bench)
    bench.say(*told("192.0.2.1"))
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


@pytest.mark.parametrize("code", [551, 561, 564, 568, 570, 572])
def test_refusal_with_a_reason_leaves_no_doubt(bench: Bench, code: int) -> None:
    request = bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.dialog((A, f"+CME ERROR: {code}"), *(ATTACH if code in WITHOUT_NETWORK else ()))
    bench.driver.cancel(request, bench.now)
    bench.no_events()
    assert bench.driver.is_at_rest, "nobody waits for the pause to end"
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


NOT_NOW = [
    *(form.format(code) for code in (551, 561, 564, 568, 570, 572) for form in (REFUSED, OUTCOME)),
    "ERROR",
    *(REFUSED.format(code) for code in (3, 4, 14, 30, 50, 100)),
]


def asks_again(bench: Bench, answer: str, tries: range = range(7)) -> None:
    """The look-up of a.example is answered so each time, and the module is attached."""
    code = int(answer.rpartition(" ")[2]) if " " in answer else None
    looks = ATTACH if code is None or code < 550 or code in WITHOUT_NETWORK else []
    for number in tries:
        bench.dialog((A, answer), *(looks if number in (0, 4) else ()))
        if number < 6:
            bench.no_events()
            bench.advance((1.0, 1.0, 2.0, 3.0, 5.0, 8.0)[number])


@pytest.mark.parametrize("answer", NOT_NOW)
def test_not_now_is_asked_again_for_a_while(bench: Bench, answer: str) -> None:
    """20 s; and then it is "not now" still, never an unknown name."""
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    asks_again(bench, answer)
    error = bench.take(RequestFailed).error
    assert isinstance(error, socket.gaierror) and error.args[0] == socket.EAI_AGAIN
    assert "not attached" not in str(error) and "resolve the name" not in str(error)
    assert bench.sent() == b"" and bench.driver.is_at_rest


@pytest.mark.parametrize("answer", NOT_NOW)
@pytest.mark.parametrize("times", [1, 3, 6])
def test_name_that_is_found_when_asked_again(bench: Bench, answer: str, times: int) -> None:
    numbers = [bench.driver.submit(Resolve("a.example"), None, bench.now) for _ in range(2)]
    asks_again(bench, answer, range(times))
    bench.dialog((A, "OK", *told("192.0.2.1")))
    for number in numbers:
        assert bench.take(RequestDone) == RequestDone(number, ["192.0.2.1"])
    assert bench.sent() == b"" and bench.driver.is_at_rest


@pytest.mark.parametrize("answer", NOT_NOW)
def test_not_now_ends_with_the_callers_time(bench: Bench, answer: str) -> None:
    bench.driver.submit(Resolve("a.example"), bench.now + 3.0, bench.now)
    asks_again(bench, answer, range(3))
    error = bench.take(RequestFailed).error
    assert isinstance(error, socket.gaierror) and error.args[0] == socket.EAI_AGAIN
    assert bench.sent() == b"" and bench.driver.is_at_rest


@pytest.mark.parametrize("code", [565, 552])
@pytest.mark.parametrize("form", [REFUSED, OUTCOME])
def test_what_is_said_of_the_name_is_the_last_word(bench: Bench, code: int, form: str) -> None:
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.dialog((A, form.format(code)))
    assert bench.take(RequestFailed).error.args[0] == socket.EAI_NONAME


@pytest.mark.parametrize("answer", ["ERROR", "+CME ERROR: 561", "+CME ERROR: 50", "OK\r\n\r\n+QIDNSGIP: 570"])
@pytest.mark.parametrize("timeout", [None, 5.0])
def test_refused_look_up_without_a_network_says_so(bench: Bench, answer: str, timeout: float | None) -> None:
    bench.driver.submit(Resolve("a.example"), None if timeout is None else bench.now + timeout, bench.now)
    bench.dialog((A, answer), ("AT+CEREG?", "+CEREG: 1,2", "OK"))
    while not bench.events:
        bench.advance(0.5)
        line = bench.sent().decode().strip()
        answers = {"AT+CEREG?": ("+CEREG: 1,2", "OK"), "AT+CPIN?": ("+CPIN: READY", "OK"), A: (answer,), "": ()}
        bench.say(*answers[line])
    error = bench.take(RequestFailed).error
    assert isinstance(error, socket.gaierror) and error.args[0] == socket.EAI_AGAIN
    assert str(error).endswith("the module is not attached to the network: not registered, searching")


def test_network_that_comes_back_while_a_look_up_is_refused(bench: Bench) -> None:
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.dialog((A, "ERROR"), ("AT+CEREG?", "+CEREG: 1,2", "OK"))
    bench.say("+CEREG: 1")
    bench.dialog(*ATTACH)
    bench.advance(1.0)
    bench.dialog((A, "OK", *told("192.0.2.1")))
    assert bench.take(RequestDone).value == ["192.0.2.1"]
    assert bench.driver.is_ready


def test_outcome_of_the_refused_command_is_taken_at_once(bench: Bench) -> None:
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.dialog((A, "ERROR"), *ATTACH)
    bench.say(*told("192.0.2.1"))
    assert bench.take(RequestDone).value == ["192.0.2.1"]
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


def test_outcome_while_it_is_asked_again_may_be_another_names(bench: Bench) -> None:
    refuse(bench)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "ERROR"), *ATTACH)
    bench.say(*told("192.0.2.1"))
    bench.dialog((B, "OK", *told("192.0.2.2")))
    bench.no_events()
    bench.dialog((B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


@pytest.mark.parametrize("answer", ["+CME ERROR: 570", "+CME ERROR: 568"])
@pytest.mark.parametrize("is_at_once", [True, False])
@pytest.mark.parametrize("line", ["+QIDNSGIP: 0,1,0\r\n\r\n+QIDNSGIP: 192.0.2.1", "+QIDNSGIP: 565"])
def test_outcome_after_a_refusal_with_a_reason_is_another_names(
    bench: Bench, answer: str, is_at_once: bool, line: str
) -> None:
    """The module did not look b.example up: what comes is a.example's outcome, which was still owed."""
    refuse(bench)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    attach = ATTACH if answer.endswith("570") else ()
    if is_at_once:
        bench.dialog((B, answer, line), *attach)
    else:
        bench.dialog((B, answer), *attach)
        bench.say(line)
    bench.no_events()
    bench.dialog((B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


def test_outcome_before_the_question_has_gone_out_is_another_names(bench: Bench) -> None:
    """The pause is over, but another command has the line."""
    refuse(bench)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "+CME ERROR: 568"))
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    assert bench.sent() == b"AT+CSQ\r"
    bench.advance(1.5)
    bench.say(*told("192.0.2.1"))
    bench.say("+CSQ: 20,0", "OK")
    bench.take(RequestDone)
    bench.dialog((B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


def test_outcome_in_a_pause_leaves_the_earlier_answers_in_doubt(bench: Bench) -> None:
    """Two are owed: b.example's own may be the one that comes while it is asked again, the others both a.example's."""
    refuse(bench)
    refuse(bench)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "OK", *told("192.0.2.1")), (B, "+CME ERROR: 568"))
    bench.say(*told("192.0.2.2"))
    bench.dialog((B, "OK", *told("192.0.2.1")))
    bench.no_events()
    bench.dialog((B, "OK", *told("192.0.2.2")), (B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


def test_outcome_that_nobody_waits_for_may_be_of_either_refused_name(bench: Bench) -> None:
    refuse(bench)
    request = bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "ERROR"), *ATTACH)
    bench.driver.cancel(request, bench.now)
    bench.say(*told("192.0.2.2"))  # b.example's, before a.example's
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "OK", *told("192.0.2.1")), (B, "OK", *told("192.0.2.2")), (B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


def test_late_failure_is_not_the_next_ones_either(bench: Bench) -> None:
    refuse(bench)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "OK", "+QIDNSGIP: 565"), (B, "OK", *told("192.0.2.2")), (B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


def test_several_refused_look_ups_are_owed_each(bench: Bench) -> None:
    refuse(bench)
    refuse(bench)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "OK", *told("192.0.2.1")), (B, "OK", *told("192.0.2.1")))
    for _ in range(3):
        bench.no_events()
        bench.dialog((B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


def test_name_whose_address_always_changes_waits_until_nothing_is_owed(bench: Bench) -> None:
    refuse(bench)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    for number in range(4):
        bench.dialog((B, "OK", *told(f"192.0.2.{number}")))
    bench.no_events()
    assert bench.sent() == b""
    bench.say(*told("192.0.2.99"))
    bench.dialog((B, "OK", *told("192.0.2.5")))
    assert bench.take(RequestDone).value == ["192.0.2.5"]


def test_look_up_without_any_answer_may_have_been_carried_out(bench: Bench) -> None:
    request = bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.expect(A)
    goes_unanswered(bench)
    bench.driver.cancel(request, bench.now)
    bench.dialog((A, "+CME ERROR: 564"))
    assert bench.driver.is_at_rest
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "OK", *told("192.0.2.1")), (B, "OK", *told("192.0.2.2")), (B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


def goes_unanswered(bench: Bench) -> None:
    """The command that is out gets no answer, and the module is found again."""
    bench.advance(5.0)
    bench.dialog(*BACK)


def test_look_up_that_was_ignored_is_asked_again(bench: Bench) -> None:
    """The first command after a while may be lost."""
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.expect(A)
    goes_unanswered(bench)
    bench.dialog((A, "OK", *told("192.0.2.1")))
    assert bench.take(RequestDone).value == ["192.0.2.1"]
    bench.no_events()


def test_look_up_that_is_always_ignored_is_not_asked_for_ever(bench: Bench) -> None:
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    for _ in range(4):
        bench.no_events()
        bench.expect(A)
        goes_unanswered(bench)
    error = bench.take(RequestFailed).error
    assert isinstance(error, socket.gaierror) and error.args[0] == socket.EAI_AGAIN
    assert bench.sent() == b"" and bench.driver.is_at_rest


def test_ping_that_was_ignored_is_asked_once_more(bench: Bench) -> None:
    bench.driver.submit(Ping("10.0.0.1", 5, 1), None, bench.now)
    bench.expect(PING_A)
    goes_unanswered(bench)
    bench.dialog((PING_A, "OK", "+QPING: 0,10.0.0.1,32,300,54", "+QPING: 0,1,1,0,300,300,300"))
    bench.take(RequestProgress)
    assert isinstance(bench.take(RequestDone).value, PingResult)


def test_ping_that_was_carried_out_twice_leaves_nothing_to_the_next(bench: Bench) -> None:
    bench.driver.submit(Ping("10.0.0.1", 5, 1), None, bench.now)
    bench.expect(PING_A)
    goes_unanswered(bench)
    bench.dialog((PING_A, "OK", "+QPING: 0,10.0.0.1,32,300,54"))
    bench.take(RequestProgress)
    bench.driver.submit(Ping("10.0.0.2", 5, 1), None, bench.now)
    bench.say("+QPING: 569")  # of the other run
    bench.say("+QPING: 0,1,1,0,300,300,300")
    result = bench.take(RequestDone).value
    assert isinstance(result, PingResult) and (result.received, len(result.replies)) == (1, 1)
    assert bench.sent() == b"", "the other run has not ended"
    bench.say("+QPING: 0,1,0,1,0,0,0")
    bench.dialog((PING_B, "OK", "+QPING: 0,10.0.0.2,32,200,54", "+QPING: 0,1,1,0,200,200,200"))
    bench.take(RequestProgress)
    result = bench.take(RequestDone).value
    assert isinstance(result, PingResult) and [reply.address for reply in result.replies] == ["10.0.0.2"]


def test_time_request_that_was_ignored_is_asked_once_more(bench: Bench) -> None:
    line = 'AT+QNTP=0,"a.example",123,1'
    bench.driver.submit(SyncTime("a.example"), None, bench.now)
    bench.expect(line)
    goes_unanswered(bench)
    bench.dialog((line, "OK", '+QNTP: 0,"26/11/26,01:00:00+00"'))
    assert bench.take(RequestDone).value == datetime(2026, 11, 26, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize("request_", [Ping("10.0.0.1", 5, 1), SyncTime("a.example")], ids=["ping", "ntp"])
def test_tool_that_is_ignored_twice_fails(bench: Bench, request_: Ping | SyncTime) -> None:
    bench.driver.submit(request_, None, bench.now)
    for _ in range(2):
        bench.no_events()
        assert bench.sent().startswith(b"AT+Q")
        goes_unanswered(bench)
    assert isinstance(bench.take(RequestFailed).error, TimeoutError)
    assert bench.sent() == b""


def test_raw_look_up_whose_outcome_nobody_waits_for(bench: Bench) -> None:
    bench.driver.submit(RawCommand(A), None, bench.now)
    bench.dialog((A, "OK"))
    assert bench.take(RequestDone).value == []
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "OK", *told("192.0.2.1")), (B, "OK", *told("192.0.2.2")), (B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


def test_restart_ends_the_doubt(bench: Bench) -> None:
    refuse(bench)
    bench.say("RDY")
    for command, *answer in BRING_UP:
        bench.expect(command)
        bench.say(*answer)
    bench.dialog(("AT+CEREG?", "+CEREG: 1,1", "OK"), ("AT+CGPADDR?", '+CGPADDR: 5,"10.1.2.3"', "OK"))
    bench.events.clear()
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


def test_ping_waits_for_the_outcome_of_a_refused_one(bench: Bench) -> None:
    bench.driver.submit(Ping("10.0.0.1", 5, 1), None, bench.now)
    bench.dialog((PING_A, "ERROR"))
    bench.take(RequestFailed)
    bench.driver.submit(Ping("10.0.0.2", 5, 1), None, bench.now)
    assert bench.sent() == b""
    bench.say("+QPING: 0,10.0.0.1,32,300,54")
    assert bench.sent() == b""
    bench.say("+QPING: 0,1,1,0,300,300,300")
    bench.dialog((PING_B, "OK"))
    bench.say("+QPING: 0,10.0.0.2,32,200,54", "+QPING: 0,1,1,0,200,200,200")
    bench.take(RequestProgress)
    result = bench.take(RequestDone).value
    assert isinstance(result, PingResult) and [reply.address for reply in result.replies] == ["10.0.0.2"]


def test_time_request_waits_for_the_outcome_of_a_refused_one_but_not_for_ever(bench: Bench) -> None:
    bench.driver.submit(SyncTime("a.example"), None, bench.now)
    bench.dialog(('AT+QNTP=0,"a.example",123,1', "ERROR"), ('AT+QNTPT=0,"a.example",123,1', "ERROR"))
    bench.take(RequestFailed)
    bench.driver.submit(SyncTime("b.example"), None, bench.now)
    assert bench.sent() == b""
    bench.say("+QNTP: 569")
    assert bench.sent() == b"", "two were refused"
    bench.advance(62.0)
    assert bench.sent() == b"", "a module that was slow to begin may tell it after more than 60 s"
    bench.advance(8.0)
    bench.dialog(('AT+QNTP=0,"b.example",123,1', "OK", '+QNTP: 0,"26/11/26,01:00:00+00"'))
    assert bench.take(RequestDone).value == datetime(2026, 11, 26, 1, tzinfo=timezone.utc)


def test_abandoned_look_up_asks_no_more(bench: Bench) -> None:
    refuse(bench)
    request = bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((B, "OK"))
    bench.driver.cancel(request, bench.now)
    bench.say(*told("192.0.2.1"))
    assert bench.sent() == b""
    assert bench.driver.is_at_rest


@pytest.mark.parametrize(
    "junk", ["93.184.216.340", "1.2.3", "...", "fade.cafe", "0x7f.1", "1.2.3.4:80", "::1%eth0", ":"]
)
def test_what_is_no_address_is_no_answer(bench: Bench, junk: str) -> None:
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.dialog((A, "OK", *told(junk)))
    error = bench.take(RequestFailed).error
    assert isinstance(error, socket.gaierror) and error.args[0] == socket.EAI_AGAIN


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ('"192.0.2.1"', "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ('" 192.0.2.1 "', "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ('"2001:db8::1"', "2001:db8::1"),
    ],
)
def test_an_address_in_any_spelling(bench: Bench, text: str, address: str) -> None:
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.dialog((A, "OK", *told(text)))
    assert bench.take(RequestDone).value == [address]


@pytest.mark.parametrize(
    "text", ["", "a\\b", 'a"b', "a\nb", "a\0b", "a\x7fb", "a b", "a,b", "a;b", "ä.example", "x" * 151]
)
def test_no_request_is_made_of_what_must_not_reach_the_wire(text: str) -> None:
    makers: tuple[Callable[[str], object], ...] = (
        Resolve,
        Ping,
        SyncTime,
        SetDnsServers,
        lambda text: SetDnsServers("192.0.2.1", text),
    )
    for make in makers:
        with pytest.raises(ValueError, match="must"):
            make(text)


class Broken(Plain):
    """A request whose steps raise what nothing foresees."""

    turn: ClassVar[str | None] = "dns"

    def steps(self, context: RequestContext) -> Steps[None]:
        yield from ()
        raise ZeroDivisionError("broken")


def test_request_whose_steps_raise_ends_and_frees_its_turn(bench: Bench) -> None:
    bench.driver.submit(Broken(), None, bench.now)
    bench.driver.submit(Resolve("b.example"), None, bench.now)
    error = bench.take(RequestFailed).error
    assert "ZeroDivisionError" in str(error) and isinstance(error.__cause__, ZeroDivisionError)
    bench.dialog((B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone).value == ["192.0.2.2"]


@pytest.mark.parametrize("answer", [told("192.0.2.1"), ("+QIDNSGIP: 565",)], ids=["found", "unknown"])
def test_look_ups_of_one_name_share_one_outcome(bench: Bench, answer: tuple[str, ...]) -> None:
    numbers = [bench.driver.submit(Resolve("a.example"), None, bench.now) for _ in range(3)]
    other = bench.driver.submit(Resolve("b.example"), None, bench.now)
    bench.dialog((A, "OK"))
    late = bench.driver.submit(Resolve("a.example"), bench.now + 100.0, bench.now)
    bench.say(*answer)
    is_found = len(answer) == 2
    outcomes = [bench.take(RequestDone) if is_found else bench.take(RequestFailed) for _ in range(4)]
    assert [outcome.request_id for outcome in outcomes] == [*numbers, late]
    bench.dialog((B, "OK", *told("192.0.2.2")))
    assert bench.take(RequestDone) == RequestDone(other, ["192.0.2.2"])
    assert bench.sent() == b"" and bench.driver.is_at_rest


def test_look_up_given_up_still_answers_who_asked_for_the_name_since(bench: Bench) -> None:
    bench.driver.submit(Resolve("a.example"), bench.now + 1.0, bench.now)
    bench.dialog((A, "OK"))
    bench.advance(1.0)
    bench.take(RequestFailed)
    again = bench.driver.submit(Resolve("a.example"), bench.now + 10.0, bench.now)
    cancelled = bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.driver.cancel(cancelled, bench.now)
    bench.say(*told("192.0.2.1"))
    assert bench.take(RequestDone) == RequestDone(again, ["192.0.2.1"])
    bench.no_events()
    assert bench.sent() == b"" and bench.driver.is_at_rest


def test_what_is_owed_ends_by_the_clock() -> None:
    late = LateOutcomes()
    late.owe("a", 60.0)
    late.tick(100.0)
    assert (late.count(besides="b"), late.count(besides="a"), late.seconds_left) == (1, 0, 60.0)
    late.asked("b")
    late.tick(130.0)
    assert (late.count(besides="b"), late.count(besides="a"), list(late.deadlines())) == (1, 1, [190.0])
    late.tick(190.0)
    assert not late and late.seconds_left == 0.0
