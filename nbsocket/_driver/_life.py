"""The scripts of the modem's life: bring-up, attaching, getting back in step, going to sleep and waking up."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from contextlib import suppress
from errno import EIO, ENODEV, ENOTSUP
from typing import Any, NamedTuple

from nbsocket._at import (
    AT,
    ATE0,
    ATI,
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
    QICFGViewRead,
    QISTATERead,
    QSCLKRead,
    RegistrationStatus,
    SocketStatus,
)
from nbsocket._driver._access import wanted_context, wanted_credentials
from nbsocket._driver._firmware import Firmware
from nbsocket._driver._insist import (
    BUSY_PAUSE,
    IGNORING_TIME,
    STARTING_RESULTS,
    LineState,
    ask,
    insist,
    insist_on_marker,
)
from nbsocket._driver._network import SIM_ERRORS, RadioOn
from nbsocket._driver._probe import (
    LAST_TIMEOUT,
    LATE_TIME,
    PROBE_TIMEOUT,
    PROBES_AGAIN,
    PROBES_FIXED,
    PROBES_SEARCHING,
    SHORT_TIMEOUT,
    catch_up,
    probe,
)
from nbsocket._driver._requests import BUSY_RESULTS, checked
from nbsocket._driver._script import QUESTION_TRIES, Await, Pause, SetRate, Steps, Unanswered, Write
from nbsocket._driver._settings import COMMON_RATES, SEARCH_ORDER, Settings
from nbsocket._errors import make_error

__all__ = ["Found", "bring_up", "come_back", "configure_again", "wake", "way_back"]


#: Times that sockets of an earlier program are looked for while some of them refuse to be closed; and the result that
#: says that a socket is closed.
ORPHAN_ROUNDS, CLOSED_RESULT = 2, 567


#: Times that a modem which may be switching its radio on is asked for its mode; each takes 5 s while it is too busy to
#: tell. Siblings of this modem were seen to need 85 s.
RADIO_TRIES = 15


#: Times that a modem is woken whose answer to what ends its sleep is missing.
WAKING_TRIES = 3

#: What is put right by ATE0.
ECHOED = "commands were echoed (ATE1)"

#: Ends a data mode that somebody left open: Esc cancels one of open length, the CRs fill one of any fixed length and
#: are nothing to a modem in command mode. What the peer of that send gets is garbage, so its connection is given up.
ESCAPE = b"\x1b" + b"\r" * 1024


def bring_up(
    settings: Settings,
    firmware: Firmware,
    baudrate: int | None,
    refused: AbstractSet[int],
    line: LineState,
    is_again: bool,
) -> Steps[frozenset[int]]:
    """Find the modem and configure it; return the sockets that an earlier program's are left to.

    Args:
        settings: how it is to be used.
        firmware: what is known of it.
        baudrate: where it was found last, None when it was not.
        refused: the rates that the port turns out to be unable to do.
        line: what is noticed on the line.
        is_again: an answer was missing, and may still come.
    """
    line.has_echo = line.echo_stays = False
    tries = yield from _find(settings, baudrate, refused, line)
    marker = (yield from insist_on_marker()) if is_again or tries > 1 else None
    yield from _end_echo(line)
    yield from _identify(firmware, line)
    yield from _choose_errors(line)
    yield from _choose_sleep(settings, firmware, line)
    yield from _set_data_format(settings, firmware, line, marker)
    yield from _switch_radio_on(line, firmware)
    yield from _set_access_point(settings, line)
    left = yield from _close_orphans(settings.close_orphans, line)
    yield from _accept_echo(settings, line)
    return left


class Found(NamedTuple):
    """What :func:`configure_again` has found out besides."""

    #: None: the modem did not tell.
    registration: RegistrationStatus | None
    #: The sockets that the modem has, where they were asked for; None: it did not tell.
    rows: list[SocketStatus] | None


def configure_again(settings: Settings, firmware: Firmware, line: LineState, has_restarted: bool) -> Steps[Found]:
    """Put right what the user's own commands, or a restart that was not told, have changed.

    ``has_restarted``: it may have been a restart, so that the sockets are asked for.
    """
    if not (yield from probe(PROBES_FIXED, line=line)):
        raise make_error(ENODEV, "the module has stopped answering", command="AT")
    yield from _end_echo(line)
    yield from _identify(firmware, line)
    yield from _choose_errors(line)
    yield from _set_data_format(settings, firmware, line, None)
    registration = yield from ask(CEREGRead(), line)
    if registration is not None and registration.n == 0:
        yield from _carry_out(CEREG(1))
    rows = (yield from ask(QISTATERead(), line)) if has_restarted else None
    yield from _accept_echo(settings, line)
    return Found(registration, rows)


def _carry_out(command: Command[Any], refusals: frozenset[int | None] | None = BUSY_RESULTS) -> Steps[FinalResult]:
    """Give a command that does no harm when it is carried out twice; once more where the answer is missing.

    A modem that ignores what comes soon after an answer would otherwise ignore the same one of a series each time.
    """
    with suppress(Unanswered):
        answer = yield from insist(command, refusals)
        return answer
    answer = yield from insist(command, refusals)
    # It may have been the answer to the first one: then another is still to come.
    yield Pause(IGNORING_TIME)
    yield from insist_on_marker()
    return answer


def _end_echo(line: LineState) -> Steps[None]:
    if line.has_echo:
        line.correct(ECHOED)
        yield from _carry_out(ATE0(), None)
        line.has_echo = False  # that of ATE0 itself does not count


def _accept_echo(settings: Settings, line: LineState) -> Steps[None]:
    """Where commands still come back ATE0 was lost, or does nothing, or the echo is not the modem's."""
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


