"""``python -m tests.soak --minutes N``: real libraries, real servers, and faults every few seconds.

paho-mqtt that reconnects, requests over TLS and UDP telemetry run at once over one simulated module on a pty; every few
seconds something goes wrong. Each answer is compared with what was asked. Once a minute, with everything idle, memory,
threads, descriptors and the module's sockets are counted; the first minute is for warming up. The exit code is 0 when
nothing was wrong and nothing grew.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import requests
from paho.mqtt.enums import CallbackAPIVersion

import nbsocket
from nbsocket import Modem
from nbsocket._cli._demo_servers import make_certificates, start_broker, start_http
from nbsocket.sim import Fault, Options, Simulator
from nbsocket.sim._loopback import MAX_GHOSTS
from tests.helpers import udp_server

FAR = "server.example"

#: Seconds of work between two counts; the rest of the minute is for coming to rest.
ROUND = 50.0

#: Seconds in which everything must work again when the faults have stopped.
RECOVERY = 180.0

#: What may be more at the end than after the first round: the allocator's own, one each of what is being cleared, and
#: the connections that a simulated module, which restarted, has forgotten without telling the peer.
MEMORY_SLACK, THREAD_SLACK, FD_SLACK = 16 * 1024 * 1024, 1, 2 + MAX_GHOSTS

FAULTS: dict[str, Callable[[random.Random], Fault]] = {
    "connection closed": lambda dice: Fault("closed", socket_id=dice.randrange(5)),
    "module restarts": lambda dice: Fault("restart"),
    "port vanishes": lambda dice: Fault("hang_up"),
    "command refused": lambda dice: Fault("error", times=dice.randint(1, 3)),
    "command unanswered": lambda dice: Fault("silence"),
    "answer late": lambda dice: Fault("late", delay=dice.uniform(0.1, 6.0)),
    "send fails": lambda dice: Fault("send_fail", match="QISEND"),
    "open fails": lambda dice: Fault("result", match="QIOPEN", code=dice.choice((565, 566, 570))),
    "bytes lost downwards": lambda dice: Fault("drop", offset=dice.randrange(2000), size=dice.randint(1, 9)),
    "bytes lost upwards": lambda dice: Fault("drop", direction="up", offset=dice.randrange(2000)),
    "bytes made up": lambda dice: Fault("insert", data=dice.randbytes(dice.randint(1, 9)), offset=dice.randrange(2000)),
    "registration lost": lambda dice: Fault("deregister"),
}


@dataclass
class Count:
    """What there is of everything, with nothing to do."""

    memory: int
    threads: int
    fds: int
    sockets: int


@dataclass
class Report:
    """What came of it."""

    rounds: list[Count] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    #: Seconds from the first fault until each kind of work succeeded again.
    recoveries: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class Work:
    """One kind of work, again and again on a thread of its own until it is told to pause."""

    def __init__(self, name: str, once: Callable[[], None], report: Report) -> None:
        """Note what to do."""
        self.name, self._once, self._report = name, once, report
        self._stop = threading.Event()
        self._broken_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=name)
        self.last_success = 0.0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being done and end."""
        self._stop.set()
        self._thread.join(RECOVERY)
        if self._thread.is_alive():
            self._report.violations.append(f"{self.name} hangs")

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._once()
            except AssertionError as error:
                self._report.violations.append(f"{self.name}: {error}")
            except Exception as error:
                self._report.failed[f"{self.name}: {type(error).__name__}"] += 1
                self._broken_since = self._broken_since or time.monotonic()
                self._stop.wait(0.2)
            else:
                self._succeeded()

    def _succeeded(self) -> None:
        self.last_success = time.monotonic()
        self._report.done[self.name] += 1
        if self._broken_since is not None:
            self._report.recoveries.append(self.last_success - self._broken_since)
            self._broken_since = None


