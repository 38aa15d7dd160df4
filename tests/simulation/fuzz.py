"""``python -m tests.simulation.fuzz --inputs N [--start S]``: hostile and broken lines into codec and driver.

An input is one thing that the module may say, sound or not: lines, parts of them, payloads of wrong lengths, noise.
The codec takes them in any split; the driver takes them as answers to what it asks. Nothing may raise, nothing may grow
without bound, what the driver writes must stay AT commands, and what it tells must stay in order.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from random import Random

from nbsocket._at import NEED_DATA, Chat, Received
from nbsocket._at._framing import MAX_LINE_SIZE, MAX_PAYLOAD_SIZE
from nbsocket._driver import (
    Connected,
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    DataReceived,
    Driver,
    GetInfo,
    Log,
    PeerClosed,
    Resolve,
    Settings,
)

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


def random_input(random: Random) -> bytes:
    """One thing that the module may say."""
    data = random.choice(WORDS)
    kind = random.randrange(8)
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
    """Feed a chat, and see that the split of the bytes does not matter and that little is kept."""
    random = Random(seed)
    receives_hex = random.choice((None, True, False))
    data = b"".join(random_input(random) for _ in range(inputs))
    results = []
    for largest in (len(data), random.choice((1, 7, 100))):
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


class _Fuzzed:
    """A driver whose module talks nonsense."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.is_hex = self.random.random() < 0.7
        self.driver = Driver(Settings(data_format="hex" if self.is_hex else "raw", baudrate=115200))
        self.now = 0.0
        self.states: dict[int, str] = {}
        self.sources: dict[int, _Source] = {}
        self.driver.port_opened(self.now)

    def step(self) -> None:
        """The module says something, and sometimes the application wants something or time passes."""
        choice = self.random.randrange(12)
        if choice == 0:
            self._want()
        elif choice == 1:
            self.now += self.random.choice((0.01, 0.3, 1.0, 5.0, 70.0))
        elif choice <= 4:
            self.driver.receive_data(b"\r\nOK\r\n", self.now)
        else:
            self.driver.receive_data(random_input(self.random), self.now)
        self._settle()

    def _want(self) -> None:
        random, driver = self.random, self.driver
        kind = random.randrange(5)
        if kind == 0:
            driver.submit(random.choice((GetInfo(), Resolve("a.example"))), self.now + 5.0, self.now)
        elif kind == 1 and len(self.states) < 5:
            source = _Source()
            key = driver.open(random.choice(("TCP", "UDP")), "10.0.0.1", 80, 0, source, self.now)
            self.states[key], self.sources[key] = "open", source
        elif self.states:
            key = random.choice(list(self.states))
            if kind == 2:
                driver.abort(key, self.now)
            elif kind == 3:
                driver.end_of_data(key, 1.0, self.now)
            else:
                self.sources[key].size = 700
                driver.data_available(key, 700, self.now)

    def _settle(self) -> None:
        driver = self.driver
        for _ in range(10_000):
            data, event = driver.data_to_send(), driver.next_event()
            assert not self.is_hex or WRITTEN_RE.fullmatch(data), f"wrote {data!r}"
            self._check(event)
            due = driver.next_deadline()
            if due is not None and due <= self.now:
                driver.handle_timeout(self.now)
            elif not data and event is None:
                break
        else:
            raise AssertionError("no end of events")
        assert unread_size(driver._chat) <= MOST_BUFFERED
        assert len(driver._links._order) <= 12 and len(driver._tasks) <= 200

    def _check(self, event: object) -> None:
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
        elif isinstance(event, Log):
            assert len(event.message) < 30_000


def fuzz_driver(seed: int, inputs: int) -> None:
    """Talk nonsense to a driver."""
    fuzzed = _Fuzzed(seed)
    for _ in range(inputs):
        fuzzed.step()


def main() -> int:
    """Fuzz both in turn; 1 at the first failure."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.fuzz")
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--start", type=int, default=0, help="first seed")
    options = parser.parse_args()
    begin, done, seed = time.monotonic(), 0, options.start
    while done < options.inputs:
        for fuzz in (fuzz_codec, fuzz_driver):
            try:
                fuzz(seed, 200)
            except Exception as error:
                print(f"{fuzz.__name__}({seed}, 200): {error!r}")
                return 1
            done += 200
        seed += 1
    print(f"{done} inputs in {time.monotonic() - begin:.0f} s, no failure")
    return 0


if __name__ == "__main__":
    sys.exit(main())
