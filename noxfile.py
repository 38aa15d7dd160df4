"""``nox``: the checks of ``.ci/run`` one by one, each in an environment of its own.

``nox --list`` names them; without arguments the tests, the lint and the types run. A Python that is not installed is
skipped. What follows ``--`` goes to pytest: ``nox -s tests-3.12 -- tests/driver -k close``.
"""

from __future__ import annotations

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]

nox.needs_version = ">=2024.10"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The tests, on each Python."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", "-n", "2", *(session.posargs or ["tests"]))


@nox.session
def simulation(session: nox.Session) -> None:
    """3,000 schedules with faults, and the goldens."""
    session.install(".[test]")
    session.run("python", "-m", "tests.simulation", "--seeds", "3000", "--jobs", "2")
    session.run("python", "-m", "tests.simulation.goldens", "--jobs", "2")


@nox.session
def lint(session: nox.Session) -> None:
    """Format, lint and spelling."""
    session.install("ruff", "codespell")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("codespell")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict."""
    session.install(".[test]")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """The documents as a site, in ``build/site``; a broken link is an error."""
    session.install(".[docs]")
    session.run("python", "-m", "mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def compat(session: nox.Session) -> None:
    """Other people's programs, unmodified; the servers that are not installed are skipped and named."""
    session.install(".[compat]")
    # It wants an older paho-mqtt than the others.
    apart = f"{session.virtualenv.location}/apart/azure-iot-device"
    session.install("--target", apart, "azure-iot-device")
    session.run("python", "-m", "pytest", "-n", "2", "-rs", *(session.posargs or ["compat_tests"]))
