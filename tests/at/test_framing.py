"""Lines, counted payloads, and what happens when bytes of them are lost: whatever way the bytes are split."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from nbsocket._at import (
    Chat,
    ClosedUrc,
    Damaged,
    Event,
    IpAssigned,
    NeedData,
    Notice,
    Prompt,
    QISENDData,
    Rdy,
    Received,
    StrayResult,
    UnknownLine,
)
from nbsocket._at._chat import QUIET_TIME
from nbsocket._at._framing import MAX_LINE_SIZE, MAX_PAYLOAD_SIZE, Framer
from tests.at.feeding import drain, every_chunking

TRAILING = b'\r\n+QIURC: "closed",4\r\n'

#: Payloads that teach the dialect.
QUOTED = b'\r\n+QIURC: "recv",0,1,"x"\r\n'
BARE = b'\r\n+QIURC: "recv",0,1,x\r\n'
TAUGHT = Received(0, b"x")


@dataclass(frozen=True)
class Case:
    name: str
    data: bytes
    events: list[Event]
    receives_hex: bool | None = None


def urc(payload: bytes, size: int, socket_id: int = 0) -> bytes:
    return b'\r\n+QIURC: "recv",%d,%d,%s\r\n' % (socket_id, size, payload)


def short(event: Event) -> Event:
    """The event, without the words of a reason: those are for people."""
    return Damaged("", event.socket_id, event.is_contained) if isinstance(event, Damaged) else event


LOST = Damaged("")
OWN = Damaged("", 0, True)
GOT = Received(0, b"hello")
HEX = b"68656c6c6f"

LINES = [
    Case("crlf", b"\r\nRDY\r\n", [Rdy()]),
    Case("cr", b"RDY\r", [Rdy()]),
    Case("lf", b"RDY\n", [Rdy()]),
    Case("many line ends", b"\r\n\r\n\r\r\n\nRDY\r\n\r\n\r\n", [Rdy()]),
    Case("blanks before", b"\r\n  \t RDY\r\n", [Rdy()]),
    Case("blanks behind", b"\r\nRDY  \r\n", [Rdy()]),
    Case("NUL before", b"\0\0RDY\r\n", [Rdy()]),
    Case("noise before", b"\xff\xfe\x00\r\nRDY\r\n", [LOST, Rdy()]),
    Case("two lines", b"\r\nRDY\r\n\r\n+IP: 10.0.0.1\r\n", [Rdy(), IpAssigned("10.0.0.1")]),
    Case("a prompt that nobody waits for", b"\r\n> \r\nRDY\r\n", [UnknownLine(">"), Rdy()]),
    Case("longest line", b"A" * MAX_LINE_SIZE + b"\r\n", [LOST]),
    Case("too long a line", b"A" * (MAX_LINE_SIZE + 1) + b"\r\n", [LOST]),
    Case("far too long a line", b"A" * 5000 + b"\nRDY\n", [LOST, Rdy()]),
    Case("longest unknown line", b"g" * MAX_LINE_SIZE + b"\r\n", [UnknownLine("g" * MAX_LINE_SIZE)]),
]

TEXT = [
    Case("quoted", urc(b'"hello"', 5), [GOT]),
    Case("bare", urc(b"hello", 5), [GOT]),
    Case("no closing quote", urc(b'"hello', 5), [GOT]),
    Case("no blank after the colon", b'\r\n+QIURC:"recv",0,5,"hello"\r\n', [GOT]),
    Case("blanks after commas", b'\r\n+QIURC: "recv", 0, 5,"hello"\r\n', [GOT]),
    Case("kind without quotes", b'\r\n+QIURC: recv,0,5,"hello"\r\n', [GOT]),
    Case("no frame before", b'+QIURC: "recv",0,5,"hello"\r\n', [GOT]),
    Case("LF alone", b'\n+QIURC: "recv",0,5,"hello"\n', [GOT]),
    Case("many line ends behind", urc(b'"hello"', 5) + b"\r\n\r\n", [GOT]),
    Case("glued with line ends", urc(b'"hello"', 5)[:-2] + urc(b'"hello"', 5), [GOT, GOT]),
    Case("glued", urc(b'"hello"', 5).strip() * 3 + b"\r\n", [GOT] * 3),
    Case("glued, bare", urc(b"hello", 5).strip() * 3 + b"\r\n", [GOT] * 3),
    Case("line ends inside", urc(b'"\r\nOK\r"', 5), [Received(0, b"\r\nOK\r")]),
    Case("line ends inside, bare", urc(b"\r\nOK\r", 5), [Received(0, b"\r\nOK\r")]),
    Case("quotes inside", urc(b'""""""', 4), [Received(0, b'""""')]),
    Case("one quote", urc(b'"""', 1), [Received(0, b'"')]),
    Case("looks closed", urc(b'"hi"\r\n"', 5), [Received(0, b'hi"\r\n')]),
    Case("a URC inside", urc(b'"' + TRAILING + b'"', len(TRAILING)), [Received(0, TRAILING)]),
    Case("every byte", urc(b'"' + bytes(range(256)) + b'"', 256), [Received(0, bytes(range(256)))]),
    Case("every byte, bare", BARE + urc(bytes(range(256)), 256), [TAUGHT, Received(0, bytes(range(256)))]),
    Case("quote first, quotes learned", QUOTED + urc(b'""abc"', 4), [TAUGHT, Received(0, b'"abc')]),
    Case("quote first, bare learned", BARE + urc(b'"abc', 4), [TAUGHT, Received(0, b'"abc')]),
    Case("in quotes, bare learned", BARE + urc(b'"abc"', 5), [TAUGHT, Received(0, b'"abc"')]),
    Case("quote first, bare, first of all", urc(b'"abc', 4), [Received(0, b'"abc')]),
    Case("digits in text", urc(b'"31"', 2) + urc(b'"3132"', 4), [Received(0, b"31"), Received(0, b"3132")]),
    Case("digits in bare text", urc(b"31", 2) + urc(b"3132", 4), [Received(0, b"31"), Received(0, b"3132")]),
    Case("empty in quotes", urc(b'""', 0), [Received(0, b"")]),
    Case("empty", urc(b"", 0), [Received(0, b"")]),
    Case("empty with one quote", urc(b'"', 0), [Received(0, b"")]),
    Case("empty without a comma", b'\r\n+QIURC: "recv",0,0\r\n', [Received(0, b"")]),
    Case("line ends lost behind", urc(b'"hello"', 5)[:-1] + urc(b'"hello"', 5), [GOT, GOT]),
    Case("largest", urc(b'"' + b"\r" * MAX_PAYLOAD_SIZE + b'"', MAX_PAYLOAD_SIZE), [Received(0, b"\r" * 4096)]),
]

