# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scenario found: a figure, the bar it must reach, and whether it did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Finding(NamedTuple):
    """One line of a result. `holds` is None for a figure without a bar.

    `speed` marks what depends on how busy the machine is: a test must not judge by it.
    """

    what: str
    measured: str
    bar: str = ""
    holds: bool | None = None
    speed: bool = False

    def __str__(self) -> str:
        verdict = {True: "ok", False: "MISSED", None: ""}[self.holds]
        return f"  {self.what:52s} {self.measured:>16s}  {self.bar:12s} {verdict}".rstrip()


def at_most(what: str, value: float, bar: float, unit: str = "", *, speed: bool = False) -> Finding:
    """A figure that must not exceed its bar."""
    return Finding(
        what, f"{value:.4g} {unit}".strip(), f"<= {bar:g} {unit}".strip(), value <= bar, speed
    )


def exactly(what: str, value: object, wanted: object) -> Finding:
    """A figure that has one right value."""
    return Finding(what, str(value), f"= {wanted}", value == wanted)


def told(what: str, value: object, unit: str = "") -> Finding:
    """A figure without a bar."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return Finding(what, f"{text} {unit}".strip())


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def missed(findings: Sequence[Finding]) -> list[str]:
    """The bars that were not reached, but for those of speed."""
    return [str(finding) for finding in findings if finding.holds is False and not finding.speed]
