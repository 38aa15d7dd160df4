"""The scripts of the module's life: bring-up, attaching, getting back in step, going to sleep and waking up."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from errno import EIO, ENODEV
from typing import Any, Literal

from nbsocket._at import (
    AT,
    ATE0,
    CEREG,
    CFUN,
    CGDCONT,
    CMEE,
    QICFG,
    QICLOSE,
    QSCLK,
    CEREGRead,
    CFUNRead,
    CGDCONTRead,
    CloseOk,
    Command,
    FinalResult,
    IpAssigned,
    QICFGRead,
    QISTATERead,
    Registration,
)
from nbsocket._driver._requests import REGISTERED, checked, read_address
from nbsocket._driver._script import Await, Pause, SetRate, Steps, Unanswered, Write
from nbsocket._errors import make_error

__all__ = [
    "PROBES_FIXED",
    "PROBES_SEARCHING",
    "Settings",
    "attach",
    "bring_up",
    "catch_up",
    "come_back",
    "probe",
    "wake",
    "way_back",
]

#: Both are met in the field first; then the rest that AT+IPR can set.
COMMON_RATES = (115200, 9600)
SEARCH_ORDER = (115200, 9600, 57600, 38400, 19200, 4800, 2400, 230400, 460800, 28800, 14400)

#: Tries at one rate. A module that boots needs about 8 s, one that sleeps loses the first command.
PROBES_FIXED = 8
PROBES_SEARCHING = 3
PROBES_AGAIN = 2
#: The same when it answers ERROR, twice a second: for longer than any boot.
PROBES_BOOTING = 40

#: Seconds that the first three AT may take, and those after them: a slow module that refuses what comes before it has
#: answered the last one would refuse for ever.
PATIENCE, MORE_PATIENCE = 1.0, 2.5
#: Seconds for the first AT at a rate that is seldom met: a port where nothing answers is to be told of soon.
HASTE = 0.6

#: Results that say "not now", as firmware without error numbers does with ERROR alone (None); and how often, and after
#: how many seconds, a command that got one is given again.
BUSY_RESULTS = frozenset({None, 551, 564, 568})
BUSY_TRIES, BUSY_PAUSE = 4, 1.0

#: Seconds that the answer which ends those of many AT may take, and how often it is asked for. Not sooner: the second
#: answer would be taken for that of the next command.
MARKER_TIMEOUT = 20.0
MARKER_TRIES = 2

#: Ends a data mode that somebody left open: Esc cancels one of open length, the CRs fill one of any fixed length and
#: are nothing to a module in command mode. What the peer of that send gets is garbage, so its connection is given up.
ESCAPE = b"\x1b" + b"\r" * 1024

#: Seconds between questions about registration; the URCs come in between.
ATTACH_QUERY_INTERVAL = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How the module is to be used."""

    #: ``"hex"``: safe for every byte, no prompt. ``"raw"``: half the bytes on the serial line.
    data_format: Literal["hex", "raw"] = "hex"
    #: Rate of the serial port; None tries them all.
    baudrate: int | None = None
    #: Access point name, set in the module only when different; None leaves it alone.
    apn: str | None = None
    #: ``"awake"``, or ``"psm"`` to let the module sleep when nothing needs it.
    power: Literal["awake", "psm"] = "awake"
    #: Seconds that calls which need the network wait for registration.
    attach_timeout: float = 180.0
    #: Seconds without acknowledgement until a TCP connection is given up (TCP_USER_TIMEOUT overrides it).
    ack_timeout: float = 120.0
    #: Whether sockets that an earlier program left open in the module are closed.
    close_orphans: bool = True
    #: Seconds that a TCP connection waits for a socket of the module when all are in use; 0: it fails at once.
    wait_for_socket: float = 0.0

    def __post_init__(self) -> None:
        if self.data_format not in ("hex", "raw"):
            raise ValueError(f"data_format must be 'hex' or 'raw', not {self.data_format!r}")
        if self.baudrate is not None and self.baudrate not in SEARCH_ORDER:
            raise ValueError(
                f"baudrate must be one of {', '.join(map(str, sorted(SEARCH_ORDER)))}, not {self.baudrate!r}"
            )
        if self.power not in ("awake", "psm"):
            raise ValueError(f"power must be 'awake' or 'psm', not {self.power!r}")
        if not self.attach_timeout > 0 or not self.ack_timeout > 0:
            raise ValueError("attach_timeout and ack_timeout must be positive numbers of seconds")
        if not self.wait_for_socket >= 0:
            raise ValueError(f"wait_for_socket must be 0 or more seconds, not {self.wait_for_socket!r}")
        if self.apn is not None:
            CGDCONT(1, "IP", self.apn)  # refuses what must not reach the wire

    @property
    def is_hex(self) -> bool:
        """Payload travels as hex digits."""
        return self.data_format == "hex"


