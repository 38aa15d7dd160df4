"""The least that an exchange takes is reckoned by hand here, once, and what the tap reads from a line is checked."""

from __future__ import annotations

from benchmarks import _thrift_app as app
from benchmarks._tap import Transcript
from benchmarks.thrift import QUESTION, Case, cost_of, kind_of, least

OPENED = b"\r\nOK\r\n\r\n+QIOPEN: 0,0\r\n"
SENT = b"\r\nOK\r\n\r\nSEND OK\r\n"
CLOSED = b"\r\nOK\r\n\r\nCLOSE OK\r\n"
OPEN = b'AT+QIOPEN=0,0,"TCP","192.0.2.10",7000\r'

CASE = Case("upload", "", app.SINK_PORT)


def test_least_of_an_exchange_in_hex_is_what_a_perfect_host_would_say() -> None:
    line = Transcript(
        [
            (True, OPEN),
            (False, OPENED),
            (True, b'AT+QISEND=0,3,"313233"\r'),
            (False, SENT),
            (False, b'\r\n+QIURC: "recv",0,2,"4F4B"\r\n'),
            (True, b"AT+QISEND=0,0\r"),
            (False, b"\r\n+QISEND: 3,3,0\r\n\r\nOK\r\n"),
            (True, b"AT+QICLOSE=0\r"),
            (False, CLOSED),
        ]
    )
    assert cost_of(line) == least(CASE, "hex", line, [3])


def test_least_of_an_exchange_in_raw_counts_the_prompt() -> None:
    line = Transcript(
        [
            (True, OPEN),
            (False, OPENED),
            (True, b"AT+QISEND=0,3\r"),
            (False, b"\r\n> "),
            (True, b"A\rT"),
            (False, SENT),
            (True, b"AT+QISEND=0,0\r"),
            (False, b"\r\n+QISEND: 3,3,0\r\n\r\nOK\r\n"),
            (True, b"AT+QICLOSE=0\r"),
            (False, CLOSED),
        ]
    )
    opening = 'AT+QIOPEN=0,0,"TCP","192.0.2.10",7000'
    assert line.commands() == [opening, "AT+QISEND=0,3", "AT+QISEND=0,0", "AT+QICLOSE=0"]
    assert cost_of(line) == least(CASE, "raw", line, [3])


def test_a_turn_is_cut_into_full_segments() -> None:
    nothing = Transcript()
    assert least(CASE, "hex", nothing, [513]).segments == 2
    assert least(CASE, "raw", nothing, [1024, 1]).segments == 2


def test_the_question_before_a_close_is_part_of_the_least_where_it_says_anything() -> None:
    assert kind_of("AT+QISEND=0,0") == QUESTION
    assert kind_of('AT+QISEND=0,10,"..."') == "AT+QISEND"
    assert least(CASE, "hex", Transcript(), [3]).commands[QUESTION] == 1
    assert QUESTION not in least(CASE, "hex", Transcript(), []).commands
    closed = Transcript([(False, b'\r\n+QIURC: "closed",0\r\n')])
    assert QUESTION not in least(CASE, "hex", closed, [3]).commands


def test_what_a_question_costs() -> None:
    line = Transcript([(True, b"AT+QISEND=0,0\r"), (False, b"\r\n+QISEND: 3,3,0\r\n\r\nOK\r\n")])
    assert cost_of(line).commands == {QUESTION: 1} and cost_of(line).segments == 0
    assert line.cost_of("AT+QISEND=0,0") == line.size


def test_reports_are_framed_by_their_length() -> None:
    inner = b'\r\n+QIURC: "recv",0,1,"x"\r\n'
    report = b'\r\n+QIURC: "recv",0,%d,"%s"\r\n' % (len(inner), inner)
    closed = b'\r\n+QIURC: "closed",0\r\n'
    assert Transcript([(False, report + closed)]).reports(is_hex=False) == [len(report), len(closed)]
