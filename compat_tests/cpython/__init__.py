"""CPython's own network tests, as installed with the interpreter, run unmodified over a simulated modem.

``python -m compat_tests.cpython --help`` tells what can be run. One file a task: ``_selection`` (which modules and
classes), ``_worker`` (one class in a process of its own), ``_processes`` (runs workers, with time limits),
``known_failures`` (every deviation and its reason), ``_verdict`` (compares both runs with that list), ``_report``.
"""
