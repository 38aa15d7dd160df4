"""The modem as the application sees it, and the process's default one."""

from __future__ import annotations

import errno
import logging
import os
import weakref
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from nbsocket._driver import (
    ChangeBaudrate,
    DnsServers,
    GetClock,
    GetDnsServers,
    GetInfo,
    GetSettings,
    GetSockets,
    GetStatus,
    ModuleInfo,
    ModuleSettings,
    NetworkStatus,
    Ping,
    PingReply,
    PingResult,
    RawCommand,
    Resolve,
    SetDnsServers,
    Settings,
    SimPin,
    SocketState,
    SyncTime,
    WaitAttached,
    WaitUp,
    check_baudrate,
)
from nbsocket._engine import Engine, Stats
from nbsocket._engine._log import EngineLog
from nbsocket._errors import make_error
from nbsocket._modem_checks import check_address, check_command, check_ping, check_range, check_servers, check_timeout
from nbsocket._parameter import check_host
from nbsocket._port import Port
from nbsocket._runtime._clock import monotonic

if TYPE_CHECKING:
    from nbsocket._driver._detail_values import ModuleDetails

__all__ = ["Modem", "look_up", "url_of"]

_logger = EngineLog("nbsocket")

T = TypeVar("T")


#: Seconds beyond ``attach_timeout`` for bring-up: finding the rate of a modem that boots, or one whose answers take as
#: long as the manual allows (5 s each), or that switches its radio on (85 s on siblings).
BRING_UP_TIME = 180.0

#: Seconds in which an outcome that comes over the network is due. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.2.
OUTCOME_TIME = 60.0

#: Seconds that the longest outcome may take: ten pings of 255 s each.
LONGEST_OUTCOME = 2700.0

#: Seconds in which any command is answered, with those before it. Source: BC260Y-CN TCP/IP guide 1.1 §2.3 (5 s each).
ANSWER_TIME = 30.0


class _Others(NamedTuple):
    """Options of a modem that are no concern of the driver's."""

    hupcl: bool | None
    log_payload: bool
    dns_cache: float


#: Options that are not shown.
_SECRETS = ("pin", "apn_password")


