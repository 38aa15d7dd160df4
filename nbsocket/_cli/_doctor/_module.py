"""Checks of what the modem tells about itself.

Each is a function of :class:`nbsocket.ModuleDetails` (and the port's name, for the remedy) alone, so that tests need no
modem.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from nbsocket._cli._doctor._finding import Finding, failure, fine, skipped, warning

if TYPE_CHECKING:
    from nbsocket import ModuleDetails

__all__ = [
    "check_access_point",
    "check_address",
    "check_clock",
    "check_firmware",
    "check_format",
    "check_registration",
    "check_signal",
    "check_sim",
    "check_sleep",
]

#: dBm below which NB-IoT needs many repetitions, or does not work at all.
WEAK_RSRP, WEAK_RSSI = -120, -107
#: Seconds that a modem's clock may differ from the host's.
CLOCK_DIFFERENCE = 300.0
#: An earlier year means that the host's clock was never set; certificates are not valid yet then.
OLDEST_YEAR = 2025
#: Seconds of eDRX after which a peer's answer is late for most libraries.
LONG_CYCLE = 20.0

_SIM_REMEDIES = {
    "missing": ("no SIM card is there", "switch the module off, put the card in, and switch it on"),
    "pin": ("the SIM card wants its PIN", "nbsocket --port {port} --pin-file FILE info   # FILE holds the PIN"),
    "puk": (
        "the SIM card is blocked and wants its PUK",
        'nbsocket --port {port} at \'AT+CPIN="PUK","NEW PIN"\'   # the PUK is on the card\'s letter',
    ),
    "failure": ("the SIM card does not work", "try the card in a telephone, and another card in the module"),
    "wrong": ("the SIM card is of the wrong kind", "put a card for NB-IoT in"),
    "busy": ("the SIM card is busy", "nbsocket --port {port} doctor   # again in half a minute"),
}


def check_firmware(details: ModuleDetails, port: str) -> Finding:
    """Whether it is a model that nbsocket was written for."""
    seen = f"{details.model or 'a module that does not tell its name'}, firmware {details.revision or 'not told'}"
    if "BC260Y" in (details.model or ""):
        return fine("module", seen)
    return warning(
        "module", f"{seen}: nbsocket was written for BC260Y-CN", "nbsocket --port " + port + " --log all.log info"
    )


def check_sim(details: ModuleDetails, port: str) -> Finding:
    """Whether the SIM card is usable."""
    if details.sim is None:
        return skipped("SIM card", "this firmware does not tell")
    if details.sim in ("ready", "pin2", "puk2"):
        return fine("SIM card", f"ready{f', ICCID {details.iccid}' if details.iccid else ''}")
    detail, remedy = _SIM_REMEDIES.get(
        details.sim, (f"the SIM card is {details.sim}", "nbsocket --port {port} at 'AT+CPIN?'")
    )
    return failure("SIM card", detail, remedy.format(port=port))


def check_signal(details: ModuleDetails, port: str) -> Finding:
    """Whether the modem receives a cell, and how strongly."""
    seen = f"RSRP {details.rsrp} dBm" if details.rsrp is not None else f"RSSI {details.rssi} dBm"
    is_unheard = details.rsrp is None and details.rssi is None
    if is_unheard and (details.registered or details.reject_cause is not None or "denied" in details.registration):
        return skipped("signal", "not told, but a network has answered the module")
    if is_unheard:
        remedy = f"check the antenna and its plug, then: nbsocket --port {port} info --watch 5"
        return failure("signal", "the module hears no cell", remedy)
    is_weak = details.rsrp < WEAK_RSRP if details.rsrp is not None else (details.rssi or 0) < WEAK_RSSI
    if is_weak:
        remedy = f"another place for the antenna; look there: nbsocket --port {port} info --watch 5"
        return warning("signal", f"{seen} is weak", remedy)
    return fine("signal", seen)


def check_registration(details: ModuleDetails, port: str) -> Finding:
    """Whether the modem is registered with the network."""
    if details.registered:
        return fine("registration", f"{details.registration}{f', {details.operator}' if details.operator else ''}")
    if details.reject_cause is not None or "denied" in details.registration:
        remedy = "ask the operator of the card: is NB-IoT part of the tariff, and this module's IMEI allowed?"
        return failure("registration", details.registration, remedy)
    if "not searching" in details.registration:
        return failure("registration", details.registration, f"nbsocket --port {port} at AT+CFUN=1")
    remedy = f"wait, the first search takes minutes: nbsocket --port {port} info --watch 5"
    return failure("registration", details.registration, remedy)


def check_access_point(details: ModuleDetails, port: str) -> Finding:
    """Which access point is set."""
    if details.apn is None:
        return skipped("access point", "this firmware does not tell")
    return fine(
        "access point", f"{details.apn or 'the one that the network chooses'} ({details.pdp_type or 'type not told'})"
    )


def check_address(details: ModuleDetails, port: str) -> Finding:
    """Whether the network gave an address."""
    if details.address:
        return fine("address", details.address)
    remedy = f"nbsocket --port {port} --apn NAME info   # NAME is the access point of the card's operator"
    return failure("address", "the module is registered, and has no address: the access point may be wrong", remedy)


def check_clock(module_time: datetime | None, host_time: datetime, port: str) -> Finding:
    """Whether this host's clock can be trusted for certificates, and whether the modem's clock agrees with it."""
    if host_time.year < OLDEST_YEAR:
        remedy = f"nbsocket --port {port} ntp pool.ntp.org   # then: sudo date -u -s 'what it says'"
        return failure("clock", f"this host's clock says {host_time:%Y-%m-%d}: no certificate is valid then", remedy)
    if module_time is None:
        remedy = f"nbsocket --port {port} ntp pool.ntp.org --set"
        return warning("clock", f"this host's says {host_time:%Y-%m-%d %H:%M} UTC; the module's was never set", remedy)
    difference = (module_time - host_time.astimezone(timezone.utc)).total_seconds()
    if abs(difference) > CLOCK_DIFFERENCE:
        remedy = f"nbsocket --port {port} ntp pool.ntp.org --set   # where this host's clock is right"
        return warning("clock", f"the module's and this host's differ by {abs(difference):.0f} s", remedy)
    return fine("clock", f"{host_time:%Y-%m-%d %H:%M} UTC, the module's as well")


def check_format(details: ModuleDetails, port: str) -> Finding:
    """How payload crosses the line."""
    if details.send_format is None:
        return skipped("data format", "this firmware does not tell")
    return fine("data format", f"sent as {details.send_format}, received as {details.receive_format}")


def check_settings(details: ModuleDetails, port: str) -> Finding:
    """Whether an earlier program, or a restart, had left settings in the modem that nbsocket had to correct."""
    if not details.corrected:
        return fine("settings", "echo, error numbers, format and radio are as needed")
    return fine("settings", f"found otherwise, and put right: {', '.join(details.corrected)}")


def check_sleep(details: ModuleDetails, port: str) -> Finding:
    """Whether the network can reach the modem at any time."""
    if details.psm is not None and details.psm.is_on:
        remedy = f"nbsocket --port {port} at AT+CPSMS=0   # programs over nbsocket do so, but for power='psm'"
        return warning("sleep", "PSM is on: the network cannot reach an idle module", remedy)
    if details.edrx is not None and details.edrx.is_on and (details.edrx.cycle or 0) > LONG_CYCLE:
        remedy = f"nbsocket --port {port} at AT+CEDRXS=0"
        return warning("sleep", f"eDRX is on: an idle module listens every {details.edrx.cycle:g} s", remedy)
    return fine("sleep", "the network can reach the module at any time")
