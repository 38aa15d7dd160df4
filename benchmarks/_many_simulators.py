"""Many simulated modules in one process: ``python -m benchmarks._many_simulators COUNT [option=value ...]``.

The first line on stdout is JSON: the devices to open. It ends with its stdin.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack

from nbsocket.sim import Options, Simulator


def main(count: str, *options: str) -> None:
    """See the module."""
    with ExitStack() as stack:
        chosen = Options.from_query("&".join(options))
        simulators = [stack.enter_context(Simulator(chosen)) for _ in range(int(count))]
        print(json.dumps([simulator.path for simulator in simulators]), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
