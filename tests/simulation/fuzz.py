"""``python -m tests.simulation.fuzz --inputs N [--start S]``: hostile and broken lines into codec and driver.

An input is one thing that the module may say, sound or not: lines, parts of them, payloads of wrong lengths, noise.
The codec takes them in any split; the driver takes them among answers to what it asks, more or less of them sound.
Nothing may raise, nothing may grow without bound, what the driver writes must stay AT commands, and what it tells must
stay in order.

With ``--atheris`` the choices come from the coverage-guided fuzzer of that name, which must be installed, instead of a
seed.
"""

from __future__ import annotations

import argparse
import errno
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Protocol, TypeVar

from nbsocket._at import NEED_DATA, Chat, Received
from nbsocket._at._framing import MAX_LINE_SIZE, MAX_PAYLOAD_SIZE
from nbsocket._driver import (
    ChangeBaudrate,
    Connected,
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    DataReceived,
    Driver,
    GetDnsServers,
    GetInfo,
    GetSettings,
    GetSockets,
    GetStatus,
    Log,
    PeerClosed,
    Ping,
    RawCommand,
    Request,
    RequestDone,
    RequestFailed,
    Resolve,
    Settings,
    SyncTime,
)
from tests.simulation.insight import Insight

T = TypeVar("T")

#: Inputs of one seed.
INPUTS_A_SEED = 200

#: Bytes that may wait for more: an unfinished payload in hex with its slack.
MOST_BUFFERED = 2 * MAX_PAYLOAD_SIZE + MAX_LINE_SIZE + 1024

#: What the driver may write in hex format: command lines, and the escape out of a data mode.
WRITTEN_RE = re.compile(rb"(?:AT[ -~]*\r|\x1b\r+)*")

WORDS = (
    b"OK",
    b"ERROR",
    b"SEND OK",
    b"SEND FAIL",
    b"CLOSE OK",
    b"RDY",
    b"> ",
    b"+CME ERROR: 567",
    b"+CME ERROR: x",
    b"+QIOPEN: 0,0",
    b"+QIOPEN: 7,0",
    b"+QIOPEN: -1,99999999999999999999",
    b'+QIURC: "closed",0',
    b'+QIURC: "closed",9',
    b'+QIURC: "recv",0,3,"616263"',
    b'+QIURC: "recv",0,3,"abc"',
    b'+QIURC: "recv",0,1000000000000,"',
    b'+QIURC: "recv",0,-5,"abc"',
    b'+QIURC: "recv",0,abc,"abc"',
    b'+QIURC: "recv",44,3,"abc"',
    b'+QIURC: "recv",1,4096,',
    b'+QIURC: "recv",2,0,""',
    b'+QIURC: "pdpdeact",0',
    b"+QISEND: 3,3,0",
    b"+QISEND: 3,0,3",
    b"+QISEND: a,b,c",
    b'+QISTATE: 0,"TCP","10.0.0.1",80,0,4,0,1',
    b"+QISTATE: 0,,,,,,,",
    b"+QIDNSGIP: 0,1,0",
    b"+QIDNSGIP: 1.2.3.4",
    b"+QIDNSGIP: 565",
    b'+QICFG: "dataformat",1,1',
    b'+QICFG: "dataformat",0,0',
    b"+CEREG: 1",
    b"+CEREG: 0,1",
    b"+CEREG: 2",
    b"+CFUN: 1",
    b"+IP: 10.0.0.1",
    b'+CGPADDR: 5,"10.0.0.1"',
    b'+QNBIOTEVENT: "ENTER DEEPSLEEP"',
    b"Quectel_BC260Y-CN",
    b"AT+CEREG?",
    b"\xff\xfe\x00",
)


class Dice(Protocol):
    """What decides: a seeded ``random.Random``, or bytes of the fuzzer's choice."""

    def random(self) -> float: ...
    def randrange(self, stop: int, /) -> int: ...
    def randbytes(self, n: int, /) -> bytes: ...
    def choice(self, seq: Sequence[T], /) -> T: ...


