"""What the modem says to the host: answers, reports and payload, each in the form that the options ask for.

Sources: V.250 §5.7.1 for results as numbers (ATQ, ATV); BC260Y-CN TCP/IP guide 1.1 §2.4.2 for received data.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._module import Module

#: Final results, and their numbers where they have one (V.250 §5.7.1).
RESULTS = {"OK": 0, "ERROR": 4, "SEND OK": None, "SEND FAIL": None}

_COLON_RE = re.compile(rb"^(\+[A-Z]+:) ")


class HostOutput:
    """Puts lines on the serial line; owns the settings of their form: echo, ATQ and ATV."""

    def __init__(self, module: Module) -> None:
        options = module.options
        self.is_echoing = options.echo
        #: Final results are said, and as words (ATQ0, ATV1).
        self.says_results, self.says_words = options.results != "none", options.results != "numbers"
        self._module = module
        #: URCs that wait for the end of data mode
        self._held: list[bytes] = []

    def put(self, data: bytes, now: float) -> None:
        """Put bytes on the line as they are."""
        self._module.life.touch(now)
        self._module.uart.outbound.put(data, now)

    def frame(self, text: bytes) -> bytes:
        """Return a line as it stands between others, with the deviations that the options ask for."""
        if not self._module.options.colon_space:
            text = _COLON_RE.sub(rb"\1", text)
        extra = b"\r\n" if self._module.options.extra_crlf else b""
        return extra + b"\r\n" + text + b"\r\n"

    def result(self, text: str) -> bytes:
        """Return a final result in the form that ATQ and ATV ask for."""
        if not self.says_results:
            return b""
        number = RESULTS.get(text)
        return self.frame(text.encode()) if self.says_words or number is None else b"%d\r" % number

    def echo(self, data: bytes, now: float) -> None:
        """Send back what the host typed, if it wants that."""
        if self.is_echoing and not self._module.life.is_booting:
            self.put(data, now)

    # ---- unasked

    @property
    def can_report(self) -> bool:
        """Received data can be reported now."""
        module = self._module
        is_held = module.data_mode is not None and module.options.data_mode_urcs == "hold"
        return not (module.uart.is_busy or module.is_asleep or module.life.is_booting or is_held)

    def urc(self, text: str, now: float) -> None:
        """Say something unasked."""
        module = self._module
        if module.is_asleep:
            return
        if module.data_mode is not None and module.options.data_mode_urcs != "pass":
            if module.options.data_mode_urcs == "hold":
                self._held.append(self.frame(text.encode()))
            return
        self.put(self.frame(text.encode()), now)

    def payload(self, data: bytes) -> bytes:
        """Return received data in the format that AT+QICFG="dataformat" asks for."""
        options = self._module.options
        if self._module.life.receives_hex:
            digits = data.hex()
            data = (digits.upper() if options.hex_case == "upper" else digits).encode()
        return b'"' + data + b'"' if options.quoted_payload else data

    def report_data(self, socket_id: int, data: bytes, now: float) -> None:
        """Report received data: in text format the raw bytes, unescaped."""
        module, options = self._module, self._module.options
        if module.data_mode is not None and options.data_mode_urcs == "lose":
            return
        payload = self.payload(data)
        head = f'+QIURC: "recv",{socket_id},{len(data)}'.encode()
        self.put(self.frame(head + module.life.data_separator + payload), now)

    def release(self, now: float) -> None:
        """Data mode is over: URCs that were held come out."""
        for data in self._held:
            self.put(data, now)
        self._held.clear()

    def drop_held(self) -> None:
        """Forget the URCs that were held (a boot)."""
        self._held.clear()
