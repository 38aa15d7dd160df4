"""Which program is about to be started, and whether it is Python: told from what CPython's audit events say of it.

A Python child imports ``socket`` anew, without the patch: everything that it sends goes past the modem.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from nbsocket._dataclass import dataclass

__all__ = ["STARTS", "Program", "find_programs"]


@dataclass(frozen=True, slots=True)
class Program:
    """One program of a command line."""

    name: str
    is_python: bool


#: Names of interpreters (python3.13, pythonw.exe, pypy3) and of what starts them (uv run, uvx).
_PYTHON_RE = re.compile(r"(python|pypy)[\d.]*\w*(\.exe)?|uvx?", re.IGNORECASE)
_PYTHON_IN_SHEBANG_RE = re.compile(rb"#!.*\b(python|pypy)")
#: How pip and setuptools start Python where the path is too long for a shebang.
_SHELL_TRICK_RE = re.compile(rb"#!/bin/sh\n'''exec' .*python")
_FIRST_BYTES = 1024

#: Helper of multiprocessing, and of loky, that only removes what is left of shared memory: it runs no code of the
#: program's.
_TRACKER_RE = re.compile(
    r"from (multiprocessing|(joblib\.externals\.)?loky\.backend)\.resource_tracker import main; ?main\(\d+(, \w+)?\)"
)

_SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "mksh", "zsh"})
_SEPARATOR_RE = re.compile(r"[;&|()\n]+")
_ASSIGNMENT_RE = re.compile(r"\w+=.*", re.DOTALL)
#: Words of a shell that a command may follow.
_SHELL_WORDS = frozenset({"if", "then", "else", "elif", "do", "while", "until", "!", "{", "exec", "command", "eval"})

#: What a shell does by itself.
_BUILTINS = frozenset(
    re.findall(
        r"\S+",
        ". : [ break case cd continue done echo esac exit export false fi for function kill printf pwd read return set "
        "shift source test trap true ulimit umask unset wait }",
    )
)

#: Programs that start the one named after their own options: options that take a word, and words before it.
_WRAPPERS: dict[str, tuple[frozenset[str], int]] = {
    "busybox": (frozenset(), 0),
    "chroot": (frozenset(), 1),
    "doas": (frozenset({"-u", "-C"}), 0),
    "env": (frozenset({"-u", "-C", "--unset", "--chdir"}), 0),
    "ionice": (frozenset({"-c", "-n", "-p"}), 0),
    "nice": (frozenset({"-n"}), 0),
    "nohup": (frozenset(), 0),
    "setsid": (frozenset(), 0),
    "stdbuf": (frozenset({"-i", "-o", "-e"}), 0),
    "sudo": (frozenset({"-u", "-g", "-h", "-p", "-C", "-D"}), 0),
    "taskset": (frozenset(), 1),
    "time": (frozenset({"-f", "-o"}), 0),
    "timeout": (frozenset({"-s", "-k", "--signal", "--kill-after"}), 1),
    "unshare": (frozenset(), 0),
    "xargs": (frozenset({"-a", "-d", "-E", "-I", "-L", "-n", "-P", "-s"}), 0),
}


def find_programs(path: str, words: Sequence[str], *, folder: str = "", search: str | None = None) -> Iterator[Program]:
    """Yield the programs that a command starts: one, or those of a shell's command line.

    Args:
        path: the file that is executed.
        words: its arguments, the name first.
        folder: where a relative path begins.
        search: the PATH of the command; None: this process's.
    """
    name = os.path.basename(path)
    rest = list(words[1:])
    if name in _SHELLS and (script := _shell_script(rest)) is not None:
        yield from _programs_of_shell(script, folder, search)
    elif name in _WRAPPERS and (command := _wrapped(name, rest)):
        yield from find_programs(command[0], command, folder=folder, search=search)
    elif not (is_python := _is_worker(rest) or _is_python(path, folder, search)) or not _is_tracker(rest):
        yield Program(name, is_python)


def _shell_script(words: Sequence[str]) -> str | None:
    for number, word in enumerate(words[:-1]):
        if re.fullmatch(r"-[a-z]*c[a-z]*", word):
            return words[number + 1]
        if not word.startswith("-"):
            return None
    return None


def _programs_of_shell(script: str, folder: str, search: str | None) -> Iterator[Program]:
    for command in _SEPARATOR_RE.split(script):
        try:
            words = shlex.split(command, comments=True)
        except ValueError:  # a quote is open: the separator stood inside a string
            words = command.replace('"', " ").replace("'", " ").split()
        while words and (words[0] in _SHELL_WORDS or _ASSIGNMENT_RE.fullmatch(words[0])):
            words = words[1:]
        if words and words[0] not in _BUILTINS:
            yield from find_programs(words[0], words, folder=folder, search=search)


def _wrapped(name: str, words: Sequence[str]) -> list[str]:
    with_word, to_skip = _WRAPPERS[name]
    left = list(words)
    while left:
        word = left.pop(0)
        if name == "env" and word.startswith(("-S", "--split-string")):
            text = word.partition("=")[2] if word.startswith("--") else word[2:]
            with suppress(ValueError):
                return _wrapped(name, [*shlex.split(text or (left.pop(0) if left else "")), *left])
        elif word in with_word:
            left = left[1:]
        elif not (word.startswith("-") or _ASSIGNMENT_RE.fullmatch(word)):
            if not to_skip:
                return [word, *left]
            to_skip -= 1
    return []


def _is_worker(words: Sequence[str]) -> bool:
    """Whether multiprocessing starts it, whatever program it was told to use (set_executable(), a frozen program)."""
    return any(word.startswith(("from multiprocessing.", "--multiprocessing-fork")) for word in words)


def _is_tracker(words: Sequence[str]) -> bool:
    return len(words) > 1 and words[-2] == "-c" and _TRACKER_RE.fullmatch(words[-1]) is not None


def _is_python(path: str, folder: str, search: str | None) -> bool:
    if _PYTHON_RE.fullmatch(os.path.basename(path)):
        return True
    found = os.path.join(folder, path) if os.path.dirname(path) else _on_path(path, search)
    real = os.path.realpath(found)
    if _PYTHON_RE.fullmatch(os.path.basename(real)) or real == os.path.realpath(sys.executable or ""):
        return True
    try:
        fd = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        first = os.read(fd, _FIRST_BYTES)
    except OSError:
        return False
    finally:
        os.close(fd)
    return bool(_PYTHON_IN_SHEBANG_RE.match(first.partition(b"\n")[0]) or _SHELL_TRICK_RE.match(first))


def _on_path(name: str, search: str | None) -> str:
    """Return the file that is executed under this name, or the name."""
    folders = os.get_exec_path() if search is None else search.split(os.pathsep)
    paths = (os.path.join(folder, name) for folder in folders)
    return next((path for path in paths if os.access(path, os.X_OK) and os.path.isfile(path)), name)


# ---- what the audit events of CPython say


def _text(word: Any) -> str:
    if isinstance(word, int):  # os.execve() takes a descriptor, too
        return os.path.realpath(f"/proc/self/fd/{word}")
    try:
        return os.fsdecode(word)
    except TypeError:
        return ""


def _words(words: Any) -> list[str]:
    if isinstance(words, (str, bytes, os.PathLike)):
        return [_text(words)]
    return [_text(word) for word in words]


def _search(environment: Any) -> str | None:
    return _text(environment["PATH"]) if isinstance(environment, Mapping) and "PATH" in environment else None


def _popen(args: tuple[Any, ...]) -> Iterator[Program]:
    executable, words, folder, environment = args
    path = _text(executable) or (_words(words) or [""])[0]
    return find_programs(path, _words(words), folder=_text(folder or ""), search=_search(environment))


def _executed(args: tuple[Any, ...]) -> Iterator[Program]:
    path, words, environment = args
    return find_programs(_text(path), _words(words), search=_search(environment))


def _spawned(args: tuple[Any, ...]) -> Iterator[Program]:
    _, path, words, environment = args
    return find_programs(_text(path), _words(words), search=_search(environment))


def _shell(args: tuple[Any, ...]) -> Iterator[Program]:
    return _programs_of_shell(_text(args[0]), "", None)


def _forked_pty(args: tuple[Any, ...]) -> Iterator[Program]:
    words = _words(args[0])
    return find_programs(words[0], words)


def _forked_and_executed(args: tuple[Any, ...]) -> Iterator[Program]:
    words, paths = _words(args[0]), _words(args[1])
    # subprocess tries each folder of the PATH.
    path = next(filter(os.path.exists, paths), paths[0])
    return find_programs(path, words, folder=_text(args[4] or ""))


#: Audit event, or a name of our own where CPython raises none: what finds the programs in its arguments.
STARTS: dict[str, Callable[[tuple[Any, ...]], Iterator[Program]]] = {
    "subprocess.Popen": _popen,
    "os.exec": _executed,
    "os.posix_spawn": _executed,
    "os.spawn": _spawned,
    "os.startfile": _shell,
    "os.system": _shell,
    "pty.spawn": _forked_pty,
    "nbsocket.fork_exec": _forked_and_executed,
}
