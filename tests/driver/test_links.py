"""Opening, sending, receiving and closing, as dialogues with a module that the test plays."""

from __future__ import annotations

import errno

import pytest

from nbsocket._driver import (
    Connected,
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    DatagramsLost,
    DataReceived,
    PeerClosed,
    RawCommand,
    RequestDone,
    Resolve,
    Settings,
)
from nbsocket._driver._closing import CLOSE_RETRY_TIME, END_DELAY, END_TIMEOUT, LONG_END_DELAY
from nbsocket._driver._connection import GATHER_TIME, MOST_VAIN_WAITS
from nbsocket._driver._open import COUNT_TIMEOUT
from nbsocket._driver._socket_ids import CLOSE_TIMEOUT, ID_REST, LONGEST_DETOUR, QUIET_TIME
from tests.driver.bench import ATTACH, Bench, Pile


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.start()
    return bench


# -- opening


def wait_connecting(bench: Bench, seconds: float, socket_id: int = 0) -> int:
    """Let time pass while the module connects; give how often it was asked whether it still does."""
    end, questions = bench.now + seconds, 0
    while bench.now < end:
        bench.advance(min(0.5, end - bench.now))
        if line := bench.sent():
            assert line == b"AT+QISTATE=1,%d\r" % socket_id
            bench.say(f'+QISTATE: {socket_id},"TCP","10.0.0.9",{80 + (socket_id > 0)},0,1,0,1', "OK")
            questions += 1
    return questions


def test_open_waits_for_its_outcome(bench: Bench) -> None:
    key = bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.expect('AT+QIOPEN=0,0,"TCP","10.0.0.9",80')
    bench.say("OK")
    bench.no_events()
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    assert bench.sent() == b"", "QIOPEN is alone on the line until its outcome"
    bench.say("+QIOPEN: 0,0")
    assert bench.take(Connected).key == key
    bench.expect('AT+QIDNSGIP=0,"a.example"')


@pytest.mark.parametrize("answer", [["OK", "+QIOPEN: 0,566"], ["+CME ERROR: 566"]])
def test_refused_connection_frees_the_id_by_qiclose(bench: Bench, answer: list[str]) -> None:
    bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.sent()
    bench.say(*answer)
    error = bench.take(ConnectFailed).error
    assert isinstance(error, ConnectionRefusedError)
    assert error.result == 566 and error.command.startswith("AT+QIOPEN")  # type: ignore[attr-defined]  # ours
    bench.expect("AT+QICLOSE=0")
    bench.say("OK", "CLOSE OK")
    bench.no_events()


def test_open_without_outcome_times_out_after_a_minute(bench: Bench) -> None:
    bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.sent()
    bench.say("OK")
    assert wait_connecting(bench, 64.9) <= 4
    bench.no_events()
    bench.advance(0.2)
    assert isinstance(bench.take(ConnectFailed).error, TimeoutError)
    bench.expect("AT+QICLOSE=0")


def test_abandoned_open_is_closed_at_once_and_its_late_outcome_is_nobodys(bench: Bench) -> None:
    key = bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.sent()
    bench.say("OK")
    bench.driver.abort(key, bench.now)
    bench.expect("AT+QICLOSE=0")
    bench.say("OK", "+QIOPEN: 0,0", "CLOSE OK")
    assert bench.take(ConnectionEnded).key == key
    bench.open()


def test_given_up_opening_is_closed_before_the_next_one_begins(bench: Bench) -> None:
    """The module may refuse an opening while it is at another one."""
    other = bench.open()
    first = bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.9",80', "OK"))
    bench.driver.abort(other, bench.now)
    bench.driver.open("TCP", "10.0.0.9", 81, 0, Pile(), bench.now)
    bench.driver.abort(first, bench.now)
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.dialog(("AT+QICLOSE=0", "OK"))
    assert bench.sent() == b""
    bench.say("CLOSE OK")
    bench.dialog(("AT+QICLOSE=1", "OK"))
    assert bench.sent() == b""
    bench.say("CLOSE OK")
    bench.dialog(('AT+QIDNSGIP=0,"a.example"', "OK"))
    assert bench.sent().startswith(b"AT+QIOPEN=0,")


def test_sixth_connection_is_refused_until_one_is_closed(bench: Bench) -> None:
    keys = [bench.open() for _ in range(5)]
    with pytest.raises(OSError, match="only 5 sockets") as caught:
        bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    assert caught.value.errno == errno.EMFILE
    bench.driver.end_of_data(keys[2], 5.0, bench.now)
    sixth = bench.driver.open("TCP", "10.0.0.9", 81, 0, Pile(), bench.now)
    bench.expect("AT+QICLOSE=2")
    bench.say("OK")
    assert bench.sent() == b"", "the id is free only after CLOSE OK"
    bench.say("CLOSE OK")
    bench.expect('AT+QIOPEN=0,2,"TCP","10.0.0.9",81')
    bench.say("OK", "+QIOPEN: 2,0")
    assert bench.take(ConnectionEnded).key == keys[2]
    assert bench.take(Connected).key == sixth


def test_sixth_connection_waits_for_the_socket_of_one_that_its_peer_has_closed(bench: Bench) -> None:
    keys = [bench.open() for _ in range(5)]
    bench.say('+QIURC: "closed",2')
    sixth = bench.driver.open("TCP", "10.0.0.9", 81, 0, Pile(), bench.now)
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=2", "OK", "CLOSE OK"))
    assert bench.take(PeerClosed).key == keys[2]
    assert bench.take(ConnectionEnded).key == keys[2]
    bench.advance(2.0)
    bench.dialog(('AT+QIOPEN=0,2,"TCP","10.0.0.9",81', "OK", "+QIOPEN: 2,0"))
    assert bench.take(Connected).key == sixth
    with pytest.raises(OSError, match="only 5 sockets"):
        bench.driver.open("TCP", "10.0.0.9", 82, 0, Pile(), bench.now)


def test_wait_for_a_socket_ends_when_there_is_one_and_only_the_line_is_not_free() -> None:
    bench = Bench(Settings(baudrate=115200, wait_for_socket=10.0))
    bench.start()
    keys = [bench.open() for _ in range(4)]
    bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.dialog(('AT+QIOPEN=0,4,"TCP","10.0.0.9",80', "OK"))
    sixth = bench.driver.open("TCP", "10.0.0.9", 81, 0, Pile(), bench.now)
    seventh = bench.driver.open("TCP", "10.0.0.9", 82, 0, Pile(), bench.now)
    bench.advance(1.0)
    bench.driver.abort(keys[0], bench.now)
    bench.advance(7.0)
    bench.dialog(("AT+QISTATE=1,4", '+QISTATE: 4,"TCP","10.0.0.9",80,0,1,0,1', "OK"))
    bench.advance(3.0)
    failed = bench.take(ConnectFailed)
    assert failed.key == seventh and failed.error.errno == errno.EMFILE
    bench.no_events()
    bench.say("+QIOPEN: 4,0")
    bench.take(Connected)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"), ('AT+QIOPEN=0,0,"TCP","10.0.0.9",81', "OK", "+QIOPEN: 0,0"))
    bench.take(ConnectionEnded)
    assert bench.take(Connected).key == sixth


def test_id_that_is_in_use_in_the_module_is_closed_and_another_taken(bench: Bench) -> None:
    bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.expect('AT+QIOPEN=0,0,"TCP","10.0.0.9",80')
    bench.say("OK", "+QIOPEN: 0,563")
    bench.expect("AT+QICLOSE=0")
    bench.say("OK", "CLOSE OK")
    bench.advance(1.0)
    bench.expect('AT+QIOPEN=0,1,"TCP","10.0.0.9",80')
    bench.say("OK", "+QIOPEN: 1,0")
    bench.take(Connected)


