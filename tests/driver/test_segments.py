"""Segments whose fate is unknown: late outcomes, full send buffers, counts that are not told; as dialogues."""

from __future__ import annotations

import errno

import pytest

from nbsocket._driver import (
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    DatagramsLost,
    DataReceived,
    GetClock,
    PeerClosed,
    RawCommand,
    Settings,
)
from nbsocket._driver._closing import END_DELAY
from nbsocket._driver._opening import FIRST_LOOK
from nbsocket._driver._segments import DATAGRAM_TIMEOUT, LONGEST_PAUSE
from tests.driver.bench import ATTACH, BRING_UP, Bench, Pile

ONE = 'AT+QISEND=0,3,"6F6E65"'
COUNT = "AT+QISEND=0,0"
MARKER = ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK")
ROW = '+QISTATE: 0,"TCP","10.0.0.9",80,0,2,0,1'
#: What a modem answers that is set as it was left.
SETTINGS = {command: answer for command, *answer in [*BRING_UP, *ATTACH]}


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.start()
    return bench


@pytest.fixture
def raw() -> Bench:
    bench = Bench(Settings(data_format="raw", baudrate=115200))
    bench.start()
    return bench


class Buffer:
    """The module's side of socket 0: every send is refused with these lines, and every command is noted."""

    def __init__(self, bench: Bench, *refusal: str) -> None:
        self.bench = bench
        self.refusal = refusal
        self.is_full = True
        self.count = 0
        self.acked: int | None = None
        self.got = b""
        self.sends: list[float] = []
        self.lines: list[str] = []

    def run(self, seconds: float) -> None:
        """Let so much time pass, or less if the connection ends."""
        end = self.bench.now + seconds
        while True:
            while line := self.bench.sent().decode():
                self.answer(line.removesuffix("\r"))
            if self.bench.now >= end or self.bench.events:
                return
            deadline = self.bench.driver.next_deadline()
            moment = end if deadline is None else max(self.bench.now, min(deadline, end))
            self.bench.advance(moment - self.bench.now)

    def answer(self, line: str) -> None:
        self.lines.append(line)
        if line == COUNT:
            acked = self.count if self.acked is None else self.acked
            self.bench.say(f"+QISEND: {self.count},{acked},{self.count - acked}", "OK")
        elif line.startswith("AT+QISEND"):
            self.sends.append(self.bench.now)
            if self.is_full:
                self.bench.say(*self.refusal)
            else:
                data = bytes.fromhex(line.split('"')[1])
                self.got += data
                self.count += len(data)
                self.bench.say("OK", "SEND OK")
        elif line.startswith("AT+QISTATE"):
            self.bench.say(ROW.replace("TCP", "UDP"), "OK")
        elif line in SETTINGS:
            self.bench.say(*SETTINGS[line])
        else:
            self.bench.say("OK", "CLOSE OK")


REFUSALS = [("OK", "SEND FAIL"), ("SEND FAIL",), ("ERROR",), ("+CME ERROR: 568",), ("+CME ERROR: 553",)]


@pytest.mark.parametrize(("refusal", "seconds"), [("+CME ERROR: 552", 1.0), ("ERROR", 40.0)])
def test_refused_segment_shows_that_the_modem_is_in_text_format(bench: Bench, refusal: str, seconds: float) -> None:
    """A stray OK in bring-up, or a silent restart, left it so: it counts the hex digits as payload."""
    source, buffer = Pile(), Buffer(bench, refusal)
    key = bench.open(source)
    bench.write(key, source, b"one")
    answer = {"text": ('+QICFG: "dataformat",0,0', "OK")}
    began = bench.now
    while not buffer.got and bench.now < began + seconds:
        line = bench.sent().decode().removesuffix("\r")
        if line == MARKER[0]:
            bench.say(*answer.get("text", MARKER[1:]))
        elif line == 'AT+QICFG="dataformat",1,1':
            answer.clear()
            buffer.is_full = False
            bench.say("OK")
        elif line:
            buffer.answer(line)
        else:
            bench.advance(0.05)
    assert buffer.got == b"one"
    bench.no_events()


# -- a full send buffer


