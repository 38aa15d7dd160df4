"""Processor: what a full line costs, how often the port's thread wakes up, and what an idle modem costs.

A serial port hands bytes over some at a time: the interrupts of a UART come every 8 to 14 bytes (about 1 ms at 115200
baud), USB adapters send what they have every 1 to 16 ms. So what is received is measured at both ends of that range.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks._bench import Bench, DataFormat, ServersProcess, bench, connected, switches
from benchmarks._report import Effort, Row, compared, judged
from benchmarks._transfer import FLOOR, OURS, Direction, Transfer
from benchmarks._wire import REPORT_SIZE, SEGMENT_SIZES, limit_down, limit_up

BAUDRATE = 115200

#: Per cent of a core.
TARGET = 2.0

IDLE_TIME = 60.0

#: Seconds' worth of bytes that the simulator hands over at a time.
COARSE, FINE = 0.01, 0.001


def run(effort: Effort) -> Iterator[Row]:
    """A full line in each direction and format, then nothing at all."""
    formats: tuple[DataFormat, ...] = ("hex", "raw")
    with ServersProcess() as servers:
        for grain in (COARSE, FINE):
            with bench(BAUDRATE, servers, grain=grain) as stage:
                for data_format in formats:
                    if grain == COARSE:
                        yield from _measure_busy(stage, "up", data_format, "", effort)
                    pieces = f", {grain * 1000:.0f} ms at a time"
                    yield from _measure_busy(stage, "down", data_format, pieces, effort)
        with bench(BAUDRATE, servers) as stage:
            yield from _measure_idle(stage, 3.0 if effort.is_quick else IDLE_TIME)


def _measure_busy(
    stage: Bench, direction: Direction, data_format: DataFormat, pieces: str, effort: Effort
) -> Iterator[Row]:
    is_up = direction == "up"
    limit = (limit_up if is_up else limit_down)(data_format, BAUDRATE)
    segments = max(4, round(limit * effort.seconds / (SEGMENT_SIZES[data_format] if is_up else REPORT_SIZE)))
    ours: list[Transfer] = []
    least: list[Transfer] = []
    for _ in range(1 if effort.is_quick else 2):
        ours.append(OURS[direction](stage, data_format, "TCP", segments))
        least.append(FLOOR[direction](stage, data_format, "TCP", segments))
    what = f"{direction}, {data_format}, {BAUDRATE} baud{pieces}"
    simulator = statistics.median(item.simulator_cpu / item.seconds for item in ours)
    yield compared(
        "processor",
        f"busy, {what}",
        [item.cpu / item.seconds * 100 for item in ours],
        "% of a core",
        at_most=TARGET,
        note=f"floor {statistics.median(item.cpu / item.seconds for item in least):.2%}, simulator {simulator:.1%}",
    )
    yield compared(
        "processor",
        f"processor time, {what}",
        [item.cpu / item.payload * 1e9 for item in ours],
        "ms/MB",
        [item.cpu / item.payload * 1e9 for item in least],
        "floor",
    )
    # A command has one answer (raw: a prompt, too) and a report comes at one time: the rest arrives while one sleeps.
    needed = segments * (2 if is_up and data_format == "raw" else 1)
    yield compared(
        "processor",
        f"wake-ups, {what}",
        [item.wakeups / item.seconds for item in ours],
        "/s",
        needed / statistics.median(item.seconds for item in ours),
        "least",
        note=f"floor {statistics.median(item.wakeups / item.seconds for item in least):.1f}/s; all threads of the "
        f"process waited {statistics.median(item.switches / item.seconds for item in ours):.1f} times/s",
    )


def _measure_idle(stage: Bench, seconds: float) -> Iterator[Row]:
    port = stage.servers.port("TCP", "sink")
    with stage.modem("hex") as modem, connected(modem, "TCP", port):
        time.sleep(1.0)  # whatever the opening of a connection still does
        before, before_switches, before_cpu = modem.stats(), switches(), time.process_time()
        time.sleep(seconds)
        after, after_switches, after_cpu = modem.stats(), switches(), time.process_time()
    what = f"idle, {seconds:.0f} s, one connection open"
    wakeups = after.wakeups - before.wakeups
    size = after.bytes_up + after.bytes_down - before.bytes_up - before.bytes_down
    note = f"{after_switches - before_switches} waits of all threads, ours included"
    yield judged("processor", f"wake-ups, {what}", wakeups, "", at_most=0, note=note)
    yield judged("processor", f"bytes on the line, {what}", size, "B", at_most=0)
    yield judged("processor", f"processor time, {what}", (after_cpu - before_cpu) * 1e3, "ms")