DAMAGED_TEXT = [
    Case("one byte lost", QUOTED + urc(b'"hell"', 5), [TAUGHT, LOST]),
    Case("two bytes lost", QUOTED + urc(b'"hel"', 5), [TAUGHT, LOST]),
    Case("three bytes lost", QUOTED + urc(b'"he"', 5) + b"\r\nRDY\r\n", [TAUGHT, LOST, Rdy()]),
    Case("one byte lost, first of all", urc(b'"hell"', 5), [LOST]),
    Case("two bytes lost, first of all", urc(b'"hel"', 5), [LOST]),
    Case("three bytes lost, first of all", urc(b'"he"', 5) + b"\r\nRDY\r\n", [LOST, Rdy()]),
    Case("a later quote in its place", QUOTED + urc(b'"abc"', 16) + urc(b'"hello"', 5), [TAUGHT, LOST, OWN]),
    Case("one byte too many", QUOTED + urc(b'"hello!"', 5), [TAUGHT, LOST]),
    Case("opening quote lost", QUOTED + urc(b'hello"', 5), [TAUGHT, LOST]),
    Case("opening quote lost, first of all", urc(b'hello"', 5), [LOST]),
    Case("opening quote garbled, first of all", urc(b'x"\r"', 2), [LOST, LOST]),
    Case("a plus sign where it ends, first of all", urc(b'xA+"', 2), [LOST]),
    Case("two bytes more, a quote and a CR", QUOTED + urc(b'"hello"\rA"', 5), [TAUGHT, LOST, LOST]),
    Case("closing quote lost", QUOTED + urc(b'"hello', 5), [TAUGHT, LOST]),
    Case("bare, one byte lost", BARE + urc(b"hell", 5), [TAUGHT, LOST]),
    Case("bare, one byte too many", BARE + urc(b"hello!", 5), [TAUGHT, LOST]),
    Case("bare, then in quotes", BARE + urc(b'"hello"', 5), [TAUGHT, LOST]),
    Case("payload is not traffic", QUOTED + urc(b'"\r\nOK\r\n12"', 9), [TAUGHT, LOST]),
    Case("answer behind it is seen", QUOTED + urc(b'"hell"', 5) + b"\r\nOK\r\n", [TAUGHT, LOST, StrayResult("OK")]),
    Case("not empty", QUOTED + urc(b'"hello"', 0), [TAUGHT, LOST]),
    Case("no such id", QUOTED + urc(b'"hello"', 5, 5), [TAUGHT, LOST]),
    Case("no id", QUOTED + b'\r\n+QIURC: "recv",x,5,"a\r\nb,"\r\n', [TAUGHT, LOST]),
    Case("no length", QUOTED + b'\r\n+QIURC: "recv",0,x,"hello"\r\n', [TAUGHT, LOST]),
    Case("too much", QUOTED + urc(b'"hello"', MAX_PAYLOAD_SIZE + 1), [TAUGHT, LOST]),
    Case("no payload", QUOTED + b'\r\n+QIURC: "recv",0,5\r\n', [TAUGHT, LOST]),
    Case("no length and no payload", QUOTED + b'\r\n+QIURC: "recv",0\r\n', [TAUGHT, LOST]),
    Case("header cut off", QUOTED + b'\r\n+QIURC: "re\r\n', [TAUGHT, LOST]),
    Case("garbled kind", QUOTED + b'\r\n+QIURC: "rEcv",0,5,"hello"\r\n', [TAUGHT, LOST]),
    Case("garbled name", QUOTED + b'\r\n+QIVRC: "recv",0,5,"hello"\r\n', [TAUGHT, LOST]),
]

