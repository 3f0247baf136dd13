# SPDX-License-Identifier: GPL-3.0-or-later
"""One sample of each message; `python -m tests.protocol.samples` records them as golden vectors.

Record anew only when the protocol's version changes.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from protocol import codec
from protocol import messages as m
from protocol.engines import Abilities, EngineSpec, Needs, Weights
from protocol.errors import ErrorInfo
from protocol.jobs import (
    ClipLoop,
    Guide,
    Inbetween,
    LoopGap,
    Point,
    Region,
    SeamPlot,
    State,
    StillLoop,
    Stroke,
    kind_of,
)
from protocol.limits import Limits
from protocol.params import BoolParam, Choice, ChoiceParam, FloatParam, IntParam, TextParam

VECTORS = Path(__file__).with_name("vectors")
A, B = "a" * 64, "b" * 64
JOB = "0123456789abcdef" * 2
BODY = b"some bytes of a file"
TASK = Inbetween(keys=(A, B, A), gaps=((0.25, 0.5), ()))
GUIDED = Inbetween(
    keys=(A, B, A),
    gaps=((0.25, 0.5), ()),
    breakdowns=(1,),
    guides=(Guide(gap=0, t=0.5, sketch=B, strength=0.5),),
    masks=(A,),
    even_motion=True,
)
STILL = StillLoop(
    still=A,
    regions=(
        Region(
            mask=B,
            motion="water",
            strokes=(Stroke(line=(Point(1, 2), Point(3.5, 4)), speed=2.5),),
            anchors=((Point(0, 0),),),
            speed=1.5,
            period=30,
        ),
    ),
    length=60,
)
CLIP = ClipLoop(frames=(A, B, A), length=2, masks=(B,), start=1, plate=2)
GAP = LoopGap(frames=(A, B), between=3, masks=(B,), even_light=False, layer=True)
PLOT = SeamPlot(frames=(A, B, A), shortest=2, longest=3)
ENGINE = EngineSpec(
    id="sample",
    label="Sample",
    summary="An engine with one setting of each kind.",
    version="1.2",
    jobs=("inbetween",),
    params=(
        IntParam(name="steps", label="Steps", default=4, minimum=1, maximum=50),
        FloatParam(name="scale", label="Scale", default=1.0, minimum=0.25, maximum=2, unit="x"),
        BoolParam(name="sharp", label="Sharp", default=True, help="Keep the line."),
        ChoiceParam(name="way", label="Way", default="a", choices=(Choice("a", "A"),)),
        TextParam(name="prompt", label="Prompt"),
    ),
    needs=Needs(vram_gb=1.5),
    can=Abilities(alpha=False),
    weights=(Weights(name="w", sha256=A, size=7, licence="MIT", embedded=True),),
)

OFFER = m.WeightsOffer(
    name="toon",
    gives="toon",
    title="Toon",
    licence="MIT",
    licence_url="https://toon.example/licence",
    page="https://toon.example",
    notice="By somebody.",
    hosts=("toon.example",),
    size=100,
    kept=50,
    state=m.WeightsState.FAILED,
    phase="downloading",
    done=40,
    total=100,
    left=6.5,
    error=ErrorInfo("weights_failed", "No answer.", "Try again.", True),
)

SAMPLES: list[m.Message] = [
    m.Hello(rid=1, v=(1, 2), client="sample"),
    m.Ping(rid=2),
    m.Have(rid=3, files=(m.File(A, 20), m.File(B, 2**40))),
    m.Put(digest=A, offset=0, size=20),
    m.Submit(rid=4, job=JOB, engine="sample", params={"steps": 3}, seed=7, task=TASK),
    m.Submit(rid=4, job=JOB, engine="sample", task=GUIDED),
    m.Submit(rid=4, job=JOB, engine="sample", task=STILL),
    m.Submit(rid=4, job=JOB, engine="sample", task=CLIP),
    m.Submit(rid=4, job=JOB, engine="sample", task=GAP),
    m.Submit(rid=4, job=JOB, engine="sample", task=PLOT),
    m.Subscribe(rid=5, job=JOB, after_seq=2),
    m.Get(rid=6, digest=B, offset=262144, credit=4194304),
    m.Cancel(rid=7, job=JOB),
    m.Release(rid=7, job=JOB),
    m.ListJobs(rid=8, everyone=True),
    m.ListWeights(rid=15),
    m.FetchWeights(rid=16, name="toon", agreed="MIT"),
    m.StopWeights(rid=17, name="toon"),
    m.Survey(rid=9),
    m.Pair(rid=10, name="attic", host="gpu-box.local"),
    m.Unpair(rid=11, name="attic"),
    m.Unload(rid=12),
    m.Collect(rid=13),
    m.Verify(rid=14),
    m.Welcome(
        rid=1,
        v=(1, 2),
        server_id="f00d",
        software="sample 1",
        chunk=262144,
        window=4194304,
        limits=Limits(),
        engines=(ENGINE,),
        name="attic",
        admin=True,
    ),
    m.Pong(rid=2),
    m.Missing(rid=3, files=(m.Remainder(A, 0),)),
    m.Granted(digest=A, offset=10, rewind=True),
    m.Stored(digest=A),
    m.Accepted(rid=4, job=JOB),
    m.Status(
        job=JOB,
        seq=3,
        state=State.FAILED,
        attempt=1,
        error=ErrorInfo("engine_failed", "It failed.", "Try another.", True),
        spent=1.5,
    ),
    m.FrameMade(job=JOB, seq=2, index=0, digest=B, size=99),
    m.Progress(job=JOB, phase="in-betweening", fraction=0.5, made=1, total=2, left=3.5),
    m.Data(rid=6, digest=B, offset=0, size=99),
    m.Jobs(
        rid=8,
        jobs=(
            m.JobSummary(
                job=JOB,
                engine="sample",
                state=State.DONE,
                made=2,
                total=2,
                owner="attic",
                last_seq=4,
                released=True,
            ),
        ),
    ),
    m.Weights(rid=15, offers=(OFFER,)),
    m.WeightsChanged(offers=(OFFER,), engines=(ENGINE,)),
    m.Done(rid=12),
    m.Report(
        rid=9,
        software="sample 1",
        uptime=12.5,
        waiting=1,
        running=1,
        done=2,
        failed=3,
        stored=100,
        store_cap=1000,
        connections=4,
        clients=(m.ClientSummary(name="attic", admin=False, open_jobs=1, stored=100),),
        workers=(m.WorkerSummary(device="auto", pid=7, engine="sample", job=JOB),),
    ),
    m.Paired(rid=10, endpoint=f"tcp://gpu-box.local:5577#{A}.{B}"),
    m.Collected(rid=13, files=2, size=200, jobs=1),
    m.Verified(rid=14, files=9, damaged=(A,), lost=(B,), ledger="ok"),
    m.Error(rid=9, error=ErrorInfo("unknown_job", "No such job."), job=JOB),
]


def body_of(message: m.Message) -> bytes | None:
    """What travels beside the header."""
    return BODY if isinstance(message, m.Put | m.Data) else None


def tag_of(message: m.Message) -> str:
    """The message's `type`."""
    return str(type(message).__struct_config__.tag)


def named_samples() -> dict[str, m.Message]:
    """The samples by the names of their vectors: the `type`, and what kind of job is submitted."""
    named: dict[str, m.Message] = {}
    for message in SAMPLES:
        name = tag_of(message)
        if isinstance(message, m.Submit) and message.task != TASK:
            name += "_guided" if message.task == GUIDED else f"_{kind_of(message.task)}"
        named[name] = message
    return named


def record() -> None:
    """Write the vectors, one file for each message."""
    VECTORS.mkdir(exist_ok=True)
    for name, message in named_samples().items():
        header = bytes(codec.encode(message, body_of(message))[0])
        row = {"fields": msgspec.to_builtins(message), "header": header.hex()}
        text = json.dumps(row, indent=1) + "\n"
        (VECTORS / f"{name}.json").write_text(text)


if __name__ == "__main__":
    record()
