"""A handler forks and starts a program when the modem's thread has something to say; prints the children's masks."""

import logging
import os
import signal
import subprocess
import sys
import threading

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})

import nbsocket  # noqa: E402  # the mask is the program's from its beginning

CODE = "import signal; print('started:', *map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ())), flush=True)"
done = threading.Event()


class Starting(logging.Handler):
    """Starts others."""

    def emit(self, record: logging.LogRecord) -> None:
        if done.is_set():
            return
        if not (child := os.fork()):
            os.write(1, b"forked: %d\n" % sum(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ()))))
            os._exit(0)
        os.waitpid(child, 0)
        subprocess.run([sys.executable, "-c", CODE], check=True)
        done.set()


logger = logging.getLogger("nbsocket")
handler = Starting()
logger.addHandler(handler)
logger.setLevel(logging.INFO)
with nbsocket.Modem("sim://") as modem:
    modem.wait_attached()
    assert done.wait(20)
logger.removeHandler(handler)
