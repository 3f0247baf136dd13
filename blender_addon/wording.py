# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels say, as plain data: they only draw it. It knows no Blender."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from protocol.engines import EngineSpec
from protocol.errors import TweencelError, VersionMismatch, from_info
from protocol.messages import WeightsOffer, WeightsState
from protocol.timing import Chart, Curve, Spacing

from .ledger import Job, Stage
from .provenance import Version
from .seams import Seam
from .session import Contact, Session
from .shot import GapView, Plan, Shot
from .supply import Supply

_ON = {1: "On ones", 2: "On twos", 3: "On threes"}
_SPACINGS = {
    Spacing.EVEN: "Even",
    Spacing.SLOW_OUT: "Slow out",
    Spacing.SLOW_IN: "Slow in",
    Spacing.SLOW_IN_OUT: "Slow out and in",
}


class Line(NamedTuple):
    """A line of text with one of Blender's icons. `alert`: something is wrong."""

    text: str
    icon: str = "NONE"
    alert: bool = False


class JobView(NamedTuple):
    """A job in the panel. `fraction` 0..1, or None where no bar is drawn."""

    job: str
    title: str
    status: str
    fraction: float | None
    lines: list[Line]
    can_cancel: bool
    can_dismiss: bool
    has_folder: bool


class WeightsView(NamedTuple):
    """Weights in the panel. `fraction` 0..1, or None where no bar is drawn."""

    name: str
    title: str
    status: str
    fraction: float | None
    lines: list[Line]
    can_fetch: bool
    can_stop: bool


def plural(number: int, one: str, many: str = "") -> str:
    """`1 key`, `2 keys`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def error_lines(error: TweencelError) -> list[Line]:
    """What happened, and below it what to do."""
    lines = [Line(error.text, "ERROR", alert=True)]
    return [*lines, Line(error.fix, "INFO")] if error.fix else lines


def contact_line(session: Session, starting: bool) -> Line:
    """How we stand with the backend."""
    if starting:
        return Line("The local backend is starting ...", "SORTTIME")
    where = session.endpoint.address.removeprefix("tcp://") if session.endpoint else ""
    match session.contact:
        case Contact.OFF:
            return Line("Not connected", "UNLINKED")
        case Contact.CONNECTING if isinstance(session.trouble, VersionMismatch):
            return Line(f"{where} is of another version", "ERROR", alert=True)
        case Contact.CONNECTING:
            return Line(f"Connecting to {where} ...", "SORTTIME")
        case Contact.SILENT:
            return Line(f"{where} does not answer", "ERROR", alert=True)
        case Contact.CONNECTED:
            software = session.welcome.software if session.welcome else ""
            return Line(f"{software} at {where}", "LINKED")


def summary(shot: Shot, plan: Plan) -> str:
    """`3 keys, 2 gaps, 15 frames to make`."""
    keys, gaps = plural(len(shot.keys), "key"), plural(len(plan.gaps), "gap")
    return f"{keys}, {gaps}, {plural(plan.total, 'frame')} to make"


def loop_summary(length: int, rate: float, regions: int, *, is_run: bool) -> str:
    """`A loop of 48 frames (2.0 s); 2 regions move`."""
    moves = f"{plural(regions, 'region')} move{'s' * (regions == 1)}"
    if not regions:
        moves = "everything moves" if is_run else "nothing moves yet"
    return f"A loop of {plural(length, 'frame')} ({length / rate:.1f} s); {moves}"


def seam_lines(seam: Seam, length: int) -> list[str]:
    """What the chosen length costs, and the best one."""
    cost, best = seam.cost(length), seam.cost(seam.best)
    said = "was not measured" if length not in seam.lengths else "cannot be made of these frames"
    chosen = f"{plural(length, 'frame')}: " + (
        f"a seam of {cost:.1f}" if cost is not None else said
    )
    lines = [chosen]
    if best is not None and length != seam.best:
        lines.append(f"Best: {plural(seam.best, 'frame')}, a seam of {best:.1f}")
    return lines


def gap_title(gap: GapView) -> str:
    """`1 to 7: 5 in-betweens`."""
    first, last = gap.frames
    return f"{first} to {last}: {plural(gap.inbetweens, 'in-between')}"


def gap_lines(gap: GapView) -> list[str]:
    """How a gap is filled, in an animator's words."""
    if gap.wish.cut:
        return ["Cut: the key is held"]
    held = f"Key held for {gap.wish.hold}" if gap.wish.hold else ""
    return [line for line in (_on(gap), held, _spacing(gap.wish.chart)) if line]


