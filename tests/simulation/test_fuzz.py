"""Hostile and broken lines, a few thousand at every run of the tests; ``python -m tests.simulation.fuzz`` for more."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbsocket._driver import Driver, Settings
from tests.simulation.atheris_fuzz import BytesDice
from tests.simulation.fuzz import (
    MOST_BUFFERED,
    WORDS,
    Fuzzed,
    feed_codec,
    fuzz_codec,
    fuzz_driver,
    random_input,
    unread_size,
)


@pytest.mark.parametrize("seed", [*range(10), 23, 148])
def test_codec(seed: int) -> None:
    fuzz_codec(seed, 200)


@pytest.mark.parametrize("seed", [*range(20), 1000])
def test_driver(seed: int) -> None:
    fuzz_driver(seed, 200)


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=100, max_size=600))
def test_choices_made_of_bytes(data: bytes) -> None:
    """As atheris makes them, where it is installed."""
    dice = BytesDice(data)
    fuzzed = Fuzzed(dice)
    while not dice.is_used_up:
        fuzzed.step()
    feed_codec(data, None, Random(0), 7)


def test_sound_answers_reach_what_nonsense_does_not() -> None:
    """Connections are made and end, and requests are answered, in a few hundred runs."""
    told: set[str] = set()
    for seed in range(100):
        fuzzed = Fuzzed(Random(seed), told)
        for _ in range(200):
            fuzzed.step()
    assert {"Connected", "DataReceived", "PeerClosed", "ConnectionReset", "ConnectionEnded", "RequestDone"} <= told


def test_inputs_are_of_many_kinds() -> None:
    random = Random(0)
    assert len({random_input(random) for _ in range(500)}) > 300


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=40)), max_size=30), st.booleans())
def test_driver_survives_anything_while_it_is_brought_up(lines: list[bytes], is_late: bool) -> None:
    driver = Driver(Settings(baudrate=115200))
    driver.port_opened(0.0)
    now = 0.0
    for line in lines:
        driver.receive_data(b"\r\n" + line + b"\r\n", now)
        while driver.data_to_send() or driver.next_event() is not None:
            pass
        if is_late:
            now += 2.0
            driver.handle_timeout(now)
    assert unread_size(driver._core.chat) <= MOST_BUFFERED
