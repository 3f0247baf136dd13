# SPDX-License-Identifier: GPL-3.0-or-later
"""What an executor and its workers say to each other, as msgpack; never pickle."""

from __future__ import annotations

import msgspec

from protocol.errors import ErrorInfo
from protocol.jobs import Task
from protocol.params import Value


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """How frames are written: `format` "PNG" or "EXR", `channels` "L", "LA", "RGB" or "RGBA".

    `depth`: 8 or 16 bits; of an EXR 16 (half) or 32 (float).
    """

    depth: int
    channels: str
    format: str = "PNG"


class Run(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """Make a job's frames with the indices `wanted`. `inputs` gives a file's path by its digest."""

    run: int
    engine: str
    params: dict[str, Value]
    seed: int
    task: Task
    wanted: tuple[int, ...]
    inputs: dict[str, str]
    output: Output


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Stop that run at the next step."""

    run: int


Order = Run | Stop


class Step(msgspec.Struct, frozen=True, tag="step"):
    """A sign of life. `fraction` of the phase, 0..1."""

    run: int
    phase: str
    fraction: float


class Made(msgspec.Struct, frozen=True, tag="made"):
    """A frame is finished; its file follows as the next message of the pipe."""

    run: int
    index: int


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The run is over: all made, stopped, or failed with `error`. `spent` seconds of work."""

    run: int
    spent: float = 0.0
    stopped: bool = False
    error: ErrorInfo | None = None


Report = Step | Made | Ended

encode = msgspec.msgpack.Encoder().encode
_order: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
_report: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)
decode_order = _order.decode
decode_report = _report.decode
