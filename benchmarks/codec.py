"""The codec alone: megabytes a second on one core, and how its work grows when bytes arrive one by one.

Speed is processor time of the only thread that runs, so other load hardly shows. The floor of a stream is the least
that any Python program must do with the same bytes in the same pieces: find each payload by its known place, copy it or
turn its digits into bytes. MB are 1,000,000 bytes: of payload for received data and encoding, of the answer for
answers.

Work is not time but a count (``_work.py``), the same in every run.
"""

from __future__ import annotations

import io
import random
import re
import time
from binascii import unhexlify
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from benchmarks._report import Effort, Row, compared, judged
from benchmarks._work import count_calls, count_work
from nbsocket._at import NEED_DATA, QISTATE, CEREGRead, Chat, Command, FinalResult, QISENDData, QISENDHex, Received

GROUP = "codec"

#: What one read of the serial port gives at most on Linux, where a terminal holds 4095 bytes.
READ_SIZE = 4095

#: To reach, of payload: MB/s.
RAW_TARGET, HEX_TARGET = 150.0, 80.0
#: To reach: work a byte that arrives alone against work a byte in pieces of 1 KiB.
WORK_TARGET = 3.0

URC_SIZES = (1024, 512, 64, 10)
WORK_STREAM_SIZE = 65536

_RECV_RE = re.compile(rb'\+QIURC: "recv",(\d),(\d+),"([0-9A-Fa-f]*)"')

Consumer = Callable[[Sequence[bytes]], int]


def run(effort: Effort) -> Iterator[Row]:
    """Measure streams of received data, answers to commands, encoding, and parser work."""
    for is_hex in (False, True):
        for size in URC_SIZES[:1] if effort.is_quick else URC_SIZES:
            yield from _streams(effort, is_hex, size)
    yield from _answers(effort)
    yield from _encoding(effort)
    yield from _work(effort)


# -- received data


