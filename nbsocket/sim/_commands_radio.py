"""Read-only commands about SIM card, cell, signal, operator, contexts, timers and battery, and what few of them set.

Everything is told from the state of the modem, so that no two answers contradict each other: the signal that AT+CESQ
and AT+QENG=0 tell is that of AT+CSQ, without a network all of them know nothing, and without a SIM card there are no
identities. Sources: 3GPP TS 27.007, and for the vendor's own commands what its NB-IoT modules are seen to answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._command import GENERAL_ERROR, Arguments, CommandHandler, Form, ResultError, constant

if TYPE_CHECKING:
    from ._module import Module


#: Received power of the whole carrier above that of one of its twelve subcarriers, in dB: 10 log 12.
_CARRIER_TO_SUBCARRIER = 11

#: <AcT> and <AcT-type> of NB-IoT: TS 27.007 §7.3 and §7.40.
_NB_IOT, _NB_S1 = 9, 5

#: Bands that the modem may use.
_BANDS = (3, 5, 8)

#: Offset of the anchor carrier to the channel, and power class of what is sent: they are told, and mean nothing here.
_EARFCN_OFFSET, _TX_POWER, _STAND_ALONE = 2, 0, 3

#: Paging time window that goes with a granted cycle: 0011 is 10.24 s. TS 24.008 §10.5.5.32.
_PAGING_WINDOW = "0011"


def _is_registered(module: Module) -> bool:
    return module.life.stat in (1, 5)


# ---- SIM card


def execute_cimi(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the IMSI, without a prefix: not before the PIN was given."""
    if module.life.sim_card == "none":
        raise ResultError(10)
    if module.life.cfun == 0:
        raise ResultError(3)
    if module.life.sim_card != "ready":
        raise ResultError({"pin": 11, "puk": 12}[module.life.sim_card])
    return [module.options.imsi]


