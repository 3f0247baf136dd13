# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies: pictures to MP4 (H.264) and WebM (VP9, with alpha), and the frames of a movie as files.

PyAV does the work; frames pass one by one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from backend.imaging import codecs
from protocol.errors import BadImage, BadInput, MissingFile, TweencelError

from .shown import Bytes


@dataclass(frozen=True)
class Kind:
    """How a movie is written. alpha: whether it can be transparent."""

    codec: str
    options: dict[str, str]
    alpha: bool


# As good as nobody sees a difference; what players everywhere can play.
KINDS = {
    ".mp4": Kind("libx264", {"crf": "16", "preset": "medium"}, alpha=False),
    ".webm": Kind("libvpx-vp9", {"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"}, True),
}
_BT709 = 1
_MPEG = 1
"""FFmpeg's numbers for the usual colours of HD movies, and for their usual range."""
_LONGEST = 100_000
"""Frames: more is no loop."""


def _av() -> Any:
    """PyAV, whose types are not all told; it is loaded when it is needed, not for every command."""
    return importlib.import_module("av")


def write(
    pictures: Iterable[Bytes], to: Path, fps: Fraction, size: tuple[int, int], alpha: bool
) -> None:
    """Write pictures (H, W, 4) as a movie. An odd side gets one more row or column, a copy.

    Raises OSError; BadImage if the movie's encoder refuses.
    """
    av = _av()

    kind = KINDS[to.suffix.lower()]
    width, height = (side + side % 2 for side in size)
    form = "yuva420p" if alpha else "yuv420p"
    options = {"movflags": "+faststart"} if to.suffix.lower() == ".mp4" else {}
    try:
        with av.open(str(to), "w", options=options) as movie:
            stream = movie.add_stream(kind.codec, rate=fps, options=kind.options)
            stream.width, stream.height, stream.pix_fmt = width, height, form
            context = stream.codec_context
            context.color_primaries = context.color_trc = context.colorspace = _BT709
            context.color_range = _MPEG
            for picture in pictures:
                frame = av.VideoFrame.from_ndarray(_even(picture), format="rgba")
                frame = frame.reformat(format=form, dst_colorspace=_BT709)
                movie.mux(stream.encode(frame))
            movie.mux(stream.encode(None))
    except av.error.FFmpegError as problem:
        if isinstance(problem, OSError):
            raise
        raise TweencelError(
            f"The movie could not be written: {problem.strerror}.", fix="Write a sequence instead."
        ) from None


def _even(picture: Bytes) -> Bytes:
    height, width = picture.shape[:2]
    framed = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(framed)


def unpacked(movie: Path, folder: Path, tell: Callable[[int], None] | None = None) -> list[Path]:
    """Every frame of a movie as a PNG file in a folder. Raises MissingFile, BadImage, BadInput."""
    av = _av()

    if not movie.is_file():
        raise MissingFile(f"There is no file {movie}.")
    files: list[Path] = []
    try:
        with av.open(str(movie)) as source:
            if not source.streams.video:
                raise BadImage(f"{movie.name} has no picture.")
            for frame in source.decode(source.streams.video[0]):
                if len(files) >= _LONGEST:
                    raise BadInput(f"{movie.name} is too long.", fix="Cut out what shall loop.")
                file = folder / f"{len(files) + 1:06d}.png"
                file.write_bytes(_png(frame))
                files.append(file)
                if tell:
                    tell(len(files))
    except av.error.FFmpegError as problem:
        raise BadImage(f"{movie.name} is no movie that can be read: {problem.strerror}.") from None
    if not files:
        raise BadImage(f"{movie.name} has no picture.")
    return files


def _png(frame: Any) -> bytes:
    # FFmpeg 8.1 leaves the last columns of "rgba" unwritten where a width is no multiple of 8.
    # These two forms are whole.
    if any(component.is_alpha for component in frame.format.components):
        pixels = frame.to_ndarray(format="rgba64le").astype(np.float32) / np.float32(65535)
        return codecs.encode(pixels, 8, "RGBA")
    pixels = np.ones((frame.height, frame.width, 4), np.float32)
    pixels[..., :3] = frame.to_ndarray(format="rgb24") / np.float32(255)
    return codecs.encode(pixels, 8, "RGB")


def fps_of(movie: Path) -> Fraction | None:
    """The frames per second that a movie tells, None if it tells none."""
    av = _av()

    try:
        with av.open(str(movie)) as source:
            videos = source.streams.video
            return videos[0].average_rate if videos else None
    except av.error.FFmpegError:
        return None
