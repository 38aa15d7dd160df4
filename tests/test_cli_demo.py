"""``nbsocket demo``, as README's first command runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbsocket._cli._demo_servers import find_mosquitto

ROOT = Path(__file__).parents[1]


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the demo with a fast radio."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NBSOCKET_")}
    command = [sys.executable, "-m", "nbsocket", *words, "--latency", "0.02", "--radio-rate", "100000"]
    environment = {**kept, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=55
    )


@pytest.mark.parametrize("broker", ["mosquitto", "amqtt"])
def test_demo(broker: str) -> None:
    """Every step is shown, the table has both connections, and the exit code is 0."""
    if broker == "mosquitto" and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed on this machine")
    done = demo("demo", "--broker", broker)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = ["connected: Success", "received, QoS 1", "received, QoS 2", "GET https://api.example", "POST https://api"]
    places = [done.stdout.find(step) for step in [*steps, "TCP broker.example:1883", "TCP api.example:443"]]
    assert places == sorted(places)
    assert places[0] > 0


def test_demo_as_json() -> None:
    """The table as JSON alone on stdout; what the requests program moved is what its bodies and TLS need."""
    done = demo("--json", "--data-format", "raw", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    mqtt, https = json.loads(done.stdout)
    assert [name for name, _, _ in mqtt["connections"]] == ["TCP broker.example:1883"]
    [(name, sent, received)] = https["connections"]
    assert name == "TCP api.example:443"
    assert (1536 < sent < 5000, 2000 < received < 7000) == (True, True)
    assert https["bytes_up"] > sent
    assert https["bytes_down"] > received


def test_failure_of_a_program_is_the_demos() -> None:
    """A rate that no port has makes both programs fail: the exit code and one line say so."""
    done = demo("--baudrate", "7", "demo")
    assert done.returncode == 1
    assert done.stderr == "nbsocket: demo: mqtt_hello.py and https_hello.py failed\n"
