"""Name resolution, ping and time: BC260Y-CN TCP/IP guide 1.1 §2.3.6 to §2.3.9.

The time client speaks RFC 4330 over the simulated network, where the host table leads to a server; without a rule for
the server the simulated network answers itself, with the true time.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from ._command import LATER, TCPIP_ERROR, Arguments, CommandHandler, Form, ResultError, by_model
from ._hosts import is_address
from ._network import Arrived, NetworkEvent

if TYPE_CHECKING:
    from ._module import Module

#: Seconds from 1900 to 1970.
_NTP_EPOCH = 2208988800
_PACKET_SIZE = 48
_TIMEOUT = 10.0

#: Handles of queries, apart from those of sockets.
_handles = itertools.count(1_000_000)

Done = Callable[[int, "datetime | None", float], None]


class TimeQuery:
    """One query; ``done(result, time, now)`` gets the outcome."""

    def __init__(self, module: Module, server: str, port: int, done: Done) -> None:
        self._module = module
        self._server = server
        self._port = port
        self._done: Done | None = done
        self._handle = next(_handles)

    def start(self, now: float) -> None:
        """Resolve the server, then ask it."""
        self._module.look_up(self._server, now, self._resolved)

    def _resolved(self, address: str | None, now: float) -> None:
        route = self._module.hosts.route(self._server, self._port)
        if address is None or route == "unknown":
            self._finish(565, None, now)
        elif isinstance(route, str):
            self._later(_TIMEOUT, now, lambda at: self._finish(569, None, at))
        elif self._module.hosts.rule(self._server, self._port) is None:
            self._later(self._module.radio.latency, now, self._answer_true_time)
        else:
            self._module.queries[self._handle] = self.handle
            self._module.network.open(self._handle, "UDP", route, 0, now)
            self._module.network.send(self._handle, bytes([0x23]) + bytes(_PACKET_SIZE - 1), now)
            self._later(_TIMEOUT, now, lambda at: self._finish(569, None, at))

    def _later(self, delay: float, now: float, action: Callable[[float], None]) -> None:
        self._module.life.touch(now + delay)
        self._module.timers.add(now + delay, action)

    def _answer_true_time(self, now: float) -> None:
        self._finish(0, self._module.life.true_time(now), now)

    def handle(self, event: NetworkEvent, now: float) -> None:
        """Take the server's packet."""
        if isinstance(event, Arrived) and len(event.data) >= _PACKET_SIZE:
            seconds = struct.unpack_from("!I", event.data, 40)[0] - _NTP_EPOCH
            time = datetime.fromtimestamp(seconds, timezone.utc)
            self._later(self._module.radio.latency, now, lambda at: self._finish(0, time, at))

    def _finish(self, result: int, time: datetime | None, now: float) -> None:
        if self._done is None:
            return
        done, self._done = self._done, None
        if self._module.queries.pop(self._handle, None) is not None:
            self._module.network.finish(self._handle)
        if time is not None:
            time = time.astimezone(timezone(timedelta(minutes=15 * self._module.life.zone)))
        done(result, time, now)


def check_network(module: Module) -> None:
    """Refuse a command that needs the network when there is none, or when an AT+QIOPEN keeps it busy."""
    if not module.has_address:
        raise ResultError(572)
    if module.sockets.is_opening and module.options.busy_open != "obey":
        raise ResultError(568 if module.options.busy_open == "568" else None)


# ---- QIDNSGIP §2.3.6


def set_qidnsgip(module: Module, tail: str, now: float) -> Sequence[str]:
    """Resolve a name; the answer comes as a URC."""
    arguments = Arguments(tail, TCPIP_ERROR)
    arguments.expect(2, 2)
    arguments.context_id(0, module.model)
    name = arguments.text(1, 150)
    check_network(module)
    prefix = module.model.dns_prefix
    junk, is_mute = module.faults.junk, module.faults.is_mute
    module.command.finish("OK", now)

    def done(address: str | None, at: float) -> None:
        if is_mute:
            return
        if address is None:
            module.output.urc(prefix + "565", at)
            return
        module.output.urc(prefix + "0,1,0", at)
        told = address if junk is None else junk
        module.output.urc(prefix + (f'"{told}"' if module.options.dns_quotes else told), at)

    module.look_up(name, now, done)
    return LATER


# ---- QIDNSCFG §2.3.7


def set_qidnscfg(module: Module, tail: str, now: float) -> Sequence[str]:
    """Show the name servers, or set the primary and perhaps the secondary one."""
    arguments = Arguments(tail, TCPIP_ERROR)
    arguments.expect(1, 3)
    arguments.context_id(0, module.model)
    if len(arguments) == 1:
        servers = module.life.dns_servers[: module.model.dns_fields]
        return [f"+QIDNSCFG: {module.model.context_id}," + ",".join(f'"{server}"' for server in servers)]
    servers = [arguments.text(index, 64) for index in range(1, len(arguments))]
    if not all(is_address(server) for server in servers):
        raise arguments.fail()
    check_network(module)
    for index, server in enumerate(servers):
        module.life.dns_servers[index + (2 if ":" in server else 0)] = server
    return []


# ---- QPING §2.3.8


