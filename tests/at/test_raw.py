"""The raw command with payload, and the words of errors."""

from __future__ import annotations

import pytest

from nbsocket._at import NEED_DATA, Chat, FinalResult, Prompt, Raw
from nbsocket._at._tables import RESULT_TEXTS, error_code


@pytest.mark.parametrize(
    ("text", "data", "payload"),
    [
        ("AT+QISEND=0", b"abc", b"abc\x1a"),
        ("AT+QISEND=0", b"\x1b", b"\x1b"),
        ("AT+QISEND=0", b"x" * 1023, b"x" * 1023 + b"\x1a"),
        ("AT+QISEND=0", b"x" * 1024, b"x" * 1024),
        ("at+qisend=4,3", b"\x1a\x1b\r", b"\x1a\x1b\r"),
    ],
)
def test_payload(text: str, data: bytes, payload: bytes) -> None:
    command = Raw(text, data)
    assert (command.payload, command.awaits_outcome) == (payload, True)


@pytest.mark.parametrize(
    ("text", "data", "sentence"),
    [
        ("AT+QISEND=0", b"a\x1ab", "0x1A"),
        ("AT+QISEND=0", b"", "1 to 1024"),
        ("AT+QISEND=0", b"x" * 1025, "1 to 1024"),
        ("AT+QISEND=0,4", b"abc", "exactly 4"),
        ("AT+QISEND=0,1025", b"x" * 1025, "1 to 1024"),
        ("AT+QISEND=0,0", b"", "takes no payload"),
        ("AT+CSQ", b"abc", "takes no payload"),
        ("AT+QISEND=0", None, "none was given"),
    ],
)
def test_payload_that_cannot_be(text: str, data: bytes | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Raw(text, data)


def test_raw_send_in_data_mode() -> None:
    chat = Chat()
    assert chat.send(Raw("AT+QISEND=0", b"abc"), 0.0) == b"AT+QISEND=0\r"
    chat.receive_data(b"\r\n> ", 0.1)
    assert isinstance(chat.next_event(), Prompt)
    assert chat.send_payload(0.1) == b"abc\x1a"
    chat.receive_data(b"\r\nOK\r\n\r\nSEND OK\r\n", 0.2)
    result = chat.next_event()
    assert isinstance(result, FinalResult) and result.ok
    assert chat.next_event() is NEED_DATA


@pytest.mark.parametrize("text", RESULT_TEXTS)
def test_error_in_words(text: str) -> None:
    assert error_code(f"+CME ERROR: {text}") == RESULT_TEXTS[text]


@pytest.mark.parametrize("text", ["operation not supported", "phone failure", ""])
def test_error_in_words_of_another_standard(text: str) -> None:
    assert error_code(f"+CME ERROR: {text}") is None


@pytest.mark.parametrize(("text", "code"), [("SIM not inserted", 10), ("SIM busy", 14), ("operation not allowed", 3)])
def test_errors_in_words_that_tell_why_there_is_no_network(text: str, code: int) -> None:
    assert error_code(f"+CME ERROR: {text}") == code