#: Sound answers by the beginning of the command, the usual one first; lines are divided by semicolons.
ANSWERS: tuple[tuple[bytes, tuple[bytes, ...]], ...] = (
    (rb"AT\+QICFG=\"dataformat\"$", (b'+QICFG: "dataformat",1,1;OK', b'+QICFG: "dataformat",0,0;OK', b"ERROR")),
    (rb"AT\+CEREG\?", (b"+CEREG: 1,1;OK", b"+CEREG: 1,2;OK", b"OK")),
    (rb"AT\+CFUN\?", (b"+CFUN: 1;OK", b"+CFUN: 0;OK")),
    (rb"AT\+CGPADDR", (b'+CGPADDR: 5,"10.0.0.1";OK', b"+CGPADDR: 5;OK")),
    (rb"AT\+CGMR|ATI|AT\+CGSN", (b"BC260YCNAAR01A03;OK", b"+CGSN: 1;OK", b"OK")),
    (rb"AT\+CSQ", (b"+CSQ: 20,0;OK", b"+CSQ: 99,99;OK")),
    (rb"AT\+QIOPEN=0,(\d)", (rb"OK;+QIOPEN: \1,0", rb"OK;+QIOPEN: \1,566", b"OK", rb"ERROR;+QIOPEN: \1,0")),
    (rb"AT\+QICLOSE=", (b"OK;CLOSE OK", b"ERROR", b"OK", b"CLOSE OK;OK")),
    (
        rb"AT\+QISTATE=1,(\d)",
        (rb'+QISTATE: \1,"TCP","10.0.0.1",80,0,4,0,1;OK', rb'+QISTATE: \1,"TCP","10.0.0.1",80,0,0,0,1;OK', b"OK"),
    ),
    (rb"AT\+QISTATE", (b"OK", b'+QISTATE: 0,"TCP","10.0.0.1",80,0,2,0,1;OK')),
    (rb"AT\+QISEND=\d,0$", (b"+QISEND: N,N,0;OK", b"+QISEND: N,0,N;OK", b"+QISEND: 512,0,512;OK", b"ERROR")),
    (rb"AT\+QISEND=\d,\d+,", (b"OK;SEND OK", b"OK;SEND FAIL", b"ERROR", b"OK", b"SEND OK")),
    (rb"AT\+QISEND=\d,\d+$", (b">", b"ERROR", b"OK;>", b"SEND FAIL")),
    (rb"AT\+QIDNSGIP", (b"OK;+QIDNSGIP: 0,1,0;+QIDNSGIP: 10.0.0.9", b"OK;+QIDNSGIP: 565", b"OK", b"ERROR")),
    (
        rb"AT\+QPING",
        (b"OK;+QPING: 0,10.0.0.9,32,50,60;+QPING: 0,1,1,0,50,50,50", b"OK;+QPING: 569", b"OK", b"ERROR"),
    ),
    (rb"AT\+QNTP", (b'OK;+QNTP: 0,"26/01/01,00:00:00+00"', b"OK;+QNTP: 565", b"OK", b"ERROR")),
    (rb"AT\+QIDNSCFG", (b'+QIDNSCFG: 0,"10.0.0.1","","","";OK', b"OK", b"ERROR")),
    (rb"(?!AT)", (b"OK;SEND OK", b"OK;SEND FAIL", b"OK", b"ERROR")),
    (rb"AT", (b"OK", b"ERROR", b"+CME ERROR: 568")),
)

#: What the application asks in between.
REQUESTS: tuple[Request, ...] = (
    GetInfo(),
    Resolve("a.example"),
    GetStatus(),
    Ping("10.0.0.9", 1, 2, 32, False),
    GetSockets(),
    RawCommand("AT+CSQ"),
    RawCommand("AT+QICLOSE=4", wants_outcome=True),
    ChangeBaudrate(9600),
    SyncTime("a.example"),
    GetSettings(),
    GetDnsServers(),
)


def random_input(random: Dice) -> bytes:
    """One thing that the module may say."""
    data = random.choice(WORDS)
    kind = random.randrange(8)
    if not random.randrange(64):
        return data + b"x" * 20_000  # a line without end
    if kind == 0:
        data = random.randbytes(random.choice((1, 3, 40, 700)))
    elif kind == 1:
        start = random.randrange(len(data))
        data = data[:start] + random.randbytes(random.randrange(3)) + data[start + random.randrange(3) :]
    elif kind == 2:
        data = data * random.choice((2, 50))
    if kind == 3:
        return data
    return b"\r\n" + data + random.choice((b"\r\n", b"\r\n", b"\r", b"\r\n\r\n"))


def unread_size(chat: Chat) -> int:
    """Bytes that the chat keeps and has not made sense of."""
    return len(chat._framer._buffer) - chat._framer._position


