"""What :meth:`nbsocket.Modem.details` returns: everything that the modem tells of itself, in one value."""

from __future__ import annotations

from nbsocket._dataclass import dataclass

__all__ = ["DiscontinuousReception", "ModuleDetails", "PowerSaving"]


@dataclass(frozen=True, slots=True)
class PowerSaving:
    """Power saving mode (PSM): as the modem asks for it, and as the network grants it. Times in seconds.

    Source: AT+CPSMS? (TS 27.007 §7.38); granted: AT+CEREG? where its level is 4 or 5 (§10.1.22). The level is left as
    it is: after ``Modem.command("AT+CEREG=5")`` they are told.
    """

    #: The modem asks for it. Without it the times mean nothing.
    is_on: bool
    #: T3324: how long after the last traffic the network can reach the modem; None: not told, or switched off.
    active_time: float | None
    #: T3412 extended: how often the modem reports to the network; None: not told, or switched off.
    periodic_time: float | None
    #: Whether the network grants it; None where that is not told.
    is_granted: bool | None
    granted_active_time: float | None
    granted_periodic_time: float | None


@dataclass(frozen=True, slots=True)
class DiscontinuousReception:
    """Extended discontinuous reception (eDRX): as asked for and as granted. Times in seconds.

    Source: AT+CEDRXS? (TS 27.007 §7.40), AT+CEDRXRDP (§7.41); the times of TS 24.008 §10.5.5.32.
    """

    #: The modem asks for it.
    is_on: bool
    #: How often the modem listens; None: not told.
    cycle: float | None
    #: Whether the network grants it; None where that is not told.
    is_granted: bool | None
    granted_cycle: float | None
    #: How long it listens each time.
    paging_window: float | None


@dataclass(frozen=True, slots=True)
class ModuleDetails:
    """Everything that the modem tells of itself; None: its firmware does not tell, or does not know it now.

    Source: BC260Y-CN TCP/IP guide 1.1 §2.3.1, §2.3.7, §4.1; 3GPP TS 27.007; of the vendor's NB-IoT modules AT+QENG=0,
    AT+QBAND?, AT+QCCID.
    """

    manufacturer: str | None
    model: str | None
    #: Firmware revision, for example ``"BC260YCNAAR01A03"``.
    revision: str | None
    #: 15 digits.
    imei: str | None
    #: ``"ready"``; ``"missing"``, ``"pin"`` or ``"puk"`` (wanted), ``"pin2"``, ``"puk2"``, ``"busy"``, ``"failure"``,
    #: ``"wrong"``, ``"not ready"``.
    sim: str | None
    #: Number of the SIM card.
    iccid: str | None
    #: Number of the subscription.
    imsi: str | None
    registered: bool
    #: In words, with the cause of a refusal where the modem tells it: ``"registered, home network"`` ...
    registration: str
    #: EMM cause of a refusal (TS 24.301 §9.9.3.9), or the maker's own.
    reject_cause: int | None
    #: Number (MCC and MNC) or name, as the modem is set to tell it (AT+COPS=3).
    operator: str | None
    #: Signal strength in dBm over all of the band, by AT+CSQ.
    rssi: int | None
    #: Power of the reference signal in dBm, by AT+QENG=0 or AT+CESQ.
    rsrp: int | None
    #: Quality of the reference signal in dB.
    rsrq: float | None
    #: Signal to noise and interference in dB.
    sinr: int | None
    #: Coverage enhancement level: 0 good, 1 and 2 with ever more repetitions.
    ecl: int | None
    band: int | None
    #: Bands that the modem may use.
    bands: tuple[int, ...] | None
    #: Channel number.
    earfcn: int | None
    #: Physical cell id, 0 to 503.
    pci: int | None
    #: Cell id, hex digits.
    cell: str | None
    #: Tracking area code, hex digits.
    tac: str | None
    #: There is a radio connection to the network now (AT+CSCON?).
    radio_connected: bool | None
    #: The modem's own IP address; None before it has one.
    address: str | None
    #: Access point name as it is set; ``""``: the network chooses it.
    apn: str | None
    #: ``"IP"``, ``"IPV6"``, ``"IPV4V6"`` or ``"NONIP"``.
    pdp_type: str | None
    #: Addresses of the name servers that are set.
    dns: tuple[str, ...] | None
    psm: PowerSaving | None
    edrx: DiscontinuousReception | None
    #: Supply in volts.
    voltage: float | None
    #: How AT+QISEND takes data in command mode: ``"text"`` or ``"hex"``.
    send_format: str | None
    #: How received data is reported.
    receive_format: str | None
    #: 0: never sleeps, 1: deep sleep when idle, 2: light sleep only; as it was found where it is going to be put back.
    sleep_mode: int | None
    #: Rate at which the modem is spoken to; behind ``socket://`` the one that it has stored.
    baudrate: int | None
    #: Rate that the modem has stored, 0 where it finds the rate by itself.
    stored_baudrate: int | None
    #: What nbsocket found otherwise than it needs it since the modem was opened, and put right, in words, such as
    #: ``("commands were echoed (ATE1)",)``.
    corrected: tuple[str, ...]
    #: Command lines of these questions that the firmware was found to lack, such as ``("AT+CESQ",)``.
    lacking_commands: tuple[str, ...]
