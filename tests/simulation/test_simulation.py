"""A few hundred schedules at every run of the tests; ``python -m tests.simulation`` runs as many as wanted."""

from __future__ import annotations

import os

import pytest

from tests.simulation.connections import Violation
from tests.simulation.plan import Step, make_plan
from tests.simulation.runner import run_seed, story
from tests.simulation.seeds import LATER_SEEDS, SEEDS
from tests.simulation.shrink import shrink
from tests.simulation.world import World

#: Schedules in all; CI sets more.
SCHEDULES = int(os.environ.get("NBSOCKET_SCHEDULES", "240"))
BATCHES = 8


@pytest.mark.timeout(600)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_promise_holds(batch: int) -> None:
    for seed in range(batch, SCHEDULES, BATCHES):
        if run_seed(seed).failures:
            pytest.fail(story(seed))


@pytest.mark.parametrize(("seed", "what"), [*SEEDS.items(), *LATER_SEEDS.items()])
def test_seeds_that_once_failed(seed: int, what: str) -> None:
    if run_seed(seed).failures:
        pytest.fail(f"{what}\n{story(seed)}")


def test_a_seed_is_always_the_same_run() -> None:
    first, second = World(make_plan(7)), World(make_plan(7))
    first.run(), second.run()
    assert [(moment, mark, str(what)) for moment, mark, what in first.trace] == [
        (moment, mark, str(what)) for moment, mark, what in second.trace
    ]


def test_a_failing_plan_is_shortened_and_its_story_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: World, number: int, size: int) -> None:
        raise Violation("broken", f"connection {number}")

    seed = next(seed for seed in range(100) if any(step.verb == "peer_write" for step in make_plan(seed).steps))
    monkeypatch.setattr(World, "do_peer_write", fail)
    short = shrink(make_plan(seed), "broken")
    assert [step.verb for step in short.steps] == ["peer_write"]
    told = story(seed)
    assert "broken: connection" in told and f"--start {seed}" in told


def test_steps_print_as_they_are_called() -> None:
    assert str(Step(1.5, "write", {"number": 0, "size": 3})) == "   1.500 s  write(number=0, size=3)"
