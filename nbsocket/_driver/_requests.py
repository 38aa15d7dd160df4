"""What the host may ask of the modem besides sockets, each as a script.

Every class states what its request gives. ``needs_network`` requests wait until the modem is registered; ``turn``
names a facility of the modem that serves one request at a time (its outcomes carry nothing that would tell two of
them apart).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import datetime
from errno import EINVAL, EIO, ETIMEDOUT
from typing import Any, ClassVar, Protocol

from nbsocket._at import (
    ATI,
    CGMR,
    CGPADDR,
    CGSN,
    CSQ,
    QIDNSCFG,
    QISTATE,
    QNTP,
    CCLKRead,
    Command,
    CPSMSRead,
    FinalResult,
    IPRRead,
    NtpResult,
    QICFGRead,
    QISTATEContext,
    QISTATERead,
    QSCLKRead,
    RemoteProtocolError,
    parse_time,
)
from nbsocket._dataclass import dataclass
from nbsocket._driver._answers import NOTHING_SENT_RESULTS
from nbsocket._driver._firmware import Firmware
from nbsocket._driver._late import LateOutcomes
from nbsocket._driver._network import REGISTERED, NetworkState, ask_registration, look_at_sim
from nbsocket._driver._script import Await, Steps, Unanswered, asked
from nbsocket._driver._values import DnsServers, ModuleInfo, ModuleSettings, NetworkStatus, SocketState
from nbsocket._errors import RESULT_CODES, error_from_result, make_error

__all__ = [
    "BUSY_RESULTS",
    "OUTCOME_TIMEOUT",
    "GetClock",
    "GetDnsServers",
    "GetInfo",
    "GetSettings",
    "GetSignal",
    "GetSockets",
    "GetStatus",
    "GetUnacked",
    "Plain",
    "Request",
    "SetDnsServers",
    "SyncTime",
    "WaitAttached",
    "WaitUp",
    "asked_twice",
    "carried_out",
    "checked",
    "read_address",
]

#: Results that say "not now", as firmware without error numbers does with ERROR alone (None).
BUSY_RESULTS = frozenset({None, 551, 564, 568})

#: The modem gives an outcome within 60 s of QIOPEN; look-ups and clock requests are given the same.
OUTCOME_TIMEOUT = 60.0
#: Seconds for which a clock request's outcome is owed after the command was refused with ERROR: a modem that carried
#: it out all the same may have taken a while to begin, and its server a while to answer.
OWED_TIME_TIMEOUT = OUTCOME_TIMEOUT + 10.0


class RequestContext(Protocol):
    """What a request may know of the driver."""

    def socket_id_of(self, key: int) -> int | None:
        """The modem's number of a connection, or None when it has none (yet or any more)."""

    @property
    def own_socket_ids(self) -> frozenset[int]:
        """The modem's numbers that this process uses."""

    @property
    def local_address(self) -> str | None:
        """The modem's IP address."""

    @property
    def baudrate(self) -> int | None:
        """The rate at which the modem answers."""

    @property
    def refused_baudrates(self) -> AbstractSet[int]:
        """The rates that this port was asked for and cannot do."""

    def claim_socket(self, socket_id: int) -> bool:
        """The user opens this socket of the modem: it is not ours. Return whether it was free."""

    def release_socket(self, socket_id: int, is_closed: bool) -> None:
        """The user closes it; ``is_closed``: it is closed already, CLOSE OK will not come."""

    def late_outcomes(self, turn: str) -> LateOutcomes:
        """The outcomes that a facility, by its turn, still owes to requests that are over."""

    def check_network(self) -> None:
        """A command failed as it does without a network: have registration and address looked at."""

    @property
    def network_trouble(self) -> str | None:
        """Why the network cannot be used, in words; None when nothing is known to be the matter."""

    @property
    def firmware(self) -> Firmware:
        """How the model takes commands, and what it was found to lack; whoever finds more notes it."""

    @property
    def found_sleep_mode(self) -> int | None:
        """The sleep mode that is going to be put back; None when there is none."""

    @property
    def corrected(self) -> tuple[str, ...]:
        """What was found otherwise than needed, in words, and was put right."""

    def user_changes_settings(self, may_be_format: bool, tells_hex: bool | None = None) -> None:
        """A command of the user's may change how the modem is set, or how received data come: that is put right.

        ``tells_hex``: the command says itself whether they come as hex digits from now on.
        """


class Request(Protocol):
    """One request: a frozen dataclass that knows its script."""

    needs_network: ClassVar[bool]

    @property
    def turn(self) -> str | None:
        """Facility of the modem that serves one at a time, or None."""

    @property
    def listens(self) -> tuple[type, ...]:
        """Event classes that the script waits for."""

    #: Nothing else may be sent while it runs.
    is_exclusive: ClassVar[bool]

    @property
    def waits_for_late(self) -> bool:
        """It begins only when its facility owes no outcome to another request (see ``_late``)."""

    def steps(self, context: RequestContext) -> Steps[Any]:
        """Return the script, not yet started."""


