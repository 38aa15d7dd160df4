"""When reading is put off, and when it must not be."""

from __future__ import annotations

import pytest

from nbsocket._engine._read_delay import BURST, LONGEST_DELAY, MARGIN, MOST_WAITING, SHORTEST_LOOK, ReadDelay

RATE = 115200
A_SECOND = RATE // 10


def paced(rate: int = RATE) -> tuple[ReadDelay, float]:
    """A line that was seen to have the pace of its rate, and the time."""
    pace = ReadDelay()
    pace.set_rate(rate)
    assert pace.after(10, 4000, 1.0) is None
    size = rate // 10 // 50
    assert pace.after(size, 4000 - size, 1.02) is not None
    return pace, 1.02


@pytest.mark.parametrize("interval", [0.0003, 0.001, 0.016])
def test_the_pace_is_seen_however_often_bytes_come(interval: float) -> None:
    pace = ReadDelay()
    pace.set_rate(RATE)
    size = round(interval * A_SECOND)
    naps = [pace.after(size, 2048 - number * size, number * interval) for number in range(2000 // size)]
    first = next(number for number, nap in enumerate(naps) if nap is not None)
    assert first * interval < max(SHORTEST_LOOK, interval) + 3 * interval


def test_nothing_is_put_off_before_the_pace_was_seen() -> None:
    pace = ReadDelay()
    pace.set_rate(RATE)
    assert pace.after(20, 1000, 5.0) is None


def test_a_nap_ends_before_the_rest_can_be_there() -> None:
    pace, now = paced()
    assert pace.after(A_SECOND // 50, 600, now + 0.02) == pytest.approx(now + 0.02 + 600 / A_SECOND - MARGIN)


def test_outside_of_a_payload_and_for_the_last_few_bytes_there_is_none() -> None:
    pace, now = paced()
    assert pace.after(230, 0, now + 0.02) is None
    assert pace.after(230, 20, now + 0.04) is None


@pytest.mark.parametrize(("rate", "due"), [(460800, 8000), (2400, 2000)])
def test_neither_the_systems_buffer_nor_the_patience_runs_over(rate: int, due: int) -> None:
    pace, now = paced(rate)
    size = rate // 10 // 50
    end = pace.after(size, due, now + 0.02)
    assert end is not None
    assert end - now - 0.02 <= LONGEST_DELAY + 1e-6
    assert (end - now - 0.02) * rate / 10 <= MOST_WAITING


def test_a_line_faster_than_its_rate_has_no_naps() -> None:
    pace, now = paced()
    assert pace.after(A_SECOND // 50 + 2 * BURST, 600, now + 0.02) is None
    assert pace.after(300, 300, now + 0.0201) is None


def test_a_fast_line_is_never_taken_for_a_paced_one() -> None:
    pace = ReadDelay()
    pace.set_rate(9600)
    now = 0.0
    for _ in range(200):
        now += SHORTEST_LOOK
        assert pace.after(50, 1000, now) is None


def test_another_rate_is_looked_at_afresh() -> None:
    pace, now = paced()
    pace.set_rate(460800)
    assert pace.after(A_SECOND // 50, 600, now + 0.02) is None
    pace.set_rate(None)
    assert pace.after(A_SECOND // 50, 600, now + 0.04) is None
