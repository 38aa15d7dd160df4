"""Scripts: activities of several commands, written as generators.

A script yields steps and gets their outcomes: a ``Command`` gives its ``FinalResult`` (of whatever kind: the
script decides what it means), ``Pause`` and ``Await`` give the event or None when their time has passed, ``SetRate``,
``Write`` and ``Report`` give None. When a command is not answered at all, :class:`Unanswered` is raised at the yield.
What the script returns is its value; an exception that leaves it is its failure, so that it ends in any case. A script
owns no clock and sends nothing: the driver runs the steps when their turn comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from contextlib import suppress
from errno import EIO, ETIMEDOUT
from typing import Any, Generic, TypeVar

from nbsocket._at import Command, FinalResult
from nbsocket._dataclass import dataclass
from nbsocket._errors import make_error

__all__ = [
    "QUESTION_TRIES",
    "Await",
    "Pause",
    "Report",
    "Script",
    "SetRate",
    "Step",
    "Steps",
    "Unanswered",
    "Write",
    "asked",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Leave the line alone for so many seconds, or until one of these events, which nothing makes due, comes."""

    seconds: float
    kinds: tuple[type, ...] = ()


@dataclass(frozen=True, slots=True)
class Await:
    """Wait for one of these event classes, at most so many seconds. Events since the script began count."""

    kinds: tuple[type, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class SetRate:
    """Switch the serial port to another rate."""

    baudrate: int


@dataclass(frozen=True, slots=True)
class Write:
    """Put these bytes on the line as they are: they are not a command and nothing answers them."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Report:
    """Tell this value to whoever asked, before the script has come to its end."""

    value: object


class Unanswered(Exception):
    """The modem did not answer a command in time."""

    def __init__(self, command: Command[Any]) -> None:
        super().__init__(f"the module did not answer {command.line}")
        self.command = command


Step = Command[Any] | Pause | Await | SetRate | Write | Report
Steps = Generator[Step, Any, T]


#: Times that a question is asked while there is no answer; the caller's time-out may end it sooner.
QUESTION_TRIES = 3


def asked(command: Command[Any]) -> Steps[FinalResult]:
    """Give a question; again where the modem gave no answer: it may have ignored it, coming soon after an answer."""
    for _ in range(QUESTION_TRIES - 1):
        with suppress(Unanswered):
            answer: FinalResult = yield command
            return answer
    last: FinalResult = yield command
    return last


class Script(Generic[T]):
    """A running generator: its step, its mailbox and its outcome."""

    def __init__(self, steps: Steps[T], listens: tuple[type, ...] = ()) -> None:
        """Take the generator; ``listens`` are the event classes that its ``Await`` steps may ask for."""
        self._steps = steps
        self._listens = listens
        self._mailbox: deque[object] = deque()
        self._step: Step | None = None
        self._due: float | None = None
        #: What the script has reported, until the driver takes it.
        self.reports: deque[object] = deque()
        self.is_done = False
        self.value: T | None = None
        self.error: OSError | None = None

    def start(self, now: float) -> None:
        """Run to the first step."""
        self._advance(None, now)

    @property
    def command(self) -> Command[Any] | None:
        """The command that waits for its turn, if the script is at one."""
        return self._step if isinstance(self._step, Command) else None

    @property
    def port_step(self) -> SetRate | Write | None:
        """What the script wants done with the port; to be done and answered at once."""
        return self._step if isinstance(self._step, (SetRate, Write)) else None

    @property
    def is_pausing(self) -> bool:
        """It lets time pass: nothing that it asked for is on its way."""
        return isinstance(self._step, Pause)

    @property
    def deadline(self) -> float | None:
        """When the present pause or wait ends."""
        return self._due

    def respond(self, result: FinalResult | None, now: float) -> None:
        """Give the result of the command that the script waits for, None when the modem gave no answer."""
        command = self.command
        if command is not None:
            self._advance(result, now, None if result is not None else Unanswered(command))

    def port_step_done(self, now: float) -> None:
        """What ``port_step`` wanted was done."""
        self._advance(None, now)

    def take_mail(self) -> list[object]:
        """Return what came and was not asked for, and forget it."""
        mail = list(self._mailbox)
        self._mailbox.clear()
        return mail

    def offer(self, event: object, now: float) -> bool:
        """Take an event if the script listens to its class; return whether it did."""
        if self.is_done or not isinstance(event, self._listens):
            return False
        self._mailbox.append(event)
        self._read_mailbox(now)
        return True

    def handle_timeout(self, now: float) -> None:
        """End a pause or wait whose time has come."""
        if self._due is not None and now >= self._due:
            self._advance(None, now)

    def fail(self, error: OSError) -> None:
        """End the script from outside."""
        self._steps.close()
        self._finish(error=error)

    def _read_mailbox(self, now: float) -> None:
        while isinstance(self._step, (Pause, Await)) and self._step.kinds and self._mailbox:
            event = self._mailbox.popleft()
            if isinstance(event, self._step.kinds):
                self._advance(event, now)

    def _advance(self, outcome: object, now: float, exception: Exception | None = None) -> None:
        self._step, self._due = None, None
        try:
            step = self._steps.send(outcome) if exception is None else self._steps.throw(exception)
            while isinstance(step, Report):
                self.reports.append(step.value)
                step = self._steps.send(None)
        except StopIteration as stop:
            self._finish(value=stop.value)
            return
        except Unanswered as error:
            self._finish(error=_silence(error))
            return
        except OSError as error:
            self._finish(error=error)
            return
        except Exception as error:
            # Whatever it is, whoever asked is told, and the next script of its kind has its turn.
            self._finish(error=_crash(error))
            return
        self._step = step
        if isinstance(step, (Pause, Await)):
            self._due = now + step.seconds
        self._read_mailbox(now)

    def _finish(self, value: T | None = None, error: OSError | None = None) -> None:
        self.is_done, self.value, self.error = True, value, error
        self._step, self._due = None, None
        self._mailbox.clear()


def _crash(error: Exception) -> OSError:
    failure = make_error(EIO, f"internal error: {error!r}")
    failure.__cause__ = error
    return failure


def _silence(error: Unanswered) -> OSError:
    return make_error(ETIMEDOUT, str(error), command=error.command.line)
