"""patch() and unpatch(): unmodified programs speak through the modem.

Theory of operation: the methods of ``socket.socket`` are wrapped in place, never the class replaced: subclasses
(``ssl.SSLSocket``), references taken earlier and exact type checks all keep holding, and nothing is left that would
quietly use the host's network.
Functions can be taken by ``from socket import getaddrinfo``, so such references in loaded modules are found by
identity and re-pointed; those kept elsewhere are the business of ``_captured``. A wrapper that somebody still holds
after :func:`unpatch` does nothing of its own.

A signal handler may come in anywhere in :func:`patch` and :func:`unpatch`, and call them, too. It cannot wait for the
frame that it interrupted, so it completes what that one has begun; every step can be done again, and does nothing
where it was done.
"""

from __future__ import annotations

import _socket
import logging
import os
import socket as _socket_module
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from types import CellType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from nbsocket._dataclass import dataclass, field
from nbsocket._patching import _aiohttp
from nbsocket._patching._captured import replace_look_up, watch_past_patch
from nbsocket._routing import _resolver
from nbsocket._routing._addresses import INET_FAMILIES
from nbsocket._routing._bypass import Bypass
from nbsocket._routing._leak_warnings import tell, watch_libraries
from nbsocket._routing._route import Route
from nbsocket._runtime import _exit, _stdlib
from nbsocket._runtime._stdlib import GenuineSocket, StdlibSocket
from nbsocket._sockets import _connect, _data, _kinds, _methods, _options
from nbsocket._sockets._socket import attach_datagrams, known_kind, socket

if TYPE_CHECKING:
    from nbsocket._modem import Modem

_logger = logging.getLogger("nbsocket")

#: Times that a wrapper is looked for while a signal handler does the same.
UNWRAP_TRIES = 1000

_METHODS: dict[str, Callable[..., Any]] = {
    **_connect.CONNECT_METHODS,
    **_methods.NAME_METHODS,
    **_options.OPTION_METHODS,
    **_data.DATA_METHODS,
}


@dataclass(slots=True)
class _Installed:
    """What one patch() changed, for unpatch() to put back."""

    modem: Modem | None
    route: Route
    #: By owner and name: the owner, the name and the wrapper.
    wrappers: dict[tuple[int, str], tuple[object, str, Any]] = field(default_factory=dict)
    references: list[tuple[ModuleType, str, object, object]] = field(default_factory=list)
    cells: list[tuple[CellType, object]] = field(default_factory=list)
    undo_look_up: Callable[[], None] | None = None
    #: How often it was taken away: by a signal handler that undid what it had interrupted.
    removals: int = 0


#: What makes a pair of sockets out of two connections to the host itself, where there is no such system call.
_PAIR_MAKERS = ("_fallback_socketpair", *(() if hasattr(_socket, "socketpair") else ("socketpair",)))

_AF_VSOCK = getattr(_socket_module, "AF_VSOCK", None)

#: For threads; a signal handler that comes in between passes.
_lock = threading.RLock()
_installed: _Installed | None = None


def _renew_lock_after_fork() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock_after_fork)

#: What is being put in place or taken away, not yet or no longer installed.
_coming: _Installed | None = None
_going: _Installed | None = None


class Patching:
    """What :func:`patch` returns: a context manager that undoes it."""

    def __init__(self, *, undoes: bool) -> None:
        self._undoes = undoes

    def __enter__(self) -> Patching:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._undoes:
            unpatch()


def patch(modem: Modem | None = None, *, bypass: str | Iterable[str] | None = None) -> Patching:
    """Send the whole process's AF_INET and AF_INET6 traffic through the modem.

    Listening sockets, AF_UNIX, socket pairs and connections that exist already stay with the operating system.

    Args:
        modem: default: the process's default modem, made at the first use.
        bypass: destinations that stay on the operating system's network, in the syntax of NO_PROXY plus CIDR, besides
            loopback and link-local; the word ``none`` leaves those out. Default: $NBSOCKET_BYPASS.
    Returns:
        A context manager that calls :func:`unpatch`, unless the process was patched before this call.
    Raises:
        ValueError: a bypass entry makes no sense.
        RuntimeError: already patched with other options, or another library has put a class of its own in place of
            ``socket.socket`` (gevent and eventlet do).
    """
    rules = Bypass.parse(os.environ.get("NBSOCKET_BYPASS") if bypass is None else bypass)
    _exit.prepare()
    with _lock:
        state = _installed or _coming
        if state is not None and (state.modem is not modem or state.route.bypass != rules):
            raise RuntimeError("nbsocket.patch(): already patched with other options; call unpatch() first")
        if _installed is not None:
            return Patching(undoes=False)
        _complete_removal()
        if state is None:
            _check_class()
        is_first = state is None
        _put_in_place(state or _Installed(modem, Route(rules, modem, keeps_listeners=True)))
    _aiohttp.keep_look_ups(_wrap_of_now)
    watch_past_patch(_route)
    watch_libraries(lambda: _installed is not None)
    # Here and not above: `import nbsocket` alone needs none of it.
    from nbsocket._patching._child_programs import watch_programs

    watch_programs(lambda: _installed is not None)
    return Patching(undoes=is_first)


