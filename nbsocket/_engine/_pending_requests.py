"""What the host asks of the modem besides connections: each request on its way to the driver and back."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from nbsocket._dataclass import dataclass, field
from nbsocket._driver import Request, RequestDone, RequestFailed, RequestProgress
from nbsocket._engine._context import EngineContext
from nbsocket._engine._last_resort import run_every
from nbsocket._errors import make_error
from nbsocket._runtime._clock import monotonic
from nbsocket._runtime._outcome import Outcome, fail, fulfil
from nbsocket._runtime._threads import check_may_wait

__all__ = ["PendingRequest", "PendingRequests", "result_of"]

T = TypeVar("T")

#: Seconds beyond a request's own deadline after which its caller gives up on the engine.
GRACE = 5.0


def result_of(outcome: Outcome[T], timeout: float | None) -> T:
    """Return an outcome's value; OSError ETIMEDOUT when it is not there in time."""
    if not outcome.wait(timeout):
        raise make_error(errno.ETIMEDOUT, "the modem gave no answer in time")
    return outcome.result()


@dataclass(eq=False)
class PendingRequest:
    """One request and who waits for it."""

    request: Request
    timeout: float | None
    outcome: Outcome[Any] = field(default_factory=Outcome)
    #: What it tells before it is done; an empty tuple at the end.
    news: SimpleQueue[tuple[Any, ...]] = field(default_factory=SimpleQueue)
    #: A handler of logging asks.
    is_for_logs: bool = False
    #: The driver's number, None until it has one.
    number: int | None = None
    deadline: float | None = field(init=False)

    def __post_init__(self) -> None:
        self.deadline = None if self.timeout is None else monotonic() + self.timeout

    def wait(self, on_progress: Callable[[Any], object] | None) -> Any:
        """Wait for the outcome, and pass on on this thread what comes before it."""
        seconds = None if self.timeout is None else self.timeout + GRACE
        if on_progress is not None:
            check_may_wait()
            self.outcome.add_done_callback(lambda _: self.news.put(()))
            with suppress(Empty):
                while item := self.news.get(timeout=seconds):
                    on_progress(*item)
        return result_of(self.outcome, seconds)


class PendingRequests:
    """All requests that the driver has. Thread: the engine's."""

    def __init__(self, context: EngineContext) -> None:
        """Start with none."""
        self._context = context
        self._asked: dict[int, PendingRequest] = {}

    def __len__(self) -> int:
        return len(self._asked)

    @property
    def has_for_logs(self) -> bool:
        """Whether a handler of logging waits for an answer."""
        return any(pending.is_for_logs for pending in self._asked.values())

    def submit(self, pending: PendingRequest) -> None:
        """Hand a request to the driver, or fail it."""
        try:
            self._context.require_service()
            pending.number = self._context.driver.submit(pending.request, pending.deadline, monotonic())
        except (OSError, ValueError) as error:
            fail(pending.outcome, error)
            return
        self._asked[pending.number] = pending

    def cancel(self, pending: PendingRequest) -> None:
        """Withdraw a request; its outcome is of no interest."""
        if pending.number is not None and self._asked.pop(pending.number, None) is not None:
            self._context.driver.cancel(pending.number, monotonic())

    def cancel_all(self, error: OSError) -> None:
        """Withdraw and fail every request."""
        for pending in tuple(self._asked.values()):
            self.cancel(pending)
            fail(pending.outcome, error)

    def leave(self) -> None:
        """Withdraw every request without a word to whoever asked."""
        for pending in tuple(self._asked.values()):
            self.cancel(pending)

    def fail_all(self, error: OSError) -> None:
        """Fail every request; the driver is not asked."""
        asked, self._asked = self._asked, {}
        for pending in asked.values():
            run_every(partial(fail, pending.outcome, error), partial(pending.outcome.set_exception, error))

    # What the driver tells.

    def done(self, event: RequestDone) -> None:
        """It was answered."""
        pending = self._asked.pop(event.request_id, None)
        if pending is not None:
            fulfil(pending.outcome, event.value)

    def failed(self, event: RequestFailed) -> None:
        """It will not be answered."""
        pending = self._asked.pop(event.request_id, None)
        if pending is not None:
            fail(pending.outcome, event.error)

    def progress(self, event: RequestProgress) -> None:
        """Something comes before the answer."""
        pending = self._asked.get(event.request_id)
        if pending is not None:
            pending.news.put((event.value,))
