"""aiohttp looks names up with c-ares, in C and past the modem, wherever aiodns is installed; patched it does not.

Its resolver of that kind passes each question on to its other one, which asks ``socket.getaddrinfo`` in a thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

_MODULE = "aiohttp.resolver"

_is_watched = False

Wrap = Callable[[object, str, Callable[..., Any]], None]


def keep_look_ups(find_wrap: Callable[[], Wrap | None]) -> None:
    """Wrap aiohttp's resolver as soon as it is loaded.

    Args:
        find_wrap: gives what puts a wrapper in place until unpatch(); None while not patched.
    """
    global _is_watched
    if _MODULE in sys.modules:
        _wrap(find_wrap, sys.modules[_MODULE])
    elif not _is_watched:
        import wrapt  # only when needed: it takes long to load

        # Import hooks stay for good.
        _is_watched = True
        wrapt.register_post_import_hook(lambda module: _wrap(find_wrap, module), _MODULE)


def _wrap(find_wrap: Callable[[], Wrap | None], module: ModuleType) -> None:
    wrap = find_wrap()
    if wrap is not None and hasattr(module, "AsyncResolver") and hasattr(module, "ThreadedResolver"):
        wrap(module.AsyncResolver, "resolve", _resolve)


def _resolve(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return sys.modules[_MODULE].ThreadedResolver().resolve(*args, **kwargs)