HEX_DATA = [
    Case("quoted", urc(b'"%s"' % HEX, 5), [GOT]),
    Case("bare", urc(HEX, 5), [GOT]),
    Case("no opening quote", urc(HEX + b'"', 5), [GOT]),
    Case("no closing quote", urc(b'"' + HEX, 5), [GOT]),
    Case("upper case", urc(b'"%s"' % HEX.upper(), 5), [GOT]),
    Case("glued", urc(b'"%s"' % HEX, 5).strip() * 3 + b"\r\n", [GOT] * 3),
    Case("glued, bare", urc(HEX, 5).strip() * 3 + b"\r\n", [GOT] * 3),
    Case("quoted, then bare", urc(b'"%s"' % HEX, 5) + urc(HEX, 5), [GOT, GOT]),
    Case("every byte", urc(b'"%s"' % bytes(range(256)).hex().encode(), 256), [Received(0, bytes(range(256)))]),
    Case("digits of digits", urc(b'"33313332"', 4), [Received(0, b"3132")]),
    Case("empty in quotes", urc(b'""', 0), [Received(0, b"")]),
    Case("empty", urc(b"", 0), [Received(0, b"")]),
    Case("empty without a comma", b'\r\n+QIURC: "recv",0,0\r\n', [Received(0, b"")]),
]

