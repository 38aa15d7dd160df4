"""Questions that change nothing, about SIM card, cell, signal, contexts, timers and battery: one table.

Firmware differs in these answers more than anywhere else: fields are missing, quoted or not, decimal or hex, and
numbers such as 99 and 255 say that something is not known. So a row's reader never fails for what a field holds: it
gives the facts that are told, by name, and leaves out the others. Units: dBm, dB, seconds, volts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nbsocket._at._command import Command, InfoResponse
from nbsocket._at._syntax import RemoteProtocolError
from nbsocket._dataclass import dataclass

__all__ = [
    "NIBBLE_RE",
    "QUERIES",
    "TIMER_RE",
    "Query",
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


#: What one answer tells: facts by name. Only those that are told are there.
Facts = dict[str, Any]

_Fields = Sequence["str | None"]
_Reader = Callable[[Sequence[_Fields]], "dict[str, Any]"]

_NUMBER_RE = re.compile(r"[+-]?[0-9]{1,10}")
_HEX_RE = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{1,8})")
#: ICCID: 18 to 20 digits, where the last ones may be fill (F), or a check digit in hex. ITU-T E.118.
_ICCID_RE = re.compile(r"([0-9]{18,20}|[0-9]{17,19}[0-9A-Fa-f])[Ff]{0,2}")
_IMSI_RE = re.compile(r"[0-9]{6,15}")
_VOLTS_RE = re.compile(r"([0-9]{1,2}\.[0-9]{1,4}) ?V?")


class _Row(NamedTuple):
    """One question."""

    #: Command line without CR.
    line: str
    #: Prefixes of its answer; firmware spells some in several ways.
    prefixes: tuple[str, ...]
    read: _Reader
    #: Fewest fields of an answer: a line with fewer is a report that came unasked.
    least: int = 1
    #: The answer may have no prefix.
    is_bare: bool = False
    #: An answer that tells nothing is a damaged one.
    always_tells: bool = False


@dataclass(frozen=True, slots=True)
class Query(Command[Facts]):
    """One question of the table; gives the facts that the modem tells."""

    #: Name of the row, such as ``"QENG"``.
    name: str

    def __post_init__(self) -> None:
        if self.name not in QUERIES:
            raise ValueError(f"no such question: {self.name!r}")

    @property
    def line(self) -> str:
        return QUERIES[self.name].line

    @property
    def prefixes(self) -> tuple[str, ...]:
        return QUERIES[self.name].prefixes

    def claims(self, response: InfoResponse) -> bool:
        """A line with fewer fields than the answer has is a report."""
        is_whole = not response.prefix or len(response.fields()) >= QUERIES[self.name].least
        # Not super(): the class that slots make is another one than that which is named here.
        return is_whole and Command.claims(self, response)

    def takes_line(self, line: str) -> bool:
        return QUERIES[self.name].is_bare and not line.startswith(("+", "^"))

    def parse(self, responses: Sequence[InfoResponse]) -> Facts:
        """Give the facts by name, of which any may be missing.

        Raises:
            RemoteProtocolError: an answer that always tells something tells nothing: it was damaged or lost.
        """
        row = QUERIES[self.name]
        told = row.read([response.fields() for response in responses])
        facts = {name: value for name, value in told.items() if value is not None}
        if row.always_tells and not facts:
            raise RemoteProtocolError(f"nothing is told in the answer to {self.line}")
        return facts


# -- fields


def _field(fields: _Fields, index: int) -> str:
    value = fields[index] if -len(fields) <= index < len(fields) else None
    return (value or "").strip().strip('"')


def _number(fields: _Fields, index: int, lowest: int, highest: int) -> int | None:
    """A decimal number in that range; None for anything else, as for the numbers that say "not known"."""
    text = _field(fields, index)
    if _NUMBER_RE.fullmatch(text) is None or not lowest <= int(text) <= highest:
        return None
    return int(text)


def _hex(fields: _Fields, index: int) -> str | None:
    """Hex digits in capitals, without what programs put before them."""
    match = _HEX_RE.fullmatch(_field(fields, index))
    return match[1].upper() if match is not None else None


def _bits(fields: _Fields, index: int, expression: re.Pattern[str] = TIMER_RE) -> str | None:
    text = _field(fields, index)
    return text if expression.fullmatch(text) else None


def _last(rows: Sequence[_Fields]) -> _Fields:
    return rows[-1] if rows else ()


# -- answers


def _read_sim(rows: Sequence[_Fields]) -> Facts:
    return {"sim_state": _field(_last(rows), 0).upper() or None}


def _read_iccid(rows: Sequence[_Fields]) -> Facts:
    """``+QCCID: <iccid>``; the fill of an odd number of digits is taken off."""
    matches = [_ICCID_RE.fullmatch(_field(row, 0)) for row in rows]
    return {"iccid": next((match[1].upper().rstrip("F") for match in reversed(matches) if match), None)}


def _read_imsi(rows: Sequence[_Fields]) -> Facts:
    """``<IMSI>``, without a prefix. TS 27.007 §5.6."""
    texts = [_field(row, 0) for row in rows]
    return {"imsi": next((text for text in reversed(texts) if _IMSI_RE.fullmatch(text)), None)}


def _read_registration(rows: Sequence[_Fields]) -> Facts:
    """``<n>,<stat>[,<tac>,<ci>,<AcT>[,<cause_type>,<reject_cause>[,<Active-Time>,<Periodic-TAU>]]]``.

    TS 27.007 §10.1.22.
    """
    fields = _last(rows)
    return {
        "registration_level": _number(fields, 0, 0, 5),
        "stat": _number(fields, 1, 0, 99),
        "tac": _hex(fields, 2),
        "cell": _hex(fields, 3),
        "cause_type": _number(fields, 5, 0, 1),
        "reject_cause": _number(fields, 6, 0, 255),
        "granted_active_bits": _bits(fields, 7),
        "granted_periodic_bits": _bits(fields, 8),
    }


def _read_operator(rows: Sequence[_Fields]) -> Facts:
    """``<mode>[,<format>,<oper>[,<AcT>]]``; without an operator <mode> alone. TS 27.007 §7.3."""
    fields = _last(rows)
    return {"operator": _field(fields, 2) or None}


def _read_strength(rows: Sequence[_Fields]) -> Facts:
    """``<rssi>,<ber>``: 0 to 31 in steps of 2 dB from -113 dBm, 99 not known. TS 27.007 §8.5."""
    level = _number(_last(rows), 0, 0, 31)
    return {"rssi": None if level is None else 2 * level - 113}


def _read_extended_strength(rows: Sequence[_Fields]) -> Facts:
    """``<rxlev>,<ber>,<rscp>,<ecno>,<rsrq>,<rsrp>``, 99 or 255 not known. TS 27.007 §8.69.

    rsrq: steps of 0.5 dB from -20, rsrp: of 1 dB from -141 dBm; some firmware writes dB and dBm themselves.
    """
    fields = _last(rows)
    quality, power = _number(fields, 4, -40, 255), _number(fields, 5, -160, 255)
    return {
        "rsrq": None if quality is None or quality > 34 else quality / 2 - 20 if quality >= 0 else float(quality),
        "rsrp": None if power is None or power > 97 else power - 141 if power >= 0 else power,
    }


def _read_cell(rows: Sequence[_Fields]) -> Facts:
    """``0,<EARFCN>,<offset>,<PCI>,<cell>,<RSRP>,<RSRQ>,<RSSI>,<SINR>,<band>,<TAC>,<ECL>,<TX power>,<mode>``.

    Any field may be empty; rows that begin with another number are of neighbouring cells. As the vendor's NB-IoT
    modules BC660K-GL, BC26 and BC20 answer it.
    """
    fields = next((row for row in rows if _field(row, 0) == "0" and len(row) >= 5), ())
    quality = _number(fields, 6, -40, 20)
    return {
        "earfcn": _number(fields, 1, 1, 262143),
        "pci": _number(fields, 3, 0, 503),
        "cell": _hex(fields, 4),
        "rsrp": _number(fields, 5, -160, -20),
        "rsrq": None if quality is None else float(quality),
        "sinr": _number(fields, 8, -40, 60),
        "band": _number(fields, 9, 1, 88),
        "tac": _hex(fields, 10),
        "ecl": _number(fields, 11, 0, 2),
    }


def _read_bands(rows: Sequence[_Fields]) -> Facts:
    """``<count>,<band>[,<band>...]``, or the bands alone."""
    fields = _last(rows)
    numbers = [number for index in range(len(fields)) if (number := _number(fields, index, 1, 88)) is not None]
    if len(numbers) > 1 and numbers[0] == len(numbers) - 1:
        numbers = numbers[1:]
    return {"bands": tuple(numbers) or None}


def _read_radio(rows: Sequence[_Fields]) -> Facts:
    """``<n>,<mode>[,<state>]``: mode 1 is connected. TS 27.007 §7.30."""
    mode = _number(_last(rows), 1, 0, 1)
    return {"is_radio_connected": None if mode is None else mode == 1}


def _read_contexts(rows: Sequence[_Fields]) -> Facts:
    """``<cid>,<type>,<APN>[,<address>...]``; the first context with an APN, cid 1 before the others."""
    known = [(_number(row, 0, 0, 15), _field(row, 1).upper(), _field(row, 2)) for row in rows]
    contexts = sorted((row for row in known if row[0] is not None), key=lambda row: (not row[2], row[0] != 1, row[0]))
    return {"apn": contexts[0][2], "pdp_type": contexts[0][1] or None} if contexts else {}


def _read_saving(rows: Sequence[_Fields]) -> Facts:
    """``<mode>[,<RAU>,<GPRS READY>,<Periodic-TAU>,<Active-Time>]``. TS 27.007 §7.38."""
    fields = _last(rows)
    return {
        "saving_mode": _number(fields, 0, 0, 2),
        "periodic_bits": _bits(fields, 3),
        "active_bits": _bits(fields, 4),
    }


def _read_cycle(rows: Sequence[_Fields]) -> Facts:
    """``<AcT>,<cycle>``, of some firmware ``<mode>,<AcT>,<cycle>``; 0 alone: not used. TS 27.007 §7.40.

    Of the rows of several access technologies that of NB-IoT counts, AcT 5, else the last.
    """
    fields = next((row for row in rows if _field(row, -2 if len(row) > 1 else 0) == "5"), _last(rows))
    number = _number(fields, 0, 0, 9)
    if number is None:
        return {}
    is_off = number == 0 or (len(fields) > 2 and number == 3)
    cycle = _bits(fields, -1, NIBBLE_RE) if len(fields) > 1 else None
    return {"asks_for_cycle": not is_off, "cycle_bits": None if is_off else cycle}


def _read_granted_cycle(rows: Sequence[_Fields]) -> Facts:
    """``<AcT>[,<asked cycle>[,<granted cycle>[,<paging window>]]]``; AcT 0: not used. TS 27.007 §7.41."""
    fields = _last(rows)
    kind = _number(fields, 0, 0, 9)
    if kind is None:
        return {}
    granted, window = (_bits(fields, index, NIBBLE_RE) if kind else None for index in (2, 3))
    return {"has_cycle": kind != 0 and granted is not None, "granted_cycle_bits": granted, "window_bits": window}


def _read_battery(rows: Sequence[_Fields]) -> Facts:
    """``<bcs>,<bcl>,<millivolts>``, or the voltage alone, in millivolts or volts. TS 27.007 §8.4 has no voltage."""
    fields = _last(rows)
    volts = _VOLTS_RE.fullmatch(_field(fields, -1))
    if volts is not None:
        return {"voltage": float(volts[1])}
    millivolts = _number(fields, -1, 1000, 20000)
    return {"voltage": None if millivolts is None else millivolts / 1000}


#: Every question by its name.
QUERIES: dict[str, _Row] = {
    "CPIN": _Row("AT+CPIN?", ("+CPIN",), _read_sim, always_tells=True),
    "QCCID": _Row("AT+QCCID", ("+QCCID", "+CCID", "+ICCID"), _read_iccid, is_bare=True, always_tells=True),
    "CIMI": _Row("AT+CIMI", ("+CIMI",), _read_imsi, is_bare=True, always_tells=True),
    "CEREG": _Row("AT+CEREG?", ("+CEREG",), _read_registration, least=2, always_tells=True),
    "COPS": _Row("AT+COPS?", ("+COPS",), _read_operator),
    "CSQ": _Row("AT+CSQ", ("+CSQ",), _read_strength),
    "CESQ": _Row("AT+CESQ", ("+CESQ",), _read_extended_strength),
    "QENG": _Row("AT+QENG=0", ("+QENG",), _read_cell, least=2),
    "QBAND": _Row("AT+QBAND?", ("+QBAND",), _read_bands),
    "CSCON": _Row("AT+CSCON?", ("+CSCON",), _read_radio, least=2),
    "CGDCONT": _Row("AT+CGDCONT?", ("+CGDCONT",), _read_contexts, least=2),
    "CPSMS": _Row("AT+CPSMS?", ("+CPSMS",), _read_saving, always_tells=True),
    "CEDRXS": _Row("AT+CEDRXS?", ("+CEDRXS",), _read_cycle, always_tells=True),
    "CEDRXRDP": _Row("AT+CEDRXRDP", ("+CEDRXRDP",), _read_granted_cycle),
    "CBC": _Row("AT+CBC", ("+CBC",), _read_battery),
}