def _put_in_place(state: _Installed) -> None:
    global _installed, _coming
    interrupted, is_whole = _coming, False
    try:
        while not is_whole and _installed is None:
            _coming, removals = state, state.removals
            _install(state)
            is_whole = state.removals == removals
    except BaseException:
        _installed = None
        _remove(state)
        raise
    finally:
        _coming = interrupted
    if _installed is None:
        _installed = state
    elif _installed is not state:
        _remove(state)
        _repair()


def _repair() -> None:
    """Put in place once more what a signal handler has patched while this frame was at work."""
    while (state := _installed) is not None:
        _install(state)
        if _installed is state:
            return
        _remove(state)


def _complete_removal() -> None:
    global _going
    state = _going
    if state is not None:
        _remove(state)
        _going = None


def unpatch() -> None:
    """Undo :func:`patch`; without one, do nothing.

    Connections over the modem that are open stay so. UDP sockets made while patched can then only be closed.
    """
    global _installed, _going
    with _lock:
        if _installed is not None:
            # In this order, so that whoever comes in between finds it in one place at least.
            _going = _installed
            _installed = None
        _complete_removal()
        _repair()


def _check_class() -> None:
    """Refuse to work where new sockets would not be of the class that is patched."""
    current = _socket_module.socket
    if StdlibSocket.__module__ != "socket" or not issubclass(current, StdlibSocket):
        raise RuntimeError(
            f"nbsocket.patch(): socket.socket was replaced by {current.__module__}, it cannot be patched"
        )


def _route() -> Route | None:
    """The route of patched sockets; None while not patched, and where the library's own plumbing is laid."""
    state = _installed
    return None if state is None or _stdlib.own_traffic.is_plumbing else state.route


# ---- what is put in place


def _install(state: _Installed) -> None:
    _wrap(state, StdlibSocket, "__init__", _on_init)
    for name, function in _METHODS.items():
        if hasattr(StdlibSocket, name):
            _wrap(state, StdlibSocket, name, _method_wrapper(function))
    for name, function in _resolver.FUNCTIONS.items():
        current = getattr(_socket_module, name)
        _wrap(state, _socket_module, name, _function_wrapper(function))
        _repoint(state, (current, getattr(_stdlib, name)), getattr(_socket_module, name))
    state.undo_look_up = replace_look_up(_route)
    for name in _PAIR_MAKERS:
        if hasattr(_socket_module, name):
            _wrap(state, _socket_module, name, _on_pair)
    _repoint_trio(state)


def _wrap(state: _Installed, owner: object, name: str, wrapper: Callable[..., Any]) -> None:
    # Here and in _remove(): wrapt loads asyncio, longer than all of what `import nbsocket` needs.
    import wrapt

    from nbsocket._patching._wrappers import Wrapper

    current = wrapt.resolve_path(owner, name)[2]
    while type(current) is Wrapper and not current.is_of(state):
        # Of a patch() that a signal handler has undone, or undoes, meanwhile: what it wraps must not come back with it.
        current = current.__wrapped__
    handle = current
    if not (type(current) is Wrapper and current.is_of(state)):
        # Not wrap_object(): it looks once more at what is there, which a signal handler may have wrapped by then.
        handle = Wrapper(current, wrapper, state)
        setattr(owner, name, handle)
    state.wrappers[id(owner), name] = (owner, name, handle)


def _wrap_of_now() -> Callable[[object, str, Callable[..., Any]], None] | None:
    """What wraps until unpatch(), for libraries that are imported later; None while not patched."""
    state = _installed
    return None if state is None else partial(_wrap, state)