@pytest.mark.parametrize("refusal", REFUSALS, ids=" ".join)
def test_full_buffer_is_flow_control(bench: Bench, refusal: tuple[str, ...]) -> None:
    source, buffer = Pile(), Buffer(bench, *refusal)
    key = bench.open(source)
    bench.write(key, source, b"one")
    buffer.run(60.0)
    pauses = [after - before for before, after in zip(buffer.sends, buffer.sends[1:], strict=False)]
    assert sorted(pauses) == pauses and pauses[0] < 1.0 and LONGEST_PAUSE <= pauses[-1] < LONGEST_PAUSE + 0.1
    source.chunks.append(b"two")
    bench.driver.data_available(key, 3, bench.now)
    buffer.is_full = False
    buffer.run(LONGEST_PAUSE + 1.0)
    assert buffer.got == b"onetwo"
    bench.no_events()


@pytest.mark.parametrize("refusal", REFUSALS, ids=" ".join)
def test_the_count_is_looked_at_just_before_a_segment_goes_out_again(bench: Bench, refusal: tuple[str, ...]) -> None:
    source, buffer = Pile(), Buffer(bench, *refusal)
    key = bench.open(source)
    bench.write(key, source, b"one")
    buffer.run(20.0)
    again = [index for index, line in enumerate(buffer.lines) if line == ONE][1:]
    assert len(again) > 4 and all(buffer.lines[index - 1] == COUNT for index in again)


@pytest.mark.parametrize("seconds", [3.0, 120.0])
def test_full_buffer_ends_the_connection_by_tcp_user_timeout(bench: Bench, seconds: float) -> None:
    source, buffer = Pile(), Buffer(bench, "OK", "SEND FAIL")
    key = bench.open(source)
    bench.driver.set_option(key, "user_timeout", seconds)
    began = bench.now
    bench.write(key, source, b"one")
    buffer.run(seconds + 10.0)
    error = bench.take(ConnectionReset).error
    assert error.errno == errno.ETIMEDOUT and "SEND FAIL" in str(error)
    assert seconds <= bench.now - began < seconds + 0.1


def test_what_is_acknowledged_meanwhile_puts_the_time_out_off(bench: Bench) -> None:
    """The peer is alive, and slow."""
    source, buffer = Pile(), Buffer(bench, "OK", "SEND FAIL")
    key = bench.open(source)
    bench.driver.set_option(key, "user_timeout", 30.0)
    buffer.is_full, buffer.acked = False, 0
    bench.write(key, source, b"x" * 512)
    buffer.run(0.1)
    buffer.is_full = True
    bench.write(key, source, b"y" * 512)
    buffer.run(20.0)
    buffer.acked = 256
    buffer.run(20.0)
    bench.no_events()
    buffer.run(40.0)
    assert isinstance(bench.take(ConnectionReset).error, TimeoutError)


def test_full_buffer_while_closing_is_flushed_within_the_linger_time(bench: Bench) -> None:
    source, buffer = Pile(b"last words"), Buffer(bench, "ERROR")
    key = bench.open(source)
    bench.driver.end_of_data(key, 60.0, bench.now)
    buffer.run(15.0)
    buffer.is_full = False
    buffer.run(20.0)
    assert buffer.got == b"last words" and bench.take(ConnectionEnded).key == key
    assert not any("not acknowledged" in line for line in bench.logs)


def test_full_buffer_while_closing_is_given_up_by_the_linger_time(bench: Bench) -> None:
    source, buffer = Pile(b"last words"), Buffer(bench, "ERROR")
    key = bench.open(source)
    bench.driver.end_of_data(key, 10.0, bench.now)
    buffer.run(11.0)
    assert bench.take(ConnectionEnded).key == key
    assert any("not acknowledged" in line for line in bench.logs)


def test_another_connection_is_served_meanwhile(bench: Bench) -> None:
    full, other = Pile(), Pile()
    key, served = bench.open(full), bench.open(other)
    bench.write(key, full, b"one")
    bench.dialog((ONE, "+CME ERROR: 568"), (COUNT, "+QISEND: 0,0,0", "OK"))
    bench.write(served, other, b"two")
    bench.dialog(('AT+QISEND=1,3,"74776F"', "OK", "SEND OK"))


