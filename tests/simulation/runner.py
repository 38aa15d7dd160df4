"""Runs many seeds, in one process or several, and adds up what they came to."""

from __future__ import annotations

import signal
import time
import traceback
from collections import Counter
from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from statistics import median
from typing import Any

from tests.simulation.connections import Violation
from tests.simulation.plan import make_plan, with_model
from tests.simulation.shrink import failure_of, shrink
from tests.simulation.world import World

#: Seeds that a process is given at a time.
CHUNK_SIZE = 20
#: Seconds after which an interrupt is seen at the latest.
INTERRUPT_INTERVAL = 0.2

#: Last lines of a failing run that its story shows.
STORY_LINES = 60


@dataclass
class Totals:
    """Sums over many runs."""

    schedules: int = 0
    calm: int = 0
    steps: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)
    virtual_seconds: float = 0.0
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    tries: Counter[int] = field(default_factory=Counter)
    #: (seed, kind, sentence) of every failure.
    failures: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, other: Totals) -> None:
        """Add another's."""
        self.schedules += other.schedules
        self.calm += other.calm
        self.steps += other.steps
        self.faults += other.faults
        self.sums += other.sums
        self.virtual_seconds += other.virtual_seconds
        self.tries += other.tries
        self.failures += other.failures
        for kind, times in other.recoveries.items():
            self.recoveries.setdefault(kind, []).extend(times)


def run_seed(seed: int, model: str = "bc260y") -> Totals:
    """Run one seed with a modem of the model."""
    plan = with_model(make_plan(seed), model)
    totals = Totals(schedules=1, calm=int(plan.is_calm))
    world = World(plan)
    try:
        report = world.run()
    except Violation as violation:
        totals.failures.append((seed, violation.kind, str(violation)))
        return totals
    except Exception as error:
        totals.failures.append((seed, type(error).__name__, traceback.format_exc()))
        return totals
    totals.steps = report.steps
    totals.faults += report.faults
    totals.tries += report.tries
    totals.virtual_seconds = report.virtual_seconds
    for name in ("bytes_up", "bytes_down", "datagrams", "connections", "resets", "unnoticed", "left_open"):
        totals.sums[name] += getattr(report, name)
    for kind, seconds in report.recoveries:
        totals.recoveries.setdefault(kind, []).append(seconds)
    return totals


class WorkerDied(Exception):
    """A process of several has died, and what it was at is not known any better than the message says."""


def run_seeds(seeds: Iterable[int], jobs: int = 1, model: str = "bc260y") -> Generator[Totals, None, None]:
    """Run them all; gives the totals of a seed, or with several processes of a few, as they end.

    Raises:
        WorkerDied: a process died; what it did not finish is lost.
    """
    if jobs == 1:
        yield from (run_seed(seed, model) for seed in seeds)
        return
    left = iter(seeds)
    at_work: dict[Future[Totals], list[int]] = {}
    pool = ProcessPoolExecutor(jobs, initializer=_leave_interrupts_to_the_parent)
    interrupts = _Interrupts()
    try:
        while True:
            interrupts.check()
            while len(at_work) < 2 * jobs and (chunk := list(islice(left, CHUNK_SIZE))):
                at_work[pool.submit(_run_chunk, chunk, model)] = chunk
            if not at_work:
                return
            for done in wait(at_work, timeout=INTERRUPT_INTERVAL, return_when=FIRST_COMPLETED).done:
                totals = done.result()
                del at_work[done]
                yield totals
    except BrokenProcessPool as error:
        ranges = ", ".join(f"{chunk[0]} to {chunk[-1]}" for chunk in at_work.values())
        raise WorkerDied(f"a process died at one of the seeds {ranges}") from error
    finally:
        pool.shutdown(cancel_futures=True)
        interrupts.stop()


