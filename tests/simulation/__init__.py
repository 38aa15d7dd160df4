"""Deterministic simulation: the driver against the simulated module, under one virtual clock and one seed.

A *plan* (``plan``, ``variety``) is data: what the module is like, what applications, peers and faults do, and when.
The *world* (``world``) carries it out without threads, sockets or sleeps; *connections* (``connections``) know what
each side has written and check after each step what the other side got. ``shrink`` makes a failing plan short.
``python -m tests.simulation --seeds 3000`` runs as many as wanted; a seed always gives the same run.
"""
