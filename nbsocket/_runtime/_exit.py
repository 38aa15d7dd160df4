"""What happens at the end of the interpreter, after every exit function of the program.

``atexit`` calls the function that was registered last first. A modem that is opened late would so be closed before the
exit functions of ``logging``, ``weakref`` and of libraries imported earlier, which may want to send something. So this
file's own exit function first has those called that were registered before it, and then ends what is left. Everything
then still works: after the last exit function, all threads but one are dead, and locks that they held are never free.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable

from nbsocket._runtime import _threads

__all__ = ["CHANNELS", "ENGINES", "LOG", "SIMULATORS", "at_end", "end_now", "forget", "prepare"]

#: The order at the end: modems send what is left, the log says what they said, and then nobody needs the far side.
ENGINES, LOG, CHANNELS, SIMULATORS = range(4)

#: What is to be done, by its order: lower numbers first.
_steps: dict[Callable[[], object], int] = {}


class _Seen:
    """Compared with each registered function in turn by ``atexit.unregister``, which removes those that are equal."""

    __hash__ = None  # type: ignore[assignment]  # equal to anything

    def __init__(self, kept: int | None = None) -> None:
        """Remove nothing, or all but the first ``kept`` functions."""
        self.functions: list[object] = []
        self._kept = kept

    def __eq__(self, function: object) -> bool:
        self.functions.append(function)
        return self._kept is not None and len(self.functions) > self._kept


def _registered() -> list[object]:
    """Return the exit functions in the order of their registration."""
    seen = _Seen()
    atexit.unregister(seen)  # type: ignore[arg-type]  # it only compares
    return seen.functions


def at_end(step: Callable[[], object], order: int) -> None:
    """Call ``step`` at the end of the interpreter, after the program's exit functions.

    Args:
        step: does not raise.
        order: one of the above.
    """
    _steps[step] = order
    prepare()


def prepare() -> None:
    """Be there at the end, also for what is begun in an exit function: one that is registered later than it runs."""
    # multiprocessing clears the list in its children.
    if not any(function is _end for function in _registered()):
        atexit.register(_end)
    _threads.keep_some_for_the_end()


def forget(step: Callable[[], object]) -> None:
    """Do not call it; nothing happens when it was not to be called."""
    _steps.pop(step, None)


def _end() -> None:
    functions = _registered()
    place = next((place for place, function in enumerate(functions) if function is _end), None)
    if place:
        # Whatever stands behind has been called. What stands before is called now, and is not called again.
        atexit.unregister(_Seen(place))  # type: ignore[arg-type]  # it only compares
        atexit._run_exitfuncs()
    end_now()


def end_now() -> None:
    """Take every step, each bounded in time, whatever one of them raises (Ctrl-C, perhaps).

    Also for a program that a signal is about to end; its exit functions are not called.
    """
    while _steps:
        step = min(_steps, key=_steps.__getitem__)
        del _steps[step]
        try:
            step()
        except BaseException:
            end_now()
            raise


# The parent's modems and simulators are not the child's to end.
os.register_at_fork(after_in_child=_steps.clear)
