"""The conversation: states, answers in every order that modules give them, strays, deadlines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from nbsocket._at import (
    AT,
    ATE0,
    ATI,
    CGMR,
    CGSN,
    CSQ,
    NEED_DATA,
    QICLOSE,
    QIDNSGIP,
    QIOPEN,
    CEREGRead,
    CFUNRead,
    Chat,
    ClosedUrc,
    CloseOk,
    Command,
    CommandTimeout,
    Damaged,
    DnsResult,
    Echo,
    Event,
    FinalResult,
    InfoResponse,
    LocalProtocolError,
    Notice,
    NtpResult,
    OpenResult,
    Prompt,
    QISENDData,
    QISENDHex,
    QISENDQuery,
    QISTATERead,
    Raw,
    Rdy,
    Received,
    Registration,
    State,
    StrayResult,
    UnknownLine,
)
from nbsocket._at._chat import LATE_SEND_OK, MAX_POSTPONEMENT, MAX_RESPONSES, QUIET_TIME, TRANSITIONS
from tests.at.feeding import drain, every_chunking

TRAILING = b'\r\n+QIURC: "closed",4\r\n'

HEX = QISENDHex(0, b"123")
DATA = QISENDData(0, b"hello")
OPEN = Raw("AT+QISEND=0", b"hello")


def done(
    command: Command[Any],
    text: str = "OK",
    *responses: InfoResponse,
    code: int | None = None,
    was_taken: bool = False,
) -> FinalResult:
    return FinalResult(command, text in ("OK", "SEND OK"), text, code, responses, was_taken=was_taken)


def misplaced(command: Command[Any], text: str, code: int) -> FinalResult:
    return FinalResult(command, False, text, code, is_misplaced=True, was_taken=True)


@dataclass(frozen=True)
class Case:
    name: str
    command: Command[Any] | None
    data: bytes
    events: list[Event]
    #: The state afterwards.
    state: State = State.IDLE
    #: The payload went out before the data came.
    is_sent: bool = False


CASES = [
    # Plain answers, and their frames.
    Case("ok", AT(), b"\r\nOK\r\n", [done(AT())]),
    Case("ok without a frame", AT(), b"OK\r", [done(AT())]),
    Case("extra line ends", AT(), b"\r\n\r\n\r\nOK\r\n\r\n", [done(AT())]),
    Case("blanks", AT(), b"\r\n OK \r\n", [done(AT())]),
    Case("error", AT(), b"\r\nERROR\r\n", [done(AT(), "ERROR")]),
    Case("cme number", AT(), b"\r\n+CME ERROR: 50\r\n", [done(AT(), "+CME ERROR: 50", code=50)]),
    Case("cme result code", AT(), b"\r\n+CME ERROR:563\r\n", [done(AT(), "+CME ERROR:563", code=563)]),
    Case("cme text", AT(), b"\r\n+CME ERROR: no network\r\n", [done(AT(), "+CME ERROR: no network")]),
    Case(
        "not quite ok",
        AT(),
        b"\r\nOKAY\r\nO\r\nok\r\n",
        [UnknownLine(x) for x in ("OKAY", "O", "ok")],
        State.PENDING,
    ),
    # Echo.
    Case("echo", ATE0(), b"ATE0\r\r\nOK\r\n", [Echo("ATE0"), done(ATE0())]),
    Case("echo with LF", ATE0(), b"ATE0\r\n\r\nOK\r\n", [Echo("ATE0"), done(ATE0())]),
    Case(
        "echo of a send",
        HEX,
        b'AT+QISEND=0,3,"313233"\r\r\nOK\r\n\r\nSEND OK\r\n',
        [Echo(HEX.line), done(HEX, "SEND OK", was_taken=True)],
    ),
    Case("echo of another", AT(), b"ATE0\r\r\nOK\r\n", [UnknownLine("ATE0"), done(AT())]),
    Case(
        "echo among any lines",
        ATI(),
        b"ATI\r\r\nX\r\n\r\nOK\r\n",
        [Echo("ATI"), done(ATI(), "OK", InfoResponse("", "X"))],
    ),
    Case("echo of nothing", None, b"ATE0\r\r\nOK\r\n", [UnknownLine("ATE0"), StrayResult("OK")]),
    # Information.
    Case("info", CSQ(), b"\r\n+CSQ: 20,99\r\n\r\nOK\r\n", [done(CSQ(), "OK", InfoResponse("+CSQ", "20,99"))]),
    Case("no blank", CSQ(), b"\r\n+CSQ:20,99\r\n\r\nOK\r\n", [done(CSQ(), "OK", InfoResponse("+CSQ", "20,99"))]),
    Case("stale ok", CSQ(), b"\r\nOK\r\n", [StrayResult("OK")], State.PENDING),
    Case("error needs no info", CSQ(), b"\r\nERROR\r\n", [done(CSQ(), "ERROR")]),
    Case("no info needed", QISTATERead(), b"\r\nOK\r\n", [done(QISTATERead())]),
    Case(
        "any line",
        ATI(),
        b"\r\nQuectel\r\nBC260Y\r\nRevision: A03\r\n\r\nOK\r\n",
        [done(ATI(), "OK", *(InfoResponse("", text) for text in ("Quectel", "BC260Y", "Revision: A03")))],
    ),
    Case("digits", CGSN(), b"\r\n867\r\n\r\nOK\r\n", [done(CGSN(), "OK", InfoResponse("", "867"))]),
    Case("hex digits", CGSN(), b"\r\n867724\r\n\r\nOK\r\n", [done(CGSN(), "OK", InfoResponse("", "867724"))]),
    Case(
        "URCs among any lines",
        ATI(),
        b'\r\nQuectel\r\n+CPIN: READY\r\n+QIURC: "recv",1,2,"\r\n"\r\nBC260Y\r\n\r\nOK\r\n',
        [
            Notice("+CPIN: READY"),
            Received(1, b"\r\n"),
            done(ATI(), "OK", InfoResponse("", "Quectel"), InfoResponse("", "BC260Y")),
        ],
    ),
    Case("unknown among others", AT(), b"\r\nQuectel\r\n\r\nOK\r\n", [UnknownLine("Quectel"), done(AT())]),
    Case(
        "registration and its URCs",
        CEREGRead(),
        b'\r\n+CEREG: 2\r\n\r\n+CEREG: 1,"1A2B","01234567",9\r\n\r\n+CEREG: 2,5,"1A2B"\r\n\r\nOK\r\n',
        [Registration(2), Registration(1), done(CEREGRead(), "OK", InfoResponse("+CEREG", '2,5,"1A2B"'))],
    ),
    Case(
        "its own prefix goes before the URC",
        CFUNRead(),
        b"\r\n+CFUN: 1\r\n\r\nOK\r\n",
        [done(CFUNRead(), "OK", InfoResponse("+CFUN", "1"))],
    ),
    # Outcomes, in every order.
    Case(
        "open",
        QIOPEN(0, "TCP", "h", 1),
        b"\r\nOK\r\n\r\n+QIOPEN: 0,0\r\n",
        [done(QIOPEN(0, "TCP", "h", 1)), OpenResult(0, 0)],
    ),
    Case(
        "open early",
        QIOPEN(0, "TCP", "h", 1),
        b"+QIOPEN: 0,566\r\nOK\r\n",
        [OpenResult(0, 566), done(QIOPEN(0, "TCP", "h", 1))],
    ),
    Case("close", QICLOSE(0), b"\r\nOK\r\n\r\nCLOSE OK\r\n", [done(QICLOSE(0)), CloseOk()]),
    Case("close early", QICLOSE(0), b"\r\nCLOSE OK\r\n\r\nOK\r\n", [CloseOk(), done(QICLOSE(0))]),
    Case("dns early", QIDNSGIP("h"), b"\r\n+QIDNSGIP: 565\r\nOK\r\n", [DnsResult(565, 0), done(QIDNSGIP("h"))]),
    Case(
        "test form of an outcome",
        Raw("AT+QIOPEN=?"),
        b'\r\n+QIOPEN: (0-11),(0-4),"TCP/UDP",<host>,<remote_port>,<local_port>,(1)\r\n\r\nOK\r\n',
        [
            done(
                Raw("AT+QIOPEN=?"),
                "OK",
                InfoResponse("+QIOPEN", '(0-11),(0-4),"TCP/UDP",<host>,<remote_port>,<local_port>,(1)'),
            )
        ],
    ),
    Case(
        "test form and another outcome",
        Raw("AT+QPING=?"),
        b"+QIOPEN: 0,0\r\nOK\r\n",
        [OpenResult(0, 0), done(Raw("AT+QPING=?"))],
    ),
    Case("raw outcome", Raw("AT+QIOPEN=0"), b"+QIOPEN: 0,0\r\nOK\r\n", [OpenResult(0, 0), done(Raw("AT+QIOPEN=0"))]),
    Case(
        "raw question",
        Raw("at+cereg?"),
        b"\r\n+CEREG: 0,1\r\n\r\nOK\r\n",
        [done(Raw("at+cereg?"), "OK", InfoResponse("+CEREG", "0,1"))],
    ),
    Case("ready meanwhile", AT(), b"\r\nRDY\r\n", [Rdy()], State.PENDING),
    # Hex sends.
    Case("send", HEX, b"\r\nOK\r\n\r\nSEND OK\r\n", [done(HEX, "SEND OK", was_taken=True)]),
    Case("send, half", HEX, b"\r\nOK\r\n", [], State.AWAITING_OUTCOME),
    Case("send, no ok", HEX, b"\r\nSEND OK\r\n", [done(HEX, "SEND OK")]),
    Case("send fails", HEX, b"\r\nOK\r\n\r\nSEND FAIL\r\n", [done(HEX, "SEND FAIL", was_taken=True)]),
    Case("send fails, no ok", HEX, b"\r\nSEND FAIL\r\n", [done(HEX, "SEND FAIL")]),
    Case("send, error", HEX, b"\r\nERROR\r\n", [done(HEX, "ERROR")]),
    Case("send, error after ok", HEX, b"\r\nOK\r\n\r\n+CME ERROR: 558\r\n", [misplaced(HEX, "+CME ERROR: 558", 558)]),
    Case("send, two oks", HEX, b"OK\r\nOK\r\nSEND OK\r\n", [StrayResult("OK"), done(HEX, "SEND OK", was_taken=True)]),
    Case("no prompt for hex", HEX, b"\r\n> \r\n", [UnknownLine(">")], State.PENDING),
    Case(
        "URC between",
        HEX,
        b"\r\nOK\r\n" + TRAILING + b"\r\nSEND OK\r\n",
        [ClosedUrc(4), done(HEX, "SEND OK", was_taken=True)],
    ),
    Case("send outcome for another", AT(), b"\r\nSEND OK\r\n\r\nOK\r\n", [StrayResult("SEND OK"), done(AT())]),
    Case(
        "raw send",
        Raw('AT+QISEND=0,1,"A"'),
        b"OK\r\nSEND OK\r\n",
        [done(Raw('AT+QISEND=0,1,"A"'), "SEND OK", was_taken=True)],
    ),
    Case(
        "query",
        QISENDQuery(0),
        b"\r\nOK\r\n\r\nSEND OK\r\n\r\n+QISEND: 3,0,3\r\n\r\nOK\r\n",
        [StrayResult("OK"), StrayResult("SEND OK"), done(QISENDQuery(0), "OK", InfoResponse("+QISEND", "3,0,3"))],
    ),
    # Data mode.
    Case("prompt", DATA, b">", [Prompt(DATA)], State.PROMPTED),
    Case("prompt, framed", DATA, b"\r\n> ", [Prompt(DATA)], State.PROMPTED),
    Case("prompt, a line", DATA, b"\r\n>\r\n", [Prompt(DATA)], State.PROMPTED),
    Case("prompt, open", OPEN, b"\r\n> ", [Prompt(OPEN)], State.PROMPTED),
    Case("prompt after ok", DATA, b"\r\nOK\r\n\r\n> ", [Prompt(DATA)], State.PROMPTED),
    Case("prompt before ok", DATA, b"\r\n> \r\nOK\r\n", [Prompt(DATA)], State.PROMPTED),
    Case("prompt after echo", DATA, b"AT+QISEND=0,5\r\r\n> ", [Echo("AT+QISEND=0,5"), Prompt(DATA)], State.PROMPTED),
    Case("two prompts", DATA, b"\r\n>\r\n>\r\n", [Prompt(DATA), UnknownLine(">")], State.PROMPTED),
    Case("URC before the prompt", DATA, TRAILING + b"\r\n> ", [ClosedUrc(4), Prompt(DATA)], State.PROMPTED),
    Case(
        "URC glued to the prompt",
        DATA,
        b"\r\n> " + TRAILING.strip() + b"\r\n",
        [Prompt(DATA), ClosedUrc(4)],
        State.PROMPTED,
    ),
    Case("payload like a prompt", DATA, b'+QIURC: "recv",0,4,"\r\n> "\r\n', [Received(0, b"\r\n> ")], State.PENDING),
    Case("error for a prompt", DATA, b"\r\nERROR\r\n", [done(DATA, "ERROR")]),
    Case("late send ok", DATA, b"\r\nSEND OK\r\n", [StrayResult("SEND OK")], State.PENDING),
    Case(
        "late send ok, prompted",
        DATA,
        b"\r\n> \r\nSEND OK\r\n",
        [Prompt(DATA), StrayResult("SEND OK")],
        State.PROMPTED,
    ),
    Case("late send fail", DATA, b"\r\nSEND FAIL\r\n", [StrayResult("SEND FAIL")], State.PENDING),
    Case("fails without a prompt", DATA, b"\r\nOK\r\n\r\nSEND FAIL\r\n", [done(DATA, "SEND FAIL")]),
    Case("data", DATA, b"\r\nOK\r\n\r\nSEND OK\r\n", [done(DATA, "SEND OK", was_taken=True)], is_sent=True),
    Case("data, no ok", DATA, b"\r\nSEND OK\r\n", [done(DATA, "SEND OK")], is_sent=True),
    Case("data, half", DATA, b"\r\nOK\r\n", [], State.AWAITING_OUTCOME, is_sent=True),
    Case("data fails", DATA, b"\r\nSEND FAIL\r\n", [done(DATA, "SEND FAIL")], is_sent=True),
    Case("data, error", DATA, b"\r\nERROR\r\n", [done(DATA, "ERROR")], is_sent=True),
    Case("data, prompt again", DATA, b"\r\n>\r\nSEND OK\r\n", [UnknownLine(">"), done(DATA, "SEND OK")], is_sent=True),
    # Nothing pending.
    Case(
        "strays",
        None,
        b"\r\nOK\r\n\r\nERROR\r\n\r\nSEND OK\r\n\r\nSEND FAIL\r\n\r\n+CME ERROR: 3\r\n",
        [StrayResult(text) for text in ("OK", "ERROR", "SEND OK", "SEND FAIL", "+CME ERROR: 3")],
    ),
    Case("late info", None, b"\r\n+QISEND: 3,0,3\r\n", [Notice("+QISEND: 3,0,3")]),
    Case("late registration", None, b"\r\n+CEREG: 0,1\r\n", [Registration(1)]),
]

#: Lines that nobody knows, where received data come in hex and can be told from them.
REPORTS = [
    Case(
        "report of another maker inside a raw answer",
        Raw("AT+CSQ"),
        b'\r\n^MODE: 17,17\r\n\r\n+CSQ: 20,0\r\n\r\n*x: 1,"y"\r\n\r\n+XYZ: "ab",12\r\n\r\nOK\r\n',
        [
            UnknownLine("^MODE: 17,17"),
            UnknownLine('*x: 1,"y"'),
            Notice('+XYZ: "ab",12'),
            done(Raw("AT+CSQ"), "OK", InfoResponse("+CSQ", "20,0")),
        ],
    ),
    Case(
        "a line before a raw answer that has its prefix",
        Raw("AT+CSQ"),
        b'\r\nNAME: "x"\r\nHELLO\r\n+CSQ: 20,0\r\n\r\nOK\r\n',
        [
            UnknownLine('NAME: "x"'),
            UnknownLine("HELLO"),
            done(Raw("AT+CSQ"), "OK", InfoResponse("+CSQ", "20,0")),
        ],
    ),
    Case(
        "text that follows the prefix",
        Raw("AT+CMGR=1"),
        b'\r\n+CMGR: "REC READ"\r\nNAME: "x"\r\n+CMGR\r\n\r\nOK\r\n',
        [
            done(
                Raw("AT+CMGR=1"),
                "OK",
                InfoResponse("+CMGR", '"REC READ"'),
                InfoResponse("", 'NAME: "x"'),
                InfoResponse("", "+CMGR"),
            )
        ],
    ),
    Case(
        "several commands in a raw line",
        Raw("AT+CGMR;+CSQ"),
        b"\r\nRevision: A03\r\n\r\n+CSQ: 20,0\r\n\r\nOK\r\n",
        [done(Raw("AT+CGMR;+CSQ"), "OK", InfoResponse("", "Revision: A03"), InfoResponse("+CSQ", "20,0"))],
    ),
    Case(
        "report during a raw command that asks nothing",
        Raw("AT+CFUN=1"),
        b"\r\n^MODE: 17,17\r\n\r\nOK\r\n",
        [UnknownLine("^MODE: 17,17"), done(Raw("AT+CFUN=1"))],
    ),
    Case(
        "raw command of another kind",
        Raw("AT^SYSINFO"),
        b"\r\n^SYSINFO: 2,3\r\n\r\nOK\r\n",
        [done(Raw("AT^SYSINFO"), "OK", InfoResponse("", "^SYSINFO: 2,3"))],
    ),
    *(
        Case(
            f"report inside {command}",
            command,
            b"\r\n^MODE: 17,17\r\n\r\n867\r\n\r\n*x: 1\r\n\r\nOK\r\n",
            [UnknownLine("^MODE: 17,17"), UnknownLine("*x: 1"), done(command, "OK", InfoResponse("", "867"))],
        )
        for command in (ATI(), Raw("ATI"), Raw("ati0"), CGMR(), CGSN(), Raw("AT+CIMI"), Raw("AT+QIOPEN=?"))
    ),
]


def make_chat(case: Case) -> Chat:
    chat = Chat()
    if case.command is not None:
        chat.send(case.command, 0.0)
    if case.is_sent:
        assert drain(chat, [b"\r\n> "])
        chat.send_payload(0.0)
    return chat


@pytest.mark.parametrize("case", REPORTS, ids=lambda case: case.name)
def test_report_is_no_part_of_an_answer(case: Case) -> None:
    for chunks in every_chunking(case.data):
        chat = make_chat(case)
        chat.receives_hex = True
        assert drain(chat, chunks) == case.events, chunks
        assert chat.state is case.state


def test_tail_of_received_text_before_an_answer_is_no_part_of_it() -> None:
    chat = make_chat(Case("", Raw("AT+CSQ"), b"", []))
    (damaged, result) = drain(chat, [b'\r\nof a text"\r\n', b"\r\n+CSQ: 20,0\r\n\r\nOK\r\n"])
    assert isinstance(damaged, Damaged)
    assert result == done(Raw("AT+CSQ"), "OK", InfoResponse("+CSQ", "20,0"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    for chunks in every_chunking(case.data):
        chat = make_chat(case)
        assert drain(chat, chunks) == case.events, chunks
        assert chat.state is case.state
        assert drain(chat, [TRAILING]) == [ClosedUrc(4)]
    chat = make_chat(case)
    assert drain(chat, [case.data + TRAILING]) == [*case.events, ClosedUrc(4)]


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


# -- our side


def test_send_gives_the_line() -> None:
    chat = Chat()
    assert chat.send(AT(), 0.0) == b"AT\r"
    assert chat.pending == AT()
    assert not chat.is_idle


@pytest.mark.parametrize(("command", "payload"), [(DATA, b"hello"), (OPEN, b"hello\x1a")])
def test_payload(command: Command[Any], payload: bytes) -> None:
    chat = Chat()
    chat.send(command, 0.0)
    drain(chat, [b"> "])
    assert chat.send_payload(0.0) == payload
    assert chat.state is State.DATA_SENT


def _nothing(chat: Chat) -> None:
    pass


def _pending(chat: Chat) -> None:
    chat.send(DATA, 0.0)


def _prompted(chat: Chat) -> None:
    chat.send(DATA, 0.0)
    drain(chat, [b"> "])


def _data_sent(chat: Chat) -> None:
    _prompted(chat)
    chat.send_payload(0.0)


def _awaiting(chat: Chat) -> None:
    chat.send(HEX, 0.0)
    drain(chat, [b"OK\r\n"])


def _error(chat: Chat) -> None:
    chat.send(AT(), 0.0)
    chat.handle_timeout(5.0)
    chat.next_event()


_REACH: dict[State, Callable[[Chat], None]] = {
    State.IDLE: _nothing,
    State.PENDING: _pending,
    State.PROMPTED: _prompted,
    State.DATA_SENT: _data_sent,
    State.AWAITING_OUTCOME: _awaiting,
    State.ERROR: _error,
}


@pytest.mark.parametrize("state", State)
def test_what_we_may_do(state: State) -> None:
    assert set(TRANSITIONS) == set(State)
    acts: list[tuple[bool, Callable[[Chat], bytes]]] = [
        (state is State.IDLE, lambda chat: chat.send(AT(), 0.0)),
        (state is State.PROMPTED, lambda chat: chat.send_payload(0.0)),
    ]
    for legal, act in acts:
        chat = Chat()
        _REACH[state](chat)
        assert chat.state is state
        if legal:
            act(chat)
            continue
        with pytest.raises(LocalProtocolError):
            act(chat)
        assert chat.state is State.ERROR
        assert chat.pending is None
        chat.reset()
        assert chat.is_idle
        chat.send(AT(), 0.0)
        assert drain(chat, [b"OK\r\n"]) == [done(AT())]


# -- deadlines


def test_idle_has_no_deadline() -> None:
    chat = Chat()
    assert chat.next_deadline() is None
    chat.handle_timeout(1e9)
    assert drain(chat, []) == []


@pytest.mark.parametrize("reach", [_pending, _awaiting], ids=["pending", "awaiting outcome"])
def test_timeout(reach: Callable[[Chat], None]) -> None:
    chat = Chat()
    reach(chat)
    command = chat.pending
    assert command is not None
    deadline = chat.next_deadline()
    assert deadline == command.timeout
    chat.handle_timeout(deadline - 0.001)
    assert chat.next_event() is not None
    assert chat.pending is command
    chat.handle_timeout(deadline)
    is_accepted = reach is _awaiting
    assert chat.next_event() == CommandTimeout(command, was_prompted=False, was_accepted=is_accepted)
    assert chat.state is State.ERROR
    assert chat.pending is None
    assert chat.next_deadline() is None
    assert drain(chat, [b"\r\nOK\r\n" + TRAILING]) == [StrayResult("OK"), ClosedUrc(4)]


@pytest.mark.parametrize("reach", [_prompted, _data_sent], ids=["prompted", "data sent"])
def test_timeout_after_the_prompt(reach: Callable[[Chat], None]) -> None:
    chat = Chat()
    reach(chat)
    chat.handle_timeout(100.0)
    assert chat.next_event() == CommandTimeout(DATA, was_prompted=True)


def test_payload_and_acceptance_start_the_timeout_again() -> None:
    chat = Chat()
    chat.send(DATA, 0.0)
    timeout = DATA.timeout
    drain(chat, [b"> "], now=1.0)
    assert chat.next_deadline() == timeout
    chat.send_payload(2.0)
    assert chat.next_deadline() == 2.0 + timeout
    drain(chat, [b"OK\r\n"], now=3.0)
    assert chat.next_deadline() == 3.0 + timeout


def test_payload_whose_ok_came_before_the_prompt_may_be_confirmed_late() -> None:
    """No other OK tells that it has arrived whole, and what is said meanwhile could become part of it."""
    chat = Chat()
    chat.send(DATA, 0.0)
    drain(chat, [b"\r\nOK\r\n\r\n> "], now=1.0)
    chat.send_payload(2.0)
    assert chat.next_deadline() == 2.0 + DATA.timeout + LATE_SEND_OK
    assert drain(chat, [b"\r\nSEND OK\r\n"], now=21.0) == [done(DATA, "SEND OK")]


def test_timeout_after_the_payload_was_taken() -> None:
    chat = Chat()
    _data_sent(chat)
    drain(chat, [b"\r\nOK\r\n"], now=3.0)
    chat.handle_timeout(100.0)
    assert chat.next_event() == CommandTimeout(DATA, was_prompted=True, was_accepted=True)


@pytest.mark.parametrize("noise", [b"\r\nO\r\n", b"K\r\n", b"\x15K\r\n"])
def test_timeout_after_an_answer_that_made_no_sense(noise: bytes) -> None:
    chat = Chat()
    chat.send(AT(), 0.0)
    chat.receive_data(noise, 1.0)
    while chat.next_event() is not NEED_DATA:
        pass
    chat.handle_timeout(100.0)
    assert chat.next_event() == CommandTimeout(AT(), False, was_garbled=True)


def test_own_timeout() -> None:
    chat = Chat()
    chat.send(AT(), 10.0, timeout=0.5)
    assert chat.next_deadline() == 10.5


def test_answer_that_has_come_but_was_not_read_is_no_timeout() -> None:
    chat = Chat()
    chat.send(AT(), 0.0)
    chat.receive_data(b"\r\nRDY\r\n\r\nOK\r\n", 4.0)
    chat.handle_timeout(5.0)
    assert drain(chat, []) == []
    assert drain(chat, [b""]) == [Rdy(), done(AT())]


def test_talk_puts_the_timeout_off() -> None:
    chat = Chat()
    chat.send(AT(), 0.0)
    now = 4.9
    while now < 5.0 + MAX_POSTPONEMENT:
        drain(chat, [TRAILING], now)
        chat.handle_timeout(now)
        assert chat.pending is not None
        assert chat.next_deadline() == pytest.approx(min(now + QUIET_TIME, 5.0 + MAX_POSTPONEMENT))
        now += 0.9 * QUIET_TIME
    drain(chat, [TRAILING], now)
    chat.handle_timeout(now)
    assert chat.next_event() == CommandTimeout(AT(), False)


def test_silence_after_talk_is_a_timeout() -> None:
    chat = Chat()
    chat.send(AT(), 0.0)
    drain(chat, [TRAILING], 4.9)
    chat.handle_timeout(5.0)
    assert chat.pending is not None
    chat.handle_timeout(4.9 + QUIET_TIME)
    assert chat.pending is None


def test_stall_and_timeout_at_once() -> None:
    chat = Chat()
    chat.send(AT(), 0.0)
    drain(chat, [b'+QIURC: "recv",0,50,"abc"\r\n\r\nOK\r\n'], 1.0)
    assert chat.next_deadline() == 4.0
    chat.handle_timeout(6.0)
    events = drain(chat, [b""])
    # The answer was behind the damage.
    assert isinstance(events[0], Damaged)
    assert events[1:] == [done(AT())]


def test_line_that_does_not_go_on_is_not_kept_for_a_later_command() -> None:
    chat = Chat()
    drain(chat, [b'\r\n+QNTP: 0,"21/04/13,08:00:33+3'], 1.0)
    assert chat.next_deadline() == 4.0
    chat.handle_timeout(3.9)
    assert drain(chat, []) == []
    chat.handle_timeout(4.0)
    assert drain(chat, [b""]) == [NtpResult(0, "21/04/13,08:00:33+3")]
    assert chat.next_deadline() is None
    assert drain(chat, [b"\r\nRDY\r\n"], 60.0) == [Rdy()]


def test_prompt_behind_a_stalled_payload_is_answered_before_what_follows_it_is_read() -> None:
    chat = Chat()
    chat.send(DATA, 0.0)
    drain(chat, [b'+QIURC: "recv",0,50,"abc"\r\n\r\n> \r\nERROR\r\n'], 5.0)
    chat.handle_timeout(8.0)
    chat.handle_timeout(8.0)
    assert isinstance(chat.next_event(), Damaged)
    assert chat.next_event() == Prompt(DATA)
    assert chat.send_payload(8.0) == b"hello"
    assert drain(chat, [b""]) == [FinalResult(DATA, ok=False, text="ERROR")]


@pytest.mark.parametrize("line", ["+CME ERROR: 56", "+CSQ: 20", "+CEREG: 1", "+IP: 10.0.0", "OK", "+QIOPEN: 0,"])
@pytest.mark.parametrize("header", ['QIURC: "recv",0,2,"6869"', 'RC: "recv",0,2,"6869"'])
def test_line_that_has_swallowed_received_data_is_no_answer(line: str, header: str) -> None:
    chat = Chat()
    chat.send(CSQ(), 0.0)
    chat.receive_data(f"\r\n{line}{header}\r\n".encode(), 1.0)
    assert isinstance(chat.next_event(), Damaged)
    assert not chat.is_idle


def test_reset_forgets_an_outcome_that_was_read_ahead() -> None:
    chat = Chat()
    chat.send(AT(), 0.0)
    chat.receive_data(b"\r\nRDY\r\n\r\nOK\r\n", 1.0)
    chat.handle_timeout(1.0)
    assert chat.next_event() == Rdy()
    chat.reset()
    assert chat.next_event() is NEED_DATA


def test_next_command_after_reset_has_none_of_the_old_answer() -> None:
    chat = Chat()
    chat.send(CSQ(), 0.0)
    drain(chat, [b"+CSQ: 1,99\r\n"])
    chat.reset()
    chat.send(CSQ(), 1.0)
    assert drain(chat, [b"OK\r\n+CSQ: 20,99\r\nOK\r\n"]) == [
        StrayResult("OK"),
        done(CSQ(), "OK", InfoResponse("+CSQ", "20,99")),
    ]


def test_responses_are_bounded() -> None:
    chat = Chat()
    chat.send(ATI(), 0.0)
    events = drain(chat, [b"line\r\n" * (MAX_RESPONSES + 2) + b"OK\r\n"])
    assert events[:-1] == [UnknownLine("line")] * 2
    assert isinstance(events[-1], FinalResult)
    assert len(events[-1].responses) == MAX_RESPONSES


@pytest.mark.parametrize("place", [3, 10, 17, 18, 20, 22])
def test_urc_in_the_middle_of_an_echo(place: int) -> None:
    """What is left of the echo looks like what is left of received data, and is not."""
    chat = Chat()
    chat.receives_hex = True
    echo = chat.send(QISENDHex(0, b"12345"), 0.0)
    rest = b"\r\n+CSCON: 1\r\n" + echo[place:] + b"\r\nOK\r\n\r\nSEND OK\r\n"
    chat.receive_data(echo[:place] + rest, 0.1)
    events = []
    while (event := chat.next_event()) is not NEED_DATA:
        events.append(event)
    assert [type(event).__name__ for event in events] == ["Echo", "Notice", "Echo", "FinalResult"]


@pytest.mark.parametrize("place", [17, 20])
def test_result_in_the_middle_of_an_echo(place: int) -> None:
    """The late outcome of an earlier send is taken for that of this one; the echo goes on behind it all the same."""
    chat = Chat()
    chat.receives_hex = True
    command = QISENDHex(0, b"12345")
    echo = chat.send(command, 0.0)
    events = drain(chat, [echo[:place] + b'\r\nSEND OK\r\n\r\n+QIURC: "recv",1,2,"6869"\r\n'])
    chat.send(AT(), 0.1)
    events += drain(chat, [echo[place:] + b"\r\nOK\r\n"])
    names = [type(event).__name__ for event in events]
    assert names == ["Echo", "FinalResult", "Received", "Echo", "FinalResult"]
    # Once the next command has its result nothing of it is to come.
    assert drain(chat, [b"\r\n" + echo[place:] + b"\n"])[0].__class__ is Damaged


def test_echo_that_comes_late_is_one() -> None:
    chat = Chat()
    chat.send(AT(), 0.0)
    chat.handle_timeout(10.0)
    assert isinstance(chat.next_event(), CommandTimeout)
    chat.reset()
    chat.send(ATI(), 11.0)
    chat.receive_data(b"AT\r\r\nQuectel_Ltd\r\n\r\nOK\r\n", 11.1)
    assert isinstance(chat.next_event(), Echo)
    result = chat.next_event()
    assert isinstance(result, FinalResult) and [line.text for line in result.responses] == ["Quectel_Ltd"]


def test_echo_of_an_escape_is_no_damage() -> None:
    chat = Chat()
    chat.receives_hex = True
    chat.receive_data(b"\x1b" + b"\r" * 1024, 0.0)
    assert chat.next_event() == Echo("\x1b")
    assert chat.next_event() is NEED_DATA
