"""``patch()``: programs that know nothing of nbsocket use it; and ``--strict``, which refuses what goes past it."""