def execute_qccid(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the number of the card, for which no PIN is needed."""
    if module.life.sim_card == "none":
        raise ResultError(10)
    return [f"+QCCID: {module.options.iccid}"]


# ---- operator and cell


def read_cops(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the operator, when there is one, in the form that was asked for."""
    if not _is_registered(module):
        return ["+COPS: 0"]
    form = module.life.operator_form
    name = module.options.operator if form == 2 else module.options.operator_name
    return [f'+COPS: 0,{form},"{name}",{_NB_IOT}']


def set_cops(module: Module, tail: str, now: float) -> Sequence[str]:
    """Choose how the operator is told (mode 3), or that it is chosen automatically (mode 0, as it always is here)."""
    arguments = Arguments(tail, GENERAL_ERROR)
    arguments.expect(1, 4)
    mode = arguments.number(0, 0, 4)
    if mode == 3:
        module.life.operator_form = arguments.number(1, 0, 2)
    elif mode != 0:
        raise ResultError(4)
    return []


def rsrp(module: Module) -> int:
    """Received power of the reference signal in dBm: by its own option, else by the signal of AT+CSQ."""
    if module.options.rsrp is not None:
        return module.options.rsrp
    return max(-140, 2 * module.options.rssi - 113 - _CARRIER_TO_SUBCARRIER)


def execute_cesq(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell power and quality of the reference signal as numbers of the tables of TS 27.007 §8.69."""
    if not _is_registered(module) or module.options.rssi == 99:
        return ["+CESQ: 99,99,255,255,255,255"]
    quality = min(34, max(0, 2 * module.options.rsrq + 40))
    power = min(97, max(0, rsrp(module) + 141))
    return [f"+CESQ: 99,99,255,255,{quality},{power}"]


def set_qeng(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the serving cell (0), or its neighbours (1): there are none here."""
    kind = Arguments(tail, GENERAL_ERROR).number(0, 0, 1)
    options = module.options
    if kind == 1 or not _is_registered(module):
        return []
    signal = ",,,"
    if options.rssi != 99:
        signal = f"{rsrp(module)},{options.rsrq},{2 * options.rssi - 113},{options.sinr}"
    return [
        f'+QENG: 0,{options.earfcn},{_EARFCN_OFFSET},{options.pci},"{options.cell}",{signal},{options.band}'
        f',"{options.tac}",{options.ecl},{_TX_POWER},{_STAND_ALONE}'
    ]


def read_qband(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell how many bands may be used, and which."""
    bands = sorted({*_BANDS, module.options.band})
    return [f"+QBAND: {len(bands)}," + ",".join(map(str, bands))]


def read_cscon(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell whether changes are reported, and whether there is a radio connection now."""
    return [f"+CSCON: {module.connection.reports:d},{module.connection.is_up(now):d}"]


def set_cscon(module: Module, tail: str, now: float) -> Sequence[str]:
    """Choose whether the radio connection's beginning and end are reported."""
    module.connection.reports = bool(Arguments(tail, GENERAL_ERROR).number(0, 0, 1))
    module.connection.watch(now)
    return []


def read_cgact(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell whether the context is active."""
    return [f"+CGACT: {module.options.cgpaddr_cid},{module.life.has_address:d}"]


# ---- extended discontinuous reception

_CYCLE_RE = re.compile(r"[01]{4}")


def read_cedrxs(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the cycle that is asked for."""
    return [f"+CEDRXS: {module.life.stored.get('+CEDRXS') or _first_cedrxs(module)}"]


def _first_cedrxs(module: Module) -> str:
    cycle = module.options.edrx
    return f'1,{_NB_S1},"{cycle}"' if cycle else f'0,{_NB_S1},"0000"'


def set_cedrxs(module: Module, tail: str, now: float) -> Sequence[str]:
    """Ask for a cycle (mode 1 or 2), or for none (0, 3). It is stored."""
    arguments = Arguments(tail, GENERAL_ERROR)
    arguments.expect(1, 3)
    arguments.number(0, 0, 3)
    arguments.number(1, 0, 5, _NB_S1)
    if _CYCLE_RE.fullmatch(arguments.text(2, 4, "0000")) is None:
        raise arguments.fail()
    module.life.stored["+CEDRXS"] = tail
    return []


def _asked_cycle(module: Module) -> str | None:
    """The cycle that is asked for, None when none is."""
    arguments = Arguments(module.life.stored.get("+CEDRXS") or _first_cedrxs(module), GENERAL_ERROR)
    return arguments.text(2, 4, "0000") if arguments.number(0, 0, 3) in (1, 2) else None


def execute_cedrxrdp(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the cycle as asked and as granted by the cell, and the paging window. TS 27.007 §7.41."""
    asked = _asked_cycle(module)
    if asked is None or not _is_registered(module) or module.options.granted_edrx == "none":
        return ["+CEDRXRDP: 0"]
    granted = module.options.granted_edrx or asked
    return [f'+CEDRXRDP: {_NB_S1},"{asked}","{granted}","{_PAGING_WINDOW}"']


# ---- battery, zone reports, configuration


def execute_cbc(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the supply: state and charge, which a modem without a battery of its own does not know, and millivolts."""
    return [f"+CBC: 0,0,{module.options.voltage}"]


def _number(name: str, high: int) -> dict[Form, CommandHandler]:
    """Return the forms of a command with one number that is kept and has no effect here."""

    def read(module: Module, tail: str, now: float) -> Sequence[str]:
        return [f"{name}: {module.life.stored.get(name, '0')}"]

    def write(module: Module, tail: str, now: float) -> Sequence[str]:
        module.life.stored[name] = str(Arguments(tail, GENERAL_ERROR).number(0, 0, high))
        return []

    return {Form.TEST: constant(f"{name}: (0-{high})"), Form.READ: read, Form.SET: write}


#: Names of AT+QCFG and the highest value of each.
_SETTINGS = {"dsevent": 1, "wakeuprxd": 1, "oosscheme": 2}
_SPELLINGS = {"wakeuprxd": "wakeupRXD", "oosscheme": "OOSScheme"}


def set_qcfg(module: Module, tail: str, now: float) -> Sequence[str]:
    """Query or set one of the vendor's settings: reports of deep sleep, and whether the serial line ends it."""
    arguments = Arguments(tail, GENERAL_ERROR)
    arguments.expect(1, 2)
    name = arguments.text(0, 20).lower()
    if name not in _SETTINGS:
        raise arguments.fail()
    if len(arguments) == 1:
        return [f'+QCFG: "{_SPELLINGS.get(name, name)}",{_setting(module, name)}']
    value = arguments.number(1, 0, _SETTINGS[name])
    if name == "dsevent":
        module.life.reports_sleep = bool(value)
    elif name == "wakeuprxd":
        module.life.wakes_by_line = bool(value)
    else:
        module.life.stored[name] = str(value)
    return []


def _setting(module: Module, name: str) -> int:
    if name == "dsevent":
        return int(module.life.reports_sleep)
    return int(module.life.wakes_by_line) if name == "wakeuprxd" else int(module.life.stored.get(name, "0"))


RADIO: dict[str, dict[Form, CommandHandler]] = {
    "+CIMI": {Form.TEST: constant(), Form.EXECUTE: execute_cimi},
    "+QCCID": {Form.TEST: constant(), Form.EXECUTE: execute_qccid},
    "+COPS": {Form.READ: read_cops, Form.SET: set_cops},
    "+CESQ": {
        Form.TEST: constant("+CESQ: (0-63,99),(0-7,99),(0-96,255),(0-49,255),(0-34,255),(0-97,255)"),
        Form.EXECUTE: execute_cesq,
    },
    "+QENG": {Form.TEST: constant("+QENG: (0,1)"), Form.SET: set_qeng},
    "+QBAND": {Form.TEST: constant(f"+QBAND: (0-{len(_BANDS)}),{_BANDS}"), Form.READ: read_qband},
    "+CSCON": {Form.TEST: constant("+CSCON: (0,1)"), Form.READ: read_cscon, Form.SET: set_cscon},
    "+CGACT": {Form.TEST: constant("+CGACT: (0,1)"), Form.READ: read_cgact},
    "+QCFG": {Form.TEST: constant('+QCFG: "dsevent",(0,1)', '+QCFG: "wakeupRXD",(0,1)'), Form.SET: set_qcfg},
    "+QCSEARFCN": {Form.TEST: constant(), Form.EXECUTE: constant()},  # the channels that it remembers are forgotten
    "+CEDRXS": {
        Form.TEST: constant('+CEDRXS: (0-3),(5),("0000"-"1111")'),
        Form.READ: read_cedrxs,
        Form.SET: set_cedrxs,
    },
    "+CEDRXRDP": {Form.TEST: constant(), Form.EXECUTE: execute_cedrxrdp},
    "+CBC": {Form.TEST: constant(), Form.EXECUTE: execute_cbc},
    "+CTZR": _number("+CTZR", 3),
}
