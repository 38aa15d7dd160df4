"""UDP sockets that the module loses without a word: dialogues, line by line."""

from __future__ import annotations

import pytest

from nbsocket._driver import (
    Connected,
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    DatagramsLost,
    DataReceived,
    Settings,
)
from tests.driver.bench import ATTACH, BRING_UP, Bench, Pile

#: Bring-up after a restart, where the rate is known.
AGAIN = [*BRING_UP, *ATTACH]


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.start()
    return bench


def datagrams(bench: Bench, local_port: int = 0) -> tuple[int, Pile]:
    """Open UDP socket 0."""
    source = Pile(is_stream=False)
    key = bench.driver.open("UDP", "10.0.0.9", 80, local_port, source, bench.now)
    assert bench.sent().startswith(b'AT+QIOPEN=0,0,"UDP","10.0.0.9",80')
    bench.say("OK")
    bench.say("+QIOPEN: 0,0")
    assert bench.take(Connected).key == key
    return key, source


def dropped(bench: Bench) -> int:
    return bench.driver.counters["dropped_datagrams"]


#: How modules refuse to send on a socket that they do not have, and to tell its count.
REFUSALS = [
    (("ERROR",), "ERROR"),
    (("+CME ERROR: 567",), "+CME ERROR: 567"),
    (("OK", "SEND FAIL"), "+CME ERROR: 567"),
    (("SEND FAIL",), "ERROR"),
    (("+CME ERROR: 550",), "+CME ERROR: 550"),
]


@pytest.mark.parametrize(("refusal", "no_count"), REFUSALS)
def test_lost_socket_is_opened_again_and_the_datagram_sent(
    bench: Bench, refusal: tuple[str, ...], no_count: str
) -> None:
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', *refusal), ("AT+QISEND=0,0", no_count))
    if "567" not in no_count:
        bench.dialog(("AT+QISTATE=1,0", "OK"))
    bench.dialog(
        ("AT+QISTATE=1,0", "OK"),
        ("AT+QICLOSE=0", "ERROR"),
        ('AT+QIOPEN=0,1,"UDP","10.0.0.9",80', "OK"),
    )
    bench.no_events()
    bench.say("+QIOPEN: 1,0")
    bench.dialog(('AT+QISEND=1,3,"6F6E65"', "OK", "SEND OK"))
    bench.say('+QIURC: "recv",1,3,"6F6E65"')
    assert bench.take(DataReceived).data == b"one"
    bench.no_events()
    assert dropped(bench) == 0
    bench.write(key, source, b"two")
    bench.expect('AT+QISEND=1,3,"74776F"')


def test_module_that_tells_nothing_of_a_socket_that_it_does_not_have(bench: Bench) -> None:
    """Some firmware answers ERROR to QISTATE, too: what it lists settles it."""
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.dialog(
        ('AT+QISEND=0,3,"6F6E65"', "ERROR"),
        ("AT+QISEND=0,0", "ERROR"),
        ("AT+QISTATE=1,0", "ERROR"),
        ("AT+QISTATE?", '+QISTATE: 4,"TCP","10.0.0.8",80,0,2,0,1', "OK"),
        ("AT+QISTATE=1,0", "ERROR"),
        ("AT+QISTATE?", "OK"),
        ("AT+QICLOSE=0", "ERROR"),
        ('AT+QIOPEN=0,1,"UDP","10.0.0.9",80', "OK"),
    )
    bench.say("+QIOPEN: 1,0")
    bench.expect('AT+QISEND=1,3,"6F6E65"')


def test_what_the_module_says_of_a_socket_without_the_power_to_send_is_closed(bench: Bench) -> None:
    """Some modules keep the entry, in a state in which nothing can be sent."""
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.dialog(
        ('AT+QISEND=0,3,"6F6E65"', "ERROR"),
        ("AT+QISEND=0,0", "ERROR"),
        ("AT+QISTATE=1,0", '+QISTATE: 0,"UDP","10.0.0.9",80,0,0,0,1', "OK"),
        ("AT+QICLOSE=0", "OK"),
        ('AT+QIOPEN=0,1,"UDP","10.0.0.9",80', "OK"),
    )
    bench.say("CLOSE OK")
    bench.say("+QIOPEN: 1,0")
    bench.expect('AT+QISEND=1,3,"6F6E65"')


