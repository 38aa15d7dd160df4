"""The pace of commands for a modem that ignores what comes too soon after its last answer.

Some do so for a while when they have just registered. Two commands in a row that came soon and got no answer are the
sign of it: one may have been lost on the line, and a command that came soon and was answered shows that it was.
"""

from __future__ import annotations

__all__ = ["PAUSE", "CommandPace"]

#: Seconds after an answer in which commands may be ignored, and a little more.
PAUSE = 1.2
#: Seconds after an answer within which a command certainly came too soon.
SOON = 0.5

#: Commands that came soon and got no answer, until the pace is slow.
MOST_IGNORED = 2

#: Seconds that the pace is slow before it is tried without; doubled each time that this was in vain.
FIRST_SPAN, LONGEST_SPAN = 60.0, 3600.0


class CommandPace:
    """Says when the next command may be given."""

    def __init__(self) -> None:
        self._answered_at = self._slow_until = float("-inf")
        self._came_soon = False
        self._ignored = 0
        self._span = FIRST_SPAN
        #: When the next command may be given; None: whenever there is one.
        self.ready_at: float | None = None

    def sent(self, now: float) -> None:
        """A command goes out."""
        self._came_soon = now < self._answered_at + SOON

    def answered(self, now: float) -> None:
        """The final result of the command came."""
        if self._came_soon:
            self._ignored, self._span = 0, FIRST_SPAN
        self._answered_at = now
        if self.ready_at is not None or now < self._slow_until:
            self._find_moment()

    def unanswered(self, now: float) -> None:
        """No answer came to the command in its time."""
        if not self._came_soon:
            return
        self._ignored += 1
        if self._ignored >= MOST_IGNORED:
            self._slow_until = now + self._span
            self._span = min(2 * self._span, LONGEST_SPAN)
            self._ignored = MOST_IGNORED - 1  # then a single one is enough
            self._find_moment()

    def _find_moment(self) -> None:
        self.ready_at = self._answered_at + PAUSE if self._answered_at < self._slow_until else None
