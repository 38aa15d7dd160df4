"""Benchmarks: how close nbsocket comes to the serial line and to the least that any program must do.

General layout: ``python -m benchmarks`` runs every module of :data:`benchmarks.__main__.BENCHMARKS` in turn and prints
one table. Each module has ``run(effort)``, which yields a :class:`benchmarks._report.Row` for every figure. A figure is
judged by its ratio to something that was measured in the same run, because machines differ and are noisy:

- a *floor* (``_floor.py``): the least that a hand-written loop on the same pseudo-terminal must do to exchange the same
  bytes with the same simulator process;
- *peers* (``_peers.py``): what a user would pick instead;
- or a *limit* that the line itself sets.

The simulator (``nbsocket sim``) and the servers behind it run in processes of their own (``_bench.py``), and their own
processor time is told beside the figures.
"""