class _Interrupts:
    """Ctrl-C, seen between two steps: raised in the middle of one it may leave a lock of the pool's held for ever."""

    def __init__(self) -> None:
        self._is_interrupted = False
        self._before = signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: object) -> None:
        self._is_interrupted = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if there was one."""
        if self._is_interrupted:
            raise KeyboardInterrupt

    def stop(self) -> None:
        """Leave the signal to who had it before."""
        signal.signal(signal.SIGINT, self._before)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_chunk(seeds: list[int], model: str) -> Totals:
    totals = Totals()
    for seed in seeds:
        totals.add(run_seed(seed, model))
    return totals


def story(seed: int, model: str = "bc260y") -> str:
    """Run a failing seed again, shortened, and tell what happens."""
    plan = with_model(make_plan(seed), model)
    failure = failure_of(plan)
    if failure is None:
        return f"seed {seed} does not fail"
    plan = shrink(plan, failure[0])
    failed = failure_of(plan)
    assert failed is not None
    _, world = failed
    try:
        World(plan).run()
    except Exception as error:
        end = str(error) or repr(error)
    option = "" if model == "bc260y" else f" --model {model}"
    lines = [
        str(plan),
        "",
        *_told(world),
        "",
        end,
        "",
        f"replay: python -m tests.simulation --seeds 1 --start {seed}{option}",
    ]
    return "\n".join(lines)


def _told(world: World) -> list[str]:
    merged: list[list[Any]] = []
    for moment, mark, what in world.trace:
        if mark == "<<" and merged and merged[-1][1] == "<<":
            merged[-1][2] += what
        else:
            merged.append([moment, mark, what])
    return [f"{moment - 1000.0:9.3f} {mark:5} {_short(what)}" for moment, mark, what in merged[-STORY_LINES:]]


def _short(what: object) -> str:
    text = str(what)
    return text if len(text) <= 140 else f"{text[:140]}... ({len(text)})"


def as_data(totals: Totals, seconds: float) -> dict[str, Any]:
    """The totals as what JSON can hold."""
    return {
        "schedules": totals.schedules,
        "calm": totals.calm,
        "seconds": seconds,
        "steps": totals.steps,
        "virtual_seconds": totals.virtual_seconds,
        "faults": dict(sorted(totals.faults.items())),
        "sums": dict(sorted(totals.sums.items())),
        "recoveries": {
            kind: {"median": median(times), "worst": max(times), "times": len(times)}
            for kind, times in sorted(totals.recoveries.items())
        },
        "tries": {str(tries): number for tries, number in sorted(totals.tries.items())},
        "failures": [{"seed": seed, "kind": kind, "sentence": sentence} for seed, kind, sentence in totals.failures],
    }


def figures(totals: Totals, seconds: float) -> str:
    """The totals as a few lines of text."""
    sums = totals.sums
    lines = [
        f"{totals.schedules} schedules ({totals.calm} without faults) in {seconds:.0f} s:"
        f" {60 * totals.schedules / max(seconds, 1e-9):.0f} a minute;"
        f" {totals.virtual_seconds / 86400:.0f} days of virtual time, {totals.steps} steps",
        f"connections made: {sums['connections']}, cut short and told: {sums['resets']}",
        f"bytes checked: {sums['bytes_up']} up, {sums['bytes_down']} down; datagrams up: {sums['datagrams']}",
        f"faults met: {totals.faults.total()}",
        *(f"  {kind}: {number}" for kind, number in sorted(totals.faults.items())),
        "seconds until the module was at work again (median, worst):",
    ]
    for kind, times in sorted(totals.recoveries.items()):
        lines.append(f"  {kind}: {median(times):.1f}, {max(times):.1f} ({len(times)} times)")
    lines.append(
        "tries that the operations after the faults needed: "
        + ", ".join(f"{tries}: {number}" for tries, number in sorted(totals.tries.items()))
    )
    lines.append(f"damaged text payloads that looked sound (a limit of data_format='raw'): {sums['unnoticed']}")
    lines.append(f"sockets left open in the module, to be closed when their id is wanted: {sums['left_open']}")
    lines.append(f"violations: {len(totals.failures)}")
    return "\n".join(lines)


def run_timed(seeds: range, jobs: int) -> tuple[Totals, float]:
    """Run seeds and take the time."""
    begin = time.monotonic()
    totals = Totals()
    for one in run_seeds(seeds, jobs):
        totals.add(one)
    return totals, time.monotonic() - begin
