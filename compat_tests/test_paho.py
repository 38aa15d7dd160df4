"""paho-mqtt, unmodified, with QoS 0, 1, 2 and a will, against real brokers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from compat_tests.conftest import FarSide

pytestmark = pytest.mark.timeout(180)

EXPECTED = ["QoS 0: 256 bytes", "QoS 1: 32 bytes", "QoS 2: 10240 bytes", "the will came"]


@pytest.fixture(params=["mosquitto", "amqtt"])
def broker(request: pytest.FixtureRequest) -> str:
    """The name of a broker."""
    return str(request.param)


@pytest.fixture(params=["tcp", "tls"])
def program(request: pytest.FixtureRequest, far_side: FarSide, broker: str) -> list[object]:
    """The program's name (without .py) and its arguments."""
    if broker not in far_side.brokers:
        pytest.skip("mosquitto is not installed on this machine")
    server = far_side.brokers[broker]
    if request.param == "tls":
        return ["mqtt_session", "broker.example", server.tls_port, far_side.ca_file]
    return ["mqtt_session", "broker.example", server.port]


@pytest.mark.parametrize("data_format", ["hex", "raw"])
def test_program(run: Callable[..., str], port: str, program: list[object], data_format: str) -> None:
    """The program as it is, patched before its imports."""
    name, *arguments = program
    common = ["--port", port, "--data-format", data_format]
    output = run("-m", "nbsocket", *common, "run", "--bypass", "none", "--strict", f"{name}.py", *arguments)
    assert all(line in output for line in EXPECTED)


def test_program_patched_after_its_imports(run: Callable[..., str], port: str, program: list[object]) -> None:
    """The program's module is imported, and paho with it, before the patch."""
    output = run("patch_late.py", port, *program)
    assert all(line in output for line in EXPECTED)
