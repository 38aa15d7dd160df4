"""The serial port: bytes and a file descriptor; see ``_port``."""

from nbsocket._port._port import DEFAULT_BAUDRATE, Port, is_opening_port, load

__all__ = ["DEFAULT_BAUDRATE", "Port", "is_opening_port", "load"]
