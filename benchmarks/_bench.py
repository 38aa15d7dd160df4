"""What the benchmarks run on: the simulator and the servers in processes of their own, and their processor time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import nbsocket
from benchmarks._servers import Arrivals

DataFormat = Literal["hex", "raw"]
Service = Literal["TCP", "UDP"]

#: Any address will do: the simulator leads all of them to this machine's loopback.
HOST = "192.0.2.1"

_TICKS = os.sysconf("SC_CLK_TCK")

#: Start bit, eight data bits, stop bit.
BITS_PER_BYTE = 10


class Process:
    """A helper process that speaks lines; ended with the block."""

    def __init__(self, arguments: Sequence[str]) -> None:
        # What this process imports, a helper imports from the same place.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        self._process = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self.pid = self._process.pid
        self.hello = self.read()

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate()

    def read(self) -> Any:
        """Return what the next line says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        return json.loads(line)

    def ask(self, **request: Any) -> Any:
        """Send a request and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return self.read()

    def cpu(self) -> float:
        """Return the processor seconds that it has used so far."""
        return cpu_seconds(self.pid)


class SimulatorProcess(Process):
    """``nbsocket sim`` on a pseudo-terminal; options by their names, for example ``baudrate=115200``."""

    def __init__(self, **options: Any) -> None:
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]
        super().__init__(["-m", "nbsocket", "--json", "sim", *flags])

    @property
    def port(self) -> str:
        """The device to open."""
        return str(self.hello["port"])


class ServersProcess(Process):
    """See :mod:`benchmarks._servers`."""

    def __init__(self) -> None:
        super().__init__(["-m", "benchmarks._servers"])

    def port(self, service: Service, name: str) -> int:
        """Return the port of ``"sink"``, ``"echo"`` or ``"source"``."""
        return int(self.hello[f"{service.lower()}_{name}"])

    def reset(self) -> None:
        """Forget what the sinks have counted."""
        self.ask(do="reset")

    def wait(self, size: int, timeout: float = 120.0) -> list[Arrivals]:
        """Wait until the sinks have read ``size`` bytes since the reset."""
        alarm = threading.Timer(timeout, self._process.kill)
        alarm.daemon = True
        alarm.start()
        try:
            return [Arrivals(**item) for item in self.ask(do="wait", bytes=size)]
        finally:
            alarm.cancel()

    def look(self) -> list[Arrivals]:
        """Return what the sinks have read since the reset."""
        return [Arrivals(**item) for item in self.ask(do="look")]


@dataclass(frozen=True, slots=True)
class Bench:
    """A simulator, the servers it leads to, and how its line is."""

    simulator: SimulatorProcess
    servers: ServersProcess
    baudrate: int | None

    @contextmanager
    def modem(self, data_format: DataFormat) -> Iterator[nbsocket.Modem]:
        """Open nbsocket on it."""
        with nbsocket.Modem(self.simulator.port, baudrate=self.baudrate, data_format=data_format) as modem:
            yield modem


@contextmanager
def bench(baudrate: int | None = None, servers: ServersProcess | None = None, **options: Any) -> Iterator[Bench]:
    """Start what is needed; without ``baudrate`` the line is as fast as it goes."""
    with ExitStack() as stack:
        if servers is None:
            servers = stack.enter_context(ServersProcess())
        simulator = stack.enter_context(SimulatorProcess(baudrate=baudrate, **options))
        yield Bench(simulator, servers, baudrate)


@contextmanager
def connected(modem: nbsocket.Modem, service: Service, port: int) -> Iterator[nbsocket.socket]:
    """Connect a socket of nbsocket's to one of the servers."""
    kind = nbsocket.SOCK_STREAM if service == "TCP" else nbsocket.SOCK_DGRAM
    with nbsocket.socket(nbsocket.AF_INET, kind, modem=modem) as sock:
        sock.settimeout(120)
        sock.connect((HOST, port))
        yield sock


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process.

    Source: proc(5), /proc/pid/stat, utime and stime, in ticks of 10 ms; or the kernel's sched-stats.rst,
    /proc/pid/task/tid/schedstat, in nanoseconds, where it is kept. Threads that have ended are missing there, but those
    of the simulator and the servers last as long as they.
    """
    with suppress(OSError):
        threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
        used = sum(int(path.read_text(encoding="ascii").split()[0]) for path in threads)
        if used:
            return used / 1e9
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def switches(pid: int | str = "self") -> int:
    """Return how often the threads of a process gave the processor up to wait. Source: proc(5), /proc/pid/status."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # the thread has ended meanwhile
            for line in (thread / "status").read_text(encoding="utf-8").splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    total += int(line.split()[1])
    return total
