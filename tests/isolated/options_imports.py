"""Which modules that only some programs need a configure() has loaded."""

import sys

import nbsocket

nbsocket.configure("/dev/ttyUSB7")
print(*sorted({"argparse", "configparser", "difflib", "json", "subprocess"} & set(sys.modules)))
