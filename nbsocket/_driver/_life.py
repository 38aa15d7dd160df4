"""The scripts of the module's life: bring-up, attaching, getting back in step, going to sleep and waking up."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from contextlib import suppress
from errno import EIO, ENODEV
from typing import Any, NamedTuple, TypeVar

from nbsocket._at import (
    AT,
    ATE0,
    ATQ0,
    ATV1,
    CEREG,
    CFUN,
    CMEE,
    CPSMS,
    QICFG,
    QICLOSE,
    QSCLK,
    CEREGRead,
    CFUNRead,
    CGAUTHRead,
    CGDCONTRead,
    CloseOk,
    CMEERead,
    Command,
    CPSMSRead,
    DataFormat,
    FinalResult,
    QICFGRead,
    QISTATERead,
    QSCLKRead,
    RegistrationStatus,
    SocketStatus,
)
from nbsocket._dataclass import dataclass
from nbsocket._driver._access import wanted_context, wanted_credentials
from nbsocket._driver._network import SIM_ERRORS
from nbsocket._driver._requests import BUSY_RESULTS, checked
from nbsocket._driver._script import Await, Pause, SetRate, Steps, Unanswered, Write
from nbsocket._driver._settings import COMMON_RATES, SEARCH_ORDER, Settings
from nbsocket._errors import make_error

__all__ = [
    "PROBES_FIXED",
    "PROBES_SEARCHING",
    "Found",
    "LineState",
    "bring_up",
    "catch_up",
    "come_back",
    "configure_again",
    "probe",
    "wake",
    "way_back",
]

T = TypeVar("T")

#: Tries at one rate. A module that boots needs about 8 s, one that sleeps loses the first command.
PROBES_FIXED = 8
PROBES_SEARCHING = 3
PROBES_AGAIN = 2
#: The same when it answers ERROR, twice a second: for longer than any boot.
PROBES_BOOTING = 40

#: Seconds that the first three AT may take, and those after them: a slow module that refuses what comes before it has
#: answered the last one would refuse for ever.
PATIENCE, MORE_PATIENCE = 1.0, 2.5
#: Seconds for each AT in turn, to a module that sleeps: two in a row follow soon, before it sleeps again; others have
#: the time of a slow answer. After a refusal it is that: a strict module refuses what comes before it has answered.
WAKING_PATIENCE = (PATIENCE, PATIENCE, PATIENCE, MORE_PATIENCE, PATIENCE, MORE_PATIENCE, MORE_PATIENCE)
#: Seconds for the last AT of all at a rate: as long as any answer may take (BC260Y-CN TCP/IP guide 1.1 §2.3).
LAST_PATIENCE = 5.0
#: Seconds for the first AT at a rate that is seldom met: a port where nothing answers is to be told of soon.
HASTE = 0.6

#: How often, and after how many seconds, a command that got a result of :data:`BUSY_RESULTS` is given again.
BUSY_TRIES, BUSY_PAUSE = 6, 1.0

#: The same while the module starts: SIM busy (TS 27.007 §9.2), seen for the first seconds after boot.
STARTING_RESULTS = frozenset({14})
STARTING_TRIES = 21

#: Times that sockets of an earlier program are looked for while some of them refuse to be closed; and the result that
#: says that a socket is closed.
ORPHAN_ROUNDS, CLOSED_RESULT = 2, 567

#: Times that a question is asked when its answer is garbled, or missing.
QUESTION_TRIES = 3

#: The try in a row without an answer at which :func:`probe` turns results on again: another program may have turned
#: them off (ATQ1).
QUIET_TRY = 5

#: Times that a module which may be switching its radio on is asked for its mode; each takes 5 s while it is too busy to
#: tell. Siblings of this module were seen to need 85 s.
RADIO_TRIES = 15

#: Times that results as words are asked for, once numbers were seen: the first may be ignored (see IGNORING_TIME).
WORDS_TRIES = 2

#: Seconds after several AT in which late answers to the first ones may come.
LATE_TIME = 0.3

#: Seconds that the answer which ends those of many AT may take, and how often it is asked for. Not sooner: the second
#: answer would be taken for that of the next command.
MARKER_TIMEOUT = 20.0
MARKER_TRIES = 2
#: The same for a module that has just answered an AT at once. It may ignore what comes within a second of its last
#: answer, as one that has just registered was seen to do.
QUICK_MARKER_TIMEOUT, IGNORING_TIME = 3.0, 1.2

#: Times that a module is woken whose answer to what ends its sleep is missing.
WAKING_TRIES = 3

#: What is put right by ATE0.
ECHOED = "commands were echoed (ATE1)"

#: Ends a data mode that somebody left open: Esc cancels one of open length, the CRs fill one of any fixed length and
#: are nothing to a module in command mode. What the peer of that send gets is garbage, so its connection is given up.
ESCAPE = b"\x1b" + b"\r" * 1024


@dataclass(slots=True)
class LineState:
    """What is noticed on the line besides answers; scripts reset what they want to watch."""

    #: A command came back: echo is on.
    has_echo: bool = False
    #: Echo is on whatever is done about it.
    echo_stays: bool = False
    #: A result came as a number: another program has left ATV0.
    is_numeric: bool = False
    #: Lines that came and were none of the module's, or garbled.
    strange_lines: int = 0
    #: An earlier program left sockets open: what it sent last may not have had its outcome yet.
    has_orphans: bool = False
    #: The sleep mode that the module was found in, where it is to be restored.
    sleep_mode: int | None = None
    #: What another program, or a restart, has left otherwise than this driver needs it, in words; it was put right.
    corrected: tuple[str, ...] = ()

    def correct(self, what: str) -> None:
        """Note what is put right, once."""
        if what not in self.corrected:
            self.corrected += (what,)


@dataclass(frozen=True, slots=True)
class _Probe(AT):
    """An AT that is not worth waiting for long: the next one follows."""

    patience: float

    @property
    def timeout(self) -> float:
        return self.patience


@dataclass(frozen=True, slots=True)
class _ProbeQuiet(ATQ0):
    """The same, for a module that may give no results."""

    patience: float

    @property
    def timeout(self) -> float:
        return self.patience


@dataclass(frozen=True, slots=True)
class _ProbeNumeric(ATV1):
    """The same, for a module that gives numbers as results."""

    patience: float

    @property
    def timeout(self) -> float:
        return self.patience


@dataclass(frozen=True, slots=True)
class _RadioAgain(CFUN):
    """The second AT+CFUN=1: so long after the first that the radio is nearly on, if that was understood."""

    @property
    def timeout(self) -> float:
        return 25.0


@dataclass(frozen=True, slots=True)
class _Marker(QICFGRead):
    """A question with an answer of its own: what comes before belongs to earlier commands.

    A slow module may have a dozen of them to answer first.
    """

    patience: float = MARKER_TIMEOUT

    @property
    def timeout(self) -> float:
        return self.patience


@dataclass(frozen=True, slots=True)
class _OtherMarker(CFUNRead):
    """Another one, which tells that whatever was asked before has been answered, or never will be."""

    @property
    def timeout(self) -> float:
        return MARKER_TIMEOUT


def _ask_marker() -> Steps[FinalResult]:
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
    yield from _insist(_OtherMarker())
    yield Pause(IGNORING_TIME)
    last: FinalResult = yield _Marker()
    return last


def _insist_on_marker(
    is_quick: bool = False, refusals: frozenset[int | None] | None = BUSY_RESULTS
) -> Steps[FinalResult]:
    """Ask until it is answered, or refused with another result than these (None: than any)."""
    marker = yield from _ask_quick_marker() if is_quick else _ask_marker()
    for _ in range(BUSY_TRIES - 1):
        if marker.ok or (refusals is not None and marker.code not in refusals):
            break
        # The OK may have been for the command before, and a busy module refuses what comes too soon.
        yield Pause(BUSY_PAUSE)
        marker = yield from _ask_marker()
    return marker


def bring_up(
    settings: Settings, baudrate: int | None, refused: AbstractSet[int], line: LineState, is_again: bool
) -> Steps[frozenset[int]]:
    """Find the module and configure it; return the sockets that an earlier program's are left to.

    Args:
        baudrate: where it was found last, None when it was not.
        refused: the rates that the port turns out to be unable to do.
        is_again: an answer was missing, and may still come.
    """
    line.has_echo = line.echo_stays = False
    tries = yield from _find(settings, baudrate, refused, line)
    marker = (yield from _insist_on_marker()) if is_again or tries > 1 else None
    yield from _end_echo(line)
    yield from _choose_errors(line)
    yield from _choose_sleep(settings, line)
    yield from _set_data_format(settings, line, marker)
    yield from _switch_radio_on(line)
    yield from _set_access_point(settings, line)
    left = yield from _close_orphans(settings.close_orphans, line)
    yield from _accept_echo(settings, line)
    return left


class Found(NamedTuple):
    """What :func:`configure_again` has found out besides."""

    #: None: the module did not tell.
    registration: RegistrationStatus | None
    #: The sockets that the module has, where they were asked for; None: it did not tell.
    rows: list[SocketStatus] | None


def configure_again(settings: Settings, line: LineState, has_restarted: bool) -> Steps[Found]:
    """Put right what the user's own commands, or a restart that was not told, have changed.

    ``has_restarted``: it may have been a restart, so that the sockets are asked for.
    """
    if not (yield from probe(PROBES_FIXED, line=line)):
        raise make_error(ENODEV, "the module has stopped answering", command="AT")
    yield from _end_echo(line)
    yield from _choose_errors(line)
    yield from _set_data_format(settings, line, None)
    registration = yield from _ask(CEREGRead(), line)
    if registration is not None and registration.n == 0:
        yield from _carry_out(CEREG(1))
    rows = (yield from _ask(QISTATERead(), line)) if has_restarted else None
    yield from _accept_echo(settings, line)
    return Found(registration, rows)


def _carry_out(command: Command[Any], refusals: frozenset[int | None] | None = BUSY_RESULTS) -> Steps[FinalResult]:
    """Give a command that does no harm when it is carried out twice; once more where the answer is missing.

    A module that ignores what comes soon after an answer would otherwise ignore the same one of a series each time.
    """
    with suppress(Unanswered):
        answer = yield from _insist(command, refusals)
        return answer
    answer = yield from _insist(command, refusals)
    # It may have been the answer to the first one: then another is still to come.
    yield Pause(IGNORING_TIME)
    yield from _insist_on_marker()
    return answer


def _end_echo(line: LineState) -> Steps[None]:
    if line.has_echo:
        line.correct(ECHOED)
        yield from _carry_out(ATE0(), None)
        line.has_echo = False  # that of ATE0 itself does not count


def _accept_echo(settings: Settings, line: LineState) -> Steps[None]:
    """Where commands still come back ATE0 was lost, or does nothing, or the echo is not the module's."""
    if not line.has_echo:
        return
    yield from _end_echo(line)
    yield from _carry_out(AT())
    line.echo_stays = line.has_echo
    if line.echo_stays:
        line.corrected = tuple(what for what in line.corrected if what != ECHOED)
    if line.echo_stays and not settings.is_hex:
        raise make_error(
            EIO,
            "whatever is sent to the module comes back (echo) and ATE0 does not end it: data_format='raw' needs a line"
            " without echo",
            command="ATE0",
        )


