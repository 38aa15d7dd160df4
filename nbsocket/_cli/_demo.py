"""``nbsocket demo``: other people's programs, unmodified, over a simulated module to real servers on loopback."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from nbsocket._cli._demo_servers import Server, make_certificates, start_broker, start_http
from nbsocket._cli._exit import CommandError, ExitCode
from nbsocket.sim import Options, Simulator

PROGRAMS = Path(__file__).parent / "demo_programs"
BROKER, WEB = "broker.example", "api.example"
#: What the extra "demo" brings.
REQUIRED = ("paho", "requests", "trustme")
PROGRAM_TIMEOUT = 90.0
LINE_RATE = 115200
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


def main(options: argparse.Namespace) -> int:
    """Run the demo; 0 when everything arrived as it should."""
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        raise CommandError(f"the demo needs {', '.join(missing)}: pip install 'nbsocket[demo]'", ExitCode.FAILURE)
    report = _Reporter(sys.stderr if options.json else sys.stdout)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nbsocket-demo-")))
        ca_file, certificate = make_certificates(folder, WEB)
        broker = stack.enter_context(start_broker(folder))
        report(f"MQTT broker ({broker.name}) on 127.0.0.1:{broker.port}, for the module {BROKER}:1883")
        web = stack.enter_context(start_http(certificate))
        report(f"HTTPS server on 127.0.0.1:{web.port}, for the module {WEB}:443")
        simulator = stack.enter_context(Simulator(_module_options(options, broker, web)))
        report(f"simulated BC260Y-CN on {simulator.path}: {LINE_RATE} baud, {options.latency:g} s round trip")
        programs = (("mqtt_hello.py", BROKER, "1883"), ("https_hello.py", f"https://{WEB}", str(ca_file)))
        failures = [program[0] for program in programs if not _run(program, simulator.path, options, report)]
        _print_traffic(simulator, options)
    if failures:
        raise CommandError(f"demo: {' and '.join(failures)} failed", ExitCode.FAILURE)
    report("Both programs did their work, and nothing of theirs went another way than through the module.")
    return ExitCode.SUCCESS


class _Reporter:
    """Prints progress with the seconds since the start."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._start = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"{time.monotonic() - self._start:5.1f} s  {line}", file=self._stream, flush=True)


def _module_options(options: argparse.Namespace, broker: Server, web: Server) -> Options:
    hosts = {f"{BROKER}:1883": f"127.0.0.1:{broker.port}", f"{WEB}:443": f"127.0.0.1:{web.port}"}
    return Options(baudrate=LINE_RATE, latency=options.latency, radio_rate=options.radio_rate, hosts=hosts)


def _run(program: Sequence[str], port: str, options: argparse.Namespace, report: Callable[[str], None]) -> bool:
    """Run a program in a process of its own, as a user would; tell whether it ended well."""
    common = ["--port", port]
    if options.data_format:
        common += ["--data-format", options.data_format]
    if options.verbosity:
        common += ["-" + "v" * options.verbosity]
    line = [*common, "run", "--bypass", "none", "--strict", *program]
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
    watchdog = threading.Timer(PROGRAM_TIMEOUT, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None, "asked for above"
        for text in process.stdout:
            report("    " + text.rstrip())
        return process.wait() == 0
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def _environment() -> dict[str, str]:
    """Return the environment for the programs, without settings that would change what the demo shows."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("NBSOCKET_", *PROXIES))}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PROGRAMS.parents[2]), kept.get("PYTHONPATH"))))
    return kept
