# SPDX-License-Identifier: GPL-3.0-or-later
"""From published files to weights that an engine finds: fetched, checked, converted, in place.

It knows the networks' own checks and conversions, and imports torch for them: the server has it
done in a process of its own (`fetcher`).
"""

from __future__ import annotations

import datetime
import shutil
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from protocol.errors import BadInput, MissingFile, WeightsFailed

from .disk import disk_errors
from .weights import library
from .weights.catalogue import File, Form, Offer
from .weights.download import Download, Patience, Source, Tell, digest_of, require_room
from .weights.library import Installed, Origin, Piece

_READY = "ready"
_GENERATORS = "latest_net_G.pth"
"""What the networks are called in a tar of Text2Cinemagraph's."""


def fetch(
    offer: Offer, folder: Path, tell: Tell, *, keep: bool = False, patience: Patience | None = None
) -> Installed:
    """Download what is lacking of an offer and install it. `keep`: the downloaded files too.

    Raises WeightsFailed, DiskFull, BackendFailure if it is being fetched already, EngineFailed if
    the files do not fit, and what `tell` raises. What has arrived is kept for the next try.
    """
    with library.reserved(offer, folder), disk_errors():
        there = library.workplace(offer, folder)
        there.mkdir(parents=True, exist_ok=True)
        require_room(folder, _to_come(offer, folder), offer.title)
        origins: list[Origin] = []
        for number, file in enumerate(offer.files):
            before = sum(other.size for other in offer.files[:number])
            download = Download(file, there / file.name, _of_all(tell, before, offer), patience)
            source = _run(download, offer)
            origins.append(_origin(offer, file, there / file.name, source, folder, tell))
        return _install(offer, [there / f.name for f in offer.files], origins, folder, tell, keep)


def add(offer: Offer, files: Sequence[Path], folder: Path, tell: Tell) -> Installed:
    """Install from the user's own files, which stay where they are.

    Raises BadInput or MissingFile for files that cannot be it, else as `fetch`.
    """
    for path in files:
        if not path.is_file():
            raise MissingFile(f"There is no file {path}.")
    with library.reserved(offer, folder), disk_errors():
        library.workplace(offer, folder).mkdir(parents=True, exist_ok=True)
        require_room(folder, offer.kept, offer.title)
        origins: list[Origin] = []
        for path in files:
            digest, size = digest_of(path, tell), path.stat().st_size
            origins.append(Origin(file=path.name, url="", size=size, sha256=digest))
        return _install(offer, files, origins, folder, tell, keep=True)


def convert(offer: Offer, files: Sequence[Path], target: Path, tell: Tell) -> Iterator[Piece]:
    """Write what an engine reads into a folder; yields each file when it is there.

    Raises EngineFailed if the files do not fit, WeightsFailed for numbers that are too large.
    """
    try:
        match offer.form:
            case Form.TOONCRAFTER:
                yield from _convert_tooncrafter(files, target)
            case Form.SKETCH:
                yield from _copy_sketch(files, target)
            case Form.CINEMAGRAPH:
                yield from _convert_cinemagraph(files, target, tell)
    except OverflowError as problem:
        raise WeightsFailed(f"It cannot be converted: {problem}.", fix="Keep the file.") from None


def verify(gives: str, folder: Path, tell: Tell) -> list[str]:
    """The installed files whose bytes are not those that were written. Raises WeightsFailed."""
    found = library.installed(gives, folder)
    if found is None:
        raise WeightsFailed(f"{gives} is not installed.", fix=f"tweencel weights get {gives}")
    bad: list[str] = []
    for piece in found.files:
        path = folder / gives / piece.file
        if not path.is_file() or digest_of(path, tell) != piece.sha256:
            bad.append(piece.file)
    return bad


# Steps ----------------------------------------------------------------------------------------


def _run(download: Download, offer: Offer) -> Source:
    """Where the file came from. Raises what the download raises, with the way by hand."""
    try:
        return download.run()
    except WeightsFailed as problem:
        by_hand = f"Or get it from {offer.page}, then `tweencel weights add {offer.name} FILE`."
        raise WeightsFailed(problem.text, fix=f"{problem.fix} {by_hand}") from problem


def _to_come(offer: Offer, folder: Path) -> int:
    return max(0, offer.size - library.on_its_way(offer, folder)) + offer.kept


