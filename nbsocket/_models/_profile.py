"""What a profile holds. Its functions make commands from its own numbers; they keep nothing and decide nothing."""

from __future__ import annotations

from typing import Literal, NamedTuple

from nbsocket._at import (
    QICLOSE,
    QIDNSCFG,
    QIDNSGIP,
    QIOPEN,
    QISTATE,
    QNTP,
    QPING,
    QSCLK,
    DataFormat,
    QICFGView,
    QICFGViewRead,
    QIDNSCFGRead,
    QISENDData,
    QISENDHex,
    QISENDQuery,
)
from nbsocket._dataclass import dataclass

__all__ = ["Profile", "ReceiveShape", "ViewSetting"]

#: How received data comes: head and data on one line; data on the line after its head; a notice, upon which the host
#: fetches the data.
ReceiveShape = Literal["push", "push_next_line", "notify_and_read"]


class ViewSetting(NamedTuple):
    """One setting of how received data is shown. They are stored: read first, written only when different."""

    #: "viewmode" or "showlength".
    setting: str
    #: What bring-up sets.
    value: int

    @property
    def read(self) -> QICFGViewRead:
        """The command that asks for it."""
        return QICFGViewRead(self.setting)

    @property
    def write(self) -> QICFGView:
        """The command that sets it."""
        return QICFGView(self.setting, self.value)


@dataclass(frozen=True, slots=True)
class Profile:
    """One family of modems that take the same commands."""

    #: Such as "bc66", as in the option ``model``.
    name: str
    #: What ATI calls the models: the letters and digits up to the first letter after the number.
    models: tuple[str, ...]

    # -- limits

    #: Sockets, numbered from 0; the host picks the number unless :attr:`modem_picks_id`.
    socket_count: int = 5
    modem_picks_id: bool = False
    #: Bytes of one send, as hex digits and as raw bytes after the prompt.
    max_hex_send_size: int = 512
    max_data_send_size: int = 1024
    #: Bytes of one report of received data, as the manual or public records have it; the codec takes 4096 of any model.
    max_push_size: int = 1024
    #: Bytes of a host name or address in AT+QIOPEN.
    max_host_size: int = 150
    #: AT+QIOPEN takes names; False: resolve first, and give the address.
    opens_by_name: bool = True
    #: Bytes of one ping.
    max_ping_size: int = 1500

    # -- timings, in seconds

    #: Until +QIOPEN, after the OK.
    open_timeout: float = 65.0
    #: Until CLOSE OK, after the OK.
    close_timeout: float = 10.0
    #: Until SEND OK, after the OK.
    send_timeout: float = 20.0
    #: Until the OK to AT+CFUN=1.
    radio_timeout: float = 25.0

    # -- forms

    #: <contextID> of every TCP/IP command.
    context_id: int = 0
    #: AT+QIOPEN must end with <local_port>,<access_mode>: left out, the modem keeps received data until AT+QIRD.
    states_access_mode: bool = False
    #: Sends hex digits with AT+QISENDEX, which takes no notice of the stored send format.
    sends_extended: bool = False
    #: The shapes in which received data may come, the usual one first.
    receive_shapes: tuple[ReceiveShape, ...] = ("push",)
    #: What bring-up sets beside "dataformat", in this order.
    view_settings: tuple[ViewSetting, ...] = ()
    #: Outcome of a look-up: lines +QIDNSGIP, or +QIURC: "dnsgip". The codec reads both as the same events.
    dns_answer: Literal["+QIDNSGIP", "+QIURC"] = "+QIDNSGIP"
    #: First fields of +QPING that are no result codes of the guide, and the code that the codec gives for each.
    ping_codes: tuple[tuple[int, int], ...] = ()
    #: How a send without SEND OK is settled: by the count of AT+QISEND=<id>,0; None: it cannot be, so reset.
    settles_by: Literal["count"] | None = "count"
    #: The count is refused until something has been sent.
    counts_only_after_send: bool = False
    #: A byte on the serial line wakes it from deep sleep; False: only a pin does, so it must not be let sleep.
    wakes_by_uart: bool = True

    def recognises(self, model: str) -> bool:
        """Whether ``model``, such as ``BC660K`` or ``bc66``, is one of :attr:`models`."""
        number = model.upper()
        return number in self.models or number.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") in self.models

    @property
    def allows_next_line(self) -> bool:
        """What ``Chat.allows_next_line`` is to be."""
        return "push_next_line" in self.receive_shapes

    def data_format(self, is_hex: bool) -> DataFormat:
        """The payload formats that bring-up sets."""
        # AT+QISENDEX sets the stored send format back to text: asking for hex would write it anew at each start.
        return DataFormat(send_hex=is_hex and not self.sends_extended, receive_hex=is_hex)

    def send_size(self, is_hex: bool) -> int:
        """Most bytes of one send."""
        return self.max_hex_send_size if is_hex else self.max_data_send_size

    # -- commands

    def open(self, socket_id: int, service: str, host: str, port: int, local_port: int = 0) -> QIOPEN:
        """Open a connection; then the event OpenResult."""
        return QIOPEN(socket_id, service, host, port, local_port, self.context_id, self.states_access_mode)

    def send(
        self, socket_id: int, data: bytes, is_hex: bool, rai: int = 0, fails_early: bool = False
    ) -> QISENDHex | QISENDData:
        """Send up to :meth:`send_size` bytes; ``rai`` in hex only, ``fails_early`` (see the command) in data mode."""
        if is_hex:
            return QISENDHex(socket_id, data, rai, self.sends_extended)
        return QISENDData(socket_id, data, fails_early)

    def count(self, socket_id: int) -> QISENDQuery:
        """Ask for the bytes sent and acknowledged."""
        return QISENDQuery(socket_id)

    def close(self, socket_id: int) -> QICLOSE:
        """Close a connection; then the event CloseOk."""
        return QICLOSE(socket_id)

    def state(self, socket_id: int) -> QISTATE:
        """Ask for the state of one connection."""
        return QISTATE(socket_id)

    def resolve(self, name: str) -> QIDNSGIP:
        """Look a name up; then the events DnsResult and DnsAddress."""
        return QIDNSGIP(name, self.context_id)

    def set_name_servers(self, primary: str, secondary: str | None = None) -> QIDNSCFG:
        """Set the name servers."""
        return QIDNSCFG(primary, secondary, self.context_id)

    def ask_name_servers(self) -> QIDNSCFGRead:
        """Ask for the name servers."""
        return QIDNSCFGRead(self.context_id)

    def ping(self, host: str, timeout: int, count: int, size: int, rai: int = 0) -> QPING:
        """Ping a host; then the events PingLine and PingSummary.

        Raises:
            ValueError: more than :attr:`max_ping_size` bytes.
        """
        if size > self.max_ping_size:
            raise ValueError(f"size must be at most {self.max_ping_size}, not {size}")
        return QPING(host, timeout, count, size, rai, self.context_id)

    def ask_time(
        self, server: str, port: int | None = None, set_clock: bool | None = None, spelling: str = "QNTP"
    ) -> QNTP:
        """Ask a time server; then the event NtpResult. The guide spells it QNTP and QNTPT."""
        return QNTP(server, port, set_clock, spelling, self.context_id)

    def sleep(self, mode: int) -> QSCLK:
        """Set whether the modem may sleep: 0 never, 1 deep sleep, 2 light sleep only."""
        return QSCLK(mode)
