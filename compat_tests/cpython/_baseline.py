"""The outcomes on the plain interpreter, kept in a file between runs if one is named."""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
from pathlib import Path

from compat_tests.cpython._processes import ClassRun, Outcome, run_class


class Baseline:
    """Runs a class on the plain interpreter, once for each interpreter."""

    def __init__(self, file: Path | None) -> None:
        """Read the file when there is one."""
        self._file = file
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, dict[str, object]]] = {}
        if file is not None and file.exists():
            self._known = json.loads(file.read_text("utf-8"))

    def get(self, module: str, class_name: str) -> ClassRun:
        """Return the outcomes of a class."""
        key = f"{sys.version} {module}.{class_name}"
        with self._lock:
            known = self._known.get(key)
        if known is not None:
            return ClassRun({test: Outcome(**fields) for test, fields in known.items()})  # type: ignore[arg-type]  # JSON
        run = run_class(module, class_name, over_modem=False)
        with self._lock:
            self._known[key] = {test: dataclasses.asdict(outcome) for test, outcome in run.outcomes.items()}
        self.save()
        return run

    def save(self) -> None:
        """Write the file."""
        if self._file is not None:
            with self._lock:
                self._file.write_text(json.dumps(self._known), "utf-8")
