"""``nbsocket run``: a program over the modem, unmodified."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading
from _thread import allocate_lock
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbsocket._cli._exit import CommandError, ExitCode
from nbsocket._cli._options import configure_modem
from nbsocket._cli._program import ProgramFile, ProgramModule
from nbsocket._runtime import _exit, _threads

if TYPE_CHECKING:
    from nbsocket import Modem

#: Seconds between two warnings of what a program waits for.
TELL_INTERVAL = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``run``; everything from the program's name on is the program's."""
    parser.usage = (
        "nbsocket [options] run [--bypass LIST] [--strict[=all]] [--bill] script.py|-m module [program arguments]"
    )
    parser.add_argument(
        "--bypass",
        metavar="LIST",
        help="hosts and networks left to the operating system, as in NO_PROXY, CIDR too; 'none' for nothing "
        "(default: $NBSOCKET_BYPASS, else loopback and link-local)",
    )
    parser.add_argument(
        "--strict",
        action="store_const",
        const="python",
        help="refuse every connection, datagram and look-up that would leave over the operating system's own network, "
        "libraries that do so in C, and to start Python programs, which would not be patched",
    )
    parser.add_argument(
        "--strict=all", dest="strict", action="store_const", const="all", help="and to start any other program"
    )
    parser.add_argument("--bill", action="store_true", help="print at the end what the program moved, by host")
    parser.add_argument("--print-unit", action="store_true", help="print a systemd unit that runs the program")
    parser.add_argument("--print-udev", action="store_true", help="print a udev rule that gives the module a name")
    rest = argparse.REMAINDER
    parser.add_argument("-m", dest="module", nargs=rest, metavar="module", help="run a module, as python -m")
    parser.add_argument("script", nargs=rest, metavar="script.py", help="run a script, as python script.py")


def main(options: argparse.Namespace) -> int | Callable[[], int]:
    """Open the modem, patch ``socket`` and return the function that runs the program."""
    if options.print_udev:
        from nbsocket._cli._unit import UDEV_RULE

        print(UDEV_RULE, end="")
        return ExitCode.SUCCESS
    program = _find_program(options)
    if options.print_unit:
        from nbsocket._cli._unit import describe_unit

        print(describe_unit(options, program), end="")
        return ExitCode.SUCCESS
    modem = configure_modem(options)
    # Otherwise the first socket would open it, and a wrong port would be an exception inside the program.
    modem.open()
    if options.verbosity:
        _tell_module(modem)
    import nbsocket
    from nbsocket._modem import pin

    # configure() of the program must return this modem, not replace it.
    pin(modem)
    if options.bill:
        from nbsocket._cli._bill import print_at_end

        print_at_end(modem)

    bypass = os.environ.get("NBSOCKET_BYPASS") if options.bypass is None else options.bypass
    nbsocket.patch(modem, bypass=bypass)
    # aiocoap's default on Linux, udp6, needs ancillary data (recvmsg) that only the kernel's own sockets give.
    os.environ.setdefault("AIOCOAP_CLIENT_TRANSPORT", "simple6:tcpclient:tlsclient")
    if options.strict:
        from nbsocket._patching._child_programs import Strictness, refuse_programs
        from nbsocket._patching._strict import refuse_host_network, refuse_libraries
        from nbsocket._routing._bypass import Bypass
        from nbsocket._routing._leak_warnings import IN_C

        refuse_host_network(Bypass.parse(bypass))
        refuse_libraries(IN_C)
        refuse_programs(Strictness.ALL if options.strict == "all" else Strictness.PYTHON)
    _tell_of_waits(modem)
    _flush_on_sigterm()
    return program.execute


def _tell_module(modem: Modem) -> None:
    """Log model and firmware of the modem, and its state in the network."""
    logger = logging.getLogger("nbsocket")
    try:
        details = modem.details()
    except OSError as error:
        logger.warning("the module does not tell who it is: %s", error)
        return
    strength = details.rsrp if details.rsrp is not None else details.rssi
    logger.info(
        "%s, firmware %s, %s, signal %s, APN %s",
        details.model or "module",
        details.revision or "unknown",
        details.registration,
        "none" if strength is None else f"{strength} dBm",
        details.apn or "chosen by the network",
    )


def _tell_of_waits(modem: Modem) -> None:
    """Warn every TELL_INTERVAL seconds while the program waits for the network.

    There is no live line as for the other subcommands, because the terminal belongs to the program's output.
    """
    # Imported here: it brings in engine and driver, for which --help and a wrong option need not wait.
    from nbsocket._engine._log import EngineLog

    logger = EngineLog("nbsocket")
    # Nobody releases it, so that acquire() is a sleep, and one that a program cannot replace as it can time.sleep().
    never = allocate_lock()
    never.acquire()

    def watch() -> None:
        while not never.acquire(timeout=TELL_INTERVAL):
            waited = modem.engine.describe_wanted_wait()
            if waited is not None:
                logger.log(logging.WARNING, "still %s", waited)

    _threads.start(watch)


def _flush_on_sigterm() -> None:
    """Have SIGTERM send what is written, as the end of the program does, and then end it as ever.

    A handler of the program's own takes the place of this one; a second SIGTERM ends it at once.
    """
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL or (
        threading.current_thread() is not threading.main_thread()
    ):
        return

    def end(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        try:
            _exit.end_now()
        finally:
            os.kill(os.getpid(), number)

    here = threading.local()

    def hold() -> None:
        here.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def let_go() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, here.mask)

    def let_go_in_child() -> None:
        # CPython forgets a signal that comes to a child before it is ready. There SIGTERM ends it at once, as ever.
        if signal.getsignal(signal.SIGTERM) is end:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        let_go()

    signal.signal(signal.SIGTERM, end)
    os.register_at_fork(before=hold, after_in_parent=let_go, after_in_child=let_go_in_child)


def _find_program(options: argparse.Namespace) -> ProgramFile | ProgramModule:
    if options.module is not None:
        if not options.module or (f"-m{options.module[0]}" in options.arguments and options.script):
            raise CommandError("run: -m wants the module's name after a space", ExitCode.USAGE)
        return ProgramModule(options.module[0], options.module[1:])
    words = options.script[1:] if options.script[:1] == ["--"] else options.script
    if not words:
        raise CommandError("run: name a script, or -m and a module (see: nbsocket run --help)", ExitCode.USAGE)
    return ProgramFile(words[0], words[1:])
