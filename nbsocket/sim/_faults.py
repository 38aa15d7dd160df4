"""Things that go wrong when a test asks for it: on commands, on bytes of the line, at times."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbsocket._dataclass import dataclass, field

from ._command import CommandLine

if TYPE_CHECKING:
    from ._module import Module

#: What each action does; see :class:`Fault`.
ACTIONS = {
    "error": "the command is answered ERROR, or the error `code`",
    "result": "the command is answered OK and its outcome is the result `code`",
    "send_fail": "an AT+QISEND ends with SEND FAIL",
    "full": "for `delay` seconds every such AT+QISEND ends with SEND FAIL: the send buffer is full",
    "refuse": "for `delay` seconds every such command is answered ERROR, or the error `code`",
    "slow": "an AT+QISEND gets its OK, and is carried out only `delay` seconds later; others are answered meanwhile,"
    " further sends with the error `code` if there is one",
    "mute": "an AT+QIOPEN or AT+QIDNSGIP is answered and carried out, its outcome (+QIOPEN: ...) never comes",
    "silence": "the command is not answered at all",
    "silence_final": "the last line of the answer (OK, SEND OK ...) never comes; the command is carried out",
    "late": "the command is carried out at once, its answer comes `delay` seconds later",
    "late_final": "the same, but only the last line of the answer (OK, SEND OK ...) is late",
    "late_outcome": "the command is answered, what a look-up, ping or time request tells later is `delay` s late",
    "junk": "a look-up that succeeds tells `data` in place of the address",
    "drop": "`size` bytes are lost after the next `offset` ones",
    "insert": "`data` appears after the next `offset` bytes",
    "garble": "`size` bytes are changed after the next `offset` ones",
    "closed": "the network breaks TCP connection `socket_id`",
    "forget": "the module loses socket `socket_id` and says nothing: no entry is left, or one in the state `code`",
    "restart": "the module restarts",
    "deregister": "the registration is lost (the IP address with it)",
    "register": "the registration comes back",
    "readdress": "the data context comes back with another address; TCP connections are dead, and not reported closed",
    "hang_up": "the serial port vanishes",
    "emit": "the module says `data`, as it is",
}

_ON_COMMAND = frozenset(
    {
        *("error", "result", "send_fail", "silence", "silence_final", "late", "late_final", "late_outcome", "junk"),
        *("full", "refuse", "slow", "mute"),
    }
)

#: Those that go on for ``delay`` seconds.
_LASTING = frozenset({"full", "refuse"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, once its trigger comes.

    The trigger is a command (``match``, a regex searched in its line, and ``nth``), or a time (``after`` seconds from
    the injection), or neither: then at once. A fault that changes an answer needs a command: without ``match`` it is
    the next one.

    Raises:
        ValueError: unknown action, or a trigger it cannot have.
    """

    #: one of ACTIONS
    action: str
    #: regex searched in the command line, capitals or not
    match: str | None = None
    #: which matching command, counted from the injection
    nth: int = 1
    #: how many matching commands in a row
    times: int = 1
    #: seconds after the injection
    after: float | None = None
    #: error or result code; None: a bare ERROR. Of "forget": a state of QISTATE
    code: int | None = None
    #: of "full", "refuse", "slow", "late", "late_final"; of "result": the outcome comes this much after the OK; of
    #: "late_outcome", and of "error" and "silence" that are carried out: that of a look-up, ping or time request comes
    #: this much later than it would
    delay: float = 0.0
    #: of "error", "send_fail" and "silence": the command is carried out all the same
    is_carried_out: bool = False
    #: of "drop", "insert", "garble": "up" is from the host to the modem, "down" the other way
    direction: str = "down"
    offset: int = 0
    size: int = 1
    data: bytes = b""
    socket_id: int = 0

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"unknown fault {self.action!r}; there are: {', '.join(ACTIONS)}")
        if self.action in _ON_COMMAND and self.after is not None:
            raise ValueError(f"fault {self.action!r} needs a command as its trigger, not a time")
        if self.direction not in ("up", "down"):
            raise ValueError(f"fault direction must be up or down, not {self.direction!r}")
        if self.match is not None:
            re.compile(self.match)

    @property
    def needs_command(self) -> bool:
        """The trigger is a command."""
        return self.match is not None or self.action in _ON_COMMAND

    def is_silent(self, is_final: bool) -> bool:
        """This line of the answer never comes."""
        return self.action in ("silence", "error") or (self.action == "silence_final" and is_final)

    def is_late(self, is_final: bool) -> bool:
        """This line of the answer comes late."""
        return self.action == "late" or (self.action == "late_final" and is_final)

    @property
    def changes_answer(self) -> bool:
        """The fault is about the answer of the command that triggers it."""
        return self.action in _ON_COMMAND


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    is_spent: bool = False
    #: of a fault that goes on for some time: when it ends
    end: float | None = None

    def meets(self, line: str, now: float) -> bool:
        self.is_spent |= self.end is not None and now >= self.end
        if self.is_spent or not re.search(self.fault.match or "", line, re.IGNORECASE):
            return False
        self.seen += 1
        if self.fault.action in _LASTING:
            if self.seen < self.fault.nth:
                return False
            self.end = now + self.fault.delay if self.end is None else self.end
            return True
        self.is_spent = self.seen >= self.fault.nth + self.fault.times - 1
        return self.seen >= self.fault.nth