def test_socket_that_is_there_is_kept(bench: Bench) -> None:
    """A busy module refuses to send and to count, but has the socket."""
    key, source = datagrams(bench)
    row = '+QISTATE: 0,"UDP","10.0.0.9",80,0,2,0,1'
    bench.write(key, source, b"one")
    bench.dialog(
        ('AT+QISEND=0,3,"6F6E65"', "ERROR"), ("AT+QISEND=0,0", "+CME ERROR: 568"), ("AT+QISTATE=1,0", row, "OK")
    )
    assert bench.sent() == b""
    bench.advance(2.0)
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 0,0,0", "OK"))
    bench.advance(1.0)
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "OK", "SEND OK"))
    assert dropped(bench) == 0


def test_module_that_tells_nothing_at_all_loses_the_datagram_in_the_open(bench: Bench) -> None:
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "ERROR"))
    for _ in range(400):
        if bench.sent():
            bench.say("ERROR")
        bench.advance(1.0)
    bench.collect()
    lost = bench.take(DatagramsLost)
    assert (lost.key, lost.number) == (key, 1)
    assert dropped(bench) == 1


def test_socket_of_which_every_question_is_refused_twice_is_opened_again(bench: Bench) -> None:
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.dialog(
        ('AT+QISEND=0,3,"6F6E65"', "ERROR"),
        ("AT+QISEND=0,0", "ERROR"),
        ("AT+QISTATE=1,0", "ERROR"),
        ("AT+QISTATE?", "ERROR"),
    )
    bench.advance(2.0)
    bench.dialog(
        ("AT+QISEND=0,0", "ERROR"),
        ("AT+QISTATE=1,0", "ERROR"),
        ("AT+QISTATE?", "ERROR"),
        ("AT+QICLOSE=0", "ERROR"),
        ('AT+QIOPEN=0,1,"UDP","10.0.0.9",80', "OK"),
    )
    bench.say("+QIOPEN: 1,0")
    bench.dialog(('AT+QISEND=1,3,"6F6E65"', "OK", "SEND OK"))
    assert dropped(bench) == 0


def test_busy_module_keeps_its_socket(bench: Bench) -> None:
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.expect('AT+QISEND=0,3,"6F6E65"')
    bench.say("+CME ERROR: 568")
    for _ in range(20):
        if sent := bench.sent():
            assert not sent.startswith((b"AT+QIOPEN", b"AT+QICLOSE"))
            bench.say("+CME ERROR: 568")
        bench.advance(0.5)
    while not bench.sent().startswith(b"AT+QISEND=0,0"):
        bench.say("+CME ERROR: 568")
        bench.advance(0.5)
    bench.say("+QISEND: 0,0,0", "OK")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "OK", "SEND OK"))


def test_datagram_that_may_have_gone_out_is_not_sent_again(bench: Bench) -> None:
    """No answer to the send, and then the socket is gone: it must not arrive twice."""
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.expect('AT+QISEND=0,3,"6F6E65"')
    while not bench.sent():
        bench.advance(0.5)
    bench.say("OK")
    bench.dialog(
        ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"),
        ("AT+QISEND=0,0", "+CME ERROR: 567"),
        ("AT+QISTATE=1,0", "OK"),
        ("AT+QICLOSE=0", "ERROR"),
        ('AT+QIOPEN=0,1,"UDP","10.0.0.9",80', "OK"),
    )
    assert bench.take(DatagramsLost).number == dropped(bench) == 1
    source.chunks.append(b"two")
    bench.driver.data_available(key, 3, bench.now)
    bench.say("+QIOPEN: 1,0")
    bench.dialog(('AT+QISEND=1,3,"74776F"', "OK", "SEND OK"))
    assert dropped(bench) == 1


def test_a_missing_row_is_asked_for_again(bench: Bench) -> None:
    """The line may have been hurt: one answer without it proves nothing."""
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.dialog(
        ('AT+QISEND=0,3,"6F6E65"', "ERROR"),
        ("AT+QISEND=0,0", "ERROR"),
        ("AT+QISTATE=1,0", "OK"),
        ("AT+QISTATE=1,0", '+QISTATE: 0,"UDP","10.0.0.9",80,0,2,0,1', "OK"),
    )
    bench.advance(2.0)
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 3,0,0", "OK"))
    assert dropped(bench) == 0, "it had gone out after all"