@pytest.mark.parametrize("takes_it", [True, False])
def test_segment_is_tried_once_more_after_an_opening_that_had_the_line(bench: Bench, takes_it: bool) -> None:
    """TCP_USER_TIMEOUT passed meanwhile, and the module was tried once, long ago."""
    source = Pile()
    key = bench.open(source)
    bench.driver.set_option(key, "user_timeout", 20.0)
    bench.write(key, source, b"one")
    bench.driver.open("TCP", "10.0.0.8", 80, 0, Pile(), bench.now)
    bench.dialog((ONE, "+CME ERROR: 568"), (COUNT, "+QISEND: 0,0,0", "OK"))
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.8",80', "OK"))
    for _ in range(2):
        bench.advance(FIRST_LOOK)
        bench.dialog(("AT+QISTATE=1,1", '+QISTATE: 1,"TCP","10.0.0.8",80,0,1,0,1', "OK"))
    bench.advance(10.0)
    bench.no_events()
    bench.say("+QIOPEN: 1,566")
    bench.take(ConnectFailed)
    bench.dialog((COUNT, "+QISEND: 0,0,0", "OK"))
    if takes_it:
        bench.dialog((ONE, "OK", "SEND OK"), ("AT+QICLOSE=1", "OK", "CLOSE OK"))
        bench.no_events()
        return
    bench.dialog((ONE, "+CME ERROR: 568"), (COUNT, "+QISEND: 0,0,0", "OK"))
    error = bench.take(ConnectionReset).error
    assert error.errno == errno.ETIMEDOUT and "568" in str(error)


def test_full_buffer_is_told_in_place_of_the_prompt(raw: Bench) -> None:
    source = Pile()
    key = raw.open(source)
    raw.write(key, source, b"one")
    raw.dialog(("AT+QISEND=0,3", "SEND FAIL"), (COUNT, "+QISEND: 0,0,0", "OK"))
    raw.advance(0.3)
    raw.dialog((COUNT, "+QISEND: 0,0,0", "OK"))
    raw.expect("AT+QISEND=0,3")
    raw.feed(b"\r\n> ")
    assert raw.sent() == b"one"
    raw.say("OK", "SEND OK")
    raw.no_events()
    assert raw.driver.counters["segments"] == 1


def test_refused_data_mode_send_is_tried_again(raw: Bench) -> None:
    """ERROR in place of the prompt, then SEND FAIL without OK, then it goes through."""
    source = Pile()
    key = raw.open(source)
    raw.write(key, source, b"one")
    raw.dialog(("AT+QISEND=0,3", "ERROR"), (COUNT, "+QISEND: 0,0,0", "OK"))
    raw.advance(0.3)
    raw.dialog((COUNT, "+QISEND: 0,0,0", "OK"))
    raw.expect("AT+QISEND=0,3")
    raw.feed(b"\r\n> ")
    assert raw.sent() == b"one"
    raw.say("SEND FAIL")
    raw.dialog((COUNT, "+QISEND: 0,0,0", "OK"))
    raw.advance(0.6)
    raw.dialog((COUNT, "+QISEND: 0,0,0", "OK"))
    raw.expect("AT+QISEND=0,3")
    raw.feed(b"\r\n> ")
    assert raw.sent() == b"one"
    raw.say("OK", "SEND OK")
    raw.no_events()


@pytest.mark.parametrize("answer", [("+QISEND: 0,0,0", "OK"), ("ERROR",), ("+CME ERROR: 568",)], ids=" ".join)
def test_refused_data_mode_send_outlives_another_commands_silence(raw: Bench, answer: tuple[str, ...]) -> None:
    """The module has answered a question since, so it does not wait for payload."""
    source = Pile()
    key = raw.open(source)
    raw.write(key, source, b"one")
    raw.dialog(("AT+QISEND=0,3", "+CME ERROR: 568"), (COUNT, *answer))
    raw.driver.submit(RawCommand("AT+CSQ"), None, raw.now)
    raw.expect("AT+CSQ")
    raw.advance(5.1)
    raw.dialog(("AT", "OK"), ('AT+QICFG="dataformat"', '+QICFG: "dataformat",0,0', "OK"))
    assert not any(isinstance(event, ConnectionReset) for event in raw.events)
    raw.dialog((COUNT, "+QISEND: 0,0,0", "OK"))
    raw.expect("AT+QISEND=0,3")


def test_data_mode_send_that_failed_after_its_ok_outlives_a_silence(raw: Bench) -> None:
    """The module had taken the payload whole, so it does not wait for any. Simulation seed 16040024."""
    source = Pile()
    key = raw.open(source)
    raw.write(key, source, b"one")
    raw.dialog(("AT+QISEND=0,3",))
    raw.feed(b"\r\n> ")
    assert raw.sent() == b"one"
    raw.say("OK", "SEND FAIL")
    raw.expect(COUNT)
    raw.advance(5.1)
    raw.dialog(("AT", "OK"), ('AT+QICFG="dataformat"', '+QICFG: "dataformat",0,0', "OK"))
    assert not any(isinstance(event, ConnectionReset) for event in raw.events)
    raw.dialog((COUNT, "+QISEND: 0,0,0", "OK"))
    raw.expect("AT+QISEND=0,3")


