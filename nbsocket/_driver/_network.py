"""What is known of the network, and why it cannot be used: registration, refusal, SIM card."""

from __future__ import annotations

from nbsocket._at import CFUN, CEREGRead, CPINRead, Registration, RegistrationStatus, RemoteProtocolError
from nbsocket._dataclass import dataclass
from nbsocket._driver._script import Steps, asked

__all__ = [
    "DENIED",
    "PIN_WANTED",
    "REGISTERED",
    "REGISTRATION",
    "SIM_ERRORS",
    "NetworkState",
    "RadioOn",
    "ask_registration",
    "look_at_sim",
]

#: Words for the registration states of AT+CEREG (3GPP TS 27.007 §10.1.22).
REGISTRATION = {
    0: "not registered, not searching",
    1: "registered, home network",
    2: "not registered, searching",
    3: "registration denied",
    4: "registration unknown, as when there is no coverage",
    5: "registered, roaming",
}

#: The states in which the network may be used, and the one in which it has refused.
REGISTERED, DENIED = (1, 5), 3

#: Times that a question is asked when the answer is garbled.
QUERY_TRIES = 3

#: What +CME ERROR says of the SIM card. TS 27.007 §9.2.1.
SIM_ERRORS = {
    10: "no SIM card is inserted",
    11: "the SIM card wants its PIN",
    12: "the SIM card is blocked and wants its PUK",
    13: "the SIM card does not work",
    14: "the SIM card is busy",
    15: "the SIM card is of the wrong kind",
}

#: The same by what AT+CPIN? answers. TS 27.007 §8.3.
SIM_STATES = {
    "SIM PIN": SIM_ERRORS[11],
    "SIM PUK": SIM_ERRORS[12],
    "SIM PIN2": "the SIM card wants its PIN2",
    "SIM PUK2": "the SIM card is blocked and wants its PUK2",
    "NOT INSERTED": SIM_ERRORS[10],
    "NOT READY": "the SIM card is not ready",
}

#: What is the matter when the PIN is to be entered.
PIN_WANTED = SIM_ERRORS[11]

#: EMM causes. TS 24.301 §9.9.3.9.
EMM_CAUSES = {
    2: "the network does not know the SIM card",
    3: "illegal UE: the SIM card is not accepted",
    5: "this IMEI is not accepted",
    6: "illegal ME: this module is not accepted",
    7: "EPS services not allowed",
    8: "EPS services and non-EPS services not allowed",
    11: "this operator's network is not allowed",
    12: "this tracking area is not allowed",
    13: "roaming is not allowed in this tracking area",
    14: "EPS services are not allowed in this operator's network",
    15: "no suitable cells in this tracking area",
    17: "network failure",
    22: "congestion",
    25: "not authorized for this closed group",
    35: "this service is not authorized",
    42: "severe network failure",
}


@dataclass(frozen=True, slots=True)
class RadioOn(CFUN):
    """AT+CFUN=1 that is given again before its callers have given up: it may be ignored. Radios took 30 s and more."""

    #: For how long its answer is waited for.
    seconds: float = 35.0

    @property
    def timeout(self) -> float:
        return self.seconds


@dataclass(slots=True)
class NetworkState:
    """The last that was heard of the network."""

    #: <stat> of +CEREG; None while nothing was heard.
    stat: int | None = None
    #: Of a denied registration, see :class:`RegistrationStatus`.
    cause_type: int | None = None
    reject_cause: int | None = None
    #: What is the matter with the SIM card; None while nothing is known to be.
    sim: str | None = None
    #: Whether the modem is registered, and has its address or has been waited for it in vain.
    is_attached: bool = False
    #: It is registered, and its address is not there.
    lacks_address: bool = False

    def forget(self) -> None:
        """The modem is not spoken to any more, or begins anew."""
        self.stat = self.cause_type = self.reject_cause = self.sim = None
        self.is_attached = self.lacks_address = False

    def note(self, status: RegistrationStatus | Registration) -> None:
        """Take what the modem says about its registration."""
        if status.reject_cause is not None or status.stat != self.stat:  # a URC may tell less than an answer
            self.cause_type, self.reject_cause = status.cause_type, status.reject_cause
        self.stat = status.stat

    def describe(self) -> str:
        """Say in words how it stands."""
        if self.stat is None:
            return self.sim or "the registration is not told"
        state = REGISTRATION.get(self.stat, f"state {self.stat}")
        if self.stat == DENIED and self.reject_cause is not None:
            known = EMM_CAUSES.get(self.reject_cause) if not self.cause_type else None
            state += f", cause {self.reject_cause}" + (f": {known}" if known else "")
        if self.stat in REGISTERED:
            return f"{state}, but without an IP address" if self.lacks_address else state
        return f"{self.sim} ({state})" if self.sim else state


def ask_registration(network: NetworkState) -> Steps[RegistrationStatus | None]:
    """Ask how it is registered; None when it is not told."""
    for _ in range(QUERY_TRIES):
        answer = yield from asked(CEREGRead())
        if not answer.ok:
            network.stat, network.sim = None, SIM_ERRORS.get(answer.code or 0, network.sim)
            return None
        try:
            status: RegistrationStatus = answer.command.parse(answer.responses)
        except RemoteProtocolError:
            continue
        network.note(status)
        if status.stat in REGISTERED:
            network.sim = None
        return status
    return None


def look_at_sim(network: NetworkState) -> Steps[bool]:
    """Ask whether the SIM card is what is missing; give whether it is ready."""
    answer = yield from asked(CPINRead())
    if not answer.ok:
        network.sim = SIM_ERRORS.get(answer.code or 0, network.sim)
        return False
    try:
        state: str = answer.command.parse(answer.responses).upper()
    except RemoteProtocolError:
        return False
    network.sim = None if state == "READY" else SIM_STATES.get(state, f"the SIM card is not ready: {state}")
    return network.sim is None
