"""The process's default modem: made from what is configured, or from the environment."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from nbsocket._modem_options import ModemOptions, complete

if TYPE_CHECKING:
    from typing_extensions import Unpack


from nbsocket._modem import Modem, url_of

__all__ = ["configure", "default_modem", "modem", "pin"]

#: For threads; a signal handler that comes in between passes.
_lock = threading.RLock()
_default: Modem | None = None


def _renew_lock_after_fork() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock_after_fork)


#: The modem that ``nbsocket run`` has opened: a program's own configure() gives it.
_pinned: Modem | None = None


def configure(port: str | None = None, **options: Unpack[ModemOptions]) -> Modem:
    """Make the process's default modem, which sockets use that name no other.

    Args:
        port: as for :class:`Modem`; None stands for the environment's NBSOCKET_PORT.
        options: as for :class:`Modem`. Where one is not given the environment's counts (NBSOCKET_APN for ``apn``), then
            that of ``~/.config/nbsocket/NAME.conf`` and of ``/etc/nbsocket/NAME.conf``, NAME being the device's.
    Returns:
        The modem. With the same port and options as before it is the same one, otherwise the earlier default is closed.
        Under ``nbsocket run`` the port that it uses gives its modem, whatever the options, and a warning tells of those
        that differ.
    Raises:
        OSError: ENODEV, there is no port to use.
        ValueError: an option, a variable of the environment or a line of a file is not allowed.
    """
    global _default
    port, completed = complete(port, options)
    modem = Modem(port, **completed)
    if _pinned is not None and _same_port(_pinned, port):
        _pinned._tell_differences(modem, options)
        with _lock:
            _default = _pinned
        return _pinned
    with _lock:
        earlier = _default
        if earlier is not None and earlier._is_like(modem) and not earlier.engine.is_closed:
            return earlier
        _default = modem
    if earlier is not None and earlier is not _pinned:
        earlier.close()
    return modem


def default_modem() -> Modem:
    """Return the configured modem, or make it from NBSOCKET_PORT; see :func:`modem`."""
    global _default
    if _default is not None:
        return _default
    port, options = complete(None, {})
    made = Modem(port, **options)
    with _lock:
        # Nothing is called between the look and the change, so nothing comes in between on this thread.
        if _default is None:
            _default = made
        return _default


def modem() -> Modem:
    """Return the process's default modem: the configured one, or one made from NBSOCKET_PORT.

    Under ``nbsocket run`` it is the one that the program's sockets go over.

    Raises:
        OSError: ENODEV, there is none.
        ValueError: a variable of the environment or a line of a file is not allowed.
    """
    return default_modem()


def pin(modem: Modem) -> None:
    """Make this the modem of the whole process: what ``nbsocket run`` has opened."""
    global _pinned
    _pinned = modem


def _same_port(modem: Modem, port: str) -> bool:
    return modem._url == url_of(port)
