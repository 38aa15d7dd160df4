"""The module's brain: what is sent next, and what everything that arrives means.

Theory of operation. Bytes, wishes and ``now`` go in; bytes, events and a deadline come out; nothing here waits or
reads a clock. One command is in flight at a time. Whenever the module is free, ``_choose`` alone decides what comes
next, in this order: a script of the module's life (bring-up, getting back in step, waking up), which has the line for
itself; what must not wait of the connections; then openings, requests and segments by turns; and when nothing is left,
permission to sleep.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from enum import Enum, auto
from errno import ECONNRESET, ETIMEDOUT
from typing import Any

from nbsocket import _at
from nbsocket._at import NEED_DATA, QSCLK, Chat, FinalResult
from nbsocket._driver._attach import Attached, attach
from nbsocket._driver._connection import Source
from nbsocket._driver._connections import Connections
from nbsocket._driver._dispatch import Dispatch
from nbsocket._driver._events import Event, Log, SetBaudrate, Stopped
from nbsocket._driver._late import LateOutcomes
from nbsocket._driver._life import Found, LineState, bring_up, come_back, configure_again, wake
from nbsocket._driver._log_limit import LogLimit
from nbsocket._driver._lookout import Lookout, bearer_sign, restart_sign
from nbsocket._driver._network import REGISTERED, NetworkState
from nbsocket._driver._pace import Pace
from nbsocket._driver._raw import line_of
from nbsocket._driver._requests import Request
from nbsocket._driver._script import Script, SetRate
from nbsocket._driver._settings import Settings
from nbsocket._driver._socket_ids import Line
from nbsocket._driver._tasks import Tasks
from nbsocket._errors import make_error

__all__ = ["SAID", "Driver"]

DEBUG, INFO, WARNING = 10, 20, 30

#: How the log tells of a line that nothing here waits for; the line itself follows, in quotes.
SAID = "the module said "

#: Why a module that answers with other settings than those given to it is taken for one that has restarted.
FORGOTTEN = "it has forgotten its configuration"

#: Bytes of payload a segment. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.5.
HEX_SEGMENT, RAW_SEGMENT = 512, 1024

#: Seconds after a restart was noticed in which the module may still say what it says when it boots.
BOOT_REPORTS = 10.0
#: Seconds between looks at the sockets because of lost bytes: a bad line must not be asked without end.
DAMAGE_SIGN_INTERVAL = 10.0
#: How a module asks for the payload of AT+QISEND. BC260Y-CN TCP/IP guide 1.1 §2.3.5.
PROMPT = ">"
#: Damaged lines without sound received data between them, after which the data format is asked for.
MOST_DAMAGED = 2

#: Times that bring-up is begun anew when the module restarts or falls silent in the middle of it.
BRING_UP_TRIES = 4

#: Restarts within so many seconds after which the module is left alone until somebody wants it again.
MOST_RESTARTS, RESTARTS_TIME = 8, 60.0

#: Seconds for which somebody waits for the network before a warning says so.
NETWORK_PATIENCE = 5.0

#: Times that an echo which comes back is looked into; then the line is taken for one that echoes now and then.
ECHO_LOOKS = 3

#: Final results as numbers, OK and ERROR. V.250 §5.7.1.
NUMERIC_RESULTS = ("0", "4")

#: Lines of the log a minute about lost bytes, and about lines that nothing waits for.
MOST_WARNINGS, MOST_STRANGE_LINES = 5, 20


class Mode(Enum):
    """State of the module as a whole."""

    #: No port.
    DOWN = auto()
    #: Bring-up is running.
    STARTING = auto()
    RUNNING = auto()
    #: Bring-up failed; the next wish begins it anew.
    FAILED = auto()


class Driver:
    """Drives one module; see the package's docstring for the calls."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; nothing happens before :meth:`port_opened`."""
        self._settings = settings
        #: Largest segment or datagram in bytes.
        self.segment_size = HEX_SEGMENT if settings.is_hex else RAW_SEGMENT
        #: Running totals, by name.
        self.counters: dict[str, int] = dict.fromkeys(
            (
                "commands",
                "opens",
                "segments",
                "resent",
                "send_failures",
                "resyncs",
                "resets",
                "restarts",
                "dropped_datagrams",
                "damaged",
                "late_data",
            ),
            0,
        )
        #: Command lines that the firmware was found to lack: they are not asked again.
        self.lacking_commands: set[str] = set()
        #: The module's IP address, None while unknown.
        self.local_address: str | None = None
        #: A warning has told that the network is not there.
        self._is_wait_told = False
        self._chat = Chat()
        self._pace = Pace()
        self._events: deque[Event] = deque()
        self._out: list[bytes] = []
        self._bytes = Line(lambda: self._chat.is_mid_report)
        self._connections = Connections(self._emit, self.counters, self.segment_size, settings, self._bytes)
        self._lookout = Lookout(self._connections.table, self._restarted)
        #: The address that the connections were made under, while it is in question; when a restart was noticed last;
        #: and from when on damage to the line is a sign again.
        self._address_before: str | None = None
        self._restarted_at = self._next_damage_sign = float("-inf")
        self._mode = Mode.DOWN
        self._network = NetworkState()
        self._line = LineState()
        self._echo_looks = self._failed_looks = 0
        #: Something may have changed how the module is set; and whether its sockets may be gone, too, and why.
        self._wants_look = False
        self._suspicion: str | None = None
        self._restarts: deque[float] = deque(maxlen=MOST_RESTARTS)
        self._warnings = LogLimit(MOST_WARNINGS)
        self._strange_lines = LogLimit(MOST_STRANGE_LINES)
        self._baudrate: int | None = None
        #: The module was heard at that rate: what is only being tried is no place to look for it later.
        self._is_rate_proven = False
        self._rate_changes = 0
        #: Rates that this port was asked for and cannot do.
        self._refused_baudrates: set[int] = set()
        #: Whether the rate of the line is ours to set and to know.
        self._has_baudrate = True
        self._life: Script[Any] | None = None
        self._damaged_in_a_row = 0
        #: What was found otherwise than needed since the driver began, in words; it was put right.
        self.corrected: tuple[str, ...] = ()
        self._life_done: Callable[[Script[Any], float], None] | None = None
        self._attach: Script[Attached] | None = None
        self._attach_began = 0.0
        self._bring_up_tries = 0
        self._tasks = Tasks(self._emit, self, settings.attach_timeout)
        self._turn: Dispatch | None = None
        #: Openings, requests and segments; the front one has waited longest.
        self._pickers: deque[Callable[[float], Dispatch | None]] = deque(
            [self._open_turn, self._task_turn, self._connections.next_segment]
        )
        #: QSCLK=1 was given: the next command may be lost.
        self._may_sleep = False
        self._is_stopping = False
        #: When handle_timeout was called last: what was due then is dealt with, or waits for the module to be free.
        self._served_at = float("-inf")

    # -- what the engine and the application ask for

    @property
    def is_ready(self) -> bool:
        """The module is configured and registered to the network."""
        return self._mode is Mode.RUNNING and self._network.is_attached

    @property
    def is_at_rest(self) -> bool:
        """No connection, no request, no script."""
        return self._connections.table.is_at_rest and not self._tasks and self._life is None

    @property
    def has_socket(self) -> bool:
        """There is one of the module's sockets for another connection, as soon as those that end are free."""
        return self._connections.table.has_socket

    @property
    def is_full(self) -> bool:
        """All of the module's sockets are held by what is open: none of them is on its way to be free."""
        return self._connections.table.is_full

    @property
    def wait_for_socket(self) -> float:
        """Seconds that a connection waits for a socket of the module."""
        return self._settings.wait_for_socket

    def port_opened(self, now: float, *, has_baudrate: bool = True) -> None:
        """The port is open: begin bring-up. ``has_baudrate``: whether the rate of the line is ours to set."""
        self._has_baudrate = has_baudrate
        self._refused_baudrates.clear()
        self._chat.clear()
        self._pace = Pace()
        self._out.clear()
        self._is_stopping = False
        self._bring_up_tries = 0
        self._start(now)
        self._pump(now)

    def port_lost(self, error: OSError, now: float) -> None:
        """The port is gone or could not be opened: everything that needs it fails with ``error``."""
        self._mode, self.local_address = Mode.DOWN, None
        self._network.forget()
        self._life = self._life_done = self._attach = self._turn = None
        self._may_sleep = self._wants_look = False
        self._lookout.clear()
        self._chat.clear()
        self._out.clear()
        self._fail_everything(error, now)

    def shut_down(self, now: float) -> None:
        """Finish what is on its way, then give :class:`Stopped`."""
        self._is_stopping = True
        self._pump(now)

    def open(self, service: str, host: str, port: int, local_port: int, source: Source, now: float) -> int:
        """Open a connection; Connected or ConnectFailed follows.

        Args:
            service: ``"TCP"`` or ``"UDP"``.
            host: address or name, at most 150 ASCII bytes.
            port: 1 to 65535.
            local_port: 0 to let the module choose.
            source: where the application's bytes come from.
            now: seconds on a monotonic clock, as everywhere.
        Returns:
            The connection's key.
        Raises:
            OSError: EMFILE: all five sockets are in use; EADDRINUSE: the local port is not free.
            ValueError: the host or a port cannot be sent.
        """
        key = self._connections.open(service, host, port, local_port, source, now)
        self._ensure_started(now)
        self._pump(now)
        return key

    def data_available(self, key: int, size: int, now: float) -> None:
        """The application has ``size`` bytes ready (of the next datagram); ``take`` will be called when it is their
        turn."""
        self._connections.data_available(key, size, now)
        self._pump(now)

    def end_of_data(self, key: int, linger: float, now: float) -> None:
        """The application closed: flush, await acknowledgement for at most ``linger`` seconds, close."""
        self._connections.end_of_data(key, linger, now)
        self._pump(now)

    def half_close(self, key: int, linger: float, now: float) -> None:
        """The application writes no more but reads on."""
        self._connections.half_close(key, linger, now)
        self._pump(now)

    def abort(self, key: int, now: float) -> None:
        """Give the connection up at once, also while it is being opened."""
        self._connections.abort(key, now)
        self._pump(now)

    def set_option(self, key: int, name: str, value: float) -> None:
        """Set ``"nodelay"``, ``"rai"`` (0, 1, 2) or ``"user_timeout"`` (seconds, 0: the default) of a connection."""
        self._connections.set_option(key, name, value)

    def submit(self, request: Request, deadline: float | None, now: float) -> int:
        """Queue a request; RequestDone or RequestFailed follows, the latter at ``deadline`` at the latest."""
        request_id = self._tasks.submit(request, deadline, now)
        if self._mode is Mode.RUNNING:
            self._tasks.module_is_up()
        self._ensure_started(now)
        self._pump(now)
        return request_id

    def cancel(self, request_id: int, now: float) -> None:
        """Forget a request: no event will follow."""
        self._tasks.cancel(request_id)
        self._pump(now)

    def baudrate_refused(self, rate: int, actual: int | None = None) -> None:
        """The port cannot do this rate, of a SetBaudrate event: it stays at ``actual``, None where nobody knows."""
        self._refused_baudrates.add(rate)
        if self._baudrate == rate:
            self._baudrate = actual

    # -- the wire and the clock

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes that the module sent."""
        self._bytes.heard_at = now
        self._chat.receive_data(data, now)
        self._pump(now)

    @property
    def payload_due(self) -> int:
        """Bytes that a payload on its way still wants at the least: until they are there, reading changes nothing."""
        return self._chat.payload_due

    def data_to_send(self) -> bytes:
        """Give the bytes to be written now; empty until every SetBaudrate was fetched."""
        if self._rate_changes or not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def next_event(self) -> Event | None:
        """Give the next event, None when there is none."""
        if not self._events:
            return None
        event = self._events.popleft()
        if isinstance(event, SetBaudrate):
            self._rate_changes -= 1
        return event

    def next_deadline(self) -> float | None:
        """When :meth:`handle_timeout` is due, which may be past; None: not before something else happens."""
        return min((moment for moment in self._deadlines() if moment > self._served_at), default=None)

    def handle_timeout(self, now: float) -> None:
        """Do what time demands; harmless when nothing is due."""
        self._served_at = max(self._served_at, now)
        chat_deadline = self._chat.next_deadline()
        if chat_deadline is not None and now >= chat_deadline:
            self._chat.handle_timeout(now)
        for script in self._scripts():
            script.handle_timeout(now)
        self._tasks.handle_timeout(now, self.is_ready, self._why_not_attached())
        self._connections.handle_timeout(now, self.is_ready, self._why_not_attached())
        self._tell_of_waiting(now)
        self._sum_up_log(now)
        self._pump(now)

    def _deadlines(self) -> Iterator[float]:
        moments = [self._chat.next_deadline(), *(script.deadline for script in self._scripts())]
        yield from (moment for moment in moments if moment is not None)
        yield from self._tasks.deadlines()
        yield from (moment for moment in self._connections.deadlines() if moment is not None)
        others = (self._lookout.deadline(), self._pace.ready_at, self._warning_due)
        yield from (moment for moment in others if moment is not None)
        yield from (limit.deadline for limit in (self._warnings, self._strange_lines) if limit.deadline is not None)

    def _scripts(self) -> list[Script[Any]]:
        own = [script for script in (self._life, self._attach) if script is not None]
        return own + self._tasks.scripts()

    def _emit(self, event: Event) -> None:
        self._events.append(event)

    # -- what comes next

    def _pump(self, now: float) -> None:
        """Read what the chat has, and keep the module busy."""
        while True:
            while (event := self._chat.next_event()) is not NEED_DATA:
                self._dispatch(event, now)
            self._reap(now)
            self._step_port(now)
            if not self._chat.is_idle or now < (self._pace.ready_at or now):
                return
            turn = self._choose(now)
            if turn is None:
                if self._reap(now) or self._step_port(now):
                    continue
                self._stop_if_asked()
                return
            self._turn = turn
            self.counters["commands"] += 1
            self._pace.sent(now)
            self._out.append(self._chat.send(turn.command, now))

    def _choose(self, now: float) -> Dispatch | None:
        if self._life is not None:
            command = self._life.command
            return Dispatch(command, self._life_answered) if command is not None else None
        if self._mode is not Mode.RUNNING:
            return None
        if self._may_sleep and self._has_work():
            self._run_life(Script(wake(self._line)), self._woken, now)
            return self._choose(now)
        if self._wants_look and not self._connections.is_opening:
            self._wants_look = False
            steps = configure_again(self._settings, self._line, has_restarted=self._suspicion is not None)
            self._run_life(Script(steps), self._looked, now)
            return self._choose(now)
        if self._connections.is_opening:
            return self._connections.next_of_opening(now)
        if self._connections.shared.has_lost_any:
            self._connections.shared.has_lost_any = False
            self._lookout.suspect("it has lost a socket", now, may_be_restart=True)
        turn = self._connections.next_urgent(now) or self._lookout.turn(now)
        if turn is not None:
            return turn
        self._check_network_if_doubted(now)
        if self._begin_exclusive(now):
            return self._choose(now)
        if self._attach is not None and self._attach.command is not None:
            return Dispatch(self._attach.command, self._attach.respond)
        return self._fair_turn(now) or self._lookout.keepalive_turn(now) or self._sleep_turn() or self._leaving_turn()

    def _begin_exclusive(self, now: float) -> bool:
        """Begin a request that must be alone: as a script of the module's life, which may change the rate too."""
        script = self._tasks.exclusive_script()
        if script is not None:
            self._run_life(script, lambda script, now: None, now)
        return script is not None

    def _fair_turn(self, now: float) -> Dispatch | None:
        for picker in tuple(self._pickers):
            turn = picker(now)
            if turn is not None:
                self._pickers.remove(picker)
                self._pickers.append(picker)
                return turn
        # Finding that a stream is flushed may have made a close or a question due.
        return self._connections.next_urgent(now)

    def _open_turn(self, now: float) -> Dispatch | None:
        return self._connections.next_opening(now) if self.is_ready else None

    def _task_turn(self, now: float) -> Dispatch | None:
        return self._tasks.turn(now, self.is_ready and not self._connections.may_be_refused(now))

    def _sleep_turn(self) -> Dispatch | None:
        if (
            self._settings.power != "psm"
            or self._may_sleep
            or self._has_work()
            or not self._connections.table.is_quiet
            or not self.is_ready
        ):
            return None
        return Dispatch(QSCLK(1), self._sleep_answered)

    def _leaving_turn(self) -> Dispatch | None:
        """Put the sleep mode back, as the last thing of all."""
        mode = self._line.sleep_mode
        if not (self._is_stopping and self._is_done and mode):
            return None
        self._line.sleep_mode = None
        return Dispatch(QSCLK(mode), lambda result, now: None)

    def _sleep_answered(self, result: FinalResult | None, now: float) -> None:
        # Without an OK it is not asked again before there was work: an idle module must stay idle.
        self._may_sleep = True

    def _has_work(self) -> bool:
        return self._connections.table.has_work or self._tasks.has_work or self._lookout.is_suspicious

    def _stop_if_asked(self) -> None:
        if self._is_stopping and (self._mode is not Mode.RUNNING or self._is_done):
            self._is_stopping = False
            self._emit(Stopped())

    @property
    def _is_done(self) -> bool:
        """Nothing is left that anybody waits for: late outcomes of requests given up do not count."""
        return self._connections.table.is_at_rest and not self._tasks.is_waiting and self._life is None

    # -- what the module says

    def _dispatch(self, event: _at.Event, now: float) -> None:
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event, now)

    def _on_result(self, event: _at.FinalResult, now: float) -> None:
        turn, self._turn = self._turn, None
        assert turn is not None
        self._pace.answered(now)
        if event.ok and event.responses:
            self._connections.segments.heed(self._connections.table)
        self._is_rate_proven = True
        turn.finish(event, now)

    def _on_prompt(self, event: _at.Prompt, now: float) -> None:
        self._out.append(self._chat.send_payload(now))

    def _on_timeout(self, event: _at.CommandTimeout, now: float) -> None:
        turn, self._turn = self._turn, None
        self._chat.reset()
        if not (event.was_accepted or event.was_garbled):
            self._pace.unanswered(now)
        self._connections.segments.timed_out(event, now)
        if turn is not None:
            turn.finish(None, now)
        if event.was_accepted and self._life is None and self._mode is Mode.RUNNING:
            # It answers, and only the outcome is late: the count of bytes, or the line when it comes, will tell.
            self._emit(Log(INFO, f"no outcome yet of {_shown(event.command)}"))
        elif self._life is None and self._mode is Mode.RUNNING:
            self._emit(Log(WARNING, f"no answer to {_shown(event.command)}"))
            self.counters["resyncs"] += 1
            if not self._settings.is_hex:
                self._connections.segments.drop_unconfirmed(self._connections.table)
            self._resynchronise(now)

    def _resynchronise(self, now: float) -> None:
        self._run_life(Script(come_back(self._settings.is_hex, self._line)), self._back, now)

    def _on_opened(self, event: _at.Opened, now: float) -> None:
        # Who opens by a command of their own a socket that is in use here is told so.
        is_theirs = event.result and not self._connections.is_opening and self._tasks.offer(event, now)
        if is_theirs:
            return
        if event.socket_id not in self._connections.ids.claimed:
            self._connections.opened(event.socket_id, event.result, now)
            return
        self._connections.ids.claim_opened(event.socket_id)
        if not self._tasks.offer(event, now):
            self._emit(Log(INFO, f"{SAID}{line_of(event)!r}"))

    def _on_close_ok(self, event: _at.CloseOk, now: float) -> None:
        is_taken = self._life is not None and self._life.offer(event, now)
        if not is_taken and (self._connections.table.is_closing or not self._tasks.offer(event, now)):
            self._connections.close_ok(now)

    def _on_received(self, event: _at.Received, now: float) -> None:
        self._damaged_in_a_row = 0
        if event.socket_id in self._connections.ids.claimed:
            self._emit(Log(INFO, f"{SAID}{line_of(event)!r}"))
        else:
            self._connections.received(event.socket_id, event.data, now)

    def _on_closed(self, event: _at.PeerClosed, now: float) -> None:
        if event.socket_id in self._connections.ids.claimed:
            self._emit(Log(INFO, f"{SAID}{line_of(event)!r}"))
        else:
            self._connections.peer_closed(event.socket_id, now)
            if self._address_before is not None or self._network.stat not in (None, *REGISTERED):
                self._connections.network_gone()

    def _on_outcome(self, event: object, now: float) -> None:
        if not self._tasks.offer(event, now):
            self._emit(Log(DEBUG, f"{SAID}{line_of(event)!r}"))

    def _on_ready(self, event: _at.Ready, now: float) -> None:
        self._is_rate_proven = True
        if self._mode in (Mode.RUNNING, Mode.STARTING):
            self._restarted("it said RDY", now)

    def _on_echo(self, event: _at.Echo, now: float) -> None:
        self._line.has_echo = True
        if self._mode is not Mode.RUNNING or self._life is not None or self._line.echo_stays:
            return
        # It may have restarted, or somebody has said ATE1, or the line echoes some commands only.
        self._echo_looks += 1
        self._line.echo_stays = self._echo_looks > ECHO_LOOKS
        if not self._line.echo_stays:
            self._wants_look, self._suspicion = True, "it echoes commands again"

    def _on_ip(self, event: _at.IpAssigned, now: float) -> None:
        if self._mode is Mode.RUNNING and _is_another(self.local_address, event.address):
            self._suspect_bearer(f"its address is {event.address}", now)
        elif self._mode is Mode.RUNNING and event.address == self.local_address:
            # The context is a new one, or this is all that came of what a boot says.
            self._lookout.suspect(f"it has got its address {event.address} again", now, may_be_restart=True)
        self.local_address = event.address
        if self._attach is not None:
            self._attach.offer(event, now)

    def _on_registration(self, event: _at.Registration, now: float) -> None:
        is_news = event.stat != self._network.stat
        if self._mode is Mode.RUNNING:
            self._network.note(event)
        if self._attach is not None:
            self._attach.offer(event, now)
        elif self._mode is Mode.RUNNING and is_news and event.stat in REGISTERED:
            self._emit(Log(INFO, f"network: {self._network.describe()}"))
        elif self._mode is Mode.RUNNING and is_news:
            self._emit(Log(WARNING, f"the network is lost: {self._network.describe()}"))
            self._is_wait_told = True
            self._connections.network_gone()
            self._network.is_attached = False
            self._begin_attach(now)

    def _on_sleep(self, event: _at.Sleep, now: float) -> None:
        if event.is_entered:
            self._may_sleep = True
            self._connections.lost_tcp(
                make_error(ECONNRESET, "the module went to sleep, which ends TCP connections"), now
            )

    def _on_stray(self, event: _at.StrayResult, now: float) -> None:
        self._connections.segments.late_outcome(event.text, self._connections.table, now)
        self._log_strange(f"nothing waits for {event.text!r}", now)

    def _on_damaged(self, event: _at.Damaged, now: float) -> None:
        self.counters["damaged"] += 1
        self._line.strange_lines += 1
        self._sum_up_log(now)
        if self._warnings.admits(now):
            self._emit(Log(WARNING, f"bytes were lost on the serial line: {event.reason}"))
        if not event.is_harmless:
            self._connections.damaged(event.socket_id, event.is_contained, event.reason)
            self._damaged_in_a_row += 1
            if self._mode is Mode.RUNNING and self._damaged_in_a_row >= MOST_DAMAGED:
                # A restart that nothing told of, or another program, may have changed how received data come.
                self._damaged_in_a_row, self._wants_look = 0, True
        self._connections.hint_at_outcome(now)
        if self._mode is Mode.RUNNING and not event.is_contained and now >= self._next_damage_sign:
            # It may have been RDY, or "closed".
            self._next_damage_sign = now + DAMAGE_SIGN_INTERVAL
            self._lookout.suspect("bytes were lost on the serial line", now, may_be_restart=True)

    def _on_notice(self, event: _at.Notice, now: float) -> None:
        if event.line.startswith("+QI") or "OPEN" in event.line:
            self._connections.hint_at_outcome(now)
        self._emit(Log(DEBUG, f"{SAID}{event.line!r}"))
        self._see_sign(event.line, now)

    def _on_unknown_line(self, event: _at.UnknownLine, now: float) -> None:
        self._connections.hint_at_outcome(now)
        self._line.strange_lines += 1
        self._line.is_numeric |= event.line in NUMERIC_RESULTS
        if event.line == PROMPT and self._mode is Mode.RUNNING:
            self._connections.doubt_counts(now)
        self._log_strange(f"{SAID}{event.line!r}", now)
        self._see_sign(event.line, now)

    def _see_sign(self, line: str, now: float) -> None:
        """Have a look if a line tells that the module may have restarted, or lost its data context."""
        if self._mode is not Mode.RUNNING:
            return
        if bearer_sign(line):
            self._suspect_bearer(f"it said {line!r}", now)
        elif restart_sign(line) and not self._lookout.suspect(f"it said {line!r}", now, may_be_restart=True):
            self._restart_suspected(f"it said {line!r}", now)

    def _restart_suspected(self, why: str, now: float) -> None:
        """Nothing is open that could be lost, but the settings, and the registration, may be others."""
        is_news = now > self._restarted_at + BOOT_REPORTS  # else it is the rest of what a boot says after RDY
        if is_news and self._attach is not None:
            self._restarted(why, now)  # it waits for a registration that a module with its radio off never gets
        elif is_news:
            self._wants_look, self._suspicion = True, why

    def _suspect_bearer(self, why: str, now: float) -> None:
        """The sockets may be gone; and where the address is another one, no stream can go on."""
        self._lookout.suspect(why, now)
        self._connections.network_gone()
        self._address_before = self._address_before or self.local_address
        if self._attach is None:
            self._begin_attach(now)

    def _log_strange(self, message: str, now: float) -> None:
        self._sum_up_log(now)
        if self._strange_lines.admits(now):
            self._emit(Log(DEBUG, message))

    def _sum_up_log(self, now: float) -> None:
        """Tell how many lines the limits have kept out of the log."""
        for limit, level, what in (
            (self._warnings, WARNING, "times that bytes were lost on the serial line"),
            (self._strange_lines, DEBUG, "lines that nothing waits for"),
        ):
            left_out = limit.take_left_out(now)
            if left_out:
                self._emit(Log(level, f"{left_out} more {what} within a minute were not logged"))

    # -- the module's life

    def _ensure_started(self, now: float) -> None:
        if self._mode is Mode.FAILED:
            self._bring_up_tries = 0
            self._start(now)

    def _start(self, now: float) -> None:
        self._mode = Mode.STARTING
        self._network.forget()
        self._attach = self._turn = self._suspicion = None
        self._may_sleep = self._wants_look = self._line.is_numeric = False
        self._echo_looks = self._failed_looks = 0
        self._address_before = None
        self._lookout.clear()
        self._bring_up_tries += 1
        self._chat.reset()
        self._chat.receives_hex = None
        found = self._baudrate if self._is_rate_proven else None
        is_again = self._bring_up_tries > 1
        steps = bring_up(self._settings, found, self._refused_baudrates, self._line, is_again=is_again)
        self._run_life(Script(steps, (_at.CloseOk,)), self._brought_up, now)

    def _run_life(self, script: Script[Any], done: Callable[[Script[Any], float], None], now: float) -> None:
        self._connections.segments.forget_look()
        self._life, self._life_done = script, done
        script.start(now)

    def _life_answered(self, result: FinalResult | None, now: float) -> None:
        if self._life is not None:
            self._life.respond(result, now)

    def _step_port(self, now: float) -> bool:
        """Do what the life script wants done with the port itself; return whether there was anything."""
        is_any = False
        while self._life is not None and (step := self._life.port_step) is not None:
            if isinstance(step, SetRate):
                self._is_rate_proven = self._is_rate_proven and step.baudrate == self._baudrate
                self._baudrate = step.baudrate
                self._refused_baudrates.discard(step.baudrate)
                self._rate_changes += 1
                self._emit(SetBaudrate(step.baudrate))
            else:
                self._out.append(step.data)
            self._life.port_step_done(now)
            is_any = True
        return is_any

    def _brought_up(self, script: Script[Any], now: float) -> None:
        if script.error is None:
            self._mode = Mode.RUNNING
            self._bring_up_tries = 0
            for socket_id in script.value or ():
                self._connections.ids.claim(socket_id)
            if self._line.has_orphans:
                self._line.has_orphans = False
                self._connections.segments.expect_late_outcome(now)
            self._chat.receives_hex = self._settings.is_hex
            self._tell_of_line()
            self._tasks.module_is_up()
            self._begin_attach(now)
        elif script.error.errno == ETIMEDOUT and self._bring_up_tries < BRING_UP_TRIES:
            self._start(now)
        else:
            self._baudrate = None
            self._give_up(script.error, now)

    def _tell_of_line(self) -> None:
        if self._line.corrected:
            self._emit(Log(INFO, f"put right: {', '.join(self._line.corrected)}"))
            self.corrected = tuple(dict.fromkeys((*self.corrected, *self._line.corrected)))
            self._line.corrected = ()
        if self._line.echo_stays:
            self._emit(Log(INFO, "whatever is sent to the module comes back (echo), and ATE0 does not end it"))

    def _looked(self, script: Script[Any], now: float) -> None:
        """The module's settings were put right; see whether it still has its sockets."""
        if script.error is not None and script.error.errno != ETIMEDOUT:
            self._give_up(script.error, now)
            return
        if script.error is not None:
            self._failed_looks += 1
            self._wants_look = self._failed_looks < BRING_UP_TRIES
            self._resynchronise(now)
            return
        self._failed_looks = 0
        self._chat.receives_hex = self._settings.is_hex
        self._tell_of_line()
        why, self._suspicion = self._suspicion, None
        found = script.value
        assert isinstance(found, Found)
        if why is not None and self._has_forgotten(found):
            self._restarted(why, now)
        elif found.registration is not None:
            self._on_registration(_at.Registration(found.registration.stat), now)
        if found.rows is not None and self._connections.table.open_socket_ids - {row.socket_id for row in found.rows}:
            self._lookout.suspect(why or "it does not list a socket", now)

    def _has_forgotten(self, found: Found) -> bool:
        """Whether it has none of our connections any more; or there are none, and the registration is gone."""
        ours = self._connections.table.open_socket_ids
        if not ours or found.rows is None:
            is_registered = found.registration is None or found.registration.stat in REGISTERED
            return (self._network.is_attached or self._network.stat in REGISTERED) and not is_registered
        return not any(row.socket_id in ours for row in found.rows)

    def _check_network_if_doubted(self, now: float) -> None:
        """Something failed as it does without a network: ask for registration and address."""
        if self._connections.shared.is_network_doubted:
            self._connections.shared.is_network_doubted = False
            if self._attach is None:
                self._network.is_attached = False
                self._begin_attach(now)

    def _begin_attach(self, now: float) -> None:
        self._attach_began = now
        steps = attach(self._network, self._settings.pin, self._settings.dns)
        self._attach = Script(steps, (_at.Registration, _at.IpAssigned))
        self._attach.start(now)

    def _back(self, script: Script[Any], now: float) -> None:
        if script.error is not None:
            self._give_up(script.error, now)
        elif not script.value and self._wants_look:
            # The user's own command may have changed it; whether it was a restart the sockets will tell.
            self._suspicion = self._suspicion or FORGOTTEN
        elif not script.value:
            self._restarted(FORGOTTEN, now)

    def _woken(self, script: Script[Any], now: float) -> None:
        self._may_sleep = False
        if script.error is not None:
            self._give_up(script.error, now)

    def _give_up(self, error: OSError, now: float) -> None:
        self._emit(Log(WARNING, f"the module cannot be used: {error.strerror}"))
        self._mode, self._attach, self._wants_look = Mode.FAILED, None, False
        self._network.forget()
        self._fail_everything(error, now)

    def _restarted(self, why: str, now: float) -> None:
        self._restarted_at = now
        if self._mode is Mode.RUNNING:
            self.counters["restarts"] += 1
            self._restarts.append(now)
            self._emit(Log(WARNING, f"the module restarted ({why}): every connection is reset"))
        error = make_error(ECONNRESET, f"the module restarted ({why})")
        self._connections.lost_all(error, now)
        self._tasks.fail_all(error, only_started=True)
        is_restless = len(self._restarts) == MOST_RESTARTS and now < self._restarts[0] + RESTARTS_TIME
        if is_restless:
            self._give_up(make_error(ECONNRESET, f"the module restarts again and again ({why})"), now)
        elif self._bring_up_tries < BRING_UP_TRIES:
            self._start(now)
        else:
            self._give_up(error, now)

    def _fail_everything(self, error: OSError, now: float) -> None:
        self._connections.lost_all(error, now)
        self._connections.refuse_queued(error, now)
        self._tasks.fail_all(error, only_started=False)

    def _why_not_attached(self) -> str:
        if self._mode is not Mode.RUNNING:
            return f"the module is not ready yet: {self.describe_wait() or 'its port is not open'}"
        return f"the module is not attached to the network: {self._network.describe()}"

    def _reap(self, now: float) -> bool:
        """Deal with scripts that have come to their end; return whether there were any."""
        has_changed = self._tasks.reap()
        if self._attach is not None and self._attach.is_done:
            self._attached(self._attach, now)
            has_changed = True
        while self._life is not None and self._life.is_done:
            life, life_done = self._life, self._life_done
            self._life = self._life_done = None
            assert life_done is not None
            life_done(life, now)
            has_changed = True
        return has_changed

    def _attached(self, script: Script[Attached], now: float) -> None:
        self._attach = None
        if script.value is None:
            self._begin_attach(now)
            return
        address, server_trouble = script.value
        if server_trouble is not None:
            self._emit(Log(WARNING, f"the name servers are not set: {server_trouble}"))
        self._network.is_attached = True
        self.local_address = address or self.local_address
        before, self._address_before = self._address_before, None
        if before is not None and _is_another(before, self.local_address):
            why = f"the module's address was {before} and is {self.local_address}"
            self._connections.reset_streams(make_error(ECONNRESET, why))
        is_news = self._connections.network_came(now, now - self._attach_began)
        if self._is_wait_told:
            self._is_wait_told = False
            seconds = now - self._attach_began
            self._emit(Log(WARNING, f"the network is there after {seconds:.0f} s: {self._network.describe()}"))
        if is_news:
            self._emit(Log(INFO, f"network: {self._network.describe()}, address {self.local_address}"))

    def _tell_of_waiting(self, now: float) -> None:
        """Warn, once, of a network that somebody waits for and that does not come."""
        due = self._warning_due
        if due is not None and now >= due:
            self._is_wait_told = True
            self._emit(Log(WARNING, f"waiting for the network: {self._network.describe()}"))

    @property
    def _warning_due(self) -> float | None:
        if self._attach is None or self._is_wait_told or self._mode is not Mode.RUNNING:
            return None
        return self._attach_began + NETWORK_PATIENCE if self.is_network_wanted else None

    @property
    def is_network_wanted(self) -> bool:
        """Whether an opening or a request waits until the network is there. Thread: any, for information."""
        return self._connections.table.is_anybody_queued or self._tasks.waits_for_network

    def describe_wait(self) -> str | None:
        """Say in words what is waited for before anything can be sent; None where nothing is. Thread: any."""
        if self._mode is Mode.RUNNING:
            is_there = self.is_ready or self._attach is None
            return None if is_there else f"waiting for the network: {self._network.describe()}"
        if self._life is None:
            return None
        if not self._is_rate_proven:
            return f"no answer from the module yet, trying {self._baudrate} baud"
        return "setting the module up"

    # -- what requests may know

    def doubt_network(self) -> None:
        """A command failed as it does without a network: have registration and address looked at."""
        self._connections.shared.is_network_doubted = True

    def socket_id(self, key: int) -> int | None:
        """The module's number of a connection's socket; None while it has none."""
        return self._connections.table.socket_id(key)

    @property
    def network_trouble(self) -> str | None:
        """Why the network cannot be used, in words; None when nothing is known to be the matter."""
        network = self._network
        is_there = network.is_attached or (network.stat in REGISTERED and not network.lacks_address)
        return None if is_there else self._why_not_attached()

    @property
    def found_sleep_mode(self) -> int | None:
        """The sleep mode that is going to be put back."""
        return self._line.sleep_mode

    def user_changes_settings(self, may_be_format: bool, tells_hex: bool | None = None) -> None:
        """A command of the user's may change how the module is set, or how received data come: that is put right.

        ``tells_hex``: the command says itself whether they come as hex digits from now on.
        """
        self._wants_look = True
        if may_be_format and (tells_hex is None or tells_hex is not self._chat.receives_hex):
            self._chat.receives_hex = None  # told from the bytes meanwhile

    def is_settled(self, key: int) -> bool:
        """Whether nothing is on its way for a connection: not opening, not closing, everything acknowledged."""
        return self._connections.table.is_settled(key)

    def unsent(self, key: int) -> int:
        """Bytes that were taken from the application and are not in the module, as far as is known."""
        return self._connections.table.unsent(key)

    def socket_id_of(self, key: int) -> int | None:
        """The module's number of an open connection."""
        return self._connections.table.socket_id_of(key)

    @property
    def baudrate(self) -> int | None:
        """The rate of the serial line; None where it is not ours to know."""
        return self._baudrate if self._has_baudrate else None

    @property
    def refused_baudrates(self) -> AbstractSet[int]:
        """The rates that this port was asked for and cannot do."""
        return self._refused_baudrates

    def claim_socket(self, socket_id: int) -> bool:
        """The user opens this socket of the module: it is not ours. Return whether it was free."""
        return self._connections.ids.claim(socket_id, is_opening=True)

    def release_socket(self, socket_id: int, is_closed: bool) -> None:
        """The user closes it; ``is_closed``: it is closed already, CLOSE OK will not come."""
        self._connections.ids.disclaim(socket_id, is_closed)

    def late_outcomes(self, turn: str) -> LateOutcomes:
        """The outcomes that a facility, by its turn, still owes to requests that are over."""
        return self._tasks.late_outcomes(turn)

    @property
    def own_socket_ids(self) -> frozenset[int]:
        """The module's numbers that this process uses."""
        return self._connections.table.own_socket_ids


