"""The request behind ``Modem.set_baudrate()``. It has the line for itself, as the scripts of the modem's life have."""

from __future__ import annotations

from contextlib import suppress
from errno import EINVAL, EIO, ENODEV, EOPNOTSUPP
from typing import ClassVar

from nbsocket._at import IPR, FinalResult
from nbsocket._dataclass import dataclass
from nbsocket._driver._probe import PROBES_FIXED, PROBES_SEARCHING, catch_up, probe
from nbsocket._driver._requests import Plain, RequestContext, checked
from nbsocket._driver._script import Pause, SetRate, Steps, Unanswered, Write
from nbsocket._errors import make_error

__all__ = ["ChangeBaudrate", "check_baudrate"]

#: Seconds from the OK, which still comes at the old rate, until the modem listens at the new one.
SETTLE_TIME = 0.3


@dataclass(frozen=True, slots=True)
class ChangeBaudrate(Plain):
    """Gives the rate that was set before: int. The modem stores the rate; on failure the old one is restored.

    Source: AT+IPR, V.250 §6.2.10.
    """

    rate: int
    is_exclusive: ClassVar[bool] = True

    def steps(self, context: RequestContext) -> Steps[int]:
        command = IPR(self.rate)
        old = context.baudrate
        if old is None:
            raise make_error(EOPNOTSUPP, "the rate of the line behind this port cannot be changed from here")
        if old == self.rate:
            return self.rate
        yield from self._check_port(context, old)
        with suppress(Unanswered):  # some firmware answers at the new rate already
            checked((yield command))
        yield Pause(SETTLE_TIME)
        yield SetRate(self.rate)
        tries = yield from probe(PROBES_SEARCHING)
        if tries:
            with suppress(Unanswered):
                yield from catch_up(tries)
            return old
        yield from self._restore(old)
        raise make_error(
            EIO, f"the module was not heard at {self.rate} baud: it is set to {old} again", command=command.line
        )

    def _check_port(self, context: RequestContext, old: int) -> Steps[None]:
        """Try the rate on our side first: a port that cannot do it could not call the modem back."""
        yield SetRate(self.rate)
        yield Pause(0.01)
        is_refused = self.rate in context.refused_baudrates
        yield SetRate(old)
        if is_refused:
            raise make_error(EINVAL, f"the port cannot do {self.rate} baud")

    def _restore(self, old: int) -> Steps[None]:
        yield SetRate(old)
        if not (yield from probe(PROBES_SEARCHING)):
            # It listens at the new rate, where we do not understand it: tell it blindly.
            yield SetRate(self.rate)
            yield Write(b"\r" + IPR(old).encode())
            yield Pause(SETTLE_TIME)
            yield SetRate(old)
            if not (yield from probe(PROBES_FIXED)):
                raise make_error(
                    ENODEV,
                    f"the module has stopped answering at {old} and {self.rate} baud. It may be set to either: "
                    f"try nbsocket --baudrate {self.rate} baud --set {old}, through a port that can do "
                    f"{self.rate} baud if this one cannot",
                    command="AT",
                )
        try:
            answer: FinalResult = yield IPR(old)
        except Unanswered:
            return
        checked(answer)


def check_baudrate(rate: int) -> None:
    """Raise ValueError unless the modem can be set to this rate."""
    IPR(rate)
