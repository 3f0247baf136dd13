# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of picture files to one file that others play, or to a sequence of another kind.

Which kind it becomes is told by the name. Frames are read one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from backend.imaging.alpha import Array
from backend.imaging.codecs import decode
from protocol.errors import BadInput, BadParameter, MissingFile, TweencelError

from . import animations, movies, sequences
from .found import look_at, require_free
from .shown import Bytes, flattened, shown

Step = Callable[[int, int], None]
"""Is told how many frames are written, and of how many."""
FILES = (*movies.KINDS, *animations.KINDS)
"""The ends of names that mean one file for all frames."""


@dataclass(frozen=True)
class Export:
    """What is to be written, and how it is played.

    times: how often; 0: for ever; None: for ever where the kind of file can say so, else once.
    under: the colour, 0..1, that lies under what is transparent in a kind of file without alpha.
    """

    out: Path
    fps: Fraction = Fraction(24)
    times: int | None = None
    under: tuple[float, float, float] = (0.0, 0.0, 0.0)
    overwrite: bool = False

    @property
    def suffix(self) -> str:
        return self.out.suffix.lower()

    @property
    def is_folder(self) -> bool:
        """Whether the name is neither that of a file nor that of a numbered sequence."""
        return not self.suffix

    def check(self) -> None:
        """Raise BadInput or BadParameter if nothing can be written like that."""
        if self.suffix in sequences.KINDS:
            sequences.check(self.out)
        elif self.suffix and self.suffix not in FILES:
            raise BadInput(
                f"{self.out} tells no kind of file that can be written.",
                fix=f"Let it end in {', '.join(FILES)}, or give a sequence (loop_####.png, "
                "loop_####.exr) or a folder.",
            )
        if self.suffix in movies.KINDS and self.times == 0:
            raise BadParameter(
                f"A {self.suffix[1:].upper()} file cannot say that it repeats for ever.",
                fix="Give how often it shall be played, and let the player repeat it; or use "
                ".gif, .apng or .webp.",
            )


def _tell_nobody(done: int, total: int) -> None:
    pass


def export(files: Sequence[Path], plan: Export, tell: Step = _tell_nobody) -> list[Path]:
    """Write the run; gives the files that were made. Each is there only when it is whole.

    Raises MissingFile, BadInput, SizeMismatch, BadImage; TweencelError if it cannot be written.
    """
    plan.check()
    if not files:
        raise MissingFile("There is no picture to export.")
    if plan.suffix not in FILES:
        look_at(files)
        return sequences.write(files, plan.out, plan.overwrite, tell)
    require_free(plan.out, plan.overwrite)
    half = plan.out.with_name(f".{plan.out.stem}.part{plan.suffix}")
    try:
        plan.out.parent.mkdir(parents=True, exist_ok=True)
        _write(files, half, plan, tell)
        half.replace(plan.out)
    except OSError as problem:
        raise TweencelError(
            f"{plan.out} cannot be written: {problem.strerror or problem}.",
            fix="Free some space, or choose another place.",
        ) from None
    finally:
        half.unlink(missing_ok=True)
    return [plan.out]


def _write(files: Sequence[Path], to: Path, plan: Export, tell: Step) -> None:
    info = look_at(files)
    alpha = any(look_at([file]).alpha for file in files)
    if plan.suffix in movies.KINDS:
        alpha = alpha and movies.KINDS[plan.suffix].alpha
        files = list(files) * (plan.times or 1)
    pictures = _pictures(files, None if alpha else plan.under, tell)
    if plan.suffix in movies.KINDS:
        movies.write(pictures, to, plan.fps, (info.width, info.height), alpha)
    else:
        animations.write(pictures, to, plan.fps, plan.times or 0, alpha)


def _pictures(
    files: Sequence[Path], under: tuple[float, float, float] | None, tell: Step
) -> Iterator[Bytes]:
    """Each picture (H, W, 4), read when it is asked for; opaque if a colour lies under it."""
    for done, file in enumerate(files, 1):
        pixels = read(file)
        yield shown(pixels if under is None else flattened(pixels, under))
        tell(done, len(files))


def read(file: Path) -> Array:
    """A picture file's straight RGBA (H, W, 4). Raises MissingFile, BadImage."""
    try:
        content = file.read_bytes()
    except OSError as problem:
        raise MissingFile(f"{file} cannot be read: {problem.strerror}.") from None
    return decode(content, name=file.name).pixels