def fuzz_codec(seed: int, inputs: int) -> None:
    """Feed what a seed gives to a chat, in two splits."""
    random = Random(seed)
    receives_hex = random.choice((None, True, False))
    data = b"".join(random_input(random) for _ in range(inputs))
    feed_codec(data, receives_hex, random, random.choice((1, 7, 100)))


def feed_codec(data: bytes, receives_hex: bool | None, random: Random, largest_piece: int) -> None:
    """Feed a chat, and see that the split of the bytes does not matter and that little is kept."""
    results = []
    for largest in (len(data), largest_piece):
        chat = Chat()
        chat.receives_hex = receives_hex
        events = []
        start = 0
        while start < len(data):
            size = random.randint(1, largest)
            chat.receive_data(data[start : start + size], 0.0)
            while (event := chat.next_event()) is not NEED_DATA:
                events.append(event)
                assert not isinstance(event, Received) or len(event.data) <= MAX_PAYLOAD_SIZE
            start += size
            kept = unread_size(chat)
            assert kept <= MOST_BUFFERED, f"{kept} bytes kept"
        results.append(events)
    assert results[0] == results[1], "the split matters"


class _Source:
    def __init__(self) -> None:
        self.size = 0

    def take(self, max_bytes: int) -> bytes:
        data = bytes(min(max_bytes, self.size))
        self.size -= len(data)
        return data


class _Far:
    """What a module would say to the commands, were it sound: one answer a command, in no particular state."""

    def __init__(self, random: Dice) -> None:
        self._random = random
        self._command = b"AT"
        #: Bytes sent over each socket.
        self._sent: Counter[bytes] = Counter()

    def hear(self, data: bytes) -> None:
        """Note the last thing that was written."""
        if not data:
            return
        self._command = data
        if (found := re.match(rb"AT\+QISEND=(\d),(\d+)", data)) is not None:
            self._sent[found[1]] += int(found[2])
        elif (found := re.match(rb"AT\+QIOPEN=0,(\d)", data)) is not None:
            del self._sent[found[1]]

    def answer(self) -> bytes:
        """Say what belongs to it, seldom a failure, and sometimes something unasked about a socket."""
        if not self._random.randrange(6):
            return b"\r\n%s%d%s\r\n" % self._random.choice(
                (
                    (b'+QIURC: "closed",', self._random.randrange(5), b""),
                    (b'+QIURC: "recv",', self._random.randrange(5), b',2,"6162"'),
                )
            )
        line = self._command.rstrip(b"\r")
        for start, replies in ANSWERS:
            if (found := re.match(start, line)) is not None:
                reply = replies[0] if self._random.randrange(4) else self._random.choice(replies)
                reply = re.sub(rb"\bN\b", b"%d" % self._sent[line[10:11]], found.expand(reply))
                return b"".join(b"\r\n%s\r\n" % part for part in reply.split(b";"))
        return b"\r\nOK\r\n"


