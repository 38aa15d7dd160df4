"""Nothing leaves the machine, and the modems that the tests speak through."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from nbsocket._routing._audit import is_ours
from nbsocket._runtime._stdlib import getaddrinfo
from tests.helpers import sim_url
from tests.varieties import chosen

if TYPE_CHECKING:
    from nbsocket import Modem
    from nbsocket.sim import Simulator


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """The command line sets the package's loggers up; what it does within this process ends with the test."""
    loggers = [logging.getLogger(name) for name in ("nbsocket", "nbsocket.at")]
    kept = [(logger, logger.level, logger.propagate, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, propagate, handlers in kept:
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers


_LOCAL_HOSTS = ("", "localhost", "<broadcast>")


def _leaves_the_machine(host: object) -> bool:
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("latin-1")
    if not isinstance(host, str) or host in _LOCAL_HOSTS:
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return True
    return not (address.is_loopback or address.is_unspecified)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if is_ours(event, args):
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        sock, address = args
        if int(sock.family) in (2, 10, 30) and isinstance(address, tuple) and _leaves_the_machine(address[0]):
            raise AssertionError(f"{event} to {address!r} would leave the machine")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        caller = sys._getframe(1)
        if caller.f_code is getaddrinfo.__code__ and caller.f_locals["flags"] & socket.AI_NUMERICHOST:
            return  # asks nobody: trio tries every name as a number first
        host = args[0].decode("latin-1") if isinstance(args[0], bytes) else args[0]
        try:
            ip_address(host or "::1")
        except ValueError:
            # An odd spelling of an address, as 127.1, costs no traffic either.
            if host not in _LOCAL_HOSTS and host.strip("0123456789abcdefx.") and "%" not in host:
                raise AssertionError(f"{event} of {host!r} would ask a name server") from None


# A shell's background job ignores SIGINT, and so would the tests of Ctrl-C and the programs that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Audit hooks cannot be removed: this one is for the whole test run.
sys.addaudithook(_audit)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of what the simulated modules are like."""
    parser.addoption(
        "--firmware",
        default=os.environ.get("NBSOCKET_TEST_SIM", ""),
        help="a name of tests/varieties.py, or simulator options as in firmware=A02&prompt=bare "
        "(default: $NBSOCKET_TEST_SIM)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a choice that there is not."""
    try:
        chosen(config.getoption("--firmware"))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Tell the choice."""
    name = config.getoption("--firmware")
    return [f"simulated modules: {name}"] if name else []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the choice makes no difference to: tests that speak through no simulated module of ours."""
    if config.getoption("--firmware"):
        touched = [item for item in items if "firmware" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=[item for item in items if item not in touched])
        items[:] = touched


@pytest.fixture
def firmware(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Simulator options that the run was started with; those that a test names itself come first."""
    return chosen(request.config.getoption("--firmware"))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own settings do not reach the tests."""
    for name in [name for name in os.environ if name.startswith("NBSOCKET_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def make_simulator(firmware: dict[str, Any]) -> Iterator[Callable[..., Simulator]]:
    """Makes simulated modules on a pty; options are the simulator's."""
    from nbsocket.sim import Options, Simulator

    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Simulator(Options(**{**firmware, **options})))


@pytest.fixture
def make_modem(firmware: dict[str, Any], make_simulator: Callable[..., Simulator]) -> Iterator[Callable[..., Modem]]:
    """Makes modems on a simulated module; ``line`` is "sim" (in process) or "pty", options are the simulator's."""
    from nbsocket import Modem

    with ExitStack() as stack:

        def make(line: str = "sim", data_format: Any = "hex", **options: Any) -> Modem:
            port = make_simulator(**options).path if line == "pty" else sim_url(**{**firmware, **options})
            modem = Modem(port, data_format=data_format)
            stack.callback(modem.close)
            return modem

        yield make


@pytest.fixture(params=["sim-hex", "sim-raw", "pty-hex", "pty-raw"])
def modem(request: pytest.FixtureRequest, make_modem: Callable[..., Modem]) -> Modem:
    """A modem on a simulated module, in both lines and both data formats."""
    line, data_format = request.param.split("-")
    return make_modem(line, data_format)
