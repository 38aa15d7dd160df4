"""The modem as the application sees it, and the process's default one."""

from __future__ import annotations

import errno
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from ipaddress import ip_address
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
    check_raw_command,
)
from nbsocket._engine import Engine, Stats
from nbsocket._engine._log import EngineLog
from nbsocket._errors import make_error
from nbsocket._modem_options import ModemOptions, complete
from nbsocket._parameter import MAX_HOST_SIZE, check_host
from nbsocket._port import Port
from nbsocket._runtime._clock import monotonic

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nbsocket._driver._detail_values import ModuleDetails

__all__ = [
    "MAX_HOST_SIZE",
    "Modem",
    "check_host",
    "check_ping",
    "configure",
    "default_modem",
    "look_up",
    "modem",
    "pin",
]

_logger = EngineLog("nbsocket")

T = TypeVar("T")

#: Longest name server address in bytes. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.7.
MAX_SERVER_SIZE = 64

#: Name servers that the module keeps.
MAX_SERVERS = 2

#: Seconds beyond ``attach_timeout`` for bring-up: finding the rate of a module that boots, or one whose answers take as
#: long as the manual allows (5 s each), or that switches its radio on (85 s on siblings).
BRING_UP_TIME = 180.0

#: Seconds in which an outcome that comes over the network is due. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.2.
OUTCOME_TIME = 60.0

#: Seconds that the longest outcome may take: ten pings of 255 s each.
LONGEST_OUTCOME = 2700.0

#: Seconds in which any command is answered, with those before it. Source: BC260Y-CN TCP/IP guide 1.1 §2.3 (5 s each).
ANSWER_TIME = 30.0


def _check_range(name: str, value: int, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if lowest == highest != value:
        raise ValueError(f"{name} must be {lowest}: the module has no other, not {value}")
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must be {lowest} to {highest}, not {value}")
    return value


def check_ping(host: str, timeout: int, count: int, size: int) -> str:
    """Return the host as it goes to the module; ValueError for what no firmware takes.

    Source: BC260Y-CN TCP/IP guide 1.1 §2.3.8.
    """
    name = check_host(host)
    _check_range("timeout", timeout, 1, 255)
    _check_range("count", count, 1, 10)
    _check_range("size", size, 32, 1500)
    return name


def _check_address(address: str) -> str:
    address = check_host(address, "the name server", MAX_SERVER_SIZE)
    try:
        ip_address(address)
    except ValueError:
        raise ValueError(f"a name server must be an IPv4 or IPv6 address, not {address!r}") from None
    return address


def _check_servers(servers: Sequence[str]) -> tuple[str, ...]:
    if isinstance(servers, str):
        servers = (servers,)
    if len(servers) > MAX_SERVERS:
        raise ValueError(f"dns must be one or two addresses, not {len(servers)}")
    return tuple(_check_address(server) for server in servers)


def _check_timeout(timeout: float | None) -> float | None:
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"timeout must be 0 or more seconds, or None, not {timeout!r}")
    return timeout


class _Others(NamedTuple):
    """Options of a modem that are no concern of the driver's."""

    hupcl: bool | None
    log_payload: bool
    dns_cache: float


#: Options that are not shown.
_SECRETS = ("pin", "apn_password")


