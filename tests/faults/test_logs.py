"""No payload in a log, whatever form the module gives it, and whatever the host thinks of the line it is in."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random

import pytest

from nbsocket import Modem
from nbsocket._engine._wirelog import WireLog, without_payload
from nbsocket.sim import Fault, Simulator
from tests.faults.load import connect, wait_until
from tests.helpers import PATIENCE, echo, logs_delivered, receive_exactly, tcp_server, udp_server

MakeSimulator = Callable[..., Simulator]

SECRET = b"Zq!xW#k~"
DIGITS = SECRET.hex().encode()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    caplog.set_level(logging.DEBUG)

    def text() -> str:
        logs_delivered()
        return "\n".join(record.getMessage() for record in caplog.records)

    return text


def is_told(text: str) -> bool:
    """Return whether a text holds three characters of the secret in a row, as they are or as digits."""
    wanted = [SECRET.decode()[start : start + 3] for start in range(len(SECRET) - 2)]
    wanted += [DIGITS.decode()[start : start + 6] for start in range(0, len(DIGITS) - 4, 2)]
    return any(piece.lower() in text.lower() for piece in wanted)


#: The forms of a recv URC that the codec takes, and of an echo.
RECEIVED = [
    b'+QIURC: "recv",0,8,"%s"' % SECRET,
    b'+QIURC: "recv",0,8,"%s"' % DIGITS,
    b'+QIURC: "recv",0,8,"%s"' % DIGITS.upper(),
    b'+QIURC: "recv",0,8,%s' % SECRET,
    b'+QIURC: "recv",0,8,%s' % DIGITS,
    b'+QIURC:"recv",0,8,"%s"' % DIGITS,
    b'+QIURC:    "recv"   ,0,8,"%s"' % DIGITS,
    b'+QIURC: recv,0,8,"%s"' % SECRET,
    b'+QIURC: "recv", 0, 8,"%s"' % SECRET,
    b'+QIURC: "recv",x,8,"%s"' % SECRET,
    b'+QIURC: "recv",0,,"%s"' % SECRET,
    b'+QIURC: "recv",0,-8,"%s"' % SECRET,
    b'+QIURC: "recv",0,1000000000,"%s"' % SECRET,
    b'AT+QISEND=0,8,"%s"' % DIGITS,
    b'AT+QISEND=0,8,"%s",1\r' % DIGITS,
]


@pytest.mark.parametrize("line", RECEIVED)
@pytest.mark.parametrize("end", [b"\r\n", b'\r\n+QIURC: "recv",1,8,"%s"\r\n' % DIGITS])
def test_every_form_of_received_payload_is_hidden(log: Callable[[], str], line: bytes, end: bytes) -> None:
    traffic = b"\r\n" + line + end + b"\r\n+CSQ: 20,0\r\n"
    for seed in range(60):
        wire, random = WireLog(), Random(seed)
        cuts = sorted(random.choices(range(len(traffic) + 1), k=random.choice((0, 1, 3, 20))))
        for start, stop in pairwise([0, *cuts, len(traffic)]):
            wire.received(traffic[start:stop])
        assert not is_told(log()), (line, cuts)
    shown = log()
    assert shown.count("+CSQ: 20,0") == 60, "what follows is shown"


@pytest.mark.parametrize(
    "payload", [b"AT" + SECRET, b"AT+QIOPEN=0," + SECRET + b"\r", b"at" + SECRET + b"\r\n", SECRET, b"AT\r" + SECRET]
)
@pytest.mark.parametrize("command", [b"AT+QISEND=0,%d\r", b"at+qisend= 0 , %d \r"])
def test_sent_payload_that_looks_like_a_command_is_hidden(
    log: Callable[[], str], command: bytes, payload: bytes
) -> None:
    wire = WireLog()
    wire.sent(command % len(payload))
    wire.sent(payload)
    wire.sent(b"AT+QICLOSE=0\r")
    assert not is_told(log())
    assert f"<{len(payload)} bytes>" in log() and "QICLOSE=0" in log()


def test_a_command_after_a_refused_send_is_shown(log: Callable[[], str]) -> None:
    wire = WireLog()
    for follower in (b"AT+QICLOSE=0\r", b'AT+QISEND=1,8,"%s"\r' % DIGITS, b"AT+CSQ\r"):
        wire.sent(b"AT+QISEND=0,500\r")
        wire.sent(follower)
    assert not is_told(log())
    assert "QICLOSE=0" in log() and 'QISEND=1,8,"<8 bytes>"' in log() and "AT+CSQ" in log()


def test_sentences_quote_no_payload() -> None:
    for line in RECEIVED:
        assert not is_told(without_payload(f"the module said {line.decode()!r}"))
    assert without_payload("no answer to AT+QISEND=0,8") == "no answer to AT+QISEND=0,8"
    assert not is_told(without_payload(f'no answer to AT+QISEND=0,8,"{DIGITS.decode()}"'))


@pytest.fixture
def raw_payload() -> bytes:
    return b"AT" + SECRET


@pytest.mark.parametrize("data_format", ["hex", "raw"])
def test_payload_that_begins_like_a_command(
    make_simulator: MakeSimulator, log: Callable[[], str], data_format: str, raw_payload: bytes
) -> None:
    simulator = make_simulator()
    with (
        Modem(simulator.path, data_format=data_format) as modem,  # type: ignore[arg-type]  # of the row
        tcp_server(echo) as port,
        connect(modem, port) as sock,
    ):
        sock.sendall(raw_payload)
        assert receive_exactly(sock, len(raw_payload)) == raw_payload
    assert not is_told(log())


@pytest.mark.parametrize("data_format", ["hex", "raw"])
@pytest.mark.parametrize("action", ["silence", "error", "send_fail", "restart"])
def test_failed_sends_tell_no_payload(
    make_simulator: MakeSimulator, log: Callable[[], str], data_format: str, action: str
) -> None:
    """A short payload fits the part of a command that a warning quotes; a restarted module echoes commands."""
    simulator = make_simulator()
    with Modem(simulator.path, data_format=data_format) as modem, tcp_server(echo) as port:  # type: ignore[arg-type]  # of the row
        with connect(modem, port) as sock:
            simulator.inject(Fault(action, match="QISEND="))
            sock.sendall(SECRET)
            try:
                sock.recv(100)
            except OSError as error:
                assert not is_told(f"{error!r} {error} {vars(error)}")
        assert modem.command("AT") == []
    assert "QISEND" in log()
    assert not is_told(log())


@pytest.fixture
def own_socket(make_simulator: MakeSimulator) -> Iterator[Modem]:
    """A modem with a socket that the user opened by hand, to a server that answers with the secret."""
    with udp_server(lambda data: SECRET) as port, Modem(make_simulator().path) as modem:
        modem.wait_attached()
        modem.command(f'AT+QIOPEN=0,2,"UDP","198.51.100.7",{port}', outcome=True)
        yield modem


def test_what_comes_for_a_socket_opened_by_hand(own_socket: Modem, log: Callable[[], str]) -> None:
    own_socket.command('AT+QISEND=2,1,"41"')
    wait_until(lambda: re.search(r'said .*"recv",2', log()) is not None, PATIENCE)
    assert not is_told(log())
