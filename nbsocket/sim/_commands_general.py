"""Commands that are not about sockets: identity, radio, registration, sleep, clock, the line itself.

Sources: V.250, 3GPP TS 27.007, and what BC260Y-CN TCP/IP guide 1.1 §4 shows of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from ._command import GENERAL_ERROR, LATER, Arguments, CommandHandler, Form, ResultError, by_model, constant

if TYPE_CHECKING:
    from ._models import SimulatedModel
    from ._module import Module


def revision(module: Module) -> str:
    """Return the firmware's full name."""
    return module.model.firmware + module.options.firmware


def run_basic(module: Module, name: str, now: float) -> Sequence[str]:
    """Carry out a command without a sign: AT, ATE0, ATI ..."""
    parts = _BASIC_RE.findall(name)
    if "".join(parts) != name:
        raise ResultError(100)
    lines: list[str] = []
    for part in parts:
        if part[0] == "I":
            lines += _block(module, [module.model.manufacturer[0], module.model.title, f"Revision: {revision(module)}"])
        else:
            _set_basic(module, part[0], part.endswith("1"))
    return lines


def _block(module: Module, lines: Sequence[str]) -> Sequence[str]:
    """Return lines that tell what the modem is, framed together where the model does so."""
    return ["\r\n".join(lines)] if module.model.is_identity_one_block else lines


# Without its number a basic command has 0. V.250 §5.3.1.
_BASIC_RE = re.compile(r"[EQV][01]?|[IZ]0?|&[FW]0?")


def _set_basic(module: Module, name: str, is_on: bool) -> None:
    if name == "E":
        module.output.is_echoing = is_on or (module.output.is_echoing and module.options.echo_stays)
    elif name == "Q":
        module.output.says_results = not is_on
    elif name == "V":
        module.output.says_words = is_on


# ---- errors, radio, registration


def set_cmee(module: Module, tail: str, now: float) -> Sequence[str]:
    """Choose how errors are told."""
    module.command.cmee = Arguments(tail, GENERAL_ERROR).number(0, 0, 2)
    return []


