"""Every library of the table: its program, unmodified, patched before and after the library is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from compat_tests import report
from compat_tests._servers import ServerMissing, Servers
from compat_tests.libraries import HOST, LIBRARIES, WAYS, Library
from nbsocket._cli._demo_servers import make_certificates

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="session")
def ca_and_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Servers]]:
    """The authority's file, and servers with a certificate of it."""
    folder = tmp_path_factory.mktemp("servers")
    ca_file, certificate = make_certificates(folder, HOST)
    with ExitStack() as stack:
        yield ca_file, Servers(stack, folder, certificate)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: f"{library.name}-{library.server}")
def test_library(run: Callable[..., str], ca_and_servers: tuple[Path, Servers], library: Library, way: str) -> None:
    """The program ends well and says what it did."""
    ca_file, servers = ca_and_servers
    try:
        arguments = library.arguments(servers, ca_file)
    except ServerMissing as reason:
        pytest.skip(str(reason))
    assert run(*WAYS[way]("sim://", arguments)).splitlines()


def test_readme_names_every_library() -> None:
    """Its table is made by ``python -m compat_tests.report``."""
    assert report.main(["--check"]) == 0