def test_data_mode_send_that_failed_before_its_prompt_is_given_up_when_the_module_falls_silent() -> None:
    """SEND FAIL was another program's, and what was asked next has become payload. Simulation seed 16069886."""
    raw = Bench(Settings(data_format="raw", baudrate=115200))
    raw.driver.port_opened(raw.now)
    form = ('AT+QICFG="dataformat"', '+QICFG: "dataformat",0,0', "OK")
    orphan = ("AT+QISTATE?", '+QISTATE: 4,"TCP","10.0.0.9",7,0,2,0,1', "OK")
    raw.dialog(*BRING_UP[:4], form, BRING_UP[5], orphan, ("AT+QICLOSE=4", "OK", "CLOSE OK"), *ATTACH)
    source = Pile()
    key = raw.open(source)
    raw.write(key, source, b"one")
    raw.dialog(("AT+QISEND=0,3", "OK"))
    raw.say("SEND FAIL")
    raw.dialog((COUNT, "SEND OK"))
    raw.advance(5.1)
    raw.dialog(("AT", "OK"))
    reset = next(event for event in raw.events if isinstance(event, ConnectionReset))
    assert reset.key == key


def test_prompt_that_nobody_asked_for_has_every_count_looked_at(bench: Bench) -> None:
    """A command that was hurt has become a send, and what followed its payload: five bytes, as many as are written
    next. Simulation seed 16201194."""
    source = Pile()
    key = bench.open(source)
    bench.driver.submit(GetClock(), None, bench.now)
    bench.expect("AT+CCLK?")
    bench.feed(b"\r\n> ")
    bench.advance(5.1)
    bench.write(key, source, b"12345")
    bench.expect("AT")
    bench.say("OK", "SEND OK")
    bench.dialog(MARKER, (COUNT, "+QISEND: 5,5,0", "OK"))
    assert next(event for event in bench.events if isinstance(event, ConnectionReset)).key == key
    bench.expect("AT+QICLOSE=0")


