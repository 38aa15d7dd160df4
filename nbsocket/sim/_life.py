"""The modem's life: boot, registration, sleep, clock, and what it keeps in NVRAM."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from ._command import ResultError
from ._timers import Timer

if TYPE_CHECKING:
    from ._module import Module

#: Wall clock of a modem whose options name none: the date of the guide.
DEFAULT_CLOCK = 1618272000.0

_STATS = {"home": 1, "roaming": 5, "no": 0, "searching": 2, "denied": 3, "unknown": 4}

#: Commands that a busy SIM card keeps from being carried out; seen of all that are not about the line itself.
_NEEDS_SIM = frozenset({"+CFUN", "+CPIN", "+CGDCONT", "+CGATT", "+CEREG", "+CGPADDR", "+QICFG", "+CIMI", "+QCCID"})
_NOISE = b"\x00\xfe\xf8\x00\x80F1: 0000 0000\r\n\xff\x00"


#: What the ROM of the chip says before the firmware runs, and RDY as it may come over a line that wakes up.
_ROM_LOG = b"\r\nF1: 0000 0000\r\nV0: 0000 0000 [0001]\r\nLeaving the BROM\r\n"
_HURT_RDY = {"garbled": b"\r\n\xf8DY\r\n", "noisy": b"\xff\xfe\x00RDY\r\n", "rom": b"", "no_rdy": b""}


class Life:
    """State that outlives a command. NVRAM: data format, baud rate, APN."""

    def __init__(self, module: Module, now: float) -> None:
        options = module.options
        self._module = module
        self.sends_hex = options.send_format == "hex"
        self.receives_hex = options.receive_format == "hex"
        self.apn = options.apn
        self.pdp_type = options.pdp_type
        #: User name and password of the context, "" for none.
        self.credentials = ("", "")
        self.address = options.address
        self.dns_servers = list(options.dns_servers)
        self.stat = 0
        self.has_address = False
        self.is_booting = not options.attached
        self.is_asleep = False
        self.is_waking = False
        self.cfun = 0 if options.radio_off else 1
        self._sim_busy_until = now + options.sim_busy
        self.sim_card, self.pin_attempts = options.sim_card, options.pin_attempts
        self.cereg = options.cereg
        self.qsclk = 0
        self.reports_sleep = options.sleep_events
        self.stored: dict[str, str] = {}
        #: AT+QICFG: what the model has besides the data format. It is stored.
        self.settings = dict(module.model.settings)
        #: How AT+COPS? tells the operator: 0 and 1 by name, 2 by number.
        self.operator_form = 2
        #: AT+QCFG="wakeupRXD": what comes over the serial line ends deep sleep.
        self.wakes_by_line = options.wakes_by_line
        self._last_touch = now
        self._attach_timer: Timer | None = None
        base = DEFAULT_CLOCK if options.clock is None else options.clock
        self._true_offset = base - now
        self.clock_offset = self._true_offset
        self.zone = options.time_zone
        if options.attached and self._can_register:
            self.stat = _STATS[options.registration]
            self.has_address = self.stat in (1, 5)

    @property
    def data_separator(self) -> bytes:
        """What stands between the head of a report and its data, as the model and AT+QICFG="viewmode" have it."""
        one_line = self._module.model.one_line_view
        return b"," if one_line is None or self.settings["viewmode"] == one_line else b"\r\n"

    # ---- boot

    def boot(self, now: float) -> None:
        """Begin to boot: everything that is not in NVRAM is lost."""
        module, options = self._module, self._module.options
        module.sockets.lose(("TCP", "UDP"), now)
        module.sockets.release_ports()
        module.drop_queries()
        module.timers.clear()
        module.forget_input()
        module.uart.outbound.clear()
        if not (options.stores_settings or options.stores_echo):
            module.output.is_echoing = True
        if not options.stores_settings:
            module.command.cmee, self.cereg = options.cmee, options.cereg
        module.output.says_results = module.output.says_words = True
        module.connection.reset()
        self.operator_form = 2
        if module.model.needs_name_server:
            self.dns_servers = list(options.dns_servers)
        self.qsclk, self.cfun = 0, 0 if options.radio_off else 1
        if self.sim_card == "ready":
            self.sim_card = options.sim_card  # a card that wants a PIN wants it after each start
        self._sim_busy_until = now + options.boot_time + options.sim_busy
        self.is_asleep = self.is_waking = False
        self.stat, self.has_address = 0, False
        self.is_booting = True
        if options.boot_noise:
            module.output.put(_NOISE, now)
        if options.boot_reports == "rom":
            module.output.put(_ROM_LOG, now)
        module.timers.add(now + options.boot_time, self._booted)

    def _booted(self, now: float) -> None:
        self.is_booting = False
        self._report_boot(now)
        if self.cfun:
            self.attach(now)

    def _report_boot(self, now: float) -> None:
        reports = self._module.options.boot_reports
        if reports == "none":
            return
        if reports == "full":
            self._module.output.urc("RDY", now)
        else:
            self._module.output.put(_HURT_RDY[reports], now)
        self._module.output.urc(f"+CFUN: {self.cfun}", now)
        if self.cfun and self.sim_card == "ready":
            self._module.output.urc("+CPIN: READY", now)

    # ---- registration

    def attach(self, now: float) -> None:
        """Search for a network; the outcome comes after ``attach_delay``."""
        self._cancel_attach()
        if not self._can_register:
            self._set_stat(0, now)
            return
        self._set_stat(2, now)
        delay = self._module.options.attach_delay
        self._attach_timer = self._module.timers.add(now + delay, self._register)

    @property
    def _can_register(self) -> bool:
        return self.cfun == 1 and self.sim_card == "ready"

    @property
    def lacks_apn(self) -> bool:
        """The network wants another APN than the one that is set."""
        needed = self._module.options.needs_apn
        return bool(needed) and self.apn != needed

    def enter_pin(self, pin: str, now: float) -> None:
        """Take the PIN of a card that wants one; a wrong one costs an attempt (3GPP TS 27.007 §8.3)."""
        if self.sim_card == "none":
            raise ResultError(10)
        if self.sim_card == "puk":
            raise ResultError(12)
        if self.sim_card == "ready":
            raise ResultError(3)
        if pin != self._module.options.pin:
            self.pin_attempts = max(0, self.pin_attempts - 1)
            if not self.pin_attempts:
                self.sim_card = "puk"
            raise ResultError(16)
        self.sim_card, self.pin_attempts = "ready", self._module.options.pin_attempts

        def unlocked(at: float) -> None:
            self._module.output.urc("+CPIN: READY", at)
            self.attach(at)

        self._module.command.after_answer(now, unlocked)

    def check_sim(self, command: str, now: float) -> None:
        """Raise ResultError for a command that needs the SIM card, while it is busy."""
        if now < self._sim_busy_until and command in _NEEDS_SIM:
            raise ResultError(14)

    def _cancel_attach(self) -> None:
        if self._attach_timer is not None:
            self._attach_timer.cancel()
            self._attach_timer = None

    def _register(self, now: float) -> None:
        stat = _STATS[self._module.options.registration]
        self._set_stat(stat, now)
        if stat in (1, 5):
            delay = self._module.options.address_delay
            self._attach_timer = None
            if delay:
                self._attach_timer = self._module.timers.add(now + delay, self._get_address)
            else:
                self._get_address(now)

    def _get_address(self, now: float) -> None:
        self.has_address = True
        self._module.saving.traffic(now)
        if self._module.options.boot_reports != "none":
            self._module.output.urc(f"+IP: {self.address}", now)

    def _set_stat(self, stat: int, now: float) -> None:
        if stat == self.stat:
            return
        self.stat = stat
        if self.cereg:
            self._module.output.urc(f"+CEREG: {self.registration_fields()}", now)

    def registration_fields(self) -> str:
        """Return stat and what AT+CEREG=n asks to follow it (3GPP TS 27.007 §10.1.22)."""
        options = self._module.options
        fields = [str(self.stat), "", "", "", "", "", "", ""]
        if self.cereg >= 2 and self.stat in (1, 5):
            fields[1:4] = [f'"{options.tac}"', f'"{options.cell}"', "9"]
        if self.cereg in (3, 5) and self.stat == 3:
            fields[4:6] = ["0", str(options.reject_cause)]
        if self.cereg in (4, 5) and self.stat in (1, 5):
            fields[6:8] = [f'"{bits}"' for bits in self._module.saving.granted()]
        while not fields[-1]:
            fields.pop()
        return ",".join(fields)

    def lose_registration(self, now: float) -> None:
        """The network is gone, and the context with it: the modem searches, if its radio is on."""
        if self.cfun != 1 or self.is_booting:
            return  # it has none to lose, and does not search
        self._cancel_attach()
        self._set_stat(2, now)
        if self.has_address:
            self.has_address = False
            self._module.sockets.break_all(now)

    def change_address(self, now: float) -> None:
        """The data context ends, and comes back with another address: no stream goes on, and none is reported."""
        if not self.has_address:
            return
        number = int(self.address.rpartition(".")[2]) if "." in self.address else 0
        self.address = f"10.18.238.{(number + 1) % 250}"
        self._module.sockets.cut_streams()
        reports = self._module.options.context_reports
        if reports == "pdpdeact":
            self._module.output.urc('+QIURC: "pdpdeact",0', now)
            return
        if reports == "cgev":
            self._module.output.urc("+CGEV: NW PDN DEACT 1", now)
        self._module.output.urc(f"+IP: {self.address}", now)

    def set_cfun(self, mode: int, now: float) -> None:
        """Switch the radio off (0, 4) or on (1)."""
        if mode == self.cfun:
            return
        self.cfun = mode
        if mode == 1:
            self.attach(now)
            return
        self._cancel_attach()
        self._set_stat(0, now)
        self.has_address = False
        self._module.sockets.break_all(now)

    # ---- sleep

    def touch(self, now: float) -> None:
        """Something happened: sleep is put off."""
        self._last_touch = max(self._last_touch, now)

    def sleep_deadline(self) -> float | None:
        """Return when the modem goes to sleep if nothing happens."""
        if self.qsclk != 1 or self.is_asleep or self.is_waking or self.is_booting or not self._module.is_idle:
            return None
        return self._last_touch + self._module.options.sleep_delay

    def check_sleep(self, now: float) -> None:
        """Go to sleep when it is time: TCP connections are lost, UDP sockets are kept (§2.3.2 note 6)."""
        deadline = self.sleep_deadline()
        if deadline is None or deadline > now:
            return
        self._tell_sleep("ENTER", now)
        self._module.sockets.lose(("TCP",), now)
        self.is_asleep = True

    def _tell_sleep(self, word: str, now: float) -> None:
        if self.reports_sleep:
            self._module.output.urc(f'+{self._module.options.sleep_spelling}: "{word} DEEPSLEEP"', now)

    def wake(self, data: bytes, now: float) -> None:
        """Wake up on what the host sent, which is lost (§4.3.9)."""
        if self.is_waking or not data or not self.wakes_by_line:
            return
        self.is_waking = True
        self._module.timers.add(now + self._module.options.wake_delay, self._awake)

    def _awake(self, now: float) -> None:
        self.is_asleep = self.is_waking = False
        self.touch(now)
        self._tell_sleep("EXIT", now)
        answer = {"blank": b"\r\n", "ERROR": b"\r\nERROR\r\n"}.get(self._module.options.wake_answer)
        if answer is not None:
            self._module.output.put(answer, now)

    # ---- clock

    def set_wall_clock(self, seconds: float, now: float) -> None:
        """Tell what time it really is."""
        self._true_offset = self.clock_offset = seconds - now

    def true_time(self, now: float) -> datetime:
        """Return the time a time server gives."""
        return datetime.fromtimestamp(now + self._true_offset, timezone.utc)

    def clock(self, now: float) -> datetime:
        """Return the time of the modem's own clock, in its zone."""
        zone = timezone(timedelta(minutes=15 * self.zone))
        return datetime.fromtimestamp(now + self.clock_offset, zone)

    def set_clock(self, time: datetime, now: float) -> None:
        """Set the modem's own clock."""
        self.clock_offset = time.timestamp() - now
        offset = time.utcoffset()
        if offset is not None:
            self.zone = int(offset.total_seconds() // 900)
