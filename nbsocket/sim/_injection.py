"""Carries out the faults that a test asked for: on commands, on bytes, at times."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ._faults import Fault, FaultBook, byte_filter
from ._parser import CommandLine

if TYPE_CHECKING:
    from ._module import Module

#: Faults that are remembered for tests to look at.
MAX_FAULTS = 1000

#: What a command says when it is over, where that is a result code of its own.
_OUTCOMES = {
    "+QIOPEN": "+QIOPEN: {id},{code}",
    "+QIDNSGIP": "+QIDNSGIP: {code}",
    "+QDNSGIP": "+QIDNSGIP: {code}",
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
            self._module.finish("OK", now)
            self._say_outcome(command, fault, now)
            return False
        if fault.action in ("error", "refuse"):
            self.current = None
            self._module.finish_error(fault.code, now)
            if fault.is_carried_out:  # what it would have said is not said any more
                self.current = Fault("silence")
                self._module.is_busy = True
        elif not fault.is_carried_out:
            self._module.drop_command(now)
        return fault.is_carried_out

    def _say_outcome(self, command: CommandLine, fault: Fault, now: float) -> None:
        form = _OUTCOMES.get(command.name)
        if form is None:
            return
        fields = command.tail.split(",")
        socket_id = fields[1].strip() if len(fields) > 1 else "0"
        text = form.format(id=socket_id, code=fault.code if fault.code is not None else 550)
        self._module.timers.add(now + fault.delay, lambda at: self._module.urc(text, at))

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
    module.say_raw(fault.data, now)


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
