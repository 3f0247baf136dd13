# SPDX-License-Identifier: GPL-3.0-or-later
"""RIFE: moves the paint of both keys along an estimated flow and mixes what arrives.

The flow is estimated on the drawings over white or black; colour and alpha then move together,
premultiplied. The weights come inside the package. torch is imported only where it computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.engine import Context, Engine, Frame, Pixels, Progress
from backend.imaging import alpha, fit
from backend.weights import shelf
from protocol.engines import Abilities, EngineSpec
from protocol.jobs import Inbetween
from protocol.params import Choice, ChoiceParam

if TYPE_CHECKING:
    import torch

    from backend.models.ifnet import IFNet, Motion

_WEIGHTS = "rife-4.25"
_DETAILS = {"fine": 2.0, "normal": 1.0, "large": 0.5, "huge": 0.25}
_LARGE_PICTURE = 2048
_CRISPNESS = 4.0
"""Factor on the mask's logits: new flat colours become ten times rarer, lines stay as they are."""

SPEC = EngineSpec(
    id="rife",
    label="RIFE",
    summary="Follows the motion between two drawings: any size, with alpha, no GPU needed.",
    version="4.25.1",
    jobs=("inbetween", "loop_gap"),
    params=(
        ChoiceParam(
            name="motion",
            label="Motion",
            help="How far parts of the drawing may travel from one key to the next",
            default="auto",
            choices=(
                Choice("auto", "Automatic", "By the size of the picture"),
                Choice("fine", "Small", "Thin parts that move a little; about three times slower"),
                Choice("normal", "Normal", "Best for most drawings up to 2048 pixels"),
                Choice("large", "Large", "For large pictures or long ways"),
                Choice("huge", "Huge", "For very long ways; small parts may blur"),
            ),
        ),
        ChoiceParam(
            name="overlap",
            label="Overlap",
            help="What to show where the two keys do not fit together after they were moved",
            default="blend",
            choices=(
                Choice("blend", "Blend", "Mix both: soft, evenly changing pictures"),
                Choice("crisp", "Crisp", "Prefer one of them: flat colours stay clean"),
            ),
        ),
    ),
    weights=(shelf.record(_WEIGHTS),),
    can=Abilities(seeds=False),
)


def load(device: str) -> Engine[Inbetween]:
    """The network on a device: "auto", "cpu", "cuda", "cuda:1", "mps".

    Raises EngineFailed if this machine has no such device, BackendBroken if the weights are
    damaged.
    """
    import torch
    from safetensors.torch import load as load_tensors

    from backend.models import device as devices
    from backend.models.ifnet import IFNet

    where = devices.choose(device)
    with torch.device("meta"):
        net = IFNet()
    stored = load_tensors(shelf.read(_WEIGHTS))
    parameters = {name: value.to(where, torch.float32) for name, value in stored.items()}
    net.load_state_dict(parameters, assign=True)
    return Rife(net.eval().requires_grad_(False), where)


class _Key(NamedTuple):
    """A key on the device, padded. `view` is opaque: the network sees it; `layers` is moved."""

    digest: str
    grey: float
    view: torch.Tensor
    features: torch.Tensor
    layers: torch.Tensor


class Rife:
    """The loaded network. Only the two keys of the current gap are in memory."""

    def __init__(self, net: IFNet, device: torch.device) -> None:
        self._net = net
        self._device = device

    def run(self, task: Inbetween, context: Context) -> Iterator[Frame | Progress]:
        crisp = context.params.get("overlap") == "crisp"
        slots = context.slots(task)
        known: tuple[_Key, ...] = ()
        for gap, wanted in groupby(slots, key=lambda slot: slot.gap):
            digests = task.keys[gap : gap + 2]
            pictures = tuple(context.pictures(digest) for digest in digests)
            if digests[0] == digests[1]:
                yield from (Frame(slot.index, pictures[0]) for slot in wanted)
                continue
            yield Progress("looking at the keys", gap / len(task.gaps))
            detail = _detail(str(context.params.get("motion", "auto")), pictures[0])
            room = _room(pictures[0], detail)
            known = self._prepare(digests, pictures, room, known)
            opaque = all(alpha.is_opaque(picture) for picture in pictures)
            within = alpha.bounds(pictures)
            for slot in wanted:
                mixed = self._between(known, slot.t, detail, crisp)
                yield Frame(slot.index, _finished(fit.crop(mixed, room), opaque, within))

    def _prepare(
        self,
        digests: tuple[str, ...],
        pictures: tuple[Pixels, ...],
        room: fit.Fit,
        known: tuple[_Key, ...],
    ) -> tuple[_Key, ...]:
        """Both keys of a gap; one that the last gap had too is taken from `known`."""
        grey = alpha.contrasting_grey(pictures)
        ready = {key.digest: key for key in known if key.grey == grey}
        return tuple(
            ready.get(digest) or self._key(digest, picture, room, grey)
            for digest, picture in zip(digests, pictures, strict=True)
        )

    def _key(self, digest: str, picture: Pixels, room: fit.Fit, grey: float) -> _Key:
        import torch

        with torch.inference_mode():
            seen = np.clip(alpha.over(picture, grey), 0, 1)
            view = self._tensor(fit.pad(seen, room))
            layers = self._tensor(fit.pad(alpha.premultiply(picture), room))
            return _Key(digest, grey, view, self._net.encode(view), layers)

    def _tensor(self, array: NDArray[np.float32]) -> torch.Tensor:
        """(H, W, C) to (1, C, H, W) on the device."""
        import torch

        planes = np.ascontiguousarray(array.transpose(2, 0, 1))
        return torch.as_tensor(planes, device=self._device)[None]

    def _between(self, keys: tuple[_Key, ...], t: float, detail: float, crisp: bool) -> Pixels:
        """The premultiplied picture at time t, still padded."""
        import torch

        from backend.models.ifnet import mix

        with torch.inference_mode():
            views = torch.cat([key.view for key in keys])
            features = torch.cat([key.features for key in keys])
            motion = self._net(views, features, t, detail)
            if crisp:
                motion = _sharpened(motion)
            mixed = mix(torch.cat([key.layers for key in keys]), motion)
            return mixed.permute(1, 2, 0).contiguous().cpu().numpy()


def _sharpened(motion: Motion) -> Motion:
    import torch

    return motion._replace(mask=torch.sigmoid(torch.logit(motion.mask, 1e-6) * _CRISPNESS))


def _detail(motion: str, picture: Pixels) -> float:
    """How large the network sees the picture: it follows about the same number of pixels."""
    if motion == "auto":
        motion = "large" if max(picture.shape[:2]) > _LARGE_PICTURE else "normal"
    return _DETAILS[motion]


def _room(picture: Pixels, detail: float) -> fit.Fit:
    from backend.models.ifnet import MULTIPLE

    height, width = picture.shape[:2]
    return fit.fit_to_multiple(height, width, max(MULTIPLE, int(MULTIPLE / detail)))


def _finished(premultiplied: Pixels, opaque: bool, within: tuple[float, float]) -> Pixels:
    """Straight RGBA: exactly opaque if both keys were, and no black under the edges if not."""
    if opaque:
        straight = np.clip(premultiplied, *within)
        straight[..., 3] = 1
        return straight
    return alpha.bleed(alpha.unpremultiply(premultiplied, within))
