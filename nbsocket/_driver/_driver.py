"""The driver of one modem: bytes, requests and ``now`` go in; bytes, events and a deadline come out.

Nothing here waits or reads a clock. The parts: ``_scheduler`` chooses the next command; ``_listener`` takes what the
modem says; ``_lifecycle`` and ``_attachment`` are the modem's life and its network; ``_connections`` and ``_tasks`` are
what applications want of it; ``_core`` is what these share.
"""

from __future__ import annotations

from nbsocket._at import State
from nbsocket._driver._attachment import Attachment
from nbsocket._driver._connection import Source
from nbsocket._driver._connection_table import ConnectionTable
from nbsocket._driver._core import Core
from nbsocket._driver._events import Event, SetBaudrate
from nbsocket._driver._lifecycle import Lifecycle
from nbsocket._driver._lookout import Lookout
from nbsocket._driver._request_context import DriverContext
from nbsocket._driver._requests import Request
from nbsocket._driver._scheduler import Scheduler
from nbsocket._driver._settings import Settings
from nbsocket._driver._tasks import Tasks

__all__ = ["Driver"]


class Driver:
    """Drives one modem; see the package's docstring for the calls."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; nothing happens before :meth:`port_opened`."""
        core = self._core = Core(settings)
        core.lifecycle = Lifecycle(core)
        core.attachment = Attachment(core)
        core.lookout = Lookout(core.table, core.lifecycle.restarted)
        core.tasks = Tasks(core.events.append, DriverContext(core), settings.attach_timeout)
        core.connections.shared.tasks = core.tasks
        self._scheduler = Scheduler(core)
        #: When handle_timeout was called last: what was due then is dealt with, or waits for the modem to be free.
        self._served_at = float("-inf")
        #: Running totals, by name.
        self.counters = core.counters
        #: Whether :meth:`data_to_send` and :meth:`next_event` may have anything: for whoever asks often.
        self.out, self.events = core.out, core.events
        #: What can be asked about connections.
        self.table: ConnectionTable = core.table

    # -- what can be asked

    @property
    def segment_size(self) -> int:
        """Largest segment or datagram in bytes."""
        return self._core.connections.shared.segment_size

    @property
    def is_ready(self) -> bool:
        """The modem is configured and registered to the network."""
        return self._core.is_ready

    @property
    def is_at_rest(self) -> bool:
        """No connection, no request, no script."""
        return self._core.is_at_rest

    @property
    def wait_for_socket(self) -> float:
        """Seconds that a connection waits for a socket of the modem."""
        return self._core.settings.wait_for_socket

    @property
    def local_address(self) -> str | None:
        """The modem's IP address, None while unknown."""
        return self._core.attachment.address

    @property
    def baudrate(self) -> int | None:
        """The rate of the serial line; None where it is not ours to know."""
        return self._core.lifecycle.baudrate

    @property
    def is_network_wanted(self) -> bool:
        """Whether an opening or a request waits until the network is there. Thread: any, for information."""
        return self._core.attachment.is_wanted

    def describe_wait(self) -> str | None:
        """Say in words what is waited for before anything can be sent; None where nothing is. Thread: any."""
        return self._core.attachment.describe_wait()

    # -- the port

    def port_opened(self, now: float, *, has_baudrate: bool = True) -> None:
        """The port is open: begin bring-up. ``has_baudrate``: whether the rate of the line is ours to set."""
        self._scheduler.is_stopping = False
        self._core.lifecycle.port_opened(now, has_baudrate)
        self._scheduler.pump(now)

    def port_lost(self, error: OSError, now: float) -> None:
        """The port is gone or could not be opened: everything that needs it fails with ``error``."""
        self._core.lifecycle.port_lost(error, now)

    def baudrate_refused(self, rate: int, actual: int | None = None) -> None:
        """The port cannot do this rate, of a SetBaudrate event: it stays at ``actual``, None where nobody knows."""
        self._core.lifecycle.baudrate_refused(rate, actual)

    def shut_down(self, now: float) -> None:
        """Finish what is on its way, then give :class:`Stopped`."""
        self._scheduler.is_stopping = True
        self._scheduler.pump(now)

    # -- connections

    def open(self, service: str, host: str, port: int, local_port: int, source: Source, now: float) -> int:
        """Open a connection; Connected or ConnectFailed follows.

        Args:
            service: ``"TCP"`` or ``"UDP"``.
            host: address or name, at most 150 ASCII bytes.
            port: 1 to 65535.
            local_port: 0 to let the modem choose.
            source: where the application's bytes come from.
            now: seconds on a monotonic clock, as everywhere.
        Returns:
            The connection's key.
        Raises:
            OSError: EMFILE: all five sockets are in use; EADDRINUSE: the local port is not free.
            ValueError: the host or a port cannot be sent.
        """
        key = self._core.connections.open(service, host, port, local_port, source, now)
        self._core.lifecycle.ensure_started(now)
        self._scheduler.pump(now)
        return key

    def data_available(self, key: int, size: int, now: float) -> None:
        """The application has ``size`` bytes ready (of the next datagram); ``take`` will be called when it is their
        turn."""
        if self._core.connections.data_available(key, size, now):
            self._scheduler.pump(now)

    def end_of_data(self, key: int, linger: float, now: float) -> None:
        """The application closed: flush, await acknowledgement for at most ``linger`` seconds, close."""
        self._core.connections.end_of_data(key, linger, now)
        self._scheduler.pump(now)

    def half_close(self, key: int, linger: float, now: float) -> None:
        """The application writes no more but reads on."""
        self._core.connections.half_close(key, linger, now)
        self._scheduler.pump(now)

    def abort(self, key: int, now: float) -> None:
        """Give the connection up at once, also while it is being opened."""
        self._core.connections.abort(key, now)
        self._scheduler.pump(now)

    def set_option(self, key: int, name: str, value: float) -> None:
        """Set an option of a connection.

        Args:
            key: the connection.
            name: ``"nodelay"``, ``"rai"`` (0, 1, 2), ``"keepalive"`` or ``"user_timeout"`` (seconds, 0: the default).
            value: the option's value.
        """
        self._core.connections.set_option(key, name, value)

    # -- requests

    def submit(self, request: Request, deadline: float | None, now: float) -> int:
        """Queue a request; RequestDone or RequestFailed follows, the latter at ``deadline`` at the latest."""
        request_id = self._core.tasks.submit(request, deadline, now)
        if self._core.lifecycle.is_running:
            self._core.tasks.module_is_up()
        self._core.lifecycle.ensure_started(now)
        self._scheduler.pump(now)
        return request_id

    def cancel(self, request_id: int, now: float) -> None:
        """Forget a request: no event will follow."""
        self._core.tasks.cancel(request_id)
        self._scheduler.pump(now)

    # -- the wire and the clock

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes that the modem sent."""
        self._core.line.heard_at = now
        self._core.chat.receive_data(data, now)
        self._scheduler.pump(now)

    @property
    def payload_due(self) -> int:
        """Bytes that a payload on its way still wants at the least: until they are there, reading changes nothing."""
        return self._core.chat.payload_due

    def data_to_send(self) -> bytes:
        """Give the bytes to be written now; empty until every SetBaudrate was fetched."""
        out = self._core.out
        if not out or self._core.lifecycle.rate_changes:
            return b""
        data = b"".join(out)
        out.clear()
        return data

    def next_event(self) -> Event | None:
        """Give the next event, None when there is none."""
        if not self._core.events:
            return None
        event = self._core.events.popleft()
        if type(event) is SetBaudrate:
            self._core.lifecycle.rate_changes -= 1
        return event

    def next_deadline(self) -> float | None:
        """When :meth:`handle_timeout` is due, which may be past; None: not before something else happens."""
        core, served_at = self._core, self._served_at
        # While a command is out, what only wants to give the next one is not due: its end has everybody asked.
        is_line_free = core.chat.state is State.IDLE
        moments: list[float | None] = [core.chat.next_deadline()]
        if is_line_free and core.pace.ready_at is not None:
            moments.append(core.pace.ready_at)
        for script in (core.lifecycle.script, core.attachment.script):
            if script is not None:
                moments.append(script.deadline)
        if core.attachment.script is not None:
            moments.append(core.attachment.warning_due)
        if core.tasks.queue:
            moments += (script.deadline for script in core.tasks.scripts())
            moments.extend(core.tasks.deadlines())
        if core.lookout.sign is not None or core.connections.shared.has_keepalive:
            moments.append(core.lookout.deadline())
        core.connections.add_deadlines(moments, is_line_free)
        if core.trouble.has_left_out:
            moments.extend(core.trouble.deadlines())
        first: float | None = None
        for moment in moments:
            if moment is not None and moment > served_at and (first is None or moment < first):
                first = moment
        return first

    def handle_timeout(self, now: float) -> None:
        """Do what time demands; harmless when nothing is due."""
        core = self._core
        self._served_at = max(self._served_at, now)
        chat_deadline = core.chat.next_deadline()
        if chat_deadline is not None and now >= chat_deadline:
            core.chat.handle_timeout(now)
        for script in (core.lifecycle.script, core.attachment.script):
            if script is not None:
                script.handle_timeout(now)
        if core.tasks.queue:
            for script in core.tasks.scripts():
                script.handle_timeout(now)
        is_ready = core.is_ready
        core.tasks.handle_timeout(now, is_ready, core.attachment.why_not)
        core.connections.handle_timeout(now, is_ready, core.attachment.why_not)
        if core.attachment.script is not None:
            core.attachment.warn(now)
        if core.trouble.has_left_out:
            core.trouble.sum_up(now)
        self._scheduler.pump(now)