DAMAGED_HEX = [
    Case("one digit lost", urc(b'"%s"' % HEX[1:], 5), [OWN]),
    Case("two digits lost", urc(b'"%s"' % HEX[2:], 5), [OWN]),
    Case("all digits lost", urc(b"", 5), [OWN]),
    Case("bare, one digit lost", urc(HEX[1:], 5), [OWN]),
    Case("digit and closing quote lost", urc(b'"' + HEX[1:], 5), [OWN]),
    Case("garbled digit", urc(b'"%sg"' % HEX[1:], 5), [OWN]),
    Case("answer behind it is seen", urc(b'"%s"' % HEX[1:], 5) + b"\r\nOK\r\n", [OWN, StrayResult("OK")]),
    Case("next one is seen", urc(b'"%s"' % HEX[1:], 5) + urc(b'"%s"' % HEX, 5), [OWN, GOT]),
    Case("glued one is seen", urc(b'"%s"' % HEX[1:], 5)[:-2] + urc(b'"%s"' % HEX, 5).strip() + b"\r\n", [OWN, GOT]),
    Case("too many digits", urc(b'"%s00"' % HEX, 5), [LOST]),
    Case("a header in it", urc(b'"6865", "recv",0,5,"%s"' % HEX, 50), [LOST]),
    Case("no such id", urc(b'"%s"' % HEX, 5, 5), [LOST]),
    Case("no such id, one digit lost", urc(b'"%s"' % HEX[1:], 5, 5), [LOST]),
    Case("no length", b'\r\n+QIURC: "recv",0,x,"%s"\r\n' % HEX, [LOST]),
    Case("no id, and the length in its place", b'\r\n+QIURC: "recv",1,"68"\r\n', [LOST]),
    Case("no id and a quote less", b'\r\n+QIURC: "recv,1,"68"\r\n', [LOST]),
    Case("too much", urc(b'"%s"' % HEX, MAX_PAYLOAD_SIZE + 1), [OWN]),
    Case("not empty", urc(b'"%s"' % HEX, 0), [LOST]),
    Case("never ends", b'\r\n+QIURC: "recv",0,5,"' + b"0" * 1000 + b"\r\n", [LOST]),
    Case("header lost", b'v",0,5,"%s"\r\n' % HEX, [LOST]),
    Case("six bytes of the header lost, bare", b'\r\n+QIUecv",0,5,%s\r\n' % HEX, [LOST]),
    Case("most of the header lost, bare", b"\r\n0,5,%s\r\n" % HEX, [LOST]),
    Case("tail alone", HEX[4:] + b'"\r\n', [LOST]),
]


def check(case: Case, receives_hex: bool | None) -> None:
    # Every split of a long one would take seconds.
    step = 1 if len(case.data) < 400 else 97
    for number, chunks in enumerate(every_chunking(case.data)):
        if number > 1 and number % step:
            continue
        chat = Chat()
        chat.receives_hex = receives_hex
        assert [short(event) for event in drain(chat, chunks)] == case.events, chunks
        # Whatever happened, the next one is understood.
        assert drain(chat, [TRAILING]) == [ClosedUrc(4)], chunks
    chat = Chat()
    chat.receives_hex = receives_hex
    assert [short(event) for event in drain(chat, [case.data + TRAILING])] == [*case.events, ClosedUrc(4)]


@pytest.mark.parametrize("case", LINES, ids=lambda case: case.name)
def test_lines(case: Case) -> None:
    check(case, None)


@pytest.mark.parametrize("receives_hex", [False, None])
@pytest.mark.parametrize("case", TEXT, ids=lambda case: case.name)
def test_text(case: Case, receives_hex: bool | None) -> None:
    check(case, receives_hex)


