"""A module on a driver's bench that answers by itself: healthy, unless an answer is replaced."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from tests.driver.bench import Bench

#: What a healthy module answers; a command that is not here is answered OK.
HEALTHY: dict[str, tuple[str, ...]] = {
    "AT+CMEE?": ("+CMEE: 1", "OK"),
    "AT+CPSMS?": ("+CPSMS: 0", "OK"),
    'AT+QICFG="dataformat"': ('+QICFG: "dataformat",1,1', "OK"),
    "AT+CFUN?": ("+CFUN: 1", "OK"),
    "AT+CEREG?": ("+CEREG: 1,1", "OK"),
    "AT+CGPADDR?": ('+CGPADDR: 5,"10.1.2.3"', "OK"),
    "AT+CPIN?": ("+CPIN: READY", "OK"),
    "AT+CSQ": ("+CSQ: 20,0", "OK"),
    "AT+QSCLK?": ("+QSCLK: 0", "OK"),
    "AT+CGDCONT?": ('+CGDCONT: 1,"IP","iot"', "OK"),
}

Answer = tuple[str, ...] | Callable[[], tuple[str, ...]]


class Responder:
    """Answers what the driver sends.

    Args:
        bench: the driver's.
        answers: by command line, besides those of a healthy module; a callable is asked each time.
        delay: seconds from a command to its answer.
        in_turn: it answers one command after the other, so that several pile up.
        echoes: which commands come back, and what ends the line of an echo.
        damage: changes the bytes of all that it says.
        rate: the only one at which it hears and is heard; None: any.
        deaf_time: seconds after an answer in which it ignores what comes.
    """

    def __init__(
        self,
        bench: Bench,
        answers: dict[str, Answer] | None = None,
        *,
        delay: float = 0.0,
        in_turn: bool = False,
        echoes: Callable[[str], bool] = lambda line: False,
        echo_end: bytes = b"\r",
        damage: Callable[[bytes], bytes] = lambda data: data,
        rate: int | None = None,
        deaf_time: float = 0.0,
    ) -> None:
        self.bench = bench
        self.answers: dict[str, Answer] = {**HEALTHY, **(answers or {})}
        self.delay, self.in_turn = delay, in_turn
        self.echoes, self.echo_end, self.damage = echoes, echo_end, damage
        self.rate = rate
        self.deaf_time, self._deaf_until = deaf_time, float("-inf")
        #: Final results come as ``ATV`` and ``ATQ`` say.
        self.is_numeric = self.is_quiet = False
        #: Every command line that it has got.
        self.lines: list[str] = []
        self._input = b""
        self._due: list[tuple[float, int, bytes]] = []
        self._numbers = count()

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; return whether ``until`` became true."""
        end = self.bench.now + seconds
        while True:
            self._take()
            if until():
                return True
            moments = [self.bench.driver.next_deadline(), self._due[0][0] if self._due else None]
            moment = min((moment for moment in moments if moment is not None), default=None)
            if moment is None or moment > end:
                self.bench.now = end
                return until()
            self.bench.now = max(self.bench.now, moment)
            while self._due and self._due[0][0] <= self.bench.now:
                data = heapq.heappop(self._due)[2]
                if self._is_heard:
                    self.bench.feed(data)
            self.bench.driver.handle_timeout(self.bench.now)

    def open(self, seconds: float = 180.0) -> bool:
        """Bring the module up; return whether it is attached in time."""
        self.bench.driver.port_opened(self.bench.now)
        return self.run(seconds, lambda: self.bench.driver.is_ready)

    def say(self, *lines: str) -> None:
        """Say lines unasked."""
        self.bench.feed(b"".join(b"\r\n" + line.encode("latin-1") + b"\r\n" for line in lines))

    @property
    def _is_heard(self) -> bool:
        return self.rate in (None, self.bench.driver.baudrate)

    def _take(self) -> None:
        while data := self.bench.sent():
            if not self._is_heard:
                continue
            self._input += data
            while b"\r" in self._input:
                line, _, self._input = self._input.partition(b"\r")
                text = line.decode("latin-1").lstrip("\x1b")
                if text:
                    self._answer(text)

    def _answer(self, line: str) -> None:
        self.lines.append(line)
        if self.bench.now < self._deaf_until:
            return
        self._deaf_until = self.bench.now + self.delay + self.deaf_time
        echo = line.encode() + self.echo_end if self.echoes(line) else b""
        if line.startswith("ATV"):
            self.is_numeric = line == "ATV0"
        if line.startswith("ATQ"):
            self.is_quiet = line == "ATQ1"
        answer = self.answers.get(line, ("OK",))
        *infos, final = answer() if callable(answer) else answer
        said = b"".join(b"\r\n" + info.encode("latin-1") + b"\r\n" for info in infos)
        if self.is_numeric and final in ("OK", "ERROR"):
            said += b"0\r" if final == "OK" else b"4\r"
        elif final and not (self.is_quiet and final in ("OK", "ERROR")):
            said += b"\r\n" + final.encode("latin-1") + b"\r\n"
        last = max((due for due, _, _ in self._due), default=0.0)
        begin = max(self.bench.now, last) if self.in_turn else self.bench.now
        heapq.heappush(self._due, (begin + self.delay, next(self._numbers), self.damage(echo + said)))
