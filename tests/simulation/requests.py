"""The requests of a plan, and whether each gets an answer that is right, once, and in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from errno import EINVAL
from functools import partial
from socket import EAI_NONAME, gaierror
from typing import TYPE_CHECKING, Any

from nbsocket import _driver
from tests.simulation.causes import OPENING_LASTING
from tests.simulation.connections import Violation
from tests.simulation.plan import BARE_CHATTER, CHANGED_RATES

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Seconds that a request without a deadline may take beyond the wait for the network: ping is the slowest.
LONGEST = 500.0

NAME, OTHER_NAME, UNKNOWN = "mqtt.example", "api.example", "no.such.invalid"
PINGED, OTHER_PINGED = "10.0.0.1", "10.0.0.2"

REQUESTS: dict[str, Any] = {
    "resolve": lambda: _driver.Resolve(NAME),
    "resolve_other": lambda: _driver.Resolve(OTHER_NAME),
    "unknown_name": lambda: _driver.Resolve(UNKNOWN),
    "raw_resolve": lambda: _driver.RawCommand(f'AT+QIDNSGIP=0,"{OTHER_NAME}"'),
    "info": _driver.GetInfo,
    "status": _driver.GetStatus,
    "csq": lambda: _driver.RawCommand("AT+CSQ"),
    "sockets": _driver.GetSockets,
    "clock": _driver.GetClock,
    "ping": lambda: _driver.Ping(PINGED, 5, 3),
    "ping_other": lambda: _driver.Ping(OTHER_PINGED, 3, 2),
    "time": lambda: _driver.SyncTime("ntp.example"),
    "unknown_time": lambda: _driver.SyncTime(UNKNOWN),
    "attached": _driver.WaitAttached,
    **{f"rate_{rate}": partial(_driver.ChangeBaudrate, rate) for rate in CHANGED_RATES},
}


#: Look-ups of names that there are.
FOUND = ("resolve", "resolve_other")

#: Requests whose outcomes do not tell which one they belong to.
OF_NOBODY = frozenset(
    {"resolve", "resolve_other", "unknown_name", "ping", "ping_other", "time", "unknown_time", "raw_resolve"}
)


#: What the name of the firmware begins with, by model.
FIRMWARE = {"bc260y": "BC260YCNAAR01", "bc660k": "BC660KGLAAR01", "bc66": "BC66NBR01"}


@dataclass
class _Asked:
    kind: str
    due: float
    deadline: float | None


class Requests:
    """Submits requests to the driver of a world and judges what comes of them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._asked: dict[int, _Asked] = {}
        #: What came of each.
        self.outcomes: dict[int, _driver.RequestDone | _driver.RequestFailed] = {}

    def submit(self, kind: str, timeout: float | None) -> int:
        """Ask one of REQUESTS, and give its number."""
        return self.ask(REQUESTS[kind](), kind, timeout)

    def ask(self, request: _driver.Request, kind: str = "", timeout: float | None = None) -> int:
        """Ask anything, and give its number."""
        world = self._world
        deadline = None if timeout is None else world.now + timeout
        number = world.driver.submit(request, deadline, world.now)
        due = world.now + world.plan.settings.attach_timeout + LONGEST
        self._asked[number] = _Asked(kind, due if deadline is None else min(due, deadline), deadline)
        return number

    def cancel(self, number: int) -> None:
        """Lose interest."""
        if self._asked.pop(number, None) is not None:
            self._world.driver.cancel(number, self._world.now)

    def forget(self) -> None:
        """The program that asked is gone."""
        self._asked.clear()

    def is_done(self, number: int) -> bool:
        """It succeeded."""
        return isinstance(self.outcomes.get(number), _driver.RequestDone)

    def check(self) -> None:
        """Nothing is overdue."""
        for number, asked in self._asked.items():
            if self._world.now > asked.due + 1e-6:
                raise Violation("hang", f"request {number} ({asked.kind}) is not answered by its deadline")

    def handle(self, event: _driver.RequestDone | _driver.RequestFailed) -> None:
        """Judge an outcome."""
        asked = self._asked.pop(event.request_id, None)
        if asked is None:
            raise Violation("order", f"an outcome that nobody waits for: {event}")
        self.outcomes[event.request_id] = event
        if isinstance(event, _driver.RequestFailed):
            self._check_failure(asked, event.error)
            return
        # Bytes that were garbled or lost on the line can change an answer's text.
        if self._world.causes.has(" down$| up$|^stray", self._world.now):
            return
        # A question that lost a byte on its way asks for another name; its outcome may be as late as an opening's.
        if asked.kind in OF_NOBODY and self._world.causes.has(" up$", self._world.now, OPENING_LASTING):
            return
        # An answer names no name: it may be meant for a program that was killed, and so may those after it.
        is_another = self._world.causes.has("^host restarted", self._world.now, 2 * OPENING_LASTING)
        if not (is_another and asked.kind in OF_NOBODY):
            self._check_value(asked.kind, event.value)

    def _check_failure(self, asked: _Asked, error: OSError) -> None:
        world = self._world
        is_timed = asked.deadline is not None and world.now >= asked.deadline - 1e-6
        # A socket of the user's own may be one that is in use.
        # A command that turns results off, or to numbers, is not answered with OK.
        is_hopeless = asked.kind in ("unknown_name", "unknown_time", "raw_open", "raw_close", "own_setting")
        is_hopeless = is_hopeless or (asked.kind.startswith("ping") and world.module.options.ping == "total")
        is_hopeless = is_hopeless or (self._is_beyond(asked.kind) and error.errno == EINVAL)
        self._check_unknown(asked, error)
        is_sure = world.plan.is_calm or (world.plan.spares_look_ups and asked.kind in FOUND)
        if is_sure and not (is_timed or is_hopeless or world.may_attach_late or world.causes):
            raise Violation("lost", f"a request failed for no reason: {asked.kind}: {error}")

    def _check_unknown(self, asked: _Asked, error: OSError) -> None:
        """A name is unknown only where the module has said so of it."""
        world = self._world
        if asked.kind not in FOUND or not isinstance(error, gaierror) or error.errno != EAI_NONAME:
            return
        is_explained = world.names_refused or world.causes.has(" down$| up$|^stray", world.now, OPENING_LASTING)
        if not (is_explained or world.causes.has("^host restarted", world.now, 2 * OPENING_LASTING)):
            raise Violation("answer", f"{asked.kind} is told as unknown: {error}")

    def _is_beyond(self, kind: str) -> bool:
        """It asks for a rate that the port cannot do."""
        limit = self._world.plan.port_limit
        return limit is not None and kind.startswith("rate_") and int(kind.removeprefix("rate_")) > limit

    def _check_value(self, kind: str, value: Any) -> None:
        world = self._world
        options = world.module.options
        if self._is_beyond(kind):
            raise Violation("rate", "the module was set to a rate that the port cannot do")
        if kind in ("unknown_name", "unknown_time"):
            raise Violation("answer", f"a name that does not exist was found: {value}")
        name = {"resolve": NAME, "resolve_other": OTHER_NAME}.get(kind)
        if name is not None and value != [world.module.hosts.resolve(name)]:
            raise Violation("answer", f"{kind} gave {value}")
        if kind in ("ping", "ping_other"):
            self._check_ping(kind, value)
        if kind == "csq":
            self._check_signal(value)
        if kind == "info" and (
            value.imei not in (options.imei, "") or not value.revision.startswith(FIRMWARE[options.model])
        ):
            raise Violation("answer", f"info gave {value}")
        if kind in ("clock", "time"):
            right = world.module.life.true_time(world.now)
            limit = timedelta(seconds=200 if kind == "time" else 30)
            if not (isinstance(value, datetime) and value.tzinfo == timezone.utc and abs(value - right) < limit):
                raise Violation("answer", f"{kind} gave {value} for {right}")

    def _check_signal(self, lines: list[str]) -> None:
        # Behind the line with the prefix, one without may be what the command asks for, as the text of an SMS is.
        extra = {line.encode() for line in lines[1:]} - {line.strip() for line in BARE_CHATTER}
        if lines[:1] not in ([f"+CSQ: {self._world.module.options.rssi},0"], ["+CSQ: 99,0"]) or extra:
            raise Violation("answer", f"AT+CSQ gave {lines}")

    def _check_ping(self, kind: str, value: _driver.PingResult) -> None:
        host, count = (PINGED, 3) if kind == "ping" else (OTHER_PINGED, 2)
        if value.sent != count or any(reply.address not in (host, None) for reply in value.replies):
            raise Violation("answer", f"{kind} gave {value}")
