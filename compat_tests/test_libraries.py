"""Every library of the table: its program, unmodified, patched before and after the library is imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from compat_tests import report
from compat_tests._servers import ServerMissing, Servers
from compat_tests.libraries import LIBRARIES, WAYS, Library

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: f"{library.name}-{library.server}")
def test_library(run: Callable[..., str], ca_file: Path, servers: Servers, library: Library, way: str) -> None:
    """The program ends well and says what it did."""
    try:
        arguments = library.arguments(servers, ca_file)
    except ServerMissing as reason:
        pytest.skip(str(reason))
    port = library.port(servers)
    assert run(*WAYS[way](port, arguments), environment=library.environment).splitlines()


def test_the_documents_name_every_library() -> None:
    """Its table is made by ``python -m compat_tests.report``."""
    assert report.main(["--check"]) == 0
