"""Line use: goodput against what the line can carry in this data format, at the pace of real serial lines."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product

from benchmarks._bench import Bench, DataFormat, ServersProcess, Service, bench
from benchmarks._report import Effort, Row, compared
from benchmarks._transfer import FLOOR, OURS, Direction
from benchmarks._wire import REPORT_SIZE, SEGMENT_SIZES, limit_down, limit_up

TARGET = 0.97

#: Seconds' worth of bytes that the simulator hands over at a time: fine enough that the arrival of a report is known.
GRAIN = 0.002

FORMATS: tuple[DataFormat, ...] = ("hex", "raw")
SERVICES: tuple[Service, ...] = ("TCP", "UDP")
DIRECTIONS: tuple[Direction, ...] = ("up", "down")


def run(effort: Effort) -> Iterator[Row]:
    """Every rate, direction, format and service; the quick run has TCP at 115200 baud only."""
    cases = list(product(DIRECTIONS, FORMATS, SERVICES))
    if effort.is_quick:
        cases = [case for case in cases if case[2] == "TCP"]
    with ServersProcess() as servers:
        for baudrate in (115200,) if effort.is_quick else (115200, 460800):
            with bench(baudrate, servers, grain=GRAIN) as stage:
                for case in cases:
                    yield _measure(stage, baudrate, *case, effort)
    if not effort.is_quick:
        # So slow a line leaves the processor idle: some at a time, each with processes of its own.
        with ThreadPoolExecutor(4) as pool:
            yield from pool.map(partial(_measure_alone, effort), cases)


def _measure_alone(effort: Effort, case: tuple[Direction, DataFormat, Service]) -> Row:
    with bench(9600, grain=GRAIN) as stage:
        return _measure(stage, 9600, *case, effort)


def _measure(
    stage: Bench, baudrate: int, direction: Direction, data_format: DataFormat, service: Service, effort: Effort
) -> Row:
    limit = (limit_up if direction == "up" else limit_down)(data_format, baudrate)
    piece = SEGMENT_SIZES[data_format] if direction == "up" else REPORT_SIZE
    seconds = min(effort.seconds, 0.8) if baudrate > 9600 else 3.0
    segments = max(4, round(limit * seconds / piece) + 1)
    repeats = 1 if baudrate == 9600 else 1 if effort.is_quick else effort.repeats
    ours, least = [], []
    simulator_cpu = 0.0
    for _ in range(repeats):
        transfer = OURS[direction](stage, data_format, service, segments)
        ours.append(transfer.rate)
        simulator_cpu = max(simulator_cpu, transfer.simulator_cpu / transfer.seconds)
        least.append(FLOOR[direction](stage, data_format, service, segments).rate)
    return compared(
        "line use",
        f"{direction}, {data_format}, {service}, {baudrate} baud",
        ours,
        "B/s",
        limit,
        "limit",
        at_least=TARGET,
        note=f"floor {statistics.median(least) / limit:.3f} of the limit; simulator {simulator_cpu:.0%} of a core",
    )
