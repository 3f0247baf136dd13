# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""A LoRA on the U-Net, as peft saves it: small matrices whose product is added to some weights.

Hu et al.: LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022. Module names in the file
are the published U-Net's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from backend.models.tooncrafter import keys
from protocol.errors import EngineFailed

_PREFIXES = ("base_model.model.", "model.diffusion_model.")
_FIX = "Choose the folder that peft saved for ToonCrafter's U-Net, with adapter_config.json in it."


def merge(unet: nn.Module, folder: Path, strength: float = 1.0) -> int:
    """Add a LoRA to the U-Net's weights, and say to how many.

    folder: holds adapter_config.json and adapter_model.safetensors. To take it out again, load the
    U-Net again. Raises EngineFailed, and changes nothing, if it is damaged or made for another
    network; the text names what does not fit.
    """
    config, pairs = _read(folder)
    homes = {
        public.removesuffix(".weight"): unet.get_parameter(ours)
        for ours, public in keys.public_names("unet", unet, "").items()
        if public.endswith(".weight")
    }
    changes: list[tuple[nn.Parameter, Tensor]] = []
    strange: list[str] = []
    for name, (down, up) in pairs.items():
        home = homes.get(name)
        if home is None or down.shape[0] != up.shape[1] or _product(up, down) != home.numel():
            strange.append(name)
            continue
        changes.append((home, _delta(up, down) * (strength * _gain(config, name, len(down)))))
    if strange or not changes:
        text = f"The LoRA does not fit the U-Net: {', '.join(strange) or 'it is empty'}."
        raise EngineFailed(text, fix=_FIX)
    with torch.no_grad():
        for home, change in changes:
            merged = home.float() + change.view(home.shape).to(home.device)
            home.copy_(merged)
    return len(changes)


def _product(up: Tensor, down: Tensor) -> int:
    return len(up) * down[0].numel()


def _delta(up: Tensor, down: Tensor) -> Tensor:
    return up.float().flatten(1) @ down.float().flatten(1)


def _gain(config: dict[str, Any], name: str, rank: int) -> float:
    alphas: dict[str, float] = config.get("alpha_pattern") or {}
    alpha = float(alphas.get(name) or config.get("lora_alpha") or rank)
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, tuple[Tensor, Tensor]]]:
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        values = load_file(folder / "adapter_model.safetensors")
    except (OSError, ValueError, SafetensorError) as problem:
        raise EngineFailed(f"The LoRA in {folder.name} cannot be read: {problem}", fix=_FIX) from (
            problem
        )
    halves: dict[str, dict[str, Tensor]] = {}
    for key, value in values.items():
        name, half = _parted(key)
        halves.setdefault(name, {})[half] = value
    lonely = [name for name, half in halves.items() if set(half) != {"lora_A", "lora_B"}]
    if lonely:
        raise EngineFailed(
            f"The LoRA is incomplete or of another kind: {', '.join(lonely)}.", fix=_FIX
        )
    return config, {name: (half["lora_A"], half["lora_B"]) for name, half in halves.items()}


def _parted(key: str) -> tuple[str, str]:
    """ "base_model.model.X.lora_A.weight" -> "X", "lora_A"."""
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    name = key.removesuffix(".weight").removesuffix(".default")
    module, _, half = name.rpartition(".")
    return module, half