def _method_wrapper(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # nbsocket.socket overrides these, but may be handed to one of ours: socket.socket.connect(sock, address).
        route = instance._route if isinstance(instance, socket) else _route()
        if route is None or not isinstance(instance, StdlibSocket):
            return wrapped(*args, **kwargs)
        return function(instance, route, *args, **kwargs)

    return wrapper


def _function_wrapper(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        route = _route()
        return wrapped(*args, **kwargs) if route is None else function(route, *args, **kwargs)

    return wrapper


def _on_pair(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    _stdlib.own_traffic.is_making_pair = True
    try:
        return wrapped(*args, **kwargs)
    finally:
        _stdlib.own_traffic.is_making_pair = False


def _on_init(wrapped: Callable[..., None], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    route = _route()
    if route is None or isinstance(instance, socket):
        wrapped(*args, **kwargs)
    else:
        _initialise(wrapped, instance, route, *args, **kwargs)


def _initialise(
    wrapped: Callable[..., None],
    instance: StdlibSocket,
    route: Route,
    family: int = -1,
    type: int = -1,
    proto: int = -1,
    fileno: Any = None,
) -> None:
    if fileno is not None:
        return wrapped(*known_kind(fileno, family, type, proto), fileno)
    inet = family == -1 or family in INET_FAMILIES
    if inet and not route.bypass.is_everything:
        kind = _socket_module.SOCK_STREAM if type == -1 else type
        _kinds.check_kind(_socket_module.AF_INET if family == -1 else family, kind, max(proto, 0))
    wrapped(family, type, proto, None)
    if family == _AF_VSOCK:
        tell(
            "AF_VSOCK", "a program makes an AF_VSOCK socket: what the host of this machine sends on goes past the modem"
        )
    if inet and not route.bypass.is_everything and _kinds.type_of(instance) == _socket_module.SOCK_DGRAM:
        attach_datagrams(instance, route)
    return None


def _repoint(state: _Installed, old: tuple[object, ...], new: object) -> None:
    """Re-point module attributes that hold one of ``old`` to ``new``."""
    for module, attribute, value in _module_attributes():
        if value is not new and any(value is known for known in old):
            setattr(module, attribute, new)
            state.references.append((module, attribute, value, new))


def _module_attributes() -> Iterator[tuple[ModuleType, str, object]]:
    """Yield what the loaded modules hold, except our own and the two that the functions come from."""
    for name, module in list(sys.modules.items()):
        if name in ("socket", "_socket", "nbsocket") or name.startswith("nbsocket."):
            continue
        # By type(): a lazy module's __class__ and attributes may run code.
        if issubclass(type(module), ModuleType):
            for attribute, value in list(vars(module).items()):
                yield module, attribute, value


def _repoint_trio(state: _Installed) -> None:
    """Re-point the C functions that trio took off ``socket.socket`` when it was imported before the patch.

    Its methods for single calls keep them in closures: trio/_socket.py, ``_make_simple_sock_method_wrapper``.
    """
    trio_socket = getattr(sys.modules.get("trio._socket"), "_SocketType", None)
    for name in _data.DATA_METHODS if trio_socket is not None else ():
        genuine = vars(GenuineSocket).get(name)
        for cell in getattr(vars(trio_socket).get(name), "__closure__", None) or ():
            if genuine is not None and cell.cell_contents is genuine:
                cell.cell_contents = getattr(StdlibSocket, name)
                state.cells.append((cell, genuine))


# ---- and taken away


def _unwrap(owner: Any, name: str, handle: object) -> None:
    """Take a wrapper away, until it is not found: a signal handler may do the same at any moment."""
    import wrapt

    for _ in range(UNWRAP_TRIES):
        # A handler has removed it between wrapt's look at the class and its own removal: the attribute is not there any
        # more (AttributeError; KeyError between wrapt's look at vars() and its use of them), or is taken for that of
        # the base, a class of C that cannot be changed (TypeError).
        with suppress(AttributeError, KeyError, TypeError):
            if wrapt.unwrap_object(owner, name, handle, missing_ok=True) is None:
                return
    wrapt.unwrap_object(owner, name, handle, missing_ok=True)


def _remove(state: _Installed) -> None:
    import wrapt

    if state.undo_look_up is not None:
        state.undo_look_up()
    state.removals += 1
    for cell, genuine in state.cells:
        cell.cell_contents = genuine
    for module, attribute, old, new in state.references:
        if vars(module).get(attribute) is new:
            setattr(module, attribute, old)
    for owner, name, handle in reversed([*state.wrappers.values()]):
        try:
            _unwrap(owner, name, handle)
        except wrapt.WrapperNotOutermostError as error:
            # Left in place it calls through to what it wraps: see _route().
            _logger.warning("unpatch: %s", error)
    state.cells, state.references, state.wrappers = [], [], {}
