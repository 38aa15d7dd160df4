"""``nbsocket doctor``: from the cable to the broker, what works, what does not, and the command that mends it."""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from nbsocket._cli._doctor import _libraries, _module
from nbsocket._cli._doctor._finding import Finding, failure, fine, skipped, text_of
from nbsocket._cli._doctor._host import check_host
from nbsocket._cli._doctor._network import check_network, split_host
from nbsocket._cli._exit import ExitCode, exit_code_of, sentence_of
from nbsocket._cli._options import LOOK_ONLY, configure_modem, named_port
from nbsocket._privacy import mask_identities, mask_secrets
from nbsocket._version import __version__

if TYPE_CHECKING:
    from nbsocket import Modem, ModuleDetails

#: Where the host's own files are; tests name another folder.
ROOT = Path("/")

#: Seconds to find the modem: trying all baud rates takes long with one that answers slowly.
FINDING_TIME = 120.0

#: Checks of what the modem tells about itself, each with the check that must not have failed before it.
_OF_MODULE: dict[str, tuple[Callable[[ModuleDetails, str], Finding], str | None]] = {
    "module": (_module.check_firmware, None),
    "SIM card": (_module.check_sim, None),
    "signal": (_module.check_signal, "SIM card"),
    "registration": (_module.check_registration, "SIM card"),
    "access point": (_module.check_access_point, None),
    "address": (_module.check_address, "registration"),
    "settings": (_module.check_settings, None),
    "data format": (_module.check_format, None),
    "sleep": (_module.check_sleep, None),
}

#: Checks that send something over the network.
_OVER_NETWORK = ("name server", "connection", "TLS")
#: All checks that need a modem which answers.
_WITH_ANSWERS = (*_OF_MODULE, "clock", *_OVER_NETWORK)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the host that is to be reached, and where the report goes."""
    parser.add_argument("--host", metavar="HOST[:PORT]", help="a host of yours that must be reachable (port: 443)")
    parser.add_argument("--report", metavar="FILE", help="write the report for an issue there, not to stdout")


def main(options: argparse.Namespace) -> int:
    """Print each finding as soon as its check is done; the exit code is 1 if any check failed."""
    if options.host is not None:
        split_host(options.host)
    port = named_port(options)
    columns = shutil.get_terminal_size((120, 24)).columns
    findings: list[Finding] = []
    for finding in _look(port, options):
        findings.append(finding)
        if not options.json:
            print(text_of(finding, columns), flush=True)
    report = _report(port, findings, shows_identities=options.show_identities)
    if options.report is not None:
        Path(options.report).write_text(report, encoding="utf-8")
    if options.json:
        keys = ("check", "ok", "detail", "remedy")
        print(json.dumps([{key: getattr(finding, key) for key in keys} for finding in findings], indent=2))
    else:
        print(f"\n{_summary(findings)}")
        if options.report is None:
            print(f"\nFor an issue, the same without names and addresses:\n\n{report}", end="")
    return ExitCode.FAILURE if any(finding.ok is False for finding in findings) else ExitCode.SUCCESS


def _look(port: str, options: argparse.Namespace) -> Iterator[Finding]:
    has_failed = False
    for finding in check_host(port, ROOT):
        has_failed |= finding.ok is False
        yield finding
    if has_failed:
        yield from _skip(("line", *_WITH_ANSWERS), "the port cannot be used")
    else:
        yield from _look_at_module(port, options)
    yield _libraries.check_libraries(_libraries.installed_version)


def _look_at_module(port: str, options: argparse.Namespace) -> Iterator[Finding]:
    try:
        modem = configure_modem(options, **LOOK_ONLY)
        modem.open(FINDING_TIME)
    except (OSError, ValueError) as error:
        yield _line_failure(shlex.quote(port), error)
        yield from _skip(_WITH_ANSWERS, "the module does not answer")
        return
    with modem:
        try:
            details = modem.details()
        except OSError as error:
            yield _line_failure(shlex.quote(port), error)
            yield from _skip(_WITH_ANSWERS, "the module has stopped answering")
            return
        rate = f"{details.baudrate} baud" if details.baudrate else "a line behind the port"
        yield fine("line", f"the module answers at {rate}")
        named = shlex.quote(port)  # the remedies are commands to be pasted into a shell
        yield from _look_at_details(details, named)
        yield _module.check_clock(_clock_of(modem), datetime.now(timezone.utc), named)
        if details.registered and details.address:
            yield from check_network(modem, options.host)
        else:
            yield from _skip(_OVER_NETWORK, "there is no network")


def _skip(checks: Iterable[str], why: str) -> Iterator[Finding]:
    return (skipped(check, why) for check in checks)


def _look_at_details(details: ModuleDetails, port: str) -> Iterator[Finding]:
    failed: set[str] = set()
    for name, (check, needed) in _OF_MODULE.items():
        if needed in failed:
            failed.add(name)
            yield skipped(name, f"the {needed} comes first")
            continue
        finding = check(details, port)
        if finding.ok is False:
            failed.add(name)
        yield finding


def _line_failure(port: str, error: Exception) -> Finding:
    remedies = {
        ExitCode.MODULE_SILENT: "check power, TX and RX (crossed) and ground; "
        f"a module that was set to another rate: nbsocket --port {port} --baudrate RATE doctor",
        ExitCode.PORT_IN_USE: f"sudo fuser -v {port}   # and stop what has it",
        ExitCode.PORT_DENIED: f"ls -l {port}   # and: sudo usermod -aG GROUP $USER",
        ExitCode.USAGE: "nbsocket help",
    }
    code = exit_code_of(error)
    return failure("line", sentence_of(error), remedies.get(code, f"nbsocket --port {port} -vv info"))


def _clock_of(modem: Modem) -> datetime | None:
    try:
        return modem.clock()
    except OSError:
        return None


def _summary(findings: list[Finding]) -> str:
    failures = [finding.check for finding in findings if finding.ok is False]
    warnings = sum(finding.is_warning for finding in findings)
    if failures:
        return f"{failures[0]} is the first thing to mend; warnings: {warnings}"
    return "nothing is wrong" + (f"; warnings: {warnings}" if warnings else "")


def _report(port: str, findings: list[Finding], *, shows_identities: bool) -> str:
    head = f"nbsocket {__version__}, Python {platform.python_version()}, {platform.platform()}, port {port}"
    lines = [head, *(text_of(finding, 100) for finding in findings)]
    text = mask_secrets("\n".join(lines))
    return f"```text\n{text if shows_identities else mask_identities(text)}\n```\n"


__all__ = ["ROOT", "add_arguments", "main"]
