"""Every option of a modem: by argument, on the command line, in the environment and in files, and what it does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import nbsocket
from nbsocket import Modem, _default_modem, configure
from nbsocket._cli import main
from nbsocket._modem_options import OPTIONS, ModemOptions, complete
from tests.helpers import run_isolated, sim_url

#: A text for each option, and what it stands for.
TEXTS: dict[str, tuple[str, Any]] = {
    "baudrate": ("9600", 9600),
    "model": ("bc66", "bc66"),
    "data_format": ("raw", "raw"),
    "apn": ("iot", "iot"),
    "apn_user": ("me", "me"),
    "apn_password": ("secret", "secret"),
    "pdp_type": ("IPV6", "IPV6"),
    "pin": ("1234", "1234"),
    "dns": ("192.0.2.1,192.0.2.2", ("192.0.2.1", "192.0.2.2")),
    "dns_cache": ("5", 5.0),
    "power": ("psm", "psm"),
    "attach_timeout": ("12.5", 12.5),
    "look_up_timeout": ("7", 7.0),
    "ack_timeout": ("9", 9.0),
    "close_orphans": ("no", False),
    "wait_for_socket": ("3", 3.0),
    "hupcl": ("1", True),
    "log_payload": ("yes", True),
}


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No default modem, no variables, and folders of the test's own in place of the user's and the host's."""
    for name in tuple(os.environ):
        if name.startswith("NBSOCKET_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setattr("nbsocket._modem_options.HOST_FOLDER", str(tmp_path / "host"))
    monkeypatch.setattr(_default_modem, "_default", None)
    monkeypatch.setattr(_default_modem, "_pinned", None)
    yield
    if _default_modem._default is not None:
        _default_modem._default.close(0)


def write(tmp_path: Path, folder: str, name: str, text: str) -> Path:
    path = tmp_path / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_the_table_names_what_a_modem_takes() -> None:
    import inspect

    arguments = set(inspect.signature(Modem).parameters) - {"port"}
    assert arguments == set(get_type_hints(ModemOptions)) == set(OPTIONS) | {"restore_sleep"}
    assert set(TEXTS) == set(OPTIONS)


# -- the environment and the files


@pytest.mark.parametrize("name", TEXTS)
def test_by_environment(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    text, value = TEXTS[name]
    monkeypatch.setenv(f"NBSOCKET_{name.upper()}", text)
    assert complete("sim://", {}) == ("sim://", {name: value})
    assert complete("sim://", {name: "mine"}) == ("sim://", {name: "mine"})


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("folder", ["user/nbsocket", "host"])
@pytest.mark.parametrize("heading", ["", "[modem]\n"])
def test_by_file(tmp_path: Path, name: str, folder: str, heading: str) -> None:
    text, value = TEXTS[name]
    write(tmp_path, folder, "ttyUSB7.conf", f"{heading}# a comment\n{name.replace('_', '-')} = {text}\n")
    assert complete("/dev/ttyUSB7", {})[1] == {name: value}
    assert complete("/dev/ttyUSB8", {})[1] == {}


def test_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "host", "ttyUSB7.conf", "apn = of.host\npower = psm\nack_timeout = 1\n")
    write(tmp_path, "user/nbsocket", "ttyUSB7.conf", "apn = of.user\nack_timeout = 2\ndns-cache = 2\n")
    monkeypatch.setenv("NBSOCKET_ACK_TIMEOUT", "3")
    monkeypatch.setenv("NBSOCKET_DNS_CACHE", "3")
    _, options = complete("/dev/ttyUSB7", {"dns_cache": 4.0})
    assert options == {"apn": "of.user", "power": "psm", "ack_timeout": 3.0, "dns_cache": 4.0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("appn = x\n", ("no option 'appn'", "did you mean apn?")),
        ("baudrate = fast\n", ("baudrate must be a number", "'fast'")),
        ("power = off\n", ("power must be awake or psm", "'off'")),
        ("hupcl = perhaps\n", ("hupcl must be 0 or 1",)),
        ("[modem2]\napn = x\n", ("[modem2]",)),
        ("no sense\n", ("no sense",)),
    ],
)
def test_wrong_file(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    path = write(tmp_path, "user/nbsocket", "ttyUSB7.conf", text)
    with pytest.raises(ValueError, match=r"ttyUSB7\.conf") as caught:
        complete("/dev/ttyUSB7", {})
    assert str(path) in str(caught.value) and all(word in str(caught.value) for word in words)


def test_secret_that_others_may_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, "user/nbsocket", "ttyUSB7.conf", "pin = 1234\n")
    complete("/dev/ttyUSB7", {})
    assert not caplog.records
    path.chmod(0o644)
    complete("/dev/ttyUSB7", {})
    assert [f"chmod 600 {path}" in record.getMessage() for record in caplog.records] == [True]
    assert "1234" not in caplog.text