@dataclass(slots=True)
class FaultBook:
    """The faults that wait for their command."""

    _armed: list[_Armed] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Wait for the fault's command."""
        self._armed.append(_Armed(fault))

    def meet(self, line: str, now: float) -> list[Fault]:
        """Return the faults that ``line`` triggers; of those that change an answer only the first one."""
        met: list[Fault] = []
        for armed in self._armed:
            if armed.fault.changes_answer and any(fault.changes_answer for fault in met):
                continue
            if armed.meets(line, now):
                met.append(armed.fault)
        self._armed = [armed for armed in self._armed if not armed.is_spent]
        return met


def byte_filter(fault: Fault) -> Callable[[bytes], tuple[bytes, bool]]:
    """Return a function that changes passing bytes as ``fault`` says, and tells when it has done all."""
    skip, left = fault.offset, fault.size

    def change(data: bytes) -> tuple[bytes, bool]:
        nonlocal skip, left
        passed, rest = data[:skip], data[skip:]
        skip -= len(passed)
        if not rest:
            return data, False
        if fault.action == "insert":
            return passed + fault.data + rest, True
        hit, rest = rest[:left], rest[left:]
        left -= len(hit)
        changed = b"" if fault.action == "drop" else bytes(byte ^ 0x5A for byte in hit)
        return passed + changed + rest, left == 0

    return change


#: Faults that are remembered for tests to look at.
MAX_FAULTS = 1000

#: What a command says when it is over, where that is a result code of its own.
_OUTCOME_FORMS = {
    "+QIOPEN": "+QIOPEN: {id},{code}",
    "+QIDNSGIP": "{dns}{code}",
    "+QDNSGIP": "{dns}{code}",
    "+QPING": "+QPING: {code}",
    "+QNTP": "+QNTP: {code}",
    "+QNTPT": "+QNTP: {code}",
}

#: Faults of an answer that leave the command itself alone.
_HARMLESS = frozenset(
    {"full", "junk", "late", "late_final", "late_outcome", "mute", "send_fail", "silence_final", "slow"}
)


