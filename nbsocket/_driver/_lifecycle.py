"""The modem's life: bring-up, getting back in step after a silence, restarts, waking up; and the rate of its line.

Each is a script, which has the line for itself (``_life.py`` has the steps). What comes of it is decided here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from errno import ECONNRESET, ETIMEDOUT
from typing import TYPE_CHECKING, Any

from nbsocket._at import CloseOk, Echo, FinalResult, Rdy, Registration
from nbsocket._driver._command_pace import CommandPace
from nbsocket._driver._events import SetBaudrate
from nbsocket._driver._insist import LineState
from nbsocket._driver._life import Found, bring_up, come_back, configure_again, wake
from nbsocket._driver._log_limit import INFO, WARNING
from nbsocket._driver._lookout import restart_sign
from nbsocket._driver._network import REGISTERED
from nbsocket._driver._script import Script, SetRate
from nbsocket._errors import make_error

if TYPE_CHECKING:
    from nbsocket._driver._core import Core

__all__ = ["Lifecycle", "Mode"]

#: Why a modem that answers with other settings than those given to it is taken for one that has restarted.
FORGOTTEN = "it has forgotten its configuration"

#: Seconds after a restart was noticed in which the modem may still say what it says when it boots.
BOOT_REPORTS = 10.0

#: Times that bring-up is begun anew when the modem restarts or falls silent in the middle of it.
BRING_UP_TRIES = 4

#: Restarts within so many seconds after which the modem is left alone until somebody wants it again.
MOST_RESTARTS, RESTARTS_TIME = 8, 60.0

#: Times that an echo which comes back is looked into; then the line is taken for one that echoes now and then.
ECHO_LOOKS = 3


class Mode(Enum):
    """State of the modem as a whole."""

    #: No port.
    DOWN = auto()
    #: Bring-up is running.
    STARTING = auto()
    RUNNING = auto()
    #: Bring-up failed; the next request or opening begins it anew.
    FAILED = auto()


class Lifecycle:
    """What the modem as a whole is at."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.mode = Mode.DOWN
        #: The modem is configured.
        self.is_running = False
        #: The script that has the line for itself, and what is done with its end.
        self.script: Script[Any] | None = None
        self._done: Callable[[Script[Any], float], None] | None = None
        self.line = LineState()
        #: Something may have changed how the modem is set; and whether its sockets may be gone, too, and why.
        self.wants_look = False
        self._suspicion: str | None = None
        #: AT+QSCLK=1 was given: the next command may be lost.
        self.may_sleep = False
        #: What was found otherwise than needed since the driver began, in words; it was put right.
        self.corrected: tuple[str, ...] = ()
        #: The answer to ATI that the user was last told to be of no known model.
        self._told_model: str | None = None
        self._bring_up_tries = 0
        self._echo_looks = self._failed_looks = 0
        self._restarted_at = float("-inf")
        self._restarts: deque[float] = deque(maxlen=MOST_RESTARTS)
        #: The rate of the line; whether it is ours to set and to know; and those that the port was asked for and cannot
        #: do.
        self._baudrate: int | None = None
        self._has_baudrate = True
        self.refused_baudrates: set[int] = set()
        #: The modem was heard at that rate: what is only being tried is no place to look for it later.
        self.is_rate_proven = False
        #: Changes of the rate that nobody has fetched: nothing is written before they are made.
        self.rate_changes = 0

    @property
    def baudrate(self) -> int | None:
        """The rate of the serial line; None where it is not ours to know."""
        return self._baudrate if self._has_baudrate else None

    def _enter(self, mode: Mode) -> None:
        self.mode, self.is_running = mode, mode is Mode.RUNNING

    # -- the port

    def port_opened(self, now: float, has_baudrate: bool) -> None:
        """The port is open: begin bring-up."""
        self._has_baudrate = has_baudrate
        self._core.firmware.ask_again()
        self.refused_baudrates.clear()
        self._core.chat.clear()
        self._core.pace = CommandPace()
        self._core.out.clear()
        self._bring_up_tries = 0
        self.start(now)

    def port_lost(self, error: OSError, now: float) -> None:
        """The port is gone or could not be opened: everything that needs it fails with ``error``."""
        core = self._core
        self._enter(Mode.DOWN)
        core.attachment.forget()
        core.attachment.address = None
        self.script = self._done = core.pending = None
        self.may_sleep = self.wants_look = False
        core.lookout.clear()
        core.chat.clear()
        core.out.clear()
        self._fail_everything(error, now)

    def baudrate_refused(self, rate: int, actual: int | None) -> None:
        """The port cannot do this rate: it stays at ``actual``, None where nobody knows."""
        self.refused_baudrates.add(rate)
        if self._baudrate == rate:
            self._baudrate = actual

    def step_port(self, now: float) -> bool:
        """Do what the script wants done with the port itself; return whether there was anything."""
        is_any = False
        while self.script is not None and (step := self.script.port_step) is not None:
            if isinstance(step, SetRate):
                self.is_rate_proven = self.is_rate_proven and step.baudrate == self._baudrate
                self._baudrate = step.baudrate
                self.refused_baudrates.discard(step.baudrate)
                self.rate_changes += 1
                self._core.events.append(SetBaudrate(step.baudrate))
            else:
                self._core.out.append(step.data)
            self.script.port_step_done(now)
            is_any = True
        return is_any

    # -- scripts

    def run(self, script: Script[Any], done: Callable[[Script[Any], float], None], now: float) -> None:
        """Give the line to a script."""
        self._core.connections.segments.forget_look()
        self.script, self._done = script, done
        script.start(now)

    def answered(self, result: FinalResult | None, now: float) -> None:
        """Take the result of a command of the script's."""
        if self.script is not None:
            self.script.respond(result, now)

    def reap(self, now: float) -> bool:
        """Deal with a script that has come to its end; return whether there was one."""
        has_ended = False
        while self.script is not None and self.script.is_done:
            script, done = self.script, self._done
            self.script = self._done = None
            assert done is not None
            done(script, now)
            has_ended = True
        return has_ended

    def ensure_started(self, now: float) -> None:
        """Somebody wants the modem: try again where bring-up was given up."""
        if self.mode is Mode.FAILED:
            self._bring_up_tries = 0
            self.start(now)

    def start(self, now: float) -> None:
        """Begin bring-up."""
        core = self._core
        self._enter(Mode.STARTING)
        core.attachment.forget()
        self._suspicion = core.pending = None
        self.may_sleep = self.wants_look = self.line.is_numeric = False
        self._echo_looks = self._failed_looks = 0
        core.lookout.clear()
        self._bring_up_tries += 1
        core.chat.reset()
        core.chat.receives_hex = None
        found = self._baudrate if self.is_rate_proven else None
        is_again = self._bring_up_tries > 1
        steps = bring_up(core.settings, core.firmware, found, self.refused_baudrates, self.line, is_again=is_again)
        self.run(Script(steps, (CloseOk,)), self._brought_up, now)

    def _brought_up(self, script: Script[Any], now: float) -> None:
        core = self._core
        if script.error is None:
            self._enter(Mode.RUNNING)
            self._bring_up_tries = 0
            for socket_id in script.value or ():
                core.connections.ids.claim(socket_id)
            if self.line.has_orphans:
                self.line.has_orphans = False
                core.connections.segments.expect_late_outcome(now)
            core.chat.receives_hex = core.settings.is_hex
            core.model_known()
            # It is asked once more for its model when it has settled: in another model's words nothing may work.
            self.wants_look |= not core.firmware.is_known
            self._tell_of_line()
            core.tasks.module_is_up()
            core.attachment.begin(now)
        elif script.error.errno == ETIMEDOUT and self._bring_up_tries < BRING_UP_TRIES:
            self.start(now)
        else:
            self._baudrate = None
            self._give_up(script.error, now)

    def _tell_of_line(self) -> None:
        if self.line.corrected:
            self._core.log(INFO, f"put right: {', '.join(self.line.corrected)}")
            self.corrected = tuple(dict.fromkeys((*self.corrected, *self.line.corrected)))
            self.line.corrected = ()
        if self.line.unknown_model is not None:
            if self.line.unknown_model != self._told_model:
                self._core.log(WARNING, f"unknown model ({self.line.unknown_model}): it is used as a BC260Y-CN")
            self._told_model, self.line.unknown_model = self.line.unknown_model, None
        if self.line.echo_stays:
            self._core.log(INFO, "whatever is sent to the module comes back (echo), and ATE0 does not end it")

    def look(self, now: float) -> None:
        """Put the modem's settings right, which may have changed, and see whether it still has its sockets."""
        self.wants_look = False
        steps = configure_again(
            self._core.settings, self._core.firmware, self.line, has_restarted=self._suspicion is not None
        )
        self.run(Script(steps), self._looked, now)

    def _looked(self, script: Script[Any], now: float) -> None:
        core = self._core
        if script.error is not None and script.error.errno != ETIMEDOUT:
            self._give_up(script.error, now)
            return
        if script.error is not None:
            self._failed_looks += 1
            self.wants_look = self._failed_looks < BRING_UP_TRIES
            self.resynchronise(now)
            return
        self._failed_looks = 0
        core.model_known()
        core.chat.receives_hex = core.settings.is_hex
        self._tell_of_line()
        why, self._suspicion = self._suspicion, None
        found = script.value
        assert isinstance(found, Found)
        if why is not None and self._has_forgotten(found):
            self.restarted(why, now)
        elif found.registration is not None:
            core.attachment.on_registration(Registration(found.registration.stat), now)
        if found.rows is not None and core.connections.table.open_socket_ids - {row.socket_id for row in found.rows}:
            core.lookout.suspect(why or "it does not list a socket", now)

    def _has_forgotten(self, found: Found) -> bool:
        """Whether it has none of our connections any more; or there are none, and the registration is gone."""
        ours = self._core.connections.table.open_socket_ids
        if not ours or found.rows is None:
            network = self._core.attachment.network
            is_registered = found.registration is None or found.registration.stat in REGISTERED
            return (network.is_attached or network.stat in REGISTERED) and not is_registered
        return not any(row.socket_id in ours for row in found.rows)

    def resynchronise(self, now: float) -> None:
        """A command was not answered: speak to the modem until it answers in step again."""
        wanted = self._core.firmware.profile.data_format(self._core.settings.is_hex)
        self.run(Script(come_back(wanted, self.line)), self._back, now)

    def _back(self, script: Script[Any], now: float) -> None:
        if script.error is not None:
            self._give_up(script.error, now)
        elif not script.value and self.wants_look:
            # The user's own command may have changed it; whether it was a restart the sockets will tell.
            self._suspicion = self._suspicion or FORGOTTEN
        elif not script.value:
            self.restarted(FORGOTTEN, now)

    def wake(self, now: float) -> None:
        """The modem may be asleep, and there is work."""
        self.run(Script(wake(self.line)), self._woken, now)

    def _woken(self, script: Script[Any], now: float) -> None:
        self.may_sleep = False
        if script.error is not None:
            self._give_up(script.error, now)

    # -- restarts, and the end

    def restarted(self, why: str, now: float) -> None:
        """The modem has restarted: its sockets and settings are gone."""
        core = self._core
        self._restarted_at = now
        if self.is_running:
            core.counters["restarts"] += 1
            self._restarts.append(now)
            core.log(WARNING, f"the module restarted ({why}): every connection is reset")
        error = make_error(ECONNRESET, f"the module restarted ({why})")
        core.connections.lost_all(error, now)
        core.tasks.fail_all(error, only_started=True)
        is_restless = len(self._restarts) == MOST_RESTARTS and now < self._restarts[0] + RESTARTS_TIME
        if is_restless:
            self._give_up(make_error(ECONNRESET, f"the module restarts again and again ({why})"), now)
        elif self._bring_up_tries < BRING_UP_TRIES:
            self.start(now)
        else:
            self._give_up(error, now)

    def _give_up(self, error: OSError, now: float) -> None:
        self._core.log(WARNING, f"the module cannot be used: {error.strerror}")
        self._enter(Mode.FAILED)
        self.wants_look = False
        self._core.attachment.forget()
        self._fail_everything(error, now)

    def _fail_everything(self, error: OSError, now: float) -> None:
        self._core.connections.lost_all(error, now)
        self._core.connections.refuse_queued(error, now)
        self._core.tasks.fail_all(error, only_started=False)

    # -- what the modem says

    def on_ready(self, event: Rdy, now: float) -> None:
        """``RDY`` came: it has booted."""
        self.is_rate_proven = True
        if self.mode in (Mode.RUNNING, Mode.STARTING):
            self.restarted("it said RDY", now)

    def on_echo(self, event: Echo, now: float) -> None:
        """A command came back. It may have restarted, or somebody has said ATE1, or the line echoes some only."""
        self.line.has_echo = True
        if not self.is_running or self.script is not None or self.line.echo_stays:
            return
        self._echo_looks += 1
        self.line.echo_stays = self._echo_looks > ECHO_LOOKS
        if not self.line.echo_stays:
            self.wants_look, self._suspicion = True, "it echoes commands again"

    def see_sign(self, line: str, now: float) -> None:
        """Have a look if a line tells that the modem may have restarted."""
        why = f"it said {line!r}"
        if not restart_sign(line) or self._core.lookout.suspect(why, now, may_be_restart=True):
            return
        # Nothing is open that could be lost, but the settings, and the registration, may be others.
        is_news = now > self._restarted_at + BOOT_REPORTS  # else it is the rest of what a boot says after RDY
        if is_news and self._core.attachment.script is not None:
            self.restarted(why, now)  # it waits for a registration that a modem with its radio off never gets
        elif is_news:
            self.wants_look, self._suspicion = True, why

    def describe_wait(self) -> str | None:
        """Say in words what is waited for before the modem can be used; None where nothing is. Thread: any."""
        if self.script is None:
            return None
        if not self.is_rate_proven:
            return f"no answer from the module yet, trying {self._baudrate} baud"
        return "setting the module up"
