"""The far side for other people's programs: brokers and web servers in processes of their own, on loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from compat_tests._servers import Servers
from compat_tests.libraries import HOST, program_environment
from nbsocket._cli._demo_servers import DemoServer, find_mosquitto, make_certificates, start_broker, start_http
from nbsocket.sim import Options, Simulator

PROGRAMS = Path(__file__).parent / "programs"
RUN_TIMEOUT = 150.0


@dataclass(frozen=True, slots=True)
class FarSide:
    """What the programs talk to; the simulated module leads every name to the same port of 127.0.0.1."""

    ca_file: Path
    wrong_ca_file: Path
    brokers: dict[str, DemoServer]
    http: DemoServer
    https: DemoServer


@pytest.fixture(scope="session")
def far_side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarSide]:
    """Every server, for the whole run."""
    folder = tmp_path_factory.mktemp("far_side")
    ca_file, certificate = make_certificates(folder, "broker.example", "api.example")
    wrong_ca_file, _ = make_certificates(tmp_path_factory.mktemp("wrong_ca"), "api.example")
    kinds = ["amqtt"] + (["mosquitto"] if find_mosquitto() else [])
    with ExitStack() as stack:
        brokers = {kind: stack.enter_context(start_broker(folder, certificate, kind=kind)) for kind in kinds}
        http, https = (stack.enter_context(start_http(chosen)) for chosen in (None, certificate))
        yield FarSide(ca_file, wrong_ca_file, brokers, http, https)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The authority's file, and the key and chain of the libraries' servers."""
    return make_certificates(tmp_path_factory.mktemp("certificates"), HOST)


@pytest.fixture(scope="session")
def ca_file(certificates: tuple[Path, Path]) -> Path:
    """The authority's file."""
    return certificates[0]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, certificates: tuple[Path, Path]) -> Iterator[Servers]:
    """The libraries' servers, each started when first asked for."""
    with ExitStack() as stack:
        yield Servers(stack, tmp_path_factory.mktemp("servers"), certificates[1])


@pytest.fixture(params=["pty", "sim"])
def port(request: pytest.FixtureRequest) -> Iterator[str]:
    """A simulated module: on a pseudo-terminal of this process, or inside the program's own."""
    if request.param == "sim":
        yield "sim://"
        return
    with Simulator(Options()) as simulator:
        yield simulator.path


@pytest.fixture
def run() -> Callable[..., str]:
    """Runs ``python`` in the programs' folder and returns what it printed; fails the test unless it ends with 0."""

    def run_python(*arguments: object, environment: dict[str, str] | None = None, expected_code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=PROGRAMS,
            env=program_environment(environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT,
        )
        assert done.returncode == expected_code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run_python
