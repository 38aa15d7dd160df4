"""The wrappers that ``patch()`` puts in place, on top of wrapt's.

wrapt's own refuse to be copied and pickled. A function is never copied but shared, and is pickled by its name, so
programs that keep ``socket.getaddrinfo`` in what they deepcopy, or send to a worker, go on as without the patch.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

import wrapt

from nbsocket._runtime._stdlib import StdlibSocket

__all__ = ["Wrapper"]


class _BoundWrapper(wrapt.BoundFunctionWrapper[..., Any]):
    """A wrapped method, of a socket or taken off the class."""

    def __copy__(self) -> _BoundWrapper:
        """Be shared, like a method of the C class."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _BoundWrapper:
        """Be shared, like a method of the C class."""
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Be the attribute of this name, as methods of the C class are; that of a socket fails with the socket."""
        owner = StdlibSocket if self._self_instance is None else self._self_instance
        return getattr, (owner, self.__name__)


class Wrapper(wrapt.FunctionWrapper[..., Any]):
    """A wrapped function or method."""

    __bound_function_wrapper__ = _BoundWrapper

    def __init__(self, wrapped: Any, wrapper: Any, patch: object) -> None:
        """Wrap it for one patch()."""
        super().__init__(wrapped, wrapper)
        self._self_patch = patch

    def is_of(self, patch: object) -> bool:
        """Return whether it was made for that patch()."""
        return self._self_patch is patch

    def __copy__(self) -> Wrapper:
        """Be shared, as functions are."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Wrapper:
        """Be shared, as functions are."""
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Be whatever has this name where it is loaded: there, too, what is patched then is found."""
        # C functions say "_socket", where the genuine ones stay.
        module = "socket" if self.__module__ == "_socket" else self.__module__
        return resolve_name, (f"{module}:{self.__qualname__}",)