def test_id_that_may_be_in_use_is_closed_and_another_taken_when_the_error_has_no_number(bench: Bench) -> None:
    """Firmware without error numbers: a socket that refused closes had left open would refuse the connect."""
    bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.dialog(('AT+QIOPEN=0,0,"TCP","10.0.0.9",80', "ERROR"), ("AT+QIGETERROR", "ERROR"))
    bench.no_events()
    rows = [f'+QISTATE: {number},"TCP","10.0.0.9",80,0,2,0,1' for number in (0, 3)]
    bench.dialog(("AT+QISTATE?", *rows, "OK"), ("AT+QICLOSE=0", "OK"), *ATTACH)
    bench.advance(2.0)
    assert bench.sent() == b"", "the module may be at the opening that it denies"
    bench.say("CLOSE OK")
    bench.dialog(("AT+QICLOSE=3", "OK", "CLOSE OK"))
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.9",80', "OK", "+QIOPEN: 1,0"))
    bench.take(Connected)


def test_chosen_local_port_stays_busy_for_70_seconds(bench: Bench) -> None:
    key = bench.driver.open("TCP", "10.0.0.9", 80, 50000, Pile(), bench.now)
    bench.expect('AT+QIOPEN=0,0,"TCP","10.0.0.9",80,50000,1')
    bench.say("OK", "+QIOPEN: 0,0")
    with pytest.raises(OSError, match="in use by another") as caught:
        bench.driver.open("TCP", "10.0.0.9", 80, 50000, Pile(), bench.now)
    assert caught.value.errno == errno.EADDRINUSE
    bench.driver.abort(key, bench.now)
    bench.expect("AT+QICLOSE=0")
    bench.say("OK", "CLOSE OK")
    bench.advance(30.0)
    with pytest.raises(OSError, match="another 40 s"):
        bench.driver.open("TCP", "10.0.0.9", 80, 50000, Pile(), bench.now)
    bench.advance(41.0)
    bench.driver.open("TCP", "10.0.0.9", 80, 50000, Pile(), bench.now)
    assert bench.sent()


@pytest.mark.parametrize("host", ['x",1\r\nAT+CFUN=0\r', "a\nb", "", "h" * 151, "bücher.example", 'a"b'])
def test_hosts_that_must_not_reach_the_wire(bench: Bench, host: str) -> None:
    with pytest.raises(ValueError):
        bench.driver.open("TCP", host, 80, 0, Pile(), bench.now)
    assert bench.sent() == b""


# -- sending


def test_segments_of_512_hex(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"\x00\xff" * 300)
    bench.expect('AT+QISEND=0,512,"' + "00FF" * 256 + '"')
    bench.say("OK")
    assert bench.sent() == b"", "the next one waits for SEND OK"
    bench.say("SEND OK")
    bench.expect('AT+QISEND=0,88,"' + "00FF" * 44 + '"')
    bench.say("OK", "SEND OK")
    assert bench.sent() == b""


def test_raw_sends_after_the_prompt() -> None:
    bench = Bench(Settings(data_format="raw", baudrate=115200))
    bench.start()
    source = Pile()
    key = bench.open(source)
    payload = bytes(range(256)) * 4 + b"end"
    bench.write(key, source, payload)
    bench.expect("AT+QISEND=0,1024")
    bench.feed(b"\r\n> ")
    assert bench.sent() == payload[:1024]
    bench.say("OK", "SEND OK")
    bench.expect("AT+QISEND=0,3")
    bench.feed(b"\r\nOK\r\n\r\n>\r\n")
    assert bench.sent() == b"end"


@pytest.mark.parametrize("prompt", [b"", b"\r\n> "])
def test_raw_send_without_an_answer_ends_its_stream(prompt: bytes) -> None:
    """What brings the module back may become payload, so that its count of bytes proves nothing."""
    bench = Bench(Settings(data_format="raw", baudrate=115200))
    bench.start()
    source, other = Pile(), Pile()
    key, unharmed = bench.open(source), bench.open(other)
    bench.write(key, source, b"abc")
    bench.feed(prompt)
    bench.advance(6.0)
    assert bench.sent().endswith(b"AT\r")
    assert bench.take(ConnectionReset).key == key
    bench.say("OK")
    bench.dialog(('AT+QICFG="dataformat"', '+QICFG: "dataformat",0,0', "OK"), ("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(ConnectionEnded).key == key
    bench.write(unharmed, other, b"abc")
    bench.expect("AT+QISEND=1,3")
    bench.no_events()


def test_small_writes_are_held_back_for_10_ms_and_with_nodelay_for_a_moment(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    source.chunks.append(b"a")
    bench.driver.data_available(key, 1, bench.now)
    assert bench.sent() == b""
    source.chunks.append(b"b")
    bench.advance(0.010)
    bench.expect('AT+QISEND=0,2,"6162"')
    bench.say("OK", "SEND OK")
    bench.driver.set_option(key, "nodelay", True)
    source.chunks.append(b"c")
    bench.driver.data_available(key, 1, bench.now)
    source.chunks.append(b"d")
    bench.advance(0.0003)
    bench.expect('AT+QISEND=0,2,"6364"')


def test_program_that_writes_in_one_piece_is_not_held_back_with_nodelay(bench: Bench) -> None:
    """Until it writes twice in a row: that second write costs a segment, and is waited for from then on."""
    source = Pile()
    key = bench.open(source)
    bench.driver.set_option(key, "nodelay", True)

    def write(data: bytes) -> None:
        source.chunks.append(data)
        bench.driver.data_available(key, 1, bench.now)

    for _ in range(MOST_VAIN_WAITS):
        write(b"a")
        bench.expect()
        bench.advance(GATHER_TIME)
        bench.dialog(('AT+QISEND=0,1,"61"', "OK", "SEND OK"))
        bench.advance(1.0)
    write(b"a")
    bench.expect('AT+QISEND=0,1,"61"')
    bench.advance(GATHER_TIME / 2)
    write(b"b")
    bench.say("OK", "SEND OK")
    bench.dialog(('AT+QISEND=0,1,"62"', "OK", "SEND OK"))
    bench.advance(1.0)
    write(b"a")
    bench.advance(GATHER_TIME / 2)
    write(b"b")
    bench.expect()
    bench.advance(GATHER_TIME)
    bench.expect('AT+QISEND=0,2,"6162"')


def test_a_whole_segment_is_not_held_back(bench: Bench) -> None:
    source = Pile(b"x" * 512)
    key = bench.open(source)
    bench.driver.data_available(key, 512, bench.now)
    bench.expect(f'AT+QISEND=0,512,"{"78" * 512}"')


def test_more_data_does_not_hurry_a_segment_that_was_refused(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "ERROR"), ("AT+QISEND=0,0", "+QISEND: 0,0,0", "OK"))
    source.chunks.append(b"x" * 512)
    bench.driver.data_available(key, 512, bench.now)
    bench.advance(0.2)
    bench.expect()
    bench.advance(0.1)
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 0,0,0", "OK"))
    bench.expect('AT+QISEND=0,3,"6F6E65"')


def test_round_robin(bench: Bench) -> None:
    sources = [Pile(), Pile(), Pile()]
    keys = [bench.open(source) for source in sources]
    for key, source in zip(keys, sources, strict=True):
        source.chunks.append(b"x" * 2000)
        bench.driver.data_available(key, 2000, bench.now)
    order = []
    for _ in range(9):
        order.append(bench.sent()[10:11])
        bench.say("OK", "SEND OK")
    assert order == [b"0", b"1", b"2"] * 3


def served(bench: Bench, turns: int) -> list[bytes]:
    """Let the module take so many segments; give their ids."""
    order = []
    for _ in range(turns):
        order.append(bench.sent()[10:11])
        bench.say("OK", "SEND OK")
    return order


def test_a_conversation_does_not_wait_behind_bulk(bench: Bench) -> None:
    sources = [Pile(), Pile(), Pile(), Pile(), Pile()]
    keys = [bench.open(source) for source in sources]
    for key, source in zip(keys[:4], sources, strict=False):
        source.chunks.append(b"x" * 100_000)
        bench.driver.data_available(key, len(source), bench.now)
    assert served(bench, 4) == [b"0", b"1", b"2", b"3"]
    bulk = b""
    for _ in range(20):
        # It comes while a segment is on the line, and is the next.
        bench.driver.set_option(keys[4], "nodelay", True)
        sources[4].chunks.append(b"ping")
        bench.driver.data_available(keys[4], 4, bench.now)
        bench.advance(0.001)
        before, own = served(bench, 2)
        assert before in b"0123" and own == b"4"
        bulk += before
    assert sorted(map(bulk.count, b"0123")) == [5, 5, 5, 5]


def test_many_small_segments_take_no_more_than_their_share(bench: Bench) -> None:
    sources = [Pile(), Pile()]
    keys = [bench.open(source, "UDP") for source in sources]
    sources[0].chunks.extend([b"x" * 512] * 100)
    sources[1].chunks.extend([b"y" * 32] * 400)
    for source in sources:
        source.is_stream = False
    bench.driver.data_available(keys[0], 512, bench.now)
    bench.driver.data_available(keys[1], 32, bench.now)
    order = served(bench, 100)
    assert order.count(b"1") == 4 * order.count(b"0")


def test_who_was_idle_has_saved_nothing_up(bench: Bench) -> None:
    sources = [Pile(), Pile()]
    keys = [bench.open(source) for source in sources]
    sources[0].chunks.append(b"x" * 20_000)
    bench.driver.data_available(keys[0], 20_000, bench.now)
    assert served(bench, 20) == [b"0"] * 20
    sources[1].chunks.append(b"x" * 20_000)
    bench.driver.data_available(keys[1], 20_000, bench.now)
    order = served(bench, 20)
    assert order.count(b"0") in (9, 10, 11)


def test_send_fail_with_a_count_that_did_not_grow_is_sent_again(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "OK", "SEND FAIL"), ("AT+QISEND=0,0", "+QISEND: 0,0,0", "OK"))
    bench.advance(2.0)
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 0,0,0", "OK"), ('AT+QISEND=0,3,"6F6E65"', "OK", "SEND OK"))
    bench.no_events()


def test_send_fail_with_a_count_that_grew_went_out(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "SEND FAIL"), ("AT+QISEND=0,0", "+QISEND: 3,0,3", "OK"))
    bench.advance(4.0)
    assert bench.sent() == b""
    bench.write(key, source, b"two")
    bench.expect('AT+QISEND=0,3,"74776F"')


