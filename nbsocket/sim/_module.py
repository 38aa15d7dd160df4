"""The simulated BC260Y-CN as a pure object: bytes from the host and the time go in, bytes to the host come out.

Theory of operation: everything that takes time is a timer or a byte on the line, and ``handle_timeout(now)`` carries
out what is due in the order of its own time, even when the clock made a big step.
A command is *unfinished* from its CR to its final result (AT+QISEND: to SEND OK or SEND FAIL). What the host types
meanwhile waits, or is answered ERROR in strict mode.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

from ._commands import COMMANDS, LATER, run_basic
from ._data_mode import DataMode
from ._errors import CME_TEXTS, CommandError
from ._faults import Fault
from ._hosts import HostTable
from ._injection import Injection
from ._life import Life
from ._network import Network, NetworkEvent
from ._network_commands import NETWORK_COMMANDS
from ._options import Options
from ._parser import CommandLine, parse_line
from ._radio import Radio
from ._radio_connection import RadioConnection
from ._reader import Reader
from ._saving import PowerSaving
from ._sockets import Sockets
from ._timers import Timers
from ._uart import BITS_PER_BYTE, Uart

#: Bytes of the host that are kept while a command is unfinished; beyond it the line has to wait.
MAX_BACKLOG = 8192

#: Bytes to the host beyond which the line has to wait as well: the host does not read.
MAX_UNREAD = 65536

#: Command lines that are remembered for tests to look at.
MAX_COMMANDS = 10_000

#: From the last byte of an OK to the restart or the new baud rate that it announces.
AFTER_ANSWER_DELAY = 0.01

#: Final results, and their numbers where they have one (V.250 §5.7.1).
_RESULTS = {"OK": 0, "ERROR": 4, "SEND OK": None, "SEND FAIL": None}

#: What a command gets that the firmware lacks, by the option: a bare ERROR, or these numbers as AT+CMEE asks for it.
_UNKNOWN = {"error": None, "100": 100, "4": 4}

_COLON_RE = re.compile(rb"^(\+[A-Z]+:) ")


class Module:
    """A BC260Y-CN: sans-IO, single-threaded.

    Args:
        options: what it is like.
        network: what its radio leads to.
        now: the time it is made at.

    With ``options.attached`` it has been running for long; otherwise call :meth:`power_on`.
    """

    def __init__(self, options: Options, network: Network, now: float = 0.0) -> None:
        self.options = options
        self.network = network
        #: the last MAX_COMMANDS command lines in the order they came, without their CR
        self.commands: deque[str] = deque(maxlen=MAX_COMMANDS)
        self.command_count = 0
        #: the port has vanished (fault "hang_up")
        self.is_hung_up = False
        #: what AT+QISEND said about rapid release, one number a send
        self.rai_modes: deque[int] = deque(maxlen=MAX_COMMANDS)
        #: who takes the events of network handles that are no sockets
        self.queries: dict[int, Callable[[NetworkEvent, float], None]] = {}
        self.hosts = HostTable(options.hosts, options.dns)
        self.timers = Timers()
        self.radio = Radio(options.latency, options.radio_rate, options.loss, options.seed)
        self.uart = Uart(options.baudrate or 115200, options.baudrate is not None, options.grain)
        self.sockets = Sockets(self)
        self.connection = RadioConnection(self)
        self.saving = PowerSaving(self, now)
        self.life = Life(self, now)
        self.is_echoing = options.echo
        #: Final results are said, and as words (ATQ0, ATV1).
        self.says_results, self.says_words = options.results != "none", options.results != "numbers"
        self.cmee = options.cmee
        self.data_mode: DataMode | None = None
        #: until when further sends are refused, and with which error: one is carried out late
        self.sends_refused: tuple[float, int] | None = None
        #: of the last command that failed, 0: none did
        self.last_error = 0
        #: a command is unfinished
        self.is_busy = False
        self._deaf_until = now
        self._injection = Injection(self)
        self._reader = Reader(self)
        self._held: list[bytes] = []
        self._generation = 0
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
            self.sockets.pump(now)
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
        self.sockets.pump(now)
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
                self._reader.process(timer)
                self._poll_network(timer)
            else:
                return

    @property
    def room(self) -> int:
        """How many bytes the module takes from the line now."""
        if len(self.uart.outbound) > MAX_UNREAD:
            return 0
        return max(0, MAX_BACKLOG - len(self.uart.inbound) - len(self._reader))

    def set_host_rate(self, rate: int | None) -> None:
        """Tell the rate the host's end is set to; None: the same as the module's."""
        self.uart.host_rate = rate

    # ---- life

    def power_on(self, now: float) -> None:
        """Switch it on: noise, RDY and the rest of the boot."""
        self.life.boot(now)

    def restart(self, now: float) -> None:
        """Restart it without warning, as a watchdog or a brown-out does."""
        self.life.boot(now)

    def inject(self, fault: Fault, now: float) -> None:
        """Let something go wrong, when the fault's trigger comes."""
        self._injection.inject(fault, now)

    def clear_faults(self) -> None:
        """Call off every fault whose command, or whose bytes, have not come yet."""
        self._injection.clear()

    @property
    def met_faults(self) -> deque[tuple[float, Fault, str]]:
        """The last 1000 faults that a command has met: time, fault, command line. It may be cleared."""
        return self._injection.met

    @property
    def fails_send(self) -> Fault | None:
        """The fault that makes the current AT+QISEND end with SEND FAIL."""
        fault = self._injection.current
        return fault if fault is not None and fault.action in ("send_fail", "full") else None

    @property
    def slows_send(self) -> Fault | None:
        """The fault that lets the current AT+QISEND be carried out late."""
        fault = self._injection.current
        return fault if fault is not None and fault.action == "slow" else None

    @property
    def is_mute(self) -> bool:
        """The outcome of the current AT+QIOPEN never comes."""
        return self._injection.current is not None and self._injection.current.action == "mute"

    def drop_queries(self) -> None:
        """Forget the queries that are no sockets."""
        for handle in self.queries:
            self.network.vanish(handle)
        self.queries.clear()

    def forget_input(self) -> None:
        """Forget everything about the command in progress (a boot)."""
        self._generation += 1
        self.data_mode = None
        self.is_busy = False
        self.sends_refused = None
        self._injection.current = None
        self._held.clear()
        self._reader.clear()

    # ---- shortcuts for the parts

    @property
    def has_address(self) -> bool:
        """Registered, with an IP address."""
        return self.life.has_address

    @property
    def is_asleep(self) -> bool:
        """In deep sleep."""
        return self.life.is_asleep

    @property
    def lacks_apn(self) -> bool:
        """The network wants another APN than the one that is set."""
        return bool(self.options.needs_apn) and self.life.apn != self.options.needs_apn

    @property
    def can_report(self) -> bool:
        """Received data can be reported now."""
        is_held = self.data_mode is not None and self.options.data_mode_urcs == "hold"
        return not (self.uart.is_busy or self.is_asleep or self.life.is_booting or is_held)

    @property
    def is_idle(self) -> bool:
        """Nothing goes on: no command, nothing on the line, nothing on its way."""
        is_quiet = not (
            self.is_busy or self.data_mode or len(self._reader) or len(self.uart.outbound) or len(self.uart.inbound)
        )
        return is_quiet and not self.sockets.is_moving

    @property
    def junk(self) -> str | None:
        """What the current look-up tells in place of an address, by a fault."""
        fault = self._injection.current
        return fault.data.decode("latin-1") if fault is not None and fault.action == "junk" else None

    def look_up(self, host: str, now: float, done: Callable[[str | None, float], None]) -> None:
        """Resolve ``host``: an address at once, a name after a round trip; a fault may make it late."""
        address = self.hosts.resolve(host)
        delay = self._injection.outcome_delay + (0.0 if address == host else self.radio.latency)
        if address == host and not delay:
            done(address, now)
        else:
            self.life.touch(now + delay)
            self.timers.add(now + delay, lambda at: done(address, at))

    # ---- output

    def urc(self, text: str, now: float) -> None:
        """Say something unasked."""
        if self.is_asleep:
            return
        if self.data_mode is not None and self.options.data_mode_urcs != "pass":
            if self.options.data_mode_urcs == "hold":
                self._held.append(self._frame(text.encode()))
            return
        self._put(self._frame(text.encode()), now)

    def report_data(self, socket_id: int, data: bytes, now: float) -> None:
        """Report received data (§2.4.2): its text is the raw bytes, unescaped."""
        if self.data_mode is not None and self.options.data_mode_urcs == "lose":
            return
        if self.life.receives_hex:
            digits = data.hex()
            payload = (digits.upper() if self.options.hex_case == "upper" else digits).encode()
        else:
            payload = data
        if self.options.quoted_payload:
            payload = b'"' + payload + b'"'
        head = f'+QIURC: "recv",{socket_id},{len(data)},'.encode()
        self._put(self._frame(head + payload), now)

    def say_raw(self, data: bytes, now: float) -> None:
        """Put bytes on the line as they are."""
        self._put(data, now)

    def _put(self, data: bytes, now: float) -> None:
        self.life.touch(now)
        self.uart.outbound.put(data, now)

    def _frame(self, text: bytes) -> bytes:
        if not self.options.colon_space:
            text = _COLON_RE.sub(rb"\1", text)
        extra = b"\r\n" if self.options.extra_crlf else b""
        return extra + b"\r\n" + text + b"\r\n"

    def answer(self, text: str, now: float) -> None:
        """Say a line of the current command's answer; a fault may hold it back."""
        self._say(text, now, is_final=False)

    def _say(self, text: str, now: float, is_final: bool) -> None:
        fault = self._injection.current
        is_result = text in _RESULTS or text.startswith("+CME ERROR")
        data = self._result(text) if is_result else self._frame(text.encode("latin-1"))
        if fault is not None and fault.is_silent(is_final):
            return
        if fault is not None and fault.is_late(is_final):
            self._after(fault.delay, now, lambda at: self._put(data, at))
        else:
            self._put(data, now)

    def _result(self, text: str) -> bytes:
        """A final result in the form that ATQ and ATV ask for."""
        if not self.says_results:
            return b""
        number = _RESULTS.get(text)
        return self._frame(text.encode()) if self.says_words or number is None else b"%d\r" % number

    def show_prompt(self, prompt: bytes, now: float) -> None:
        """Ask for the payload."""
        fault = self._injection.current
        if fault is None or not fault.is_silent(is_final=False):
            self._put(prompt, now)

    def finish(self, text: str, now: float) -> None:
        """Say the final result; the next command may come."""
        fault = self._injection.current
        self._say(text, now, is_final=True)
        self._deaf_until = now + self.options.deaf_time
        if fault is not None and fault.is_late(is_final=True):
            self._after(fault.delay, now, self.drop_command)
        else:
            self.drop_command(now)

    def finish_error(self, code: int | None, now: float) -> None:
        """Say the error, in the words AT+CMEE asks for."""
        self.last_error = code or 0
        is_plain = code is None or self.cmee == 0 or (code >= 500 and self.options.errors == "plain")
        if is_plain:
            self.finish("ERROR", now)
        else:
            assert code is not None
            self.finish(f"+CME ERROR: {code if self.cmee == 1 else CME_TEXTS.get(code, 'unknown')}", now)

    def drop_command(self, now: float) -> None:
        """Be done with the current command, without a word."""
        self.is_busy = False
        self._injection.current = None
        self.life.touch(now)

    def _after(self, delay: float, now: float, action: Callable[[float], None]) -> None:
        """Do something later, unless the module restarts first."""
        generation = self._generation

        def run(at: float) -> None:
            if generation == self._generation:
                action(at)

        if delay:
            self.timers.add(now + delay, run)
        else:
            action(now)

    def after(self, delay: float, now: float, action: Callable[[float], None]) -> None:
        """Do a step of the current command later (at once, when ``delay`` is 0)."""
        self._after(delay, now, action)

    def after_answer(self, now: float, action: Callable[[float], None]) -> None:
        """Do something once what was said so far is through, at the present rate."""
        rate = self.uart.outbound.rate
        wait = len(self.uart.outbound) * BITS_PER_BYTE / rate if rate else 0.0
        self._after(wait + AFTER_ANSWER_DELAY, now, action)

    def end_data_mode(self, now: float) -> None:
        """Back to commands; URCs that were held come out."""
        self.data_mode = None
        for data in self._held:
            self._put(data, now)
        self._held.clear()

    # ---- input

    def _take_input(self, now: float) -> None:
        data = self.uart.take_inbound(now)
        self.life.touch(now)
        if self.is_asleep or self.life.is_waking:
            self.life.wake(data, now)
            return
        self._reader.put(data, now)

    def echo(self, data: bytes, now: float) -> None:
        """Send back what the host typed, if it wants that."""
        if self.is_echoing and not self.life.is_booting:
            self._put(data, now)

    def accept(self, line: str, is_too_long: bool, now: float) -> None:
        """Begin the command of a line that is complete."""
        command = parse_line(line)
        if command is None:
            return
        self.commands.append(line)
        self.command_count += 1
        if self.life.is_booting:
            if self.options.boot_answer == "ERROR":
                self._put(self._frame(b"ERROR"), now)
            return
        if now < self._deaf_until:
            return
        if self.is_busy:  # only in strict mode
            self._put(self._frame(b"ERROR"), now)
            return
        self.is_busy = True
        self._after(self.options.answer_delay, now, lambda at: self._execute(command, line, is_too_long, at))

    def _execute(self, command: CommandLine, line: str, is_too_long: bool, now: float) -> None:
        generation = self._generation
        self._injection.meet(line, now)
        if generation != self._generation or not self._injection.begin(command, now):
            return
        try:
            if is_too_long:
                raise CommandError(50)
            self._run(command, now)
        except CommandError as error:
            self.finish_error(error.code, now)

    def _run(self, command: CommandLine, now: float) -> None:
        if not command.name.startswith("+"):
            lines = run_basic(self, command.name, now)
        else:
            if command.name.removeprefix("+") in self.options.unknown_commands:
                raise CommandError(_UNKNOWN[self.options.unknown_answer])
            handlers = COMMANDS.get(command.name)
            handler = None if handlers is None else handlers.get(command.form)
            if handler is None:
                raise CommandError(100 if handlers is None else 4)
            self.life.check_sim(command.name, now)
            if command.name in NETWORK_COMMANDS:
                self.saving.traffic(now)
            lines = handler(self, command.tail, now)
        if lines is LATER:
            return
        for text in lines:
            self.answer(text, now)
        self.finish("OK", now)


def _earliest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)
