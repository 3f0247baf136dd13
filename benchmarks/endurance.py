# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backend endures: each scenario prints its figures beside the bars they must reach.

    python -m benchmarks.endurance                    # all scenarios, small
    python -m benchmarks.endurance kill soak --full   # these two, in full size

Run it in the repository, on Linux. The figures of docs/benchmarks.md come from here; tests/abuse
runs the small sizes. It ends with 1 if a bar was missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.bouts import clock, crowd, cutting, deaf, full_disk, hostile, killing, soak
from benchmarks.bouts.finding import Finding


class Scenario(NamedTuple):
    """A scenario in its two sizes; `why_not` says why it cannot be run here, or nothing."""

    summary: str
    small: Callable[[], list[Finding]]
    full: Callable[[], list[Finding]]
    why_not: Callable[[], str] = str


SCENARIOS = {
    "codec": Scenario(
        "mutated headers at the codec",
        lambda: hostile.headers(50_000),
        lambda: hostile.headers(1_000_000),
    ),
    "hostile": Scenario(
        "hostile messages and raw TCP connections at a live server",
        lambda: hostile.live(5_000, 200),
        lambda: hostile.live(200_000, 3_000),
    ),
    "kill": Scenario(
        "SIGKILL at random moments while jobs are made",
        lambda: killing.run(8, 24),
        lambda: killing.run(100, 600),
    ),
    "cut": Scenario(
        "uploads that are cut midway", lambda: cutting.run(10), lambda: cutting.run(100)
    ),
    "crowd": Scenario(
        "many jobs handed in at once", lambda: crowd.run(200), lambda: crowd.run(1_000)
    ),
    "deaf": Scenario(
        "a client that does not read", lambda: deaf.run(5, 400), lambda: deaf.run(60, 5_000)
    ),
    "disk": Scenario(
        "a full disk at every write point",
        lambda: full_disk.run(10, 7),
        lambda: full_disk.run(80),
        full_disk.why_not,
    ),
    "clock": Scenario(
        "the clock jumps by days", lambda: clock.run(3), lambda: clock.run(20), clock.why_not
    ),
    "soak": Scenario("thousands of small jobs", lambda: soak.run(300), lambda: soak.run(10_000)),
}


def main() -> int:
    parser = argparse.ArgumentParser(description="What a backend endures.")
    parser.add_argument(
        "name",
        nargs="*",
        choices=[[], *SCENARIOS],
        metavar="NAME",
        help=f"of {', '.join(SCENARIOS)}; all if none is given",
    )
    parser.add_argument("--full", action="store_true", help="the sizes of docs/benchmarks.md")
    options = parser.parse_args()
    missed = 0
    for name in options.name or SCENARIOS:
        missed += _run(name, SCENARIOS[name], options.full)
    return 1 if missed else 0


def _run(name: str, scenario: Scenario, full: bool) -> int:
    """Print the scenario's findings; how many bars it missed."""
    print(f"{name}: {scenario.summary}", flush=True)
    if reason := scenario.why_not():
        print(f"  left out: {reason}")
        return 0
    began = time.monotonic()
    findings = scenario.full() if full else scenario.small()
    for finding in findings:
        print(finding)
    print(f"  {time.monotonic() - began:.0f} s in all", flush=True)
    return sum(finding.holds is False for finding in findings)


if __name__ == "__main__":
    sys.exit(main())
