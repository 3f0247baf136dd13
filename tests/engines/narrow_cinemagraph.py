# SPDX-License-Identifier: GPL-3.0-or-later
"""Narrow random weights for Learned Loop, installed as a user's own files are."""

from __future__ import annotations

import tarfile
from functools import cache
from pathlib import Path

import torch

from backend import installing
from backend.engines import learned_loop
from backend.models.cinemagraph.sizes import dump
from backend.models.files import SIZES
from backend.weights import catalogue
from tests.parity.cinemagraph import NARROW, weights_of


@cache
def _random(*networks: str) -> dict[str, torch.Tensor]:
    return weights_of(networks, NARROW)


def answering(x: float, y: float) -> dict[str, torch.Tensor]:
    """Weights of a hinted network that answers this flow, before it is cut, whatever it is shown.

    Its last layer sees nothing but zeros and adds its bias.
    """
    weights = {name: value.clone() for name, value in _random("hinted").items()}
    for part in ("mlp_gamma", "mlp_beta"):
        weights[f"spade_layer.{part}.weight"].zero_()
        weights[f"spade_layer.{part}.bias"].fill_(-1 if part == "mlp_gamma" else 0)
    weights["conv1.bias"].fill_(-1e3)
    weights["dconv8.bias"].copy_(torch.tensor((x, y)))
    return weights


def installed(folder: Path, hinted: dict[str, torch.Tensor] | None = None) -> Path:
    """The folder, with everything in it that Learned Loop takes."""
    hinted = _random("hinted") if hinted is None else hinted
    source = folder.with_name(f"{folder.name}-published")
    source.mkdir()
    for name, path in (
        (learned_loop.NETWORKS, _tar(source, hinted)),
        (learned_loop.TEXT, _file(source / "model.ckpt", _random("text"))),
        (learned_loop.OTHER, _other(source / "sceneflow_model.pth", hinted)),
    ):
        installing.add(catalogue.find(name, folder), [path], folder, lambda *_: None)
    return folder


def _tar(source: Path, hinted: dict[str, torch.Tensor]) -> Path:
    path = source / "checkpoints.tar"
    with tarfile.open(path, "w") as archive:
        for name, weights in (
            ("motion-pretrained", _random("told")),
            ("motion-direction-pretrained", hinted),
            ("video-pretrained", _random("encoder", "decoder")),
        ):
            loose = _file(source / "loose.pth", weights)
            archive.add(loose, f"checkpoints/{name}/latest_net_G.pth")
    return path


def _file(path: Path, weights: dict[str, torch.Tensor]) -> Path:
    torch.save({**weights, SIZES: dump(NARROW)}, path)
    return path


def _other(path: Path, hinted: dict[str, torch.Tensor]) -> Path:
    named = {f"motion_predictor.{name}": value for name, value in hinted.items()}
    torch.save({"netG": named, SIZES: dump(NARROW)}, path)
    return path
