"""The requests on their way: which may begin, which command of theirs is next, when one has waited long enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from errno import ENETDOWN, ETIMEDOUT
from functools import partial
from itertools import count
from socket import EAI_AGAIN, gaierror
from typing import Any

from nbsocket._at import DnsAddress, DnsResult, FinalResult, NtpResult, PingLine, PingSummary
from nbsocket._dataclass import dataclass
from nbsocket._driver._dispatch import Dispatch
from nbsocket._driver._events import Event, RequestDone, RequestFailed, RequestProgress
from nbsocket._driver._late import LateOutcomes
from nbsocket._driver._requests import OUTCOME_TIMEOUT, Request, RequestContext, WaitUp
from nbsocket._driver._resolve import Resolve
from nbsocket._driver._script import Script
from nbsocket._errors import copy_of, make_error

__all__ = ["Tasks"]

#: Takes the addresses that a look-up gave, or why it gave none.
Taker = Callable[[list[str] | None, OSError | None], None]

#: The line that completes an outcome which names nothing: the turn of its facility.
_LAST_LINES: dict[type, str] = {DnsResult: "dns", PingSummary: "ping", NtpResult: "ntp"}


@dataclass(eq=False)
class _Task:
    """One request."""

    request_id: int
    request: Request
    deadline: float | None
    attach_deadline: float
    script: Script[Any] | None = None
    is_in_flight: bool = False
    #: The caller has been told that it failed; only the modem's late outcome is still waited for.
    is_abandoned: bool = False
    #: Who takes the outcome in place of the application.
    taker: Taker | None = None

    def waits_for_network(self, is_ready: bool) -> bool:
        """Whether it cannot begin before the modem is registered."""
        return self.script is None and self.request.needs_network and not is_ready

    @property
    def waits_for_turn(self) -> bool:
        """Its next command has not gone out yet."""
        return self.script is not None and self.script.command is not None and not self.is_in_flight

    @property
    def has_outcome_due(self) -> bool:
        """Whether the modem may have begun something for it whose outcome has not come."""
        return self.script is not None and (self.is_in_flight or self._awaits_outcome)

    def may_be_forgotten(self) -> bool:
        """Whether the modem will say nothing more that the next of its kind must not take for its own."""
        if self.script is None:
            return True
        return not self.is_in_flight and (self.request.turn is None or not self._awaits_outcome)

    @property
    def _awaits_outcome(self) -> bool:
        return self.script is not None and self.script.command is None and not self.script.is_pausing


class Tasks:
    """All requests of one driver."""

    def __init__(self, emit: Callable[[Event], None], context: RequestContext, attach_timeout: float) -> None:
        self._emit = emit
        self._context = context
        self._attach_timeout = attach_timeout
        #: Oldest first; those given up stay while the modem may tell something of them.
        self.queue: list[_Task] = []
        self._request_ids = count(1)
        self.late: dict[str, LateOutcomes] = {turn: LateOutcomes() for turn in _LAST_LINES.values()}

    def __len__(self) -> int:
        return len(self.queue)

    @property
    def has_work(self) -> bool:
        """Somebody waits for an answer."""
        return any(not task.is_abandoned for task in self.queue)

    @property
    def is_waiting(self) -> bool:
        """Somebody waits, or a command is out; late outcomes of requests given up do not count."""
        return any(task.is_in_flight or not task.is_abandoned for task in self.queue)

    def submit(self, request: Request, deadline: float | None, now: float) -> int:
        """Queue a request and return its number."""
        task = _Task(next(self._request_ids), request, deadline, now + self._attach_timeout)
        self.queue.append(task)
        return task.request_id

    def look_up(self, name: str, taker: Taker, now: float) -> int:
        """Look a name up for an opening, and return the request's number; a restart has it begin anew."""
        request_id = self.submit(Resolve(name), None, now)
        self.queue[-1].taker = taker
        return request_id

    def module_is_up(self) -> None:
        """End what waits for nothing else, without waiting for a turn on the line."""
        for task in tuple(self.queue):
            if isinstance(task.request, WaitUp) and task.script is None:
                self.queue.remove(task)
                if not task.is_abandoned:
                    self._emit(RequestDone(task.request_id, None))

    def cancel(self, request_id: int) -> None:
        """Forget a request: no event will follow."""
        for task in tuple(self.queue):
            if task.request_id == request_id and not task.is_abandoned:
                self._abandon(task)

    def scripts(self) -> list[Script[Any]]:
        """The scripts that have begun."""
        return [task.script for task in self.queue if task.script is not None]

    def deadlines(self) -> Iterator[float]:
        """When a request has waited long enough; what its script waits for comes on top."""
        for task in self.queue:
            if task.is_abandoned:
                continue
            if task.deadline is not None:
                yield task.deadline
            if task.script is None:
                yield task.attach_deadline
            if self._is_held(task):
                yield from self.late[task.request.turn or ""].deadlines()

    def offer(self, event: object, now: float) -> bool:
        """Give an outcome to the script that waits for it; return whether there was one."""
        is_anonymous = type(event) in _LAST_LINES or isinstance(event, (DnsAddress, PingLine))
        for task in self.queue:
            # What comes before a command has gone out is not the outcome of it.
            is_early = is_anonymous and task.waits_for_turn
            if task.script is not None and not is_early and task.script.offer(event, now):
                return True
        if type(event) in _LAST_LINES:
            self.late[_LAST_LINES[type(event)]].came()
        elif isinstance(event, PingLine):
            self.late["ping"].goes_on()
        return False

    def late_outcomes(self, turn: str) -> LateOutcomes:
        """The outcomes that a facility, by its turn, still owes to requests that are over."""
        return self.late[turn]

    def tick(self, now: float) -> None:
        """Tell what time it is: forget what is due no more."""
        for late in self.late.values():
            if late.owed:
                late.tick(now)

    def _is_held(self, task: _Task) -> bool:
        """Whether it waits until no outcome of another request can come any more."""
        turn = task.request.turn
        return task.script is None and task.request.waits_for_late and turn in self.late and bool(self.late[turn].owed)

    # -- turns

    def exclusive_script(self) -> Script[Any] | None:
        """The script, not yet started, of a request that must be alone on the line; None when there is none."""
        for task in self.queue:
            if task.request.is_exclusive and task.script is None:
                return self._make_script(task)
        return None

    def next_command(self, now: float, is_ready: bool) -> Dispatch | None:
        """The next command of a request."""
        self.tick(now)
        for task in tuple(self.queue):
            if task.is_abandoned and task.script and not task.script.is_done and task.may_be_forgotten():
                self.queue.remove(task)  # nobody wants to know what it would ask next
                continue
            if task.script is None and self._may_start(task, is_ready):
                self._make_script(task).start(now)
            if task.script is not None and not task.is_in_flight and task.script.command is not None:
                task.is_in_flight = True
                for event in task.script.take_mail():
                    # What comes before a command has gone out is not the outcome of it.
                    if type(event) in _LAST_LINES:
                        self.late[_LAST_LINES[type(event)]].came()
                return Dispatch(task.script.command, partial(self._answered, task))
        return None

    def _make_script(self, task: _Task) -> Script[Any]:
        task.script = Script(task.request.steps(self._context), task.request.listens)
        return task.script

    def _may_start(self, task: _Task, is_ready: bool) -> bool:
        if task.waits_for_network(is_ready) or self._is_held(task):
            return False
        turn = task.request.turn
        return turn is None or not any(other.script is not None and other.request.turn == turn for other in self.queue)

    def _answered(self, task: _Task, result: FinalResult | None, now: float) -> None:
        task.is_in_flight = False
        if task.script is None or task not in self.queue:
            return
        task.script.respond(result, now)
        if task.is_abandoned and task.may_be_forgotten() and not task.script.is_done:
            self.queue.remove(task)

    # -- ends

    def reap(self) -> bool:
        """Tell what scripts report and how they ended; return whether any has ended."""
        for task in self.queue:
            while task.script is not None and task.script.reports:
                value = task.script.reports.popleft()
                if not task.is_abandoned:
                    self._emit(RequestProgress(task.request_id, value))
        done = [task for task in self.queue if task.script is not None and task.script.is_done]
        for task in done:
            self.queue.remove(task)
            if not task.is_abandoned:
                self._tell(task, _outcome(task))
            if isinstance(task.request, Resolve):
                self._share(task)
        return bool(done)

    def _share(self, done: _Task) -> None:
        """Give the outcome of a look-up to all who asked for the same name meanwhile, failure or not."""
        for task in tuple(self.queue):
            if task.script is None and task.request == done.request:
                self.queue.remove(task)
                self._tell(task, _outcome(done, task.request_id))

    @property
    def waits_for_network(self) -> bool:
        """Whether a request waits for the network, whose caller has not given it up."""
        return any(task.waits_for_network(False) and not task.is_abandoned for task in tuple(self.queue))

    def handle_timeout(self, now: float, is_ready: bool, why_not: Callable[[], str]) -> None:
        """Fail what has waited long enough."""
        for late in self.late.values():
            if late.owed:
                late.tick(now)
        for task in tuple(self.queue):
            is_overdue = task.deadline is not None and now >= task.deadline
            if task.is_abandoned:
                continue
            if task.waits_for_network(is_ready) and (is_overdue or now >= task.attach_deadline):
                self._fail(task, make_error(ENETDOWN, why_not()))
            elif is_overdue:
                trouble = self._context.network_trouble if task.request.needs_network else None
                reason = "the module gave no answer in time" + (f": {trouble}" if trouble else "")
                self._fail(task, make_error(ETIMEDOUT, reason))

    def fail_all(self, error: OSError, only_started: bool) -> None:
        """Fail every request, or (the modem restarted: it will tell no more of them) those that have begun."""
        for task in tuple(self.queue):
            if task.script is None and only_started:
                continue
            if task.taker is not None and only_started:
                task.script, task.is_in_flight = None, False
                continue
            if task.request.turn in self.late and task.has_outcome_due:
                self.late[task.request.turn].owe("", OUTCOME_TIMEOUT)
            self.queue.remove(task)
            if not task.is_abandoned:
                self._tell(task, RequestFailed(task.request_id, _as_failure_of(task.request, error)))
        if only_started:
            for late in self.late.values():
                late.clear()

    def _fail(self, task: _Task, error: OSError) -> None:
        self._tell(task, RequestFailed(task.request_id, _as_failure_of(task.request, error)))
        self._abandon(task)

    def _tell(self, task: _Task, event: RequestDone | RequestFailed) -> None:
        if task.taker is None:
            self._emit(event)
        elif isinstance(event, RequestDone):
            assert isinstance(event.value, list)
            task.taker(event.value, None)
        else:
            task.taker(None, event.error)

    def _abandon(self, task: _Task) -> None:
        task.is_abandoned = True
        if task.may_be_forgotten():
            self.queue.remove(task)


def _outcome(task: _Task, request_id: int | None = None) -> RequestDone | RequestFailed:
    """The outcome of a task, for its own request or for one that shares it."""
    assert task.script is not None
    request_id = task.request_id if request_id is None else request_id
    if task.script.error is not None:
        return RequestFailed(request_id, copy_of(_as_failure_of(task.request, task.script.error)))
    return RequestDone(request_id, copy(task.script.value))


def _as_failure_of(request: Request, error: OSError) -> OSError:
    """A look-up fails with gaierror, whatever was the matter."""
    if isinstance(request, Resolve) and not isinstance(error, gaierror):
        failure = gaierror(EAI_AGAIN, f"{request.name!r}: {error.strerror}")
        failure.__cause__ = error
        failure.command = getattr(error, "command", None)  # type: ignore[attr-defined]  # as in make_error
        failure.result = getattr(error, "result", None)  # type: ignore[attr-defined]
        return failure
    return error
