"""CPython's audit events for what goes over the modem.

``_socket`` raises an event for each connect, datagram and look-up. What a modem carries never reaches those C
functions, so the event is raised here: once, with the arguments that the program gave. Hooks that check the host's
network (``--strict``, the tests' own) pass over exactly these: they ask :func:`is_ours`.
"""

from __future__ import annotations

import sys
import threading
from typing import Any


class _Raised(threading.local):
    """The event that this thread is raising on behalf of a modem; None most of the time."""

    event: tuple[str, tuple[Any, ...]] | None = None


_raised = _Raised()


def audit(event: str, *args: Any) -> None:
    """Raise an audit event for something that goes over the modem; what a hook raises leaves here."""
    outer = _raised.event
    _raised.event = (event, args)
    try:
        sys.audit(event, *args)
    finally:
        _raised.event = outer


def is_ours(event: str, args: tuple[Any, ...]) -> bool:
    """Return whether a hook was called by :func:`audit` with this event.

    Compared by identity: what a program's hook does on the host's network while it is called is not ours.
    """
    if _raised.event is None:
        return False
    name, given = _raised.event
    return name == event and len(given) == len(args) and all(map(_is_same, given, args))


def _is_same(one: object, other: object) -> bool:
    return one is other
