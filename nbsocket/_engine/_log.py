"""The engine's way to its loggers.

Handlers are the program's: they raise, they wait for locks, they send over the very modem that has something to say.
So none runs on a thread of the library's. A message of such a thread goes into a bounded queue, from where another
thread hands it to the handlers; what other threads say goes to the handlers at once, as ever.

That other thread is one of ``threading``'s, for handlers ask for ``threading.current_thread()``, and it lives only
while there is something to hand out: who joins all threads of ``threading.enumerate()``, or counts threads, is not held
up. Another short-lived thread starts it: the engine's own does not, because ``threading`` takes a lock for it that the
program may hold.

What a handler sends over the modem makes messages of its own, which must not be the next to be sent. While the modem
is busy with anything of a handler's (:func:`hush_while`) messages go to no handler, but for one warning a minute.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from _thread import get_ident
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import CodeType
from typing import Any

from nbsocket._dataclass import dataclass
from nbsocket._runtime import _child_mask, _exit, _threads
from nbsocket._runtime._clock import monotonic
from nbsocket._runtime._outcome import Outcome

__all__ = ["MESSAGE_LIMIT", "EngineLog", "deliver_now", "hush_while", "is_idle"]

#: Messages that wait for slow handlers; further ones are counted.
MESSAGE_LIMIT = 1000

#: Seconds between warnings while the modem is busy with a handler's own traffic.
WARNING_INTERVAL = 60.0

#: Seconds that the end of the interpreter waits for a handler that is at work.
LAST_WAIT = 2.0


@dataclass(frozen=True, slots=True)
class _Message:
    """What a record is made of later."""

    logger: logging.Logger
    level: int
    text: str
    args: tuple[Any, ...]
    error: BaseException | None
    created: float
    thread: int
    place: tuple[CodeType, int]


class EngineLog:
    """A logger whose calls never raise, and on the library's threads never wait."""

    def __init__(self, name: str) -> None:
        """Use the logger of that name."""
        self._logger = logging.getLogger(name)

    def is_on(self, level: int) -> bool:
        """Whether anybody wants that level."""
        # Not isEnabledFor(): it takes a lock of logging's, and a program's class may have its own.
        logger = self._logger
        return logger.manager.disable < level and level >= logging.Logger.getEffectiveLevel(logger)

    def log(self, level: int, message: str, *args: Any, error: BaseException | None = None) -> None:
        """Log; the handlers' failures are their own."""
        if not self.is_on(level):
            return
        if not _threads.is_own():
            with suppress(Exception):
                self._logger.log(level, message, *args, exc_info=error, stacklevel=2)
            return
        if _hushed.check() and not _post_office.may_warn(level):
            _post_office.hushed += 1
            return
        frame = sys._getframe(1)
        place = frame.f_code, frame.f_lineno
        _post(_Message(self._logger, level, message, args, error, time.time(), get_ident(), place))


class _Hushed(threading.local):
    """Of each thread: whether what it says is about a handler's own traffic."""

    check: Callable[[], bool] = staticmethod(lambda: False)


_hushed = _Hushed()


def hush_while(check: Callable[[], bool]) -> None:
    """From now on leave messages of this thread out while ``check()`` is true."""
    _hushed.check = check


class _Post:
    """What is on its way to the handlers."""

    def __init__(self) -> None:
        self.waiting: deque[_Message] = deque()
        self.dropped = 0
        #: One token while no thread hands anything out.
        self.licence: deque[object] = deque([self])
        self.is_known_at_exit = False
        #: Hands out what is waiting.
        self.helper: threading.Thread | None = None
        #: Messages that went to no handler because they were about a handler's own traffic.
        self.hushed = 0
        self._warned_at = float("-inf")

    def may_warn(self, level: int) -> bool:
        """Whether a message about a handler's own traffic goes to the handlers all the same."""
        now = monotonic()
        if level < logging.WARNING or now < self._warned_at + WARNING_INTERVAL:
            return False
        self._warned_at = now
        return True


_post_office = _Post()


def _post(message: _Message) -> None:
    office = _post_office
    if len(office.waiting) >= MESSAGE_LIMIT:
        office.dropped += 1
        return
    office.waiting.append(message)
    if not office.is_known_at_exit:
        office.is_known_at_exit = True
        _exit.at_end(_deliver_the_last, _exit.LOG)
    if _take_licence(office):
        try:
            _threads.start(_deliver_all)
        except OSError:
            # It waits: the next message tries again, or the end hands it out.
            office.licence.append(office)


def _take_licence(office: _Post) -> bool:
    """Become the only one that hands out; who gives the licence back looks once more for what came meanwhile."""
    try:
        office.licence.pop()
    except IndexError:
        return False
    return True


def _deliver_all() -> None:
    """Hand out what is waiting, on a thread that ``threading`` knows: handlers ask for it."""
    office = _post_office
    mask = _threads.mask_before()
    goes_on = True
    while goes_on:
        done: Outcome[None] = Outcome()
        helper = threading.Thread(target=_help, args=(done, mask), name="nbsocket log", daemon=True)
        try:
            office.helper = helper
            helper.start()
            # Not join(), which asks for current_thread().
            done.wait_anywhere()
        except RuntimeError:  # no thread now: with the next message, or at the end
            goes_on = False
        office.licence.append(office)
        goes_on = goes_on and bool(office.waiting) and _take_licence(office)


def _help(done: Outcome[None], mask: frozenset[int]) -> None:
    _child_mask.give(mask)
    try:
        deliver_now()
    finally:
        done.set_result(None)


def deliver_now() -> None:
    """Hand out on this thread what is waiting."""
    office = _post_office
    with suppress(IndexError):
        while True:
            _deliver(office.waiting.popleft())
            if office.dropped and not office.waiting:
                dropped, office.dropped = office.dropped, 0
                _own_logger.log(logging.WARNING, "%d messages were dropped: log handlers are too slow", dropped)


def is_idle() -> bool:
    """Whether everything that was said so far has been handed out."""
    helper = _post_office.helper
    return not _post_office.waiting and (helper is None or not helper.is_alive())


def _deliver_the_last() -> None:
    helper = _post_office.helper
    if helper is not None and helper.is_alive():
        helper.join(LAST_WAIT)
    deliver_now()


def _deliver(message: _Message) -> None:
    with suppress(Exception):
        logger, (code, line) = message.logger, message.place
        error = message.error
        information = None if error is None else (type(error), error, error.__traceback__)
        record = logger.makeRecord(
            logger.name, message.level, code.co_filename, line, message.text, message.args, information, code.co_name
        )
        record.relativeCreated += (message.created - record.created) * 1000.0
        record.created, record.msecs = message.created, message.created % 1 * 1000.0
        record.thread, record.threadName = message.thread, "nbsocket"
        logger.handle(record)


_own_logger = EngineLog("nbsocket")


def _renew_after_fork() -> None:
    global _post_office
    _post_office = _Post()


os.register_at_fork(after_in_child=_renew_after_fork)
