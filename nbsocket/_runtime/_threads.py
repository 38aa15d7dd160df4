"""The library's own threads: how they start, and what must not happen on them.

Rules for every one of them:

- It blocks all signals from its first instruction on (but those that an instruction itself raises), so that a signal
  which the program waits for or handles never ends up here. This holds for SIGPIPE, too.
- ``threading`` does not know it: a program that joins ``threading.enumerate()`` does not wait for it. So nothing may
  run there that asks for ``threading.current_thread()``, which would make it known; handlers of ``logging`` do.
- It never waits for anything of the library: a ``__del__`` of the program's, run by the garbage collector on this
  thread, that asks the modem something fails at once.
- It takes no lock that a thread of the program can hold.

CPython 3.13 and later start no thread once the exit functions run, where a modem may be used for the first time. So a
few are started just before, when the main thread has ended (:func:`keep_some_for_the_end`), and wait for work. 3.12
starts none even then, and threads that wait from the beginning would make each ``os.fork()`` warn.
"""

from __future__ import annotations

import _thread
import errno
import os
import signal
import sys
import threading
from _thread import LockType, allocate_lock, get_ident
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from nbsocket._errors import make_error

__all__ = ["check_may_wait", "is_own", "keep_some_for_the_end", "mask_before", "start"]

#: Raised by the instruction that a thread executes: blocked, they would end the process without a word.
_SYNCHRONOUS = frozenset((signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT))
_BLOCKED = frozenset(signal.valid_signals()) - _SYNCHRONOUS

#: Identifiers of the threads that run now.
_own: set[int] = set()


class _Mask(threading.local):
    """The signals that were blocked before a thread of ours blocked the rest; None elsewhere."""

    before: frozenset[int] | None = None


_mask = _Mask()


def start(function: Callable[[], object]) -> None:
    """Run ``function`` on a new thread under the rules above. It must not raise.

    Raises:
        OSError: ENOMEM, the system or the interpreter, which may be ending, starts no more threads.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
    try:
        # One that a thread of ours starts knows the program's mask, too.
        mask = frozenset(before) if _mask.before is None else _mask.before
        _thread.start_new_thread(_run, (function, mask))
    except RuntimeError as error:
        if not _give_to_spare(function):
            raise make_error(errno.ENOMEM, f"cannot start a thread for the modem: {error}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(function: Callable[[], object], mask: frozenset[int]) -> None:
    ident = get_ident()
    _own.add(ident)
    _mask.before = mask
    try:
        function()
    finally:
        _own.discard(ident)


def is_own() -> bool:
    """Return whether the calling thread is one of the library's."""
    return get_ident() in _own


def check_may_wait() -> None:
    """Refuse a wait that would stop the thread which is to end it.

    Raises:
        OSError: EDEADLK on a thread of the library's.
    """
    if get_ident() in _own:
        raise make_error(errno.EDEADLK, "the modem cannot be waited for on its own thread (in a __del__, perhaps)")


def mask_before() -> frozenset[int]:
    """Return what was blocked before this thread of the library's was started."""
    return _mask.before or frozenset()


#: Of threads that wait for work: the gate that one waits at, and where it finds what to do.
_spare: deque[tuple[LockType, list[Callable[[], object]]]] = deque()

#: Two modems or one that is simulated, and the log.
SPARE_THREADS = 5

_keeps_some = False


def keep_some_for_the_end() -> None:
    """Have threads ready for what is begun in exit functions. To be called by whoever may need some."""
    global _keeps_some
    if not _keeps_some and sys.version_info >= (3, 12):
        _keeps_some = True
        with suppress(RuntimeError):  # this is the end already
            threading._register_atexit(_start_spare)  # type: ignore[attr-defined]  # none is public


def _start_spare() -> None:
    with suppress(OSError):  # then what is begun later fails with this error
        for _ in range(SPARE_THREADS):
            gate, work = allocate_lock(), list[Callable[[], object]]()
            gate.acquire()
            start(partial(_wait_for_work, gate, work))
            _spare.append((gate, work))


def _wait_for_work(gate: LockType, work: list[Callable[[], object]]) -> None:
    gate.acquire()
    work.pop()()


def _give_to_spare(function: Callable[[], object]) -> bool:
    with suppress(IndexError):
        gate, work = _spare.popleft()
        work.append(function)
        gate.release()
        return True
    return False


os.register_at_fork(after_in_child=_own.clear)
os.register_at_fork(after_in_child=_spare.clear)