@pytest.mark.parametrize("count", ["+QISEND: 1,1,0", "+QISEND: 99,0,99"])
def test_count_that_makes_no_sense_resets_the_connection(bench: Bench, count: str) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "ERROR"), ("AT+QISEND=0,0", count, "OK"))
    reset = bench.take(ConnectionReset)
    assert reset.key == key and reset.error.errno == errno.ECONNRESET
    bench.expect("AT+QICLOSE=0")


def test_contradictory_count_is_asked_again(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.dialog(
        ('AT+QISEND=0,3,"6F6E65"', "ERROR"),
        ("AT+QISEND=0,0", "+QISEND: 3,1,7", "OK"),
        ("AT+QISEND=0,0", "+QISEND: 3,0,3", "OK"),
    )
    bench.no_events()


def test_no_answer_to_a_send_is_settled_by_the_count(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.expect('AT+QISEND=0,3,"6F6E65"')
    while not (line := bench.sent()):
        bench.advance(0.5)
    assert line == b"AT\r"
    bench.say("OK")
    bench.dialog(('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"), ("AT+QISEND=0,0", "+QISEND: 3,3,0", "OK"))
    bench.write(key, source, b"two")
    bench.expect('AT+QISEND=0,3,"74776F"')
    # The late SEND OK belongs to the first send: it must not be taken for the second one's.
    bench.say("SEND OK")
    bench.say("OK", "SEND OK")
    bench.expect("AT+QISEND=0,0")
    bench.say("+QISEND: 6,6,0", "OK")
    bench.no_events()


def test_no_answer_and_no_growth_is_looked_at_twice_before_sending_again(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.expect('AT+QISEND=0,3,"6F6E65"')
    while not bench.sent():
        bench.advance(0.5)
    bench.say("OK")
    bench.dialog(('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"), ("AT+QISEND=0,0", "+QISEND: 0,0,0", "OK"))
    assert bench.sent() == b""
    bench.advance(2.0)
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 3,0,3", "OK"))
    bench.advance(1.0)
    assert bench.sent() == b"", "it had only been slow"


def test_datagram_of_unknown_fate_is_lost_and_counted(bench: Bench) -> None:
    source = Pile(is_stream=False)
    key = bench.open(source, "UDP")
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "ERROR"), ("AT+QISEND=0,0", "+QISEND: 1,0,0", "OK"))
    assert bench.driver.counters["dropped_datagrams"] == 1
    assert bench.take(DatagramsLost).number == 1
    bench.write(key, source, b"two")
    bench.expect('AT+QISEND=0,3,"74776F"')


def test_count_that_a_busy_module_refuses_is_asked_for_again(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "ERROR"), ("AT+QISEND=0,0", "ERROR"))
    assert bench.sent() == b""
    bench.advance(2.0)
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 3,3,0", "OK"))
    bench.no_events()


def test_datagrams_are_not_joined(bench: Bench) -> None:
    source = Pile(b"one", b"two", is_stream=False)
    key = bench.open(source, "UDP")
    bench.driver.data_available(key, 3, bench.now)
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "OK", "SEND OK"), ('AT+QISEND=0,3,"74776F"', "OK", "SEND OK"))


def test_rai_goes_on_the_last_segment_of_a_burst(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.driver.set_option(key, "rai", 1)
    bench.write(key, source, b"a" * 1024)
    assert bench.sent().endswith(b'61"\r')
    bench.say("OK", "SEND OK")
    assert bench.sent().endswith(b'61",1\r')


def test_data_mode_that_the_module_denied_is_escaped_from() -> None:
    bench = Bench(Settings(data_format="raw", baudrate=115200))
    bench.start()
    source, other = Pile(), Pile()
    key, unharmed = bench.open(source), bench.open(other)
    bench.write(key, source, b"abc")
    bench.dialog(("AT+QISEND=0,3", "ERROR"))
    bench.expect("AT+QISEND=0,0")
    bench.advance(5.1)
    assert bench.take(ConnectionReset).key == key
    bench.advance(2.0)
    assert b"\x1b" + b"\r" * 1024 in bench.sent()
    bench.say("OK")
    bench.advance(0.3)
    bench.dialog(('AT+QICFG="dataformat"', '+QICFG: "dataformat",0,0', "OK"), ("AT+QICLOSE=0", "OK", "CLOSE OK"))
    bench.write(unharmed, other, b"abc")
    bench.expect("AT+QISEND=1,3")


# -- receiving and the peer's close


def test_data_comes_in_order_and_before_the_end(bench: Bench) -> None:
    key = bench.open()
    bench.feed(b'\r\n+QIURC: "recv",0,3,"616263"\r\n\r\n+QIURC: "recv",0,1,"64"\r\n\r\n+QIURC: "closed",0\r\n')
    bench.advance(END_DELAY)
    assert bench.take(DataReceived) == DataReceived(key, b"abc")
    assert bench.take(DataReceived) == DataReceived(key, b"d")
    bench.dialog(("AT+QICLOSE=0", "OK"))
    bench.no_events()
    bench.say("CLOSE OK")
    assert bench.take(PeerClosed).key == key
    assert bench.take(ConnectionEnded).key == key


def test_writing_before_the_end_is_told_makes_it_a_reset(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.say('+QIURC: "closed",0')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK"))
    bench.write(key, source, b"abc")
    bench.no_events()
    bench.say("CLOSE OK")
    assert bench.take(ConnectionReset).key == key
    assert bench.take(ConnectionEnded).key == key


@pytest.mark.parametrize(("outcome", "kind"), [("SEND OK", PeerClosed), ("SEND FAIL", ConnectionReset)])
def test_peer_that_closes_before_the_outcome_of_the_last_send(bench: Bench, outcome: str, kind: type) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "OK", '+QIURC: "recv",0,1,"31"', '+QIURC: "closed",0', outcome))
    bench.advance(END_DELAY)
    assert bench.take(DataReceived) == DataReceived(key, b"1")
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert type(bench.events[0]) is kind


# -- data after the line "closed"


def push(data: bytes, socket_id: int = 0) -> str:
    return f'+QIURC: "recv",{socket_id},{len(data)},"{data.hex()}"'


def test_data_after_closed_is_delivered_until_qiclose_is_answered(bench: Bench) -> None:
    key = bench.open()
    bench.say('+QIURC: "closed",0', push(b"a"))
    bench.advance(END_DELAY - 0.01)
    bench.say(push(b"b"))
    bench.advance(END_DELAY - 0.01)
    bench.expect()
    bench.advance(0.02)
    bench.expect("AT+QICLOSE=0")
    bench.say(push(b"c"), "OK", push(b"d"))
    bench.say(push(b"e"), "CLOSE OK", push(b"f"))
    assert [bench.take(DataReceived).data for _ in range(5)] == [b"a", b"b", b"c", b"d", b"e"]
    assert bench.take(PeerClosed).key == key
    assert bench.take(ConnectionEnded).key == key
    bench.no_events()
    assert bench.driver.counters["late_data"] == 1
    assert any("1 bytes came for socket 0 after its end" in line for line in bench.logs)


@pytest.mark.parametrize("answer", ["ERROR", "+CME ERROR: 567"])
def test_error_to_qiclose_is_the_end_where_the_module_has_forgotten_the_socket(bench: Bench, answer: str) -> None:
    key = bench.open()
    bench.say('+QIURC: "closed",0', push(b"a"))
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", answer))
    bench.take(DataReceived)
    assert bench.take(PeerClosed).key == key
    assert bench.take(ConnectionEnded).key == key
    bench.advance(5.0)
    bench.expect()


def test_socket_is_closed_again_where_a_module_refuses_everything_before_its_late_send_ok(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.expect('AT+QISEND=0,3,"6F6E65"')
    bench.say("OK", '+QIURC: "closed",0')
    while not (line := bench.sent()):
        bench.advance(0.5)
    refused = 0
    while refused < 5:
        assert line == b"AT+QICLOSE=0\r"
        bench.say("ERROR")
        refused += 1
        bench.advance(CLOSE_RETRY_TIME)
        line = bench.sent()
    bench.say("SEND OK")
    bench.say("OK", "CLOSE OK")
    assert bench.take(ConnectionReset).key == key
    assert bench.take(ConnectionEnded).key == key


def test_close_that_is_refused_for_another_reason_is_not_the_end_yet(bench: Bench) -> None:
    """The command may have been hurt on the line (100: unknown command), and data may still come."""
    key = bench.open()
    bench.say('+QIURC: "closed",0')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "+CME ERROR: 100"))
    bench.advance(END_DELAY)
    bench.say(push(b"late"))
    bench.advance(CLOSE_RETRY_TIME)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(DataReceived).data == b"late"
    assert bench.take(PeerClosed).key == key


def test_close_ok_is_waited_for_no_longer_than_half_a_second(bench: Bench) -> None:
    key = bench.open()
    bench.say('+QIURC: "closed",0')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK"))
    bench.advance(END_TIMEOUT - 2 * END_DELAY)
    bench.say(push(b"a"))
    assert bench.take(DataReceived).data == b"a"
    bench.advance(2 * END_DELAY - 0.01)
    bench.no_events()
    bench.advance(0.02)
    assert bench.take(PeerClosed).key == key
    bench.say(push(b"b"))
    bench.no_events()
    assert bench.driver.counters["late_data"] == 1
    bench.say("CLOSE OK")
    assert bench.take(ConnectionEnded).key == key


def test_module_that_pushed_after_an_end_is_given_longer(bench: Bench) -> None:
    bench.open()
    bench.say('+QIURC: "closed",0')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    bench.say(push(b"late"))
    bench.dialog(("AT+QICLOSE=0", "+CME ERROR: 567"))
    bench.events.clear()
    assert bench.driver.counters["late_data"] == 1
    key = bench.open()
    bench.say('+QIURC: "closed",1')
    bench.advance(LONG_END_DELAY - 0.01)
    bench.expect()
    bench.say(push(b"in time", 1))
    assert bench.take(DataReceived).data == b"in time"
    bench.advance(LONG_END_DELAY)
    bench.dialog(("AT+QICLOSE=1", "OK", "CLOSE OK"))
    assert bench.take(PeerClosed).key == key


def test_close_that_waits_behind_pushes_is_not_given_again(bench: Bench) -> None:
    """At 9600 baud what the module has yet to push takes longer than CLOSE OK may. Simulation seed 16062776."""
    bench.open()
    bench.say('+QIURC: "closed",0')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK"))
    for _ in range(8):
        bench.feed(b'\r\n+QIURC: "recv",0,512,"' + b"61" * 250)
        bench.advance(2.0)
        bench.feed(b"61" * 262 + b'"\r\n')
        bench.expect()
    assert [type(event) for event in bench.events] == [DataReceived] * 8
    bench.say("CLOSE OK")
    assert [type(event) for event in bench.events[8:]] == [PeerClosed, ConnectionEnded]
    bench.expect()


def test_close_waits_for_that_of_the_users_own_socket(bench: Bench) -> None:
    """CLOSE OK names no socket. Simulation seed 16095499."""
    keys = [bench.open(), bench.open()]
    bench.driver.submit(RawCommand('AT+QIOPEN=0,2,"TCP","10.0.0.7",7'), None, bench.now)
    bench.dialog(('AT+QIOPEN=0,2,"TCP","10.0.0.7",7', "OK", "+QIOPEN: 2,0"))
    bench.driver.abort(keys[0], bench.now)
    bench.driver.submit(RawCommand("AT+QICLOSE=2"), None, bench.now)
    bench.driver.abort(keys[1], bench.now)
    bench.dialog(("AT+QICLOSE=0", "OK"), ("AT+QICLOSE=2", "OK"))
    bench.say("CLOSE OK")
    bench.expect()
    bench.say("CLOSE OK")
    bench.dialog(("AT+QICLOSE=1", "OK", "CLOSE OK"))
    assert sum(isinstance(event, ConnectionEnded) for event in bench.events) == 2
    assert bench.driver.is_at_rest and len(bench.driver._core.connections.ids.free) == 5


def test_close_does_not_wait_for_ever_for_that_of_the_users_own_socket(bench: Bench) -> None:
    key = bench.open()
    bench.driver.submit(RawCommand('AT+QIOPEN=0,2,"TCP","10.0.0.7",7'), None, bench.now)
    bench.dialog(('AT+QIOPEN=0,2,"TCP","10.0.0.7",7', "OK", "+QIOPEN: 2,0"))
    bench.driver.submit(RawCommand("AT+QICLOSE=2"), None, bench.now)
    bench.dialog(("AT+QICLOSE=2", "OK"))
    bench.driver.abort(key, bench.now)
    bench.expect()
    bench.advance(CLOSE_TIMEOUT)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    bench.take(RequestDone)


def test_payload_that_has_begun_to_come_is_not_cut_off_by_the_end(bench: Bench) -> None:
    """At 9600 baud a payload takes longer than the end is waited for."""
    key = bench.open()
    bench.say('+QIURC: "closed",0')
    bench.feed(b'\r\n+QIURC: "recv",0,3,"61')
    bench.advance(END_DELAY + 0.2)
    bench.expect()
    bench.feed(b'6263"\r\n')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK"))
    bench.feed(b'\r\n+QIURC: "recv",0,1,"6')
    bench.advance(END_TIMEOUT + 0.2)
    assert bench.take(DataReceived).data == b"abc"
    bench.no_events()
    bench.feed(b'4"\r\n')
    assert bench.take(DataReceived).data == b"d"
    bench.advance(END_TIMEOUT)
    assert bench.take(PeerClosed).key == key


def test_pushes_that_follow_each_other_put_off_the_end_that_is_not_confirmed(bench: Bench) -> None:
    key = bench.open()
    bench.say('+QIURC: "closed",0')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK"))
    bench.advance(END_TIMEOUT - 0.01)
    for _ in range(5):
        bench.say(push(b"a"))
        assert bench.take(DataReceived).data == b"a"
        bench.advance(END_DELAY - 0.01)
        bench.no_events()
    bench.advance(0.02)
    assert bench.take(PeerClosed).key == key


def test_pushes_of_others_put_the_end_off_for_a_while(bench: Bench) -> None:
    bench.open()
    bench.open()
    bench.say('+QIURC: "closed",0')
    while not (line := bench.sent()):
        bench.advance(END_DELAY / 2)
        bench.say(push(b"x", 1))
    assert line == b"AT+QICLOSE=0\r"
    assert 1.9 <= bench.now - 100.0 <= 2.3


def test_damage_after_closed_is_no_clean_end(bench: Bench) -> None:
    key = bench.open()
    bench.say('+QIURC: "closed",0')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK"))
    bench.feed(b'\r\n+QIURC: "recv",0,3,"61626"\r\n')
    assert bench.take(ConnectionReset).key == key
    bench.say("CLOSE OK")
    assert bench.take(ConnectionEnded).key == key
    bench.no_events()


def test_restart_after_closed_is_no_clean_end(bench: Bench) -> None:
    key = bench.open()
    bench.say('+QIURC: "closed",0')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK"))
    bench.say("RDY")
    assert bench.take(ConnectionReset).key == key
    assert bench.take(ConnectionEnded).key == key


@pytest.mark.parametrize("sign", ["+CEREG: 2", '+QIURC: "pdpdeact",0', "+CGEV: NW PDN DEACT 1", "+IP: 10.9.9.9"])
@pytest.mark.parametrize("is_first", [True, False])
def test_closed_when_the_network_is_lost_is_no_clean_end(bench: Bench, sign: str, is_first: bool) -> None:
    key = bench.open()
    bench.say(*sorted((sign, '+QIURC: "closed",0'), key=lambda line: ("closed" in line) == is_first))
    assert bench.take(ConnectionReset).key == key


@pytest.mark.parametrize("verb", ["abort", "end_of_data"])
def test_program_that_closes_before_the_end_is_told_hears_no_more(bench: Bench, verb: str) -> None:
    key = bench.open()
    bench.say('+QIURC: "closed",0')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK"))
    if verb == "abort":
        bench.driver.abort(key, bench.now)
    else:
        bench.driver.end_of_data(key, 60.0, bench.now)
    bench.say(push(b"a"), "CLOSE OK")
    assert bench.take(ConnectionEnded).key == key
    bench.no_events()
    assert bench.driver.counters["late_data"] == 0, "nobody misses it"


def test_closed_twice_is_closed_once(bench: Bench) -> None:
    key = bench.open()
    bench.say('+QIURC: "closed",0', '+QIURC: "closed",0')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK", '+QIURC: "closed",0', "CLOSE OK"))
    assert bench.take(PeerClosed).key == key
    assert bench.take(ConnectionEnded).key == key
    bench.no_events()


def test_half_closed_connection_gets_what_comes_after_closed(bench: Bench) -> None:
    source = Pile(b"last")
    key = bench.open(source)
    bench.driver.half_close(key, 1.0, bench.now)
    bench.dialog(('AT+QISEND=0,4,"6C617374"', "OK", "SEND OK"))
    bench.say('+QIURC: "closed",0', push(b"ok"))
    assert bench.take(DataReceived) == DataReceived(key, b"ok")
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(PeerClosed).key == key


def test_late_data_never_reaches_the_next_user_of_the_id(bench: Bench) -> None:
    keys = [bench.open() for _ in range(5)]
    bench.say('+QIURC: "closed",2')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=2", "OK", "CLOSE OK"))
    assert bench.take(PeerClosed).key == keys[2]
    bench.take(ConnectionEnded)
    bench.driver.open("TCP", "10.0.0.9", 81, 0, Pile(), bench.now)
    bench.advance(ID_REST - 0.01)
    bench.expect()
    bench.say(push(b"late", 2))
    # The module may have it open after all, or again; and one late push shows that another one may come.
    bench.dialog(("AT+QICLOSE=2", "ERROR"))
    bench.advance(1.0)
    bench.dialog(("AT+QICLOSE=2", "ERROR"))
    bench.advance(4.0)
    bench.expect()
    bench.advance(1.1)
    bench.dialog(('AT+QIOPEN=0,2,"TCP","10.0.0.9",81', "OK", "+QIOPEN: 2,0"))
    bench.take(Connected)
    bench.no_events()
    assert bench.driver.counters["late_data"] == 1


def test_data_before_the_ok_of_qiopen_is_of_an_earlier_connection(bench: Bench) -> None:
    key = bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.sent()
    bench.say('+QIURC: "closed",0', push(b"late"), "OK", push(b"so is this"), "+QIOPEN: 0,0")
    # More of it may follow, and what has come may be of either: another socket is taken.
    bench.dialog(("AT+QICLOSE=0", "OK", push(b"and this"), "CLOSE OK"))
    bench.no_events()
    bench.advance(1.0)
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.9",80', "OK", "+QIOPEN: 1,0", push(b"hi", 1)))
    assert bench.take(Connected).key == key
    assert bench.take(DataReceived) == DataReceived(key, b"hi")
    bench.no_events()


def test_id_rests_on_while_a_push_is_on_the_line(bench: Bench) -> None:
    """It may be of the id's last connection, and another one behind it."""
    keys = [bench.open() for _ in range(5)]
    bench.say('+QIURC: "closed",2')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=2", "OK", "CLOSE OK"))
    assert bench.take(PeerClosed).key == keys[2]
    bench.take(ConnectionEnded)
    bench.driver.open("TCP", "10.0.0.9", 81, 0, Pile(), bench.now)
    bench.advance(ID_REST - 0.01)
    data = push(b"late", 2).encode()
    bench.feed(b"\r\n" + data[:20])
    bench.advance(0.1)
    bench.expect()
    bench.feed(data[20:] + b"\r\n\r\n" + data + b"\r\n")
    bench.dialog(("AT+QICLOSE=2", "ERROR"))
    bench.advance(1.0)
    bench.dialog(("AT+QICLOSE=2", "ERROR"))
    bench.no_events()
    bench.advance(5.0)
    bench.dialog(('AT+QIOPEN=0,2,"TCP","10.0.0.9",81', "OK", "+QIOPEN: 2,0"))
    bench.take(Connected)
    bench.no_events()


def test_id_does_not_rest_for_ever_on_a_busy_line(bench: Bench) -> None:
    keys = [bench.open() for _ in range(5)]
    bench.say('+QIURC: "closed",2')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=2", "OK", "CLOSE OK"))
    assert bench.take(PeerClosed).key == keys[2]
    bench.driver.open("TCP", "10.0.0.9", 81, 0, Pile(), bench.now)
    waited = 0.0
    while not (sent := bench.sent()):
        assert waited < ID_REST + LONGEST_DETOUR + QUIET_TIME
        bench.say(push(b"of another", 1))
        bench.advance(QUIET_TIME / 2)
        waited += QUIET_TIME / 2
    assert sent == b'AT+QIOPEN=0,2,"TCP","10.0.0.9",81\r'
    assert waited > ID_REST


def test_closed_before_the_outcome_of_qiopen(bench: Bench) -> None:
    key = bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.sent()
    bench.say("OK", push(b"bye"), '+QIURC: "closed",0', "+QIOPEN: 0,0")
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(Connected).key == key
    assert bench.take(DataReceived).data == b"bye"
    assert bench.take(PeerClosed).key == key


@pytest.mark.parametrize("state", ["", "0", "4"])
def test_closed_in_place_of_the_outcome_of_qiopen(bench: Bench, state: str) -> None:
    """Its outcome was lost: only what was open is reported closed."""
    key = bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.sent()
    bench.say("OK", '+QIURC: "closed",0')
    bench.advance(1.0)
    rows = [f'+QISTATE: 0,"TCP","10.0.0.9",80,0,{state},0,1'] if state else []
    bench.dialog(("AT+QISTATE=1,0", *rows, "OK"))
    assert bench.take(Connected).key == key
    bench.advance(1.0)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(PeerClosed).key == key


def test_closed_of_another_connection_in_place_of_the_outcome_of_qiopen(bench: Bench) -> None:
    """The id had another one before: the module still connects."""
    key = bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.sent()
    bench.say("OK", '+QIURC: "closed",0')
    bench.advance(1.0)
    bench.dialog(("AT+QISTATE=1,0", '+QISTATE: 0,"TCP","10.0.0.9",80,0,1,0,1', "OK"))
    bench.advance(5.0)
    bench.say("+QIOPEN: 0,0")
    assert bench.take(Connected).key == key
    bench.advance(60.0)
    bench.expect()
    bench.no_events()


# -- how the peer closed


def test_data_before_the_outcome_of_qiopen_is_kept(bench: Bench) -> None:
    key = bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.sent()
    bench.say("OK", '+QIURC: "recv",0,2,"6869"', "+QIOPEN: 0,0")
    assert bench.take(Connected).key == key
    assert bench.take(DataReceived) == DataReceived(key, b"hi")


@pytest.mark.parametrize("is_answered", [True, False])
def test_end_with_nothing_outstanding_needs_no_question(bench: Bench, is_answered: bool) -> None:
    """Whatever QISTATE would say: the module may have forgotten the socket, and says 0 or 4 for either end."""
    source = Pile()
    key = bench.open(source)
    if is_answered:
        bench.write(key, source, b"one")
        bench.dialog(('AT+QISEND=0,3,"6F6E65"', "OK", "SEND OK", push(b"1")))
        bench.take(DataReceived)
    bench.say('+QIURC: "closed",0')
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(PeerClosed).key == key


def state(number: int) -> str:
    return f'+QISTATE: 0,"TCP","10.0.0.9",80,0,{number},0,1'


def unanswered(bench: Bench) -> int:
    """A connection that is closed before anything has answered what was written."""
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "OK", "SEND OK"))
    bench.say('+QIURC: "closed",0')
    bench.advance(END_DELAY)
    return key


