"""Latency: 10 bytes to a server that sends them back, one round trip after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import nbsocket
from benchmarks._bench import BITS_PER_BYTE, Bench, DataFormat, ServersProcess, Service, bench, connected
from benchmarks._floor import connection, floor
from benchmarks._report import Effort, Row, judged, percentile
from benchmarks._wire import report_size, send_steps, up_size

PAYLOAD = b"0123456789"

#: Of a paced line.
P50_TARGET, P99_TARGET = 1.15, 1.5
#: An unpaced floor is a few system calls, which no library that parses can do with. Without TCP_NODELAY a small write
#: waits for more for 10 ms, so that case has none.
UNPACED_P50_TARGET = 2.5


@dataclass(frozen=True, slots=True)
class _Case:
    baudrate: int | None
    data_format: DataFormat
    service: Service
    #: TCP_NODELAY; matters for a stream only.
    nodelay: bool = True
    #: Measured also by the quick run.
    is_main: bool = True

    @property
    def name(self) -> str:
        """Say what is measured."""
        pace = f"{self.baudrate} baud" if self.baudrate else "unpaced"
        with_delay = "" if self.nodelay or self.service == "UDP" else " without TCP_NODELAY"
        return f"{self.data_format}, {self.service}{with_delay}, {pace}"


_CASES = (
    _Case(None, "hex", "TCP"),
    _Case(None, "raw", "TCP"),
    _Case(None, "hex", "UDP", is_main=False),
    _Case(None, "hex", "TCP", nodelay=False, is_main=False),
    _Case(115200, "hex", "TCP"),
    _Case(115200, "raw", "TCP"),
    _Case(115200, "hex", "UDP", is_main=False),
)


def run(effort: Effort) -> Iterator[Row]:
    """Median and 99th percentile of each case."""
    with ServersProcess() as servers:
        for baudrate in (None, 115200):
            with bench(baudrate, servers) as stage:
                for case in _CASES:
                    if case.baudrate == baudrate and not (effort.is_quick and not case.is_main):
                        yield from _measure(stage, case, effort)


def _measure(stage: Bench, case: _Case, effort: Effort) -> Iterator[Row]:
    is_slow = case.baudrate or (case.service == "TCP" and not case.nodelay)
    trips = max(1, round((50 if is_slow else 500) * min(effort.seconds, 2.0)))
    ours: list[list[float]] = []
    least: list[list[float]] = []
    for _ in range(effort.repeats):
        ours.append(_ours(stage, case, trips))
        least.append(_floor(stage, case, trips))
    unpaced_target = UNPACED_P50_TARGET if case.nodelay else None
    yield _row(case, "p50", 0.5, ours, least, P50_TARGET if case.baudrate else unpaced_target)
    yield _row(case, "p99", 0.99, ours, least, P99_TARGET if case.baudrate else None)


def _row(
    case: _Case, name: str, share: float, ours: list[list[float]], least: list[list[float]], target: float | None
) -> Row:
    shares = [percentile(trips, share) * 1e3 for trips in ours]
    note = ""
    if case.baudrate is not None:
        on_line = up_size(case.data_format, len(PAYLOAD)) + report_size(case.data_format, len(PAYLOAD))
        note = f"{on_line * BITS_PER_BYTE / case.baudrate * 1e3:.2f} ms of it on the line"
    return judged(
        "latency",
        f"{name}, {case.name}",
        percentile(chain.from_iterable(ours), share) * 1e3,
        "ms",
        reference=percentile(chain.from_iterable(least), share) * 1e3,
        reference_name="floor",
        at_most=target,
        spread=(min(shares), max(shares)),
        note=note,
    )


def _ours(stage: Bench, case: _Case, trips: int) -> list[float]:
    port = stage.servers.port(case.service, "echo")
    with stage.modem(case.data_format) as modem, connected(modem, case.service, port) as sock:
        if case.service == "TCP" and case.nodelay:
            sock.setsockopt(nbsocket.IPPROTO_TCP, nbsocket.TCP_NODELAY, 1)

        def trip() -> None:
            sock.send(PAYLOAD)
            size = 0
            while size < len(PAYLOAD):
                size += len(sock.recv(64))

        return time_each(trip, trips)


def _floor(stage: Bench, case: _Case, trips: int) -> list[float]:
    steps = send_steps(case.data_format, PAYLOAD)
    report = report_size(case.data_format, len(PAYLOAD))
    port = stage.servers.port(case.service, "echo")
    with floor(stage.simulator.port, case.data_format) as opened, connection(opened, case.service, port):
        return time_each(lambda: opened.skip(report - opened.exchange(steps)), trips)


def time_each(action: Callable[[], object], count: int) -> list[float]:
    """Return the seconds of each call."""
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return seconds
