"""``python -m compat_tests.machine``: nbsocket on Linux's own serial drivers, in a virtual machine."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

from ._gate import Gate
from ._host import Host, Result, echo_server
from ._image import Image, MissingTools, check_tools, default_work_folder, make_image
from ._overlay import make_initrd
from ._pty import wakeups_over_a_pty
from ._qemu import Machine, can_use_kvm


def main() -> int:
    """Make the machine if need be, run the tests in it, and print the table. Exit code 0: all passed; 77: no tools."""
    options = _parse()
    # However it is ended, no machine is left running.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        check_tools()
        image = make_image(options.work)
    except MissingTools as error:
        print(f"compat_tests.machine: {error}", file=sys.stderr)
        return 77
    use_kvm = not options.no_kvm and can_use_kvm(image.kernel)
    built = f"made in {image.build_time:.0f} s" if image.build_time else "there already"
    print(f"image      {options.work}, {image.size / 1e6:.0f} MB, {built}")
    print(f"processor  {'KVM' if use_kvm else 'emulated, no KVM'}", flush=True)
    host = _run(image, options, use_kvm)
    failed = [result for result in host.results if result.trouble]
    print(f"boot       {host.boot_time:.1f} s to the first line of Python")
    print(f"a pty      {wakeups_over_a_pty():.1f} wake-ups a KB on the line, paced at 115200 baud")
    print(f"{len(host.results) - len(failed)} of {len(host.results)} passed")
    for result in failed:
        print(f"\n--- {result.name}\n{result.trouble}")
    return 1 if failed or not host.results else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m compat_tests.machine", description=main.__doc__)
    parser.add_argument(
        "--work", type=Path, default=default_work_folder(), help="where the image is kept (default: %(default)s)"
    )
    parser.add_argument("--no-kvm", action="store_true", help="emulate the processor even where KVM can be used")
    parser.add_argument("-k", dest="only", action="append", default=[], help="only tests with this in their name")
    return parser.parse_args()


def _run(image: Image, options: argparse.Namespace, use_kvm: bool) -> Host:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gates = {name: stack.enter_context(closing(Gate())) for name in ("uart", "usb")}
        echo_port = stack.enter_context(echo_server())
        initrd = make_initrd(image, options.work)
        stack.callback(initrd.unlink)
        ports = {name: gate.path for name, gate in gates.items()}
        machine = Machine(image.kernel, initrd, ports, folder, use_kvm=use_kvm)
        stack.callback(machine.stop)
        host = Host(machine, gates, echo_port, options.only)
        try:
            host.serve(options.work / "console.log", _print_row)
        except (RuntimeError, OSError) as error:
            host.results.append(Result("the machine itself", "", str(error) or "it hung", 0.0))
    return host


def _print_row(result: Result) -> None:
    outcome = "FAILED" if result.trouble else "ok"
    print(f"{result.name:<62} {outcome:<6} {result.seconds:6.1f} s  {result.figures}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
