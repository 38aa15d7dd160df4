"""What the modem says, line by line: who is told of it."""

from __future__ import annotations

from collections.abc import Callable
from errno import ECONNRESET
from typing import Any

from nbsocket import _at
from nbsocket._at import Command
from nbsocket._driver._core import Core
from nbsocket._driver._log_limit import DEBUG, INFO, SAID, WARNING
from nbsocket._driver._lookout import bearer_sign
from nbsocket._driver._raw import line_of
from nbsocket._errors import make_error

__all__ = ["Listener"]

#: Seconds between looks at the sockets because of lost bytes: a bad line must not be asked without end.
DAMAGE_SIGN_INTERVAL = 10.0
#: Damaged lines without sound received data between them, after which the data format is asked for.
MOST_DAMAGED = 2
#: How a modem asks for the payload of AT+QISEND. BC260Y-CN TCP/IP guide 1.1 §2.3.5.
PROMPT_LINE = ">"
#: Final results as numbers, OK and ERROR. V.250 §5.7.1.
NUMERIC_RESULTS = ("0", "4")


class Listener:
    """Takes the codec's events, each by its class."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._damaged_in_a_row = 0
        #: From when on damage to the line is a sign of a loss again.
        self._next_damage_sign = float("-inf")
        #: What is called for each class of events; the others mean nothing.
        self.handlers: dict[type, Callable[[Any, float], None]] = {
            _at.FinalResult: self._on_result,
            _at.Prompt: self._on_prompt,
            _at.CommandTimeout: self._on_timeout,
            _at.OpenResult: self._on_opened,
            _at.CloseOk: self._on_close_ok,
            _at.Received: self._on_received,
            _at.ClosedUrc: self._on_closed,
            **dict.fromkeys(
                (_at.DnsResult, _at.DnsAddress, _at.PingLine, _at.PingSummary, _at.NtpResult), self._on_outcome
            ),
            _at.Rdy: core.lifecycle.on_ready,
            _at.Echo: core.lifecycle.on_echo,
            _at.IpAssigned: core.attachment.on_ip,
            _at.Registration: core.attachment.on_registration,
            _at.Sleep: self._on_sleep,
            _at.StrayResult: self._on_stray,
            _at.Damaged: self._on_damaged,
            _at.Notice: self._on_notice,
            _at.UnknownLine: self._on_unknown_line,
        }

    # -- of the command that is out

    def _on_result(self, event: _at.FinalResult, now: float) -> None:
        core = self._core
        dispatch, core.pending = core.pending, None
        assert dispatch is not None
        core.pace.answered(now)
        if event.ok and event.responses:
            core.connections.segments.heed(core.connections.table.order)
        core.lifecycle.is_rate_proven = True
        dispatch.finish(event, now)

    def _on_prompt(self, event: _at.Prompt, now: float) -> None:
        self._core.out.append(self._core.chat.send_payload(now))

    def _on_timeout(self, event: _at.CommandTimeout, now: float) -> None:
        core, lifecycle, segments = self._core, self._core.lifecycle, self._core.connections.segments
        dispatch, core.pending = core.pending, None
        core.chat.reset()
        if not (event.was_accepted or event.was_garbled):
            core.pace.unanswered(now)
        segments.timed_out(event, now)
        if dispatch is not None:
            dispatch.finish(None, now)
        if lifecycle.script is not None or not lifecycle.is_running:
            return
        if event.was_accepted:
            # It answers, and only the outcome is late: the count of bytes, or the line when it comes, will tell.
            core.log(INFO, f"no outcome yet of {_shown(event.command)}")
            return
        core.log(WARNING, f"no answer to {_shown(event.command)}")
        core.counters["resyncs"] += 1
        if not core.settings.is_hex:
            segments.drop_unconfirmed(core.connections.table.order)
        lifecycle.resynchronise(now)

    # -- of sockets

    def _on_opened(self, event: _at.OpenResult, now: float) -> None:
        core = self._core
        # Who opens by a command of their own a socket that is in use here is told so.
        if event.result and core.connections.shared.opening is None and core.tasks.offer(event, now):
            return
        if event.socket_id not in core.connections.ids.claimed:
            core.connections.opened(event.socket_id, event.result, now)
            return
        core.connections.ids.claim_opened(event.socket_id)
        if not core.tasks.offer(event, now):
            core.log(INFO, f"{SAID}{line_of(event)!r}")

    def _on_close_ok(self, event: _at.CloseOk, now: float) -> None:
        core = self._core
        if core.lifecycle.script is not None and core.lifecycle.script.offer(event, now):
            return
        if not core.connections.close_ok(now) and not core.tasks.offer(event, now):
            core.connections.ids.claim_closed()

    def _on_received(self, event: _at.Received, now: float) -> None:
        self._damaged_in_a_row = 0
        if event.socket_id in self._core.connections.ids.claimed:
            self._core.log(INFO, f"{SAID}{line_of(event)!r}")
        else:
            self._core.connections.received(event.socket_id, event.data, now)

    def _on_closed(self, event: _at.ClosedUrc, now: float) -> None:
        core = self._core
        if event.socket_id in core.connections.ids.claimed:
            core.log(INFO, f"{SAID}{line_of(event)!r}")
            return
        core.connections.peer_closed(event.socket_id, now)
        if core.attachment.is_in_question:
            core.connections.network_gone()

    # -- of requests, and of nothing in particular

    def _on_outcome(self, event: object, now: float) -> None:
        if not self._core.tasks.offer(event, now):
            self._core.log(DEBUG, f"{SAID}{line_of(event)!r}")

    def _on_sleep(self, event: _at.Sleep, now: float) -> None:
        if event.is_entered:
            self._core.lifecycle.may_sleep = True
            error = make_error(ECONNRESET, "the module went to sleep, which ends TCP connections")
            self._core.connections.lost_tcp(error, now)

    def _on_stray(self, event: _at.StrayResult, now: float) -> None:
        connections = self._core.connections
        connections.segments.late_outcome(event.text, connections.table.order, now)
        self._core.trouble.strange(f"nothing waits for {event.text!r}", now)

    def _on_damaged(self, event: _at.Damaged, now: float) -> None:
        core, lifecycle = self._core, self._core.lifecycle
        core.counters["damaged"] += 1
        lifecycle.line.strange_lines += 1
        core.trouble.lost_bytes(event.reason, now)
        if not event.is_harmless:
            core.connections.damaged(event.socket_id, event.is_contained, event.reason)
            self._damaged_in_a_row += 1
            if lifecycle.is_running and self._damaged_in_a_row >= MOST_DAMAGED:
                # A restart that nothing told of, or another program, may have changed how received data come.
                self._damaged_in_a_row, lifecycle.wants_look = 0, True
        core.connections.hint_at_outcome(now)
        if lifecycle.is_running and not event.is_contained and now >= self._next_damage_sign:
            # It may have been RDY, or "closed".
            self._next_damage_sign = now + DAMAGE_SIGN_INTERVAL
            core.lookout.suspect("bytes were lost on the serial line", now, may_be_restart=True)

    def _on_notice(self, event: _at.Notice, now: float) -> None:
        if event.line.startswith("+QI") or "OPEN" in event.line:
            self._core.connections.hint_at_outcome(now)
        self._core.log(DEBUG, f"{SAID}{event.line!r}")
        self._see_sign(event.line, now)

    def _on_unknown_line(self, event: _at.UnknownLine, now: float) -> None:
        core, lifecycle = self._core, self._core.lifecycle
        core.connections.hint_at_outcome(now)
        lifecycle.line.strange_lines += 1
        lifecycle.line.is_numeric |= event.line in NUMERIC_RESULTS
        if event.line == PROMPT_LINE and lifecycle.is_running:
            core.connections.segments.verify_counts(core.table.order, now)
        core.trouble.strange(f"{SAID}{event.line!r}", now)
        self._see_sign(event.line, now)

    def _see_sign(self, line: str, now: float) -> None:
        """Have a look if a line tells that the modem may have restarted, or lost its data context."""
        if not self._core.lifecycle.is_running:
            return
        if bearer_sign(line):
            self._core.attachment.suspect_bearer(f"it said {line!r}", now)
        else:
            self._core.lifecycle.see_sign(line, now)


def _shown(command: Command[Any]) -> str:
    """A command line for the log, without payload."""
    line = command.line
    return line if len(line) <= 40 else f"{line[:20]}... ({len(line)} bytes)"
