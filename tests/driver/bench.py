"""A bench for the driver: the test plays the module, line by line, on a clock of its own."""

from __future__ import annotations

from collections import deque
from typing import TypeVar

from nbsocket._driver import Driver, Event, Log, Settings

T = TypeVar("T")

#: What bring-up asks of a module that is configured already, and the answers.
BRING_UP = [
    ("AT", "OK"),
    ("AT+CMEE?", "+CMEE: 1", "OK"),
    ("AT+QSCLK=0", "OK"),
    ("AT+CPSMS?", '+CPSMS: 0,,,"01000001","00000000"', "OK"),
    ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"),
    ("AT+CFUN?", "+CFUN: 1", "OK"),
    ("AT+QISTATE?", "OK"),
]
ATTACH = [
    ("AT+CEREG?", "+CEREG: 1,1", "OK"),
    ("AT+CGPADDR?", '+CGPADDR: 5,"10.1.2.3"', "OK"),
]


class Pile:
    """A source that gives what was put on it."""

    def __init__(self, *chunks: bytes, is_stream: bool = True) -> None:
        self.chunks = deque(chunks)
        self.is_stream = is_stream

    def take(self, max_bytes: int) -> bytes:
        if not self.chunks:
            return b""
        if not self.is_stream:
            return self.chunks.popleft()
        data = b"".join(self.chunks)
        self.chunks = deque([data[max_bytes:]] if len(data) > max_bytes else [])
        return data[:max_bytes]

    def __len__(self) -> int:
        return sum(map(len, self.chunks))


class Bench:
    """A driver, its clock, what it sent and what it told."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings(baudrate=115200)
        self.driver = Driver(self.settings)
        self.now = 100.0
        self.events: list[Event] = []
        self.logs: list[str] = []
        self._sent = b""

    # -- the wire

    def collect(self) -> None:
        """Fetch what the driver sends and tells."""
        while True:
            data, event = self.driver.data_to_send(), self.driver.next_event()
            self._sent += data
            if isinstance(event, Log):
                self.logs.append(event.message)
            elif event is not None:
                self.events.append(event)
            if not data and event is None:
                return

    def sent(self) -> bytes:
        """What went out since the last call."""
        self.collect()
        data, self._sent = self._sent, b""
        return data

    def expect(self, *lines: str) -> None:
        """The driver has sent exactly these command lines."""
        sent = self.sent()
        assert sent == b"".join(line.encode() + b"\r" for line in lines), sent

    def say(self, *lines: str) -> None:
        """The module says these lines."""
        self.feed(b"".join(b"\r\n" + line.encode("latin-1") + b"\r\n" for line in lines))

    def feed(self, data: bytes) -> None:
        """The module says these bytes."""
        self.driver.receive_data(data, self.now)
        self.collect()

    def dialog(self, *turns: tuple[str, ...]) -> None:
        """Each turn: the command that the driver has sent, then the module's lines."""
        for command, *answer in turns:
            self.expect(command)
            self.say(*answer)

    # -- the clock

    def advance(self, seconds: float) -> None:
        """Let time pass, deadline by deadline."""
        end = self.now + seconds
        while (deadline := self.driver.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.driver.handle_timeout(self.now)
            self.collect()
        self.now = end
        self.driver.handle_timeout(end)
        self.collect()

    # -- events

    def take(self, kind: type[T]) -> T:
        """The oldest event, which is of this class."""
        self.collect()
        assert self.events, f"no {kind.__name__}: no event at all"
        event = self.events.pop(0)
        assert isinstance(event, kind), f"{event} instead of {kind.__name__}"
        return event

    def no_events(self) -> None:
        self.collect()
        assert self.events == []

    # -- states to begin from

    def start(self) -> None:
        """Through bring-up and registration."""
        self.driver.port_opened(self.now)
        data_format = '+QICFG: "dataformat",1,1' if self.settings.is_hex else '+QICFG: "dataformat",0,0'
        for command, *answer in [*BRING_UP, *ATTACH]:
            if command == "AT+CPSMS?" and self.settings.power == "psm":
                continue  # it may save power
            self.expect(command)
            self.say(*(data_format if line.startswith("+QICFG") else line for line in answer))
        self.collect()
        self.events.clear()
        assert self.driver.is_ready

    def open(self, source: Pile | None = None, service: str = "TCP", host: str = "10.0.0.9", port: int = 80) -> int:
        """Through QIOPEN; the socket_id is the next one that is free."""
        key = self.driver.open(
            service, host, port, 0, Pile(is_stream=service == "TCP") if source is None else source, self.now
        )
        line = self.sent().decode()
        assert line.startswith("AT+QIOPEN=0,"), line
        self.say("OK")
        self.say(f"+QIOPEN: {line[12]},0")
        self.collect()
        self.events.clear()
        return key

    def write(self, key: int, source: Pile, data: bytes) -> None:
        """The application writes, and so much time passes that nothing is held back."""
        source.chunks.append(data)
        self.driver.data_available(key, len(source), self.now)
        self.advance(0.011)
