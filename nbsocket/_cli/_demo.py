"""``nbsocket demo``: unmodified paho-mqtt and requests programs over a simulated modem to real servers on loopback."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from nbsocket._cli._demo_servers import DemoServer, make_certificates, start_broker, start_http
from nbsocket._cli._exit import CommandError, ExitCode
from nbsocket._dataclass import dataclass
from nbsocket.sim import Options, Simulator, SocketStats

PROGRAMS = Path(__file__).parent / "demo_programs"
BROKER, WEB = "broker.example", "api.example"
#: Import names of what ``pip install 'nbsocket[demo]'`` installs.
REQUIRED = ("paho", "requests", "trustme")
PROGRAM_TIMEOUT = 90.0
LINE_RATE = 115200
KNOWN_PORTS = {1883: BROKER, 443: WEB}

_QIOPEN_RE = re.compile(r'AT\+QIOPEN=0,(\d),"(TCP|UDP)","([^"]+)",(\d+)')
#: Environment variables that would send requests to a proxy that the simulated world does not have.
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the properties of the simulated radio; their defaults are those of NB-IoT in fair coverage."""
    parser.description = (
        "Start a simulated module, an MQTT broker and an HTTPS server on this machine's loopback, and run an "
        "unmodified paho-mqtt and an unmodified requests program over the module."
    )
    parser.add_argument("--latency", type=float, default=0.4, help="round trip of the network in s (default: 0.4)")
    parser.add_argument("--radio-rate", type=float, default=8000.0, help="bytes a second over the air (default: 8000)")
    parser.add_argument(
        "--broker", choices=("mosquitto", "amqtt"), help="the MQTT broker (default: mosquitto where it is installed)"
    )


def main(options: argparse.Namespace) -> int:
    """Run the demo; 0 when everything arrived as it should."""
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        raise CommandError(f"the demo needs {', '.join(missing)}: pip install 'nbsocket[demo]'", ExitCode.FAILURE)
    report = _Reporter(sys.stderr if options.json else sys.stdout)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nbsocket-demo-")))
        ca_file, certificate = make_certificates(folder, WEB)
        broker = stack.enter_context(start_broker(folder, kind=options.broker))
        report(f"MQTT broker ({broker.name}) on 127.0.0.1:{broker.port}, for the module {BROKER}:1883")
        web = stack.enter_context(start_http(certificate))
        report(f"HTTPS server on 127.0.0.1:{web.port}, for the module {WEB}:443")
        simulator = stack.enter_context(Simulator(_module_options(options, broker, web)))
        report(f"simulated BC260Y-CN on {simulator.path}: {LINE_RATE} baud, {options.latency:g} s round trip")
        programs = (("mqtt_hello.py", BROKER, "1883"), ("https_hello.py", f"https://{WEB}", str(ca_file)))
        meter, failures, traffic = _Meter(simulator), [], []
        for program in programs:
            if not _run(program, simulator.path, options, report):
                failures.append(program[0])
            traffic.append(meter.read(program[0]))
    print(json.dumps([asdict(row) for row in traffic]) if options.json else _table(traffic))
    if failures:
        raise CommandError(f"demo: {' and '.join(failures)} failed", ExitCode.FAILURE)
    report("Both programs did their work; all their traffic went through the module.")
    return ExitCode.SUCCESS


class _Reporter:
    """Prints progress with the seconds since the start."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._start = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"{time.monotonic() - self._start:5.1f} s  {line}", file=self._stream, flush=True)


def _module_options(options: argparse.Namespace, broker: DemoServer, web: DemoServer) -> Options:
    hosts = {f"{BROKER}:1883": f"127.0.0.1:{broker.port}", f"{WEB}:443": f"127.0.0.1:{web.port}"}
    return Options(baudrate=LINE_RATE, latency=options.latency, radio_rate=options.radio_rate, hosts=hosts)


def _run(program: Sequence[str], port: str, options: argparse.Namespace, report: Callable[[str], None]) -> bool:
    """Run a program in a process of its own, as a user would; tell whether it ended well."""
    common = ["--port", port]
    if options.baudrate is not None:
        common += ["--baudrate", str(options.baudrate)]
    if options.data_format:
        common += ["--data-format", options.data_format]
    if options.verbosity:
        common += ["-" + "v" * options.verbosity]
    line = [*common, "run", "--strict", *program]
    report("$ nbsocket " + " ".join(line))
    process = subprocess.Popen(
        [sys.executable, "-m", "nbsocket", *line],
        cwd=PROGRAMS,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = process.stdout
    assert output is not None, "asked for above"
    watchdog = threading.Timer(PROGRAM_TIMEOUT, process.kill)
    watchdog.start()
    try:
        for text in output:
            report("    " + text.rstrip())
        return process.wait() == 0
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        output.close()


def _environment() -> dict[str, str]:
    """Return the environment for the programs, without settings that would change what the demo shows."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("NBSOCKET_", *PROXIES))}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PROGRAMS.parents[2]), kept.get("PYTHONPATH"))))
    return kept


@dataclass(frozen=True, slots=True)
class _Traffic:
    """What one program moved over the serial line."""

    program: str
    #: (destination, payload bytes sent, payload bytes received) of each connection
    connections: list[tuple[str, int, int]]
    commands: int
    bytes_up: int
    bytes_down: int


class _Meter:
    """Measures the traffic on the simulated modem's serial line from one reading to the next."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._before = simulator.stats()
        self._commands_before = 0

    def read(self, program: str) -> _Traffic:
        """Return the traffic since the last reading as that of ``program``."""
        before, now = self._before, self._simulator.stats()
        self._before = now
        commands = self._simulator.commands[self._commands_before :]
        self._commands_before += len(commands)
        connections = []
        for socket_id, service, host, port in (
            match.groups() for line in commands if (match := _QIOPEN_RE.match(line))
        ):
            nothing = SocketStats(0, 0)
            first, last = (stats.sockets.get(int(socket_id), nothing) for stats in (before, now))
            name = f"{service} {KNOWN_PORTS.get(int(port), host)}:{port}"
            connections.append((name, last.sent - first.sent, last.received - first.received))
        return _Traffic(
            program,
            connections,
            now.commands - before.commands,
            now.bytes_up - before.bytes_up,
            now.bytes_down - before.bytes_down,
        )


def _table(traffic: Sequence[_Traffic]) -> str:
    """Lay out what crossed the wire, payload and serial line."""
    lines = ["", f"{'program':<16}{'connection, or line':<32}{'bytes sent':>12}{'bytes received':>16}{'commands':>10}"]
    for row in traffic:
        for name, sent, received in row.connections:
            lines.append(f"{row.program:<16}{name:<32}{sent:>12,}{received:>16,}")
        lines.append(f"{'':<16}{'serial line':<32}{row.bytes_up:>12,}{row.bytes_down:>16,}{row.commands:>10}")
    return "\n".join([*lines, ""])