@dataclass(frozen=True, slots=True)
class _Probe(AT):
    """An AT that is not worth waiting for long: the next one follows."""

    patience: float

    @property
    def timeout(self) -> float:
        return self.patience


@dataclass(frozen=True, slots=True)
class _Marker(QICFGRead):
    """A question with an answer of its own: what comes before belongs to earlier commands.

    A slow module may have a dozen of them to answer first.
    """

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


def bring_up(settings: Settings, baudrate: int | None, refused: AbstractSet[int]) -> Steps[frozenset[int]]:
    """Find the module and configure it; return the sockets that an earlier program's are left to.

    ``baudrate`` is where it was found last, None when it was not; ``refused`` are the rates that the port turns out to
    be unable to do.
    """
    yield from _find(settings, baudrate, refused)
    # Echo would be taken for the sign of a restart.
    yield from _insist(ATE0(), None)
    yield CMEE(1)
    yield QSCLK(0)
    yield from _set_data_format(settings)
    yield CEREG(1)
    radio = yield from _insist(CFUNRead())
    if radio.ok and checked(radio) != 1:
        checked((yield from _insist(CFUN(1))))
    if settings.apn is not None:
        yield from _set_apn(settings.apn)
    return (yield from _close_orphans(settings.close_orphans))


def _insist(
    command: Command[Any], refusals: frozenset[int | None] | None = BUSY_RESULTS, pause: float = BUSY_PAUSE
) -> Steps[FinalResult]:
    """Give a command until it is carried out, or refused with another result than these (None: than any)."""
    answer: FinalResult = yield command
    for _ in range(BUSY_TRIES - 1):
        if answer.ok or (refusals is not None and answer.code not in refusals):
            break
        yield Pause(pause)
        answer = yield command
    return answer


def _find(settings: Settings, baudrate: int | None, refused: AbstractSet[int]) -> Steps[None]:
    # The last one found counts more: it may have been changed since.
    known = baudrate or settings.baudrate
    rates: tuple[int, ...] = (known,) if known else SEARCH_ORDER
    for rate in rates:
        yield SetRate(rate)
        is_likely = known or rate in COMMON_RATES
        tries = PROBES_FIXED if known else PROBES_SEARCHING if is_likely else 1
        if (yield from probe(tries, PATIENCE if is_likely else HASTE)):
            return
    for rate in rates:
        if rate in refused:
            continue
        # It may be in a data mode that an earlier program left, or have been booting all the while.
        yield SetRate(rate)
        yield Write(ESCAPE)
        yield Pause(len(ESCAPE) * 10 / rate)
        if (yield from probe(PROBES_SEARCHING if known else PROBES_AGAIN)):
            return
    where = f"at {known} baud" if known else "at any baud rate"
    raise make_error(
        ENODEV,
        f"no module answers AT {where}: is it the right port, and is the module switched on?{way_back(refused)}",
        command="AT",
    )


def way_back(refused: AbstractSet[int]) -> str:
    """Return the sentence that tells how to reach a module whose rate this port cannot do; "" when it can do all."""
    if not refused:
        return ""
    rates = " and ".join(map(str, sorted(refused)))
    return (
        f" This port cannot do {rates} baud: a module that is set to {max(refused)} is reached through a port that "
        f"can, and set back there by: nbsocket --baudrate {max(refused)} baud --set {COMMON_RATES[0]}"
    )