def test_prompt_that_nobody_asked_for_costs_a_question(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.feed(b"\r\n> ")
    bench.advance(3.1)
    bench.say('+QIURC: "recv",0,1,"61"')
    bench.dialog((COUNT, "ERROR"))
    bench.take(DataReceived)
    bench.write(key, source, b"one")
    bench.expect()
    bench.advance(5.1)
    bench.dialog((COUNT, "+QISEND: 0,0,0", "OK"), (ONE, "OK", "SEND OK"))
    bench.no_events()


def test_answer_to_any_question_shows_that_no_payload_is_waited_for(raw: Bench) -> None:
    """Two sends are refused, and the second one's count is not told. Simulation seed 16202590."""
    source, datagrams = Pile(), Pile(is_stream=False)
    other = raw.open(datagrams, "UDP")
    key = raw.open(source)
    raw.write(other, datagrams, b"two")
    raw.dialog(("AT+QISEND=0,3", "+CME ERROR: 568"), (COUNT, "+QISEND: 0,0,0", "OK"))
    raw.advance(0.2)
    raw.write(key, source, b"one")
    raw.expect("AT+QISEND=1,3")
    raw.advance(0.2)
    raw.say("+CME ERROR: 568")
    raw.dialog((COUNT, "+QISEND: 0,0,0", "OK"), ("AT+QISEND=0,3", "+CME ERROR: 568"))
    raw.expect(COUNT)
    raw.advance(5.1)
    raw.dialog(("AT", "OK"))
    assert not any(isinstance(event, ConnectionReset) for event in raw.events)


def test_refused_datagram_is_tried_again_for_a_while_then_counted_and_logged(bench: Bench) -> None:
    source, buffer = Pile(is_stream=False), Buffer(bench, "+CME ERROR: 568")
    key = bench.open(source, "UDP")
    began = bench.now
    bench.write(key, source, b"one")
    buffer.run(70.0)
    assert bench.driver.counters["dropped_datagrams"] == 0, "a module that is at an opening may refuse for 65 s"
    buffer.run(30.0)
    assert bench.driver.counters["dropped_datagrams"] == 1
    assert buffer.sends[-1] - began <= DATAGRAM_TIMEOUT
    assert bench.take(DatagramsLost) == DatagramsLost(key, 1, "the module took no more data")
    buffer.is_full = False
    bench.write(key, source, b"two")
    buffer.run(1.0)
    assert buffer.got == b"two"


@pytest.mark.parametrize("answer", [("OK", "SEND OK"), ("ERROR",)])
def test_last_datagram_with_rai_is_followed_by_the_close(bench: Bench, answer: tuple[str, ...]) -> None:
    """That it is the last one was seen when it was taken."""
    source = Pile(b"one", is_stream=False)
    key = bench.open(source, "UDP")
    bench.driver.set_option(key, "rai", 1)
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    bench.driver.data_available(key, 3, bench.now)
    bench.driver.end_of_data(key, 60.0, bench.now)
    bench.dialog(("AT+CSQ", "+CSQ: 20,0", "OK"))
    bench.expect(ONE + ",1")
    bench.say(*answer)
    if answer == ("ERROR",):
        lines = {COUNT: ["+QISEND: 0,0,0", "OK"], "AT+QISTATE": [ROW.replace("TCP", "UDP"), "OK"]}
        while bench.driver.counters["dropped_datagrams"] == 0:
            line = bench.sent().decode().removesuffix("\r")
            if line:
                found = next((said for start, said in lines.items() if line.startswith(start)), ["ERROR"])
                bench.say(*SETTINGS.get(line, found))
            bench.advance(0.25)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert isinstance(bench.events[-1], ConnectionEnded)


# -- a count that is not told


def test_module_that_refuses_to_tell_its_count_for_long_is_waited_for(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.dialog((ONE, "+CME ERROR: 568"))
    asked: list[bytes] = []
    while bench.now < 160.0:
        bench.advance(0.5)
        if line := bench.sent():
            asked.append(line)
            bench.say(*([ROW, "OK"] if b"QISTATE" in line else ["+CME ERROR: 568"]))
    bench.no_events()
    assert 10 < len(asked) < 30, "its count, and whether it has the socket"
    while not (line := bench.sent()).startswith(ONE.encode()):
        bench.advance(0.5)
        if line:
            bench.say(*([ROW, "OK"] if b"QISTATE" in line else ["+QISEND: 0,0,0", "OK"]))
    assert bench.now < 172.0


def test_socket_that_the_module_has_no_more_is_a_reset(bench: Bench) -> None:
    """Bare errors say nothing, so it is asked for its sockets."""
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.dialog((ONE, "ERROR"), (COUNT, "ERROR"))
    bench.advance(2.0)
    bench.dialog((COUNT, "ERROR"))
    bench.advance(4.0)
    bench.dialog((COUNT, "ERROR"))
    bench.advance(5.0)
    bench.dialog(("AT+QISTATE=1,0", "OK"), ("AT+QISTATE=1,0", "OK"))
    assert bench.take(ConnectionReset).error.errno == errno.ECONNRESET


# -- late outcomes


def wait_for_outcome(bench: Bench, *answer: str, until: float) -> None:
    """Let time pass; the module answers only questions about its count, with these lines."""
    while bench.now < until:
        bench.advance(min(0.5, until - bench.now))
        if line := bench.sent():
            assert line == b"AT+QISEND=0,0\r", "nothing else is said, and nothing sent again"
            bench.say(*answer)


@pytest.mark.parametrize("seconds", [4.0, 5.0, 8.0, 15.0, 20.0, 24.0])
def test_late_send_ok_costs_neither_a_byte_nor_the_connection(bench: Bench, seconds: float) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.expect(ONE)
    bench.say("OK")
    wait_for_outcome(bench, "+QISEND: 0,0,0", "OK", until=bench.now + seconds)
    bench.say("SEND OK")
    if seconds >= 6.0:
        bench.dialog((COUNT, "+QISEND: 3,0,3", "OK"))
    # The next one is of the same size.
    bench.write(key, source, b"two")
    bench.dialog(('AT+QISEND=0,3,"74776F"', "OK", "SEND OK"))
    bench.no_events()


def test_peer_that_answers_and_closes_right_after_a_late_send_ok(bench: Bench) -> None:
    """The count is gone by then: the one SEND OK that is due must do."""
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.expect(ONE)
    bench.say("OK")
    bench.advance(6.0)
    bench.dialog((COUNT, "+QISEND: 0,0,0", "OK"))
    bench.feed(b'\r\nSEND OK\r\n\r\n+QIURC: "recv",0,2,"6869"\r\n\r\n+QIURC: "closed",0\r\n')
    assert bench.take(DataReceived) == DataReceived(key, b"hi")
    bench.sent()  # the look, which comes too late
    bench.say("+QISEND: 0,0,0", "OK")
    bench.advance(1.0)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(PeerClosed).key == key


def test_no_outcome_is_waited_for_and_then_the_segment_goes_out_again(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.expect(ONE)
    bench.say("OK")
    began = bench.now
    before = b""
    while not (line := bench.sent()).startswith(ONE.encode()):
        bench.advance(0.5)
        if line:
            bench.say("+QISEND: 0,0,0", "OK")
            before = line
    assert before == b"AT+QISEND=0,0\r" and 25.0 <= bench.now - began <= 28.0
    # Now the first one's comes, and may be taken for the second one's: the count tells.
    bench.say("OK", "SEND OK")
    bench.no_events()


def test_late_send_fail_is_a_refusal(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.expect(ONE)
    bench.say("OK")
    wait_for_outcome(bench, "+QISEND: 0,0,0", "OK", until=bench.now + 8.0)
    bench.say("SEND FAIL")
    bench.dialog((COUNT, "+QISEND: 0,0,0", "OK"))
    bench.advance(0.3)
    bench.dialog((COUNT, "+QISEND: 0,0,0", "OK"), (ONE, "OK", "SEND OK"))
    bench.no_events()


def test_late_send_ok_with_two_connections(bench: Bench) -> None:
    """The line names no connection: what comes while another's segment is under way confirms neither."""
    first, second = Pile(), Pile()
    key, other = bench.open(first), bench.open(second)
    bench.write(key, first, b"one")
    bench.expect(ONE)
    bench.say("OK")
    bench.advance(6.0)
    bench.dialog((COUNT, "+QISEND: 0,0,0", "OK"))
    bench.write(other, second, b"two")
    bench.expect('AT+QISEND=1,3,"74776F"')
    bench.say("OK", "SEND OK")  # the first one's
    bench.dialog(("AT+QISEND=1,0", "+QISEND: 0,0,0", "OK"))
    bench.advance(2.0)
    bench.dialog((COUNT, "+QISEND: 3,0,3", "OK"), ("AT+QISEND=1,0", "+QISEND: 0,0,0", "OK"))
    bench.advance(2.0)
    bench.expect()
    bench.say("SEND OK")
    bench.dialog(("AT+QISEND=1,0", "+QISEND: 3,3,0", "OK"))
    bench.write(other, second, b"abc")
    bench.dialog(('AT+QISEND=1,3,"616263"', "OK", "SEND OK"))
    bench.no_events()


def test_send_ok_that_may_be_anothers_does_not_make_a_clean_end(bench: Bench) -> None:
    """It names no socket, one is owed to another connection, and with "closed" the count is gone that would tell."""
    first, second = Pile(), Pile()
    key, other = bench.open(first), bench.open(second)
    bench.write(key, first, b"one")
    bench.expect(ONE)
    bench.advance(5.1)
    bench.dialog(("AT", "OK"), MARKER, (COUNT, "+QISEND: 3,3,0", "OK"))
    bench.write(other, second, b"two")
    bench.expect('AT+QISEND=1,3,"74776F"')
    bench.say("OK", "SEND OK", '+QIURC: "recv",1,1,"21"', '+QIURC: "closed",1')
    assert bench.take(DataReceived).data == b"!"
    lost = bench.take(ConnectionReset)
    assert lost.key == other and "data on its way" in str(lost.error)
    bench.no_events()


def test_count_that_grows_bit_by_bit_is_waited_for(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.expect(ONE)
    bench.say("OK")
    bench.advance(6.0)
    bench.dialog((COUNT, "+QISEND: 1,0,1", "OK"))
    bench.advance(2.0)
    bench.dialog((COUNT, "+QISEND: 2,0,2", "OK"))
    bench.advance(4.0)
    bench.dialog((COUNT, "+QISEND: 3,3,0", "OK"))
    bench.write(key, source, b"two")
    bench.expect('AT+QISEND=0,3,"74776F"')
    bench.no_events()


def test_ok_that_comes_late_means_that_the_outcome_may_too(bench: Bench) -> None:
    """The command was not lost: it was slow from the beginning."""
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.expect(ONE)
    while not bench.sent():
        bench.advance(0.5)
    bench.say("OK")  # to the segment; it is taken for that to AT
    bench.expect('AT+QICFG="dataformat"')
    bench.say("OK", *MARKER[1:])  # this one is to AT
    bench.dialog((COUNT, "+QISEND: 0,0,0", "OK"))
    wait_for_outcome(bench, "+QISEND: 0,0,0", "OK", until=bench.now + 15.0)
    bench.say("SEND OK")
    bench.dialog((COUNT, "+QISEND: 3,3,0", "OK"))
    bench.write(key, source, b"two")
    bench.expect('AT+QISEND=0,3,"74776F"')


def look_on(bench: Bench, *answer: str) -> bytes:
    """Answer the questions for the count until something else is said, or the connection ends."""
    while not bench.events:
        line = bench.sent()
        if line not in (b"", b"AT+QISEND=0,0\r"):
            return line
        if line:
            bench.say(*answer)
        else:
            bench.advance(0.25)
    return b""


def ignore(bench: Bench, *said: str) -> None:
    """The module ignores the command that is out; this is what it says when it is looked for."""
    while not bench.sent():
        bench.advance(0.25)
    bench.say(*said)
    bench.dialog(MARKER)


@pytest.mark.parametrize("takes_it", [True, False])
@pytest.mark.parametrize("strange", [0, 1])
def test_segment_that_may_have_been_ignored_goes_out_once_more(bench: Bench, takes_it: bool, strange: int) -> None:
    """TCP_USER_TIMEOUT ends just before it is certain that its outcome does not come.

    The OK too many may be its own; it has only one, so those that come later put nothing off.
    """
    source = Pile()
    key = bench.open(source)
    bench.driver.set_option(key, "user_timeout", 20.0)
    bench.write(key, source, b"one")
    bench.expect(ONE)
    ignore(bench, "OK", "OK")
    began = bench.now
    answer = ("+QISEND: 0,0,0", "OK", *["OK"] * strange)
    assert look_on(bench, *answer).decode() == ONE + "\r"
    assert 20.0 <= bench.now - began <= 20.0 + LONGEST_PAUSE
    if takes_it:
        bench.say("OK", "SEND OK")
        bench.no_events()
        return
    ignore(bench, "OK")
    bench.dialog((COUNT, *answer))
    error = bench.take(ConnectionReset).error
    assert error.errno == errno.ETIMEDOUT and "no outcome" in str(error)


def test_outcome_that_comes_just_after_tcp_user_timeout_is_taken(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.driver.set_option(key, "user_timeout", 18.0)
    bench.write(key, source, b"one")
    bench.expect(ONE)
    ignore(bench, "OK", "OK")
    wait_for_outcome(bench, "+QISEND: 0,0,0", "OK", until=bench.now + 19.0)
    bench.say("SEND OK")
    bench.dialog((COUNT, "+QISEND: 3,0,3", "OK"))
    bench.no_events()


def test_garbled_ok_may_be_followed_by_a_late_outcome(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.expect(ONE)
    bench.say("OX")
    while not bench.sent():
        bench.advance(0.5)
    bench.say("OK")
    bench.dialog(MARKER, (COUNT, "+QISEND: 0,0,0", "OK"))
    wait_for_outcome(bench, "+QISEND: 0,0,0", "OK", until=bench.now + 12.0)
    bench.say("SEND OK")
    bench.dialog((COUNT, "+QISEND: 3,3,0", "OK"))
    bench.no_events()


@pytest.mark.parametrize("seconds", [8.0, 20.0])
def test_late_send_ok_in_data_mode(raw: Bench, seconds: float) -> None:
    source = Pile()
    key = raw.open(source)
    raw.write(key, source, b"one")
    raw.expect("AT+QISEND=0,3")
    raw.feed(b"\r\n> ")
    assert raw.sent() == b"one"
    raw.say("OK")
    wait_for_outcome(raw, "+QISEND: 0,0,0", "OK", until=raw.now + seconds)
    raw.say("SEND OK")
    raw.dialog((COUNT, "+QISEND: 3,3,0", "OK"))
    raw.write(key, source, b"two")
    raw.expect("AT+QISEND=0,3")
    raw.no_events()


def test_late_send_ok_in_data_mode_with_ok_before_the_prompt(raw: Bench) -> None:
    """What is said before the outcome might become payload, so nothing is."""
    source = Pile()
    key = raw.open(source)
    raw.write(key, source, b"one")
    raw.expect("AT+QISEND=0,3")
    raw.feed(b"\r\nOK\r\n\r\n> ")
    assert raw.sent() == b"one"
    raw.advance(20.0)
    raw.expect()
    raw.say("SEND OK")
    raw.write(key, source, b"two")
    raw.expect("AT+QISEND=0,3")
    raw.no_events()


def test_late_outcome_of_a_users_own_send_is_not_taken_for_that_of_a_segment(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.driver.submit(RawCommand('AT+QISEND=4,1,"41"'), 6.0, bench.now)
    bench.dialog(('AT+QISEND=4,1,"41"', "OK"))
    bench.advance(6.0)
    bench.events.clear()
    bench.write(key, source, b"one")
    bench.expect(ONE)
    bench.say("OK", "SEND OK")
    bench.dialog((COUNT, "+QISEND: 0,0,0", "OK"))
    bench.say('+QIURC: "recv",0,1,"31"', "SEND OK")
    bench.dialog((COUNT, "+QISEND: 3,3,0", "OK"))
    assert bench.take(DataReceived).data == b"1"
    bench.write(key, source, b"two")
    bench.expect('AT+QISEND=0,3,"74776F"')


def after_orphans(settings: Settings | None = None) -> tuple[Bench, int, Pile]:
    """A stream of a program that found an earlier one's socket, whose last send may not have had its outcome."""
    bench = Bench(settings)
    bench.driver.port_opened(bench.now)
    bench.dialog(
        *BRING_UP[:-1],
        ("AT+QISTATE?", '+QISTATE: 0,"TCP","10.0.0.1",80,0,2,0,1', "OK"),
        ("AT+QICLOSE=0", "OK", "CLOSE OK"),
        *ATTACH,
    )
    bench.events.clear()
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.expect(ONE)
    return bench, key, source


@pytest.mark.parametrize("is_count_asked", [False, True])
def test_send_ok_is_believed_when_closed_after_orphans(is_count_asked: bool) -> None:
    """The peer answered and closed, and the count is gone: that SEND OK is hardly a dead program's."""
    bench, key, _ = after_orphans()
    end = ('+QIURC: "recv",0,3,"74776F"', '+QIURC: "closed",0')
    if is_count_asked:
        bench.say("OK", "SEND OK")
        bench.expect(COUNT)
        bench.say(*end, "+QISEND: 0,0,0", "OK")
    else:
        bench.feed("".join(f"\r\n{line}\r\n" for line in ("OK", "SEND OK", *end)).encode())
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(DataReceived).data == b"two"
    assert bench.take(PeerClosed).key == key


def test_send_ok_behind_closed_is_believed_after_orphans() -> None:
    """The module said "closed" before SEND OK: the count is gone, and the SEND OK is hardly a dead program's."""
    bench, key, _ = after_orphans()
    bench.say("OK", '+QIURC: "recv",0,3,"74776F"', '+QIURC: "closed",0')
    bench.advance(0.5)
    bench.say("SEND OK")
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(DataReceived).data == b"two"
    assert bench.take(PeerClosed).key == key


def test_send_ok_of_a_segment_given_twice_is_believed_when_closed(bench: Bench) -> None:
    """Whichever of the two it belongs to, the segment is in the module; the count went with "closed"."""
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.expect(ONE)
    ignore(bench, "OK")
    assert look_on(bench, "+QISEND: 0,0,0", "OK").decode() == ONE + "\r"
    lines = ("OK", "SEND OK", '+QIURC: "recv",0,3,"74776F"', '+QIURC: "closed",0')
    bench.feed("".join(f"\r\n{line}\r\n" for line in lines).encode())
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(DataReceived).data == b"two"
    assert bench.take(PeerClosed).key == key


@pytest.mark.parametrize("is_refused", [False, True])
def test_send_ok_after_orphans_is_looked_into(is_refused: bool) -> None:
    """It may be a dead program's: what the count does not show was not sent, and SEND FAIL is our own then."""
    bench, key, _ = after_orphans()
    bench.say("OK", "SEND OK")
    bench.dialog((COUNT, "+QISEND: 0,0,0", "OK"))
    if is_refused:
        bench.say("SEND FAIL")
        bench.say('+QIURC: "closed",0')
        assert bench.take(ConnectionReset).key == key
    else:
        bench.say("SEND OK")
        bench.dialog((COUNT, "+QISEND: 3,3,0", "OK"))
        bench.no_events()


def test_send_ok_that_a_segment_without_an_outcome_may_have_had_is_not_believed() -> None:
    """That one is owed, not a mere possibility: closed without a count is a reset."""
    bench, key, source = after_orphans()
    while not bench.sent():
        bench.advance(0.5)
    bench.say("OK")  # to AT
    bench.dialog(MARKER, (COUNT, "+QISEND: 3,3,0", "OK"))
    bench.write(key, source, b"two")
    bench.expect('AT+QISEND=0,3,"74776F"')
    bench.say("OK", "SEND OK", '+QIURC: "closed",0')
    assert bench.take(ConnectionReset).key == key