def test_module_that_loses_every_socket(bench: Bench) -> None:
    """The datagram is given up, the connection ends, and nothing runs in circles."""
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    commands = 0
    for _ in range(200):
        line = bench.sent()
        if not line:
            bench.advance(1.0)
            continue
        commands += 1
        if line.startswith((b"AT+QISEND", b"AT+QICLOSE")):
            bench.say("+CME ERROR: 567")
        else:
            bench.say("OK")
        if line.startswith(b"AT+QIOPEN"):
            bench.say(f"+QIOPEN: {line[12:13].decode()},0")
    assert commands < 40
    assert [type(event) for event in bench.events] == [DatagramsLost, ConnectionEnded]
    assert dropped(bench) == 1
    assert bench.driver.is_at_rest


@pytest.mark.parametrize("is_closed", [True, False])
def test_datagrams_before_the_outcome_are_not_told_to_who_has_closed(bench: Bench, is_closed: bool) -> None:
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.dialog(
        ('AT+QISEND=0,3,"6F6E65"', "+CME ERROR: 567"),
        ("AT+QISEND=0,0", "+CME ERROR: 567"),
        ("AT+QISTATE=1,0", "OK"),
        ("AT+QICLOSE=0", "ERROR"),
        ('AT+QIOPEN=0,1,"UDP","10.0.0.9",80', "OK"),
    )
    bench.say('+QIURC: "recv",1,1,"21"')
    if is_closed:
        bench.driver.end_of_data(key, 60.0, bench.now)
    bench.say("+QIOPEN: 1,0")
    if not is_closed:
        assert bench.take(DataReceived).data == b"!"
    bench.no_events()
    bench.dialog(('AT+QISEND=1,3,"6F6E65"', "OK", "SEND OK"))


def test_closing_waits_for_the_socket_that_is_opened_again(bench: Bench) -> None:
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    source.chunks.append(b"two")
    bench.driver.end_of_data(key, 60.0, bench.now)
    bench.dialog(
        ('AT+QISEND=0,3,"6F6E65"', "+CME ERROR: 567"),
        ("AT+QISEND=0,0", "+CME ERROR: 567"),
        ("AT+QISTATE=1,0", "OK"),
        ("AT+QICLOSE=0", "ERROR"),
        ('AT+QIOPEN=0,1,"UDP","10.0.0.9",80', "OK"),
    )
    bench.say("+QIOPEN: 1,0")
    bench.dialog(
        ('AT+QISEND=1,3,"6F6E65"', "OK", "SEND OK"),
        ('AT+QISEND=1,3,"74776F"', "OK", "SEND OK"),
        ("AT+QICLOSE=1", "OK"),
    )
    bench.say("CLOSE OK")
    assert bench.take(ConnectionEnded).key == key
    bench.no_events()
    assert dropped(bench) == 0


def test_closing_before_it_is_open_sends_what_was_written(bench: Bench) -> None:
    source = Pile(b"one", is_stream=False)
    key = bench.driver.open("UDP", "10.0.0.9", 80, 0, source, bench.now)
    bench.driver.end_of_data(key, 60.0, bench.now)
    bench.dialog(('AT+QIOPEN=0,0,"UDP","10.0.0.9",80', "OK"))
    bench.say("+QIOPEN: 0,0")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "OK", "SEND OK"), ("AT+QICLOSE=0", "OK"))
    bench.say("CLOSE OK")
    assert [bench.take(Connected).key, bench.take(ConnectionEnded).key] == [key, key]


@pytest.mark.parametrize("is_closed", [False, True])
def test_restart_of_the_module(bench: Bench, is_closed: bool) -> None:
    """What waits goes out afterwards; what was being sent is counted, for it may have gone out."""
    key, source = datagrams(bench)
    stream = bench.open(Pile())
    bench.write(key, source, b"one")
    bench.expect('AT+QISEND=0,3,"6F6E65"')
    source.chunks.append(b"two")
    if is_closed:
        bench.driver.end_of_data(key, 60.0, bench.now)
    else:
        bench.driver.data_available(key, 3, bench.now)
    bench.say("RDY")
    assert dropped(bench) == 1
    bench.dialog(*AGAIN, ('AT+QIOPEN=0,2,"UDP","10.0.0.9",80', "OK"))
    bench.say("+QIOPEN: 2,0")
    bench.dialog(('AT+QISEND=2,3,"74776F"', "OK", "SEND OK"))
    assert [event.key for event in bench.events if isinstance(event, ConnectionReset)] == [stream]
    assert [event.key for event in bench.events if isinstance(event, DatagramsLost)] == [key]
    assert dropped(bench) == 1


