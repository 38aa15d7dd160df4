"""The radio connection between module and network: up with each transfer, and released some seconds after the last.

Source: 3GPP TS 27.007 §7.30, AT+CSCON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._timers import Timer

if TYPE_CHECKING:
    from ._module import Module


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
            self._module.urc("+CSCON: 1", now)
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
            self._module.urc("+CSCON: 0", now)

    def reset(self) -> None:
        """A boot: no connection, no reports."""
        self.reports, self._up_until, self._timer = False, float("-inf"), None