class Modem:
    """A Quectel BC260Y-CN on a serial port, or one of its siblings: see ``model``.

    Nothing happens before the first call that needs the modem, or :meth:`open`. A context manager: it is opened at
    the beginning and closed at the end of the block. Several modems may be open at a time.

    Thread: all methods may be called from any thread; those that ask the modem wait for its answer.
    """

    def __init__(
        self,
        port: str,
        *,
        baudrate: int | None = None,
        data_format: Literal["hex", "raw"] = "hex",
        model: str = "auto",
        apn: str | None = None,
        apn_user: str | None = None,
        apn_password: str | None = None,
        pdp_type: Literal["IP", "IPV6", "IPV4V6"] | None = None,
        pin: str | None = None,
        dns: Sequence[str] = (),
        dns_cache: float = 60.0,
        power: Literal["awake", "psm"] = "awake",
        attach_timeout: float = 180.0,
        look_up_timeout: float = 60.0,
        ack_timeout: float = 120.0,
        close_orphans: bool = True,
        wait_for_socket: float = 0.0,
        hupcl: bool | None = None,
        restore_sleep: bool = False,
        log_payload: bool = False,
    ) -> None:
        """Note how to use the modem.

        Args:
            port: a device or any pyserial URL: ``/dev/ttyUSB0``, ``sim://``, ``socket://host:4001``,
                ``rfc2217://host:4001``.
            baudrate: rate of the serial line; None tries 115200, 9600 and then the rest.
            model: which commands it takes: ``"bc260y"``, ``"bc660k"`` (also BC950K-GL), ``"bc66"`` (also BC26, BC25);
                ``"auto"`` asks it (ATI) and takes what is not known for a BC260Y-CN.
            data_format: ``"hex"`` is safe and documented; ``"raw"`` needs half the bytes on the serial line.
            apn: access point name, set in the modem only when it has another one; None leaves it alone.
            apn_user: user name for the access point (AT+CGAUTH of 3GPP TS 27.007 §10.1.31).
            apn_password: its password.
            pdp_type: the addresses that are asked for, ``"IP"`` (version 4), ``"IPV6"`` or ``"IPV4V6"``, set in the
                modem only when it has another one; None leaves it alone.
            pin: 4 to 8 digits, entered when the SIM card wants its PIN (AT+CPIN). It is tried once, and not at all
                when the card tells that only one attempt is left.
            dns: one or two addresses of name servers, set in the modem when it has others; none: left alone.
                Source: BC260Y-CN TCP/IP guide 1.1 §2.3.7.
            dns_cache: seconds that a looked up address is used again; the modem does not tell how long it holds. All
                are forgotten when the modem gets another address of its own.
            power: ``"awake"``, where power saving of the radio (AT+CPSMS), with which the network cannot reach the
                module, is switched off where it is on; or ``"psm"`` to let the modem sleep whenever nothing needs it.
            attach_timeout: seconds that calls wait for the registration to the network.
            look_up_timeout: seconds that the look-up of a name may take, registration included; a socket's own
                time-out ends it sooner.
            ack_timeout: seconds without acknowledgement after which a TCP connection is given up (TCP_USER_TIMEOUT).
            close_orphans: whether sockets that an earlier program left open in the modem are closed.
            wait_for_socket: seconds that ``connect()`` waits, when the modem's five sockets are in use, for one to
                become free; 0: it fails at once with EMFILE. A socket's own timeout counts too.
            hupcl: False leaves DTR and RTS raised when the port is closed, for boards that wire one of them to the
                modem's reset or power key; True lets them fall; None leaves the device as it is (``stty hupcl``): they
                fall unless somebody changed it.
            restore_sleep: for a program that only looks at the modem: it is kept awake meanwhile, and :meth:`close`
                puts the sleep mode back as it was found (AT+QSCLK); power saving of the radio is left alone.
            log_payload: whether the wire log (logger ``nbsocket.at``, DEBUG) shows payload and not its size only.
        Raises:
            ValueError: an argument is out of range; the message says what is allowed.
        """
        if not isinstance(port, str):
            raise TypeError(f"port must be a str, not {type(port).__name__}")
        if not port or "\0" in port:
            raise ValueError("port must be a device such as /dev/ttyUSB0 or a URL such as sim://")
        if not dns_cache >= 0:
            raise ValueError(f"dns_cache must be 0 or more seconds, not {dns_cache!r}")
        settings = Settings(
            data_format=data_format,
            model=model,
            baudrate=baudrate,
            apn=apn,
            apn_user=apn_user,
            apn_password=apn_password,
            pdp_type=pdp_type,
            pin=None if pin is None else SimPin(pin),
            dns=check_servers(dns),
            power=power,
            attach_timeout=attach_timeout,
            look_up_timeout=look_up_timeout,
            ack_timeout=ack_timeout,
            close_orphans=bool(close_orphans),
            wait_for_socket=wait_for_socket,
            restore_sleep=bool(restore_sleep),
        )
        self.port = port
        self._settings = settings
        self._others = _Others(hupcl, bool(log_payload), float(dns_cache))
        self._url = url_of(port)
        open_port = partial(Port.open, hupcl=hupcl)
        self._engine = Engine(self._url, settings, log_payload=log_payload, open_port=open_port)
        # An engine whose modem was forgotten serves the connections that are left, and ends.
        weakref.finalize(self, self._engine.release).atexit = False

    def __enter__(self) -> Modem:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<nbsocket.Modem {self.port!r}>"

    def _is_like(self, other: Modem) -> bool:
        """Whether the other was made with the same port and options."""
        return (self._url, self._settings, self._others) == (other._url, other._settings, other._others)

    def _tell_differences(self, asked: Modem, names: Iterable[str]) -> None:
        """Warn of options that this modem does not have: it was opened with others, and stays as it is."""
        differing = [
            f"{name}=****" if name in _SECRETS else f"{name}={asked._option(name)!r}"
            for name in names
            if asked._option(name) != self._option(name)
        ]
        if differing:
            _logger.log(logging.WARNING, "%s is not used: nbsocket run has opened the modem", ", ".join(differing))

    def _option(self, name: str) -> object:
        return getattr(self._others if name in _Others._fields else self._settings, name)

    @property
    def dns_cache(self) -> float:
        """Seconds that an address is used again without another look-up."""
        return self._others.dns_cache

    @property
    def engine(self) -> Engine:
        """The thread behind it."""
        return self._engine

    @property
    def segment_size(self) -> int:
        """Bytes of payload that one command carries, so the largest datagram: 512 (hex) or 1024 (raw)."""
        return self._engine.segment_size

    def open(self, timeout: float | None = None) -> None:
        """Open the port and bring the modem up: find its rate, configure it, learn who it is.

        Args:
            timeout: seconds; None is enough for a modem that boots. Registration to the network is not waited for.
        Raises:
            OSError: the port cannot be opened (ENOENT, EACCES, EBUSY, ...), or the modem does not answer (ETIMEDOUT).
        """
        check_timeout(timeout)
        self._engine.open()
        try:
            self._engine.ask(WaitUp(), BRING_UP_TIME if timeout is None else timeout)
        except BaseException:
            self._engine.close(0)
            raise

    def close(self, timeout: float = 10.0) -> None:
        """Flush and close every connection, then the port.

        Args:
            timeout: seconds; connections that are not done by then are cut.
        """
        check_timeout(timeout)
        self._engine.close(timeout)

    def wait_attached(self, timeout: float | None = None) -> None:
        """Wait until the modem is registered to the network.

        Args:
            timeout: seconds; None stands for ``attach_timeout``.
        Raises:
            OSError: ENETDOWN, it is not registered in time.
        """
        self._engine.ask(WaitAttached(), self._timeout(check_timeout(timeout), 0.0))

    def info(self) -> ModuleInfo:
        """Return manufacturer, model, firmware and IMEI."""
        return self._ask(GetInfo(), ANSWER_TIME + BRING_UP_TIME, ModuleInfo)

    def status(self) -> NetworkStatus:
        """Return registration, signal strength and address as they are now; does not wait for registration."""
        return self._ask(GetStatus(), ANSWER_TIME + BRING_UP_TIME, NetworkStatus)

    def settings(self) -> ModuleSettings:
        """Return data formats, sleep mode and rate. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.1, §4.1."""
        return self._ask(GetSettings(), ANSWER_TIME + BRING_UP_TIME, ModuleSettings)

    def details(self) -> ModuleDetails:
        """Return everything that the modem tells of itself: identity, SIM card, network, signal, timers, settings.

        The questions change nothing, and registration is not waited for. What the firmware does not tell is None;
        commands that it lacks are asked for once in the life of this object. Some 25 commands: 0.3 s at 115200 baud,
        2 s at 9600.

        Raises:
            OSError: the port cannot be opened, or the modem does not answer.
        """
        # Imported here: few programs ask, and each would start later.
        from nbsocket._driver._detail_values import ModuleDetails
        from nbsocket._driver._details import GetDetails

        return self._ask(GetDetails(), 2 * ANSWER_TIME + BRING_UP_TIME, ModuleDetails)

    def set_baudrate(self, rate: int) -> None:
        """Change the rate of the serial line on both ends; the modem stores it.

        Connections live on, but nothing else is sent meanwhile. The port is tried first: the modem is told nothing
        when the port's driver cannot do the rate (to 3 %). When the modem is not heard at the new rate the old one is
        restored.

        Args:
            rate: 2400 to 460800, one of the usual rates.
        Raises:
            ValueError: not a rate of the modem.
            OSError: EINVAL, the port cannot do it; EOPNOTSUPP, the serial line is behind ``socket://``, where it
                cannot be changed from here; EIO, the modem was not heard at the new rate and is at the old one again;
                ENODEV, it is heard at neither (the message tells the way back).
        """
        check_baudrate(rate)
        if self.port.lower().startswith("socket:"):
            raise make_error(errno.EOPNOTSUPP, f"the rate of the line behind {self.port} cannot be changed from here")
        self._engine.ask(ChangeBaudrate(rate), 2 * BRING_UP_TIME)

    def resolve(self, host: str) -> list[str]:
        """Look a name up with the modem's DNS client; it gives one address. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.6.

        Raises:
            socket.gaierror: EAI_NONAME, the name is unknown (565) or no name to the modem (552); EAI_AGAIN, there was
                no answer, or for 20 s only "not now" (busy, no network, a bare ERROR); EAI_FAIL, 550, 553, 555 or 573.
                ``result`` has the code.
            ValueError: the host is empty, too long, or not what may go to the modem; names outside ASCII need IDNA.
        """
        return list(self._ask(Resolve(check_host(host)), self._timeout(None, OUTCOME_TIME), list))

    def dns_servers(self) -> DnsServers:
        """Return the name servers in use. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.7."""
        return self._ask(GetDnsServers(), self._timeout(None, ANSWER_TIME), DnsServers)

    def set_dns_servers(self, primary: str, secondary: str | None = None) -> None:
        """Set the name servers. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.7.

        Args:
            primary: IPv4 or IPv6 address of at most 64 characters.
            secondary: the same, or None to leave it alone.
        Raises:
            ValueError: not an address.
            OSError: the modem refused, or the network is not there.
        """
        primary = check_address(primary)
        secondary = None if secondary is None else check_address(secondary)
        self._engine.ask(SetDnsServers(primary, secondary), self._timeout(None, ANSWER_TIME))

    def ping(
        self,
        host: str,
        *,
        timeout: int = 20,
        count: int = 4,
        size: int = 32,
        rai: bool = False,
        on_reply: Callable[[PingReply], object] | None = None,
    ) -> PingResult:
        """Ping from the modem. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.8.

        Args:
            host: name or address.
            timeout: seconds to wait for each reply, 1 to 255. The modem's own default of 4 is too short for NB-IoT.
            count: packets, 1 to 10.
            size: bytes a packet, 32 to 1500; firmware before A03 takes at most 200.
            rai: ask the network to release the radio at once afterwards.
            on_reply: called, on this thread, with each reply as it comes.
        Returns:
            What came back; a host that does not answer is no error: ``received`` is 0 then.
        Raises:
            ValueError: an argument is out of range.
            OSError: EINVAL, this firmware takes no packets of that size; the modem refused (``result`` says why, 565
                for an unknown name), or the network is not there.
        """
        host = check_ping(host, timeout, count, size)
        longest = self._timeout(None, count * (timeout + 1.0) + OUTCOME_TIME)
        return self._ask(Ping(host, timeout, count, size, bool(rai)), longest, PingResult, on_reply)

    def ntp(self, server: str, port: int = 123, *, set_clock: bool = True) -> datetime:
        """Ask a time server. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.9.

        Args:
            server: name or address.
            port: 1 to 65535.
            set_clock: whether the modem sets its clock by the answer.
        Returns:
            The time in UTC.
        """
        server = check_host(server, "server")
        check_range("port", port, 1, 65535)
        return self._ask(SyncTime(server, port, bool(set_clock)), self._timeout(None, 2 * OUTCOME_TIME), datetime)

    def clock(self) -> datetime:
        """Return the modem's clock in UTC.

        Raises:
            OSError: ENODATA, it was never set.
        """
        return self._ask(GetClock(), ANSWER_TIME + BRING_UP_TIME, datetime)

    def sockets(self, *, context_id: int | None = None, socket_id: int | None = None) -> list[SocketState]:
        """Return the modem's sockets, and which are ours. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.4.

        Args:
            context_id: only those of this context, of which the modem has one: 0.
            socket_id: only this one, 0 to 4; the list is empty when it is not open.
        """
        if context_id is not None and socket_id is not None:
            raise ValueError("sockets() takes context_id or socket_id, not both")
        if context_id is not None:
            check_range("context_id", context_id, 0, 0)
        if socket_id is not None:
            check_range("socket_id", socket_id, 0, 4)
        return list(self._ask(GetSockets(context_id, socket_id), ANSWER_TIME + BRING_UP_TIME, list))

    def command(
        self,
        text: str,
        timeout: float | None = None,
        *,
        payload: bytes | None = None,
        outcome: bool = False,
        on_line: Callable[[str], object] | None = None,
    ) -> list[str]:
        """Send any AT command.

        Args:
            text: the line without its CR, such as ``"AT+CSQ"``. Commands that change what nbsocket relies on
                (echo, data format, rate, its own sockets) are at the caller's risk; a socket that ``AT+QIOPEN`` opens
                here is left alone until ``AT+QICLOSE``.
            timeout: seconds until everything asked for is there; None: 30, with ``outcome`` as long as it may take.
            payload: what goes out after the prompt of ``AT+QISEND=<id>`` (up to 1023 bytes without 1A and 1B; 1024;
                or 1B alone to cancel) or ``AT+QISEND=<id>,<size>`` (as many bytes as announced).
            outcome: wait also for the lines that come after the OK of AT+QIOPEN, AT+QICLOSE, AT+QIDNSGIP, AT+QPING
                and AT+QNTP.
            on_line: with ``outcome``, called on this thread with each line as it comes, the
                final result among them.
        Returns:
            The information lines, without the final result.
        Raises:
            ValueError: not one ASCII command line that begins with AT, or a payload that cannot be sent this way.
            OSError: the modem answered with an error; ``.result`` has its number.
        """
        check_timeout(timeout)
        request = RawCommand(check_command(text, payload), payload, wants_outcome=outcome or on_line is not None)
        if timeout is None:
            timeout = ANSWER_TIME + BRING_UP_TIME + (LONGEST_OUTCOME if request.wants_outcome else 0.0)
        return list(self._ask(request, timeout, list, on_line))

    def stats(self) -> Stats:
        """Return what crossed the serial line so far; does not ask the modem."""
        return self._engine.stats()

    def _timeout(self, timeout: float | None, extra: float) -> float:
        return self._settings.attach_timeout + BRING_UP_TIME + extra if timeout is None else timeout

    def _ask(
        self, request: Any, timeout: float, kind: type[T], on_progress: Callable[[Any], object] | None = None
    ) -> T:
        value = self._engine.ask(request, timeout, on_progress)
        assert isinstance(value, kind), value
        return value


def url_of(port: str) -> str:
    """Return the URL of a port, or the absolute path of its device."""
    # The program may change its directory before the port is opened, or opened again.
    return port if "://" in port else os.path.abspath(port)


def look_up(engine: Engine, name: str, timeout: float | None) -> list[str]:
    """Return the addresses of ``name``, within ``timeout`` seconds; None stands for the modem's look_up_timeout."""
    began = monotonic()
    try:
        found = list(engine.ask(Resolve(name), engine.settings.look_up_timeout if timeout is None else timeout))
    except OSError as error:
        _logger.log(logging.INFO, "%s not found after %.1f s: %s", name, monotonic() - began, error.strerror or error)
        raise
    _logger.log(logging.INFO, "%s is %s (%.1f s)", name, ", ".join(found), monotonic() - began)
    for address in found:
        engine.accounts.note_name(address, name)
    return found
