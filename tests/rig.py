"""The driver against the simulated module, under one virtual clock, with a record of what crossed the wire."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from nbsocket._driver import (
    Connected,
    ConnectFailed,
    Driver,
    Event,
    Log,
    Request,
    RequestDone,
    RequestFailed,
    RequestProgress,
    SetBaudrate,
    Settings,
)
from nbsocket.sim import Fault, ModelConnection, ModelNetwork, Module, Options
from tests.driver.bench import Pile

T = TypeVar("T")

#: Virtual seconds that nothing in a test takes longer than.
LONG = 600.0


class Rig:
    """Host and module, joined by a wire that loses nothing. Options are the simulator's."""

    def __init__(self, settings: Settings | None = None, network: ModelNetwork | None = None, **options: Any) -> None:
        self.now = 1000.0
        self.network = network if network is not None else ModelNetwork()
        self.module = Module(Options(**options), self.network, self.now)
        if not self.module.options.attached:
            self.module.power_on(self.now)
        self.driver = Driver(settings if settings is not None else Settings(baudrate=115200))
        self.events: list[Event] = []
        self.logs: list[str] = []
        #: what crossed the wire: (time, ">" up or "<" down, bytes)
        self.wire: list[tuple[float, str, bytes]] = []
        self.sources: dict[int, Pile] = {}
        #: What the host's port can do at the most; so many changes are let through first.
        self.max_rate: int | None = None
        self.trials = 0
        self._host_rate = 115200

    # -- time

    def settle(self) -> None:
        """Carry everything that is on its way at this moment."""
        while True:
            up, event = self.driver.data_to_send(), self.driver.next_event()
            if up:
                self.wire.append((self.now, ">", up))
                self.module.receive_data(up, self.now)
            if isinstance(event, Log):
                self.logs.append(event.message)
            elif isinstance(event, SetBaudrate):
                self._set_rate(event.rate)
            elif event is not None:
                self.events.append(event)
            down = self.module.data_to_send(self.now)
            if down:
                self.wire.append((self.now, "<", down))
                self.driver.receive_data(down, self.now)
            if not up and event is None and not down:
                return

    def _set_rate(self, rate: int) -> None:
        if self.max_rate is not None and rate > self.max_rate and not self.trials:
            self.driver.baudrate_refused(rate, self._host_rate)
            return
        self.trials = max(0, self.trials - 1)
        self._host_rate = rate
        if self.module.options.strict_baud:
            self.module.set_host_rate(rate)

    def run(self, seconds: float, until: Callable[[], object] | None = None) -> None:
        """Let time pass, from deadline to deadline."""
        end = self.now + seconds
        self.settle()
        while until is None or not until():
            due = [
                moment for moment in (self.driver.next_deadline(), self.module.next_deadline()) if moment is not None
            ]
            if not due or min(due) > end:
                break
            self.now = max(self.now, min(due))
            self.driver.handle_timeout(self.now)
            self.module.handle_timeout(self.now)
            self.settle()
        if until is None:
            self.now = end
            self.driver.handle_timeout(end)
            self.settle()

    # -- what happened

    def take(self, kind: type[T]) -> T:
        """Wait for an event of this class and remove it."""
        self.run(LONG, until=lambda: any(isinstance(event, kind) for event in self.events))
        for event in self.events:
            if isinstance(event, kind):
                self.events.remove(event)
                return event
        raise AssertionError(f"no {kind.__name__}; there is {self.events}, and the log says {self.logs}")

    def has(self, kind: type) -> bool:
        """Whether there is such an event now."""
        return any(isinstance(event, kind) for event in self.events)

    def down(self, since: int = 0) -> bytes:
        """What the module has sent."""
        return b"".join(data for _, direction, data in self.wire[since:] if direction == "<")

    def up(self, since: int = 0) -> bytes:
        """What the host has sent."""
        return b"".join(data for _, direction, data in self.wire[since:] if direction == ">")

    def times_of(self, pattern: bytes, direction: str = ">") -> list[float]:
        """When something that matches crossed the wire."""
        return [time for time, way, data in self.wire if way == direction and re.search(pattern, data)]

    # -- what one does with a modem

    def start(self) -> Rig:
        """Bring the module up, up to its registration."""
        self.driver.port_opened(self.now)
        self.run(LONG, until=lambda: self.driver.is_ready)
        assert self.driver.is_ready, self.logs
        return self

    def inject(self, action: str, **fields: Any) -> None:
        """Let something go wrong."""
        self.module.inject(Fault(action, **fields), self.now)

    def ask(self, request: Request, timeout: float | None = None) -> Any:
        """Return the request's value, or raise its error."""
        deadline = None if timeout is None else self.now + timeout
        number = self.driver.submit(request, deadline, self.now)
        self.run(LONG, until=lambda: self.has(RequestDone) or self.has(RequestFailed))
        self.events = [event for event in self.events if not isinstance(event, RequestProgress)]
        if self.has(RequestFailed):
            failed = self.take(RequestFailed)
            assert failed.request_id == number
            raise failed.error
        done = self.take(RequestDone)
        assert done.request_id == number
        return done.value

    def open(self, service: str = "TCP", host: str = "10.0.0.9", port: int = 80, local_port: int = 0) -> int:
        """Open a connection and return its key, or raise why not."""
        source = Pile(is_stream=service == "TCP")
        key = self.driver.open(service, host, port, local_port, source, self.now)
        self.sources[key] = source
        self.run(LONG, until=lambda: self.has(Connected) or self.has(ConnectFailed))
        if self.has(ConnectFailed):
            raise self.take(ConnectFailed).error
        assert self.take(Connected).key == key
        return key

    @property
    def peer(self) -> ModelConnection:
        """The other end of the connection opened last."""
        return self.network.connections[-1]

    def write(self, key: int, data: bytes) -> None:
        """The application writes; 10 ms pass, so that nothing is held back."""
        source = self.sources[key]
        source.chunks.append(data)
        size = len(source) if source.is_stream else len(data)
        self.driver.data_available(key, size, self.now)
        self.run(0.011)