class Modem:
    """A Quectel BC260Y-CN module on a serial port.

    Nothing happens before the first call that needs the module, or :meth:`open`. A context manager: it is opened at
    the beginning and closed at the end of the block. Several modems may be open at a time.

    Thread: all methods may be called from any thread; those that ask the module wait for its answer.
    """

    def __init__(
        self,
        port: str,
        *,
        baudrate: int | None = None,
        data_format: Literal["hex", "raw"] = "hex",
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
        """Note how to use the module.

        Args:
            port: a device or any pyserial URL: ``/dev/ttyUSB0``, ``sim://``, ``socket://host:4001``,
                ``rfc2217://host:4001``.
            baudrate: rate of the serial line; None tries 115200, 9600 and then the rest.
            data_format: ``"hex"`` is safe and documented; ``"raw"`` needs half the bytes on the serial line.
            apn: access point name, set in the module only when it has another one; None leaves it alone.
            apn_user: user name for the access point (AT+CGAUTH of 3GPP TS 27.007 §10.1.31).
            apn_password: its password.
            pdp_type: the addresses that are asked for, ``"IP"`` (version 4), ``"IPV6"`` or ``"IPV4V6"``, set in the
                module only when it has another one; None leaves it alone.
            pin: 4 to 8 digits, entered when the SIM card wants its PIN (AT+CPIN). It is tried once, and not at all
                when the card tells that only one attempt is left.
            dns: one or two addresses of name servers, set in the module when it has others; none: left alone.
                Source: BC260Y-CN TCP/IP guide 1.1 §2.3.7.
            dns_cache: seconds that a looked up address is used again; the module does not tell how long it holds. All
                are forgotten when the module gets another address of its own.
            power: ``"awake"``, where power saving of the radio (AT+CPSMS), with which the network cannot reach the
                module, is switched off where it is on; or ``"psm"`` to let the module sleep whenever nothing needs it.
            attach_timeout: seconds that calls wait for the registration to the network.
            look_up_timeout: seconds that the look-up of a name may take, registration included; a socket's own
                time-out ends it sooner.
            ack_timeout: seconds without acknowledgement after which a TCP connection is given up (TCP_USER_TIMEOUT).
            close_orphans: whether sockets that an earlier program left open in the module are closed.
            wait_for_socket: seconds that ``connect()`` waits, when the module's five sockets are in use, for one to
                become free; 0: it fails at once with EMFILE. A socket's own timeout counts too.
            hupcl: False leaves DTR and RTS raised when the port is closed, for boards that wire one of them to the
                module's reset or power key; True lets them fall; None leaves the device as it is (``stty hupcl``): they
                fall unless somebody changed it.
            restore_sleep: for a program that only looks at the module: it is kept awake meanwhile, and :meth:`close`
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
            baudrate=baudrate,
            apn=apn,
            apn_user=apn_user,
            apn_password=apn_password,
            pdp_type=pdp_type,
            pin=None if pin is None else SimPin(pin),
            dns=_check_servers(dns),
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
        self._url = _url_of(port)
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
        """Open the port and bring the module up: find its rate, configure it, learn who it is.

        Args:
            timeout: seconds; None is enough for a module that boots. Registration to the network is not waited for.
        Raises:
            OSError: the port cannot be opened (ENOENT, EACCES, EBUSY, ...), or the module does not answer (ETIMEDOUT).
        """
        _check_timeout(timeout)
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
        _check_timeout(timeout)
        self._engine.close(timeout)

    def wait_attached(self, timeout: float | None = None) -> None:
        """Wait until the module is registered to the network.

        Args:
            timeout: seconds; None stands for ``attach_timeout``.
        Raises:
            OSError: ENETDOWN, it is not registered in time.
        """
        self._engine.ask(WaitAttached(), self._timeout(_check_timeout(timeout), 0.0))

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
        """Return everything that the module tells of itself: identity, SIM card, network, signal, timers, settings.

        The questions change nothing, and registration is not waited for. What the firmware does not tell is None;
        commands that it lacks are asked for once in the life of this object. Some 25 commands: 0.3 s at 115200 baud,
        2 s at 9600.

        Raises:
            OSError: the port cannot be opened, or the module does not answer.
        """
        # Imported here: few programs ask, and each would start later.
        from nbsocket._driver._detail_values import ModuleDetails
        from nbsocket._driver._details import GetDetails

        return self._ask(GetDetails(), 2 * ANSWER_TIME + BRING_UP_TIME, ModuleDetails)

    def set_baudrate(self, rate: int) -> None:
        """Change the rate of the serial line on both ends; the module stores it.

        Connections live on, but nothing else is sent meanwhile. The port is tried first: the module is told nothing
        when the port's driver cannot do the rate (to 3 %). When the module is not heard at the new rate the old one is
        restored.

        Args:
            rate: 2400 to 460800, one of the usual rates.
        Raises:
            ValueError: not a rate of the module.
            OSError: EINVAL, the port cannot do it; EOPNOTSUPP, the serial line is behind ``socket://``, where it
                cannot be changed from here; EIO, the module was not heard at the new rate and is at the old one again;
                ENODEV, it is heard at neither (the message tells the way back).
        """
        check_baudrate(rate)
        if self.port.lower().startswith("socket:"):
            raise make_error(errno.EOPNOTSUPP, f"the rate of the line behind {self.port} cannot be changed from here")
        self._engine.ask(ChangeBaudrate(rate), 2 * BRING_UP_TIME)

    def resolve(self, host: str) -> list[str]:
        """Look a name up with the module's DNS client; it gives one address. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.6.

        Raises:
            socket.gaierror: EAI_NONAME, the name is unknown (565) or no name to the module (552); EAI_AGAIN, there was
                no answer, or for 20 s only "not now" (busy, no network, a bare ERROR); EAI_FAIL, 550, 553, 555 or 573.
                ``result`` has the code.
            ValueError: the host is empty, too long, or not what may go to the module; names outside ASCII need IDNA.
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
            OSError: the module refused, or the network is not there.
        """
        primary = _check_address(primary)
        secondary = None if secondary is None else _check_address(secondary)
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
        """Ping from the module. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.8.

        Args:
            host: name or address.
            timeout: seconds to wait for each reply, 1 to 255. The module's own default of 4 is too short for NB-IoT.
            count: packets, 1 to 10.
            size: bytes a packet, 32 to 1500; firmware before A03 takes at most 200.
            rai: ask the network to release the radio at once afterwards.
            on_reply: called, on this thread, with each reply as it comes.
        Returns:
            What came back; a host that does not answer is no error: ``received`` is 0 then.
        Raises:
            ValueError: an argument is out of range.
            OSError: EINVAL, this firmware takes no packets of that size; the module refused (``result`` says why, 565
                for an unknown name), or the network is not there.
        """
        host = check_ping(host, timeout, count, size)
        patience = self._timeout(None, count * (timeout + 1.0) + OUTCOME_TIME)
        return self._ask(Ping(host, timeout, count, size, bool(rai)), patience, PingResult, on_reply)

    def ntp(self, server: str, port: int = 123, *, set_clock: bool = True) -> datetime:
        """Ask a time server. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.9.

        Args:
            server: name or address.
            port: 1 to 65535.
            set_clock: whether the module sets its clock by the answer.
        Returns:
            The time in UTC.
        """
        server = check_host(server, "server")
        _check_range("port", port, 1, 65535)
        return self._ask(SyncTime(server, port, bool(set_clock)), self._timeout(None, 2 * OUTCOME_TIME), datetime)

    def clock(self) -> datetime:
        """Return the module's clock in UTC.

        Raises:
            OSError: ENODATA, it was never set.
        """
        return self._ask(GetClock(), ANSWER_TIME + BRING_UP_TIME, datetime)

    def sockets(self, *, context_id: int | None = None, socket_id: int | None = None) -> list[SocketState]:
        """Return the module's sockets, and which are ours. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.4.

        Args:
            context_id: only those of this context, of which the module has one: 0.
            socket_id: only this one, 0 to 4; the list is empty when it is not open.
        """
        if context_id is not None and socket_id is not None:
            raise ValueError("sockets() takes context_id or socket_id, not both")
        if context_id is not None:
            _check_range("context_id", context_id, 0, 0)
        if socket_id is not None:
            _check_range("socket_id", socket_id, 0, 4)
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
            OSError: the module answered with an error; ``.result`` has its number.
        """
        _check_timeout(timeout)
        request = RawCommand(_check_command(text, payload), payload, wants_outcome=outcome or on_line is not None)
        if timeout is None:
            timeout = ANSWER_TIME + BRING_UP_TIME + (LONGEST_OUTCOME if request.wants_outcome else 0.0)
        return list(self._ask(request, timeout, list, on_line))

    def stats(self) -> Stats:
        """Return what crossed the serial line so far; does not ask the module."""
        return self._engine.stats()

    def _timeout(self, timeout: float | None, extra: float) -> float:
        return self._settings.attach_timeout + BRING_UP_TIME + extra if timeout is None else timeout

    def _ask(
        self, request: Any, timeout: float, kind: type[T], on_progress: Callable[[Any], object] | None = None
    ) -> T:
        value = self._engine.ask(request, timeout, on_progress)
        assert isinstance(value, kind), value
        return value


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


def _check_command(text: str, payload: bytes | None = None) -> str:
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, not {type(text).__name__}")
    if payload is not None and not isinstance(payload, bytes):
        raise TypeError(f"payload must be bytes, not {type(payload).__name__}")
    if not (text.isascii() and text.isprintable()) or text[:2].upper() != "AT":
        raise ValueError(f"text must be one line of printable ASCII that begins with AT, not {text!r}")
    check_raw_command(text, payload)
    return text


#: For threads; a signal handler that comes in between passes.
_lock = threading.RLock()
_default: Modem | None = None


def _renew_lock_after_fork() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock_after_fork)


