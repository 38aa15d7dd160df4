"""The siblings' forms through the codec: received data on the line after its header, and the examples of each model."""

from __future__ import annotations

from typing import Any

import pytest

from nbsocket._at import (
    ATI,
    CGMR,
    QICLOSE,
    QIDNSGIP,
    QIOPEN,
    QISTATE,
    QPING,
    Chat,
    ClosedUrc,
    CloseOk,
    Command,
    Damaged,
    DnsAddress,
    DnsResult,
    Event,
    FinalResult,
    Notice,
    OpenResult,
    PingLine,
    PingSummary,
    Prompt,
    QICFGView,
    QICFGViewRead,
    QISENDData,
    Raw,
    Received,
    SocketStatus,
    StrayResult,
    UnknownLine,
)
from tests import transcripts
from tests.at.feeding import chunkings, drain, every_chunking

TRAILING = b'\r\n+QIURC: "closed",4\r\n'
GOT = Received(0, b"hello")
HEX = b"68656c6c6f"
EVERY_BYTE = bytes(range(256))


def urc(payload: bytes, size: int, head_end: bytes = b"\r\n") -> bytes:
    return b'\r\n+QIURC: "recv",0,%d%s%s\r\n' % (size, head_end, payload)


def short(event: Event) -> Event:
    """The event, without the words of a reason: those are for people."""
    return Damaged("", event.socket_id, event.is_contained) if isinstance(event, Damaged) else event


LOST = Damaged("")
OWN = Damaged("", 0, True)

TEXT: dict[str, tuple[bytes, list[Event]]] = {
    "bare": (urc(b"hello", 5), [GOT]),
    "quoted": (urc(b'"hello"', 5), [GOT]),
    "on the header's line": (urc(b"hello", 5, b","), [GOT]),
    "both forms": (urc(b"hello", 5) + urc(b"hello", 5, b",") + urc(b"hello", 5), [GOT] * 3),
    "glued": (urc(b"hello", 5).strip() * 3 + b"\r\n", [GOT] * 3),
    "LF of the header lost": (urc(b"hello", 5, b"\r"), [GOT]),
    "CR of the header lost": (urc(b"hello", 5, b"\n"), [GOT]),
    "line ends inside": (urc(b"\r\nOK\r", 5), [Received(0, b"\r\nOK\r")]),
    "a line end first": (urc(b"\nabcd", 5), [Received(0, b"\nabcd")]),
    "a URC inside": (urc(TRAILING, len(TRAILING)), [Received(0, TRAILING)]),
    "every byte": (urc(EVERY_BYTE, 256), [Received(0, EVERY_BYTE)]),
    "largest": (urc(b"x" * 4096, 4096), [Received(0, b"x" * 4096)]),
    "empty": (urc(b"", 0), [Received(0, b"")]),
    "one byte lost": (urc(b"hello", 5) + urc(b"hell", 5), [GOT, LOST]),
    "one byte too many": (urc(b"hello", 5) + urc(b"hello!", 5), [GOT, LOST]),
    "no length": (urc(b"hello", 5) + b'\r\n+QIURC: "recv",0,\r\nhello\r\n', [GOT, LOST, UnknownLine("hello")]),
}

HEX_DATA: dict[str, tuple[bytes, list[Event]]] = {
    "bare": (urc(HEX, 5), [GOT]),
    "quoted": (urc(b'"%s"' % HEX, 5), [GOT]),
    "upper case": (urc(HEX.upper(), 5), [GOT]),
    "on the header's line": (urc(HEX, 5, b","), [GOT]),
    "glued": (urc(HEX, 5).strip() * 3 + b"\r\n", [GOT] * 3),
    "every byte": (urc(EVERY_BYTE.hex().encode(), 256), [Received(0, EVERY_BYTE)]),
    "LF of the header lost": (urc(HEX, 5, b"\r"), [GOT]),
    "CR of the header lost": (urc(HEX, 5, b"\n"), [GOT]),
}

DAMAGED_HEX: dict[str, tuple[bytes, list[Event]]] = {
    "one digit lost": (urc(HEX[1:], 5), [OWN]),
    "answer behind it is seen": (urc(HEX[1:], 5) + b"\r\nOK\r\n", [OWN, StrayResult("OK")]),
    "next one is seen": (urc(HEX[1:], 5) + urc(HEX, 5), [OWN, GOT]),
    "all lost, answer behind": (b'\r\n+QIURC: "recv",0,5\r\n\r\nOK\r\n', [OWN, StrayResult("OK")]),
    "too many digits": (urc(HEX + b"00", 5), [LOST]),
}


def check(case: tuple[bytes, list[Event]], receives_hex: bool | None) -> None:
    data, events = case
    for chunks in every_chunking(data + TRAILING) if len(data) < 500 else [[data + TRAILING]]:
        chat = Chat()
        chat.receives_hex = receives_hex
        chat.allows_next_line = True
        seen = drain(chat, chunks)
        assert [short(event) for event in seen] == [*events, ClosedUrc(4)]


@pytest.mark.parametrize("receives_hex", [False, None])
@pytest.mark.parametrize("name", TEXT)
def test_text_on_the_next_line(name: str, receives_hex: bool | None) -> None:
    check(TEXT[name], receives_hex)


@pytest.mark.parametrize("receives_hex", [True, None])
@pytest.mark.parametrize("name", HEX_DATA)
def test_hex_on_the_next_line(name: str, receives_hex: bool | None) -> None:
    check(HEX_DATA[name], receives_hex)


@pytest.mark.parametrize("name", DAMAGED_HEX)
def test_damaged_hex_on_the_next_line(name: str) -> None:
    check(DAMAGED_HEX[name], True)