def _on(gap: GapView) -> str:
    """How long the in-betweens are held, by the sheet and not by the wish."""
    holds = sorted({tick.hold for tick in gap.ticks if tick.kind == "between"})
    if len(holds) > 1:
        return f"Held for {holds[0]} to {holds[-1]} frames"
    return _ON.get(holds[0], f"Held for {holds[0]} frames") if holds else ""


def _spacing(chart: Chart) -> str:
    return "As drawn" if isinstance(chart, Curve) else _SPACINGS[Spacing(chart)]


def engine_label(engines: Sequence[EngineSpec], chosen: str) -> str:
    """The name of the chosen engine, also if this backend lacks it."""
    for engine in engines:
        if engine.id == chosen:
            return engine.label
    return f"{chosen} (not on this backend)" if chosen else "No engine"


def engine_lines(engine: EngineSpec) -> list[Line]:
    """What is worth knowing about an engine before the button is pressed."""
    lines = [Line(engine.summary)]
    if engine.unavailable:
        lines.append(Line(engine.unavailable, "ERROR", alert=True))
    if not engine.can.alpha:
        lines.append(Line("Makes no transparency", "INFO"))
    if engine.needs.vram_gb:
        lines.append(Line(f"Needs about {engine.needs.vram_gb:g} GB of GPU memory", "INFO"))
    return lines


def weights_view(supply: Supply, offer: WeightsOffer) -> WeightsView:
    """One offer and how it stands."""
    refusal = supply.refusals.get(offer.name)
    if refusal is None and offer.error is not None:
        refusal = from_info(offer.error)
    moving = offer.state in (WeightsState.WAITING, WeightsState.FETCHING)
    lines = [] if moving or refusal is None else error_lines(refusal)
    if not offer.fetchable:
        lines.append(
            Line(f"Get it from {offer.page}, then add it on the backend's machine", "INFO")
        )
    return WeightsView(
        name=offer.name,
        title=offer.title,
        status=_weights_status(offer),
        fraction=offer.done / offer.total if moving and offer.total else None,
        lines=lines,
        can_fetch=not moving and offer.fetchable and offer.state is not WeightsState.INSTALLED,
        can_stop=moving and offer.phase != "stopping",
    )


def _weights_status(offer: WeightsOffer) -> str:
    match offer.state:
        case WeightsState.WAITING:
            return "Waiting for another download"
        case WeightsState.FETCHING:
            parts = [offer.phase.capitalize()]
            if offer.total:
                parts.append(f"{amount(offer.done)} of {amount(offer.total)}")
            if offer.left is not None:
                parts.append(time_left(offer.left))
            return ", ".join(parts)
        case WeightsState.INSTALLED:
            return "Installed"
        case _:
            here = f", {amount(offer.done)} are here" if offer.done else ""
            return f"{download_size(offer)}{here}"


def download_size(offer: WeightsOffer) -> str:
    """`10.5 GB`, or that nobody tells."""
    return amount(offer.size) if offer.size else "size not known"


def offer_rows(offer: WeightsOffer, backend: str) -> list[tuple[str, str]]:
    """What a person must know before a download: names and texts. `backend`: where it goes."""
    return [
        ("Licence", offer.licence),
        ("Download", download_size(offer)),
        ("On Disk", amount(offer.kept) if offer.kept else "not known"),
        ("From", ", ".join(offer.hosts)),
        ("To", backend),
    ]


