"""Unmodified programs on each simulated model that is not BC260Y-CN, which the driver finds out by ATI."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from compat_tests.conftest import FarSide
from nbsocket.sim import Options, Simulator

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.parametrize("model", ["bc660k", "bc66"]),
    pytest.mark.parametrize("data_format", ["hex", "raw"]),
]


@pytest.fixture
def port(model: str) -> Iterator[str]:
    """A simulated modem of the model on a pseudo-terminal."""
    with Simulator(Options(model=model)) as simulator:
        yield simulator.path


def run_program(run: Callable[..., str], port: str, data_format: str, name: str, *arguments: object) -> str:
    # A BC660K-GL has no name server until one is set (docs/siblings.md §2).
    common = ["--port", port, "--data-format", data_format, "--dns", "192.0.2.53"]
    return run("-m", "nbsocket", *common, "run", "--bypass", "none", "--strict", f"{name}.py", *arguments)


@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
def test_paho(run: Callable[..., str], port: str, far_side: FarSide, data_format: str, is_tls: bool) -> None:
    """QoS 0, 1, 2 and a will."""
    server = far_side.brokers["amqtt"]
    arguments = [server.tls_port, far_side.ca_file] if is_tls else [server.port]
    output = run_program(run, port, data_format, "mqtt_session", "broker.example", *arguments)
    for line in ("QoS 0: 256 bytes", "QoS 1: 32 bytes", "QoS 2: 10240 bytes", "the will came"):
        assert line in output


def test_requests(run: Callable[..., str], port: str, far_side: FarSide, data_format: str) -> None:
    """HTTPS both ways, up to 1 MiB, and an authority that is refused."""
    url = f"https://api.example:{far_side.https.port}"
    output = run_program(run, port, data_format, "http_session", url, far_side.ca_file, far_side.wrong_ca_file)
    assert "1048576 bytes each way" in output
    assert "the wrong authority is refused" in output
