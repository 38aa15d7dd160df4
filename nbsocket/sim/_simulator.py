"""A running simulator: the modem on a thread of its own, at the end of a line that any program can open."""

from __future__ import annotations

import time
from types import TracebackType

from nbsocket._dataclass import dataclass, field
from nbsocket._runtime import _exit
from nbsocket._runtime._clock import monotonic

from ._faults import Fault
from ._line import Line, PairLine, PtyLine
from ._loopback import LoopbackNetwork
from ._module import Module
from ._network import Network
from ._options import Options
from ._runner import Runner


@dataclass(frozen=True, slots=True)
class SocketStats:
    """What one socket id has carried."""

    sent: int
    received: int


@dataclass(frozen=True, slots=True)
class SimulatorStats:
    """What has crossed the wire so far."""

    #: bytes from the host to the modem
    bytes_up: int
    #: bytes from the modem to the host
    bytes_down: int
    #: command lines
    commands: int
    #: times the simulator's thread woke up
    wakeups: int
    #: payload bytes by socket id
    sockets: dict[int, SocketStats] = field(default_factory=dict)


class Simulator:
    """A simulated BC260Y-CN on a serial line.

    Args:
        options: what the modem is like.
        line: "pty" for a pseudo-terminal at :attr:`path`, "socketpair" for the file descriptor :meth:`fileno`.
        link: with "pty": a symlink to make to the device, removed by :meth:`stop`.
        network: what the radio leads to; real servers on loopback unless given.

    Raises:
        ValueError: ``line`` is neither, or ``link`` without a pty.
        FileExistsError: something other than a symlink is at ``link``.

    Use it as a context manager, or call :meth:`start` and :meth:`stop`. All methods may be called from any thread.
    """

    def __init__(
        self,
        options: Options | None = None,
        line: str = "pty",
        link: str | None = None,
        network: Network | None = None,
    ) -> None:
        if line not in ("pty", "socketpair"):
            raise ValueError(f"line must be 'pty' or 'socketpair', not {line!r}")
        if link is not None and line != "pty":
            raise ValueError("a link needs line='pty'")
        self.options = options if options is not None else Options()
        self._kind, self._link = line, link
        self._line = self._make_line()
        now = monotonic()
        self.module = Module(self.options, network if network is not None else LoopbackNetwork(), now)
        if self.options.clock is None:
            self.module.life.set_wall_clock(time.time(), now)
        self._runner = Runner(self.module, self._line, self.options.strict_baud)
        self._is_started = False
        self._is_stopped = False

    def start(self) -> Simulator:
        """Start the thread, and the modem unless it is already on; return self. Once only."""
        if self._is_started:
            raise RuntimeError("the simulator was started before")
        self._is_started = True
        if not self.options.attached:
            self.module.power_on(monotonic())
        try:
            self._runner.start()
        except OSError:
            self._is_started = False
            self.stop()
            raise
        _exit.at_end(self.stop, _exit.SIMULATORS)
        return self

    def stop(self) -> None:
        """Stop, close both ends of the line and remove the link. Idempotent."""
        if self._is_stopped:
            return
        self._is_stopped = True
        _exit.forget(self.stop)
        if self._is_started:
            self._runner.stop()
        else:
            self.module.network.close()
        self._line.close()

    def __enter__(self) -> Simulator:
        return self if self._is_started else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def path(self) -> str:
        """The link if one was asked for, else the device; "" without a pty."""
        return self._line.path

    def fileno(self) -> int:
        """Return the host's end of the line: plain bytes, non-blocking, EOF when the port vanishes; ours to close.

        Raises:
            OSError: the line is a pty (open :attr:`path`), or it is closed.
        """
        if self._line.host_fd is None:
            raise OSError(9, "this simulator has no file descriptor for the host: open its path")
        return self._line.host_fd

    def set_baudrate(self, rate: int | None) -> None:
        """Tell the rate the host's end is set to, where the line cannot tell (socketpair); matters with strict_baud."""
        if self.options.strict_baud:
            self._runner.call(lambda now: self.module.set_host_rate(rate))

    def inject(self, fault: Fault) -> None:
        """Let something go wrong; see :class:`Fault`. Returns when the fault is armed."""
        self._runner.call(lambda now: self.module.inject(fault, now))

    def plug_in(self) -> None:
        """Plug the port in again after it vanished (fault "hang_up"): a new device, the same module.

        The link, if there is one, leads to the new device; otherwise :attr:`path` or :meth:`fileno` change.
        """
        self._runner.call(lambda now: self._runner.unplug())
        self._line.close()  # before the new one is made: it may get the same name
        line = self._line = self._make_line()
        self._runner.call(lambda now: self._runner.plug_in(line))

    def _make_line(self) -> Line:
        return PtyLine(self._link) if self._kind == "pty" else PairLine()

    def power_on(self) -> None:
        """Switch the module off and on again."""
        self._runner.call(self.module.power_on)

    @property
    def commands(self) -> list[str]:
        """The last 10,000 command lines seen so far, without their CR."""
        return list(self.module.commands)

    def stats(self) -> SimulatorStats:
        """Return what has crossed the wire so far."""
        module = self.module
        return SimulatorStats(
            bytes_up=module.uart.inbound.total,
            bytes_down=module.uart.outbound.total,
            commands=module.command_count,
            wakeups=self._runner.wakeups,
            sockets={key: SocketStats(*sizes) for key, sizes in module.sockets.traffic().items()},
        )


def open_url(url: str) -> Simulator:
    """Start the simulator that a ``sim://?option=value&...`` URL describes, on a socket pair.

    Raises:
        ValueError: an unknown option or a bad value.
    """
    return Simulator(Options.from_url(url), line="socketpair").start()