def amount(size: float) -> str:
    """Bytes as sellers of disks count them: `10.5 GB`."""
    for unit in ("bytes", "kB", "MB"):
        if size < 999.5:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def result_lines(version: Version, painted: int | None) -> list[Line]:
    """How a result was made. `painted`: frames that were painted over; None: not known yet."""
    made = plural(len(version.frames), "frame")
    lines = [Line(f"{made} by {version.engine.label or version.engine.id}")]
    if painted:
        as_what = "a key" if painted == 1 else "keys"
        text = f"{plural(painted, 'frame')} painted over: kept as {as_what}"
        lines.append(Line(text, "BRUSH_DATA"))
    return lines


def job_view(job: Job, name: str, uploaded: float, connected: bool = True) -> JobView:
    """One job. `uploaded` is the part of its keys that the backend holds, 0..1."""
    away = "" if connected or job.stage.ended else " (no connection)"
    return JobView(
        job=job.id,
        title=name,
        status=_status(job, uploaded) + away,
        fraction=_fraction(job, uploaded),
        lines=_job_lines(job),
        can_cancel=not job.stage.ended,
        can_dismiss=job.stage.ended,
        has_folder=bool(job.landed) or not job.stage.ended,
    )


def job_views(session: Session) -> list[JobView]:
    """All jobs, the newest first."""
    uploads = session.ledger.uploads
    connected = session.contact is Contact.CONNECTED
    return [
        job_view(work.job, work.folder.path.name, uploads.fraction(work.job.inputs), connected)
        for work in reversed(session.works.values())
    ]


def time_left(seconds: float) -> str:
    """`about 40 s left`, `about 3 min left`."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s left"
    return f"about {round(seconds / 60)} min left"


def _job_lines(job: Job) -> list[Line]:
    if job.error:
        return error_lines(job.error)
    if job.refusal and not job.stage.ended:
        return [Line(job.refusal.text, "INFO"), Line(job.refusal.fix, "BLANK1")]
    return []


def _status(job: Job, uploaded: float) -> str:
    if job.cancelling and not job.stage.ended:
        return "Cancelling ..."
    match job.stage:
        case Stage.PREPARING:
            return "Looking at the frames that are here" if job.accepted else "Reading the keys"
        case Stage.UPLOADING if job.refusal:
            return "The backend has too many of your jobs or files; trying again"
        case Stage.UPLOADING:
            return f"Sending the keys, {uploaded:.0%}"
        case Stage.QUEUED:
            ahead = job.progress.ahead if job.progress else 0
            return f"Waiting behind {plural(ahead, 'job')}" if ahead else "Waiting"
        case Stage.RUNNING | Stage.FETCHING:
            return _running(job)
        case Stage.DONE:
            kept = f", {job.reused} kept" if job.reused else ""
            return f"{plural(job.total, 'frame')} made{kept}"
        case Stage.FAILED:
            return f"Failed with {len(job.landed)} of {plural(job.total, 'frame')}"
        case Stage.CANCELLED:
            return f"Cancelled with {len(job.landed)} of {plural(job.total, 'frame')}"


def _running(job: Job) -> str:
    parts = [f"{len(job.landed)} of {plural(job.total, 'frame')}"]
    if job.progress and job.progress.phase and not job.landed:
        parts.append(job.progress.phase)
    if job.progress and job.progress.left is not None and job.stage is Stage.RUNNING:
        parts.append(time_left(job.progress.left))
    return ", ".join(parts)


def _fraction(job: Job, uploaded: float) -> float | None:
    match job.stage:
        case Stage.UPLOADING:
            return uploaded
        case Stage.RUNNING | Stage.FETCHING:
            return len(job.landed) / job.total
        case Stage.QUEUED | Stage.PREPARING:
            return 0.0
    return None