def _choose_errors(line: LineState) -> Steps[None]:
    level = yield from _ask(CMEERead(), line)
    if level != 1:  # it is stored, so that it is not written for nothing
        if level is not None:
            line.correct(f"errors had no numbers (AT+CMEE={level})")
        yield from _carry_out(CMEE(1))


def _choose_sleep(settings: Settings, line: LineState) -> Steps[None]:
    if settings.restore_sleep and line.sleep_mode is None:
        line.sleep_mode = yield from _ask(QSCLKRead(), line)
    yield from _carry_out(QSCLK(0))
    if settings.power == "awake" and not settings.restore_sleep and (yield from _ask(CPSMSRead(), line)):
        # QSCLK=0 keeps the serial port awake, not the radio: with power saving the network cannot reach it.
        yield from _carry_out(CPSMS(0))


def _switch_radio_on(line: LineState) -> Steps[None]:
    mode = yield from _ask(CFUNRead(), line)
    if mode == 1:
        return
    if mode is not None:
        line.correct(f"the radio was off (AT+CFUN={mode})")
    answer: FinalResult | None = None
    for command in (CFUN(1), _RadioAgain(1)):
        with suppress(Unanswered):
            answer = yield from _insist(command)
            break
        # It, or its answer, may have been lost; or it is still at work, and refuses everything else meanwhile.
        yield from _insist_on_marker()
        for _ in range(RADIO_TRIES):
            mode = yield from _ask(CFUNRead(), line)
            if mode == 1:
                return
            if mode is not None:
                break
    if answer is None:
        raise make_error(EIO, "the module does not switch its radio on", command=CFUN(1).line)
    # Without a SIM card everything but the network can be used; what is the matter is told when somebody wants that.
    if answer.code not in SIM_ERRORS:
        checked(answer)