def test_a_modem_without_that_form_has_lost_its_payload() -> None:
    for chunks in every_chunking(urc(HEX, 5)):
        chat = Chat()
        chat.receives_hex = True
        assert not any(isinstance(event, Received) for event in drain(chat, chunks))


def test_payload_that_never_comes_is_given_up() -> None:
    for data in (b'+QIURC: "recv",0,5\r', b'+QIURC: "recv",0,5\r\n', b'+QIURC: "recv",0,5\r\n6865'):
        chat = Chat()
        chat.receives_hex = True
        chat.allows_next_line = True
        seen = drain(chat, [data], now=10.0)
        moments = 0
        while (deadline := chat.next_deadline()) is not None:
            chat.handle_timeout(deadline)
            seen += drain(chat, [b""], now=deadline)
            moments += 1
            assert moments < 5
        assert [short(event) for event in seen] == [OWN]


def test_clear_keeps_the_form() -> None:
    chat = Chat()
    chat.allows_next_line = True
    chat.clear()
    assert chat.allows_next_line  # it is told of the model, not learned from the bytes


#: What the boot ROM of a BC66 says at power-on, at 115200 baud, in four public logs.
BOOT = (
    b"\r\nF1: 0000 0000\r\nV0: 0000 0000 [0001]\r\n00: 0006 000C\r\n01: 0000 0000\r\n"
    b"U0: 0000 0001 [0000]\r\nT0: 0000 00B4\r\nLeaving the BROM\r\n"
)


@pytest.mark.parametrize("style", ["whole", "bytes", "halves"])
def test_boot_rom(style: str) -> None:
    seen = drain(Chat(), chunkings(BOOT)[style])
    # Nothing of it is taken for damaged payload, nor for a RDY: the driver knows its last line as a sign of a restart.
    assert seen == [UnknownLine(line) for line in BOOT.decode().split("\r\n") if line]


Done = tuple[Command[Any], str, Any]

OK, SENT = "OK", "SEND OK"
_BC66_STATUS = SocketStatus(0, "TCP", "220.180.239.212", 8009, 0, 2, 1, 1)
_BC660K_STATUS = SocketStatus(0, "TCP", "hf.quectel.com", 2020, 0, 2, 0, 1)
_IDENTITY = ["Quectel_Ltd", "Quectel_BC66", "Revision: BC66NBR01A03"]
_OPEN = QIOPEN(0, "TCP", "220.180.239.212", 8009, context_id=1, states_access_mode=True)

EXPECTED: dict[str, list[Done | Event]] = {
    "bc66/direct-push": [
        (_OPEN, OK, None),
        OpenResult(0, 0),
        (QISTATE(0), OK, [_BC66_STATUS]),
        (QISENDData(0, b"12345"), SENT, None),
        Received(0, b"test"),
        (QICLOSE(0), OK, None),
        CloseOk(),
    ],
    "bc66/identity": [(ATI(), OK, _IDENTITY), (CGMR(), OK, "BC66NBR01A03")],
    "bc66/resolve-and-ping": [
        (QIDNSGIP("www.example.com", 1), OK, None),
        DnsResult(0, 1),
        DnsAddress("39.156.69.79"),
        (QPING("39.156.69.79", 4, 2, context_id=1), OK, None),
        PingLine(0, "39.156.69.79", 32, 410, 54),
        PingLine(0, "39.156.69.79", 32, 450, 54),
        PingSummary(0, 2, 2, 0, 410, 450, 430),
    ],
    "bc66/viewmode": [
        (QICFGViewRead("viewmode"), OK, 0),
        Received(0, b"test"),
        (QICFGView("viewmode", 1), OK, None),
        Received(0, b"test"),
    ],
    "bc660k/direct-push": [
        (QISTATE(0), OK, [_BC660K_STATUS]),
        (Raw('AT+QISEND=0,4,"caff0a22"'), SENT, []),
        Received(0, b"jkl"),
        (QICFGViewRead("viewmode"), OK, 0),
        (QICFGView("viewmode", 1), OK, None),
        Received(0, b"jkl"),
        (QICLOSE(0), OK, None),
        CloseOk(),
        (QICLOSE(0), "ERROR", None),
    ],
}


@pytest.mark.parametrize("style", ["whole", "bytes", "halves"])
@pytest.mark.parametrize("name", EXPECTED)
def test_transcript_of_a_sibling(name: str, style: str) -> None:
    chat = Chat()
    chat.allows_next_line = True
    commands = [item[0] for item in EXPECTED[name] if isinstance(item, tuple)]
    seen: list[Done | Event] = []
    for step in transcripts.load(name):
        if step.kind == "host":
            is_payload = chat.pending is not None and chat.pending.payload == step.data
            sent = chat.send_payload(0.0) if is_payload else chat.send(commands.pop(0), now=0.0)
            assert sent == step.data
        for chunks in [chunkings(step.data)[style]] if step.kind == "module" else []:
            for event in drain(chat, chunks):
                if isinstance(event, FinalResult):
                    answer = event.command.parse(event.responses) if event.ok else None
                    seen.append((event.command, event.text, answer))
                elif not isinstance(event, Prompt):
                    seen.append(event)
    assert not commands
    assert chat.is_idle
    assert seen == EXPECTED[name]


def test_reports_that_need_no_action() -> None:
    assert drain(Chat(), [b"\r\n+QATWAKEUP\r\n\r\n+QATSLEEP\r\n"]) == [Notice("+QATWAKEUP"), Notice("+QATSLEEP")]