def make_stream(payload_size: int, total: int, is_hex: bool, seed: int = 1) -> tuple[bytes, int]:
    """Return URCs as the modem says them, and how many payload bytes are in them: at least ``total``."""
    source = random.Random(seed)
    count = max(1, -(-total // payload_size))
    pieces = []
    for number in range(count):
        payload = source.randbytes(payload_size)
        text = payload.hex().upper().encode() if is_hex else payload
        pieces.append(b'\r\n+QIURC: "recv",%d,%d,"%s"\r\n' % (number % 5, payload_size, text))
    return b"".join(pieces), count * payload_size


def split(stream: bytes, size: int) -> list[bytes]:
    """Cut a stream into pieces, as reads of a serial port do."""
    return [stream[start : start + size] for start in range(0, len(stream), size)]


def _streams(effort: Effort, is_hex: bool, size: int) -> Iterator[Row]:
    stream, total = make_stream(size, 262_144 if effort.is_quick else 1_048_576, is_hex)
    pieces = split(stream, READ_SIZE)
    data_format = "hex" if is_hex else "raw"
    rates = _rates_in_turn(
        effort, total, pieces, [_codec(is_hex), _floor(is_hex, size), *([_line_by_line] if is_hex else [])]
    )
    target = HEX_TARGET if is_hex else RAW_TARGET
    what = f"received data, {data_format}, URCs of {size} bytes"
    is_judged = size == 1024
    yield compared(GROUP, what, rates[0], "MB/s", at_least=target if is_judged else None)
    if is_judged:
        yield compared(GROUP, f"{what}: against the least", rates[0], "MB/s", rates[1], "floor")
    if is_judged and is_hex:
        yield compared(
            GROUP,
            f"{what}: against a tutorial's parser",
            rates[0],
            "MB/s",
            rates[2],
            "readline and re",
            note="raw data cannot be read line by line at all",
        )


def _codec(is_hex: bool) -> Consumer:
    def consume(pieces: Sequence[bytes]) -> int:
        chat = Chat()
        chat.receives_hex = is_hex
        total = 0
        for piece in pieces:
            chat.receive_data(piece, 0.0)
            while (event := chat.next_event()) is not NEED_DATA:
                total += len(event.data) if isinstance(event, Received) else 0
        return total

    return consume


def _floor(is_hex: bool, size: int) -> Consumer:
    """Every URC is at a known place: what is left is to put the pieces together and take the payloads out."""
    head = len(b'\r\n+QIURC: "recv",0,%d,"' % size)
    body = 2 * size if is_hex else size
    length = head + body + len(b'"\r\n')

    def consume(pieces: Sequence[bytes]) -> int:
        rest = b""
        total = 0
        for piece in pieces:
            data = rest + piece
            start = 0
            while len(data) - start >= length:
                payload = data[start + head : start + head + body]
                total += len(unhexlify(payload) if is_hex else payload)
                start += length
            rest = data[start:]
        return total

    return consume


def _line_by_line(pieces: Sequence[bytes]) -> int:
    total = 0
    for line in io.BytesIO(b"".join(pieces)):
        match = _RECV_RE.match(line)
        if match is not None:
            total += len(bytes.fromhex(match[3].decode()))
    return total


def _rates_in_turn(
    effort: Effort, total: int, pieces: Sequence[bytes], consumers: Sequence[Consumer]
) -> list[list[float]]:
    """MB/s of each consumer, who take turns; every repetition takes ``effort.seconds`` in all."""
    share = effort.seconds / 4 / len(consumers)
    rates: list[list[float]] = [[] for _ in consumers]
    for _ in range(max(effort.repeats, 3)):
        for consumer, found in zip(consumers, rates, strict=True):
            started = time.thread_time()
            rounds = 0
            while not rounds or time.thread_time() - started < share:
                assert consumer(pieces) == total
                rounds += 1
            found.append(rounds * total / (time.thread_time() - started) / 1e6)
    return rates


# -- commands and their answers

_SENT = b"\r\nOK\r\n\r\nSEND OK\r\n"
_STATES = b"".join(b'\r\n+QISTATE: %d,"TCP","192.0.2.10",1883,0,2,0,1\r\n' % number for number in range(5))
_ANSWERS: tuple[tuple[str, Command[Any], bytes], ...] = (
    ("AT+QISEND of 512 bytes in hex", QISENDHex(0, bytes(512)), _SENT),
    ("AT+CEREG?", CEREGRead(), b"\r\n+CEREG: 0,1\r\n\r\nOK\r\n"),
    ("AT+QISTATE, five lines", QISTATE(0), _STATES + b"\r\nOK\r\n"),
)


def _answers(effort: Effort) -> Iterator[Row]:
    for what, command, answer in _ANSWERS:
        rates = []
        for _ in range(max(effort.repeats, 3)):
            rates.append(_commands_a_second(command, answer, effort.seconds / 10))
        sizes = [rate * len(answer) / 1e6 for rate in rates]
        per_command = 1e6 / sorted(rates)[len(rates) // 2]
        yield compared(GROUP, f"answers: {what}", sizes, "MB/s", note=f"{per_command:.1f} µs a command and its answer")


def _commands_a_second(command: Command[Any], answer: bytes, seconds: float) -> float:
    chat = Chat()
    started = time.thread_time()
    count = 0
    while time.thread_time() - started < seconds:
        for _ in range(100):
            chat.send(command, 0.0)
            chat.receive_data(answer, 0.0)
            event = chat.next_event()
            assert isinstance(event, FinalResult) and event.ok
            assert chat.next_event() is NEED_DATA
        count += 100
    return count / (time.thread_time() - started)


def _encoding(effort: Effort) -> Iterator[Row]:
    payload = random.Random(2).randbytes(1024)
    cases: tuple[tuple[str, Callable[[], bytes], Callable[[], bytes], int], ...] = (
        (
            "hex, segments of 512 bytes",
            lambda: QISENDHex(0, payload[:512]).encode(),
            lambda: b'AT+QISEND=0,512,"' + payload[:512].hex().upper().encode() + b'"\r',
            512,
        ),
        (
            "raw, segments of 1024 bytes",
            lambda: QISENDData(0, payload).encode() + payload,
            lambda: b"AT+QISEND=0,1024\r" + payload,
            1024,
        ),
    )
    for what, ours, least, size in cases:
        assert ours() == least()
        found: tuple[list[float], list[float]] = ([], [])
        for _ in range(max(effort.repeats, 3)):
            for call, rates in zip((ours, least), found, strict=True):
                rates.append(size * _calls_a_second(call, effort.seconds / 20) / 1e6)
        yield compared(GROUP, f"encoding, {what}", found[0], "MB/s", found[1], "floor")


def _calls_a_second(call: Callable[[], bytes], seconds: float) -> float:
    started = time.thread_time()
    count = 0
    while time.thread_time() - started < seconds:
        for _ in range(100):
            call()
        count += 100
    return count / (time.thread_time() - started)


# -- work


def _work(effort: Effort) -> Iterator[Row]:
    for is_hex in (False, True):
        data_format = "hex" if is_hex else "raw"
        consume = _codec(is_hex)
        for size in (1024,) if effort.is_quick else (1024, 64):
            stream, total = make_stream(size, WORK_STREAM_SIZE, is_hex)
            single, pieces = split(stream, 1), split(stream, 1024)
            yield judged(
                GROUP,
                f"work a byte, {data_format}, URCs of {size} bytes: byte by byte",
                _work_a_byte(consume, single, total),
                "bytes",
                reference=_work_a_byte(consume, pieces, total),
                reference_name="in pieces of 1 KiB",
                at_most=WORK_TARGET if size == 1024 else None,
                note=_calls_note(consume, single, pieces, len(stream)),
            )
        yield _growth(is_hex, data_format)
    yield from _noise()


def _work_a_byte(consume: Consumer, parts: Sequence[bytes], total: int) -> float:
    """Count the work of consuming a stream in these parts, which must give ``total`` bytes of payload."""
    with count_work() as work:
        assert consume(parts) == total
    return work.total / sum(map(len, parts))


def _calls_note(consume: Consumer, single: Sequence[bytes], pieces: Sequence[bytes], size: int) -> str:
    counts = [count_calls(partial(consume, parts)) / size for parts in (single, pieces)]
    return f"{counts[0]:.1f} calls a byte, {counts[1]:.3f} in pieces of 1 KiB"


def _growth(is_hex: bool, data_format: str) -> Row:
    """16 times the data at once: no more work a byte."""
    works = []
    for total in (16 * WORK_STREAM_SIZE, WORK_STREAM_SIZE):
        stream, payload_size = make_stream(1024, total, is_hex)
        works.append(_work_a_byte(_codec(is_hex), [stream], payload_size))
    return judged(
        GROUP,
        f"work a byte, {data_format}: 1 MiB in one piece",
        works[0],
        "bytes",
        reference=works[1],
        reference_name="64 KiB in one piece",
        at_most=1.05,
    )


def _noise() -> Iterator[Row]:
    """Bytes that are no AT syntax: a line that does not end."""
    noise = b"x" * WORK_STREAM_SIZE
    works = []
    for size in (1, 1024):
        with count_work() as work:
            _codec(False)(split(noise, size))
        works.append(work.total / len(noise))
    yield judged(
        GROUP,
        "work a byte, a line that does not end: byte by byte",
        works[0],
        "bytes",
        reference=works[1],
        reference_name="in pieces of 1 KiB",
        at_most=WORK_TARGET,
    )