def test_pin_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = write(tmp_path, "", "pin", "4321\n")
    monkeypatch.setenv("NBSOCKET_PIN_FILE", str(secret))
    assert complete("sim://", {})[1] == {"pin": "4321"}
    secret.write_text("4321\n1234\n")
    with pytest.raises(ValueError, match="NBSOCKET_PIN_FILE must hold one line"):
        complete("sim://", {})


# -- the command line


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What configure() is called with by the command line, in place of a modem."""
    seen: dict[str, Any] = {}

    def configure(port: str | None, **options: Any) -> Any:
        seen.update(options, port=port)
        raise OSError(0, "seen")

    monkeypatch.setattr(nbsocket, "configure", configure)
    return seen


def flags(name: str) -> list[str]:
    text, value = TEXTS[name]
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    return [flag, text]


@pytest.mark.parametrize("name", sorted(set(TEXTS) - {"pin"}))
@pytest.mark.parametrize("is_behind", [False, True])
def test_on_the_command_line(given: dict[str, Any], name: str, is_behind: bool) -> None:
    words = [*flags(name), "--port", "sim://"]
    assert main(["info", *words] if is_behind else [*words, "info"]) == 1
    assert (given["port"], given[name]) == ("sim://", TEXTS[name][1])


def test_pin_on_the_command_line_comes_from_a_file(given: dict[str, Any], tmp_path: Path) -> None:
    assert main(["--port", "sim://", "info", "--pin-file", str(write(tmp_path, "", "pin", "4321\n"))]) == 1
    assert given["pin"] == "4321"


def test_password_on_the_command_line_may_come_from_a_file(given: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path, "", "password", "geheim\n")
    assert main(["--port", "sim://", "--apn-user", "me", "--apn-password-file", str(path), "info"]) == 1
    assert (given["apn_user"], given["apn_password"]) == ("me", "geheim")


def test_option_behind_wins_over_the_one_before(given: dict[str, Any]) -> None:
    main(["--port", "sim://", "--apn", "one", "info", "--apn", "two"])
    assert given["apn"] == "two"


def test_options_of_run_end_at_the_program(given: dict[str, Any]) -> None:
    main(["run", "--port", "sim://", "--apn", "mine", "app.py", "--apn", "its own", "--port", "x"])
    assert (given["port"], given["apn"]) == ("sim://", "mine")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["inof"], "did you mean info?"),
        (["info", "--prot", "x"], "did you mean --port?"),
        (["--atach-timeout", "3", "info"], "did you mean --attach-timeout?"),
        (["ping", "--cuont", "3", "host"], "did you mean --count?"),
        (["help", "pnig"], "did you mean ping?"),
    ],
)
def test_slips(capsys: pytest.CaptureFixture[str], words: list[str], hint: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert hint in message and message.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "usage"), [([], "nbsocket"), (["help"], "nbsocket"), (["help", "ping"], "nbsocket ping")]
)
def test_help(capsys: pytest.CaptureFixture[str], words: list[str], usage: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    output = capsys.readouterr()
    assert not caught.value.code and not output.err
    assert f"usage: {usage}" in output.out and "--attach-timeout" in output.out


def test_wrong_value_names_its_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--port", "sim://", "--attach-timeout", "soon"]) == 2
    assert "--attach-timeout must be a number of seconds, not 'soon'" in capsys.readouterr().err


def test_port_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = str(tmp_path / "ttyUSB7")
    began = time.monotonic()
    assert main(["info", "--port", port, "--wait-port", "0.6"]) == 3
    assert time.monotonic() - began >= 0.6
    assert f"waiting up to 0.6 s for {port}" in capsys.readouterr().err


def test_port_that_comes_is_used(tmp_path: Path) -> None:
    from nbsocket.sim import Simulator

    port = tmp_path / "ttyUSB7"
    with subprocess.Popen(
        [sys.executable, "-m", "nbsocket", "info", "--port", str(port), "--wait-port", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "waiting" in process.stderr.readline()
        with Simulator() as simulator:
            port.symlink_to(simulator.path)
            output, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "registered" in output


# -- what a program sees


def test_same_port_and_options_give_the_same_modem() -> None:
    url = sim_url()
    modem = configure(url, ack_timeout=50.0)
    assert configure(url, ack_timeout=50.0) is modem is nbsocket.modem()
    modem.open()
    assert configure(url, ack_timeout=50.0) is modem
    other = configure(url, ack_timeout=51.0)
    assert other is not modem and nbsocket.modem() is other
    with pytest.raises(OSError, match="closed"):
        modem.info()
    other.close()
    assert configure(url, ack_timeout=51.0) is not other, "a modem that was closed stays so"


def test_no_modem() -> None:
    with pytest.raises(OSError, match="NBSOCKET_PORT") as caught:
        nbsocket.modem()
    assert caught.value.errno is not None and type(caught.value).__mro__[1] in (OSError, Exception)


def test_program_under_run_gets_its_modem(tmp_path: Path) -> None:
    program = write(
        tmp_path,
        "",
        "app.py",
        "import nbsocket, socket\n"
        "modem = nbsocket.modem()\n"
        "assert nbsocket.configure(modem.port) is modem\n"
        "assert nbsocket.configure(modem.port, dns=['192.0.2.9'], pdp_type=None, ack_timeout=120) is modem\n"
        "assert nbsocket.configure(modem.port, apn='other', pin='1234') is modem\n"
        "try: nbsocket.configure(modem.port, power='off')\n"
        "except ValueError as error: print(error)\n"
        "print(socket.gethostbyname('a.example'), modem.stats().commands > 5)\n",
    )
    url = sim_url(dns={"a.example": "192.0.2.7"})
    done = subprocess.run(
        [sys.executable, "-m", "nbsocket", "run", "--dns", "192.0.2.9", "--port", url, str(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == ["power must be 'awake' or 'psm', not 'off'", "192.0.2.7 True"], done.stderr
    assert done.stderr.count("is not used") == 1
    assert "apn='other', pin=**** is not used" in done.stderr


def test_environment_and_file_reach_a_program(tmp_path: Path) -> None:
    from nbsocket.sim import Simulator

    with Simulator() as simulator:
        name = os.path.basename(simulator.path)
        write(tmp_path, "user/nbsocket", f"{name}.conf", "apn = of.file\n")
        code = "import nbsocket; print(nbsocket.modem().command('AT+CGDCONT?'))"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NBSOCKET_PORT": simulator.path, "NBSOCKET_PDP_TYPE": "IPV4V6"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert '"IPV4V6","of.file"' in done.stdout, done.stderr


# -- what the options do in the module


def test_access_point_with_name_and_password() -> None:
    with Modem(sim_url(), apn="iot", apn_user="me", apn_password="s,cret", pdp_type="IPV6") as modem:
        modem.info()
        assert modem.command("AT+CGDCONT?") == ['+CGDCONT: 1,"IPV6","iot",,0,0']
        assert modem.command("AT+CGAUTH?") == ['+CGAUTH: 1,1,"me","s,cret"']


def test_name_servers() -> None:
    with Modem(sim_url(), dns=("192.0.2.1", "192.0.2.2")) as modem:
        modem.wait_attached()
        servers = modem.dns_servers()
    assert (servers.primary_ipv4, servers.secondary_ipv4) == ("192.0.2.1", "192.0.2.2")


@pytest.mark.parametrize("servers", [("192.0.2.1",) * 3, ("name.example",), ("",)])
def test_wrong_name_servers(servers: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"dns must be|name server"):
        Modem("sim://", dns=servers)


@pytest.mark.parametrize(
    "options",
    [
        {"apn_user": "me"},
        {"apn_password": "x"},
        {"look_up_timeout": 0},
        {"dns_cache": -1},
        {"pin": "12"},
        {"pdp_type": "PPP"},
    ],
    ids=str,
)
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="|".join(options)):
        Modem("sim://", **options)


def test_pin_is_told_nowhere() -> None:
    modem = Modem("sim://", pin="8642", apn_user="me", apn_password="geheim")
    assert "8642" not in repr(vars(modem)) and "geheim" not in repr(vars(modem))
    with pytest.raises(ValueError, match="pin") as caught:
        Modem("sim://", pin="12x4")
    assert "12x4" not in str(caught.value)
    with pytest.raises(ValueError, match="apn_password") as caught:
        Modem("sim://", apn_user="me", apn_password='ge"heim')
    assert "heim" not in str(caught.value)


def test_pin_is_entered() -> None:
    with Modem(sim_url(sim_card="pin", pin="2468"), pin="2468") as modem:
        modem.wait_attached()
        assert modem.status().registered
        assert modem.command("AT+CPINR") == ["+CPINR: SIM PIN,3,3"]


def test_wrong_pin_is_tried_once() -> None:
    with Modem(sim_url(sim_card="pin", pin="2468"), pin="1111", attach_timeout=3.0) as modem:
        for _ in range(2):
            with pytest.raises(OSError, match=r"the SIM card .*refused"):
                modem.wait_attached(15.0)
        assert modem.command("AT+CPINR") == ["+CPINR: SIM PIN,2,3"]


def test_last_attempt_is_left_to_the_user() -> None:
    with Modem(sim_url(sim_card="pin", pin="2468", pin_attempts=1), pin="2468", attach_timeout=3.0) as modem:
        with pytest.raises(OSError, match="only one attempt is left: it was not tried"):
            modem.wait_attached(15.0)
        assert modem.command("AT+CPINR") == ["+CPINR: SIM PIN,1,1"]


def test_look_up_is_bounded() -> None:
    nbsocket.configure(sim_url(registration="searching"), look_up_timeout=0.5)
    began = time.monotonic()
    with pytest.raises(nbsocket.gaierror, match="searching"):
        nbsocket.getaddrinfo("a.example", 80)
    assert time.monotonic() - began >= 0.5


def test_types_of_the_options(tmp_path: Path) -> None:
    """Mypy sees a wrong name and a wrong value."""
    program = write(
        tmp_path,
        "",
        "program.py",
        "import nbsocket\n"
        "options: nbsocket.ModemOptions = {'apn': 'iot', 'ack_timeout': 30.0}\n"
        "modem: nbsocket.Modem = nbsocket.configure('/dev/ttyUSB0', **options)\n"
        "nbsocket.configure('/dev/ttyUSB0', appn='iot')\n"
        "nbsocket.configure('/dev/ttyUSB0', power='off')\n"
        "print(nbsocket.modem().stats().commands)\n",
    )
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run([*mypy, str(program)], capture_output=True, text=True, timeout=120, check=False)
    lines = [line for line in done.stdout.splitlines() if "error" in line]
    assert [line.split(":")[1] for line in lines] == ["4", "5"], done.stdout + done.stderr


# -- services


def test_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    program = write(tmp_path, "", "app.py", "")
    words = ["--port", "/dev/ttyUSB7", "--apn", "a b", "--no-hupcl", "--print-unit", "--strict", str(program), "a$b%"]
    assert main(["run", *words]) == 0
    unit = capsys.readouterr().out
    command = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    assert command == (
        f"ExecStart={sys.executable} -m nbsocket --port /dev/ttyUSB7 --wait-port 60 --apn 'a b' --no-hupcl"
        f" run --strict {program} 'a$$b%%'"
    )
    assert "Restart=on-failure" in unit and "SupplementaryGroups=dialout" in unit
    assert main(["run", "--port", "/dev/ttyUSB7", "--print-unit", str(tmp_path / "none.py")]) == 9


def test_udev_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--print-udev"]) == 0
    rule = capsys.readouterr().out
    assert 'SYMLINK+="nbiot"' in rule and 'ENV{ID_MM_DEVICE_IGNORE}="1"' in rule


def test_options_cost_no_start_up_time() -> None:
    """What is not needed is not imported."""
    assert run_isolated("options_imports.py").split() == []
