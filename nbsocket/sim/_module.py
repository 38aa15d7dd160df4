"""The simulated module as a pure object: bytes from the host and the time go in, bytes to the host come out.

Theory of operation: everything that takes time is a timer or a byte on the line, and ``handle_timeout(now)`` carries
out what is due in the order of its own time, even when the clock made a big step.
``Module`` joins the parts and runs them by time; what each part owns is said in its own file: ``uart`` the serial line,
``input`` what the host typed, ``command`` the command in progress, ``output`` what is said, ``life`` boot and
registration, ``sockets`` the connections, ``radio``, ``connection`` and ``saving`` the air.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ._command import Commands
from ._commands_general import GENERAL
from ._commands_radio import RADIO
from ._commands_tcpip import TCPIP, model_commands
from ._execution import MAX_COMMANDS, CommandExecution
from ._faults import Fault, Injection
from ._hosts import HostTable
from ._input import DataMode, HostInput
from ._life import Life
from ._models import MODELS
from ._network import Network, NetworkEvent
from ._options import Options
from ._output import HostOutput
from ._radio import Radio, RadioConnection, RadioPowerSaving
from ._socket_table import Sockets
from ._timers import Timers
from ._uart import Uart

#: Bytes of the host that are kept while a command is unfinished; beyond it the line has to wait.
MAX_BACKLOG = 8192

#: Bytes to the host beyond which the line has to wait as well: the host does not read.
MAX_UNREAD = 65536


class Module:
    """A simulated module: sans-IO, single-threaded.

    Args:
        options: what it is like.
        network: what its radio leads to.
        now: the time it is made at.

    With ``options.attached`` it has been running for long; otherwise call :meth:`power_on`.
    """

    def __init__(self, options: Options, network: Network, now: float = 0.0) -> None:
        self.options = options
        #: texts, limits and forms of the model
        self.model = MODELS[options.model]
        self.network = network
        #: the port has vanished (fault "hang_up")
        self.is_hung_up = False
        #: what AT+QISEND said about rapid release, one number a send
        self.rai_modes: deque[int] = deque(maxlen=MAX_COMMANDS)
        #: who takes the events of network handles that are no sockets
        self.queries: dict[int, Callable[[NetworkEvent, float], None]] = {}
        #: the commands that it knows
        self.table: Commands = {**GENERAL, **RADIO, **TCPIP, **model_commands(self.model)}
        self.hosts = HostTable(options.hosts, options.dns)
        self.timers = Timers()
        self.radio = Radio(options.latency, options.radio_rate, options.loss, options.seed)
        self.uart = Uart(options.baudrate or 115200, options.baudrate is not None, options.grain)
        self.sockets = Sockets(self)
        self.connection = RadioConnection(self)
        self.saving = RadioPowerSaving(self, now)
        self.life = Life(self, now)
        self.faults = Injection(self)
        self.output = HostOutput(self)
        self.command = CommandExecution(self, now)
        self.input = HostInput(self)
        for number in range(options.orphans):
            self.sockets.add_orphan(number, "TCP" if number % 2 == 0 else "UDP")

    # ---- the wire

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes the host writes at ``now``."""
        self.uart.inbound.put(data, now)
        self.handle_timeout(now)

    def data_to_send(self, now: float) -> bytes:
        """Return the bytes that have reached the host by ``now``."""
        self.handle_timeout(now)
        pieces = []
        while piece := self.uart.take_outbound(now):
            pieces.append(piece)
            self.sockets.downlink.pump(now)
        return b"".join(pieces)

    def next_deadline(self) -> float | None:
        """Return when :meth:`handle_timeout` or :meth:`data_to_send` has something to do; a time in the past is now."""
        return _earliest(self.next_deadline_apart_from_line(), self.uart.outbound.next_deadline())

    def next_deadline_apart_from_line(self) -> float | None:
        """Return the same for a line that takes nothing now: bytes for the host do not count."""
        return _earliest(
            self.timers.next_time(),
            self.uart.inbound.next_deadline(),
            self.network.next_deadline(),
            self.life.sleep_deadline(),
        )

    def handle_timeout(self, now: float) -> None:
        """Carry out everything that is due."""
        self._run_due(now)
        while self._poll_network(now):
            self._run_due(now)
        self.sockets.downlink.pump(now)
        self.life.check_sleep(now)

    def _poll_network(self, now: float) -> bool:
        events = self.network.poll(now)
        for event in events:
            self.life.touch(now)
            self.queries.get(event.handle, self.sockets.handle)(event, now)
        return bool(events)

    def _run_due(self, now: float) -> None:
        while True:
            timer, arrival = self.timers.next_time(), self.uart.inbound.next_deadline()
            if arrival is not None and arrival <= now and (timer is None or arrival <= timer):
                self._take_input(arrival)
            elif timer is not None and timer <= now:
                self.timers.run_next()
                self.input.process(timer)
                self._poll_network(timer)
            else:
                return

    def _take_input(self, now: float) -> None:
        data = self.uart.take_inbound(now)
        self.life.touch(now)
        if self.is_asleep or self.life.is_waking:
            self.life.wake(data, now)
            return
        self.input.put(data, now)

    @property
    def room(self) -> int:
        """How many bytes the modem takes from the line now."""
        if len(self.uart.outbound) > MAX_UNREAD:
            return 0
        return max(0, MAX_BACKLOG - len(self.uart.inbound) - len(self.input))

    def set_host_rate(self, rate: int | None) -> None:
        """Tell the rate the host's end is set to; None: the same as the modem's."""
        self.uart.host_rate = rate

    def say_raw(self, data: bytes, now: float) -> None:
        """Put bytes on the line as they are."""
        self.output.put(data, now)

    # ---- life

    def power_on(self, now: float) -> None:
        """Switch it on: noise, RDY and the rest of the boot."""
        self.life.boot(now)

    def restart(self, now: float) -> None:
        """Restart it without warning, as a watchdog or a brown-out does."""
        self.life.boot(now)

    def forget_input(self) -> None:
        """Forget what the host typed, and everything about the command in progress (a boot)."""
        self.command.forget()
        self.output.drop_held()
        self.input.clear()

    def drop_queries(self) -> None:
        """Forget the queries that are no sockets."""
        for handle in self.queries:
            self.network.vanish(handle)
        self.queries.clear()

    # ---- faults

    def inject(self, fault: Fault, now: float) -> None:
        """Let something go wrong, when the fault's trigger comes."""
        self.faults.inject(fault, now)

    def clear_faults(self) -> None:
        """Call off every fault whose command, or whose bytes, have not come yet."""
        self.faults.clear()

    @property
    def met_faults(self) -> deque[tuple[float, Fault, str]]:
        """The last 1000 faults that a command has met: time, fault, command line. It may be cleared."""
        return self.faults.met

    # ---- the parts together

    @property
    def commands(self) -> deque[str]:
        """The last command lines in the order they came, without their CR."""
        return self.command.lines

    @property
    def command_count(self) -> int:
        """How many command lines have come."""
        return self.command.line_count

    @property
    def cmee(self) -> int:
        """How errors are told (AT+CMEE)."""
        return self.command.cmee

    @cmee.setter
    def cmee(self, mode: int) -> None:
        self.command.cmee = mode

    @property
    def is_echoing(self) -> bool:
        """What the host types is sent back (ATE)."""
        return self.output.is_echoing

    @property
    def data_mode(self) -> DataMode | None:
        """The payload that AT+QISEND waits for."""
        return self.command.data_mode

    @property
    def has_address(self) -> bool:
        """Registered, with an IP address."""
        return self.life.has_address

    @property
    def is_asleep(self) -> bool:
        """In deep sleep."""
        return self.life.is_asleep

    @property
    def is_idle(self) -> bool:
        """Nothing goes on: no command, nothing on the line, nothing on its way."""
        is_quiet = not (
            self.command.is_busy
            or self.data_mode
            or len(self.input)
            or len(self.uart.outbound)
            or len(self.uart.inbound)
        )
        return is_quiet and not self.sockets.is_moving

    def look_up(self, host: str, now: float, done: Callable[[str | None, float], None]) -> None:
        """Resolve ``host``: an address at once, a name after a round trip; a fault may make it late."""
        address = self.hosts.resolve(host)
        if self.model.needs_name_server and address != host and not any(self.life.dns_servers):
            address = None
        delay = self.faults.outcome_delay + (0.0 if address == host else self.radio.latency)
        if address == host and not delay:
            done(address, now)
        else:
            self.life.touch(now + delay)
            self.timers.add(now + delay, lambda at: done(address, at))


def _earliest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)