def test_restart_while_it_is_opened(bench: Bench) -> None:
    source = Pile(b"one", is_stream=False)
    key = bench.driver.open("UDP", "10.0.0.9", 80, 0, source, bench.now)
    bench.dialog(('AT+QIOPEN=0,0,"UDP","10.0.0.9",80', "OK"))
    bench.say("RDY")
    bench.dialog(*AGAIN, ('AT+QIOPEN=0,1,"UDP","10.0.0.9",80', "OK"))
    bench.say("+QIOPEN: 1,0")
    assert [event.key for event in bench.events if isinstance(event, Connected)] == [key]
    bench.dialog(('AT+QISEND=1,3,"6F6E65"', "OK", "SEND OK"))
    assert dropped(bench) == 0


def test_idle_socket_ends_with_a_restart(bench: Bench) -> None:
    """Nothing is opened for nobody: the next datagram does it."""
    key, _ = datagrams(bench)
    bench.say("RDY")
    bench.dialog(*AGAIN)
    assert [bench.take(ConnectionReset).key, bench.take(ConnectionEnded).key] == [key, key]
    assert bench.sent() == b""


def test_port_lost_with_a_datagram_under_way(bench: Bench) -> None:
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.driver.port_lost(OSError(5, "unplugged"), bench.now)
    assert dropped(bench) == 1
    bench.collect()
    assert bench.events[0] == DatagramsLost(key, 1, "the module lost the socket while it was sent")
    assert [type(event) for event in bench.events[1:]] == [ConnectionReset, ConnectionEnded]


def test_port_that_the_module_keeps_is_given_up(bench: Bench) -> None:
    """The socket was bound: better another port than none."""
    key, source = datagrams(bench, local_port=4321)
    bench.write(key, source, b"one")
    bench.dialog(
        ('AT+QISEND=0,3,"6F6E65"', "+CME ERROR: 567"),
        ("AT+QISEND=0,0", "+CME ERROR: 567"),
        ("AT+QISTATE=1,0", "OK"),
        ("AT+QICLOSE=0", "ERROR"),
        ('AT+QIOPEN=0,1,"UDP","10.0.0.9",80,4321,1', "OK"),
    )
    bench.say("+QIOPEN: 1,574")
    bench.dialog(("AT+QICLOSE=1", "ERROR"), ('AT+QIOPEN=0,2,"UDP","10.0.0.9",80', "OK"))
    bench.say("+QIOPEN: 2,0")
    bench.dialog(('AT+QISEND=2,3,"6F6E65"', "OK", "SEND OK"))
    assert dropped(bench) == 0


def test_opening_again_that_fails_ends_the_connection(bench: Bench) -> None:
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.dialog(
        ('AT+QISEND=0,3,"6F6E65"', "+CME ERROR: 567"),
        ("AT+QISEND=0,0", "+CME ERROR: 567"),
        ("AT+QISTATE=1,0", "OK"),
        ("AT+QICLOSE=0", "ERROR"),
        ('AT+QIOPEN=0,1,"UDP","10.0.0.9",80', "OK"),
    )
    bench.say("+QIOPEN: 1,573")
    bench.dialog(("AT+QICLOSE=1", "OK"))
    bench.say("CLOSE OK")
    assert [type(event) for event in bench.events] == [DatagramsLost, ConnectionReset, ConnectionEnded]
    assert dropped(bench) == 1


def test_closed_is_no_end_of_datagrams(bench: Bench) -> None:
    """The manual has this report for TCP only; a module that says it has lost the socket."""
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.expect('AT+QISEND=0,3,"6F6E65"')
    bench.say('+QIURC: "closed",0')
    bench.say("ERROR")
    bench.dialog(
        ("AT+QISEND=0,0", "+CME ERROR: 567"),
        ("AT+QISTATE=1,0", "OK"),
        ("AT+QICLOSE=0", "ERROR"),
        ('AT+QIOPEN=0,1,"UDP","10.0.0.9",80', "OK"),
    )
    bench.say("+QIOPEN: 1,0")
    bench.dialog(('AT+QISEND=1,3,"6F6E65"', "OK", "SEND OK"))
    bench.say('+QIURC: "closed",1')
    bench.dialog(("AT+QICLOSE=1", "ERROR"))
    bench.advance(1.0)
    bench.dialog(("AT+QICLOSE=1", "ERROR"))
    assert bench.take(ConnectionEnded).key == key
    assert dropped(bench) == 0


