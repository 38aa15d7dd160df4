"""Waiting for the network: registration, and then the IP address.

What is heard is noted in a :class:`NetworkState`, so that a call that gives up can tell the reason at any moment.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from nbsocket._at import (
    CEREG,
    CFUNRead,
    FinalResult,
    IpAssigned,
    Registration,
    RegistrationStatus,
    RemoteProtocolError,
)
from nbsocket._driver._access import SimPin, enter_pin
from nbsocket._driver._network import DENIED, REGISTERED, NetworkState, RadioOn, ask_registration, look_at_sim
from nbsocket._driver._requests import BUSY_RESULTS, checked, read_address
from nbsocket._driver._script import Await, Pause, Steps, Unanswered
from nbsocket._models import Profile

__all__ = ["Attached", "attach"]

#: Seconds between questions about registration; the URCs come in between. The second question comes sooner: most
#: modems that were searching when the host came are registered soon, and if not the SIM is looked at.
QUERY_INTERVAL, SECOND_QUERY = 10.0, 2.0

#: Seconds between questions about the address once registered, doubled each time. After the last one the modem is
#: used without an address: there is firmware that never tells it.
FIRST_ADDRESS_QUERY, LONGEST_ADDRESS_WAIT = 1.0, 20.0

#: Seconds between tries to set the name servers of a modem that is busy.
SERVER_PAUSES = (1.0, 2.0, 4.0)

#: Modes of AT+CEREG in which the cause of a refusal is told, and the one that is set to learn it. TS 27.007 §10.1.22.
CAUSE_MODES, CAUSE_MODE = (3, 5), 3

#: +CEREG state of a modem that does not search for a network, and +CFUN state in which it cannot. TS 27.007 §8.2.
NOT_SEARCHING, RADIO_OFF = 0, 0

#: +CEREG states in which an address shows that the network is there all the same: not searching (0), unknown (4).
UNCERTAIN_STATES = (0, 4)


class Attached(NamedTuple):
    """The network can be used."""

    #: The modem's address; None: it does not tell.
    address: str | None
    #: Why the name servers that were wanted could not be set; None: they are set, or none were wanted.
    server_trouble: str | None


def attach(
    network: NetworkState, profile: Profile, pin: SimPin | None = None, servers: tuple[str, ...] = ()
) -> Steps[Attached]:
    """Wait until the network can be used.

    Args:
        network: where what is heard is noted.
        profile: how the model takes commands.
        pin: for a SIM card that wants it.
        servers: the addresses of the name servers that the modem is to have; none: it keeps its own.
    """
    address = yield from _wait_for_network(network, pin)
    return Attached(address, (yield from _set_name_servers(profile, servers)) if servers else None)


def _set_name_servers(profile: Profile, servers: tuple[str, ...]) -> Steps[str | None]:
    """Set them where they differ, and give what was in the way; they can be set only when there is an address.

    Source: BC260Y-CN TCP/IP guide 1.1 §2.3.7.
    """
    trouble = ""
    for pause in (*SERVER_PAUSES, None):
        try:
            answer: FinalResult = yield profile.ask_name_servers()
            with suppress(OSError):
                if set(servers) <= set(checked(answer)):
                    return None
            answer = yield profile.set_name_servers(*servers)
            checked(answer)
            return None
        except Unanswered as error:
            trouble = str(error)
        except OSError as error:
            trouble = error.strerror or str(error)
            if answer.code not in BUSY_RESULTS:
                break
        if pause is not None:
            yield Pause(pause)
    return trouble


def _wait_for_network(network: NetworkState, pin: SimPin | None) -> Steps[str | None]:
    """Wait until the network can be used; give the modem's address."""
    has_address = wants_cause = is_sim_ready = False
    interval = SECOND_QUERY
    while True:
        try:
            status = yield from _ask_registration(network)
            if status is not None and status.n == 0:
                yield CEREG(1)  # so that the modem tells of changes
            if status is not None and status.stat == DENIED and status.n not in CAUSE_MODES and not wants_cause:
                wants_cause = True
                yield CEREG(CAUSE_MODE)
                yield from ask_registration(network)
            if network.stat in REGISTERED:
                address = yield from _wait_for_address(network)
                if network.stat in REGISTERED:
                    return address
                continue
            if has_address or network.stat in (None, *UNCERTAIN_STATES):
                _, address = yield from read_address()
                if address is not None:
                    return address
            if network.stat == NOT_SEARCHING and interval == QUERY_INTERVAL:
                yield from _switch_radio_on()
            if pin is not None and not (pin.is_tried or is_sim_ready):
                is_sim_ready = yield from look_at_sim(network)
                if (yield from enter_pin(pin, network)):
                    continue
            is_searching = interval == SECOND_QUERY and network.stat not in (None, DENIED, *UNCERTAIN_STATES)
            if not (is_sim_ready or is_searching):
                is_sim_ready = yield from look_at_sim(network)
                yield from enter_pin(pin, network)
        except Unanswered:
            continue
        event: object = yield Await((Registration, IpAssigned), interval)
        has_address = isinstance(event, IpAssigned)
        interval = QUERY_INTERVAL


def _switch_radio_on() -> Steps[None]:
    """After a restart that nothing has told of, the radio may be off, as it was before bring-up."""
    answer: FinalResult = yield CFUNRead()
    try:
        is_off = answer.ok and answer.command.parse(answer.responses) == RADIO_OFF
    except RemoteProtocolError:
        return
    if is_off:
        yield RadioOn(1, 35.0)


def _ask_registration(network: NetworkState) -> Steps[RegistrationStatus | None]:
    try:
        return (yield from ask_registration(network))
    except Unanswered:
        network.stat = None
        return None


def _wait_for_address(network: NetworkState) -> Steps[str | None]:
    """A modem may be registered seconds before it has an address, and refuses everything meanwhile."""
    pause, waited = FIRST_ADDRESS_QUERY, 0.0
    while True:
        is_told, address = yield from read_address()
        is_over = address is not None or not is_told or waited >= LONGEST_ADDRESS_WAIT
        network.lacks_address = not is_over
        if is_over and waited and address is None:
            yield from _ask_registration(network)  # it may have been lost without a word
        if is_over or network.stat not in REGISTERED:
            return address
        event: object = yield Await((IpAssigned, Registration), pause)
        if isinstance(event, IpAssigned):
            network.lacks_address = False
            return event.address
        if event is None:
            waited, pause = waited + pause, 2 * pause
