"""aiohttp asks no name server past the modem; see compat_tests for the real one."""

from __future__ import annotations

import pytest

from tests.helpers import run_isolated


@pytest.mark.parametrize("order", ["first", "later"])
def test_look_ups_of_aiohttp_go_through_the_modem(order: str) -> None:
    assert run_isolated("aiohttp_resolver.py", order).splitlines()[-1] == "done"