class Injection:
    """The faults of one module: those that wait, and the one that the current command has met."""

    def __init__(self, module: Module) -> None:
        self.met: deque[tuple[float, Fault, str]] = deque(maxlen=MAX_FAULTS)
        #: the fault of the current command's answer
        self.current: Fault | None = None
        #: seconds by which the outcome of the command that came last is late
        self.outcome_delay = 0.0
        self._module = module
        self._book = FaultBook()

    def inject(self, fault: Fault, now: float) -> None:
        """Let something go wrong, when the fault's trigger comes."""
        if fault.needs_command:
            self._book.add(fault)
        elif fault.after:
            self._module.timers.add(now + fault.after, lambda at: self._happen(fault, at), is_lasting=True)
        else:
            self._happen(fault, now)

    def clear(self) -> None:
        """Call off every fault whose command, or whose bytes, have not come yet."""
        self._book = FaultBook()
        self._module.uart.inbound.filters.clear()
        self._module.uart.outbound.filters.clear()

    def meet(self, line: str, now: float) -> None:
        """Let ``line`` trigger what waits for it."""
        self.outcome_delay = 0.0
        for fault in self._book.meet(line, now):
            self.met.append((now, fault, line))
            if fault.changes_answer:
                self.current = fault
            else:
                self._happen(fault, now)

    def begin(self, command: CommandLine, now: float) -> bool:
        """Begin the fault of the current command; return whether the command is still carried out."""
        fault = self.current
        if fault is not None and (fault.is_carried_out or fault.action == "late_outcome"):
            self.outcome_delay = fault.delay
        if fault is None or fault.action in _HARMLESS:
            return True
        if fault.action == "result":
            self.current = None
            self._module.command.finish("OK", now)
            self._say_outcome(command, fault, now)
            return False
        if fault.action in ("error", "refuse"):
            self.current = None
            self._module.command.finish_error(fault.code, now)
            if fault.is_carried_out:  # what it would have said is not said any more
                self.current = Fault("silence")
                self._module.command.is_busy = True
        elif not fault.is_carried_out:
            self._module.command.drop(now)
        return fault.is_carried_out

    def _current(self, *actions: str) -> Fault | None:
        return self.current if self.current is not None and self.current.action in actions else None

    @property
    def fails_send(self) -> Fault | None:
        """The fault that makes the current AT+QISEND end with SEND FAIL."""
        return self._current("send_fail", "full")

    @property
    def slows_send(self) -> Fault | None:
        """The fault that lets the current AT+QISEND be carried out late."""
        return self._current("slow")

    @property
    def is_mute(self) -> bool:
        """The outcome of the current AT+QIOPEN or AT+QIDNSGIP never comes."""
        return self._current("mute") is not None

    @property
    def junk(self) -> str | None:
        """What the current look-up tells in place of an address."""
        fault = self._current("junk")
        return None if fault is None else fault.data.decode("latin-1")

    def _say_outcome(self, command: CommandLine, fault: Fault, now: float) -> None:
        form = _OUTCOME_FORMS.get(command.name)
        if form is None:
            return
        fields = command.tail.split(",")
        socket_id = fields[1].strip() if len(fields) > 1 else "0"
        code = fault.code if fault.code is not None else 550
        text = form.format(id=socket_id, code=code, dns=self._module.model.dns_prefix)
        self._module.timers.add(now + fault.delay, lambda at: self._module.output.urc(text, at))

    def _happen(self, fault: Fault, now: float) -> None:
        _HAPPENINGS[fault.action](self._module, fault, now)


def _filter_bytes(module: Module, fault: Fault, now: float) -> None:
    direction = module.uart.inbound if fault.direction == "up" else module.uart.outbound
    change = byte_filter(fault)

    def run(data: bytes) -> bytes:
        changed, is_done = change(data)
        if is_done:
            direction.filters.remove(run)
        return changed

    direction.filters.append(run)


def _break_socket(module: Module, fault: Fault, now: float) -> None:
    entry = module.sockets.table.get(fault.socket_id)
    if entry is not None and entry.service == "TCP":
        module.sockets.break_one(entry, now)


def _forget_socket(module: Module, fault: Fault, now: float) -> None:
    entry = module.sockets.table.get(fault.socket_id)
    if entry is not None:
        module.sockets.forget(entry, fault.code, now)


def _hang_up(module: Module, fault: Fault, now: float) -> None:
    module.is_hung_up = True


def _restart(module: Module, fault: Fault, now: float) -> None:
    module.restart(now)


def _deregister(module: Module, fault: Fault, now: float) -> None:
    module.life.lose_registration(now)


def _register(module: Module, fault: Fault, now: float) -> None:
    module.life.attach(now)


def _readdress(module: Module, fault: Fault, now: float) -> None:
    module.life.change_address(now)


def _emit(module: Module, fault: Fault, now: float) -> None:
    module.output.put(fault.data, now)


_HAPPENINGS: dict[str, Callable[[Module, Fault, float], None]] = {
    "drop": _filter_bytes,
    "insert": _filter_bytes,
    "garble": _filter_bytes,
    "closed": _break_socket,
    "forget": _forget_socket,
    "hang_up": _hang_up,
    "restart": _restart,
    "deregister": _deregister,
    "register": _register,
    "readdress": _readdress,
    "emit": _emit,
}
