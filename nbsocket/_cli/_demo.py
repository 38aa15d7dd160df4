"""``nbsocket demo``: other people's programs, unmodified, over a simulated module to real servers on loopback."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from nbsocket._cli._demo_servers import Server, make_certificates, start_broker, start_http
from nbsocket._cli._exit import CommandError, ExitCode
from nbsocket.sim import Options, Simulator

PROGRAMS = Path(__file__).parent / "demo_programs"
BROKER, WEB = "broker.example", "api.example"
#: What the extra "demo" brings.
REQUIRED = ("paho", "requests", "trustme")
PROGRAM_TIMEOUT = 90.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the properties of the simulated radio; their defaults are those of NB-IoT in fair coverage."""
    parser.description = (
        "Start a simulated module, an MQTT broker and an HTTPS server on this machine's loopback, and run an unmodified "
        "paho-mqtt and an unmodified requests program over the module."
    )
    parser.add_argument("--latency", type=float, default=0.4, help="round trip of the network in s (default: 0.4)")
    parser.add_argument("--radio-rate", type=float, default=8000.0, help="bytes a second over the air (default: 8000)")


def main(options: argparse.Namespace) -> int:
    """Run the demo; 0 when everything arrived as it should."""
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        raise CommandError(f"the demo needs {', '.join(missing)}: pip install 'nbsocket[demo]'", ExitCode.FAILURE)
    report = _Reporter()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nbsocket-demo-")))
        ca_file, certificate = make_certificates(folder, WEB)
        broker = stack.enter_context(start_broker(folder))
        report(f"MQTT broker ({broker.name}) on 127.0.0.1:{broker.port}, the module's {BROKER}:1883")
        web = stack.enter_context(start_http(certificate))
        report(f"HTTPS server on 127.0.0.1:{web.port}, the module's {WEB}:443")
        simulator = stack.enter_context(_start_simulator(options, broker, web))
        report(f"simulated BC260Y-CN on {simulator.path}: {options.baudrate or 115200} baud")
        programs = (("mqtt_hello.py", BROKER, "1883"), ("https_hello.py", f"https://{WEB}", str(ca_file)))
        failures = [program[0] for program in programs if not _run(program, simulator.path, options, report)]
    print(json.dumps(simulator.stats()))
    if failures:
        raise CommandError(f"demo: {' and '.join(failures)} failed", ExitCode.FAILURE)
    report("both programs did their work; not one packet of theirs left by another way than the module")
    return ExitCode.SUCCESS


class _Reporter:
    """Prints progress with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"{time.monotonic() - self._start:5.1f} s  {line}", flush=True)
