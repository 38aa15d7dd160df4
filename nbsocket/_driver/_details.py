"""The request behind ``Modem.details()``: everything that the modem tells of itself, by questions that change nothing.

Theory of operation: firmware lacks some of these commands. A refusal that says so is noted with the driver, for as long
as it lives, and that question is not asked again. An error number that says "not now" (no SIM card, PIN wanted, no
network) proves nothing, and neither does a bare ERROR from a modem that has no network: firmware answers much of what
it cannot tell at the moment with it. What a question does not tell is None, and never a reason to fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from nbsocket._at import (
    ATI,
    CGMR,
    CGPADDR,
    CGSN,
    Command,
    FinalResult,
    IPRRead,
    PdpAddress,
    QICFGRead,
    QSCLKRead,
    RegistrationStatus,
    RemoteProtocolError,
)
from nbsocket._at._queries import (
    Query,
    is_deactivated,
    read_active_time,
    read_drx_cycle,
    read_paging_window,
    read_periodic_time,
)
from nbsocket._dataclass import dataclass
from nbsocket._driver._detail_values import DiscontinuousReception, ModuleDetails, PowerSaving
from nbsocket._driver._firmware import Firmware
from nbsocket._driver._network import REGISTERED, SIM_ERRORS, SIM_STATES, NetworkState
from nbsocket._driver._requests import Plain, RequestContext
from nbsocket._driver._script import Steps, Unanswered

__all__ = ["GetDetails"]

T = TypeVar("T")

#: Times that a question is asked whose answer makes no sense, or does not come; and how many may stay unanswered until
#: the modem is taken for silent.
TRIES, MOST_UNANSWERED = 2, 3

#: AT+CPIN? and the errors of TS 27.007 §9.2 in the words of ``ModuleDetails.sim``.
SIM_BY_STATE = {
    "READY": "ready",
    "SIM PIN": "pin",
    "SIM PUK": "puk",
    "SIM PIN2": "pin2",
    "SIM PUK2": "puk2",
    "NOT INSERTED": "missing",
    "NOT READY": "not ready",
}
SIM_BY_ERROR = {10: "missing", 11: "pin", 12: "puk", 13: "failure", 14: "busy", 15: "wrong"}

#: Levels of AT+CEREG at which granted timers are told; what is not told there was not granted.
TIMER_LEVELS = (4, 5)


class _Interview:
    """Asks, and keeps what was told."""

    def __init__(self, firmware: Firmware) -> None:
        #: What is told, by name.
        self.facts: dict[str, Any] = {}
        #: The number of the last error.
        self.error: int | None = None
        #: The modem has a network, so that a bare ERROR is no "not now".
        self.is_settled = False
        self._firmware = firmware
        self._unanswered = 0

    def ask(self, command: Command[T]) -> Steps[T | None]:
        """Give what the answer says, None where nothing is told; whatever it is, it is no reason to fail.

        Raises:
            Unanswered: the modem says nothing any more.
        """
        self.error = None
        if self._firmware.lacks(command):
            return None
        for _ in range(TRIES):
            try:
                answer: FinalResult = yield command
            except Unanswered:
                self._unanswered += 1
                if self._unanswered >= MOST_UNANSWERED:
                    raise
                continue
            if not answer.ok:
                self.error = answer.code
                self._firmware.note(answer, self.is_settled)
                return None
            try:
                value: T = answer.command.parse(answer.responses)
            except RemoteProtocolError:
                continue
            return value
        return None

    def ask_for(self, *names: str) -> Steps[None]:
        """Ask questions of the table; what an earlier one has told stays."""
        for name in names:
            facts = yield from self.ask(Query(name))
            self.facts = {**(facts or {}), **self.facts}


@dataclass(frozen=True, slots=True)
class GetDetails(Plain):
    """Gives :class:`ModuleDetails`; does not wait for the network."""

    def steps(self, context: RequestContext) -> Steps[ModuleDetails]:
        interview = _Interview(context.firmware)
        identity = yield from interview.ask(ATI())
        revision = yield from interview.ask(CGMR())
        imei = yield from interview.ask(CGSN())
        yield from interview.ask_for("CPIN")
        sim_state, sim_error = interview.facts.get("sim_state"), interview.error or 0
        sim = SIM_BY_ERROR.get(sim_error) if sim_state is None else SIM_BY_STATE.get(sim_state, "not ready")
        yield from interview.ask_for("CEREG")
        address = yield from _ask_address(interview)
        network = _network(interview.facts)
        if network.stat not in REGISTERED:
            network.sim = _sim_trouble(sim_state, sim_error)
        is_registered = network.stat in REGISTERED
        interview.is_settled = is_registered and address is not None and sim in (None, "ready")
        yield from interview.ask_for("QCCID", "CIMI", "COPS", "CSQ", "QENG", "CESQ", "QBAND", "CSCON", "CGDCONT")
        servers = None
        if address is not None:
            servers = yield from interview.ask(context.firmware.profile.ask_name_servers())
        yield from interview.ask_for("CPSMS", "CEDRXS", "CEDRXRDP", "CBC")
        formats = yield from interview.ask(QICFGRead())
        sleep_mode = context.found_sleep_mode
        if sleep_mode is None:
            sleep_mode = yield from interview.ask(QSCLKRead())
        stored = yield from interview.ask(IPRRead())
        facts = interview.facts
        manufacturer, model, revision = _identity(identity or [], revision)
        return ModuleDetails(
            manufacturer=manufacturer,
            model=model,
            revision=revision,
            imei=imei or None,
            sim=sim,
            registered=is_registered,
            registration=network.describe(),
            reject_cause=None if is_registered else network.reject_cause,
            radio_connected=facts.get("is_radio_connected"),
            address=address,
            dns=None if servers is None else tuple(filter(None, servers)),
            psm=_power_saving(facts, is_registered),
            edrx=_reception(facts),
            send_format=None if formats is None else _FORMATS[formats.send_hex],
            receive_format=None if formats is None else _FORMATS[formats.receive_hex],
            sleep_mode=sleep_mode,
            baudrate=context.baudrate or stored,
            stored_baudrate=stored,
            corrected=context.corrected,
            lacking_commands=tuple(sorted(context.firmware.lacking)),
            **{name: facts.get(name) for name in _TOLD_AS_THEY_ARE},
        )


_FORMATS = {False: "text", True: "hex"}

#: Facts that are fields of ModuleDetails.
_TOLD_AS_THEY_ARE = (
    "iccid", "imsi", "operator", "rssi", "rsrp", "rsrq", "sinr", "ecl", "band", "bands", "earfcn", "pci", "cell", "tac",
    "apn", "pdp_type", "voltage",
)  # fmt: skip


def _identity(lines: list[str], revision: str | None) -> tuple[str | None, str | None, str | None]:
    """Manufacturer, model and firmware by the lines of ATI, and by AT+CGMR where that is known."""
    names = [line for line in lines if not line.startswith("Revision:")]
    told = next((line for line in lines if line.startswith("Revision:")), "")
    revision = revision or told.removeprefix("Revision:").strip() or None
    return names[0] if names else None, names[1] if len(names) > 1 else None, revision


def _sim_trouble(state: str | None, error: int) -> str | None:
    if state is None:
        return SIM_ERRORS.get(error)
    return None if state == "READY" else SIM_STATES.get(state, SIM_STATES["NOT READY"])


def _network(facts: dict[str, Any]) -> NetworkState:
    network = NetworkState()
    if "stat" in facts:
        cause = facts.get("cause_type"), facts.get("reject_cause")
        network.note(RegistrationStatus(facts.get("registration_level", 0), facts["stat"], *cause))
    return network


def _ask_address(interview: _Interview) -> Steps[str | None]:
    """Ask for the modem's address, in the form of the guide's §4.1 or in that of TS 27.007 §10.1.14."""
    rows: Iterable[PdpAddress] | None = yield from interview.ask(CGPADDR("?"))
    if rows is None:
        rows = yield from interview.ask(CGPADDR())
    return next((row.address for row in rows or () if row.address), None)


def _power_saving(facts: dict[str, Any], is_registered: bool) -> PowerSaving | None:
    if "saving_mode" not in facts:
        return None
    granted = facts.get("granted_active_bits")
    is_granted: bool | None = None
    if granted is not None:
        is_granted = not is_deactivated(granted)
    elif is_registered and facts.get("registration_level") in TIMER_LEVELS:
        is_granted = False
    return PowerSaving(
        is_on=facts["saving_mode"] != 0,
        active_time=read_active_time(facts.get("active_bits")),
        periodic_time=read_periodic_time(facts.get("periodic_bits")),
        is_granted=is_granted,
        granted_active_time=read_active_time(granted),
        granted_periodic_time=read_periodic_time(facts.get("granted_periodic_bits")),
    )


def _reception(facts: dict[str, Any]) -> DiscontinuousReception | None:
    if "asks_for_cycle" not in facts and "has_cycle" not in facts:
        return None
    cycle = read_drx_cycle(facts.get("cycle_bits"))
    granted = read_drx_cycle(facts.get("granted_cycle_bits"))
    is_on = facts.get("asks_for_cycle", facts.get("has_cycle", False)) and (
        cycle is not None or "cycle_bits" not in facts
    )
    return DiscontinuousReception(
        is_on=is_on,
        cycle=cycle,
        is_granted=facts.get("has_cycle"),
        granted_cycle=granted,
        paging_window=read_paging_window(facts.get("window_bits")),
    )