class Fuzzed:
    """A driver whose module talks nonsense, more or less often."""

    def __init__(self, random: Dice, told: set[str] | None = None) -> None:
        """Bring the driver up to the first command; ``told`` takes the names of the events that come."""
        self.random = random
        self._told = told
        self.is_hex = random.random() < 0.7
        self.driver = Driver(
            Settings(
                data_format="hex" if self.is_hex else "raw",
                baudrate=random.choice((115200, None)),
                apn=random.choice((None, "apn.example")),
                power=random.choice(("awake", "psm")),
                close_orphans=random.random() < 0.7,
                wait_for_socket=random.choice((0.0, 30.0)),
            )
        )
        self.now = 0.0
        self.states: dict[int, str] = {}
        self.sources: dict[int, _Source] = {}
        #: Of the requests that have no outcome yet.
        self.deadlines: dict[int, float] = {}
        self._far = _Far(random)
        #: Of 16 things that the module says, so many are sound answers.
        self._sound = random.choice((0, 8, 13, 15))
        self.driver.port_opened(self.now)
        self._settle()

    def step(self) -> None:
        """The module says something, and sometimes the application wants something or time passes."""
        choice = self.random.randrange(12)
        if choice <= 1:
            self._want()
        elif choice == 2:
            self.now += self.random.choice((0.01, 0.3, 1.0, 5.0, 70.0))
        elif self.random.randrange(16) < self._sound:
            self.driver.receive_data(self._far.answer(), self.now)
        elif choice <= 4:
            self.driver.receive_data(b"\r\nOK\r\n", self.now)
        else:
            self.driver.receive_data(random_input(self.random), self.now)
        self._settle()

    def _want(self) -> None:
        random, driver = self.random, self.driver
        kind = random.randrange(8)
        if kind == 0:
            deadline = self.now + random.choice((0.1, 5.0, 200.0))
            number = driver.submit(random.choice(REQUESTS), deadline, self.now)
            self.deadlines[number] = deadline
            if not random.randrange(8):
                self._settle()  # tells the outcome of one that was done at once
                if self.deadlines.pop(number, None) is not None:
                    driver.cancel(number, self.now)
        elif kind == 7:
            if not random.randrange(16):
                self._lose_port()
        elif kind <= 2 and len(self.states) < 5:
            self._open()
        elif self.states:
            key = random.choice(list(self.states))
            if kind == 3:
                driver.abort(key, self.now)
            elif kind == 4:
                random.choice((driver.end_of_data, driver.half_close))(key, random.choice((0.0, 1.0, 100.0)), self.now)
            else:
                if kind == 5:
                    driver.set_option(key, random.choice(("nodelay", "rai", "user_timeout")), random.choice((1, 2)))
                self.sources[key].size = random.choice((1, 700, 3000))
                driver.data_available(key, 700, self.now)

    def _open(self) -> None:
        source = _Source()
        try:
            key = self.driver.open(self.random.choice(("TCP", "UDP")), "10.0.0.1", 80, 0, source, self.now)
        except OSError as error:
            assert error.errno == errno.EMFILE  # of sockets that are the user's own
        else:
            self.states[key], self.sources[key] = "open", source

    def _lose_port(self) -> None:
        self.driver.port_lost(OSError(5, "the port is gone"), self.now)
        self._settle()
        self.driver.port_opened(self.now)

    def _settle(self) -> None:
        driver = self.driver
        for _ in range(10_000):
            data, event = driver.data_to_send(), driver.next_event()
            self._far.hear(data)
            assert not self.is_hex or WRITTEN_RE.fullmatch(data), f"wrote {data!r}"
            self._check(event)
            due = driver.next_deadline()
            if due is not None and due <= self.now:
                driver.handle_timeout(self.now)
            elif not data and event is None:
                break
        else:
            raise AssertionError("no end of events")
        assert unread_size(driver._core.chat) <= MOST_BUFFERED
        assert all(deadline > self.now for deadline in self.deadlines.values()), "a request hangs"
        connections, requests = Insight(driver).size
        assert connections <= 12 and requests <= 200

    def _check(self, event: object) -> None:
        if self._told is not None:
            self._told.add(type(event).__name__)
        if isinstance(event, Connected):
            assert self.states[event.key] == "open"
            self.states[event.key] = "connected"
        elif isinstance(event, DataReceived):
            assert self.states[event.key] == "connected"
        elif isinstance(event, (PeerClosed, ConnectionReset)):
            assert self.states[event.key] == "connected"
            self.states[event.key] = "over"
        elif isinstance(event, (ConnectFailed, ConnectionEnded)):
            del self.states[event.key], self.sources[event.key]
        elif isinstance(event, (RequestDone, RequestFailed)):
            del self.deadlines[event.request_id]
        elif isinstance(event, Log):
            assert len(event.message) < 30_000


def fuzz_driver(seed: int, inputs: int) -> None:
    """Talk nonsense to a driver, as a seed says."""
    fuzzed = Fuzzed(Random(seed))
    for _ in range(inputs):
        fuzzed.step()


def memory() -> int:
    """Return the most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> int:
    """Fuzz both in turn; 1 at the first failure."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.fuzz")
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--start", type=int, default=0, help="first seed")
    parser.add_argument("--atheris", action="store_true", help="coverage-guided; needs atheris")
    options = parser.parse_args()
    if options.atheris:
        from tests.simulation import atheris_fuzz

        return atheris_fuzz.campaign(options.inputs, options.start)
    begin, done, seed = time.monotonic(), 0, options.start
    while done < options.inputs:
        for fuzz in (fuzz_codec, fuzz_driver):
            try:
                fuzz(seed, INPUTS_A_SEED)
            except Exception as error:
                print(f"{fuzz.__name__}({seed}, {INPUTS_A_SEED}): {error!r}")
                return 1
            done += INPUTS_A_SEED
        seed += 1
    print(f"{done} inputs in {time.monotonic() - begin:.0f} s, at most {memory() >> 20} MiB of memory, no failure")
    return 0


if __name__ == "__main__":
    sys.exit(main())