@pytest.mark.parametrize("receives_hex", [False, None])
@pytest.mark.parametrize("case", DAMAGED_TEXT, ids=lambda case: case.name)
def test_damaged_text(case: Case, receives_hex: bool | None) -> None:
    check(case, receives_hex)


@pytest.mark.parametrize("receives_hex", [True, None])
@pytest.mark.parametrize("case", HEX_DATA, ids=lambda case: case.name)
def test_hex(case: Case, receives_hex: bool | None) -> None:
    check(case, receives_hex)


@pytest.mark.parametrize("case", DAMAGED_HEX, ids=lambda case: case.name)
def test_damaged_hex(case: Case) -> None:
    check(case, True)


# -- payloads that stop short

STALLS = [
    Case("text", b'+QIURC: "recv",0,5,"hel', [LOST], False),
    Case("nothing of it", b'+QIURC: "recv",0,5,', [LOST], False),
    Case(
        "swallowed the next line",
        QUOTED + b'+QIURC: "recv",0,99,"hel"\r\n\r\nRDY\r\n',
        [TAUGHT, LOST, Rdy()],
        False,
    ),
    Case("complete, no line end", b'+QIURC: "recv",0,5,"hello"', [GOT], False),
    Case("complete, LF lost", b'+QIURC: "recv",0,5,"hello"\r', [GOT], False),
    Case("complete, LF lost, bare", BARE + b'+QIURC: "recv",0,5,hello\r', [TAUGHT, GOT], False),
    Case("complete, nothing behind, bare", BARE + b'+QIURC: "recv",0,5,hello', [TAUGHT, LOST], False),
    Case("hex", b'+QIURC: "recv",0,5,"6865', [OWN], True),
    Case("hex, nothing of it", b'+QIURC: "recv",0,5,', [OWN], True),
    Case("hex complete, nothing behind", b'+QIURC: "recv",0,5,"' + HEX, [GOT], True),
    Case("hex complete, bare, nothing behind", b'+QIURC: "recv",0,5,' + HEX, [GOT], True),
    Case("format unknown", b'+QIURC: "recv",0,5,"6865', [LOST], None),
    Case("format unknown, complete", b'+QIURC: "recv",0,5,"' + HEX, [GOT], None),
]


@pytest.mark.parametrize("case", STALLS, ids=lambda case: case.name)
def test_stall(case: Case) -> None:
    for chunks in every_chunking(case.data):
        chat = Chat()
        chat.receives_hex = case.receives_hex
        early = drain(chat, chunks, now=10.0)
        assert chat.next_deadline() == 13.0
        chat.handle_timeout(12.9)
        assert drain(chat, []) == []
        assert chat.next_deadline() == 13.0
        chat.handle_timeout(13.0)
        assert [short(event) for event in [*early, *drain(chat, [b""])]] == case.events
        assert chat.next_deadline() is None
        assert drain(chat, [TRAILING], now=14.0) == [ClosedUrc(4)]


def test_stall_is_counted_from_the_last_byte() -> None:
    chat = Chat()
    drain(chat, [b'+QIURC: "recv",0,5,"h'], now=1.0)
    drain(chat, [b"e"], now=3.5)
    assert chat.next_deadline() == 6.5
    drain(chat, [b'llo"\r\n'], now=4.0)
    assert chat.next_deadline() is None


def test_rest_of_a_stalled_hex_payload_is_skipped() -> None:
    chat = Chat()
    chat.receives_hex = True
    drain(chat, [b'+QIURC: "recv",0,5,"6865'], now=1.0)
    chat.handle_timeout(4.0)
    assert drain(chat, [b'6c6c6f"\r\n\r\nRDY\r\n'], now=5.0) == [
        Damaged("received hex data stopped short", 0, True),
        Rdy(),
    ]


# -- what the format setting does


def test_known_text_format_is_not_taken_for_hex() -> None:
    # Not two digits a byte, but a first line whose end is lost, and a second one.
    chat = Chat()
    chat.receives_hex = False
    assert [short(event) for event in drain(chat, [b'+QIURC: "recv",0,2,3132\r\n'])] == [LOST]


