"""The conversation: one command in flight, and everything that the modem says meanwhile.

A line is classified in a fixed order: echo of the pending command, final result, the pending command's prefixes, URCs
and outcomes, what is left of a damaged recv URC, any line for a command that takes any line, and last Notice or
UnknownLine. A line that has run into a URC, because its end was lost, is nothing of all that.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Any, Literal

from nbsocket._at._command import Command, InfoResponse
from nbsocket._at._damage import DamageWatch, has_run_into_urc, is_damaged, is_foreign_to_hex
from nbsocket._at._events import (
    NEED_DATA,
    CommandTimeout,
    Damaged,
    Echo,
    Event,
    FinalResult,
    NeedData,
    Notice,
    Prompt,
    StrayResult,
    UnknownLine,
)
from nbsocket._at._framing import Framer, Mark
from nbsocket._at._syntax import LocalProtocolError
from nbsocket._at._tables import FINAL_RESULTS, SEND_OUTCOMES, error_code, is_error, read_urc, split_line

__all__ = ["Chat", "EchoFilter", "State"]

#: Commands whose echo is known: it may come late, when the next command is out already.
REMEMBERED_COMMANDS = 8

#: What is written to end a data mode that somebody left open comes back, too, where echo is on.
_ESCAPE = "\x1b"
_ECHO_STARTS = ("A", "a", _ESCAPE)


class EchoFilter:
    """Knows the last commands, and tells their echo from other lines."""

    def __init__(self) -> None:
        self._sent_lines: deque[str] = deque(maxlen=REMEMBERED_COMMANDS)
        #: What is missing of an echo that a report has come into, whose command it is of, and for how long it is
        #: waited for: until the next command's result, because the report may have been taken for the command's own.
        self.rest = ""
        self._echoed: Command[Any] | None = None

    def sent(self, line: str) -> None:
        """A command line went out: its echo may come from now on."""
        self._sent_lines.append(line.rstrip())

    def forget(self, pending: Command[Any] | None) -> None:
        """The pending command is over; what is missing of its own echo is waited for no more."""
        if pending is None or pending is not self._echoed:
            self.rest = ""

    def is_echo(self, line: str, pending: Command[Any] | None) -> bool:
        """Whether a command comes back, or a part of the pending one: a URC may have come into the middle of it."""
        if self.rest:
            begins = self.rest.startswith(line)
            self.rest = self.rest[len(line) :] if begins else self.rest
            if begins:
                return True
        if line == _ESCAPE:
            return True
        if line[:2] not in ("AT", "at", "At", "aT"):
            return False
        command = pending.line.rstrip() if pending is not None else ""
        if command.startswith(line):
            self.rest, self._echoed = command[len(line) :], pending
            return True
        return line in self._sent_lines


#: A counted payload, or a line, that does not go on for so long has lost bytes: 1024 of them take 2.2 s in hex at 9600
#: baud, all in all, and a pause within one is much shorter.
STALL_TIMEOUT = 3.0

#: A final result is not overdue while the modem is talking: answers queue up behind received data, ten full URCs in hex
#: at 9600 baud being 22 s. Seconds of silence that end the talk, and most seconds that it may put off the deadline.
QUIET_TIME = 0.25
MAX_POSTPONEMENT = 30.0

#: Seconds that SEND OK may be late where nothing may be said in the meantime, because the modem might take it for
#: payload. Real modems were seen to need 8 s and more.
LATE_SEND_OK = 20.0

#: A line that is none of the modem's, while a command is out, may have been its result: seconds that the result is
#: still waited for where the command has more, as AT+CFUN=1 has.
TIMEOUT_AFTER_NOISE = 5.0

#: Most information responses of one command; the longest real answer (AT&V) has fewer.
MAX_RESPONSES = 128


class State(Enum):
    """Where the conversation stands."""

    # Enum's own is written in Python, and called at each look into TRANSITIONS.
    __hash__ = object.__hash__

    #: No command is pending.
    IDLE = "IDLE"
    #: A command went out.
    PENDING = "PENDING"
    #: The modem waits for the payload.
    PROMPTED = "PROMPTED"
    #: The payload went out.
    DATA_SENT = "DATA_SENT"
    #: OK came; the command ends with its outcome.
    AWAITING_OUTCOME = "AWAITING_OUTCOME"
    #: A rule was broken, or no answer came: only reset() and clear() are legal.
    ERROR = "ERROR"


class _Step(Enum):
    __hash__ = object.__hash__

    COMMAND = "a command"
    PROMPT = "a prompt"
    PAYLOAD = "payload"
    ACCEPTANCE = "the OK before an outcome"
    RESULT = "a final result"
    TIMEOUT = "a timeout"


# A step that is missing in the row of the state is a LocalProtocolError when we take it, a stray line when it comes.
TRANSITIONS: dict[State, dict[_Step, State]] = {
    State.IDLE: {_Step.COMMAND: State.PENDING},
    State.PENDING: {
        _Step.PROMPT: State.PROMPTED,
        _Step.ACCEPTANCE: State.AWAITING_OUTCOME,
        _Step.RESULT: State.IDLE,
        _Step.TIMEOUT: State.ERROR,
    },
    State.PROMPTED: {
        _Step.PAYLOAD: State.DATA_SENT,
        _Step.ACCEPTANCE: State.PROMPTED,
        _Step.RESULT: State.IDLE,
        _Step.TIMEOUT: State.ERROR,
    },
    State.DATA_SENT: {
        _Step.ACCEPTANCE: State.AWAITING_OUTCOME,
        _Step.RESULT: State.IDLE,
        _Step.TIMEOUT: State.ERROR,
    },
    State.AWAITING_OUTCOME: {
        # Real modems may say OK before the prompt.
        _Step.PROMPT: State.PROMPTED,
        _Step.RESULT: State.IDLE,
        _Step.TIMEOUT: State.ERROR,
    },
    State.ERROR: {},
}


class Chat:
    """Turns commands into bytes and bytes into events; see :data:`Event` for what comes out."""

    def __init__(self) -> None:
        self._framer = Framer()
        self._events: deque[Event] = deque()
        self._heard_at = float("-inf")
        self._damage = DamageWatch(self._framer)
        #: Lines that had been taken for part of an answer.
        self._disowned: deque[str] = deque()
        #: The command that has no final result yet.
        self.pending: Command[Any] | None = None
        self._responses: list[InfoResponse] = []
        self._echo = EchoFilter()
        #: Received data may stand on the line after its header: known of the model, or the model is not known yet.
        self.allows_next_line = False
        #: Where the conversation stands.
        self.state = State.IDLE
        self._forget_command(State.IDLE)

    @property
    def is_idle(self) -> bool:
        """Whether :meth:`send` is legal."""
        return self.state is State.IDLE

    @property
    def receives_hex(self) -> bool | None:
        """Whether recv URCs carry hex digits, by AT+QICFG; None: not known, told from the bytes."""
        return self._framer.receives_hex

    @receives_hex.setter
    def receives_hex(self, value: bool | None) -> None:
        self._is_dry = False
        self._framer.receives_hex = value
        self._damage.end = 0

    @property
    def is_mid_report(self) -> bool:
        """A line or a payload has begun to come, and not ended. Ask when there is no further event."""
        return self._framer.is_mid_payload or (self._framer.is_mid_line and not self._has_prompt)

    @property
    def payload_due(self) -> int:
        """Bytes that a counted payload still wants at the least: before them nothing can happen. 0 outside of one."""
        return self._framer.payload_due if self._framer.has_more else 0

    def send(self, command: Command[Any], now: float, timeout: float | None = None) -> bytes:
        """Encode ``command``, make it the pending one and start its timeout.

        Args:
            command: only one may be pending; see :attr:`is_idle`.
            now: seconds on ``time.monotonic``.
            timeout: seconds until the final result is due; ``command.timeout`` when None.

        Returns:
            The command line: ASCII, ends in CR, at most MAX_COMMAND_SIZE + 1 bytes.

        Raises:
            LocalProtocolError: a command is pending, or the state is ERROR.
        """
        self._advance(_Step.COMMAND)
        self._is_dry = False
        self.pending = command
        self._timeout = command.timeout if timeout is None else timeout
        self._deadline = now + self._timeout
        if self._framer.has_more:
            self._framer.drop_prompt()
        self._expects_prompt = command.payload is not None
        line = command.line
        self._echo.sent(line)
        return line.encode("ascii") + b"\r"

    def send_payload(self, now: float) -> bytes:
        """Give the bytes that the modem waits for after :class:`Prompt`, and start the timeout again.

        Raises:
            LocalProtocolError: the modem does not wait for them.
        """
        self._advance(_Step.PAYLOAD)
        assert self.pending is not None and self.pending.payload is not None
        self._deadline = now + self._timeout
        if self._was_accepted:
            # The OK came before the prompt: no other will tell that the payload has arrived whole.
            self._deadline += LATE_SEND_OK
        return self.pending.payload

    def receive_data(self, data: bytes, now: float) -> None:
        """Store bytes from the modem; :meth:`next_event` makes sense of them."""
        if data:
            if now >= self._heard_at + QUIET_TIME:
                self._damage.end = 0
            self._heard_at = now
            self._is_dry = False
            self._framer.feed(data)

    def next_event(self) -> Event | Literal[NeedData.NEED_DATA]:
        """Give the next event, or NEED_DATA when the bytes so far hold no further one."""
        if self._events:
            return self._events.popleft()
        if self._is_dry or not (self._framer.has_more or self._disowned):
            return NEED_DATA
        event = self._parse()
        # Nothing has come since and nothing else has changed what it means: it need not be looked at again.
        self._is_dry = event is NEED_DATA
        return event

    def next_deadline(self) -> float | None:
        """When :meth:`handle_timeout` should be called, on ``time.monotonic``; None: not needed.

        Ask after :meth:`next_event` gave NEED_DATA, and again after every call.
        """
        deadline = None if self.pending is None else self._command_deadline()
        if self._framer.has_more and self._framer.is_mid_frame:
            stall = self._heard_at + STALL_TIMEOUT
            return stall if deadline is None else min(deadline, stall)
        return deadline

    def handle_timeout(self, now: float) -> None:
        """Queue the events of the deadlines that have passed."""
        self._is_dry = False
        self._parse_ahead()
        if self._framer.is_mid_payload and now >= self._heard_at + STALL_TIMEOUT:
            self._events.append(self._damage.checked(self._framer.give_up_payload()))
            self._parse_ahead()
        if self._framer.is_mid_line and not self._has_prompt and now >= self._heard_at + STALL_TIMEOUT:
            # Its end was lost. It must not wait for that of a later line, when somebody may take it for an answer.
            self._framer.feed(b"\r")
            self._parse_ahead()
        if self._has_prompt:
            return  # the payload that is asked for starts the timeout again
        if self.pending is not None and now >= self._command_deadline():
            self._events.append(CommandTimeout(self.pending, self._was_prompted, self._is_taken, self._was_garbled))
            self._advance(_Step.TIMEOUT)
            self._forget_command(State.ERROR)

    def reset(self) -> None:
        """Forget the pending command and its outcome; received bytes and what was learned of the modem stay."""
        of_command = (FinalResult, Prompt, CommandTimeout)
        self._events = deque(event for event in self._events if not isinstance(event, of_command))
        self._forget_command(State.IDLE)

    def clear(self) -> None:
        """Forget everything: the port was opened anew."""
        self._framer = Framer()
        self._damage = DamageWatch(self._framer)
        self._events.clear()
        self._disowned.clear()
        self._heard_at = float("-inf")
        self._forget_command(State.IDLE)

    # -- state

    def _forget_command(self, state: State) -> None:
        if self._echo.rest:
            self._echo.forget(self.pending)
        self.state = state
        self._is_dry = False
        self.pending = None
        self._responses = []
        self._timeout = 0.0
        self._deadline = 0.0
        self._expects_prompt = False
        self._was_prompted = False
        self._was_accepted = False
        self._was_garbled = False

    def _advance(self, step: _Step) -> None:
        state = TRANSITIONS[self.state].get(step)
        if state is None:
            error = LocalProtocolError(f"{step.value} is not allowed in state {self.state.name}")
            self._forget_command(State.ERROR)
            raise error
        self.state = state

    def _command_deadline(self) -> float:
        """When the final result is overdue: later while the modem is talking."""
        return min(max(self._deadline, self._heard_at + QUIET_TIME), self._deadline + MAX_POSTPONEMENT)

    # -- bytes to events

    def _parse_ahead(self) -> None:
        """Queue what the bytes so far hold, up to a prompt: what follows it depends on its answer."""
        while not self._has_prompt and (event := self._parse()) is not NEED_DATA:
            self._events.append(event)

    @property
    def _has_prompt(self) -> bool:
        """A prompt is in the queue that nobody has answered yet."""
        return bool(self._events) and isinstance(self._events[-1], Prompt)

    def _parse(self) -> Event | Literal[NeedData.NEED_DATA]:
        while True:
            if self._disowned:
                return self._damage.noted(self._damage.read_bare(self._disowned.popleft()))
            self._framer.learns_from = self._damage.end
            self._framer.allows_next_line = self.allows_next_line
            frame = self._framer.next_frame(self._expects_prompt)
            if frame is None:
                return NEED_DATA
            if isinstance(frame, bytes):
                event = self._read_line(frame)
                if event is None:
                    continue
                if isinstance(event, (Damaged, StrayResult, UnknownLine)):
                    self._note_strange(event)
                return event
            if isinstance(frame, Mark):
                assert self.pending is not None
                self._advance(_Step.PROMPT)
                self._expects_prompt, self._was_prompted = False, True
                return Prompt(self.pending)
            return self._damage.checked(frame)

    def _note_strange(self, event: Damaged | StrayResult | UnknownLine) -> None:
        """Take note of a line that is none of the modem's: it may have been the result that is waited for."""
        self._was_garbled = True
        if isinstance(event, StrayResult):
            return
        if self.pending is not None and not self.pending.awaits_outcome:
            self._deadline = min(self._deadline, self._heard_at + TIMEOUT_AFTER_NOISE)
        self._damage.noted(event)

    def _read_line(self, data: bytes) -> Event | None:
        """Classify a line; None when it is part of the pending command's answer."""
        line = data.decode("latin-1").rstrip()
        pending = self.pending
        # Most lines begin in another way: only what may be an echo is worth a call.
        if (line[:1] in _ECHO_STARTS or self._echo.rest) and self._echo.is_echo(line, pending):
            return Echo(line)
        if line in FINAL_RESULTS:
            return self._read_result(line)
        if has_run_into_urc(line):
            return Damaged(f"a line that has run into a URC: {len(line)} characters")
        if line.startswith("+CM") and is_error(line):
            return self._read_result(line)
        prefix, text = split_line(line)
        if pending is not None and prefix in pending.prefixes and self._takes(InfoResponse(prefix, text)):
            if len(self._responses) > 1:
                self._disown_lines_before()
            return None
        event = read_urc(line, prefix, text) or self._read_unknown(line, prefix)
        if isinstance(event, Damaged) and self._framer.receives_hex and is_foreign_to_hex(line):
            return Damaged(f"a garbled line of {len(line)} characters", is_harmless=True)
        return event

    def _read_unknown(self, line: str, prefix: str) -> Event | None:
        if is_damaged(line):
            return Damaged(f"a line that may have been received data: {len(line)} characters")
        pending = self.pending
        if pending is not None and pending.takes_line(line) and self._takes(InfoResponse("", line)):
            return None
        return Notice(line) if prefix else self._damage.read_bare(line)

    def _takes(self, response: InfoResponse) -> bool:
        assert self.pending is not None
        if len(self._responses) >= MAX_RESPONSES or not self.pending.claims(response):
            return False
        self._responses.append(response)
        return True

    def _disown_lines_before(self) -> None:
        """The answer begins here: what had been taken for it, having no prefix, is something else."""
        assert self.pending is not None
        if self.pending.begins_with_prefix and not self._responses[0].prefix:
            self._disowned += [response.text for response in self._responses if not response.prefix]
            self._responses = [response for response in self._responses if response.prefix]

    def _read_result(self, line: str) -> FinalResult | StrayResult | None:
        pending = self.pending
        if pending is None:
            return StrayResult(line)
        if line in SEND_OUTCOMES:
            return self._end_command(line) if self._may_be_outcome(line) else StrayResult(line)
        if line != "OK":
            return self._end_command(line)
        if pending.awaits_outcome:
            return self._accept(line)
        if pending.needs_info and not self._responses:
            return StrayResult(line)
        return self._end_command(line)

    def _may_be_outcome(self, line: str) -> bool:
        """Whether SEND OK or SEND FAIL can be that of the pending command, not one that came late."""
        assert self.pending is not None
        if not self.pending.awaits_outcome:
            return False
        if self._expects_prompt or self.state is State.PROMPTED:
            is_early = self._expects_prompt and self.pending.fails_early
            return line == "SEND FAIL" and (self._was_accepted or is_early)
        return True

    def _accept(self, line: str) -> StrayResult | None:
        if _Step.ACCEPTANCE not in TRANSITIONS[self.state]:
            return StrayResult(line)
        self._advance(_Step.ACCEPTANCE)
        self._was_accepted = True
        # The modem is alive and has only now begun to hand the data over.
        self._deadline = max(self._deadline, self._heard_at + self._timeout)
        return None

    @property
    def _is_taken(self) -> bool:
        """The modem has said OK to all of the pending command, and only the outcome is to come."""
        if self.pending is None or self.state is not State.AWAITING_OUTCOME:
            return False
        return self.pending.payload is None or self._was_prompted

    def _end_command(self, line: str) -> FinalResult:
        assert self.pending is not None
        ok = FINAL_RESULTS.get(line, False)
        result = FinalResult(
            command=self.pending,
            ok=ok,
            text=line,
            code=None if ok else error_code(line),
            responses=tuple(self._responses),
            is_misplaced=line not in SEND_OUTCOMES and self.state is State.AWAITING_OUTCOME,
            was_taken=self.state is State.AWAITING_OUTCOME and self._is_taken,
        )
        # As every state in which a command is pending has it: see TRANSITIONS.
        self._forget_command(State.IDLE)
        return result
