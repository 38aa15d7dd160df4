"""Outcomes that may still come for requests that are over, so that no later request takes one for its own.

Theory of operation. The outcomes of AT+QIDNSGIP, AT+QPING and AT+QNTP name neither the command nor the host that they
belong to. When such a command was refused with a bare ERROR or not answered at all, the modem may have carried it out
all the same, and its outcome may come while the next request of the same facility waits for its own. Every such outcome
is noted here as *owed* until it has come or its time is over. A request of the facility then waits, or, as look-ups do,
takes an answer only once it was given more often than outcomes are owed: one of them is its own, in whatever order they
came.
"""

from __future__ import annotations

from collections.abc import Iterator

from nbsocket._dataclass import dataclass

__all__ = ["LateOutcomes"]


@dataclass(eq=False)
class _Owed:
    #: Names whose outcome it may be. One at first; asking another name meanwhile may swap the two outcomes.
    subjects: set[str]
    #: Seconds from the note until it is due no more.
    seconds: float
    #: On the driver's clock; None until the clock is known.
    expiry: float | None = None


class LateOutcomes:
    """What one facility of the modem (its DNS client, say) may still tell without being asked again."""

    def __init__(self) -> None:
        #: How many outcomes came that no request had waited for.
        self.arrivals = 0
        #: The outcomes that are due, oldest first.
        self.owed: list[_Owed] = []
        self._now = 0.0

    def __bool__(self) -> bool:
        return bool(self.owed)

    def owe(self, subject: str, seconds: float) -> None:
        """Note that an outcome about ``subject`` may come within ``seconds``."""
        self.owed.append(_Owed({subject}, seconds))

    def asked(self, subject: str) -> None:
        """Note that ``subject`` was asked while others are owed: which of the outcomes comes last, nobody can tell."""
        for owed in self.owed:
            owed.subjects.add(subject)
            owed.expiry = None

    def count(self, besides: str) -> int:
        """How many outcomes may be about something besides ``besides``."""
        return sum(owed.subjects != {besides} for owed in self.owed)

    def came(self) -> None:
        """An outcome came that no request had waited for: one less is owed, and which one, nobody can tell."""
        self.arrivals += 1
        subjects = set().union(*(owed.subjects for owed in self.owed))
        del self.owed[:1]
        for owed in self.owed:
            owed.subjects |= subjects

    def goes_on(self) -> None:
        """Part of such an outcome came: the rest is due within as long again."""
        for owed in self.owed:
            owed.expiry = None

    def clear(self) -> None:
        """Nothing is owed any more: the time is over, or the modem has restarted."""
        self.owed.clear()

    def tick(self, now: float) -> None:
        """Tell what time it is: forget what is due no more."""
        self._now = now
        for owed in self.owed:
            if owed.expiry is None:
                owed.expiry = now + owed.seconds
        self.owed = [owed for owed in self.owed if owed.expiry is None or owed.expiry > now]

    def deadlines(self) -> Iterator[float]:
        """When something is due no more."""
        return (owed.expiry for owed in self.owed if owed.expiry is not None)

    @property
    def seconds_left(self) -> float:
        """Seconds until nothing is owed any more, at the most."""
        return max(((owed.expiry or self._now + owed.seconds) - self._now for owed in self.owed), default=0.0)