def test_clear_forgets_the_dialect_and_reset_does_not() -> None:
    chat = Chat()
    assert drain(chat, [BARE]) == [TAUGHT]
    chat.reset()
    assert [short(event) for event in drain(chat, [urc(b'"hello"', 5)])] == [LOST]
    chat.clear()
    assert drain(chat, [urc(b'"hello"', 5)]) == [GOT]


def test_reset_keeps_what_has_arrived_and_clear_does_not() -> None:
    chat = Chat()
    drain(chat, [b'+QIURC: "recv",0,5,"he'])
    chat.reset()
    assert drain(chat, [b'llo"\r\n']) == [GOT]
    drain(chat, [b'+QIURC: "recv",0,5,"he'])
    chat.clear()
    assert drain(chat, [b"RDY\r\n"]) == [Rdy()]


# -- limits


MOST_BUFFERED = 65536 + 1000 + 2 * MAX_PAYLOAD_SIZE + MAX_LINE_SIZE


def test_memory_is_bounded() -> None:
    framer = Framer()
    framer.receives_hex = True
    for start in (b"x", b'+QIURC: "recv",0,4096,', b'+QIURC: "recv",0,5,"', b"\r\n"):
        framer.feed(start)
        for _ in range(200):
            framer.feed(b"0" * 1000)
            while framer.next_frame(False) is not None:
                pass
            assert framer.buffered_size <= MOST_BUFFERED
        framer.feed(b"\r\n")
        while framer.next_frame(False) is not None:
            pass


def test_memory_is_bounded_when_every_chunk_ends_within_a_line() -> None:
    framer = Framer()
    framer.feed(b"RD")
    for _ in range(200):
        framer.feed(b"Y\r\n" + b"RDY\r\n" * 190 + b"RD")
        frames = []
        while (frame := framer.next_frame(False)) is not None:
            frames.append(frame)
        assert frames == [b"RDY"] * 191
        assert framer.buffered_size <= MOST_BUFFERED


@pytest.mark.parametrize("receives_hex", [None, False, True])
@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"\r\n" * 32768, id="line ends"),
        pytest.param(b"x" * 65536, id="no line ends"),
        pytest.param(b"+" * 65536, id="plus signs"),
        pytest.param(urc(b'"' + b"00" * 1024 + b'"', 1024) * 31, id="payloads"),
        pytest.param(urc(b'"' + b"00" * 4096, 4096)[:-2] * 8, id="payloads without an end"),
        pytest.param(b'+QIURC: "recv",0,' + b"9" * 65536, id="header without an end"),
    ],
)
def test_byte_by_byte_is_linear(stream: bytes, receives_hex: bool | None) -> None:
    """Far from a benchmark: a scan of the whole buffer for each byte would take minutes."""
    chat = Chat()
    chat.receives_hex = receives_hex
    began = time.process_time()
    for index in range(len(stream)):
        chat.receive_data(stream[index : index + 1], 0.0)
        while not isinstance(chat.next_event(), NeedData):
            pass
    assert time.process_time() - began < 3.0


def test_data_among_the_wreck_of_text_is_not_trusted() -> None:
    """A peer's text may hold what looks like a report of another peer's data."""
    forged = urc(b'"hello"', 5)
    chat = Chat()
    chat.receives_hex = False
    wreck = b'\r\n+Q\x13URC: "recv",1,1024,"ab' + forged + b'"\r\n'
    assert GOT not in drain(chat, [wreck + forged], 1.0)
    assert GOT not in drain(chat, [forged], 1.0 + QUIET_TIME - 0.01)
    assert drain(chat, [forged], 3.0) == [GOT], "it has paused"
    count = MAX_PAYLOAD_SIZE // len(forged) + 5
    seen = drain(chat, [wreck + forged * count], 5.0)
    assert seen[-4:] == [GOT] * 4, "no text is longer than that"


