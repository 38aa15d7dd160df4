"""Makes a failing plan short: fewer steps, a plainer module, as long as it fails in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nbsocket._driver import Settings
from tests.simulation.connections import Violation
from tests.simulation.plan import Plan
from tests.simulation.world import World

#: Runs that shortening may take.
MOST_RUNS = 400


def failure_of(plan: Plan) -> tuple[str, World] | None:
    """Run a plan; give the kind of its failure, and its world."""
    world = World(plan)
    try:
        world.run()
    except Violation as violation:
        return violation.kind, world
    except Exception as error:
        return type(error).__name__, world
    return None


def shrink(plan: Plan, kind: str) -> Plan:
    """Give the shortest plan found that still fails with ``kind``."""
    runs = MOST_RUNS
    has_changed = True
    while has_changed and runs > 0:
        has_changed = False
        for candidate in _candidates(plan):
            runs -= 1
            failure = failure_of(candidate)
            if failure is not None and failure[0] == kind:
                plan, has_changed = candidate, True
                break
            if runs <= 0:
                break
    return plan


def _candidates(plan: Plan) -> Iterator[Plan]:
    size = len(plan.steps)
    piece = max(1, size // 2)
    while piece >= 1:
        for start in range(0, size, piece):
            yield replace(plan, steps=plan.steps[:start] + plan.steps[start + piece :])
        piece //= 2
    for name in plan.options:
        yield replace(plan, options={key: value for key, value in plan.options.items() if key != name})
    if plan.cut != "whole":
        yield replace(plan, cut="whole")
    settings = plan.settings
    plain = Settings(data_format=settings.data_format, model=settings.model, dns=settings.dns)
    if plan.settings != plain:
        yield replace(plan, settings=plain)