def test_first_opening_that_fails_says_so(bench: Bench) -> None:
    key = bench.driver.open("UDP", "10.0.0.9", 80, 0, Pile(b"one", is_stream=False), bench.now)
    bench.dialog(('AT+QIOPEN=0,0,"UDP","10.0.0.9",80', "OK"))
    bench.say("+QIOPEN: 0,565")
    assert bench.take(ConnectFailed).key == key


def test_user_timeout_of_0_is_the_default() -> None:
    """Like TCP_USER_TIMEOUT: 0 is the system's own, not at once."""
    bench = Bench(Settings(baudrate=115200, ack_timeout=50.0))
    bench.start()
    source = Pile()
    key = bench.open(source)
    for value in (30.0, 0.0):
        bench.driver.set_option(key, "user_timeout", value)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "OK", "SEND OK"))
    waited = 0.0
    while not bench.events:
        bench.advance(0.5)
        waited += 0.5
        if bench.sent().startswith(b"AT+QISEND=0,0"):
            bench.say("+QISEND: 3,0,3", "OK")
    assert 49.0 < waited < 52.0
    bench.take(ConnectionReset)


# -- twice is once too often


def answer_looks(bench: Bench, until: float) -> None:
    """Let time pass; the module answers only questions about its count, which does not grow."""
    while bench.now < until:
        bench.advance(min(0.5, until - bench.now))
        if line := bench.sent():
            assert line == b"AT+QISEND=0,0\r", "nothing else is said, and nothing sent again"
            bench.say("+QISEND: 0,0,0", "OK")


def test_error_after_ok_is_no_refusal(bench: Bench) -> None:
    """After OK only SEND OK and SEND FAIL are outcomes (guide 1.1 §2.3.5): it is somebody else's, ours is to come."""
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.dialog(
        ('AT+QISEND=0,3,"6F6E65"', "OK", "+CME ERROR: 567"),
        ("AT+QISEND=0,0", "+QISEND: 0,0,0", "OK"),
    )
    answer_looks(bench, until=bench.now + 8.0)
    bench.say("SEND OK")
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 3,0,3", "OK"))
    bench.write(key, source, b"two")
    bench.dialog(('AT+QISEND=0,3,"74776F"', "OK", "SEND OK"))
    bench.no_events()
    assert dropped(bench) == 0


def test_error_after_ok_and_a_restart(bench: Bench) -> None:
    """The module has carried the send out, or not, before it restarted: its count of 0 tells nothing."""
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "OK", "+CME ERROR: 567"))
    bench.say("RDY")
    lost = bench.take(DatagramsLost)
    assert (lost.key, lost.number) == (key, 1)
    assert dropped(bench) == 1
    assert bench.driver.counters["resent"] == 0


def test_send_fail_may_be_that_of_an_earlier_program() -> None:
    """It was killed while the module was at its send; the socket is closed, but the outcome is still to come."""
    bench = Bench()
    bench.driver.port_opened(bench.now)
    bench.dialog(
        *BRING_UP[:-1],
        ("AT+QISTATE?", '+QISTATE: 0,"TCP","10.0.0.1",80,0,2,0,1', "OK"),
        ("AT+QICLOSE=0", "OK", "CLOSE OK"),
        *ATTACH,
    )
    bench.events.clear()
    key, source = datagrams(bench)
    bench.write(key, source, b"one")
    bench.expect('AT+QISEND=0,3,"6F6E65"')
    bench.say("OK", "SEND FAIL")
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 0,0,0", "OK"))
    answer_looks(bench, until=bench.now + 8.0)
    bench.say("SEND OK")
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 3,0,3", "OK"))
    bench.advance(20.0)
    bench.write(key, source, b"two")
    bench.dialog(('AT+QISEND=0,3,"74776F"', "OK", "SEND OK"))
    assert dropped(bench) == 0