def _identify(firmware: Firmware, line: LineState) -> Steps[None]:
    """Ask which model it is, where that is not known. Without an answer it is asked again at the next bring-up."""
    if firmware.is_known:
        return
    for _ in range(QUESTION_TRIES):
        strange_lines = line.strange_lines
        try:
            answer = yield from insist(ATI(), BUSY_RESULTS - {None})
        except Unanswered:
            # It may ignore what comes soon after an answer.
            yield from insist_on_marker()
            yield Pause(IGNORING_TIME)
            continue
        lines: list[str] = checked(answer) if answer.ok else []
        if lines and line.strange_lines == strange_lines:
            if firmware.identify(lines):
                line.unknown_model = " ".join(lines)
            return
        # Garbled, or refused: the command may have been hurt on the line.
    line.unknown_model = "no answer to ATI"


def _choose_errors(line: LineState) -> Steps[None]:
    level = yield from ask(CMEERead(), line)
    if level != 1:  # it is stored, so that it is not written for nothing
        if level is not None:
            line.correct(f"errors had no numbers (AT+CMEE={level})")
        yield from _carry_out(CMEE(1))


def _choose_sleep(settings: Settings, firmware: Firmware, line: LineState) -> Steps[None]:
    if settings.power == "psm" and not firmware.profile.wakes_by_uart:
        raise make_error(
            ENOTSUP,
            f"power='psm' cannot be used with a {firmware.profile.models[0]}: only a pin wakes it",
        )
    if settings.restore_sleep and line.sleep_mode is None:
        line.sleep_mode = yield from ask(QSCLKRead(), line)
    yield from _carry_out(QSCLK(0))
    if settings.power == "awake" and not settings.restore_sleep and (yield from ask(CPSMSRead(), line)):
        # QSCLK=0 keeps the serial port awake, not the radio: with power saving the network cannot reach it.
        yield from _carry_out(CPSMS(0))


def _switch_radio_on(line: LineState, firmware: Firmware) -> Steps[None]:
    mode = yield from ask(CFUNRead(), line)
    if mode == 1:
        return
    if mode is not None:
        line.correct(f"the radio was off (AT+CFUN={mode})")
    answer: FinalResult | None = None
    for command in (CFUN(1), RadioOn(1, firmware.profile.radio_timeout)):
        with suppress(Unanswered):
            answer = yield from insist(command)
            break
        # It, or its answer, may have been lost; or it is still at work, and refuses everything else meanwhile.
        yield from insist_on_marker()
        for _ in range(RADIO_TRIES):
            mode = yield from ask(CFUNRead(), line)
            if mode == 1:
                return
            if mode is not None:
                break
    if answer is None:
        raise make_error(EIO, "the module does not switch its radio on", command=CFUN(1).line)
    # Without a SIM card everything but the network can be used; what is the matter is told when somebody wants that.
    if answer.code not in SIM_ERRORS:
        checked(answer)


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
        said = yield from probe(tries, PROBE_TIMEOUT if is_likely else SHORT_TIMEOUT, line)
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
        tries, seconds = PROBES_SEARCHING if known else PROBES_AGAIN, PROBE_TIMEOUT if is_likely else SHORT_TIMEOUT
        said = yield from probe(tries, seconds, line, is_quiet=True, last=LAST_TIMEOUT if is_likely else seconds)
        if said:
            return said + 1
    if (line.strange_lines != strange_lines or settings.power == "psm") and not known:
        # Something speaks at a rate that is seldom met, and may need longer, as a modem that wakes up. One that an
        # earlier program of the same kind let sleep may do so without a word.
        for rate in rates:
            if rate in COMMON_RATES or rate in refused:
                continue
            yield SetRate(rate)
            said = yield from probe(PROBES_SEARCHING + 1, PROBE_TIMEOUT, line)
            if said:
                return said + 1
    where = f"at {known} baud" if known else "at any baud rate"
    hint = "is it the right port, and is the module switched on?"
    if line.has_echo:
        hint = "only what is sent comes back (echo): is the module switched on, and does it hear this adapter?"
    raise make_error(ENODEV, f"no module answers AT {where}: {hint}{way_back(refused)}", command="AT")