def _ask(
    command: Command[T], line: LineState, refusals: frozenset[int | None] | None = BUSY_RESULTS
) -> Steps[T | None]:
    """Give what the answer says; None when it is refused, or never makes sense.

    It is asked again when there is no answer, or something in it is garbled.
    """
    for attempt in range(1, QUESTION_TRIES + 1):
        strange_lines, is_last = line.strange_lines, attempt == QUESTION_TRIES
        try:
            answer = yield from _insist(command, refusals)
        except Unanswered:
            yield from _insist_on_marker()
            continue
        if not answer.ok:
            return None
        if line.strange_lines != strange_lines and not is_last:
            continue  # a line of the answer may be among them
        with suppress(OSError):
            value: T = checked(answer)
            return value
    return None


def _insist(
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


def _find(settings: Settings, baudrate: int | None, refused: AbstractSet[int], line: LineState) -> Steps[int]:
    """Find the rate; give how often AT was said until it was answered."""
    # The last one found counts more: it may have been changed since.
    known = baudrate or settings.baudrate
    rates: tuple[int, ...] = (known,) if known else SEARCH_ORDER
    strange_lines = line.strange_lines
    for rate in rates:
        yield SetRate(rate)
        is_likely = known or rate in COMMON_RATES
        tries = PROBES_FIXED if known else PROBES_SEARCHING if is_likely else 1
        said = yield from probe(tries, PATIENCE if is_likely else HASTE, line)
        if said:
            return said
    for rate in rates:
        if rate in refused:
            continue
        # It may be in a data mode that an earlier program left, or have been booting all the while.
        yield SetRate(rate)
        yield Write(ESCAPE)
        yield Pause(len(ESCAPE) * 10 / rate)
        is_likely = known or rate in COMMON_RATES
        tries, patience = PROBES_SEARCHING if known else PROBES_AGAIN, PATIENCE if is_likely else HASTE
        said = yield from probe(tries, patience, line, is_quiet=True, last=LAST_PATIENCE if is_likely else patience)
        if said:
            return said + 1
    if (line.strange_lines != strange_lines or settings.power == "psm") and not known:
        # Something speaks at a rate that is seldom met, and may need longer, as a module that wakes up. One that an
        # earlier program of the same kind let sleep may do so without a word.
        for rate in rates:
            if rate in COMMON_RATES or rate in refused:
                continue
            yield SetRate(rate)
            said = yield from probe(PROBES_SEARCHING + 1, PATIENCE, line)
            if said:
                return said + 1
    where = f"at {known} baud" if known else "at any baud rate"
    hint = "is it the right port, and is the module switched on?"
    if line.has_echo:
        hint = "only what is sent comes back (echo): is the module switched on, and does it hear this adapter?"
    raise make_error(ENODEV, f"no module answers AT {where}: {hint}{way_back(refused)}", command="AT")


def way_back(refused: AbstractSet[int]) -> str:
    """Return the sentence that tells how to reach a module whose rate this port cannot do; "" when it can do all."""
    if not refused:
        return ""
    rates = " and ".join(map(str, sorted(refused)))
    return (
        f" This port cannot do {rates} baud: a module that is set to {max(refused)} is reached through a port that "
        f"can, and set back there by: nbsocket --baudrate {max(refused)} baud --set {COMMON_RATES[0]}"
    )


def probe(
    tries: int,
    patience: float = PATIENCE,
    line: LineState | None = None,
    is_quiet: bool = False,
    last: float | None = None,
    is_waking: bool = False,
) -> Steps[int]:
    """Say AT until it answers; return how often it was said, 0 when there was no answer.

    Args:
        line: where it is seen that the answers are numbers; results as words are asked for then.
        is_quiet: begin by asking for results. Otherwise it is done late: a module that does not answer is more often
            one that sleeps, boots, or is slow.
        last: seconds that the last try may take, where it is not as many as for those before it.
        is_waking: it sleeps, and the first AT is lost. See :data:`WAKING_PATIENCE`.
    """
    attempt = silent = words_wanted = 0
    is_heard = is_refused = False
    while attempt < tries:
        attempt += 1
        seconds = patience if attempt <= 3 else MORE_PATIENCE
        if is_waking:
            seconds = MORE_PATIENCE if is_refused else WAKING_PATIENCE[(attempt - 1) % len(WAKING_PATIENCE)]
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
                # It answers, late or in numbers: the rate is right, and is not left for want of patience.
                is_heard, patience, last = True, max(patience, PATIENCE), LAST_PATIENCE
                tries = max(tries, attempt + PROBES_SEARCHING)
            continue
        silent = words_wanted = 0
        is_refused = True
        if answer.ok:
            if attempt > 1:
                # Late answers to the earlier ones may still come.
                yield Pause(LATE_TIME)
            return attempt
        # A module that boots answers ERROR for a while; whatever it answers, the rate is right.
        tries = max(tries, PROBES_BOOTING)
        yield Pause(0.5)
    return 0


def _set_data_format(settings: Settings, line: LineState, marker: FinalResult | None) -> Steps[None]:
    """Write the formats when they are different; ``marker`` is an answer that tells them already."""
    have: DataFormat | None = None
    if marker is not None and marker.ok:
        with suppress(OSError):
            have = checked(marker)
    if have is None:
        have = yield from _ask_data_format(line)
    if (have.send_hex, have.receive_hex) != (settings.is_hex, settings.is_hex):
        line.correct(f'payload crossed otherwise (AT+QICFG="dataformat",{have.send_hex:d},{have.receive_hex:d})')
        checked((yield from _carry_out(QICFG(settings.is_hex, settings.is_hex))))


def _ask_data_format(line: LineState) -> Steps[DataFormat]:
    for _ in range(QUESTION_TRIES - 1):
        answer = yield from _insist(QICFGRead(), None, 2.0)
        if not answer.ok and answer.code in STARTING_RESULTS:
            checked(answer)
        if not answer.ok:
            raise make_error(
                EIO, 'the module does not know AT+QICFG="dataformat": is it a BC260Y-CN?', command=QICFGRead().line
            )
        with suppress(OSError):
            have: DataFormat = checked(answer)
            return have
    last: DataFormat = checked((yield QICFGRead()))
    return last


def _set_access_point(settings: Settings, line: LineState) -> Steps[None]:
    if settings.apn is not None or settings.pdp_type is not None:
        rows = yield from _ask(CGDCONTRead(), line)
        if rows is None and settings.apn is None:
            raise make_error(
                EIO, "the module does not tell its access point: pdp_type needs apn as well", command=CGDCONTRead().line
            )
        context = wanted_context(rows, settings.apn, settings.pdp_type)
        if context is not None:
            checked((yield from _insist(context)))
    if settings.apn_user is not None and settings.apn_password is not None:
        have = yield from _ask(CGAUTHRead(), line)
        credentials = wanted_credentials(have, settings.apn_user, settings.apn_password)
        if credentials is not None:
            checked((yield from _insist(credentials)))


def _close_orphans(is_wanted: bool, line: LineState) -> Steps[frozenset[int]]:
    """Sockets survive a restart of the host: close what an earlier program left open, or return what it was."""
    for _ in range(ORPHAN_ROUNDS):
        ids = yield from _ask_sockets(line)
        line.has_orphans |= bool(ids)
        if not is_wanted:
            return frozenset(ids)
        are_closed = True
        for socket_id in ids:
            are_closed &= yield from _close_orphan(socket_id)
        if are_closed:
            break
        yield Pause(BUSY_PAUSE)
    return frozenset()


def _ask_sockets(line: LineState) -> Steps[list[int]]:
    rows = yield from _ask(QISTATERead(), line, None)
    # Where it is not told, what is in the way of an opening is found out then.
    return [row.socket_id for row in rows or ()]


def _close_orphan(socket_id: int) -> Steps[bool]:
    """Close a socket; return whether it certainly is."""
    for _ in range(2):
        closing: FinalResult = yield QICLOSE(socket_id)
        if closing.ok:
            return (yield Await((CloseOk,), 5.0)) is not None
        if closing.code == CLOSED_RESULT:
            return True
    return False


def come_back(wants_hex: bool, line: LineState) -> Steps[bool]:
    """Get back in step after a missing answer; False: the module has forgotten its configuration.

    The module may be waiting for payload, whatever it did not answer: it may have said ERROR to a data-mode send and
    not meant it, or made one out of a command that was hurt on the line.

    A bare OK may be anybody's, so the last word is an answer that only this question can have.
    """
    tries = yield from probe(2, line=line)
    is_quick = tries == 1
    if not tries:
        yield Write(ESCAPE)
        tries = yield from probe(PROBES_FIXED, line=line)
    if not tries:
        raise make_error(ENODEV, "the module has stopped answering", command="AT")
    marker = yield from _insist_on_marker(is_quick, None)
    if not marker.ok:
        return False
    have = checked(marker)
    return (have.send_hex, have.receive_hex) == (wants_hex, wants_hex)


def wake(line: LineState) -> Steps[None]:
    """End sleep: the first command is lost, or late. Source: BC260Y-CN TCP/IP guide 1.1 §4.3.9."""
    for attempt in range(WAKING_TRIES - 1):
        with suppress(Unanswered):
            yield from _wake(line, is_slow=attempt > 0)
            return
    yield from _wake(line, is_slow=True)


def _wake(line: LineState, is_slow: bool) -> Steps[None]:
    """``is_slow``: it may ignore what comes too soon after an answer, and sleep again soon."""
    tries = yield from probe(PROBES_FIXED, line=line, is_waking=True)
    if not tries:
        raise make_error(ENODEV, "the module does not wake up", command="AT")
    if is_slow:
        yield Pause(IGNORING_TIME - (LATE_TIME if tries > 1 else 0.0))
    checked((yield from _insist(QSCLK(0))))
    yield from catch_up(tries)


def catch_up(tries: int) -> Steps[None]:
    """After several AT: a module that is only slow has said every OK so far to the one before; end that."""
    if tries > 1:
        yield from _ask_marker()