def _is_another(before: str | None, address: str | None) -> bool:
    """Whether an address has taken the place of the one before, and not come beside it (IPv6 beside IPv4)."""
    if before is None or address is None or (":" in before) != (":" in address):
        return False
    return before != address


def _shown(command: _at.Command[Any]) -> str:
    """A command line for the log, without payload."""
    line = command.line
    return line if len(line) <= 40 else f"{line[:20]}... ({len(line)} bytes)"


_HANDLERS: dict[type, Callable[[Driver, Any, float], None]] = {
    _at.FinalResult: Driver._on_result,
    _at.Prompt: Driver._on_prompt,
    _at.CommandTimeout: Driver._on_timeout,
    _at.Opened: Driver._on_opened,
    _at.CloseOk: Driver._on_close_ok,
    _at.Received: Driver._on_received,
    _at.PeerClosed: Driver._on_closed,
    _at.DnsResult: Driver._on_outcome,
    _at.DnsAddress: Driver._on_outcome,
    _at.PingReply: Driver._on_outcome,
    _at.PingSummary: Driver._on_outcome,
    _at.NtpResult: Driver._on_outcome,
    _at.Ready: Driver._on_ready,
    _at.Echo: Driver._on_echo,
    _at.IpAssigned: Driver._on_ip,
    _at.Registration: Driver._on_registration,
    _at.Sleep: Driver._on_sleep,
    _at.StrayResult: Driver._on_stray,
    _at.Damaged: Driver._on_damaged,
    _at.Notice: Driver._on_notice,
    _at.UnknownLine: Driver._on_unknown_line,
}
