"""Commands that are given until they are carried out, and questions whose answer can be nobody else's."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TypeVar

from nbsocket._at import (
    CFUNRead,
    Command,
    FinalResult,
    QICFGRead,
)
from nbsocket._dataclass import dataclass
from nbsocket._driver._requests import BUSY_RESULTS, checked
from nbsocket._driver._script import QUESTION_TRIES, Pause, Steps, Unanswered

T = TypeVar("T")

#: How often, and after how many seconds, a command that got a result of :data:`BUSY_RESULTS` is given again.
BUSY_TRIES, BUSY_PAUSE = 6, 1.0

#: The same while the modem starts: SIM busy (TS 27.007 §9.2), seen for the first seconds after boot.
STARTING_RESULTS = frozenset({14})

STARTING_TRIES = 21

#: Seconds that the answer which ends those of many AT may take, and how often it is asked for. Not sooner: the second
#: answer would be taken for that of the next command.
MARKER_TIMEOUT = 20.0

MARKER_TRIES = 2

#: The same for a modem that has just answered an AT at once. It may ignore what comes within a second of its last
#: answer, as one that has just registered was seen to do.
QUICK_MARKER_TIMEOUT, IGNORING_TIME = 3.0, 1.2


@dataclass(slots=True)
class LineState:
    """What is noticed on the line besides answers; scripts reset what they want to watch."""

    #: A command came back: echo is on.
    has_echo: bool = False
    #: Echo is on whatever is done about it.
    echo_stays: bool = False
    #: A result came as a number: another program has left ATV0.
    is_numeric: bool = False
    #: Lines that came and were none of the modem's, or garbled.
    strange_lines: int = 0
    #: An earlier program left sockets open: what it sent last may not have had its outcome yet.
    has_orphans: bool = False
    #: The sleep mode that the modem was found in, where it is to be restored.
    sleep_mode: int | None = None
    #: What another program, or a restart, has left otherwise than this driver needs it, in words; it was put right.
    corrected: tuple[str, ...] = ()

    #: The answer to ATI, where it names none of the models that are known.
    unknown_model: str | None = None

    def correct(self, what: str) -> None:
        """Note what is put right, once."""
        if what not in self.corrected:
            self.corrected += (what,)


@dataclass(frozen=True, slots=True)
class _Marker(QICFGRead):
    """A question with an answer of its own: what comes before belongs to earlier commands.

    A slow modem may have a dozen of them to answer first.
    """

    seconds: float = MARKER_TIMEOUT

    @property
    def timeout(self) -> float:
        return self.seconds


@dataclass(frozen=True, slots=True)
class _OtherMarker(CFUNRead):
    """Another one, which tells that whatever was asked before has been answered, or never will be."""

    @property
    def timeout(self) -> float:
        return MARKER_TIMEOUT


def ask_marker() -> Steps[FinalResult]:
    for _ in range(MARKER_TRIES - 1):
        with suppress(Unanswered):
            answer: FinalResult = yield _Marker()
            return answer
    last: FinalResult = yield _Marker()
    return last


def _ask_quick_marker() -> Steps[FinalResult]:
    """Ask once for a short time, and then another question: its answer tells that the first one's is out, or lost.

    None of the late answers can be taken for its own: neither question takes OK alone.
    """
    with suppress(Unanswered):
        answer: FinalResult = yield _Marker(QUICK_MARKER_TIMEOUT)
        return answer
    yield from insist(_OtherMarker())
    yield Pause(IGNORING_TIME)
    last: FinalResult = yield _Marker()
    return last


def insist_on_marker(
    is_quick: bool = False, refusals: frozenset[int | None] | None = BUSY_RESULTS
) -> Steps[FinalResult]:
    """Ask until it is answered, or refused with another result than these (None: than any)."""
    marker = yield from _ask_quick_marker() if is_quick else ask_marker()
    for _ in range(BUSY_TRIES - 1):
        if marker.ok or (refusals is not None and marker.code not in refusals):
            break
        # The OK may have been for the command before, and a busy modem refuses what comes too soon.
        yield Pause(BUSY_PAUSE)
        marker = yield from ask_marker()
    return marker


def ask(command: Command[T], line: LineState, refusals: frozenset[int | None] | None = BUSY_RESULTS) -> Steps[T | None]:
    """Give what the answer says; None when it is refused, or never makes sense.

    It is asked again when there is no answer, or something in it is garbled.
    """
    for attempt in range(1, QUESTION_TRIES + 1):
        strange_lines, is_last = line.strange_lines, attempt == QUESTION_TRIES
        try:
            answer = yield from insist(command, refusals)
        except Unanswered:
            yield from insist_on_marker()
            continue
        if not answer.ok:
            return None
        if line.strange_lines != strange_lines and not is_last:
            continue  # a line of the answer may be among them
        with suppress(OSError):
            value: T = checked(answer)
            return value
    return None


def insist(
    command: Command[Any], refusals: frozenset[int | None] | None = BUSY_RESULTS, pause: float = BUSY_PAUSE
) -> Steps[FinalResult]:
    """Give a command until it is carried out, or refused with another result than these (None: than any)."""
    answer: FinalResult = yield command
    tries = 1
    while not answer.ok:
        is_starting = answer.code in STARTING_RESULTS
        if not is_starting and refusals is not None and answer.code not in refusals:
            break
        if tries >= (STARTING_TRIES if is_starting else BUSY_TRIES):
            break
        yield Pause(BUSY_PAUSE if is_starting else pause)
        answer = yield command
        tries += 1
    return answer
