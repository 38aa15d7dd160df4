"""The command in progress, from its CR to its final result (AT+QISEND: to SEND OK or SEND FAIL).

One command at a time: what the host types meanwhile waits in the input, or is answered ERROR in strict mode.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ._command import CME_TEXTS, GENERAL_ERROR, LATER, CommandLine, ResultError, parse_line
from ._commands_general import run_basic
from ._input import DataMode
from ._output import RESULTS
from ._uart import BITS_PER_BYTE

if TYPE_CHECKING:
    from ._module import Module

#: Command lines that are remembered for tests to look at.
MAX_COMMANDS = 10_000

#: From the last byte of an OK to the restart or the new baud rate that it announces.
AFTER_ANSWER_DELAY = 0.01

#: What a command gets that the firmware lacks, by the option: a bare ERROR, or these numbers as AT+CMEE asks for it.
_UNKNOWN = {"error": None, "100": 100, "4": 4}

#: Commands that make the modem send something at once (AT+QISEND does when it has its data).
_NETWORK_COMMANDS = frozenset({"+QIOPEN", "+QICLOSE", "+QIDNSGIP", "+QDNSGIP", "+QPING", "+QNTP", "+QNTPT", "+CGATT"})


class CommandExecution:
    """Carries out one command after the other, each by its handler, and says what becomes of it."""

    def __init__(self, module: Module, now: float) -> None:
        self._module = module
        #: the last MAX_COMMANDS command lines in the order they came, without their CR
        self.lines: deque[str] = deque(maxlen=MAX_COMMANDS)
        self.line_count = 0
        self.cmee = module.options.cmee
        #: of the last command that failed, 0: none did
        self.last_error = 0
        #: a command is unfinished
        self.is_busy = False
        #: it takes its payload
        self.data_mode: DataMode | None = None
        #: until when further sends are refused, and with which error: one is carried out late
        self.sends_refused: tuple[float, int] | None = None
        self._deaf_until = now
        self._generation = 0

    # ---- begin

    def accept(self, line: str, is_too_long: bool, now: float) -> None:
        """Begin the command of a line that is complete."""
        module = self._module
        command = parse_line(line)
        if command is None:
            return
        self.lines.append(line)
        self.line_count += 1
        if module.life.is_booting:
            if module.options.boot_answer == "ERROR":
                module.output.put(module.output.frame(b"ERROR"), now)
            return
        if now < self._deaf_until:
            return
        if self.is_busy:  # only in strict mode
            module.output.put(module.output.frame(b"ERROR"), now)
            return
        self.is_busy = True
        self.after(module.options.answer_delay, now, lambda at: self._execute(command, line, is_too_long, at))

    def _execute(self, command: CommandLine, line: str, is_too_long: bool, now: float) -> None:
        generation = self._generation
        self._module.faults.meet(line, now)
        if generation != self._generation or not self._module.faults.begin(command, now):
            return
        try:
            if is_too_long:
                raise ResultError(GENERAL_ERROR)
            self._run(command, now)
        except ResultError as error:
            self.finish_error(error.code, now)

    def _run(self, command: CommandLine, now: float) -> None:
        module = self._module
        if not command.name.startswith("+"):
            lines = run_basic(module, command.name, now)
        else:
            if command.name.removeprefix("+") in module.options.unknown_commands:
                raise ResultError(_UNKNOWN[module.options.unknown_answer])
            handlers = module.table.get(command.name)
            handler = None if handlers is None else handlers.get(command.form)
            if handler is None:
                raise ResultError(100 if handlers is None else 4)
            module.life.check_sim(command.name, now)
            if command.name in _NETWORK_COMMANDS:
                module.saving.traffic(now)
            lines = handler(module, command.tail, now)
        if lines is LATER:
            return
        for text in lines:
            self.answer(text, now)
        self.finish("OK", now)

    # ---- answer

    def answer(self, text: str, now: float) -> None:
        """Say a line of the current command's answer; a fault may hold it back."""
        self._say(text, now, is_final=False)

    def _say(self, text: str, now: float, is_final: bool) -> None:
        output, fault = self._module.output, self._module.faults.current
        is_result = text in RESULTS or text.startswith("+CME ERROR")
        data = output.result(text) if is_result else output.frame(text.encode("latin-1"))
        if fault is not None and fault.is_silent(is_final):
            return
        if fault is not None and fault.is_late(is_final):
            self.after(fault.delay, now, lambda at: output.put(data, at))
        else:
            output.put(data, now)

    def show_prompt(self, prompt: bytes, now: float) -> None:
        """Ask for the payload."""
        fault = self._module.faults.current
        if fault is None or not fault.is_silent(is_final=False):
            self._module.output.put(prompt, now)

    def end_data_mode(self, now: float) -> None:
        """Back to commands; URCs that were held come out."""
        self.data_mode = None
        self._module.output.release(now)

    # ---- end

    def finish(self, text: str, now: float) -> None:
        """Say the final result; the next command may come."""
        fault = self._module.faults.current
        self._say(text, now, is_final=True)
        self._deaf_until = now + self._module.options.deaf_time
        if fault is not None and fault.is_late(is_final=True):
            self.after(fault.delay, now, self.drop)
        else:
            self.drop(now)

    def finish_error(self, code: int | None, now: float) -> None:
        """Say the error, in the words AT+CMEE asks for."""
        self.last_error = code or 0
        is_plain = code is None or self.cmee == 0 or (code >= 500 and self._module.options.errors == "plain")
        if is_plain:
            self.finish("ERROR", now)
        else:
            assert code is not None
            self.finish(f"+CME ERROR: {code if self.cmee == 1 else CME_TEXTS.get(code, 'unknown')}", now)

    def drop(self, now: float) -> None:
        """Be done with the current command, without a word."""
        self.is_busy = False
        self._module.faults.current = None
        self._module.life.touch(now)

    def forget(self) -> None:
        """Forget everything about the command in progress (a boot)."""
        self._generation += 1
        self.data_mode = None
        self.is_busy = False
        self.sends_refused = None
        self._module.faults.current = None

    # ---- later

    def after(self, delay: float, now: float, action: Callable[[float], None]) -> None:
        """Do a step later, unless the modem restarts first; at once, when ``delay`` is 0."""
        generation = self._generation

        def run(at: float) -> None:
            if generation == self._generation:
                action(at)

        if delay:
            self._module.timers.add(now + delay, run)
        else:
            action(now)

    def after_answer(self, now: float, action: Callable[[float], None]) -> None:
        """Do something once what was said so far is through, at the present rate."""
        outbound = self._module.uart.outbound
        wait = len(outbound) * BITS_PER_BYTE / outbound.rate if outbound.rate else 0.0
        self.after(wait + AFTER_ANSWER_DELAY, now, action)
