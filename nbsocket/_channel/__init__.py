"""One connection's engine end: the socket pair whose other end is the application's file descriptor.

Theory of operation: the application holds a real descriptor, the *app end* of a socket pair; the engine's thread
holds the other one, the *engine end*. Readiness, blocking, time-outs, peeking, ``dup`` and the like are then the
kernel's. A channel knows its two ends, what ``getpeername`` and the like answer, and how an end of connection looks
natively; it decides nothing and knows no modem.

- The application's descriptor may be duplicated, detached, inherited or wrapped by ``ssl``: a channel is found by the
  *inode* of the descriptor (:func:`lookup`), and its life ends when the engine end reads end of file.
- The *shadow* is the operating system's own, never connected socket that the application made. It validates and
  remembers the socket options that mean nothing to a socket pair.
- There are no locks: a signal handler or a ``__del__`` of the program's may come in anywhere and use sockets itself.
  The engine end belongs to the engine's thread alone, the application's end to the application; what both touch
  changes in single steps (an errno is taken out of a deque; a trailer is announced before it is written). What needs
  more (connecting a datagram socket anew) is done on the engine's thread.
"""

from nbsocket._channel._base import Carrier, Channel, ChannelState, Reason
from nbsocket._channel._datagram import MAX_FRAME, DatagramChannel
from nbsocket._channel._registry import lookup
from nbsocket._channel._stream import StreamChannel

__all__ = ["MAX_FRAME", "Carrier", "Channel", "ChannelState", "DatagramChannel", "Reason", "StreamChannel", "lookup"]
