"""What the parts of one driver share: the codec, the connections, the requests, and each other."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from nbsocket._at import Chat
from nbsocket._driver._command_pace import CommandPace
from nbsocket._driver._connections import Connections
from nbsocket._driver._dispatch import Dispatch
from nbsocket._driver._events import Event, Log
from nbsocket._driver._firmware import Firmware
from nbsocket._driver._log_limit import WireTrouble
from nbsocket._driver._settings import Settings
from nbsocket._driver._socket_ids import LineActivity
from nbsocket._driver._transitions import Transitions

if TYPE_CHECKING:
    from nbsocket._driver._attachment import Attachment
    from nbsocket._driver._lifecycle import Lifecycle
    from nbsocket._driver._lookout import Lookout
    from nbsocket._driver._tasks import Tasks

__all__ = ["Core"]

COUNTERS = (
    "commands",
    "opens",
    "segments",
    "resent",
    "send_failures",
    "resyncs",
    "resets",
    "restarts",
    "dropped_datagrams",
    "damaged",
    "late_data",
)


class Core:
    """Made by the driver, which adds the parts that need it themselves."""

    lifecycle: Lifecycle
    attachment: Attachment
    lookout: Lookout
    tasks: Tasks

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.firmware = Firmware(settings.model)
        #: Running totals, by name.
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self.events: deque[Event] = deque()
        #: Bytes to be written.
        self.out: list[bytes] = []
        self.chat = Chat()
        #: The command that waits for its result, with what takes that.
        self.pending: Dispatch | None = None
        self.pace = CommandPace()
        self.line = LineActivity(lambda: self.chat.is_mid_report)
        self.trouble = WireTrouble(self.events.append)
        self.connections = Connections(
            Transitions(self.events.append, self.counters, self.firmware, settings, self.line)
        )
        self.table = self.connections.table
        self.model_known()

    def log(self, level: int, message: str) -> None:
        """Have a line logged."""
        self.events.append(Log(level, message))

    def model_known(self) -> None:
        """Adapt to the model, which may be another than was assumed."""
        self.chat.allows_next_line = self.firmware.profile.allows_next_line
        self.connections.shared.segment_size = self.firmware.profile.send_size(self.settings.is_hex)

    @property
    def is_ready(self) -> bool:
        """The modem is configured and registered to the network."""
        return self.lifecycle.is_running and self.attachment.network.is_attached

    @property
    def is_at_rest(self) -> bool:
        """No connection, no request, no script."""
        return self.connections.table.is_at_rest and not self.tasks.queue and self.lifecycle.script is None