def checked(result: FinalResult) -> Any:
    """Return what the command's answer says; OSError for an error result or a malformed answer."""
    if not result.ok:
        raise error_from_result(result.code, result.command.line)
    try:
        return result.command.parse(result.responses)
    except RemoteProtocolError as error:
        raise make_error(
            EIO, f"malformed answer to {result.command.line}: {error}", command=result.command.line
        ) from error


def carried_out(command: Command[Any], late: LateOutcomes, subject: str, seconds: float) -> Steps[FinalResult]:
    """Give a command whose outcome comes later; note that it is owed when the modem may have refused it wrongly.

    A bare ERROR, and no answer at all, can be those of another command, or be garbled. A number is not: it is the
    reason why the modem's own stack did nothing.

    Args:
        command: such as AT+QIDNSGIP.
        late: of its facility.
        subject: whose outcome it would be.
        seconds: within which it would come.
    """
    try:
        answer: FinalResult = yield command
    except Unanswered:
        late.owe(subject, seconds)
        raise
    if not answer.ok and answer.code not in RESULT_CODES:
        late.owe(subject, seconds)
    return answer


def asked_twice(command: Command[Any], late: LateOutcomes, subject: str, seconds: float) -> Steps[FinalResult]:
    """The same, and once more where the modem gave no answer: the first command after a while may be lost."""
    try:
        return (yield from carried_out(command, late, subject, seconds))
    except Unanswered:
        return (yield from carried_out(command, late, subject, seconds))


def read_address() -> Steps[tuple[bool, str | None]]:
    """Ask for the modem's own address, in the form of the guide's §4.1 or in that of TS 27.007.

    Gives whether the modem tells addresses at all, and the address.
    """
    answer = yield from asked(CGPADDR("?"))
    if not answer.ok:
        answer = yield from asked(CGPADDR())
    if not answer.ok:
        return False, None
    try:
        return True, next((row.address for row in answer.command.parse(answer.responses) if row.address), None)
    except RemoteProtocolError:
        return True, None


class Plain:
    """Defaults: no network needed, no turn, no events, not alone on the line, outcomes not mixed up with others."""

    __slots__ = ()
    needs_network: ClassVar[bool] = False
    turn: ClassVar[str | None] = None
    listens: ClassVar[tuple[type, ...]] = ()
    is_exclusive: ClassVar[bool] = False
    waits_for_late: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class WaitUp(Plain):
    """Gives None once the modem has been found and configured: nothing is asked for it."""

    def steps(self, context: RequestContext) -> Steps[None]:
        return
        yield


@dataclass(frozen=True, slots=True)
class WaitAttached(Plain):
    """Gives None once the modem is registered."""

    needs_network: ClassVar[bool] = True

    def steps(self, context: RequestContext) -> Steps[None]:
        return
        yield


@dataclass(frozen=True, slots=True)
class GetInfo(Plain):
    """Gives a :class:`ModuleInfo`."""

    def steps(self, context: RequestContext) -> Steps[ModuleInfo]:
        identity: list[str] = list(checked((yield from asked(ATI()))))
        revision = str(checked((yield from asked(CGMR()))))
        serial = yield from asked(CGSN())
        imei = str(checked(serial)) if serial.ok else ""
        manufacturer, model = (*identity, "", "")[:2]
        return ModuleInfo(manufacturer, model, revision.removeprefix("Revision:").strip(), imei)


@dataclass(frozen=True, slots=True)
class GetStatus(Plain):
    """Gives a :class:`NetworkStatus`."""

    def steps(self, context: RequestContext) -> Steps[NetworkStatus]:
        network = NetworkState()
        yield from ask_registration(network)
        if network.stat not in REGISTERED:
            yield from look_at_sim(network)
        signal = yield from asked(CSQ())
        rssi: int | None = checked(signal).dbm if signal.ok else None
        _, address = yield from read_address()
        return NetworkStatus(network.stat in REGISTERED, network.describe(), rssi, address)


@dataclass(frozen=True, slots=True)
class GetSignal(Plain):
    """Gives the signal strength in dBm, None where the modem hears none: int | None."""

    def steps(self, context: RequestContext) -> Steps[int | None]:
        rssi: int | None = checked((yield from asked(CSQ()))).dbm
        return rssi