#: The modem that ``nbsocket run`` has opened: a program's own configure() gives it.
_pinned: Modem | None = None


def configure(port: str | None = None, **options: Unpack[ModemOptions]) -> Modem:
    """Make the process's default modem, which sockets use that name no other.

    Args:
        port: as for :class:`Modem`; None stands for the environment's NBSOCKET_PORT.
        options: as for :class:`Modem`. Where one is not given the environment's counts (NBSOCKET_APN for ``apn``), then
            that of ``~/.config/nbsocket/NAME.conf`` and of ``/etc/nbsocket/NAME.conf``, NAME being the device's.
    Returns:
        The modem. With the same port and options as before it is the same one, otherwise the earlier default is closed.
        Under ``nbsocket run`` the port that it uses gives its modem, whatever the options, and a warning tells of those
        that differ.
    Raises:
        OSError: ENODEV, there is no port to use.
        ValueError: an option, a variable of the environment or a line of a file is not allowed.
    """
    global _default
    port, completed = complete(port, options)
    modem = Modem(port, **completed)
    if _pinned is not None and _same_port(_pinned, port):
        _pinned._tell_differences(modem, options)
        with _lock:
            _default = _pinned
        return _pinned
    with _lock:
        earlier = _default
        if earlier is not None and earlier._is_like(modem) and not earlier.engine.is_closed:
            return earlier
        _default = modem
    if earlier is not None and earlier is not _pinned:
        earlier.close()
    return modem


def default_modem() -> Modem:
    """Return the configured modem, or make it from NBSOCKET_PORT; see :func:`modem`."""
    global _default
    if _default is not None:
        return _default
    port, options = complete(None, {})
    made = Modem(port, **options)
    with _lock:
        # Nothing is called between the look and the change, so nothing comes in between on this thread.
        if _default is None:
            _default = made
        return _default


def modem() -> Modem:
    """Return the process's default modem: the configured one, or one made from NBSOCKET_PORT.

    Under ``nbsocket run`` it is the one that the program's sockets go over.

    Raises:
        OSError: ENODEV, there is none.
        ValueError: a variable of the environment or a line of a file is not allowed.
    """
    return default_modem()


def pin(modem: Modem) -> None:
    """Make this the modem of the whole process: what ``nbsocket run`` has opened."""
    global _pinned
    _pinned = modem


def _same_port(modem: Modem, port: str) -> bool:
    return modem._url == _url_of(port)


def _url_of(port: str) -> str:
    # The program may change its directory before the port is opened, or opened again.
    return port if "://" in port else os.path.abspath(port)
