"""Which command goes out next, whenever the modem is free.

One command is in flight at a time. The order: a script of the modem's life, which has the line for itself; what must
not wait of the connections; then openings, requests and segments by turns; and when nothing is left, permission to
sleep.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from nbsocket._at import NEED_DATA, QSCLK, FinalResult, State
from nbsocket._driver._core import Core
from nbsocket._driver._dispatch import Dispatch
from nbsocket._driver._events import Stopped
from nbsocket._driver._listener import Listener
from nbsocket._driver._lookout import Lookout
from nbsocket._driver._opening import Queued
from nbsocket._driver._tasks import Tasks

__all__ = ["Scheduler"]


class Scheduler:
    """Keeps the modem busy."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._lookout: Lookout = core.lookout
        self._tasks: Tasks = core.tasks
        self._late_outcomes = tuple(core.tasks.late.values())
        self._handlers = Listener(core).handlers
        #: Openings, requests and segments; the front one has waited longest.
        self._pickers: deque[Callable[[float], Dispatch | None]] = deque(
            [self._next_opening, self._next_of_requests, core.connections.segments.next_segment]
        )
        self._opening_picker, self._request_picker, _ = self._pickers
        self._may_sleep_at_all = core.settings.power == "psm"
        #: Everything is to be finished, and nothing is to be begun.
        self.is_stopping = False

    def pump(self, now: float) -> None:
        """Read what the codec has, and keep the modem busy."""
        core = self._core
        chat = core.chat
        while True:
            while (event := chat.next_event()) is not NEED_DATA:
                handler = self._handlers.get(type(event))
                if handler is not None:
                    handler(event, now)
            if core.lifecycle.script is not None or core.attachment.script is not None or self._tasks.queue:
                self._reap(now)
                core.lifecycle.step_port(now)
            if chat.state is not State.IDLE or (core.pace.ready_at is not None and now < core.pace.ready_at):
                return
            dispatch = self._choose(now)
            if dispatch is not None:
                core.pending = dispatch
                core.counters["commands"] += 1
                core.pace.sent(now)
                core.out.append(chat.send(dispatch.command, now))
            # All that has come was read before; only what was begun, or has ended, in the choice is left to do.
            if self._has_scripts and (self._reap(now) or core.lifecycle.step_port(now)):
                continue
            if dispatch is None and self.is_stopping:
                self._stop_if_asked()
            return

    @property
    def _has_scripts(self) -> bool:
        core = self._core
        return core.lifecycle.script is not None or core.attachment.script is not None or bool(self._tasks.queue)

    def _reap(self, now: float) -> bool:
        """Deal with scripts that have come to their end; return whether there were any."""
        core = self._core
        has_ended = bool(self._tasks.queue) and self._tasks.reap()
        if core.attachment.script is not None:
            has_ended |= core.attachment.reap(now)
        if core.lifecycle.script is not None:
            has_ended |= core.lifecycle.reap(now)
        return has_ended

    def _choose(self, now: float) -> Dispatch | None:
        core, lifecycle, connections = self._core, self._core.lifecycle, self._core.connections
        if lifecycle.script is not None:
            command = lifecycle.script.command
            return Dispatch(command, lifecycle.answered) if command is not None else None
        if not lifecycle.is_running:
            return None
        if lifecycle.may_sleep and self._has_work():
            lifecycle.wake(now)
            return self._choose(now)
        opening = connections.shared.opening
        if connections.shared.doubts_format:
            connections.shared.doubts_format, lifecycle.wants_look = False, True
        if lifecycle.wants_look and opening is None:
            lifecycle.look(now)
            return self._choose(now)
        if opening is not None:
            return opening.next_command_of_opening(now)
        if connections.shared.has_lost_any:
            connections.shared.has_lost_any = False
            self._lookout.suspect("it has lost a socket", now, may_be_restart=True)
        dispatch = connections.next_urgent(now)
        if dispatch is None and self._lookout.sign is not None:
            dispatch = self._lookout.next_command(now)
        if dispatch is not None:
            return dispatch
        if connections.shared.wants_network_check:
            core.attachment.check_if_wanted(now)
        if self._tasks.queue and self._begin_exclusive(now):
            return self._choose(now)
        attach = core.attachment.script
        if attach is not None and attach.command is not None:
            return Dispatch(attach.command, attach.respond)
        dispatch = self._next_in_turn(now)
        if dispatch is None and connections.shared.has_keepalive:
            dispatch = self._lookout.next_keepalive(now)
        if dispatch is None and self._may_sleep_at_all:
            dispatch = self._sleep()
        return self._leave() if dispatch is None and self.is_stopping else dispatch

    def _begin_exclusive(self, now: float) -> bool:
        """Begin a request that must be alone: as a script of the modem's life, which may change the rate too."""
        script = self._tasks.exclusive_script()
        if script is not None:
            self._core.lifecycle.run(script, lambda script, now: None, now)
        return script is not None

    def _next_in_turn(self, now: float) -> Dispatch | None:
        # Most of the time there is neither an opening nor a request: only what has something is worth a call.
        has_openings = self._core.table.queued
        has_requests = bool(self._tasks.queue)
        for late in self._late_outcomes:
            has_requests = has_requests or bool(late.owed)
        for picker in tuple(self._pickers):
            if (picker is self._opening_picker and not has_openings) or (
                picker is self._request_picker and not has_requests
            ):
                continue
            requests = len(self._tasks.queue)
            dispatch = picker(now)
            if dispatch is None and len(self._tasks.queue) > requests:
                dispatch = self._request_picker(now)  # an opening has a name to be looked up first
            if dispatch is not None:
                self._pickers.remove(picker)
                self._pickers.append(picker)
                return dispatch
        segments = self._core.connections.segments
        if not segments.has_flushed:
            return None
        segments.has_flushed = False
        return self._core.connections.next_urgent(now)

    def _next_opening(self, now: float) -> Dispatch | None:
        core = self._core
        for link in core.table.order:
            if type(link.phase) is Queued:
                return core.connections.next_opening(now) if core.is_ready else None
        return None

    def _next_of_requests(self, now: float) -> Dispatch | None:
        if not self._tasks.queue:
            for late in self._late_outcomes:
                if late.owed:
                    late.tick(now)
            return None
        may_use_network = self._core.is_ready and not self._core.connections.may_be_refused(now)
        return self._tasks.next_command(now, may_use_network)

    # -- when nothing is left

    def _sleep(self) -> Dispatch | None:
        core = self._core
        if core.lifecycle.may_sleep or self._has_work():
            return None
        if not (core.table.is_quiet and core.is_ready):
            return None
        return Dispatch(QSCLK(1), self._sleep_answered)

    def _sleep_answered(self, result: FinalResult | None, now: float) -> None:
        # Without an OK it is not asked again before there was work: an idle modem must stay idle.
        self._core.lifecycle.may_sleep = True

    def _leave(self) -> Dispatch | None:
        """Put the sleep mode back, as the last thing of all."""
        line = self._core.lifecycle.line
        mode = line.sleep_mode
        if not (self.is_stopping and self._is_done and mode):
            return None
        line.sleep_mode = None
        return Dispatch(QSCLK(mode), lambda result, now: None)

    def _has_work(self) -> bool:
        return self._core.table.has_work or self._tasks.has_work or self._lookout.sign is not None

    def _stop_if_asked(self) -> None:
        if self.is_stopping and (not self._core.lifecycle.is_running or self._is_done):
            self.is_stopping = False
            self._core.events.append(Stopped())

    @property
    def _is_done(self) -> bool:
        """Nothing is left that anybody waits for: late outcomes of requests given up do not count."""
        core = self._core
        return core.table.is_at_rest and not self._tasks.is_waiting and core.lifecycle.script is None
