"""How the modem is to be used."""

from __future__ import annotations

from typing import Literal

from nbsocket._at import CGAUTH, CGDCONT, QIDNSCFG
from nbsocket._dataclass import dataclass, field
from nbsocket._driver._access import SimPin
from nbsocket._models import PROFILES

__all__ = ["COMMON_RATES", "SEARCH_ORDER", "Settings"]

#: Both are met in the field first; then the rest that AT+IPR can set.
COMMON_RATES = (115200, 9600)
SEARCH_ORDER = (115200, 9600, 57600, 38400, 19200, 4800, 2400, 230400, 460800, 28800, 14400)


@dataclass(frozen=True, slots=True)
class Settings:
    """How the modem is to be used."""

    #: A profile's name, or "auto": the one that the modem's answer to ATI names.
    model: str = "bc260y"
    #: ``"hex"``: safe for every byte, no prompt. ``"raw"``: half the bytes on the serial line.
    data_format: Literal["hex", "raw"] = "hex"
    #: Rate of the serial port; None tries them all.
    baudrate: int | None = None
    #: Access point name, set in the modem only when different; None leaves it alone.
    apn: str | None = None
    #: Name and password for the access point; None: none are set.
    apn_user: str | None = None
    apn_password: str | None = field(default=None, repr=False)
    #: The kind of addresses, set only when different; None leaves it alone.
    pdp_type: Literal["IP", "IPV6", "IPV4V6"] | None = None
    #: For a SIM card that wants it.
    pin: SimPin | None = None
    #: Addresses of name servers, one or two, set only when different; none: they are left alone.
    dns: tuple[str, ...] = ()
    #: ``"awake"``, or ``"psm"`` to let the modem sleep when nothing needs it.
    power: Literal["awake", "psm"] = "awake"
    #: Seconds that calls which need the network wait for registration.
    attach_timeout: float = 180.0
    #: Seconds that the look-up of a name may take, registration included.
    look_up_timeout: float = 60.0
    #: Seconds without acknowledgement until a TCP connection is given up (TCP_USER_TIMEOUT overrides it).
    ack_timeout: float = 120.0
    #: Whether sockets that an earlier program left open in the modem are closed.
    close_orphans: bool = True
    #: Seconds that a TCP connection waits for a socket of the modem when all are in use; 0: it fails at once.
    wait_for_socket: float = 0.0
    #: Whether the sleep mode is left as it was found: for programs that only look at the modem.
    restore_sleep: bool = False

    def __post_init__(self) -> None:
        if self.model != "auto" and self.model not in PROFILES:
            raise ValueError(f"model must be one of auto, {', '.join(PROFILES)}, not {self.model!r}")
        if self.data_format not in ("hex", "raw"):
            raise ValueError(f"data_format must be 'hex' or 'raw', not {self.data_format!r}")
        if self.baudrate is not None and self.baudrate not in SEARCH_ORDER:
            raise ValueError(
                f"baudrate must be one of {', '.join(map(str, sorted(SEARCH_ORDER)))}, not {self.baudrate!r}"
            )
        if self.power not in ("awake", "psm"):
            raise ValueError(f"power must be 'awake' or 'psm', not {self.power!r}")
        if not all(seconds > 0 for seconds in (self.attach_timeout, self.look_up_timeout, self.ack_timeout)):  # nor NaN
            raise ValueError("attach_timeout, look_up_timeout and ack_timeout must be positive numbers of seconds")
        if not self.wait_for_socket >= 0:
            raise ValueError(f"wait_for_socket must be 0 or more seconds, not {self.wait_for_socket!r}")
        if self.pdp_type not in (None, "IP", "IPV6", "IPV4V6"):
            raise ValueError(f"pdp_type must be 'IP', 'IPV6' or 'IPV4V6', not {self.pdp_type!r}")
        if (self.apn_user is None) != (self.apn_password is None):
            raise ValueError("apn_user and apn_password must be given both, or neither")
        # These refuse what must not reach the wire.
        if self.apn is not None:
            CGDCONT(1, "IP", self.apn)
        if self.apn_user is not None and self.apn_password is not None:
            CGAUTH(1, self.apn_user, self.apn_password)
        if self.dns:
            QIDNSCFG(self.dns[0], self.dns[1] if len(self.dns) > 1 else None)

    @property
    def is_hex(self) -> bool:
        """Payload travels as hex digits."""
        return self.data_format == "hex"