class Soak:
    """The stage and what happens on it."""

    def __init__(self, stack: ExitStack, seed: int) -> None:
        """Start module, servers and modem."""
        self.report = Report()
        self._dice = random.Random(seed)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._ca, certificate = make_certificates(folder, FAR)
        self._broker = stack.enter_context(start_broker(folder, certificate))
        self._https = stack.enter_context(start_http(certificate))
        self._udp_port = stack.enter_context(udp_server(lambda data: hashlib.sha256(data).digest() + data))
        self._link = str(folder / "tty")
        self._simulator = stack.enter_context(Simulator(Options(), link=self._link))
        self._modem = stack.enter_context(nbsocket.configure(self._link))
        nbsocket.patch(self._modem)
        stack.callback(nbsocket.unpatch)

    @property
    def modem(self) -> Modem:
        """The one under test."""
        return self._modem

    # -- the work

    def publish(self) -> None:
        """One session with the broker: subscribe, publish to oneself, compare, leave."""
        size = self._dice.choice((1, 100, 3000))
        payload, topic = os.urandom(size), f"soak/{os.urandom(4).hex()}"
        arrived, subscribed = threading.Event(), threading.Event()
        got: list[bytes] = []

        def on_message(client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
            got.append(bytes(message.payload))
            arrived.set()

        def on_connect(client: mqtt.Client, *arguments: Any) -> None:
            client.subscribe(topic, qos=1)

        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_message = on_message
        client.on_connect = on_connect
        client.on_subscribe = lambda *arguments: subscribed.set()
        client.reconnect_delay_set(1, 2)
        client.connect(FAR, self._broker.port, keepalive=20)
        client.loop_start()
        try:
            if not subscribed.wait(30):
                raise TimeoutError("not subscribed")
            for _ in range(5):
                arrived.clear()
                client.publish(topic, payload, qos=1)
                if not arrived.wait(30):
                    raise TimeoutError("not published")
            assert set(got) == {payload}, "another payload than was published"
        finally:
            client.disconnect()
            client.loop_stop()

    def request(self) -> None:
        """One HTTPS request, checked by TLS, whose body comes back."""
        body = os.urandom(self._dice.choice((1, 1000, 20_000)))
        response = requests.post(f"https://{FAR}:{self._https.port}/echo", body, verify=str(self._ca), timeout=30)
        assert response.ok and response.content == body, "another answer than was asked for"

    def telemeter(self) -> None:
        """One datagram and its answer; another one's answer may come late, a wrong one never."""
        data = os.urandom(self._dice.choice((1, 60, 400)))
        with nbsocket.socket(nbsocket.AF_INET, nbsocket.SOCK_DGRAM) as sock:
            sock.settimeout(5.0)
            sock.connect((FAR, self._udp_port))
            sock.send(data)
            answer = sock.recv(1000)
        assert answer == hashlib.sha256(data).digest() + data, "a datagram that nobody sent"

    # -- rounds

    def round(self, seconds: float, *, with_faults: bool) -> None:
        """Work for a while with faults, then until everything has worked without any, and count at rest."""
        works = [Work(work.__name__, work, self.report) for work in (self.publish, self.request, self.telemeter)]
        for work in works:
            work.start()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, self._dice.uniform(2.0, 5.0)))
            if with_faults and left > 5:
                self._do_harm()
        self._heal()
        self._wait_for_success(works)
        for work in works:
            work.stop()
        self.report.rounds.append(self._count())

    def _do_harm(self) -> None:
        name = self._dice.choice(list(FAULTS))
        self.report.faults[name] += 1
        self._simulator.inject(FAULTS[name](self._dice))
        if name == "port vanishes":
            time.sleep(self._dice.uniform(0.0, 1.0))
            self._simulator.plug_in()
        elif name == "registration lost":
            time.sleep(self._dice.uniform(0.0, 2.0))
            self._simulator.inject(Fault("register"))

    def _heal(self) -> None:
        self._simulator.inject(Fault("register"))

    def _wait_for_success(self, works: list[Work]) -> None:
        healed = time.monotonic()
        while late := [work.name for work in works if work.last_success < healed]:
            if time.monotonic() > healed + RECOVERY:
                self.report.violations.append(f"{', '.join(late)} never worked again")
                return
            time.sleep(0.05)

    def _count(self) -> Count:
        deadline = time.monotonic() + RECOVERY
        sockets = -1
        while sockets and time.monotonic() < deadline:
            with suppress(OSError):
                sockets = len(self._modem.sockets())
            time.sleep(0.2)
        gc.collect()  # sockets in cycles of the libraries
        memory = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return Count(memory, threading.active_count(), len(os.listdir("/proc/self/fd")), sockets)

    def judge(self) -> None:
        """Look for growth, and for sockets of the module that nobody closed."""
        first, last = self.report.rounds[0], self.report.rounds[-1]
        for name, slack in (("memory", MEMORY_SLACK), ("threads", THREAD_SLACK), ("fds", FD_SLACK)):
            grown = getattr(last, name) - getattr(first, name)
            if grown > slack:
                self.report.violations.append(f"{name} grew by {grown}")
        if any(count.sockets for count in self.report.rounds):
            self.report.violations.append("sockets were left open in the module")


def tell(report: Report, minutes: float) -> None:
    """Print the figures as JSON."""
    recoveries = sorted(report.recoveries)
    figures = {
        "minutes": round(minutes, 1),
        "done": dict(report.done),
        "failed": dict(report.failed),
        "faults": dict(report.faults),
        "recovery_median": round(statistics.median(recoveries), 2) if recoveries else None,
        "recovery_worst": round(recoveries[-1], 2) if recoveries else None,
        "first_count": asdict(report.rounds[0]),
        "last_count": asdict(report.rounds[-1]),
        "violations": report.violations,
    }
    print(json.dumps(figures, indent=2), flush=True)


def main() -> int:
    """Soak."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    end = began + 60.0 * options.minutes
    with ExitStack() as stack:
        soak = Soak(stack, options.seed)
        seconds = min(ROUND, 20.0 * options.minutes)
        while not soak.report.rounds or time.monotonic() + seconds < end:
            soak.round(seconds, with_faults=True)
            count = soak.report.rounds[-1]
            print(f"{(time.monotonic() - began) / 60:.1f} min: {count}", file=sys.stderr, flush=True)
        soak.judge()
        tell(soak.report, (time.monotonic() - began) / 60)
    return 1 if soak.report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
