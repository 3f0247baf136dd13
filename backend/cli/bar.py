# SPDX-License-Identifier: GPL-3.0-or-later
"""The live line of one job: phase, bar, frames, time left."""

from __future__ import annotations

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Lines

from protocol.messages import FrameMade, Progress, Status

from .terminal import duration, err


class JobBar:
    """Shows what a job's events tell. Nothing is drawn before the first of them."""

    def __init__(self, total: int, made: int = 0) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._lines = Lines(*columns, console=err)
        self._line = self._lines.add_task("starting", total=total, completed=made, left="")

    def __enter__(self) -> JobBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.stop()

    def take(self, event: Status | FrameMade | Progress) -> None:
        self._lines.start()  # not before the input was found good: a refusal is two plain lines
        match event:
            case FrameMade():
                self._lines.advance(self._line)
            case Progress(phase=phase, ahead=ahead, left=left):
                where = f"{phase}, {ahead} ahead" if ahead else phase
                told = f"{duration(left)} left" if left else ""
                self._lines.update(self._line, description=where, left=told)
            case Status(state=state):
                self._lines.update(self._line, description=str(state), left="")
