"""What a request may know of the driver, and what it may tell it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from nbsocket._driver._core import Core
from nbsocket._driver._late import LateOutcomes

__all__ = ["DriverContext"]


class DriverContext:
    """The :class:`RequestContext` of one driver."""

    def __init__(self, core: Core) -> None:
        self._core = core
        #: How the model takes commands, and what it was found to lack.
        self.firmware = core.firmware

    @property
    def local_address(self) -> str | None:
        """The modem's IP address."""
        return self._core.attachment.address

    @property
    def baudrate(self) -> int | None:
        """The rate at which the modem answers; None where it is not ours to know."""
        return self._core.lifecycle.baudrate

    @property
    def refused_baudrates(self) -> AbstractSet[int]:
        """The rates that this port was asked for and cannot do."""
        return self._core.lifecycle.refused_baudrates

    @property
    def corrected(self) -> tuple[str, ...]:
        """What was found otherwise than needed, in words, and was put right."""
        return self._core.lifecycle.corrected

    @property
    def found_sleep_mode(self) -> int | None:
        """The sleep mode that is going to be put back; None when there is none."""
        return self._core.lifecycle.line.sleep_mode

    # -- the network

    @property
    def network_trouble(self) -> str | None:
        """Why the network cannot be used, in words; None when nothing is known to be the matter."""
        return self._core.attachment.trouble

    def check_network(self) -> None:
        """A command failed as it does without a network: have registration and address looked at."""
        self._core.connections.shared.wants_network_check = True

    # -- sockets

    def socket_id_of(self, key: int) -> int | None:
        """The modem's number of an open connection, or None when it has none (yet or any more)."""
        return self._core.connections.table.socket_id_of(key)

    @property
    def own_socket_ids(self) -> frozenset[int]:
        """The modem's numbers that this process uses."""
        return self._core.connections.table.own_socket_ids

    def claim_socket(self, socket_id: int) -> bool:
        """The user opens this socket of the modem: it is not ours. Return whether it was free."""
        return self._core.connections.ids.claim(socket_id, is_opening=True)

    def release_socket(self, socket_id: int, is_closed: bool) -> None:
        """The user closes it; ``is_closed``: it is closed already, CLOSE OK will not come."""
        self._core.connections.ids.disclaim(socket_id, is_closed)

    # -- what others must know

    def late_outcomes(self, facility: str) -> LateOutcomes:
        """The outcomes that a facility still owes to requests that are over."""
        return self._core.tasks.late_outcomes(facility)

    def user_changes_settings(self, may_be_format: bool, tells_hex: bool | None = None) -> None:
        """A command of the user's may change how the modem is set, or how received data come: that is put right.

        ``tells_hex``: the command says itself whether they come as hex digits from now on.
        """
        chat = self._core.chat
        self._core.lifecycle.wants_look = True
        if may_be_format and (tells_hex is None or tells_hex is not chat.receives_hex):
            chat.receives_hex = None  # told from the bytes meanwhile