def probe(tries: int, patience: float = PATIENCE) -> Steps[int]:
    """Say AT until it answers; return how often it was said, 0 when there was no answer."""
    attempt = 0
    while attempt < tries:
        attempt += 1
        try:
            answer: FinalResult = yield _Probe(patience if attempt <= 3 else MORE_PATIENCE)
        except Unanswered:
            continue
        if answer.ok:
            if attempt > 1:
                # Late answers to the earlier ones may still come.
                yield Pause(0.3)
            return attempt
        # A module that boots answers ERROR for a while; whatever it answers, the rate is right.
        tries = max(tries, PROBES_BOOTING)
        yield Pause(0.5)
    return 0


def _set_data_format(settings: Settings) -> Steps[None]:
    answer = yield from _insist(QICFGRead(), None, 2.0)
    if not answer.ok:
        raise make_error(
            EIO, 'the module does not know AT+QICFG="dataformat": is it a BC260Y-CN?', command=QICFGRead().line
        )
    have = checked(answer)
    if (have.send_hex, have.receive_hex) != (settings.is_hex, settings.is_hex):
        checked((yield from _insist(QICFG(settings.is_hex, settings.is_hex))))


def _set_apn(apn: str) -> Steps[None]:
    answer = yield from _insist(CGDCONTRead())
    if answer.ok and any(row.cid == 1 and row.apn == apn for row in checked(answer)):
        return
    checked((yield from _insist(CGDCONT(1, "IP", apn))))


def _close_orphans(is_wanted: bool) -> Steps[frozenset[int]]:
    """Sockets survive a restart of the host: close what an earlier program left open, or return what it was."""
    answer = yield from _insist(QISTATERead(), None)
    rows = checked(answer) if answer.ok else []
    if not is_wanted:
        return frozenset(row.socket_id for row in rows)
    for row in rows:
        yield from _close_orphan(row.socket_id)
    return frozenset()


def _close_orphan(socket_id: int) -> Steps[None]:
    for _ in range(2):
        closing: FinalResult = yield QICLOSE(socket_id)
        if closing.ok:
            yield Await((CloseOk,), 5.0)
            return


def attach() -> Steps[tuple[int, str | None]]:
    """Wait for registration; give its state and the module's address."""
    while True:
        try:
            answer: FinalResult = yield CEREGRead()
            stat: int = checked(answer).stat if answer.ok else 4
            if stat in REGISTERED:
                return stat, (yield from read_address())
        except Unanswered:
            continue
        yield Await((Registration, IpAssigned), ATTACH_QUERY_INTERVAL)


def come_back(wants_hex: bool) -> Steps[bool]:
    """Get back in step after a missing answer; False: the module has forgotten its configuration.

    The module may be waiting for payload, whatever it did not answer: it may have said ERROR to a data-mode send and
    not meant it, or made one out of a command that was hurt on the line.

    A bare OK may be anybody's, so the last word is an answer that only this question can have.
    """
    is_back = yield from probe(2)
    if not is_back:
        yield Write(ESCAPE)
        is_back = yield from probe(PROBES_FIXED)
    if not is_back:
        raise make_error(ENODEV, "the module has stopped answering", command="AT")
    marker = yield from _ask_marker()
    for _ in range(BUSY_TRIES - 1):
        if marker.ok or marker.code not in BUSY_RESULTS:
            break
        # The OK may have been for the command before, and a busy module refuses what comes too soon.
        yield Pause(BUSY_PAUSE)
        marker = yield from _ask_marker()
    if not marker.ok:
        return False
    have = checked(marker)
    return (have.send_hex, have.receive_hex) == (wants_hex, wants_hex)


def wake() -> Steps[None]:
    """End sleep: the first command is lost, or late. Source: BC260Y-CN TCP/IP guide 1.1 §4.3.9."""
    tries = yield from probe(PROBES_FIXED)
    if not tries:
        raise make_error(ENODEV, "the module does not wake up", command="AT")
    yield ATE0()
    checked((yield from _insist(QSCLK(0))))
    yield from catch_up(tries)


def catch_up(tries: int) -> Steps[None]:
    """After several AT: a module that is only slow has said every OK so far to the one before; end that."""
    if tries > 1:
        yield from _ask_marker()
