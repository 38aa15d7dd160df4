"""Bytes, commands and segments on the serial line, against the least possible.

Each program runs twice. Over the operating system's sockets, through a relay that notes what it writes before it has to
wait for an answer (its turns), and over nbsocket with a tap between it and the simulated module. From the turns follows
the least: the shortest legal form of each command of BC260Y-CN TCP/IP guide 1.1 that they need, and the modem's
answers. Nothing that nbsocket sent is part of that reckoning, but what the modem said unasked is, as it said it
(received data, "closed", the address of a name): how the modem cuts received data is not the host's choice. A look-up
counts where the program asked for one. Where a program closes a TCP connection that it has written to, the question
whether everything is acknowledged is part of the least, as the manual advises (§4.2.9 note 1): QICLOSE cuts off what is
still on its way.
"""

from __future__ import annotations

import json
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import _thrift_app as app
from benchmarks._bench import DataFormat, Process
from benchmarks._report import Effort, Row, compared, judged
from benchmarks._tap import Transcript, tap
from benchmarks._thrift_servers import DOMAIN, Relay, Servers, servers
from benchmarks._wire import SEGMENT_SIZES, send_steps

GROUP = "thrift"

#: To reach: the least and five in a hundred.
TARGET = 1.05

#: Seconds of silence after which an exchange is over, closes included.
QUIET_TIME = 0.5

#: What NB-IoT takes at its best, in seconds, and the programs that run with it too.
ROUND_TRIP = 0.5
SLOW_CASES = ("upload", "mqtt", "post", "get, closed", "https")
QUICK_SLOW_CASES = ("post",)

#: What the programs connect to that ask for no name.
ADDRESS = "192.0.2.10"

#: What AT+QISEND with a length of 0 is. BC260Y-CN TCP/IP guide 1.1 §2.3.5.
QUESTION = "AT+QISEND=<id>,0"

_ADDRESS_RE = re.compile(r"\+QIDNSGIP: ([0-9.]+)\r")


@dataclass(frozen=True, slots=True)
class Case:
    """One program."""

    program: str
    what: str
    port: int
    service: str = "TCP"
    #: It asks for a name.
    is_named: bool = False


