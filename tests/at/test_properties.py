"""Whatever the payload, whatever the split: the same events. Whatever the bytes: no exception, bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nbsocket._at import (
    AT,
    ATI,
    CSQ,
    Chat,
    Command,
    Damaged,
    Event,
    FinalResult,
    Prompt,
    QISENDData,
    Raw,
    Received,
    RemoteProtocolError,
)
from nbsocket._at._framing import MAX_LINE_SIZE, MAX_PAYLOAD_SIZE, Framer
from tests.at.feeding import drain
from tests.helpers import AT_LOOKALIKES

#: What is kept before it is thrown away, a chunk, and more than a full payload in hex with its slack, or a line.
MOST_BUFFERED = 65536 + 3000 + 2 * MAX_PAYLOAD_SIZE + MAX_LINE_SIZE


def quoted_text(data: bytes) -> bytes:
    return b'"' + data + b'"'


def bare_text(data: bytes) -> bytes:
    return data


def quoted_hex(data: bytes) -> bytes:
    return b'"' + data.hex().upper().encode() + b'"'


def bare_hex(data: bytes) -> bytes:
    return data.hex().encode()


def urc(socket_id: int, data: bytes, encode: Callable[[bytes], bytes], is_glued: bool = False) -> bytes:
    line = b'+QIURC: "recv",%d,%d,%s' % (socket_id, len(data), encode(data))
    return line if is_glued else b"\r\n" + line + b"\r\n"


#: Bytes that could confuse a parser are frequent.
_pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([*AT_LOOKALIKES, b"\r", b"\n", b"\r\n", b'"', b"+", b",", b"0", b"3132", b"a" * 60, b"F" * 60]),
)
payloads = st.one_of(st.lists(_pieces, max_size=8).map(b"".join), st.binary(max_size=1500))
messages = st.lists(st.tuples(st.integers(0, 4), payloads), max_size=6)


@st.composite
def splits(draw: st.DrawFn, data: bytes) -> list[bytes]:
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=12).map(sorted))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


_FORMATS: list[tuple[Callable[[bytes], bytes], bool | None]] = [
    (quoted_text, False),
    (quoted_text, None),
    (bare_text, False),
    (bare_text, None),
    (quoted_hex, True),
    (quoted_hex, None),
    (bare_hex, True),
    (bare_hex, None),
]


@settings(deadline=None)
@given(st.sampled_from(_FORMATS), messages, st.data())
def test_payloads_arrive_as_they_were(
    how: tuple[Callable[[bytes], bytes], bool | None], sent: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    encode, receives_hex = how
    # The first payload shows the dialect.
    sent = [(0, b"first"), *sent]
    stream = b"".join(urc(socket_id, payload, encode) for socket_id, payload in sent)
    chat = Chat()
    chat.receives_hex = receives_hex
    assert drain(chat, data.draw(splits(stream))) == [Received(*message) for message in sent]


@settings(deadline=None)
@given(st.sampled_from([quoted_text, quoted_hex, bare_hex]), messages, st.data())
def test_glued_payloads_arrive_as_they_were(
    encode: Callable[[bytes], bytes], sent: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    sent = [(0, b"first"), *sent]
    stream = b"".join(urc(socket_id, payload, encode, is_glued=True) for socket_id, payload in sent) + b"\r\n"
    chat = Chat()
    chat.receives_hex = encode is not quoted_text
    assert drain(chat, data.draw(splits(stream))) == [Received(*message) for message in sent]


@settings(deadline=None)
@given(payloads)
@example(b'"')
@example(b'""')
@example(b'a"')
@example(b'a"\r\n')
def test_first_payload_arrives_as_it_was(payload: bytes) -> None:
    """In quotes, that is always so; it is the form that the manual shows."""
    for encode, receives_hex in ((quoted_text, False), (quoted_text, None), (quoted_hex, None), (quoted_hex, True)):
        chat = Chat()
        chat.receives_hex = receives_hex
        assert drain(chat, [urc(2, payload, encode)]) == [Received(2, payload)]


@settings(deadline=None)
@given(payloads)
@example(b'"ab"')
@example(b'"')
def test_first_bare_payload_arrives_or_is_in_doubt(payload: bytes) -> None:
    chat = Chat()
    chat.receives_hex = False
    events = drain(chat, [urc(2, payload, bare_text)])
    if payload[:1] != b'"':
        assert events == [Received(2, payload)]
    else:
        assert events == [Received(2, payload)] or isinstance(events[0], Damaged)


@settings(deadline=None)
@given(
    st.lists(payloads.filter(lambda payload: 2 < len(payload) < 400), min_size=1, max_size=3),
    st.integers(0, 10_000),
    st.integers(1, 3),
    st.sampled_from([(quoted_text, False), (quoted_hex, True)]),
)
def test_lost_bytes_of_a_payload_never_go_unnoticed(
    sent: list[bytes], where: int, count: int, how: tuple[Callable[[bytes], bytes], bool]
) -> None:
    """Up to three bytes, with the dialect learned. It takes more to lose a terminator and find another one."""
    encode, receives_hex = how
    chat = Chat()
    chat.receives_hex = receives_hex
    assert drain(chat, [urc(0, b"x", encode)]) == [Received(0, b"x")]
    parts = [urc(0, payload, encode) for payload in sent]
    head = len(parts[0]) - len(encode(sent[0])) - 2
    start = head + where % (len(encode(sent[0])) - count + 1)
    stream = parts[0][:start] + parts[0][start + count :] + b"".join(parts[1:])
    events = drain(chat, [stream], now=0.0)
    chat.handle_timeout(100.0)
    events += drain(chat, [b""])
    received = [event.data for event in events if isinstance(event, Received)]
    damaged = [index for index, event in enumerate(events) if isinstance(event, Damaged)]
    # Hex: a lost closing quote is no loss.
    assert damaged[:1] == [0] or (receives_hex and received == sent)


commands: st.SearchStrategy[Command[Any] | None] = st.sampled_from(
    [None, AT(), CSQ(), ATI(), Raw("AT+QIOPEN=?"), QISENDData(0, b"x"), Raw('AT+QISEND=0,1,"A"')]
)
_traffic = st.sampled_from(
    [
        b"\r\nOK\r\n",
        b"\r\nERROR\r\n",
        b"\r\nSEND OK\r\n",
        b"> ",
        b'\r\n+QIURC: "recv",0,',
        b'"recv",',
        b'4,"',
        b"40,",
        b"+CSQ: 20,99\r\n",
        b"+CME ERROR: ",
        b"AT+CSQ\r",
        b"RDY\r\n",
        b'+QIURC: "closed",',
        b"+QIOPEN: 0,",
        b"+QPING: 0,1.2.3.4,",
        b'+QNTP: 0,"',
        b"+CEREG: ",
    ]
)
garbage = st.lists(st.one_of(_traffic, st.binary(max_size=30), st.binary(min_size=3000, max_size=3000)), max_size=30)


def _converse(chat: Chat, chunks: list[bytes]) -> list[Event]:
    events: list[Event] = []
    for chunk in chunks:
        for event in drain(chat, [chunk]):
            events.append(event)
            if isinstance(event, FinalResult):
                _parse(event)
    return events


def _parse(result: FinalResult) -> None:
    with suppress(RemoteProtocolError):
        result.command.parse(result.responses)


@settings(deadline=None)
@given(commands, st.sampled_from([None, False, True]), garbage, st.data())
def test_garbage_never_raises_and_its_split_does_not_matter(
    command: Command[Any] | None, receives_hex: bool | None, chunks: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(chunks)
    seen: list[list[Event]] = []
    for split in ([stream], chunks, data.draw(splits(stream))):
        chat = Chat()
        chat.receives_hex = receives_hex
        if command is not None:
            chat.send(command, 0.0)
        seen.append(_converse(chat, split))
    assert seen[0] == seen[1] == seen[2]


@settings(deadline=None)
@given(commands, st.sampled_from([None, False, True]), garbage)
def test_life_goes_on_after_garbage(
    command: Command[Any] | None, receives_hex: bool | None, chunks: list[bytes]
) -> None:
    chat = Chat()
    chat.receives_hex = receives_hex
    if command is not None:
        chat.send(command, 0.0)
    for event in _converse(chat, chunks):
        if isinstance(event, Prompt) and chat.pending is not None and chat.state.name == "PROMPTED":
            chat.send_payload(0.0)
    chat.handle_timeout(1000.0)
    drain(chat, [b"\r\n"], 1000.0)
    chat.reset()
    chat.send(AT(), 1000.0)
    # One answer may still fall into a wreck; the next cannot.
    events = drain(chat, [b"\r\nOK\r\n"], 1000.0)
    chat.handle_timeout(1010.0)
    events += drain(chat, [b"\r\n"], 1010.0)
    if not any(isinstance(event, FinalResult) for event in events):
        chat.reset()
        chat.send(AT(), 1010.0)
        events = drain(chat, [b"\r\nOK\r\n"], 1010.0)
    assert FinalResult(AT(), True, "OK", None, ()) in events


@settings(deadline=None)
@given(st.sampled_from([None, False, True]), garbage)
def test_memory_stays_bounded(receives_hex: bool | None, chunks: list[bytes]) -> None:
    framer = Framer()
    framer.receives_hex = receives_hex
    for chunk in chunks:
        framer.feed(chunk)
        while framer.next_frame(False) is not None:
            pass
        assert framer.buffered_size <= MOST_BUFFERED
