"""What the driver says to the modem, and tells the engine, is what it was; ``goldens.py`` checks all seeds."""

from __future__ import annotations

import pytest

from tests.simulation.goldens import SEEDS, digest_of, lines_of, recorded

#: Seeds of a plain run of the tests.
STEP = 12


@pytest.mark.parametrize("batch", range(4))
def test_goldens(batch: int) -> None:
    known = recorded()
    different = [seed for seed in SEEDS[batch * STEP :: 4 * STEP] if digest_of(seed) != known[seed]]
    assert not different, f"python -m tests.simulation.goldens --show {different[0]}, here and on the tree before"


def test_every_seed_has_one() -> None:
    assert list(recorded()) == list(SEEDS)


def test_lines_hold_commands_and_events_without_times_or_sentences() -> None:
    lines = lines_of(2)
    assert any(line.startswith(">> b'AT+QIOPEN=") for line in lines)
    assert any(line.startswith("-- connected ") for line in lines)
    assert not any("the modem" in line or "the module" in line for line in lines)
