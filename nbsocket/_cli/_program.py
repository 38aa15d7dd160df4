"""Runs a script or a module as ``python`` would: same ``sys.argv``, ``sys.path``, ``__main__``, traceback, exit code.

Whatever the program raises leaves this file as it is; only the traceback is cut so that it starts at the program's own
frames.
"""

from __future__ import annotations

import builtins
import io
import os
import pkgutil
import runpy
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType, TracebackType

from nbsocket._cli._exit import CommandError, ExitCode

#: The ``__main__`` modules that a program's own has replaced: their code is still running, so they are kept alive.
_replaced_mains: list[ModuleType | None] = []


@dataclass(frozen=True, slots=True)
class Script:
    """A program given by its path: a source or bytecode file, or a directory or zip file that holds a ``__main__``."""

    path: str
    arguments: Sequence[str]

    def prepare(self) -> None:
        """Set ``sys.argv`` and ``sys.path``; raise ``CommandError`` when the file cannot be run."""
        try:
            with nullcontext() if self._is_container else io.open_code(os.path.abspath(self.path)):
                sys.argv[:] = [self.path, *self.arguments]
        except OSError as error:
            raise CommandError(f"can't open file {self.path!r}: {error.strerror}", ExitCode.TARGET_MISSING) from error
        if self._is_container:
            _set_first_path(os.path.abspath(self.path), is_forced=True)
            _check_module("__main__", f"can't find '__main__' module in {self.path!r}")
        else:
            _set_first_path(os.path.dirname(os.path.realpath(self.path)))

    def execute(self) -> int:
        """Run the program to its end; return 0 when it just ends."""
        namespace = vars(_make_main())
        with _OwnFramesHidden():
            if self._is_container:
                runpy._run_module_as_main("__main__", False)  # type: ignore[attr-defined]  # as in Module
            else:
                namespace["__file__"] = os.path.abspath(self.path)
                namespace["__loader__"], code = _load(namespace["__file__"])
                exec(code, namespace)
        return 0

    @property
    def _is_container(self) -> bool:
        return pkgutil.get_importer(self.path) is not None


@dataclass(frozen=True, slots=True)
class Module:
    """A program given by its module name, as for ``python -m``."""

    name: str
    arguments: Sequence[str]

    def prepare(self) -> None:
        """Set ``sys.argv`` and ``sys.path``; raise ``CommandError`` when there is no such module.

        The module's parent packages are imported for that, as python does.
        """
        sys.argv[:] = ["-m", *self.arguments]
        _set_first_path(os.getcwd())
        _check_module(self.name)

    def execute(self) -> int:
        """Run the program to its end; return 0 when it just ends."""
        _make_main()
        with _OwnFramesHidden():
            runpy._run_module_as_main(self.name)  # type: ignore[attr-defined]  # private, but what python -m calls
        return 0


def _check_module(name: str, message: str | None = None) -> None:
    try:
        runpy._get_module_details(name, runpy._Error)  # type: ignore[attr-defined]  # the first step of running it
    except runpy._Error as error:  # type: ignore[attr-defined]  # as above
        raise CommandError(message or str(error), ExitCode.TARGET_MISSING) from error


def _set_first_path(directory: str, *, is_forced: bool = False) -> None:
    """Put ``directory`` where this command's own start directory stands; python -P and -I have no such entry."""
    if not getattr(sys.flags, "safe_path", sys.flags.isolated):
        sys.path[0] = directory
    elif is_forced:
        sys.path.insert(0, directory)


def _make_main() -> ModuleType:
    """Put an empty ``__main__`` in place of the command line's own and return it."""
    module = ModuleType("__main__")
    vars(module).update(__builtins__=builtins, __cached__=None)
    if sys.version_info < (3, 14):
        vars(module)["__annotations__"] = {}
    _replaced_mains.append(sys.modules.get("__main__"))
    sys.modules["__main__"] = module
    return module


def _load(path: str) -> tuple[SourceFileLoader | SourcelessFileLoader, CodeType]:
    """Return the loader that python would name in ``__main__``, and the code, never written to a cache."""
    if path.endswith(".pyc"):
        bytecode_loader = SourcelessFileLoader("__main__", path)
        code = bytecode_loader.get_code("__main__")
        assert code is not None, "a sourceless loader gives code or raises"
        return bytecode_loader, code
    with io.open_code(path) as file:
        return SourceFileLoader("__main__", path), compile(file.read(), path, "exec", dont_inherit=True)


class _OwnFramesHidden:
    """Lets exceptions through, and cuts this package's frames from what ``sys.excepthook`` is given for them."""

    def __enter__(self) -> None:
        """Nothing to do until there is an exception."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, SystemExit):
            return
        program_hook = sys.excepthook
        # The first entry is the frame of execute(); below it, for a script that does not compile, may be _load().
        own = trace.tb_next if trace is not None else None
        while own is not None and own.tb_frame.f_code.co_filename == __file__:
            own = own.tb_next

        def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            program_hook(kind, error.with_traceback(own), own)

        sys.excepthook = hook
