"""What lets the modem into the network: the SIM card's PIN, the access point, its name and password."""

from __future__ import annotations

from nbsocket._at import (
    CGAUTH,
    CGDCONT,
    CPIN,
    CPINRRead,
    FinalResult,
    PdpContext,
    QPINCRead,
    RemoteProtocolError,
    check_pin,
)
from nbsocket._driver._network import PIN_WANTED, NetworkState
from nbsocket._driver._script import Pause, Steps, Unanswered

__all__ = ["SimPin", "enter_pin", "wanted_context", "wanted_credentials"]

#: Seconds that the card is given after the PIN, before its state is asked for again.
CARD_TIME = 2.0

#: Times that a question is asked when its answer is garbled, or missing.
ATTEMPTS_TRIES = 2

#: Attempts that are left to the user: the wrong one would block the card.
KEPT_ATTEMPTS = 1


class SimPin:
    """A PIN that is tried once in its life, whatever restarts the modem goes through."""

    __slots__ = ("attempts_left", "code", "is_tried")

    def __init__(self, code: str) -> None:
        """Check and keep it."""
        self.code = check_pin(code)
        self.is_tried = False
        #: After it was refused, how often another may be entered wrongly; None: not known.
        self.attempts_left: int | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SimPin) and other.code == self.code

    def __hash__(self) -> int:
        return hash(self.code)

    def __repr__(self) -> str:
        return "SimPin(****)"


def enter_pin(pin: SimPin | None, network: NetworkState) -> Steps[bool]:
    """Enter the PIN where the card wants it; give whether the card took it."""
    if network.sim != PIN_WANTED or pin is None:
        return False
    if pin.is_tried:
        network.sim = _refused(pin)
        return False
    try:
        attempts = yield from _ask_attempts()
    except (Unanswered, RemoteProtocolError) as error:
        # It may be the last one.
        network.sim = f"{PIN_WANTED}, and how many attempts are left is not told ({error}): it was not tried"
        return False
    if attempts is not None and attempts <= KEPT_ATTEMPTS:
        network.sim = (
            f"{PIN_WANTED}, and only one attempt is left: it was not tried. "
            'Enter the right one by AT+CPIN="...", or in a telephone'
        )
        return False
    pin.is_tried = True
    answer: FinalResult = yield CPIN(pin.code)
    if not answer.ok:
        pin.attempts_left = None if attempts is None else attempts - 1
        network.sim = _refused(pin)
        return False
    network.sim = None
    yield Pause(CARD_TIME)
    return True


def _refused(pin: SimPin) -> str:
    left = "" if pin.attempts_left is None else f" (attempts left: {pin.attempts_left})"
    return f"{PIN_WANTED}, and refused the one that was given{left}"


def _ask_attempts() -> Steps[int | None]:
    """Give how many attempts are left; None where the modem says that it does not know.

    Raises:
        Unanswered: it says nothing.
        RemoteProtocolError: what it says makes no sense.
    """
    trouble: Unanswered | RemoteProtocolError | None = None
    for command in (CPINRRead(), QPINCRead()):
        for _ in range(ATTEMPTS_TRIES):
            try:
                answer: FinalResult = yield command
                if not answer.ok:
                    break
                number: int = answer.command.parse(answer.responses)
            except (Unanswered, RemoteProtocolError) as error:
                trouble = error
            else:
                return number
    if trouble is not None:
        raise trouble
    return None


def wanted_context(rows: list[PdpContext] | None, apn: str | None, kind: str | None) -> CGDCONT | None:
    """The command that gives context 1 this access point and these addresses; None where it has them.

    Only what differs is written: the modem stores it.
    """
    row = next((row for row in rows or () if row.cid == 1), None)
    has_apn, has_kind = (row.apn, row.kind.upper()) if row is not None else (None, None)
    if (apn is None or apn == has_apn) and (kind is None or kind == has_kind):
        return None
    known = has_kind if has_kind in ("IPV6", "IPV4V6") else "IP"
    return CGDCONT(1, kind or known, apn if apn is not None else has_apn or "")


def wanted_credentials(have: dict[int, tuple[str, str]] | None, user: str, password: str) -> CGAUTH | None:
    """The command that gives context 1 this name and password; None where it tells that it has them."""
    return None if (have or {}).get(1) == (user, password) else CGAUTH(1, user, password)