def way_back(refused: AbstractSet[int]) -> str:
    """Return the sentence that tells how to reach a modem whose rate this port cannot do; "" when it can do all."""
    if not refused:
        return ""
    rates = " and ".join(map(str, sorted(refused)))
    return (
        f" This port cannot do {rates} baud: a module that is set to {max(refused)} is reached through a port that "
        f"can, and set back there by: nbsocket --baudrate {max(refused)} baud --set {COMMON_RATES[0]}"
    )


def _set_data_format(
    settings: Settings, firmware: Firmware, line: LineState, marker: FinalResult | None
) -> Steps[None]:
    """Write the formats, and how received data is shown, where they are different.

    ``marker`` is an answer that tells the formats already.
    """
    profile = firmware.profile
    have: DataFormat | None = None
    if marker is not None and marker.ok:
        with suppress(OSError):
            have = checked(marker)
    if have is None:
        have = yield from _ask_data_format(line)
    wanted = profile.data_format(settings.is_hex)
    if have != wanted:
        line.correct(f'the data format was another (AT+QICFG="dataformat",{have.send_hex:d},{have.receive_hex:d})')
        checked((yield from _carry_out(QICFG(wanted.send_hex, wanted.receive_hex))))
    for view in profile.view_settings:
        if firmware.lacks(view.read) and firmware.lacks(view.write):
            continue
        value = yield from _ask_view(view.read, firmware)
        if value != view.value:
            if value is not None:
                line.correct(f'how received data is shown was another (AT+QICFG="{view.setting}",{value})')
            # Refused where the firmware has no such setting: then data comes in a shape that is understood as well.
            firmware.note((yield from _carry_out(view.write, BUSY_RESULTS - {None})), is_settled=True)


def _ask_view(command: QICFGViewRead, firmware: Firmware) -> Steps[int | None]:
    """None: it is not told."""
    if firmware.lacks(command):
        return None
    try:
        answer = yield from insist(command, BUSY_RESULTS - {None})
    except Unanswered:
        yield from insist_on_marker()
        return None
    firmware.note(answer, is_settled=True)
    with suppress(OSError):
        value: int = checked(answer)
        return value
    return None


def _ask_data_format(line: LineState) -> Steps[DataFormat]:
    for _ in range(QUESTION_TRIES - 1):
        answer = yield from insist(QICFGRead(), None, 2.0)
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
        rows = yield from ask(CGDCONTRead(), line)
        if rows is None and settings.apn is None:
            raise make_error(
                EIO, "the module does not tell its access point: pdp_type needs apn as well", command=CGDCONTRead().line
            )
        context = wanted_context(rows, settings.apn, settings.pdp_type)
        if context is not None:
            checked((yield from insist(context)))
    if settings.apn_user is not None and settings.apn_password is not None:
        have = yield from ask(CGAUTHRead(), line)
        credentials = wanted_credentials(have, settings.apn_user, settings.apn_password)
        if credentials is not None:
            checked((yield from insist(credentials)))


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
    rows = yield from ask(QISTATERead(), line, None)
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


def come_back(wanted: DataFormat, line: LineState) -> Steps[bool]:
    """Get back in step after a missing answer; False: the modem has forgotten its configuration.

    The modem may be waiting for payload, whatever it did not answer: it may have said ERROR to a data-mode send and
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
    marker = yield from insist_on_marker(is_quick, None)
    if not marker.ok:
        return False
    return bool(checked(marker) == wanted)


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
    checked((yield from insist(QSCLK(0))))
    yield from catch_up(tries)