def test_qping(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the ranges: the size is at most 200 before A03."""
    return [f"+QPING: {module.model.contexts},<host>,(1-255),(1-10),(32-{_longest_ping(module)}),(0,1)"]


def _longest_ping(module: Module) -> int:
    return 200 if module.options.firmware == module.model.first_release else module.model.max_ping_size


def set_qping(module: Module, tail: str, now: float) -> Sequence[str]:
    """Ping a host; each reply and the summary come as URCs."""
    arguments = Arguments(tail, TCPIP_ERROR)
    arguments.expect(2, 6)
    arguments.context_id(0, module.model)
    host = arguments.text(1, 150)
    timeout = arguments.number(2, 1, 255, 4)
    count = arguments.number(3, 1, 10, 4)
    size = arguments.number(4, 32, _longest_ping(module), 32)
    arguments.number(5, 0, 1, 0)
    check_network(module)
    module.command.finish("OK", now)
    run = _Ping(module, host, float(timeout), count, size)
    module.look_up(host, now, run.resolved)
    return LATER


class _Ping:
    """One AT+QPING under way."""

    def __init__(self, module: Module, host: str, timeout: float, count: int, size: int) -> None:
        self._module = module
        self._host = host
        self._timeout = timeout
        self._count = count
        self._size = size
        self._address = ""
        self._sent = 0
        self._times: list[int] = []

    def resolved(self, address: str | None, now: float) -> None:
        """Begin, or fail."""
        if address is None:
            self._module.output.urc("+QPING: 565", now)
            return
        self._address = address
        self._next(now)

    def _next(self, now: float) -> None:
        time = self._time()
        wait = self._timeout if time is None else time
        self._module.life.touch(now + wait)
        self._module.timers.add(now + wait, lambda at: self._reply(time, at))

    def _time(self) -> float | None:
        """Return how long the next reply takes, or None when it does not come in time."""
        options = self._module.options
        route = self._module.hosts.route(self._host, 1)
        is_lost = options.ping in ("fail", "total") or (options.ping == "lossy" and self._sent % 2 == 1)
        if is_lost or route == "timeout" or not self._module.has_address:
            return None
        times = options.ping_times
        time = times[self._sent % len(times)] if times else options.latency
        return time if time < self._timeout else None

    def _reply(self, time: float | None, now: float) -> None:
        self._sent += 1
        if time is not None:
            milliseconds = round(time * 1000)
            self._times.append(milliseconds)
            ttl = "" if self._module.options.firmware == self._module.model.first_release else ",54"
            self._module.output.urc(f"+QPING: 0,{self._address},{self._size},{milliseconds}{ttl}", now)
        elif self._module.options.ping != "total":
            self._module.output.urc(f"+QPING: {self._module.model.ping_lost}", now)
        if self._sent < self._count:
            self._next(now)
        else:
            self._summary(now)

    def _summary(self, now: float) -> None:
        model = self._module.model
        lost = self._count - len(self._times)
        if self._times:
            low, high, mean = min(self._times), max(self._times), sum(self._times) // len(self._times)
        elif model.ping_summary == "0" or self._module.options.ping == "total":
            self._module.output.urc(f"+QPING: {model.ping_lost}", now)
            return
        else:
            low = high = mean = 0
        counts = f"{self._count},{len(self._times)},{lost},{low},{high},{mean}"
        self._module.output.urc(f"+QPING: {model.ping_summary},{counts}", now)


# ---- QNTP §2.3.9


def set_qntp(module: Module, tail: str, now: float) -> Sequence[str]:
    """Ask a time server; with auto_set_time the modem's clock is set."""
    arguments = Arguments(tail, TCPIP_ERROR)
    arguments.expect(2, 4)
    arguments.context_id(0, module.model)
    server = arguments.text(1, 150)
    port = arguments.number(2, 1, 65535, 123)
    is_set = bool(arguments.number(3, 0, 1, 1))
    check_network(module)
    module.command.finish("OK", now)

    def done(result: int, time: datetime | None, at: float) -> None:
        prefix = module.options.ntp_prefix
        if time is None:
            module.output.urc(f"+{prefix}: {result}", at)
            return
        if is_set:
            module.life.set_clock(time, at)
        module.output.urc(f'+{prefix}: 0,"{_format_time(time, module.options.ntp_time)}"', at)

    TimeQuery(module, server, port, done).start(now)
    return LATER


_TIME_FORMATS = {"short": "%y/%m/%d,%H:%M:%S", "long": "%Y/%m/%d,%H:%M:%S", "example": "%y/%m/%d,%H:%M:%S"}


def _format_time(time: datetime, style: str) -> str:
    """Write the time and its zone in quarters of an hour; "example" is §4.7's, which has one part too many."""
    offset = time.utcoffset()
    quarters = 0 if offset is None else int(offset.total_seconds() // 900)
    extra = ":35" if style == "example" else ""
    return f"{time.strftime(_TIME_FORMATS[style])}{extra}{quarters:+03d}"


_DNS: dict[Form, CommandHandler] = {
    Form.TEST: by_model(lambda model: f"+QIDNSGIP: {model.contexts},<hostname>"),
    Form.SET: set_qidnsgip,
}


def _ntp_forms(name: str) -> dict[Form, CommandHandler]:
    return {
        Form.TEST: by_model(lambda model: f"+{name}: {model.contexts},<server>,<port>,(0,1)"),
        Form.SET: set_qntp,
    }


TOOLS: dict[str, dict[Form, CommandHandler]] = {
    "+QIDNSGIP": _DNS,
    "+QDNSGIP": _DNS,  # as §4.4 spells it
    "+QIDNSCFG": {
        Form.TEST: by_model(lambda model: f"+QIDNSCFG: {model.contexts},<pridnsaddr>,<secdnsaddr>"),
        Form.SET: set_qidnscfg,
    },
    "+QPING": {Form.TEST: test_qping, Form.SET: set_qping},
    "+QNTP": _ntp_forms("QNTP"),
    "+QNTPT": _ntp_forms("QNTPT"),
}
