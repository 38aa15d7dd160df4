"""Timers of the network as AT commands write them, strings of bits, in seconds."""

from __future__ import annotations

import re

__all__ = [
    "NIBBLE_RE",
    "TIMER_RE",
    "is_deactivated",
    "read_active_time",
    "read_drx_cycle",
    "read_paging_window",
    "read_periodic_time",
]

#: Eight bits of a timer, four of a cycle or a window.
TIMER_RE = re.compile(r"[01]{8}")
NIBBLE_RE = re.compile(r"[01]{4}")

#: Upper three bits that switch a timer off.
_OFF = 7

#: Seconds of a unit of T3324 (GPRS timer 2); other units are read as minutes. TS 24.008 §10.5.7.4.
_ACTIVE_UNITS = {0: 2, 1: 60, 2: 360}
_OTHER_UNIT = 60

#: Seconds of a unit of T3412 extended (GPRS timer 3): 10 min, 1 h, 10 h, 2 s, 30 s, 1 min, 320 h. TS 24.008 §10.5.7.4a.
_PERIODIC_UNITS = {0: 600, 1: 3600, 2: 36000, 3: 2, 4: 30, 5: 60, 6: 1152000}

#: Seconds of an eDRX cycle by its four bits. TS 24.008 §10.5.5.32, table 10.5.5.32.
_CYCLES = (
    5.12, 10.24, 20.48, 40.96, 61.44, 81.92, 102.4, 122.88, 143.36, 163.84, 327.68, 655.36, 1310.72, 2621.44, 5242.88,
    10485.76,
)  # fmt: skip

#: The cycles that NB-IoT does not have: there they stand for no eDRX. The same table, note 4.
_NOT_OF_NB_IOT = ("0000", "0001")

#: Seconds of a unit of the paging time window in NB-IoT: 0000 is one unit. The same section.
_WINDOW_UNIT = 2.56


def is_deactivated(bits: str | None) -> bool:
    """Whether a timer of eight bits says that it is not used."""
    return bits is not None and TIMER_RE.fullmatch(bits) is not None and int(bits, 2) >> 5 == _OFF


def read_active_time(bits: str | None) -> float | None:
    """T3324 in seconds; None where it is deactivated, not told, or no timer."""
    if bits is None or TIMER_RE.fullmatch(bits) is None or is_deactivated(bits):
        return None
    unit, count = divmod(int(bits, 2), 32)
    return float(count * _ACTIVE_UNITS.get(unit, _OTHER_UNIT))


def read_periodic_time(bits: str | None) -> float | None:
    """T3412 extended in seconds; None where it is deactivated, not told, or no timer."""
    if bits is None or TIMER_RE.fullmatch(bits) is None or is_deactivated(bits):
        return None
    unit, count = divmod(int(bits, 2), 32)
    return float(count * _PERIODIC_UNITS[unit])


def read_drx_cycle(bits: str | None) -> float | None:
    """An eDRX cycle in seconds; None where NB-IoT has none of that number, it is not told, or no cycle."""
    if bits is None or NIBBLE_RE.fullmatch(bits) is None or bits in _NOT_OF_NB_IOT:
        return None
    return _CYCLES[int(bits, 2)]


def read_paging_window(bits: str | None) -> float | None:
    """The paging time window of NB-IoT in seconds; None where it is not told, or no window."""
    if bits is None or NIBBLE_RE.fullmatch(bits) is None:
        return None
    return round((int(bits, 2) + 1) * _WINDOW_UNIT, 2)
