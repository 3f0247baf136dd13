# SPDX-License-Identifier: GPL-3.0-or-later
"""From published files to weights that an engine loads, and nothing half in between."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch

from backend import installing, registry
from backend.models import files
from backend.models.cinemagraph.sizes import dump as sizes_of_loops
from backend.models.tooncrafter import convert
from backend.models.tooncrafter.checkpoint import Checkpoint
from backend.weights import catalogue, library
from backend.weights.download import Patience
from protocol.errors import (
    BackendFailure,
    BadInput,
    DiskFull,
    EngineFailed,
    TweencelError,
    WeightsFailed,
)
from tests.fakes.mirror import Manners, Mirror, write_catalogue
from tests.parity import cinemagraph
from tests.parity.tooncrafter import NARROW

from . import narrow

HASTY = Patience(stall=1, tries=2, wait=0.01)
Fetch = Callable[..., library.Installed]


def quiet(phase: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def fetch(folder: Path) -> Fetch:
    """Fetch an offer by name from the folder's own catalogue."""

    def fetched(name: str = "tooncrafter", **options: bool) -> library.Installed:
        offer = catalogue.find(name, folder)
        return installing.fetch(offer, folder, quiet, patience=HASTY, **options)

    return fetched


def test_a_checkpoint_is_fetched_over_a_breaking_line_converted_and_loaded(
    folder: Path, fetch: Fetch
) -> None:
    content = narrow.checkpoint()
    with Mirror(content, Manners(cut_after=300_000)) as mirror:
        write_catalogue(folder, narrow.offer(narrow.file("model.ckpt", content, mirror.url())))
        done = fetch()
    assert len(mirror.asked) > 3
    assert library.installed("tooncrafter") == done
    assert done.origins[0].sha256 == narrow.sha256(content)
    assert [path.name for path in library.paths("tooncrafter")] == [p.file for p in done.files]
    opened = Checkpoint(library.paths("tooncrafter"))
    opened.check()
    assert opened.sizes == NARROW
    assert not any(bad for _, bad in convert.damaged(folder / "tooncrafter"))
    assert installing.verify("tooncrafter", folder, quiet) == []
    # what was downloaded is gone, what is installed is all there is
    assert {p.name for p in folder.iterdir()} >= {"tooncrafter", "catalogue.json", "seen.json"}
    assert [p.name for p in (folder / ".fetching").iterdir()] == ["tooncrafter.lock"]


def test_a_repack_is_completed_by_the_towers_of_another_file(folder: Path, fetch: Fetch) -> None:
    rest, clip = narrow.repack()
    with Mirror(rest) as one, Mirror(clip) as other:
        files = (
            narrow.file("half.safetensors", rest, one.url("half.safetensors")),
            narrow.file("clip.bin", clip, other.url("clip.bin")),
        )
        write_catalogue(folder, narrow.offer(*files, name="tooncrafter-fp16"))
        done = fetch("tooncrafter-fp16")
    assert done.offer == "tooncrafter-fp16"
    assert {piece.file for piece in done.files} == {
        f"{network}.safetensors"
        for network in ("text", "image", "resampler", "encoder", "unet", "decoder")
    }
    Checkpoint(library.paths("tooncrafter")).check()


def test_the_sketch_encoder_is_kept_as_it_is(folder: Path, fetch: Fetch) -> None:
    content = narrow.checkpoint(sketch=True)
    with Mirror(content) as mirror:
        file = narrow.file("sketch_encoder.ckpt", content, mirror.url())
        extra = {"name": "tooncrafter-sketch", "gives": "tooncrafter-sketch"}
        write_catalogue(folder, narrow.offer(file, **extra, form="tooncrafter_sketch"))
        fetch("tooncrafter-sketch")
    (path,) = library.paths("tooncrafter-sketch")
    assert path.read_bytes() == content
    assert Checkpoint([path]).holds("sketch")