def read_cmee(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell how errors are told."""
    return [f"+CMEE: {module.command.cmee}"]


def read_cfun(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell whether the radio is on."""
    return [f"+CFUN: {module.life.cfun}"]


def set_cfun(module: Module, tail: str, now: float) -> Sequence[str]:
    """Switch the radio, or with ``1,1`` restart."""
    arguments = Arguments(tail, GENERAL_ERROR)
    arguments.expect(1, 2)
    mode = arguments.number(0, 0, 4)
    is_reset = arguments.number(1, 0, 1, 0) == 1
    if mode not in (0, 1, 4):
        raise arguments.fail()
    if is_reset:
        module.command.finish("OK", now)
        module.command.after_answer(now, module.restart)
        return LATER

    def switch(at: float) -> None:
        module.command.finish("OK", at)
        module.life.set_cfun(mode, at)

    is_long = mode == 1 and module.life.cfun != 1
    module.command.after(module.options.cfun_time if is_long else 0.0, now, switch)
    return LATER


def set_qrst(module: Module, tail: str, now: float) -> Sequence[str]:
    """Restart, after the OK."""
    Arguments(tail, GENERAL_ERROR).number(0, 1, 1)
    module.command.finish("OK", now)
    module.command.after_answer(now, module.restart)
    return LATER


def read_cpin(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the SIM card's state; with the radio off it is not known."""
    if module.life.sim_card == "none":
        raise ResultError(10)
    if module.life.cfun == 0:
        raise ResultError(3)
    return [{"ready": "+CPIN: READY", "pin": "+CPIN: SIM PIN", "puk": "+CPIN: SIM PUK"}[module.life.sim_card]]


def set_cpin(module: Module, tail: str, now: float) -> Sequence[str]:
    """Enter the PIN."""
    arguments = Arguments(tail, GENERAL_ERROR)
    arguments.expect(1, 1)
    module.life.enter_pin(arguments.text(0, 8), now)
    return []


def read_cpinr(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell how often the PIN may still be entered wrongly (3GPP TS 27.007 §8.65)."""
    if module.life.sim_card == "none":
        raise ResultError(10)
    return [f"+CPINR: SIM PIN,{module.life.pin_attempts},{module.options.pin_attempts}"]


def execute_csq(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the signal; 99 without a network."""
    rssi = module.options.rssi if module.life.stat in (1, 5) else 99
    return [f"+CSQ: {rssi},0"]


def read_cereg(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell n and the registration."""
    return [f"+CEREG: {module.life.cereg},{module.life.registration_fields()}"]


def set_cereg(module: Module, tail: str, now: float) -> Sequence[str]:
    """Choose what is told about the registration."""
    module.life.cereg = Arguments(tail, GENERAL_ERROR).number(0, 0, 5)
    return []


def read_cgatt(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell whether the packet service is attached."""
    return [f"+CGATT: {module.life.has_address:d}"]


def set_cgatt(module: Module, tail: str, now: float) -> Sequence[str]:
    """Attach or detach."""
    is_on = Arguments(tail, GENERAL_ERROR).number(0, 0, 1)
    module.command.finish("OK", now)
    if not is_on:
        module.life.lose_registration(now)
    elif not module.life.has_address:
        module.life.attach(now)
    return LATER


def read_cgpaddr(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the IP address, if there is one."""
    cid = module.options.cgpaddr_cid
    if not module.life.has_address:
        return [f"+CGPADDR: {cid}"]
    return [f'+CGPADDR: {cid},"{module.life.address}"']


def test_cgpaddr(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the contexts there are."""
    return [f"+CGPADDR: ({module.options.cgpaddr_cid})"]


def set_cgpaddr(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the IP address of one context."""
    cid = Arguments(tail, GENERAL_ERROR).number(0, 0, 11)
    if cid != module.options.cgpaddr_cid:
        return [f"+CGPADDR: {cid}"]
    return read_cgpaddr(module, tail, now)


def read_cgdcont(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the context that is defined."""
    return [f'+CGDCONT: 1,"{module.life.pdp_type}","{module.life.apn}",,0,0']


def read_cgauth(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell name and password of the context (3GPP TS 27.007 §10.1.31)."""
    user, password = module.life.credentials
    return [f'+CGAUTH: 1,1,"{user}","{password}"' if user else "+CGAUTH: 1,0"]


def set_cgauth(module: Module, tail: str, now: float) -> Sequence[str]:
    """Set name and password; protocol 0 is none."""
    arguments = Arguments(tail, GENERAL_ERROR)
    arguments.expect(1, 4)
    if arguments.number(0, 0, 10) not in (0, 1):
        raise arguments.fail()
    has_any = arguments.number(1, 0, 2, 0) != 0
    module.life.credentials = (arguments.text(2, 64, ""), arguments.text(3, 64, "")) if has_any else ("", "")
    return []


def set_cgdcont(module: Module, tail: str, now: float) -> Sequence[str]:
    """Define the context: only number 1 is used."""
    arguments = Arguments(tail, GENERAL_ERROR)
    arguments.expect(1, 11)
    if len(arguments) == 1:
        arguments.number(0, 0, 10)
        module.life.apn = ""
        return []
    if arguments.number(0, 0, 10) not in (0, 1) or arguments.text(1, 6).upper() not in (
        "IP",
        "IPV6",
        "IPV4V6",
        "NONIP",
    ):
        raise arguments.fail()
    module.life.pdp_type, module.life.apn = arguments.text(1, 6).upper(), arguments.text(2, 100, "")
    return []


# ---- identity


def execute_cgmr(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the firmware."""
    return [module.model.revision_prefix + revision(module)]


def execute_cgmi(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the manufacturer; some models tell themselves as well (BC660K-GL AT Commands Manual 1.0 §2.2)."""
    return _block(module, module.model.manufacturer)


def execute_cgsn(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the serial number."""
    return [module.options.imei]


def set_cgsn(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell one of the numbers: 0 serial, 1 IMEI, 2 IMEI with version, 3 version."""
    kind = Arguments(tail, GENERAL_ERROR).number(0, 0, 3)
    imei = module.options.imei
    return [f"+CGSN: {(imei, imei, imei[:14] + '01', '01')[kind]}"]


# ---- sleep


def read_qsclk(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the sleep mode."""
    return [f"+QSCLK: {module.life.qsclk}"]


def set_qsclk(module: Module, tail: str, now: float) -> Sequence[str]:
    """Choose the sleep mode: 0 none, 1 deep and light, 2 light only."""
    module.life.qsclk = Arguments(tail, GENERAL_ERROR).number(0, 0, 2)
    return []


def set_qnbiotevent(module: Module, tail: str, now: float) -> Sequence[str]:
    """Choose whether deep sleep is reported."""
    arguments = Arguments(tail, GENERAL_ERROR)
    arguments.expect(2, 2)
    is_on = bool(arguments.number(0, 0, 1))
    arguments.number(1, 1, 1)
    module.life.reports_sleep = is_on
    return []


def read_qnbiotevent(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell whether deep sleep is reported."""
    return [f"+QNBIOTEVENT: {module.life.reports_sleep:d},1"]


def read_cpsms(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell mode and timers."""
    return [module.saving.read()]


def set_cpsms(module: Module, tail: str, now: float) -> Sequence[str]:
    """Set mode and timers."""
    module.saving.set(tail, now)
    return []


# ---- clock

_CLOCK_RE = re.compile(r"(\d\d|\d{4})/(\d\d)/(\d\d),(\d\d):(\d\d):(\d\d)([+-]\d\d)?", re.ASCII)


def read_cclk(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the clock: local time and its zone in quarters of an hour (3GPP TS 27.007 §8.15)."""
    return [f'+CCLK: "{module.life.clock(now):%y/%m/%d,%H:%M:%S}{module.life.zone:+03d}"']


def set_cclk(module: Module, tail: str, now: float) -> Sequence[str]:
    """Set the clock."""
    arguments = Arguments(tail, GENERAL_ERROR)
    arguments.expect(1, 1)
    match = _CLOCK_RE.fullmatch(arguments.text(0, 30))
    if match is None:
        raise arguments.fail()
    year, month, day, hour, minute, second = (int(text) for text in match.groups()[:6])
    quarters = int(match.group(7) or module.life.zone)
    try:
        zone = timezone(timedelta(minutes=15 * quarters))
        time = datetime(year % 100 + 2000, month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        raise arguments.fail() from None
    module.life.set_clock(time, now)
    return []


# ---- the line


def read_ipr(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the baud rate."""
    return [f"+IPR: {module.uart.rate}"]


def _rates(model: SimulatedModel) -> str:
    return f"+IPR: {model.found_rates}({','.join(str(rate) for rate in model.rates)})"


def set_ipr(module: Module, tail: str, now: float) -> Sequence[str]:
    """Change the baud rate, once the OK is out at the old one."""
    arguments = Arguments(tail, GENERAL_ERROR)
    rate = arguments.number(0, 0, module.model.rates[-1])
    if rate not in module.model.rates:
        raise arguments.fail()
    module.command.finish("OK", now)
    module.command.after_answer(now, lambda at: module.uart.set_rate(rate))
    return LATER


_QSCLK: dict[Form, CommandHandler] = {
    Form.TEST: constant("+QSCLK: (0-2)"),
    Form.READ: read_qsclk,
    Form.SET: set_qsclk,
}

GENERAL: dict[str, dict[Form, CommandHandler]] = {
    "+CMEE": {
        Form.TEST: constant("+CMEE: (0-2)"),
        Form.READ: read_cmee,
        Form.SET: set_cmee,
    },
    "+CFUN": {
        Form.TEST: constant("+CFUN: (0,1,4),(0,1)"),
        Form.READ: read_cfun,
        Form.SET: set_cfun,
    },
    "+CPIN": {Form.TEST: constant(), Form.READ: read_cpin, Form.SET: set_cpin},
    "+CPINR": {Form.TEST: constant(), Form.EXECUTE: read_cpinr, Form.SET: read_cpinr},
    "+CGAUTH": {Form.TEST: constant("+CGAUTH: (0-10),(0-2),(64),(64)"), Form.READ: read_cgauth, Form.SET: set_cgauth},
    "+CSQ": {Form.TEST: constant("+CSQ: (0-31,99),(0-7,99)"), Form.EXECUTE: execute_csq},
    "+CEREG": {Form.TEST: constant("+CEREG: (0-5)"), Form.READ: read_cereg, Form.SET: set_cereg},
    "+CGATT": {Form.TEST: constant("+CGATT: (0,1)"), Form.READ: read_cgatt, Form.SET: set_cgatt},
    "+CGPADDR": {
        Form.TEST: test_cgpaddr,
        Form.READ: read_cgpaddr,
        Form.EXECUTE: read_cgpaddr,
        Form.SET: set_cgpaddr,
    },
    "+CGDCONT": {
        Form.TEST: constant('+CGDCONT: (0-10),"IP",,,(0),(0)'),
        Form.READ: read_cgdcont,
        Form.SET: set_cgdcont,
    },
    "+CGMI": {Form.TEST: constant(), Form.EXECUTE: execute_cgmi},
    "+CGMM": {Form.TEST: constant(), Form.EXECUTE: by_model(lambda model: model.title)},
    "+CGMR": {Form.TEST: constant(), Form.EXECUTE: execute_cgmr},
    "+CGSN": {Form.TEST: constant("+CGSN: (0-3)"), Form.EXECUTE: execute_cgsn, Form.SET: set_cgsn},
    "+QSCLK": _QSCLK,
    "+QSCCLK": _QSCLK,  # as BC260Y-CN TCP/IP guide 1.1 §4.3.9 spells it
    "+QNBIOTEVENT": {
        Form.TEST: constant("+QNBIOTEVENT: (0,1),(1)"),
        Form.READ: read_qnbiotevent,
        Form.SET: set_qnbiotevent,
    },
    "+CCLK": {Form.TEST: constant(), Form.READ: read_cclk, Form.SET: set_cclk},
    "+IPR": {
        Form.TEST: by_model(_rates),
        Form.READ: read_ipr,
        Form.SET: set_ipr,
    },
    "+QRST": {Form.TEST: constant("+QRST: (1)"), Form.SET: set_qrst},
    "+CPSMS": {
        Form.TEST: constant('+CPSMS: (0-2),,,("00000000"-"11111111"),("00000000"-"11111111")'),
        Form.READ: read_cpsms,
        Form.SET: set_cpsms,
    },
}
