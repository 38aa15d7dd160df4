"""``run`` against python itself: the same program, started both ways, must behave the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

SHOW = """
import sys
import __main__
print(__name__, __file__, sys.argv, sys.path[0], __package__, __doc__, __cached__, type(__loader__).__name__)
print(__spec__ and __spec__.name, sorted(globals()), vars(__main__) is globals())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of programs."""
    sources = {
        "show.py": SHOW,
        "package/__init__.py": "",
        "package/module.py": SHOW,
        "package/__main__.py": SHOW,
        "directory/__main__.py": SHOW,
        "broken.py": "def f(:",
        "raises.py": "def f():\n    raise LookupError('gone')\nf()\n",
        "package/raises.py": "1 / 0",
        "hook.py": "import sys\nsys.excepthook = lambda *a: print('hook', a[0].__name__, a[2].tb_next)\n1 / 0",
        "exits.py": "import sys; sys.exit(int(sys.argv[1]))",
        "says.py": "raise SystemExit('goodbye')",
        "missing_import.py": "import package.nothing",
        "interrupted.py": "raise KeyboardInterrupt",
        "oserror.py": "open('/nonexistent/file')",
        "latin.py": "# coding: latin-1\nprint(ascii('\u00e4'))",
        "annotations.py": "def f(x: print('evaluated')): pass",
        "thread.py": "import threading, time\nthreading.Timer(0.05, print, ['from a thread']).start()",
        "package_fails/__init__.py": "raise ValueError('at import')",
        "package_fails/__main__.py": "",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        encoding = "latin-1" if name == "latin.py" else "utf-8"
        (tmp_path / name).write_text(textwrap.dedent(text), encoding)
    with zipfile.ZipFile(tmp_path / "program.zip", "w") as archive:
        archive.writestr("__main__.py", SHOW)
    (tmp_path / "link.py").symlink_to(tmp_path / "package" / "module.py")
    return tmp_path


def start(folder: Path, *words: str) -> tuple[int, str, str]:
    """Run python with ``words`` in ``folder``; addresses of objects are cut from what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NBSOCKET_", "PYTHON"))}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return done.returncode, _without_addresses(done.stdout), _without_addresses(done.stderr)


def _without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x", text)


PROGRAMS: tuple[Sequence[str], ...] = (
    ("show.py", "--strict", "-m", "x y", "--", "--port"),
    ("./show.py",),
    ("link.py",),
    ("-m", "package.module", "--bypass", "-h"),
    ("-m", "package", "-v"),
    ("directory", "1"),
    ("program.zip", "-m"),
    ("broken.py",),
    ("raises.py",),
    ("-m", "package.raises"),
    ("hook.py",),
    ("exits.py", "0"),
    ("exits.py", "77"),
    ("says.py",),
    ("missing_import.py",),
    ("interrupted.py",),
    ("oserror.py",),
    ("latin.py",),
    ("annotations.py",),
    ("thread.py",),
    ("-m", "package_fails"),
)


@pytest.mark.parametrize("words", PROGRAMS, ids=" ".join)
def test_same_as_python(folder: Path, words: Sequence[str]) -> None:
    """Exit code (or signal), output and traceback are python's."""
    assert start(folder, "-m", "nbsocket", "--port", "sim://", "run", *words) == start(folder, *words)


def test_safe_path(folder: Path) -> None:
    """With -I python adds no directory to sys.path, and run replaces none."""
    program = "import sys; print(sys.path)"
    (folder / "path.py").write_text(program)
    bootstrap = (
        f"import sys; sys.path.append({str(Path(__file__).parents[1])!r}); from nbsocket._cli import main; "
        "main(['--port', 'sim://', 'run', 'path.py'])"
    )
    _, with_run, _ = start(folder, "-I", "-c", bootstrap)
    assert str(folder) not in with_run


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nothing.py"], "can't open file 'nothing.py': No such file or directory"),
        (["-m", "nothing"], "No module named nothing"),
        (["-m", "package.nothing"], "No module named package.nothing"),
        (["package_without_main"], "can't find '__main__' module in "),
    ],
)
def test_missing_program(folder: Path, words: list[str], sentence: str) -> None:
    """One line on stderr, and the exit code for it."""
    (folder / "package_without_main").mkdir()
    code, output, error = start(folder, "-m", "nbsocket", "--port", "sim://", "run", *words)
    assert (code, output) == (9, "")
    assert error.startswith(f"nbsocket: {sentence}")
    assert error.count("\n") == 1