def test_a_file_that_is_no_such_model_is_refused_by_name_and_nothing_is_installed(
    folder: Path, fetch: Fetch
) -> None:
    file = io.BytesIO()
    torch.save({"state_dict": {"betas": torch.zeros(1000)}}, file)
    with Mirror(file.getvalue()) as mirror:
        write_catalogue(folder, narrow.offer(narrow.file("m.ckpt", file.getvalue(), mirror.url())))
        with pytest.raises(EngineFailed, match="not ToonCrafter"):
            fetch()
    assert library.installed("tooncrafter") is None


def test_without_a_published_digest_damage_is_seen_by_the_file_s_own_sums(
    folder: Path, fetch: Fetch
) -> None:
    content = bytearray(narrow.checkpoint())
    content[len(content) // 2] ^= 1
    with Mirror(bytes(content)) as mirror:
        file = narrow.file("model.ckpt", content, mirror.url(), digest=False)
        write_catalogue(folder, narrow.offer(file))
        with pytest.raises(WeightsFailed, match="check sum"):
            fetch()
        mirror.content = narrow.checkpoint()
        done = fetch()
    assert done.origins[0].promised is False
    assert done.origins[0].sha256 == narrow.sha256(narrow.checkpoint())


def test_a_digest_is_remembered_so_that_another_file_is_noticed(folder: Path, fetch: Fetch) -> None:
    content, other = narrow.checkpoint(), io.BytesIO()
    torch.save(torch.load(io.BytesIO(content), weights_only=True) | {"global_step": 7}, other)
    with Mirror(content) as mirror:
        plain = {"name": "model.ckpt", "urls": (mirror.url(),)}
        write_catalogue(folder, narrow.offer(plain))
        fetch()
        mirror.content = other.getvalue()
        with pytest.raises(WeightsFailed, match="another file than the one that came first") as no:
            fetch()
        assert "--forget" in no.value.fix
        offer = catalogue.find("tooncrafter", folder)
        library.forget(offer, folder)
        assert fetch().origins[0].sha256 == narrow.sha256(other.getvalue())


def test_the_user_s_own_file_is_installed_and_stays_where_it_is(folder: Path) -> None:
    folder.mkdir()
    path = folder.parent / "downloaded.ckpt"
    path.write_bytes(narrow.checkpoint())
    offer = catalogue.find("tooncrafter", folder)
    done = installing.add(offer, [path], folder, quiet)
    assert path.exists()
    assert done.origins[0].url == ""
    assert library.installed("tooncrafter") == done


def test_damage_to_what_is_installed_is_found(folder: Path) -> None:
    folder.mkdir()
    path = folder.parent / "downloaded.ckpt"
    path.write_bytes(narrow.checkpoint())
    offer = catalogue.find("tooncrafter", folder)
    installing.add(offer, [path], folder, quiet)
    files = library.paths("tooncrafter")
    content = bytearray(files[1].read_bytes())
    content[-1] ^= 1
    files[1].write_bytes(content)
    assert installing.verify("tooncrafter", folder, quiet) == [files[1].name]
    assert library.remove("tooncrafter", folder)
    assert library.installed("tooncrafter") is None


def test_there_must_be_room_for_the_download_and_the_outcome(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    usage = os.statvfs(folder)
    free = usage.f_bavail * usage.f_frsize
    file = {"name": "model.ckpt", "urls": ("http://127.0.0.1:1/",), "size": free - 2**30}
    write_catalogue(folder, narrow.offer(file) | {"kept": 2**31})
    with pytest.raises(DiskFull, match="GB are free"):
        installing.fetch(catalogue.find("tooncrafter", folder), folder, quiet)


def test_two_at_once_are_one(folder: Path) -> None:
    folder.mkdir()
    offer = catalogue.find("tooncrafter", folder)
    with library.reserved(offer, folder), pytest.raises(BackendFailure, match="fetched already"):
        installing.fetch(offer, folder, quiet)


CHILD = """
import os, sys
from backend import installing
from backend.weights import catalogue, library
def tell(phase, done, total):
    if phase == "converting" and done:
        os.kill(os.getpid(), 9)
folder = library.root()
installing.fetch(catalogue.find("tooncrafter", folder), folder, tell)
"""


def test_killed_while_it_converts_it_needs_no_second_download(folder: Path, fetch: Fetch) -> None:
    content = narrow.checkpoint()
    with Mirror(content) as mirror:
        write_catalogue(folder, narrow.offer(narrow.file("model.ckpt", content, mirror.url())))
        killed = subprocess.run([sys.executable, "-c", CHILD], check=False, timeout=60)
        assert killed.returncode == -9
        assert library.installed("tooncrafter") is None
        fetch()
    assert mirror.asked == [""]
    assert library.installed("tooncrafter") is not None


def test_networks_are_taken_out_of_a_tar_under_names_of_our_own(folder: Path) -> None:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for place, network in (("../motion-pretrained", "told"), ("hints", "hinted")):
            content = io.BytesIO()
            sizes = {files.SIZES: sizes_of_loops(cinemagraph.NARROW)}
            torch.save(cinemagraph.weights_of((network,), cinemagraph.NARROW) | sizes, content)
            for name in ("latest_net_G.pth", "latest_net_D.pth"):
                member = tarfile.TarInfo(f"{place}/{name}")
                member.size = len(content.getvalue())
                archive.addfile(member, io.BytesIO(content.getvalue()))
    path = folder.parent / "checkpoints.tar"
    path.write_bytes(tar.getvalue())
    offer = catalogue.find("text2cinemagraph", folder)
    installing.add(offer, [path], folder, quiet)
    names = sorted(path.name for path in library.paths("text2cinemagraph"))
    assert names == ["hinted.safetensors", "told.safetensors"]
    assert not list(folder.parent.glob("motion*"))


def test_a_tar_without_networks_is_refused(folder: Path) -> None:
    path = folder.parent / "checkpoints.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("readme.txt"), io.BytesIO())
    with pytest.raises(BadInput, match=r"no latest_net_G\.pth"):
        installing.add(catalogue.find("text2cinemagraph", folder), [path], folder, quiet)
    path.write_bytes(b"no tar")
    with pytest.raises(WeightsFailed, match="damaged"):
        installing.add(catalogue.find("text2cinemagraph", folder), [path], folder, quiet)


def test_an_engine_is_unavailable_until_its_weights_are_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = registry.find("crossfade")
    wants = (
        catalogue.weights("tooncrafter"),
        catalogue.weights("tooncrafter-sketch", optional=True),
    )
    spec = msgspec.structs.replace(entry.spec, weights=wants)
    monkeypatch.setattr(registry, "engines", lambda: {"crossfade": replace(entry, spec=spec)})
    (before,) = registry.specs()
    assert before.unavailable == "weights missing: tooncrafter (tweencel weights get tooncrafter)"
    assert [weights.missing for weights in before.weights] == [True, True]
    path = folder.parent / "downloaded.ckpt"
    path.write_bytes(narrow.checkpoint())
    done = installing.add(catalogue.find("tooncrafter", folder), [path], folder, quiet)
    now = registry.find("crossfade").spec
    assert now.unavailable == ""
    assert now.weights[0].sha256 == done.sha256
    assert [weights.missing for weights in now.weights] == [False, True]


def test_the_catalogue_promises_nothing_that_a_file_cannot_hold(folder: Path) -> None:
    for offer in catalogue.offers(folder).values():
        assert offer.licence
        assert offer.licence_url.startswith("https://")
        assert offer.page.startswith("https://")
        for file in offer.files:
            assert all(url.startswith("https://") for url in file.urls)
            assert not file.exact or file.size


def test_a_catalogue_with_a_path_in_a_name_is_refused(folder: Path) -> None:
    write_catalogue(folder, narrow.offer({"name": "../model.ckpt"}))
    with pytest.raises(TweencelError, match="catalogue"):
        catalogue.offers(folder)
    assert json.loads((folder / "catalogue.json").read_text())
