"""Which programs a command line starts, and which of them are Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nbsocket._patching._command_lines import STARTS, find_programs

PYTHON = sys.executable

#: A command line: the programs that it starts, those of Python with an asterisk.
COMMANDS: list[tuple[list[str], str]] = [
    (["ls", "-l"], "ls"),
    (["/bin/ls", "python3"], "ls"),
    (["grep", "-r", "python", "/usr/bin/python3"], "grep"),
    (["python3", "-m", "http.server"], "python3*"),
    (["/opt/x/bin/python3.13", "-c", "pass"], "python3.13*"),
    (["python3.13t"], "python3.13t*"),
    (["pypy3.10"], "pypy3.10*"),
    (["Python.exe"], "Python.exe*"),
    (["python-config", "--libs"], "python-config"),
    (["pythonista"], "pythonista*"),
    (["uv", "run", "x"], "uv*"),
    ([PYTHON], f"{os.path.basename(PYTHON)}*"),
    (["env", "python3"], "python3*"),
    (["/usr/bin/env", "-i", "-u", "HOME", "A=b", "python3", "x"], "python3*"),
    (["env", "-S", "A=b python3 -u", "x"], "python3*"),
    (["env", "--split-string=python3 -u"], "python3*"),
    (["env", "-SA=b ls"], "ls"),
    (["env"], "env"),
    (["nice", "-n", "5", "timeout", "-k", "1", "10", "python3"], "python3*"),
    (["timeout", "5", "ls", "python3"], "ls"),
    (["sudo", "-u", "python3", "ls"], "ls"),
    (["xargs", "-n", "1", "python3"], "python3*"),
    (["nohup"], "nohup"),
    (["sh", "-c", "ls | python3 - && cat x; X=1 exec date"], "ls python3* cat date"),
    (["sh", "-c", "cd /tmp; echo python3"], ""),
    (["bash", "-ec", "if true; then python3 x; fi"], "python3*"),
    (["sh", "-c", "echo 'a; b'; 'python3' x"], "b python3*"),
    (["sh", "-c", "sh -c 'env python3'"], "python3*"),
    (["sh", "-c", "# python3"], ""),
    (["sh", "script.sh", "-c", "python3"], "sh"),
    (["sh"], "sh"),
    (["/opt/app", "-c", "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5)"], "app*"),
    (["/opt/app", "--multiprocessing-fork", "tracker_fd=5"], "app*"),
    (["busybox", "sh", "-c", "python3 x"], "python3*"),
    ([PYTHON, "-I", "-c", "from multiprocessing.resource_tracker import main;main(5)"], ""),
    ([PYTHON, "-c", "from joblib.externals.loky.backend.resource_tracker import main; main(7, False)"], ""),
    ([PYTHON, "-c", "from multiprocessing.resource_tracker import main;main(5);evil()"], "python*"),
    ([PYTHON, "-c", "from evil.resource_tracker import main; main(7, False)"], "python*"),
    ([PYTHON, "-c", "from multiprocessing.forkserver import main; main(3)"], "python*"),
]


def shown(programs: Any) -> str:
    return " ".join(f"{program.name}{'*' * program.is_python}" for program in programs)


@pytest.mark.parametrize(("words", "programs"), COMMANDS)
def test_command_line(words: list[str], programs: str) -> None:
    expected = programs.replace("python*", f"{os.path.basename(PYTHON)}*") if words[0] == PYTHON else programs
    assert shown(find_programs(words[0], words)) == expected


@pytest.mark.parametrize(
    ("first", "is_python"),
    [
        (b"#!/usr/bin/python3\nimport os", True),
        (b"#! /usr/bin/env -S python3 -u\n", True),
        (b"#!/usr/bin/env pypy3\n", True),
        (b"#!/bin/sh\n'''exec' /a/long/path/bin/python3 \"$0\" \"$@\"\n' '''\n", True),
        (b"#!/bin/sh\npython3 x\n", False),
        (b"\x7fELF python", False),
        (b"", False),
    ],
)
def test_script(tmp_path: Path, first: bytes, is_python: bool) -> None:
    script = tmp_path / "tool"
    script.write_bytes(first)
    script.chmod(0o755)
    mark = "*" * is_python
    assert shown(find_programs(str(script), [str(script)])) == f"tool{mark}"
    assert shown(find_programs("./tool", ["tool"], folder=str(tmp_path))) == f"tool{mark}"
    assert shown(find_programs("tool", ["tool"], search=f"/none{os.pathsep}{tmp_path}")) == f"tool{mark}"
    assert shown(find_programs("tool", ["tool"], search="/none")) == "tool"


def test_links_and_copies_of_the_interpreter(tmp_path: Path) -> None:
    (tmp_path / "app").symlink_to(PYTHON)
    assert shown(find_programs(str(tmp_path / "app"), ["app"])) == "app*"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none", Path("/dev/null")):
        assert shown(find_programs(str(path), ["x"])) == path.name


@pytest.mark.parametrize(
    ("event", "args"),
    [
        ("subprocess.Popen", ("python3", ["python3", b"-c", Path("x")], None, None)),
        ("subprocess.Popen", (None, "python3", b"/", {"PATH": "/bin"})),
        ("subprocess.Popen", (b"python3", (b"python3",), Path("/"), {"A": "b"})),
        ("os.exec", (Path("/x/python3"), ("python3",), None)),
        ("os.posix_spawn", (b"/x/python3", [b"python3"], {b"PATH": b"/bin"})),
        ("os.spawn", (0, "python3", ["python3"], None)),
        ("os.system", (b"exec python3 -c pass",)),
        ("pty.spawn", (("python3", "-c", "pass"),)),
        ("pty.spawn", ("python3",)),
        ("nbsocket.fork_exec", ([b"python3"], (b"/none/python3", b"/x/python3"), True, (), None)),
    ],
)
def test_arguments_of_events(event: str, args: tuple[Any, ...]) -> None:
    assert shown(STARTS[event](args)) == "python3*"


@pytest.mark.skipif(sys.platform != "linux", reason="only there a descriptor's file is known")
def test_a_program_given_by_its_descriptor() -> None:
    with open(PYTHON, "rb") as file:
        found = shown(STARTS["os.exec"]((file.fileno(), ["x"], None)))
    assert found == f"{os.path.basename(os.path.realpath(PYTHON))}*"


def test_no_audit_event_that_starts_a_program_is_missing() -> None:
    """Every event of CPython's that is raised by these calls."""
    program = "\n".join(
        (
            "import os, pty, subprocess, sys",
            "seen = []",
            "sys.addaudithook(lambda event, args: seen.append(event))",
            "subprocess.run(['true'])",
            "os.system('true')",
            "os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)",
            "pty.spawn(['true'])",
            "names = {'subprocess.Popen', 'os.system', 'os.posix_spawn', 'pty.spawn'}",
            "sys.exit(str(names - set(seen)) if names - set(seen) else 0)",
        )
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
