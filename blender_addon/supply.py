# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights on the backend's machine as the client knows them, and what it asks for.

A pure state machine: it knows no socket and no Blender.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from protocol.engines import EngineSpec
from protocol.errors import BadInput, TweencelError, from_info
from protocol.messages import (
    Error,
    FetchWeights,
    ListWeights,
    Message,
    Reply,
    StopWeights,
    Weights,
    WeightsChanged,
    WeightsOffer,
    WeightsState,
)

SINCE = (1, 2)
"""The protocol that began to tell of weights."""
_FIRST_RID = 2**52
"""Far from the numbers of the requests about jobs."""


class Supply:
    """What is on offer, how it stands, and what became of our requests."""

    def __init__(self) -> None:
        self.offers: dict[str, WeightsOffer] = {}
        self.refusals: dict[str, TweencelError] = {}
        """Why the backend did not begin to fetch, by the offer's name."""
        self._asked: dict[int, str] = {}
        self._to_send: list[Message] = []
        self._next = _FIRST_RID

    @property
    def busy(self) -> bool:
        return any(
            offer.state in (WeightsState.WAITING, WeightsState.FETCHING)
            for offer in self.offers.values()
        )

    def connected(self, v: Sequence[int]) -> None:
        """A backend of that protocol has greeted us: ask it, if it understands."""
        self.lost()
        if tuple(v) >= SINCE:
            self._to_send.append(ListWeights(rid=self._rid("")))

    def lost(self) -> None:
        """There is no backend: nothing is known."""
        self.offers.clear()
        self.refusals.clear()
        self._asked.clear()
        self._to_send.clear()

    def fetch(self, name: str) -> None:
        """Have it downloaded: a person has agreed to its licence. Raises BadInput."""
        offer = self._offer(name)
        self.refusals.pop(name, None)
        rid = self._rid(name)
        self._to_send.append(FetchWeights(rid=rid, name=name, agreed=offer.licence))

    def stop(self, name: str) -> None:
        """End its download; what has arrived is kept. Raises BadInput."""
        self._offer(name)
        self._to_send.append(StopWeights(rid=self._rid(name), name=name))

    def requests(self) -> Iterator[Message]:
        """What is to be sent now."""
        while self._to_send:
            yield self._to_send.pop(0)

    def take(self, reply: Reply) -> bool:
        """Whether the reply was ours."""
        match reply:
            case Weights(offers=offers):
                self.offers = {offer.name: offer for offer in offers}
            case WeightsChanged(offers=offers):
                self.offers |= {offer.name: offer for offer in offers}
            case Error(rid=rid, error=error) if rid in self._asked:
                if name := self._asked.pop(rid):
                    self.refusals[name] = from_info(error)
            case _:
                return False
        return True

    def wanted_by(self, engine: EngineSpec) -> list[WeightsOffer]:
        """The offers of what that engine lacks: those that it cannot do without come first."""
        lacking = [weights for weights in engine.weights if weights.missing]
        lacking.sort(key=lambda weights: weights.optional)
        return [
            offer
            for weights in lacking
            for offer in self.offers.values()
            if offer.gives == weights.name
        ]

    def under_way(self) -> list[WeightsOffer]:
        """What is being fetched, or waits for that."""
        moving = (WeightsState.WAITING, WeightsState.FETCHING)
        return [offer for offer in self.offers.values() if offer.state in moving]

    def _offer(self, name: str) -> WeightsOffer:
        try:
            return self.offers[name]
        except KeyError:
            raise BadInput(
                f"The backend does not offer the weights {name!r}.",
                fix="Connect again: it may be another backend now.",
            ) from None

    def _rid(self, name: str) -> int:
        self._next += 1
        self._asked[self._next] = name
        return self._next