@dataclass(frozen=True, slots=True)
class GetSettings(Plain):
    """Gives :class:`ModuleSettings`. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.1, §4.1."""

    def steps(self, context: RequestContext) -> Steps[ModuleSettings]:
        formats = checked((yield from asked(QICFGRead())))
        sleep_mode = context.found_sleep_mode
        if sleep_mode is None:
            sleep = yield from asked(QSCLKRead())
            sleep_mode = checked(sleep) if sleep.ok else None
        stored = yield from asked(IPRRead())
        saving = yield from asked(CPSMSRead())
        mode: int | None = checked(saving) if saving.ok else None
        return ModuleSettings(
            send_format="hex" if formats.send_hex else "text",
            receive_format="hex" if formats.receive_hex else "text",
            sleep_mode=sleep_mode,
            baudrate=context.baudrate or (checked(stored) if stored.ok else 0),
            stored_baudrate=checked(stored) if stored.ok else None,
            saves_power=mode != 0 if mode is not None else None,
        )


@dataclass(frozen=True, slots=True)
class GetDnsServers(Plain):
    """Gives :class:`DnsServers`. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.7."""

    needs_network: ClassVar[bool] = True

    def steps(self, context: RequestContext) -> Steps[DnsServers]:
        return DnsServers(*checked((yield from asked(context.firmware.profile.ask_name_servers()))))


@dataclass(frozen=True, slots=True)
class SetDnsServers(Plain):
    """Gives None. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.7."""

    primary: str
    secondary: str | None = None
    needs_network: ClassVar[bool] = True

    def __post_init__(self) -> None:
        QIDNSCFG(self.primary, self.secondary)  # refuses at the call what must not reach the wire

    def steps(self, context: RequestContext) -> Steps[None]:
        checked((yield context.firmware.profile.set_name_servers(self.primary, self.secondary)))


@dataclass(frozen=True, slots=True)
class SyncTime(Plain):
    """Gives the server's time, a datetime in UTC. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.9."""

    server: str
    port: int = 123
    set_clock: bool = True
    needs_network: ClassVar[bool] = True
    turn: ClassVar[str | None] = "ntp"
    listens: ClassVar[tuple[type, ...]] = (NtpResult,)

    def __post_init__(self) -> None:
        QNTP(self.server, self.port, self.set_clock)  # refuses at the call what must not reach the wire

    def steps(self, context: RequestContext) -> Steps[datetime]:
        late = context.late_outcomes("ntp")
        profile = context.firmware.profile
        command: Command[Any] = profile.ask_time(self.server, self.port, self.set_clock)
        answer = yield from asked_twice(command, late, self.server, OWED_TIME_TIMEOUT)
        if not answer.ok and answer.code is None:
            # The heading of §2.3.9 spells it QNTPT, its example QNTP: firmware may know either.
            command = profile.ask_time(self.server, self.port, self.set_clock, spelling="QNTPT")
            answer = yield from asked_twice(command, late, self.server, OWED_TIME_TIMEOUT)
        checked(answer)
        outcome: NtpResult | None = yield Await((NtpResult,), OUTCOME_TIMEOUT)
        if outcome is None:
            late.owe(self.server, OWED_TIME_TIMEOUT)
            raise make_error(ETIMEDOUT, f"no outcome of {command.line}", command=command.line)
        if outcome.result or outcome.time is None:
            raise error_from_result(outcome.result or None, command.line)
        try:
            return parse_time(outcome.time)
        except RemoteProtocolError as error:
            raise make_error(EIO, f"malformed outcome of {command.line}: {error}", command=command.line) from error


@dataclass(frozen=True, slots=True)
class GetClock(Plain):
    """Gives the modem's clock, a datetime in UTC. Source: answer to AT+CCLK?."""

    def steps(self, context: RequestContext) -> Steps[datetime]:
        moment: datetime = checked((yield from asked(CCLKRead())))
        return moment


@dataclass(frozen=True, slots=True)
class GetSockets(Plain):
    """Gives the modem's sockets, of a context or one only: list[SocketState].

    Source: BC260Y-CN TCP/IP guide 1.1 §2.3.4.
    """

    context_id: int | None = None
    socket_id: int | None = None

    def steps(self, context: RequestContext) -> Steps[list[SocketState]]:
        command: Command[Any] = QISTATERead()
        if self.socket_id is not None:
            command = QISTATE(self.socket_id)
        elif self.context_id is not None:
            command = QISTATEContext(self.context_id)
        rows = checked((yield from asked(command)))
        own = context.own_socket_ids
        return [
            SocketState(
                row.socket_id,
                row.service,
                row.host,
                row.remote_port,
                row.local_port,
                row.state,
                row.context_id,
                row.access_mode,
                row.socket_id in own,
            )
            for row in rows
        ]


@dataclass(frozen=True, slots=True)
class GetUnacked(Plain):
    """Gives the bytes that the peer has not acknowledged: int. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.5."""

    key: int

    def steps(self, context: RequestContext) -> Steps[int]:
        socket_id = context.socket_id_of(self.key)
        if socket_id is None:
            raise make_error(EINVAL, "the connection is not open in the module")
        answer = yield from asked(context.firmware.profile.count(socket_id))
        if not answer.ok and answer.code in NOTHING_SENT_RESULTS and context.firmware.profile.counts_only_after_send:
            return 0
        return int(checked(answer).unacked)