def test_quotes_are_not_learned_from_a_wreck() -> None:
    chat = Chat()
    chat.receives_hex = False
    wreck = b'\r\n+Q\x13URC: "recv",1,1024,ab' + urc(b'"hello"', 5) + b"\r\n"
    assert GOT not in drain(chat, [wreck], 1.0)
    assert drain(chat, [urc(b"hello", 5) + urc(b"hello", 5)], 3.0) == [GOT, GOT]


def test_quotes_are_not_learned_from_a_text_that_may_have_lost_one() -> None:
    chat = Chat()
    chat.receives_hex = False
    assert drain(chat, [urc(b'1234"', 5)], 1.0) == [Received(0, b'1234"')]
    assert drain(chat, [urc(b'"hello"', 5)], 2.0) == [GOT]


@pytest.mark.parametrize("learned, payload", [(QUOTED, b"hello"), (BARE, b'"hello"')])
def test_quotes_that_were_learned_wrongly_are_learned_anew(learned: bytes, payload: bytes) -> None:
    chat = Chat()
    chat.receives_hex = False
    assert drain(chat, [learned], 1.0) == [TAUGHT]
    assert GOT not in drain(chat, [urc(payload, 5)], 2.0)
    assert GOT not in drain(chat, [urc(payload, 5)], 3.0)
    assert drain(chat, [urc(payload, 5)], 4.0) == [GOT]


def test_noise_of_a_boot_is_no_wreck() -> None:
    chat = Chat()
    assert drain(chat, [b"\r\n\xff\x00\r\nRDY\r\n"])[-1] == Rdy()
    chat.receives_hex = False
    assert drain(chat, [urc(b'"hello"', 5)]) == [GOT]


def test_hex_data_behind_a_wreck_is_trusted() -> None:
    chat = Chat()
    chat.receives_hex = True
    wreck = b'\r\n+Q\x13URC: "recv",1,5,"%s"\r\n' % HEX
    assert drain(chat, [wreck + urc(b'"%s"' % HEX, 5)])[-1] == GOT


def test_a_late_prompt_is_not_that_of_the_next_command() -> None:
    chat = Chat()
    assert drain(chat, [b"\r\n> "]) == []
    chat.send(QISENDData(0, b"x"), 0.0)
    assert drain(chat, [b"\r\n"]) == []
    assert drain(chat, [b"> "]) == [Prompt(QISENDData(0, b"x"))]


def test_a_notice_is_no_damage() -> None:
    chat = Chat()
    assert drain(chat, [b'+QIURC: "pdpdeact",1\r\n']) == [Notice('+QIURC: "pdpdeact",1')]


@pytest.mark.parametrize("line", [b'+QIURC: "r",0,2,"6869"', b'+QIURC: "v",0', b'+QIURC: "reclosed",0,2,"6869"'])
def test_a_type_of_which_little_is_left_is_a_wreck(line: bytes) -> None:
    events = drain(Chat(), [line + b"\r\n"])
    assert [type(event) for event in events] == [Damaged]


@pytest.mark.parametrize(
    ("receives_hex", "data"),
    [
        (True, urc(b'"' + b"5A" * 300 + b'"', 300)),
        (False, urc(b'"' + b"Z" * 300 + b'"', 300)),
        (None, urc(b"Z" * 9, 9)),
    ],
)
def test_payload_due_never_asks_for_more_than_is_still_to_come(receives_hex: bool | None, data: bytes) -> None:
    chat = Chat()
    chat.receives_hex = receives_hex
    assert chat.payload_due == 0
    most = 0
    for number in range(len(data)):
        drain(chat, [data[number : number + 1]])
        assert chat.payload_due < len(data) - number
        most = max(most, chat.payload_due)
    assert most == {True: 600, False: 300, None: 9}[receives_hex]
    assert chat.payload_due == 0
