"""A bulk transfer, by nbsocket and by the floor, timed the same way.

The clock runs from the first piece that arrives to the last, so that it measures cycles and neither the opening of a
connection nor what an application's buffer hides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from benchmarks._bench import Bench, DataFormat, Service, connected, switches
from benchmarks._floor import connection, floor
from benchmarks._servers import Arrivals, pattern
from benchmarks._wire import REPORT_SIZE, SEGMENT_SIZES, report_size, send_steps

Direction = Literal["up", "down"]
Way = Callable[[Bench, DataFormat, Service, int], "Transfer"]

#: Datagrams on their way that the simulator's own receive buffer certainly holds.
MAX_BURST = 64


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a transfer came to."""

    #: Bytes of payload a second.
    rate: float
    payload: int
    seconds: float
    #: Processor seconds of this process, of the simulator and of the servers.
    cpu: float
    simulator_cpu: float
    servers_cpu: float
    #: How often the thread at the port woke up, and how often any thread of this process waited.
    wakeups: int
    switches: int


class _Meter:
    """Notes what a transfer uses."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._start = self._now()
        self.wakeups = 0
        self._seconds = 0.0
        self._counted = 0.0
        self.payload = 0

    def _now(self) -> tuple[float, float, float, float, int]:
        bench = self._bench
        return time.monotonic(), time.process_time(), bench.simulator.cpu(), bench.servers.cpu(), switches()

    def received(self, first: float, first_size: float, last: float, payload: int) -> None:
        """Add a burst: when its first bytes came, how many those were, when the last came, and how many in all."""
        self._seconds += last - first
        self._counted += payload - first_size

    def arrived(self, arrivals: list[Arrivals]) -> None:
        """Take the times from the sink."""
        only = arrivals[0]
        self.received(only.first, only.first_size, only.last, only.total)

    def result(self) -> Transfer:
        """Return it all."""
        used = [later - earlier for later, earlier in zip(self._now(), self._start, strict=True)]
        rate = self._counted / max(self._seconds, 1e-9)
        return Transfer(rate, self.payload, used[0], used[1], used[2], used[3], self.wakeups, int(used[4]))


@contextmanager
def _measured(bench: Bench, payload: int) -> Iterator[_Meter]:
    bench.servers.reset()
    meter = _Meter(bench)
    meter.payload = payload
    yield meter


def ours_up(bench: Bench, data_format: DataFormat, service: Service, segments: int) -> Transfer:
    """Send as an application does."""
    size = SEGMENT_SIZES[data_format]
    data = pattern(segments * size)
    port = bench.servers.port(service, "sink")
    with bench.modem(data_format) as modem, connected(modem, service, port) as sock:
        with _measured(bench, len(data)) as meter:
            before = modem.stats().wakeups
            if service == "TCP":
                sock.sendall(data)
            else:
                for start in range(0, len(data), size):
                    sock.send(data[start : start + size])
            meter.arrived(bench.servers.wait(len(data)))
            meter.wakeups = modem.stats().wakeups - before
        return meter.result()


def floor_up(bench: Bench, data_format: DataFormat, service: Service, segments: int) -> Transfer:
    """Send the same segments by hand."""
    size = SEGMENT_SIZES[data_format]
    data = pattern(segments * size)
    steps = [
        step for start in range(0, len(data), size) for step in send_steps(data_format, data[start : start + size])
    ]
    port = bench.servers.port(service, "sink")
    with floor(bench.simulator.port, data_format) as opened, connection(opened, service, port):
        with _measured(bench, len(data)) as meter:
            opened.wakeups = 0
            opened.exchange(steps)
            meter.arrived(bench.servers.wait(len(data)))
            meter.wakeups = opened.wakeups
        return meter.result()


def _bursts(service: Service, reports: int) -> list[int]:
    """Cut what is to be received into what may be on its way at a time."""
    if service == "TCP":
        return [reports]
    return [min(MAX_BURST, reports - start) for start in range(0, reports, MAX_BURST)]


def _order(service: Service, reports: int) -> bytes:
    """Say to the source how much to send."""
    return b"%d\n" % (reports * REPORT_SIZE) if service == "TCP" else b"%dx%d\n" % (reports, REPORT_SIZE)


def ours_down(bench: Bench, data_format: DataFormat, service: Service, segments: int) -> Transfer:
    """Receive as an application does."""
    port = bench.servers.port(service, "source")
    with bench.modem(data_format) as modem, connected(modem, service, port) as sock:
        with _measured(bench, segments * REPORT_SIZE) as meter:
            before = modem.stats().wakeups
            for reports in _bursts(service, segments):
                sock.send(_order(service, reports))
                got = first_size = len(sock.recv(65536))
                first = time.monotonic()
                while got < reports * REPORT_SIZE:
                    got += len(sock.recv(65536))
                meter.received(first, first_size, time.monotonic(), got)
            meter.wakeups = modem.stats().wakeups - before
        return meter.result()


def floor_down(bench: Bench, data_format: DataFormat, service: Service, segments: int) -> Transfer:
    """Receive the same reports by hand."""
    port = bench.servers.port(service, "source")
    bursts = [(reports, send_steps(data_format, _order(service, reports))) for reports in _bursts(service, segments)]
    size = report_size(data_format, REPORT_SIZE)
    with floor(bench.simulator.port, data_format) as opened, connection(opened, service, port):
        with _measured(bench, segments * REPORT_SIZE) as meter:
            opened.wakeups = 0
            for reports, order in bursts:
                first, first_size, last = opened.receive(reports * size, opened.exchange(order))
                # Counted on the wire, where the reports' own lines are part of it.
                meter.received(first, first_size * REPORT_SIZE / size, last, reports * REPORT_SIZE)
            meter.wakeups = opened.wakeups
        return meter.result()


OURS: dict[Direction, Way] = {"up": ours_up, "down": ours_down}
FLOOR: dict[Direction, Way] = {"up": floor_up, "down": floor_down}
