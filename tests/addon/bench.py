# SPDX-License-Identifier: GPL-3.0-or-later
"""A session that a test drives by hand, with a clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blender_addon.ledger import Stage
from blender_addon.session import Contact, Session
from blender_addon.work import Order, Work, between
from tests.fakes.backend import ENDPOINT, ENGINE, FakeBackend


@dataclass
class Bench:
    """Everything around one session. `now` moves by 10 ms with each tick."""

    session: Session
    backend: FakeBackend
    folder: Path
    now: float = 100.0
    landed: list[int] = field(default_factory=list)
    ended: list[Stage] = field(default_factory=list)

    def connect(self) -> Session:
        self.session.on_landed = lambda work, index: self.landed.append(index)
        self.session.on_ended = lambda work: self.ended.append(work.job.stage)
        self.session.connect(ENDPOINT)
        self.until(lambda: self.session.contact is Contact.CONNECTED)
        return self.session

    def order(self, keys: list[Path], each: int = 2, **changes: Any) -> Order:
        gap = tuple((i + 1) / (each + 1) for i in range(each))
        given: dict[str, Any] = {
            "keys": tuple(keys),
            "gaps": (gap,) * (len(keys) - 1),
            "engine": ENGINE,
            "parent": self.folder / "out",
        }
        return between(**(given | changes))

    def generate(self, keys: list[Path], **changes: Any) -> Work:
        return self.session.generate(self.order(keys, **changes), self.now)

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.now += 0.01
            self.session.tick(self.now)

    def until(self, done: Callable[[], bool], ticks: int = 3000) -> None:
        """Tick until something is so."""
        for _ in range(ticks):
            if done():
                return
            self.tick()
        raise AssertionError("it never came to that")

    def until_ended(self, work: Work) -> Stage:
        self.until(lambda: work.job.stage.ended)
        self.tick()
        return work.job.stage
