"""The radio: how long data are in the air, whether the connection to the cell is up, and power saving mode.

Sources: 3GPP TS 27.007 §7.30 (AT+CSCON) and §7.38 (AT+CPSMS), TS 23.682 §4.5.4 (power saving mode); coding of the
timers: TS 24.008 §10.5.7.3 and §10.5.7.4a.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ._command import GENERAL_ERROR, Arguments
from ._network import NetworkEvent
from ._timers import Timer

if TYPE_CHECKING:
    from ._module import Module

_TIMER_RE = re.compile(r"[01]{8}")

#: Seconds of a unit of T3324, by its three upper bits; 111 switches the timer off: the modem stays reachable.
_UNITS = {0: 2.0, 1: 60.0, 2: 360.0}
_TIMER_OFF = 7

#: <Requested_Periodic-TAU> that is told; it has no effect here.
_PERIODIC = "01000001"

#: What the network grants where no power saving is asked for, which says nothing then: T3324 of 2 s, T3412 of 6 h.
_GRANTED_ACTIVE, _GRANTED_PERIODIC = "00000001", "00100110"

#: Seconds of a unit of T3412 extended, by its three upper bits, the finest first.
_T3412_UNITS = {3: 2.0, 4: 30.0, 5: 60.0, 0: 600.0, 1: 3600.0, 2: 36000.0, 6: 1152000.0}


class Radio:
    """Tells when what is sent now gets to the other side; order is kept in each direction."""

    def __init__(self, latency: float, rate: float | None, loss: float, seed: int) -> None:
        self.latency = latency
        self.half = latency / 2
        self._rate = rate
        self._loss = loss
        self._random = random.Random(seed)
        self._free_at = {"up": float("-inf"), "down": float("-inf")}

    def schedule(self, direction: str, size: int, now: float) -> float:
        """Return when ``size`` bytes that start now have arrived."""
        start = max(now, self._free_at[direction])
        end = start + (size / self._rate if self._rate else 0.0)
        self._free_at[direction] = end
        return end + self.half

    def is_lost(self) -> bool:
        """Tell the fate of the next datagram."""
        return bool(self._loss) and self._random.random() < self._loss


class RadioConnection:
    """Knows whether the radio connection is up, and reports changes where the host asked for it."""

    def __init__(self, module: Module) -> None:
        self._module = module
        #: +CSCON lines come unasked.
        self.reports = False
        self._up_until = float("-inf")
        self._timer: Timer | None = None

    def is_up(self, now: float) -> bool:
        """The network has not released it yet."""
        return now < self._up_until and self._module.life.stat in (1, 5)

    def traffic(self, now: float) -> None:
        """Something goes over the air."""
        was_up = self.is_up(now)
        self._up_until = max(self._up_until, now + self._module.options.connected_time)
        if self.reports and not was_up and self.is_up(now):
            self._module.output.urc("+CSCON: 1", now)
        self.watch(now)

    def watch(self, now: float) -> None:
        """Have the end reported, where that is asked for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.reports and self.is_up(now):
            self._timer = self._module.timers.add(self._up_until, self._end)

    def _end(self, now: float) -> None:
        self._timer = None
        if self.reports:
            self._module.output.urc("+CSCON: 0", now)

    def reset(self) -> None:
        """A boot: no connection, no reports."""
        self.reports, self._up_until, self._timer = False, float("-inf"), None


class RadioPowerSaving:
    """AT+CPSMS and its effect. Mode and timers are stored: a restart leaves them."""

    def __init__(self, module: Module, now: float) -> None:
        self._module = module
        self.mode = int(module.options.psm)
        self._active_bits = encode_timer(module.options.active_time)
        self._periodic_bits = _PERIODIC
        self._reachable_until = now + module.options.active_time
        self._held: list[NetworkEvent] = []

    @property
    def active_time(self) -> float | None:
        """T3324: seconds after the last traffic for which the modem is reachable; None: always."""
        unit, value = divmod(int(self._active_bits, 2), 32)
        return None if unit == _TIMER_OFF else value * _UNITS.get(unit, 60.0)

    def is_unreachable(self, now: float) -> bool:
        """What the network has for the modem waits."""
        return self.mode == 1 and self.active_time is not None and now > self._reachable_until

    def traffic(self, now: float) -> None:
        """Something goes over the air: the modem can be reached from now on, for a while."""
        self._module.connection.traffic(now)
        is_over = self.is_unreachable(now)
        self._reachable_until = max(self._reachable_until, now + (self.active_time or 0.0))
        if is_over:
            self.release(now)

    def release(self, now: float) -> None:
        """Let come what has waited."""
        held, self._held = self._held, []
        for event in held:
            self._module.sockets.handle(event, now)

    def hold(self, event: NetworkEvent) -> None:
        """Let it wait."""
        self._held.append(event)

    def granted(self) -> tuple[str, str]:
        """Return T3324 and T3412 extended as the network grants them: T3324 as asked, unless an option says other."""
        options = self._module.options
        active = self._active_bits if self.mode == 1 else _GRANTED_ACTIVE
        if options.granted_active_time is not None:
            active = encode_timer(options.granted_active_time)
        if options.granted_periodic_time is None:
            return active, _GRANTED_PERIODIC
        return active, encode_timer(options.granted_periodic_time, _T3412_UNITS)

    def read(self) -> str:
        """Return the line that AT+CPSMS? is answered with."""
        return f'+CPSMS: {self.mode},,,"{self._periodic_bits}","{self._active_bits}"'

    def set(self, tail: str, now: float) -> None:
        """Carry out AT+CPSMS=mode[,,,T3412,T3324]."""
        arguments = Arguments(tail, GENERAL_ERROR)
        arguments.expect(1, 5)
        mode = arguments.number(0, 0, 2)
        periodic, active = arguments.text(3, 8, self._periodic_bits), arguments.text(4, 8, self._active_bits)
        if _TIMER_RE.fullmatch(periodic) is None or _TIMER_RE.fullmatch(active) is None:
            raise arguments.fail()
        self._periodic_bits, self._active_bits = periodic, active
        was_unreachable, self.mode = self.is_unreachable(now), mode % 2
        self._reachable_until = now + (self.active_time or 0.0)
        if was_unreachable:
            self.release(now)


def encode_timer(seconds: float, units: Mapping[int, float] = _UNITS) -> str:
    """Write seconds as T3324 (or by the units of another timer), rounded up to what it can say."""
    for unit, size in units.items():
        count = -int(-seconds // size)
        if count < 32:
            return f"{unit << 5 | count:08b}"
    return f"{_TIMER_OFF << 5:08b}"
