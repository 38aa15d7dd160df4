"""requests, unmodified, over HTTP and verified HTTPS."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from compat_tests.conftest import FarSide

pytestmark = pytest.mark.timeout(180)

EXPECTED = ["0 bytes each way", "1 bytes each way", "1048576 bytes each way", "one connection for seven requests"]


@pytest.fixture(params=["http", "https"])
def program(request: pytest.FixtureRequest, far_side: FarSide) -> list[object]:
    """The program's name (without .py) and its arguments."""
    if request.param == "http":
        return ["http_session", f"http://api.example:{far_side.http.port}"]
    url = f"https://api.example:{far_side.https.port}"
    return ["http_session", url, far_side.ca_file, far_side.wrong_ca_file]


def expected_of(program: list[object]) -> list[str]:
    """The lines that the program must print."""
    return EXPECTED + (["the wrong authority is refused"] if len(program) > 2 else [])


@pytest.mark.parametrize("data_format", ["hex", "raw"])
def test_program(run: Callable[..., str], port: str, program: list[object], data_format: str) -> None:
    """The program as it is, patched before its imports."""
    name, *arguments = program
    common = ["--port", port, "--data-format", data_format]
    output = run("-m", "nbsocket", *common, "run", "--bypass", "none", "--strict", f"{name}.py", *arguments)
    assert all(line in output for line in expected_of(program))


def test_program_patched_after_its_imports(run: Callable[..., str], port: str, program: list[object]) -> None:
    """The program's module is imported, and ``from requests import get, post`` done, before the patch."""
    output = run("patch_late.py", port, *program)
    assert all(line in output for line in expected_of(program))
