"""Throughput of a line that is as fast as it goes: against the floor, and against what a user would pick instead."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks import _peer_rows
from benchmarks._bench import Bench, DataFormat, ServersProcess, Service, bench
from benchmarks._report import Effort, Row, compared
from benchmarks._transfer import FLOOR, OURS, Direction, Transfer

#: Share of the floor's rate.
FLOOR_TARGETS: dict[Direction, float] = {"up": 0.5, "down": 0.75}

#: Segments of a first try that tells how many take the time that was asked for.
_TRIAL = 64


def run(effort: Effort) -> Iterator[Row]:
    """Every direction, format and service."""
    with ServersProcess() as servers, bench(None, servers) as stage:
        directions: tuple[Direction, ...] = ("up", "down")
        formats: tuple[DataFormat, ...] = ("hex", "raw")
        services: tuple[Service, ...] = ("TCP", "UDP")
        for direction in directions:
            for data_format in formats:
                for service in services:
                    if not (effort.is_quick and service == "UDP"):
                        yield _measure(stage, direction, data_format, service, effort)
        yield from _peer_rows.rows(stage, effort)


def _measure(stage: Bench, direction: Direction, data_format: DataFormat, service: Service, effort: Effort) -> Row:
    trial = FLOOR[direction](stage, data_format, service, _TRIAL)
    segments = _enough(trial, 0.2 if effort.is_quick else min(effort.seconds, 0.4))
    ours: list[Transfer] = []
    least: list[Transfer] = []
    for _ in range(effort.repeats):
        ours.append(OURS[direction](stage, data_format, service, segments))
        least.append(FLOOR[direction](stage, data_format, service, segments))
    return compared(
        "throughput",
        f"{direction}, {data_format}, {service}, unpaced",
        [item.rate / 1e6 for item in ours],
        "MB/s",
        [item.rate / 1e6 for item in least],
        "floor",
        at_least=FLOOR_TARGETS[direction],
        note=f"{_shares(ours)}; floor {_shares(least)}",
    )


def _enough(trial: Transfer, seconds: float) -> int:
    return max(_TRIAL, round(_TRIAL * trial.rate * seconds / trial.payload))


def _shares(transfers: list[Transfer]) -> str:
    own = statistics.median(item.cpu / item.seconds for item in transfers)
    simulator = statistics.median(item.simulator_cpu / item.seconds for item in transfers)
    return f"own {own:.0%} of a core, simulator {simulator:.0%}"