def _of_all(tell: Tell, before: int, offer: Offer) -> Tell:
    """Tells of one file as a part of all."""

    def told(phase: str, done: int, total: int) -> None:
        alone = len(offer.files) == 1 or phase == "checking"
        tell(phase, done if alone else before + done, total if alone else offer.size)

    return told


def _origin(
    offer: Offer, file: File, path: Path, source: Source, folder: Path, tell: Tell
) -> Origin:
    """What is known of a file that has arrived. One without a promised digest is looked through."""
    digest = source.sha256
    if not digest:
        digest = digest_of(path, tell)
        try:
            _look_through(path)
        except WeightsFailed:
            path.unlink()
            raise
    library.require_known(offer, file.name, digest, folder)
    size = path.stat().st_size
    return Origin(
        file=file.name, url=source.url, size=size, sha256=digest, promised=bool(source.sha256)
    )


def _look_through(path: Path) -> None:
    """Raises WeightsFailed if a file's own check sums say that it is damaged."""
    if not zipfile.is_zipfile(path):
        return  # the other kinds have none: what they hold is compared name by name
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise WeightsFailed(f"{path.name} is damaged: the check sum of {damaged} is wrong.")


def _install(
    offer: Offer,
    files: Sequence[Path],
    origins: Sequence[Origin],
    folder: Path,
    tell: Tell,
    keep: bool,
) -> Installed:
    there = library.workplace(offer, folder)
    ready = there / _READY
    shutil.rmtree(ready, ignore_errors=True)
    ready.mkdir()
    pieces: list[Piece] = []
    tell("converting", 0, offer.kept)
    for piece in convert(offer, files, ready, tell):
        pieces.append(piece)
        tell("converting", sum(piece.size for piece in pieces), offer.kept)
    record = Installed(
        offer=offer.name,
        title=offer.title,
        agreed=offer.licence,
        at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        files=tuple(pieces),
        origins=tuple(origins),
    )
    (ready / library.RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
    library.place(ready, offer.gives, folder)
    if not keep:
        shutil.rmtree(there)
    return record


def _convert_tooncrafter(files: Sequence[Path], target: Path) -> Iterator[Piece]:
    from .models.tooncrafter.checkpoint import Checkpoint
    from .models.tooncrafter.convert import convert

    for written in convert(Checkpoint(files), target):
        yield Piece(file=written.path.name, size=written.size, sha256=written.sha256)


def _copy_sketch(files: Sequence[Path], target: Path) -> Iterator[Piece]:
    from .models.tooncrafter.checkpoint import Checkpoint

    for path in files:
        Checkpoint([path]).check(("sketch",))
        shutil.copyfile(path, target / path.name)
        yield _piece(target / path.name)


def _convert_cinemagraph(files: Sequence[Path], target: Path, tell: Tell) -> Iterator[Piece]:
    from safetensors import SafetensorError

    from .models.cinemagraph.checkpoint import Checkpoint
    from .models.cinemagraph.convert import convert

    unpacked = target.parent / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    loose = [found for path in files for found in _networks(path, unpacked, tell)]
    if not loose:
        raise BadInput(f"{files[0].name} holds no {_GENERATORS}.", fix="Get the file again.")
    try:
        for path in convert(Checkpoint(loose), target):
            yield _piece(path)
    except SafetensorError as problem:  # which is what it makes of the disk's errors too
        raise WeightsFailed(f"The networks could not be written: {problem}.") from problem
    shutil.rmtree(unpacked, ignore_errors=True)


def _networks(path: Path, unpacked: Path, tell: Tell) -> Iterator[Path]:
    """The file itself, or the networks that a tar holds, written under names of our own."""
    if path.suffix != ".tar":
        yield path
        return
    unpacked.mkdir(exist_ok=True)
    try:
        with tarfile.open(path) as archive:
            for number, member in enumerate(archive):
                content = archive.extractfile(member) if member.isfile() else None
                if content is None or Path(member.name).name != _GENERATORS:
                    continue
                tell("unpacking", member.offset, path.stat().st_size)
                loose = unpacked / f"{number}.pth"
                with content, loose.open("wb") as file:
                    shutil.copyfileobj(content, file, 2**22)
                yield loose
    except tarfile.TarError as problem:
        raise WeightsFailed(f"{path.name} is damaged: {problem}.") from None


def _piece(path: Path) -> Piece:
    digest = digest_of(path, _quiet)
    return Piece(file=path.name, size=path.stat().st_size, sha256=digest)


def _quiet(phase: str, done: int, total: int) -> None:
    pass
