"""The count of parser work: the same every time, no part of what it counts, and it sees a parser that scans anew."""

from __future__ import annotations

import pytest

from benchmarks._work import count_work
from benchmarks.codec import make_stream, split
from nbsocket._at import NEED_DATA, Chat, Received
from nbsocket._at._framing import Framer


def _consume(pieces: list[bytes], is_hex: bool) -> list[bytes]:
    chat = Chat()
    chat.receives_hex = is_hex
    found = []
    for piece in pieces:
        chat.receive_data(piece, 0.0)
        while (event := chat.next_event()) is not NEED_DATA:
            assert isinstance(event, Received)
            found.append(event.data)
    return found


@pytest.mark.parametrize("is_hex", [False, True])
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_counting_changes_nothing(is_hex: bool, size: int) -> None:
    stream, _ = make_stream(100, 1000, is_hex)
    plain = _consume(split(stream, size), is_hex)
    totals = []
    for _ in range(2):
        with count_work() as work:
            assert _consume(split(stream, size), is_hex) == plain
        totals.append(work.total)
    assert totals[0] == totals[1] >= len(stream)


def test_counting_ends_with_the_block() -> None:
    with count_work() as work:
        _consume([b"\r\n"], False)
    counted = work.total
    _consume([b"\r\n" * 100], False)
    assert work.total == counted


def test_a_parser_that_scans_anew_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    def work_of_a_line(size: int) -> int:
        with count_work() as work:
            _consume(split(b"\r\n" + b"x" * size, 1), False)
        return work.total

    assert work_of_a_line(800) < 3 * work_of_a_line(400)
    read = Framer._read_line

    def read_anew(framer: Framer, expects_prompt: bool) -> object:
        framer._scanned = 0
        return read(framer, expects_prompt)

    monkeypatch.setattr(Framer, "_read_line", read_anew)
    assert work_of_a_line(800) > 3.5 * work_of_a_line(400)