@pytest.mark.parametrize(("count", "is_clean"), [("3,3,0", True), ("3,1,2", False), ("4,4,0", False)])
def test_end_without_an_answer_is_judged_by_acknowledgement(bench: Bench, count: str, is_clean: bool) -> None:
    unanswered(bench)
    bench.dialog(("AT+QISEND=0,0", f"+QISEND: {count}", "OK"), ("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert type(bench.events[0]) is (PeerClosed if is_clean else ConnectionReset)


@pytest.mark.parametrize(("rows", "is_clean"), [([state(4)], True), ([state(0)], False), ([], False)])
@pytest.mark.parametrize("gone", ["+QISEND: 0,0,0", "+CME ERROR: 567"])
def test_end_without_an_answer_and_without_a_count(bench: Bench, gone: str, rows: list[str], is_clean: bool) -> None:
    unanswered(bench)
    bench.dialog(("AT+QISEND=0,0", gone, *([] if "ERROR" in gone else ["OK"])), ("AT+QISTATE=1,0", *rows, "OK"))
    if not rows:
        bench.dialog(("AT+QISTATE=1,0", "OK"))  # once more, for the line may have been hurt
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert type(bench.events[0]) is (PeerClosed if is_clean else ConnectionReset)


@pytest.mark.parametrize("asked", ["AT+QISEND=0,0", "AT+QISTATE=1,0"])
def test_answer_that_comes_while_the_end_is_judged_makes_it_clean(bench: Bench, asked: str) -> None:
    """A module may say "closed" before it reports what came before it."""
    key = unanswered(bench)
    if asked == "AT+QISTATE=1,0":
        bench.dialog(("AT+QISEND=0,0", "+CME ERROR: 567"))
    bench.expect(asked)
    bench.say(push(b"yes"))
    if asked == "AT+QISTATE=1,0":
        bench.say("OK")
        bench.advance(END_DELAY)
    else:
        bench.say("+QISEND: 3,1,2", "OK")
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(DataReceived).data == b"yes"
    assert bench.take(PeerClosed).key == key


def test_answer_that_comes_after_closed_counts(bench: Bench) -> None:
    source = Pile()
    bench.open(source)
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=1,3,"6F6E65"', "OK", "SEND OK"))
    bench.say('+QIURC: "closed",1', push(b"two", 1))
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=1", "OK", "CLOSE OK"))
    assert bench.take(DataReceived).data == b"two"
    assert bench.take(PeerClosed).key == key


def test_end_is_not_guessed_when_the_question_was_not_answered(bench: Bench) -> None:
    key = unanswered(bench)
    bench.expect("AT+QISEND=0,0")
    bench.advance(5.2)
    bench.no_events()
    bench.dialog(("AT", "OK"), ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"))
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 3,1,2", "OK"))
    assert bench.take(ConnectionReset).key == key


def test_end_is_not_guessed_from_a_garbled_answer(bench: Bench) -> None:
    key = unanswered(bench)
    bench.dialog(
        ("AT+QISEND=0,0", "+QISEND: 3,x,0", "OK"),
        ("AT+QISEND=0,0", "+QISEND: 0,0,0", "OK"),
        ("AT+QISTATE=1,0", '+QISE: 0,"TCP","10.0.0.9",80', "OK"),
        ("AT+QISTATE=1,0", '+QISTATE: 0?,"TCP","10.0.0.9",80,0,0,0,1', "OK"),
        ("AT+QISTATE=1,0", state(4), "OK"),
        ("AT+QICLOSE=0", "OK", "CLOSE OK"),
    )
    assert bench.take(PeerClosed).key == key


def test_end_is_not_guessed_when_the_question_is_refused(bench: Bench) -> None:
    key = unanswered(bench)
    for line in ("AT+QISEND=0,0", "AT+QISTATE=1,0"):
        for _ in range(3):
            bench.dialog((line, "ERROR"))
            bench.advance(END_DELAY)
    assert bench.take(ConnectionReset).key == key


def test_end_is_not_guessed_while_an_opening_has_the_line(bench: Bench) -> None:
    key = bench.open()
    bench.driver.open("TCP", "10.0.0.9", 81, 0, Pile(), bench.now)
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.9",81', "OK"))
    bench.say('+QIURC: "closed",0')
    wait_connecting(bench, 50.0, socket_id=1)
    bench.no_events()
    bench.say("+QIOPEN: 1,0")
    bench.take(Connected)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(PeerClosed).key == key


def test_a_program_that_closes_by_itself_needs_no_question(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"hello")
    bench.dialog(('AT+QISEND=0,5,"68656C6C6F"', "OK", "SEND OK"))
    bench.say('+QIURC: "recv",0,2,"6869"', '+QIURC: "closed",0')
    bench.expect()
    bench.advance(END_DELAY / 2)
    bench.driver.end_of_data(key, 60.0, bench.now)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    bench.take(DataReceived)
    assert bench.take(ConnectionEnded).key == key
    bench.advance(120.0)
    bench.expect()


def test_data_left_when_a_program_closes_after_the_peer_is_told_in_the_log(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"a")
    bench.dialog(('AT+QISEND=0,1,"61"', "OK", "SEND OK"))
    bench.say('+QIURC: "recv",0,1,"61"', '+QIURC: "closed",0')
    source.chunks.append(b"late")
    bench.driver.data_available(key, 4, bench.now)
    bench.driver.end_of_data(key, 60.0, bench.now)
    bench.expect("AT+QICLOSE=0")
    assert any("closed with data on its way" in line for line in bench.logs)


def test_acknowledgement_is_asked_for_a_round_trip_after_the_last_send(bench: Bench) -> None:
    source = Pile(b"abc")
    key = bench.driver.open("TCP", "10.0.0.9", 80, 0, source, bench.now)
    bench.expect('AT+QIOPEN=0,0,"TCP","10.0.0.9",80')
    bench.say("OK")
    bench.advance(1.5)
    bench.say("+QIOPEN: 0,0")
    bench.driver.data_available(key, 3, bench.now)
    bench.driver.end_of_data(key, 60.0, bench.now)
    bench.dialog(('AT+QISEND=0,3,"616263"', "OK", "SEND OK"))
    bench.advance(1.4)
    bench.expect()
    bench.advance(0.1)
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 3,0,3", "OK"))
    bench.advance(1.4)
    bench.expect()
    bench.advance(0.1)
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 3,3,0", "OK"), ("AT+QICLOSE=0", "OK", "CLOSE OK"))


def test_a_refusal_of_a_busy_module_does_not_mean_that_it_has_restarted(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    bench.advance(5.1)
    bench.dialog(("AT+CSQ\rAT", "OK"), ('AT+QICFG="dataformat"', "ERROR"))
    bench.advance(1.0)
    bench.dialog(('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"))
    assert not any(isinstance(event, ConnectionReset) for event in bench.events)
    bench.write(key, source, b"d")
    bench.expect('AT+QISEND=0,1,"64"')


def test_a_slow_module_is_waited_for_and_not_asked_twice(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"abc")
    bench.expect('AT+QISEND=0,3,"616263"')
    bench.advance(10.5)
    assert bench.sent().endswith(b"AT\r")
    bench.say("OK")
    bench.advance(0.4)
    bench.expect('AT+QICFG="dataformat"')
    bench.advance(19.0)
    assert bench.sent() == b"", "two answers would be one too many"
    bench.say('+QICFG: "dataformat",1,1', "OK")
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 3,3,0", "OK"))
    bench.no_events()
    bench.write(key, source, b"d")
    bench.expect('AT+QISEND=0,1,"64"')


@pytest.mark.parametrize("count", ["+QISEND: 0,0,0", "+QISEND: 53,53,0"])
def test_count_other_than_what_was_sent_is_looked_at_twice_and_then_a_reset(bench: Bench, count: str) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"abc")
    bench.dialog(('AT+QISEND=0,3,"616263"', "SEND OK"))
    bench.advance(5.0)
    bench.dialog(("AT+QISEND=0,0", count, "OK"))
    bench.no_events()
    bench.advance(2.0)
    bench.dialog(("AT+QISEND=0,0", count, "OK"))
    assert bench.take(ConnectionReset).key == key
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))


def test_count_that_is_zeroed_just_before_the_end_is_no_reset(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"abc")
    bench.dialog(('AT+QISEND=0,3,"616263"', "OK", "SEND OK"))
    bench.advance(5.0)
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 0,0,0", "OK"))
    bench.say('+QIURC: "closed",0')
    bench.advance(END_DELAY)
    bench.dialog(
        ("AT+QISEND=0,0", "+QISEND: 0,0,0", "OK"), ("AT+QISTATE=1,0", state(4), "OK"), ("AT+QICLOSE=0", "ERROR")
    )
    assert bench.take(PeerClosed).key == key


def test_closed_with_unsent_data_is_a_reset(bench: Bench) -> None:
    source = Pile(b"one")
    key = bench.open(source)
    bench.driver.data_available(key, 3, bench.now)
    bench.say('+QIURC: "closed",0')
    bench.advance(END_DELAY)
    assert bench.take(ConnectionReset).key == key


def test_bytes_lost_inside_a_payload_reset_that_connection_only(bench: Bench) -> None:
    first, second = bench.open(), bench.open()
    bench.feed(b'\r\n+QIURC: "recv",0,3,"61626"\r\n\r\n+QIURC: "recv",1,1,"7a"\r\n')
    assert bench.take(ConnectionReset).key == first
    assert bench.take(DataReceived) == DataReceived(second, b"z")


def test_socket_that_nobody_has_is_closed(bench: Bench) -> None:
    bench.say('+QIURC: "recv",3,1,"00"')
    bench.expect("AT+QICLOSE=3")
    bench.say("OK", "CLOSE OK")
    bench.no_events()


# -- closing


def test_close_flushes_and_asks_for_acknowledgement(bench: Bench) -> None:
    source = Pile(b"tail" * 200)
    key = bench.open(source)
    bench.driver.end_of_data(key, 10.0, bench.now)
    assert bench.sent().startswith(b"AT+QISEND=0,512,")
    bench.say("OK", "SEND OK")
    assert bench.sent().startswith(b"AT+QISEND=0,288,")
    bench.say("OK", "SEND OK")
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 800,512,288", "OK"))
    assert bench.sent() == b"", "not closed before all is acknowledged"
    bench.advance(0.3)
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 800,800,0", "OK"), ("AT+QICLOSE=0", "OK"))
    bench.no_events()
    bench.say("CLOSE OK")
    assert bench.take(ConnectionEnded).key == key


def test_close_without_acknowledgement_ends_with_the_linger_time(bench: Bench) -> None:
    source = Pile(b"tail")
    key = bench.open(source)
    bench.driver.end_of_data(key, 3.0, bench.now)
    bench.dialog(('AT+QISEND=0,4,"7461696C"', "OK", "SEND OK"))
    for _ in range(40):
        line = bench.sent()
        if line == b"AT+QICLOSE=0\r":
            break
        if line:
            bench.say("+QISEND: 4,0,4", "OK")
        bench.advance(0.1)
    else:
        pytest.fail("never closed")
    assert any("not acknowledged" in line for line in bench.logs)


@pytest.mark.parametrize("answer", [["OK", "CLOSE OK"], ["+CME ERROR: 567"]])
def test_close_is_done_in_either_way(bench: Bench, answer: list[str]) -> None:
    key = bench.open()
    bench.driver.end_of_data(key, 1.0, bench.now)
    bench.dialog(("AT+QICLOSE=0", *answer))
    assert bench.take(ConnectionEnded).key == key


@pytest.mark.parametrize("answer", ["ERROR", "+CME ERROR: 568"])
def test_refused_close_is_asked_for_once_more(bench: Bench, answer: str) -> None:
    """The module may say so of a socket that is not open, but also when it is busy."""
    key = bench.open()
    bench.driver.abort(key, bench.now)
    bench.dialog(("AT+QICLOSE=0", answer))
    bench.no_events()
    assert bench.sent() == b"", "it may be busy"
    bench.advance(1.0)
    bench.dialog(("AT+QICLOSE=0", answer))
    assert bench.take(ConnectionEnded).key == key


def test_missing_close_ok_is_asked_for_again(bench: Bench) -> None:
    key = bench.open()
    bench.driver.abort(key, bench.now)
    bench.dialog(("AT+QICLOSE=0", "OK"))
    bench.advance(11.0)
    bench.dialog(("AT+QICLOSE=0", "ERROR"))
    assert bench.take(ConnectionEnded).key == key


def test_one_close_at_a_time_but_sends_go_on(bench: Bench) -> None:
    source = Pile()
    first, second, third = bench.open(), bench.open(), bench.open(source)
    bench.driver.abort(first, bench.now)
    bench.driver.abort(second, bench.now)
    bench.dialog(("AT+QICLOSE=0", "OK"))
    bench.write(third, source, b"x")
    bench.dialog(('AT+QISEND=2,1,"78"', "OK", "SEND OK"))
    bench.say("CLOSE OK")
    bench.expect("AT+QICLOSE=1")


def test_half_close_flushes_and_stays_readable(bench: Bench) -> None:
    source = Pile(b"last")
    key = bench.open(source)
    bench.driver.half_close(key, 1.0, bench.now)
    bench.dialog(('AT+QISEND=0,4,"6C617374"', "OK", "SEND OK"))
    bench.say('+QIURC: "recv",0,2,"6f6b"')
    assert bench.take(DataReceived) == DataReceived(key, b"ok")
    assert bench.sent() == b""


# -- acknowledgement


def test_unacknowledged_data_is_asked_about_and_ends_the_connection(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.driver.set_option(key, "user_timeout", 30.0)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "OK", "SEND OK"))
    questions = 0
    began = bench.now
    while not bench.events:
        bench.advance(0.5)
        if bench.sent() == b"AT+QISEND=0,0\r":
            questions += 1
            bench.say("+QISEND: 3,0,3", "OK")
    assert isinstance(bench.take(ConnectionReset).error, TimeoutError)
    assert 29.0 <= bench.now - began <= 32.0
    assert 2 <= questions <= 6


def send_with_user_timeout(bench: Bench) -> None:
    """Have one connection, given up after 20 s without acknowledgement, send three bytes that the modem takes."""
    source = Pile()
    key = bench.open(source)
    bench.driver.set_option(key, "user_timeout", 20.0)
    bench.write(key, source, b"one")
    bench.expect('AT+QISEND=0,3,"6F6E65"')
    bench.say("OK", "SEND OK")


def test_unacknowledged_is_only_what_the_module_says_is(bench: Bench) -> None:
    """The first question comes after the time-out, as others had the line, and is lost. Simulation seed 16014866."""
    send_with_user_timeout(bench)
    end = bench.now + 19.9
    while bench.now < end:
        bench.advance(0.1)
        if bench.sent() == b"AT+QISEND=0,0\r":
            bench.say("+QISEND: 3,0,3", "OK")
    bench.advance(0.2)
    bench.expect("AT+QISEND=0,0")
    bench.advance(5.0)
    bench.dialog(("AT", "OK"), ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"))
    bench.no_events()
    bench.advance(5.0)
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 3,3,0", "OK"))
    bench.advance(600.0)
    bench.no_events()


def test_module_that_does_not_tell_what_is_acknowledged_is_not_asked_for_ever(bench: Bench) -> None:
    send_with_user_timeout(bench)
    began, questions = bench.now, 0
    while not bench.events and bench.now < began + 60.0:
        bench.advance(1.0)
        if bench.sent() == b"AT+QISEND=0,0\r":
            questions += 1
            bench.say("ERROR")
    assert bench.take(ConnectionReset).error.errno == errno.ETIMEDOUT
    assert bench.now <= began + 20.0 + COUNT_TIMEOUT + 1.0 and 3 <= questions <= 10


def test_acknowledged_connection_is_silent(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "OK", "SEND OK"))
    bench.advance(6.0)
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 3,3,0", "OK"))
    assert bench.driver.next_deadline() is None


def test_answer_from_the_peer_spares_the_question(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.write(key, source, b"one")
    bench.dialog(('AT+QISEND=0,3,"6F6E65"', "OK", "SEND OK"))
    bench.say('+QIURC: "recv",0,2,"6f6b"')
    assert bench.driver.next_deadline() is None


@pytest.mark.parametrize("damaged", ['+QIURC: "recv",0,3,"41xx43"', '+QIURC: "re\xb1v",0,3,"414243"'])
def test_data_damaged_before_it_is_known_that_the_connection_is_open(bench: Bench, damaged: str) -> None:
    """The line +QIOPEN was lost: what came for the socket meanwhile has a gap."""
    key = bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.expect('AT+QIOPEN=0,0,"TCP","10.0.0.9",80')
    bench.say("OK", '+QIURC: "recv",0,1,"40"', damaged, '+QIURC: "recv",0,1,"44"')
    failed = bench.take(ConnectFailed)
    assert failed.key == key and failed.error.errno == errno.ECONNRESET
    bench.expect("AT+QICLOSE=0")


@pytest.mark.parametrize("state", ["2", "4"])
def test_data_lost_with_the_outcome_of_the_opening(bench: Bench, state: str) -> None:
    """Nobody can tell whether there was payload in what was lost: the connection is made again."""
    key = bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.expect('AT+QIOPEN=0,0,"TCP","10.0.0.9",80')
    bench.say("OK", '+QIOPEN: 0,0WPq\x0bIURC: "recv",0,1,"40"', push(b"A"))
    bench.advance(5.0)
    bench.dialog(("AT+QISTATE=1,0", f'+QISTATE: 0,"TCP","10.0.0.9",80,0,{state},0,1', "OK"))
    bench.no_events()
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    bench.advance(1.0)
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.9",80', "OK", "+QIOPEN: 1,0", push(b"@A", 1)))
    assert bench.take(Connected).key == key
    assert bench.take(DataReceived) == DataReceived(key, b"@A")
    bench.no_events()


def test_data_after_an_opening_whose_ok_and_outcome_are_lost(bench: Bench) -> None:
    """They are this connection's own, and were dropped as those of an earlier one: it is made again."""
    key = bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.expect('AT+QIOPEN=0,0,"TCP","10.0.0.9",80')
    bench.say(push(b"A"))
    bench.advance(5.1)
    bench.dialog(("AT", "OK"), ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"))
    bench.dialog(("AT+QISTATE=1,0", '+QISTATE: 0,"TCP","10.0.0.9",80,0,2,0,1', "OK"))
    bench.no_events()
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    bench.advance(1.0)
    bench.dialog(('AT+QIOPEN=0,1,"TCP","10.0.0.9",80', "OK", "+QIOPEN: 1,0", push(b"A", 1)))
    assert bench.take(Connected).key == key
    assert bench.take(DataReceived) == DataReceived(key, b"A")


def test_data_lost_before_the_outcome_of_the_opening_are_none_of_its_own(bench: Bench) -> None:
    key = bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.expect('AT+QIOPEN=0,0,"TCP","10.0.0.9",80')
    bench.say("OK", '+QIURC: "re\xb1v",1,1,"40"', "+QIOPEN: 0,0", push(b"A"))
    assert bench.take(Connected).key == key
    assert bench.take(DataReceived) == DataReceived(key, b"A")
