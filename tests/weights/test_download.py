# SPDX-License-Identifier: GPL-3.0-or-later
"""Files arrive whole and right over lines and from mirrors that are neither."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.weights import download, lock
from backend.weights.catalogue import File
from backend.weights.download import Download, Patience, Source
from protocol.errors import BackendFailure, DiskFull, WeightsFailed
from tests.fakes.mirror import Manners, Mirror

CONTENT = os.urandom(3 * 2**20 + 17)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HASTY = Patience(stall=0.5, window=0.4, slowest=2**18, tries=3, wait=0.01, longest=0.02)
NO_PROXY = {"no_proxy": "127.0.0.1"}


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def quiet(phase: str, done: int, total: int) -> None:
    pass


def fetch(target: Path, *mirrors: Mirror, sha256: str = SHA256, size: int = len(CONTENT)) -> Source:
    urls = tuple(mirror.url() for mirror in mirrors)
    file = File(name=target.name, urls=urls, size=size, exact=True, sha256=sha256)
    return Download(file, target, quiet, HASTY).run()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "model.ckpt"
    assert not list(tmp_path.glob("*.new"))


def test_a_file_arrives_over_a_line_that_breaks_again_and_again(target: Path) -> None:
    with Mirror(CONTENT, Manners(cut_after=400_000)) as mirror:
        source = fetch(target, mirror)
    assert target.read_bytes() == CONTENT
    assert source.sha256 == SHA256
    assert len(mirror.asked) == 8
    # each request asks only for what is lacking
    assert mirror.asked[1:4] == [f"bytes={n * 400_000}-" for n in (1, 2, 3)]
    assert not target.with_name("model.ckpt.part").exists()
    assert fetch(target) == source


def test_a_mirror_without_ranges_is_begun_anew(target: Path) -> None:
    with Mirror(CONTENT, Manners(cut_after=400_000, cuts=2, ranges=False)) as mirror:
        fetch(target, mirror)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("manners", "words"),
    [
        (Manners(status=404), "404"),
        (Manners(kind="text/html"), "web page"),
        (Manners(length=77), "77 bytes instead of"),
        (Manners(redirect="file:///etc/passwd"), "not allowed"),
    ],
    ids=["gone", "a page", "a wrong length", "elsewhere"],
)
def test_a_mirror_that_will_not_do_is_left_for_the_next(
    target: Path, manners: Manners, words: str
) -> None:
    with Mirror(CONTENT, manners) as bad:
        with Mirror(CONTENT) as good:
            fetch(target, bad, good)
        assert target.read_bytes() == CONTENT
        target.unlink()
        with pytest.raises(WeightsFailed, match=words):
            fetch(target, bad)
    assert not target.exists()


def test_wrong_bytes_are_refused_and_dropped(target: Path) -> None:
    wrong = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with Mirror(wrong) as bad:
        with pytest.raises(WeightsFailed, match="not the promised ones"):
            fetch(target, bad)
        assert list(target.parent.iterdir()) == []
        with Mirror(CONTENT) as good:
            fetch(target, bad, good)
    assert target.read_bytes() == CONTENT


def interrupted(target: Path, mirror: Mirror, file: File, after: int) -> None:
    """Fetch some of it, then stop as a user does."""

    def tell(phase: str, done: int, total: int) -> None:
        if done >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Download(file, target, tell, HASTY).run()
    assert target.with_name("model.ckpt.part").stat().st_size >= after


def test_halves_of_two_mirrors_that_do_not_fit_together_are_not_kept(target: Path) -> None:
    with Mirror(bytes(len(CONTENT))) as bad, Mirror(CONTENT) as good:
        file = File(name="model.ckpt", urls=(bad.url(),), size=len(CONTENT), sha256=SHA256)
        interrupted(target, bad, file, 10**6)
        fetch(target, good)
    assert target.read_bytes() == CONTENT
    # with the half first, then alone
    assert [bool(asked) for asked in good.asked] == [True, False]


def test_a_mirror_that_says_too_little_sends_no_more_than_it_said(target: Path) -> None:
    with (
        Mirror(CONTENT, Manners(length=len(CONTENT) - 5)) as mirror,
        pytest.raises(WeightsFailed, match="instead of"),
    ):
        fetch(target, mirror)
    assert not target.exists()


def test_a_mirror_that_says_too_much_is_given_up(target: Path) -> None:
    file_size = len(CONTENT) + 5
    with (
        Mirror(CONTENT, Manners(length=file_size)) as mirror,
        pytest.raises(WeightsFailed, match="no such bytes"),
    ):
        fetch(target, mirror, size=file_size)


def test_a_slow_mirror_is_left_for_a_quick_one_which_goes_on_with_the_half(target: Path) -> None:
    with Mirror(CONTENT, Manners(pace=0.3)) as slow, Mirror(CONTENT) as quick:
        source = fetch(target, slow, quick)
    assert target.read_bytes() == CONTENT
    assert source.url == quick.url()
    assert quick.asked[0].startswith("bytes=")


def test_a_silent_mirror_is_given_up(target: Path) -> None:
    with (
        Mirror(CONTENT, Manners(pace=3.0)) as mirror,
        pytest.raises(WeightsFailed, match="silent"),
    ):
        fetch(target, mirror)
    # what it sent before it fell silent is kept for a later try
    assert target.with_name("model.ckpt.part").stat().st_size > 0


def test_a_host_that_tells_the_digest_is_held_to_it(target: Path) -> None:
    with Mirror(CONTENT, Manners(promised=SHA256)) as mirror:
        assert fetch(target, mirror, sha256="").sha256 == SHA256
    target.unlink()
    with (
        Mirror(CONTENT[::-1], Manners(promised=SHA256)) as liar,
        pytest.raises(WeightsFailed, match="not the promised ones"),
    ):
        fetch(target, liar, sha256="")


def test_without_a_digest_a_file_that_changed_meanwhile_is_begun_anew(target: Path) -> None:
    newer = CONTENT[::-1]
    with Mirror(CONTENT) as mirror:
        file = File(name="model.ckpt", urls=(mirror.url(),), size=len(CONTENT), exact=True)
        interrupted(target, mirror, file, 10**6)
        mirror.content, mirror.manners = newer, Manners(etag='"two"')
        Download(file, target, quiet, HASTY).run()
    assert target.read_bytes() == newer


def test_a_file_whose_size_nobody_tells_arrives_too(target: Path) -> None:
    with Mirror(CONTENT, Manners(chunked=True)) as mirror:
        fetch(target, mirror)
    assert target.read_bytes() == CONTENT


def test_nobody_at_all_is_said_in_a_sentence(target: Path) -> None:
    with Mirror(CONTENT) as mirror:
        pass
    with pytest.raises(
        WeightsFailed, match=r"could not be downloaded: 127\.0\.0\.1:\d+: no answer"
    ):
        fetch(target, mirror)


def test_a_disk_without_room_is_known_before(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_SPARE", 2**60)
    with Mirror(CONTENT) as mirror, pytest.raises(DiskFull, match="GB are free"):
        fetch(target, mirror)
    assert not target.with_name("model.ckpt.part").exists()


CHILD = """
import sys
from pathlib import Path
from backend.weights.catalogue import File
from backend.weights.download import Download, Patience
url, size, sha256, target = sys.argv[1:]
file = File(name="model.ckpt", urls=(url,), size=int(size), exact=True, sha256=sha256)
Download(file, Path(target), lambda *told: print(told[1], flush=True), Patience()).run()
"""


def test_a_download_that_was_killed_goes_on_where_it_was(target: Path) -> None:
    with Mirror(CONTENT, Manners(pace=0.02)) as mirror:
        words = [sys.executable, "-c", CHILD, mirror.url(), str(len(CONTENT)), SHA256, str(target)]
        child = subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, **NO_PROXY})
        assert child.stdout is not None
        while int(child.stdout.readline()) < 10**6:
            pass
        child.kill()
        child.wait()
        child.stdout.close()
        held = target.with_name("model.ckpt.part").stat().st_size
        assert 10**6 <= held < len(CONTENT)
        mirror.manners.pace = 0
        fetch(target, mirror)
    assert target.read_bytes() == CONTENT
    assert mirror.asked == ["", f"bytes={held}-"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on files")
@pytest.mark.parametrize("room", [10**6, 20], ids=["for a part", "not even for the note"])
def test_a_disk_that_fills_up_is_not_taken_for_a_bad_mirror(tmp_path: Path, room: int) -> None:
    """A limit on the size of files is as near to a full disk as comes without root's rights."""
    limited = (
        "import resource, signal\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    )
    target = tmp_path / "model.ckpt"
    with Mirror(CONTENT) as mirror:
        arguments = [mirror.url(), str(len(CONTENT)), SHA256, str(target)]
        done = subprocess.run(
            [sys.executable, "-c", limited + CHILD, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **NO_PROXY},
            timeout=60,
        )
        assert done.returncode == 1
        assert "The backend cannot write" in done.stderr
        assert len(mirror.asked) == 1
        part = target.with_name("model.ckpt.part")
        assert not part.exists() or part.stat().st_size == room
        fetch(target, mirror)
    assert target.read_bytes() == CONTENT
    assert mirror.asked[1] == (f"bytes={room}-" if room > 20 else "")


def test_one_file_is_never_fetched_by_two_at_once(tmp_path: Path) -> None:
    path = tmp_path / "model.lock"
    with (
        lock.held(path, "The model"),
        pytest.raises(BackendFailure, match="fetched already"),
        lock.held(path, "The model"),
    ):
        pass
    with lock.held(path, "The model"):
        pass
