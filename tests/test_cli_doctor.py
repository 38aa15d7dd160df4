"""``nbsocket doctor``: planted faults, each of which it must name, with the remedy."""

from __future__ import annotations

import errno
import json
import os
import ssl
import threading
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import trustme

from nbsocket import Modem
from nbsocket._cli import _doctor, main
from nbsocket._cli._doctor import _libraries, _module
from nbsocket._cli._doctor._finding import Finding, text_of
from nbsocket._cli._doctor._host import check_host
from nbsocket._cli._doctor._network import check_network, split_host
from nbsocket._cli._exit import ExitCode
from nbsocket.sim import Simulator
from tests.helpers import echo, sim_url, tcp_server, unused_port

PORT = "/dev/ttyUSB0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host's folders, with a device and a shell that has nothing to do with it."""
    for folder in ("dev", "boot/firmware", "proc/700/fd"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/700/comm").write_text("bash\n")
    (tmp_path / "dev/ttyUSB0").touch()
    (tmp_path / "dev/ttyS0").touch()
    return tmp_path


def plant_process(root: Path, pid: int, name: str, *open_files: str) -> None:
    folder = root / "proc" / str(pid) / "fd"
    folder.mkdir(parents=True)
    (folder.parent / "comm").write_text(f"{name}\n")
    for number, path in enumerate(open_files):
        (folder / str(number)).symlink_to(root / path)


def on_host(root: Path, check: str, port: str = PORT) -> Finding:
    return next(finding for finding in check_host(port, root) if finding.check == check)


def fails(finding: Finding, detail: str, remedy: str) -> None:
    assert finding.ok is False and detail in finding.detail and finding.remedy is not None, finding
    assert remedy in finding.remedy, finding


# -- the host


def test_healthy_host(root: Path) -> None:
    assert [(finding.ok, finding.remedy) for finding in check_host(PORT, root)] == [(True, None)] * 5


def test_device_that_is_not_there(root: Path) -> None:
    fails(on_host(root, "device", "/dev/ttyUSB3"), "/dev/ttyUSB0", "nbsocket --port /dev/ttyUSB0 doctor")
    (root / "dev/ttyUSB0").unlink()
    fails(on_host(root, "device"), "no serial device is there at all", "dmesg")


def test_device_that_is_a_folder(root: Path) -> None:
    fails(on_host(root, "device", "/dev"), "is a directory", "nbsocket --port /dev/ttyUSB0")


def test_no_rights(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the tests may run as root, who may everything
    fails(on_host(root, "rights"), "may not read and write /dev/ttyUSB0", "sudo usermod -aG ")


def test_getty_on_the_port(root: Path) -> None:
    plant_process(root, 812, "agetty", "dev/ttyS0")
    finding = on_host(root, "other programs", "/dev/ttyS0")
    fails(finding, "agetty (process 812)", "sudo systemctl disable --now serial-getty@ttyS0.service")


def test_port_held_by_modem_manager(root: Path) -> None:
    plant_process(root, 813, "ModemManager", "dev/ttyUSB0")
    fails(on_host(root, "other programs"), "ModemManager (process 813)", "systemctl disable --now ModemManager")


def test_port_held_by_another_program(root: Path) -> None:
    plant_process(root, 814, "minicom", "dev/null", "dev/ttyUSB0")
    fails(on_host(root, "other programs"), "minicom (process 814)", "kill 814")


def test_modem_manager_that_may_come(root: Path) -> None:
    plant_process(root, 815, "ModemManager")
    finding = on_host(root, "ModemManager")
    assert finding.is_warning and finding.remedy is not None and "nbsocket run --print-udev" in finding.remedy


def test_console_on_the_uart(root: Path) -> None:
    (root / "boot/firmware/cmdline.txt").write_text("console=serial0,115200 console=tty1 root=PARTUUID=1 rootwait\n")
    finding = on_host(root, "console", "/dev/ttyS0")
    fails(finding, "the kernel's console is on serial0", "sudo raspi-config nonint do_serial_cons 1 && sudo reboot")
    assert on_host(root, "console").ok, "an adapter is no such UART"


def test_uart_that_is_not_switched_on(root: Path) -> None:
    (root / "boot/firmware/config.txt").write_text("dtparam=audio=on\n")
    finding = on_host(root, "console", "/dev/ttyS0")
    assert finding.is_warning and finding.remedy is not None
    assert "echo enable_uart=1 | sudo tee -a /boot/firmware/config.txt" in finding.remedy
    (root / "boot/firmware/config.txt").write_text("dtparam=audio=on\nenable_uart=1\n")
    assert on_host(root, "console", "/dev/ttyS0") == Finding("console", True, "no console is on /dev/ttyS0")


# -- the modem


def look(capsys: pytest.CaptureFixture[str], *words: str, code: int = 1) -> dict[str, Finding]:
    """Run it; return what it found, by the check."""
    capsys.readouterr()
    assert main(["doctor", "--json", *words]) == code
    return {row["check"]: Finding(**row) for row in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize(
    ("options", "check", "detail", "remedy"),
    [
        ({"sim_card": "none", "attached": False}, "SIM card", "no SIM card is there", "put the card in"),
        ({"sim_card": "pin", "attached": False}, "SIM card", "wants its PIN", "--pin-file FILE info"),
        ({"sim_card": "puk", "attached": False}, "SIM card", "wants its PUK", "AT+CPIN="),
        ({"registration": "denied"}, "registration", "denied", "ask the operator of the card"),
        ({"registration": "searching"}, "registration", "searching", "info --watch 5"),
        ({"registration": "searching"}, "signal", "hears no cell", "check the antenna"),
        ({"attached": False, "boot_time": 0.0, "address_delay": 600.0}, "address", "no address", "--apn NAME info"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_fault_of_the_network(
    capsys: pytest.CaptureFixture[str], options: dict[str, Any], check: str, detail: str, remedy: str
) -> None:
    found = look(capsys, "--port", sim_url(**options))
    fails(found[check], detail, remedy)
    assert found["connection"].ok is None and found["connection"].detail == "there is no network"


def test_weak_signal() -> None:
    with Modem(sim_url(rsrp=-128)) as modem:
        modem.wait_attached()
        finding = _module.check_signal(modem.details(), PORT)
    assert finding.is_warning and "-128 dBm is weak" in finding.detail


def test_power_saving(capsys: pytest.CaptureFixture[str]) -> None:
    finding = look(capsys, "--port", sim_url(psm=True), code=0)["sleep"]
    assert finding.is_warning and finding.remedy is not None and "at AT+CPSMS=0" in finding.remedy


def test_module_that_is_silent(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = os.openpty()
    try:
        monkeypatch.setattr(_doctor, "FINDING_TIME", 1.0)
        found = look(capsys, "--port", os.ttyname(follower), "--baudrate", "9600")
    finally:
        os.close(leader)
        os.close(follower)
    assert found["line"].ok is False and found["SIM card"].ok is None


def test_what_another_program_left(capsys: pytest.CaptureFixture[str]) -> None:
    finding = look(capsys, "--port", sim_url(cmee=0, echo=True), code=0)["settings"]
    assert finding.ok and finding.remedy is None
    assert "commands were echoed (ATE1), errors had no numbers (AT+CMEE=0)" in finding.detail


def test_module_that_stops_answering(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def details(modem: Modem) -> None:
        raise OSError(errno.ETIMEDOUT, "the module did not answer ATI")

    monkeypatch.setattr(Modem, "details", details)
    found = look(capsys, "--port", sim_url())
    fails(found["line"], "did not answer ATI", "info")
    assert (found["TLS"].ok, found["TLS"].detail) == (None, "the module has stopped answering")


def test_another_module() -> None:
    with Modem(sim_url()) as modem:
        details = modem.details()
    other = type(
        "Details",
        (),
        {
            "model": "SIM7020E",
            "revision": "1752B07",
        },
    )()
    assert _module.check_firmware(details, PORT).remedy is None
    finding = _module.check_firmware(other, PORT)
    assert finding.is_warning and "SIM7020E" in finding.detail


NOW = datetime(2026, 11, 27, 1, 0, tzinfo=timezone.utc)


def test_clocks() -> None:
    fails(_module.check_clock(NOW, datetime(1970, 1, 1, tzinfo=timezone.utc), PORT), "1970-01-01", "date -u -s")
    never = _module.check_clock(None, NOW, PORT)
    assert never.is_warning and never.remedy is not None and "ntp pool.ntp.org --set" in never.remedy
    assert _module.check_clock(NOW - timedelta(hours=1), NOW, PORT).is_warning
    assert _module.check_clock(NOW - timedelta(seconds=9), NOW, PORT).remedy is None


# -- the network behind it


def over_the_module(target: str, **options: Any) -> dict[str, Finding]:
    with Modem(sim_url(**options)) as modem:
        modem.wait_attached()
        return {finding.check: finding for finding in check_network(modem, target)}


def test_name_that_is_not_found() -> None:
    found = over_the_module("no.such.invalid")
    fails(found["name server"], "no.such.invalid is not found", "--dns 1.1.1.1 resolve no.such.invalid")
    assert found["TLS"].ok is None


def test_connection_that_is_refused() -> None:
    port = unused_port()
    fails(over_the_module(f"host.example:{port}")["connection"], "refused", f"nc -vz host.example {port}")


def test_connection_without_tls() -> None:
    with tcp_server(echo) as port:
        found = over_the_module(f"host.example:{port}")
    assert found["connection"].ok and found["TLS"].ok is None


@pytest.mark.parametrize("is_valid", [True, False])
def test_handshake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_valid: bool) -> None:
    authority = trustme.CA()
    expiry = datetime.now(timezone.utc) + timedelta(days=1 if is_valid else -1)
    certificate = authority.issue_cert("host.example", not_after=expiry)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    done = threading.Event()

    def serve(connection: Any) -> None:
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1)
        done.set()

    with tcp_server(serve) as port:
        monkeypatch.setattr("nbsocket._cli._doctor._network.TLS_PORTS", {port})
        finding = over_the_module(f"host.example:{port}")["TLS"]
        assert done.wait(30)
    if is_valid:
        assert finding.ok and "TLSv1" in finding.detail
    else:
        fails(finding, "expired", "date -u")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("a.example", ("a.example", 443)),
        ("a.example:8883", ("a.example", 8883)),
        ("192.0.2.1:80", ("192.0.2.1", 80)),
        ("[2001:db8::1]:80", ("2001:db8::1", 80)),
        ("[2001:db8::1]", ("2001:db8::1", 443)),
        ("2001:db8::1", ("2001:db8::1", 443)),
    ],
)
def test_host_and_port(text: str, target: tuple[str, int]) -> None:
    assert split_host(text) == target


@pytest.mark.parametrize("text", ["a.example:", "a.example:x", ":80", "a:0", "a:65536"])
def test_wrong_host(text: str) -> None:
    assert main(["doctor", "--port", "sim://", "--host", text]) == ExitCode.USAGE


def test_short_time_outs() -> None:
    finding = _libraries.check_libraries({"paho-mqtt": "2.1", "httpx": "0.27"}.get)
    assert finding.is_warning and "paho-mqtt: 5 s to connect" in finding.detail and finding.remedy is not None
    assert "connect_timeout = 60" in finding.remedy and "httpx.Client(timeout=60)" in finding.remedy
    assert _libraries.check_libraries(lambda name: None).remedy is None


# -- the whole


@pytest.mark.parametrize("columns", [60, 120])
def test_healthy_module(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(_libraries, "SHORT", {})
    with Simulator() as simulator, tcp_server(echo) as port:
        assert main(["--port", simulator.path, "doctor", "--host", f"host.example:{port}"]) == 0
        assert not [line for line in simulator.commands if "QSCLK=1" in line or "CPSMS=" in line or "CFUN=" in line]
    output = capsys.readouterr().out
    shown, _, report = output.partition("For an issue")
    assert "nothing is wrong" in shown and "FAILURE" not in output
    assert max(map(len, shown.splitlines())) <= columns and "\x1b" not in output
    assert "89860400000000000001" in shown and "89860400000000000001" not in report and "*.*.*.42" in report


def test_report_in_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    assert main(["doctor", "--port", sim_url(), "--report", str(path)]) == 0
    assert "```text" in path.read_text() and "```" not in capsys.readouterr().out


def test_port_that_cannot_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    found = look(capsys, "--port", "/dev/ttyUSB97")
    assert found["device"].ok is False and found["line"].ok is None and found["time-outs"].ok


def test_commands_are_not_broken() -> None:
    text = text_of(Finding("x", False, "word " * 40, "sudo a very long command " * 5), 60)
    assert "-> sudo a very long command sudo" in text and max(map(len, text.splitlines()[:-1])) <= 60
