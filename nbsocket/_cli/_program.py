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
import threading
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType, TracebackType

from nbsocket._cli._exit import CommandError, ExitCode
from nbsocket._dataclass import dataclass

#: The ``__main__`` modules that a program's own has replaced: their code is still running, so they are kept alive.
_replaced_mains: list[ModuleType | None] = []


@dataclass(frozen=True, slots=True)
class ProgramFile:
    """A program given by its path: a source or bytecode file, or a directory or zip file that holds a ``__main__``."""

    path: str
    arguments: Sequence[str]

    def execute(self) -> int:
        """Run the program to its end; return 0 when it just ends, raise ``CommandError`` when it cannot be opened."""
        sys.argv[:] = [self.path, *self.arguments]
        is_container = pkgutil.get_importer(self.path) is not None
        # Not abspath(): python leaves "./" in __file__.
        path = os.path.join(os.getcwd(), self.path)
        _set_first_path(path if is_container else os.path.dirname(os.path.realpath(path)), is_forced=is_container)
        namespace = vars(_make_main())
        with _OwnFramesHidden():
            if is_container:
                _run_module("__main__", is_argv_altered=False)
            else:
                content = self._read(path)
                namespace["__file__"] = path
                namespace["__loader__"], code = _load(path, content)
                exec(code, namespace)
        return 0

    def _read(self, path: str) -> bytes:
        try:
            with io.open_code(path) as file:
                return file.read()
        except OSError as error:
            raise CommandError(f"can't open file {self.path!r}: {error.strerror}", ExitCode.TARGET_MISSING) from error


@dataclass(frozen=True, slots=True)
class ProgramModule:
    """A program given by its module name, as for ``python -m``."""

    name: str
    arguments: Sequence[str]

    def execute(self) -> int:
        """Run the program to its end; return 0 when it just ends, raise ``CommandError`` when it cannot be found."""
        sys.argv[:] = ["-m", *self.arguments]
        _set_first_path(os.getcwd())
        _make_main()
        with _OwnFramesHidden():
            _run_module(self.name, is_argv_altered=True)
        return 0


def _run_module(name: str, *, is_argv_altered: bool) -> None:
    try:
        runpy._run_module_as_main(name, is_argv_altered)  # type: ignore[attr-defined]  # private, but python -m is this
    except SystemExit as leave:
        # How it says that there is no such module; the program's own exit has no such context.
        if isinstance(leave.__context__, runpy._Error):  # type: ignore[attr-defined]  # as above
            raise CommandError(str(leave.__context__), ExitCode.TARGET_MISSING) from leave
        raise


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


def _load(path: str, content: bytes) -> tuple[SourceFileLoader | SourcelessFileLoader, CodeType]:
    """Return the loader that python would name in ``__main__``, and the code, never written to a cache."""
    if not path.endswith(".pyc"):
        return SourceFileLoader("__main__", path), compile(content, path, "exec", dont_inherit=True)
    loader = SourcelessFileLoader("__main__", path)
    code = loader.get_code("__main__")
    assert code is not None, "a sourceless loader gives code or raises"
    return loader, code


#: Where this package's frames are; NBSOCKET_DEBUG=1 shows them.
_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def _shows_own_frames() -> bool:
    return os.environ.get("NBSOCKET_DEBUG", "") not in ("", "0")


def _without_own(trace: TracebackType | None) -> TracebackType | None:
    """Return a copy without this package's frames; as it is where there are no others."""
    frames = []
    entry = trace
    while entry is not None:
        if not entry.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
            frames.append(entry)
        entry = entry.tb_next
    if not frames:
        return trace
    copied: TracebackType | None = None
    for entry in reversed(frames):
        copied = TracebackType(copied, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return copied


def _hide_own_frames(error: BaseException | None) -> None:
    """Take this package's frames out of the tracebacks of an error, and of those that led to it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        error = waiting.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        error.__traceback__ = _without_own(error.__traceback__)
        waiting += [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]


def _hide_in_threads() -> None:
    """Hide this package's frames in the traceback of an exception that ends a thread of the program, too."""
    program_hook = threading.excepthook

    def hook(arguments: threading.ExceptHookArgs) -> None:
        _hide_own_frames(arguments.exc_value)
        trace = None if arguments.exc_value is None else arguments.exc_value.__traceback__
        fields = (arguments.exc_type, arguments.exc_value, trace, arguments.thread)
        program_hook(threading.ExceptHookArgs(fields))

    threading.excepthook = hook


class _OwnFramesHidden:
    """Lets exceptions through, and cuts this package's frames from what ``sys.excepthook`` is given for them."""

    def __enter__(self) -> None:
        """Hide them in threads; for the main thread ``__exit__`` does so when there is an exception."""
        if not _shows_own_frames():
            _hide_in_threads()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, (SystemExit, CommandError)):
            return
        program_hook = sys.excepthook
        # The first entry is the frame of execute(); others of this file may follow.
        own = trace.tb_next if trace is not None else None
        while own is not None and own.tb_frame.f_code.co_filename == __file__:
            own = own.tb_next

        def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            error.__traceback__ = own
            if not _shows_own_frames():
                _hide_own_frames(error)
            program_hook(kind, error, error.__traceback__)

        sys.excepthook = hook
