"""The bytes on the serial line of the minimal exchange, and the limit that follows from them.

Theory of operation: the forms are those of BC260Y-CN TCP/IP guide 1.1 §2.3.5 (AT+QISEND with hex digits; data mode of
fixed length) and §2.4.2 (+QIURC: "recv"), with the line ends of V.250. A command is said after the final result of the
one before it, so the directions take turns: what a line can carry at most is its bytes a second, times the payload's
share of all bytes that cross it one after the other.
"""

from __future__ import annotations

from benchmarks._bench import BITS_PER_BYTE, DataFormat

#: Most bytes of payload that one command carries (§2.3.5), and one report (§2.4.2).
SEGMENT_SIZES = {"hex": 512, "raw": 1024}
REPORT_SIZE = 1024

SENT = b"\r\nOK\r\n\r\nSEND OK\r\n"
PROMPT = b"\r\n> "


def send_steps(data_format: DataFormat, payload: bytes, socket_id: int = 0) -> list[tuple[bytes, int]]:
    """Return what is written and how many bytes are the answer to it, step by step."""
    if data_format == "hex":
        return [(b'AT+QISEND=%d,%d,"%s"\r' % (socket_id, len(payload), payload.hex().upper().encode()), len(SENT))]
    return [(b"AT+QISEND=%d,%d\r" % (socket_id, len(payload)), len(PROMPT)), (payload, len(SENT))]


def report_size(data_format: DataFormat, size: int, socket_id: int = 0) -> int:
    """Return how many bytes a report of ``size`` received bytes has on the line."""
    return len(b'\r\n+QIURC: "recv",%d,%d,""\r\n' % (socket_id, size)) + size * (2 if data_format == "hex" else 1)


def up_size(data_format: DataFormat, size: int) -> int:
    """Return how many bytes cross the line, in either direction, to send ``size`` bytes in one segment."""
    return sum(len(written) + answer for written, answer in send_steps(data_format, bytes(size)))


def limit_up(data_format: DataFormat, baudrate: int, size: int | None = None) -> float:
    """Return bytes of payload a second at most, in segments of ``size`` (the largest unless given)."""
    size = SEGMENT_SIZES[data_format] if size is None else size
    return baudrate / BITS_PER_BYTE * size / up_size(data_format, size)


def limit_down(data_format: DataFormat, baudrate: int, size: int = REPORT_SIZE) -> float:
    """Return the same for what is received."""
    return baudrate / BITS_PER_BYTE * size / report_size(data_format, size)