CASES = (
    Case("open and close", "open and close a TCP connection", app.SINK_PORT),
    Case("datagram", "1 datagram of 10 bytes", app.UDP_SINK_PORT, "UDP"),
    Case("exchange", "1 datagram of 10 bytes and its answer", app.UDP_ECHO_PORT, "UDP"),
    Case("upload", f"send {app.UPLOAD_SIZE} bytes over TCP", app.SINK_PORT),
    Case("mqtt", "paho-mqtt: connect, subscribe, publish QoS 1, disconnect", app.MQTT_PORT, is_named=True),
    Case("post", "requests: a small POST", app.HTTP_PORT, is_named=True),
    Case("get, closed", "requests: a GET, the server closes", app.CLOSING_PORT, is_named=True),
    Case("handshake", "TLS 1.3: connect, handshake, close", app.HTTPS_PORT, is_named=True),
    Case("https", "requests: GET over HTTPS", app.HTTPS_PORT, is_named=True),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What an exchange takes."""

    size: int
    segments: int
    #: How often each command is said.
    commands: Counter[str]


def run(effort: Effort) -> Iterator[Row]:
    """Count for both data formats."""
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as served:
        turns = {case.program: _turns(case, served) for case in CASES}
        formats: tuple[DataFormat, ...] = ("hex", "raw")
        for data_format in formats[:1] if effort.is_quick else formats:
            yield from _over_modem(data_format, served, turns, CASES, 0.0, 1 if effort.is_quick else effort.repeats)
        slow = [case for case in CASES if case.program in (QUICK_SLOW_CASES if effort.is_quick else SLOW_CASES)]
        yield from _over_modem("hex", served, turns, slow, ROUND_TRIP, 1 if effort.is_quick else 3)


def _turns(case: Case, served: Servers) -> list[int]:
    """Run a program over the operating system's sockets and return what it wrote, turn by turn."""
    served.datagrams.clear()
    relay = Relay(served.ports[case.port])
    real = served.ports[case.port] if case.service == "UDP" else relay.port
    try:
        with Process(["-m", "benchmarks._thrift_app", "plain", json.dumps({case.port: real})]) as process:
            process.ask(program=case.program, host=_host(case, 0), ca=served.ca)
    finally:
        relay.close()
    if case.service != "UDP":
        return relay.turns
    deadline = time.monotonic() + 5.0
    while not served.datagrams and time.monotonic() < deadline:
        time.sleep(0.01)  # the program is done when it has sent, not when the server has received
    return list(served.datagrams)


def _host(case: Case, number: int) -> str:
    """A name that nobody has asked for before, always of the same length, or the address."""
    letters = re.sub("[^a-z]", "", case.program)
    return f"{letters[:4]}{number:02}.{DOMAIN}" if case.is_named else ADDRESS


def _over_modem(
    data_format: DataFormat,
    served: Servers,
    turns: dict[str, list[int]],
    cases: Sequence[Case],
    round_trip: float,
    repeats: int,
) -> Iterator[Row]:
    rules = [f"--host=*:{port}=127.0.0.1:{real}" for port, real in served.ports.items()]
    quiet = QUIET_TIME + 2 * round_trip
    with ExitStack() as stack:
        simulator = stack.enter_context(Process(["-m", "nbsocket", "--json", "sim", f"--latency={round_trip}", *rules]))
        line = stack.enter_context(tap(simulator.hello["port"]))
        program = stack.enter_context(Process(["-m", "benchmarks._thrift_app", "modem", line.path, data_format]))
        started = line.take(quiet)
        if not round_trip:
            yield _bring_up(data_format, started)
        for case in cases:
            transcripts = []
            for number in range(repeats):
                program.ask(program=case.program, host=_host(case, number), ca=served.ca)
                transcripts.append(line.take(quiet))
            what = f"{data_format}: {case.what}" + (f", round trip of {round_trip:g} s" if round_trip else "")
            yield from _rows(data_format, case, what, transcripts, turns[case.program])


def _bring_up(data_format: DataFormat, transcript: Transcript) -> Row:
    commands = transcript.commands()
    return judged(
        GROUP,
        f"{data_format}: bring-up",
        transcript.size,
        "bytes",
        note=f"once, {len(commands)} commands: {' '.join(commands)}",
    )


def _rows(
    data_format: DataFormat, case: Case, what: str, transcripts: Sequence[Transcript], turns: list[int]
) -> Iterator[Row]:
    costs = [cost_of(transcript) for transcript in transcripts]
    leasts = [least(case, data_format, transcript, turns) for transcript in transcripts]
    middle = sorted(range(len(costs)), key=lambda index: costs[index].size / leasts[index].size)[len(costs) // 2]
    note = _difference(costs[middle], leasts[middle], transcripts[middle])
    sizes, least_sizes = [cost.size for cost in costs], [cost.size for cost in leasts]
    yield compared(GROUP, what, sizes, "bytes", least_sizes, "least", at_most=TARGET, note=note)
    counts = [sum(cost.commands.values()) for cost in costs]
    yield compared(
        GROUP,
        what,
        counts,
        "commands",
        [sum(cost.commands.values()) for cost in leasts],
        "least",
        at_most=TARGET,
    )
    if turns:
        segments = [cost.segments for cost in costs]
        reference = statistics.median(cost.segments for cost in leasts)
        shown = f"turns of {', '.join(map(str, turns))} bytes"
        yield compared(GROUP, what, segments, "segments", reference, "least", at_most=TARGET, note=shown)


def cost_of(transcript: Transcript) -> Cost:
    """Return what has crossed the line."""
    commands = Counter(kind_of(command) for command in transcript.commands())
    return Cost(transcript.size, commands["AT+QISEND"], commands)


def kind_of(command: str) -> str:
    """Return a command's name; the question with the form of a send is one of its own."""
    name, _, parameters = command.partition("=")
    return QUESTION if name == "AT+QISEND" and parameters.endswith(",0") else name


def least(case: Case, data_format: DataFormat, transcript: Transcript, turns: Sequence[int]) -> Cost:
    """Return the least that the same exchange takes: each command in its shortest form, each segment full."""
    size = sum(transcript.reports(data_format == "hex"))
    commands: Counter[str] = Counter()
    host = ADDRESS
    if case.is_named:
        answer = transcript.bytes_of(False).decode("latin-1")
        host = _ADDRESS_RE.findall(answer)[0]
        size += len(f'AT+QIDNSGIP=0,"{_host(case, 0)}"\r' + _OK)
        size += len(f"\r\n+QIDNSGIP: 0,1,0\r\n\r\n+QIDNSGIP: {host}\r\n")
        commands["AT+QIDNSGIP"] += 1
    size += len(f'AT+QIOPEN=0,0,"{case.service}","{host}",{case.port}\r' + _OK + "\r\n+QIOPEN: 0,0\r\n")
    size += len("AT+QICLOSE=0\r" + _OK + "\r\nCLOSE OK\r\n")
    segments = [part for turn in turns for part in _segments(turn, SEGMENT_SIZES[data_format])]
    for segment in segments:
        size += sum(len(written) + answer for written, answer in send_steps(data_format, bytes(segment)))
    commands.update({"AT+QIOPEN": 1, "AT+QICLOSE": 1, "AT+QISEND": len(segments)})
    if case.service == "TCP" and segments and not transcript.is_closed_by_peer:
        sent = sum(segments)
        size += len(f"AT+QISEND=0,0\r\r\n+QISEND: {sent},{sent},0\r\n{_OK}")
        commands[QUESTION] += 1
    return Cost(size, len(segments), commands)


_OK = "\r\nOK\r\n"


def _segments(size: int, limit: int) -> list[int]:
    return [min(limit, size - start) for start in range(0, size, limit)]


def _difference(cost: Cost, fewest: Cost, transcript: Transcript) -> str:
    """Name the commands beyond the least, and their bytes."""
    extra = cost.commands - fewest.commands
    if not extra:
        return ""
    told = []
    for kind, count in sorted(extra.items()):
        line = next(command for command in transcript.commands() if kind_of(command) == kind)
        told.append(f"{count} x {kind} ({transcript.cost_of(line)} bytes)")
    return "beyond the least: " + ", ".join(told)
