# SPDX-License-Identifier: GPL-3.0-or-later
"""Every failure that Tweencel raises on purpose, with its wire code and what to do about it.

TweencelError
├── BadInput                 what the artist gave cannot be used
│   ├── BadImage             not a picture, broken, or of a kind that is not read
│   ├── MissingFile          the file is not there or may not be read
│   ├── ImageTooLarge        more pixels than the backend takes
│   ├── SizeMismatch         keys of different sizes
│   ├── TooFewKeys           fewer than two keys
│   ├── NothingToMake        no in-between asked for in any gap
│   ├── NoRoom               more in-betweens than frames between two keys
│   ├── BadParameter         a setting outside what the engine publishes
│   ├── BadJob               a job that contradicts itself or the limits
│   ├── NotAgreed            weights were asked for, but their licence was not agreed to
│   └── UnknownEngine        no such engine on this backend
├── ProtocolFailure          the two sides do not understand each other
│   ├── MalformedMessage
│   ├── UnknownMessage
│   ├── HelloFirst           a peer spoke before it said hello
│   ├── VersionMismatch
│   ├── NotAllowed           only an administrator may ask for that
│   └── QuotaExceeded        the client has too much open or stored
├── TransferFailure          bytes did not arrive as they should
│   ├── MissingInputs        a job names files that the backend does not hold
│   ├── UnknownDigest        a file was asked for that the backend does not hold
│   ├── DigestMismatch       the bytes are not those that their name promises
│   └── NoCredit             a peer sent or asked for more than its window
├── JobFailure               a job did not end well
│   ├── EngineFailed         the engine raised
│   ├── WorkerDied           the engine's process ended
│   ├── JobConflict          the same id with another job
│   └── UnknownJob
└── BackendFailure           the backend or its machine
    ├── BackendNotFound      no `tweencel` program
    ├── BackendNotRunning    nobody answers
    ├── DiskFull
    ├── WeightsMissing       an engine's weights are not on the backend's machine
    ├── WeightsFailed        they could not be had, or are not what they should be
    └── BackendBroken        a defect of ours
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class ErrorInfo(msgspec.Struct, frozen=True):
    """A failure as it crosses the wire: a code for machines, two sentences for people."""

    code: str
    text: str
    fix: str = ""
    retryable: bool = False


class TweencelError(Exception):
    """A failure with what happened (`text`) and what to do next (`fix`)."""

    code: ClassVar[str] = "error"
    default_fix: ClassVar[str] = ""
    default_retryable: ClassVar[bool] = False

    def __init__(self, text: str, *, fix: str = "", retryable: bool | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.fix = fix or self.default_fix
        self.retryable = self.default_retryable if retryable is None else retryable

    def __str__(self) -> str:
        return f"{self.text} {self.fix}".strip()

    def info(self) -> ErrorInfo:
        """This failure as a wire record. Long texts are cut: they may quote what a peer sent."""
        return ErrorInfo(self.code, _cut(self.text), _cut(self.fix), self.retryable)


def _cut(text: str, most: int = 600) -> str:
    return text if len(text) <= most else f"{text[: most - 4]} ..."


class BadInput(TweencelError):
    code = "bad_input"
    default_fix = "Correct it and try again."


class BadImage(BadInput):
    code = "bad_image"
    default_fix = "Save the drawing again as PNG (8 or 16 bit), JPEG or EXR."


class MissingFile(BadInput):
    code = "missing_file"
    default_fix = "Check that the file exists and that you may read it."


class ImageTooLarge(BadInput):
    code = "image_too_large"
    default_fix = "Use a smaller picture."


class SizeMismatch(BadInput):
    code = "size_mismatch"
    default_fix = "Give all pictures of the job the same width and height, then generate again."


class TooFewKeys(BadInput):
    code = "too_few_keys"
    default_fix = "Select at least two key drawings."


class NothingToMake(BadInput):
    code = "nothing_to_make"
    default_fix = "Ask for at least one in-between in one of the gaps."


class NoRoom(BadInput):
    code = "no_room"
    default_fix = "Move the keys apart, or ask for fewer in-betweens."


class BadParameter(BadInput):
    code = "bad_parameter"
    default_fix = "Correct the engine's settings."


class BadJob(BadInput):
    code = "bad_job"
    default_fix = "Correct the job and hand it in again."


class NotAgreed(BadInput):
    code = "not_agreed"
    default_fix = "Read the licence, then agree to it."


class UnknownEngine(BadInput):
    code = "unknown_engine"
    default_fix = "Choose one of the engines that this backend lists."


class ProtocolFailure(TweencelError):
    code = "protocol"


class MalformedMessage(ProtocolFailure):
    code = "malformed"
    default_fix = "Update the add-on and the backend to the same release."


class UnknownMessage(ProtocolFailure):
    code = "unknown_message"
    default_fix = "Update the side that does not know it."


class HelloFirst(ProtocolFailure):
    code = "hello_first"
    default_fix = "Connect again."
    default_retryable = True


class VersionMismatch(ProtocolFailure):
    code = "version_mismatch"
    default_fix = "Update the older side, then connect again."


class NotAllowed(ProtocolFailure):
    code = "not_allowed"
    default_fix = "Do it on the backend's own machine, or ask who looks after it."


class QuotaExceeded(ProtocolFailure):
    code = "quota"
    default_fix = "Wait until some of your jobs are done, then try again."
    default_retryable = True


class TransferFailure(TweencelError):
    code = "transfer"
    default_retryable = True


class MissingInputs(TransferFailure):
    code = "missing_inputs"
    default_fix = "Send the files first, then the job."


class UnknownDigest(TransferFailure):
    code = "unknown_digest"
    default_fix = "Generate the frames again."
    default_retryable = False


class DigestMismatch(TransferFailure):
    code = "digest_mismatch"
    default_fix = "The file changed while it was sent: generate again."


class NoCredit(TransferFailure):
    code = "no_credit"
    default_fix = "Wait for the window to open."


class JobFailure(TweencelError):
    code = "job_failed"


class EngineFailed(JobFailure):
    code = "engine_failed"
    default_fix = "Try it again or with another engine; report it if it returns."


class WorkerDied(JobFailure):
    code = "worker_died"
    default_fix = "Generate again; use smaller pictures or another engine if it returns."
    default_retryable = True


class JobConflict(JobFailure):
    code = "job_conflict"
    default_fix = "Generate again: a new job gets a new id."


class UnknownJob(JobFailure):
    code = "unknown_job"
    default_fix = "Generate again: the backend does not know this job."


class BackendFailure(TweencelError):
    code = "backend"
    default_fix = "Look into the backend's log (`tweencel logs`), then start it again."
    default_retryable = True


class BackendNotFound(BackendFailure):
    code = "backend_not_found"
    default_fix = (
        "Install it with `pipx install tweencel`, or set the path of the tweencel program "
        "in the add-on's preferences."
    )


class BackendNotRunning(BackendFailure):
    code = "backend_not_running"
    default_fix = "Press Start Local Backend, or check the address in the panel."


class DiskFull(BackendFailure):
    code = "disk_full"
    default_fix = "Free some space on the disk, then try again."


class WeightsMissing(BackendFailure):
    code = "weights_missing"
    default_fix = "Download them in the panel, or with `tweencel weights get`."
    default_retryable = False


class WeightsFailed(BackendFailure):
    code = "weights_failed"
    default_fix = "Try again later: what has arrived is kept."


class BackendBroken(BackendFailure):
    code = "backend_broken"
    default_fix = "Look into the backend's log, restart it and try again; report it if it returns."
    default_retryable = False


def _tree(root: type[TweencelError]) -> list[type[TweencelError]]:
    return [root, *(leaf for branch in root.__subclasses__() for leaf in _tree(branch))]


BY_CODE: dict[str, type[TweencelError]] = {kind.code: kind for kind in _tree(TweencelError)}


def from_info(info: ErrorInfo) -> TweencelError:
    """The exception that a wire record stands for; a code we do not know stays a TweencelError."""
    kind = BY_CODE.get(info.code, TweencelError)
    return kind(info.text, fix=info.fix, retryable=info.retryable)
