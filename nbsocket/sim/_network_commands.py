"""What the commands that use the network have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ._errors import CommandError

if TYPE_CHECKING:
    from ._module import Module

Handler = Callable[["Module", str, float], Sequence[str]]

#: Returned by a handler that says OK itself.
LATER: Sequence[str] = ("later",)


#: Commands that make the module send something at once (AT+QISEND does when it has its data).
NETWORK_COMMANDS = frozenset({"+QIOPEN", "+QICLOSE", "+QIDNSGIP", "+QDNSGIP", "+QPING", "+QNTP", "+QNTPT", "+CGATT"})


def constant(*lines: str) -> Handler:
    """Return a handler that always says the same."""
    return lambda module, tail, now: lines


def check_network(module: Module) -> None:
    """Refuse a command that needs the network when there is none, or when an AT+QIOPEN keeps it busy."""
    if not module.has_address:
        raise CommandError(572)
    if module.sockets.is_opening and module.options.busy_open != "obey":
        raise CommandError(568 if module.options.busy_open == "568" else None)
