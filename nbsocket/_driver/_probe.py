"""AT, again and again, until the modem answers: at one rate, while it boots, sleeps, or is slow."""

from __future__ import annotations

from nbsocket._at import (
    AT,
    ATQ0,
    ATV1,
    Command,
    FinalResult,
)
from nbsocket._dataclass import dataclass
from nbsocket._driver._insist import (
    LineState,
    ask_marker,
)
from nbsocket._driver._script import Pause, Steps, Unanswered

#: Tries at one rate. A modem that boots needs about 8 s, one that sleeps loses the first command.
PROBES_FIXED = 8
PROBES_SEARCHING = 3
PROBES_AGAIN = 2
#: The same when it answers ERROR, twice a second: for longer than any boot.
PROBES_BOOTING = 40

#: Seconds that the first three AT may take, and those after them: a slow modem that refuses what comes before it has
#: answered the last one would refuse for ever.
PROBE_TIMEOUT, LONGER_TIMEOUT = 1.0, 2.5

#: Seconds for each AT in turn, to a modem that sleeps: two in a row follow soon, before it sleeps again; others have
#: the time of a slow answer. After a refusal it is that: a strict modem refuses what comes before it has answered.
WAKING_TIMEOUTS = (
    PROBE_TIMEOUT,
    PROBE_TIMEOUT,
    PROBE_TIMEOUT,
    LONGER_TIMEOUT,
    PROBE_TIMEOUT,
    LONGER_TIMEOUT,
    LONGER_TIMEOUT,
)

#: Seconds for the last AT of all at a rate: as long as any answer may take (BC260Y-CN TCP/IP guide 1.1 §2.3).
LAST_TIMEOUT = 5.0

#: Seconds for the first AT at a rate that is seldom met: a port where nothing answers is to be told of soon.
SHORT_TIMEOUT = 0.6

#: The try in a row without an answer at which :func:`probe` turns results on again: another program may have turned
#: them off (ATQ1).
QUIET_TRY = 5

#: Times that results as words are asked for, once numbers were seen: the first may be ignored (see IGNORING_TIME).
WORDS_TRIES = 2

#: Seconds after several AT in which late answers to the first ones may come.
LATE_TIME = 0.3


@dataclass(frozen=True, slots=True)
class _Probe(AT):
    """An AT that is not worth waiting for long: the next one follows."""

    seconds: float

    @property
    def timeout(self) -> float:
        return self.seconds


@dataclass(frozen=True, slots=True)
class _ProbeQuiet(ATQ0):
    """The same, for a modem that may give no results."""

    seconds: float

    @property
    def timeout(self) -> float:
        return self.seconds


@dataclass(frozen=True, slots=True)
class _ProbeNumeric(ATV1):
    """The same, for a modem that gives numbers as results."""

    seconds: float

    @property
    def timeout(self) -> float:
        return self.seconds


def probe(
    tries: int,
    seconds: float = PROBE_TIMEOUT,
    line: LineState | None = None,
    is_quiet: bool = False,
    last: float | None = None,
    is_waking: bool = False,
) -> Steps[int]:
    """Say AT until it answers; return how often it was said, 0 when there was no answer.

    Args:
        line: where it is seen that the answers are numbers; results as words are asked for then.
        is_quiet: begin by asking for results. Otherwise it is done late: a modem that does not answer is more often
            one that sleeps, boots, or is slow.
        last: seconds that the last try may take, where it is not as many as for those before it.
        is_waking: it sleeps, and the first AT is lost. See :data:`WAKING_TIMEOUTS`.
    """
    attempt = silent = words_wanted = 0
    is_heard = is_refused = False
    while attempt < tries:
        attempt += 1
        seconds = seconds if attempt <= 3 else LONGER_TIMEOUT
        if is_waking:
            seconds = LONGER_TIMEOUT if is_refused else WAKING_TIMEOUTS[(attempt - 1) % len(WAKING_TIMEOUTS)]
        if attempt == tries and last is not None:
            seconds = last
        command: Command[None] = _Probe(seconds)
        if line is not None and line.is_numeric:
            line.is_numeric, words_wanted = False, WORDS_TRIES
            line.correct("results were numbers (ATV0)")
        if words_wanted:
            words_wanted -= 1
            command = _ProbeNumeric(seconds)
            tries = max(tries, attempt + 1)
        elif (is_quiet and attempt == 1) or silent == QUIET_TRY - 1 or is_heard:
            command = _ProbeQuiet(seconds)
        try:
            answer: FinalResult = yield command
        except Unanswered:
            silent += 1
            is_refused = False
            if line is not None and line.is_numeric and not is_heard:
                # It answers, late or in numbers: the rate is right, and is not left for want of time.
                is_heard, seconds, last = True, max(seconds, PROBE_TIMEOUT), LAST_TIMEOUT
                tries = max(tries, attempt + PROBES_SEARCHING)
            continue
        silent = words_wanted = 0
        is_refused = True
        if answer.ok:
            if attempt > 1:
                # Late answers to the earlier ones may still come.
                yield Pause(LATE_TIME)
            return attempt
        # A modem that boots answers ERROR for a while; whatever it answers, the rate is right.
        tries = max(tries, PROBES_BOOTING)
        yield Pause(0.5)
    return 0


def catch_up(tries: int) -> Steps[None]:
    """After several AT: a modem that is only slow has said every OK so far to the one before; end that."""
    if tries > 1:
        yield from ask_marker()
