# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running backend says of itself and of its jobs: `status`, `jobs`, `show`, `cancel`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from backend.client import Client, connect
from protocol import messages as m
from protocol.endpoint import connection_file as usual_file
from protocol.errors import BadInput, ErrorInfo
from protocol.jobs import State

from .bar import JobBar
from .options import ConnectionFile, Job, Json
from .terminal import FAILED, duration, out, print_json, size

_ID = 32
_COLOURS = {State.RUNNING: "cyan", State.DONE: "green", State.FAILED: "red"}


def status(connection_file: ConnectionFile = None, json: Json = False) -> None:
    """Is a backend running, and how is it?"""
    with connect(connection_file or usual_file()) as client:
        report = client.ask(m.Survey(rid=0), m.Report)
    if json:
        print_json(report)
    else:
        print_report(report)


def jobs(
    everyone: Annotated[
        bool, typer.Option("--all", help="Those of all clients, not only of this machine's user.")
    ] = False,
    connection_file: ConnectionFile = None,
    json: Json = False,
) -> None:
    """List the newest jobs, oldest of them first."""
    with connect(connection_file or usual_file()) as client:
        found = client.ask(m.ListJobs(rid=0, everyone=everyone), m.Jobs).jobs
    if json:
        for job in found:
            print_json(job)
        return
    table = Table("job", "owner", "engine", "state", "frames", "what went wrong", box=None)
    for job in found:
        state = Text(job.state, style=_COLOURS.get(job.state, ""))
        wrong = Text(job.error.text if job.error else "")
        table.add_row(job.job[:12], job.owner, job.engine, state, f"{job.made}/{job.total}", wrong)
    out.print(table if found else "There are no jobs.")


def show(
    job: Job,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Stay until it has ended; 1 if it failed.")
    ] = False,
    connection_file: ConnectionFile = None,
    json: Json = False,
) -> None:
    """Show one job, and with --follow how it goes on."""
    with connect(connection_file or usual_file()) as client:
        summary = _find(client, job)
        if json:
            print_json(summary)
        else:
            _print_summary(summary)
        if not follow:
            return
        end, error = summary.state, summary.error
        if not end.ended:
            end, error = _follow(client, summary, json=json)
    if not json:
        _print_end(end, error)
    if end is not State.DONE:
        raise typer.Exit(FAILED)


def cancel(job: Job, connection_file: ConnectionFile = None, json: Json = False) -> None:
    """Stop a job that waits or runs; the others go on."""
    with connect(connection_file or usual_file()) as client:
        name, state = _resolve(client, job)
        if state is not None and state.ended:
            raise BadInput(f"Job {name[:12]} is {state} already.", fix="There is nothing to stop.")
        accepted = client.ask(m.Cancel(rid=0, job=name), m.Accepted)
    if json:
        print_json(accepted)
    else:
        out.print(f"Job {name[:12]} stops at its engine's next step.")


def print_report(report: m.Report) -> None:
    """For people: the numbers, then who may come in and what computes."""
    out.print(f"{report.software}, up for {duration(report.uptime)}", markup=False)
    out.print(
        f"jobs: {report.running} running, {report.waiting} waiting, {report.done} done, "
        f"{report.failed} failed"
    )
    out.print(
        f"store: {size(report.stored)} of {size(report.store_cap)}; "
        f"connections: {report.connections}"
    )
    for worker in report.workers:
        doing = f"works on {worker.job[:12]}" if worker.job else "is idle"
        loaded = f"{worker.engine or 'no engine'} {doing} (process {worker.pid})"
        out.print(f"{worker.device}: {loaded if worker.pid else 'nothing loaded'}", markup=False)
    table = Table("client", "administrator", "open jobs", "stored", box=None)
    for client in report.clients:
        admin = "yes" if client.admin else ""
        table.add_row(client.name, admin, str(client.open_jobs), size(client.stored))
    out.print(table)


def _resolve(client: Client, prefix: str) -> tuple[str, State | None]:
    """The id that begins so, and the job's state if it is among those listed. Raises BadInput."""
    listing = m.ListJobs(rid=0, everyone=client.welcome.admin)
    found = [job for job in client.ask(listing, m.Jobs).jobs if job.job.startswith(prefix)]
    if len(found) == 1:
        return found[0].job, found[0].state
    if not found and len(prefix) == _ID:
        return prefix, None  # it may be older than those listed: the backend knows
    if not found:
        raise BadInput(f"No job begins with {prefix!r}.", fix="See `tweencel jobs --all`.")
    some = ", ".join(job.job[:12] for job in found[:5])
    raise BadInput(
        f"{len(found)} jobs begin with {prefix!r}: {some}{', ...' * (len(found) > 5)}.",
        fix="Give more of the id.",
    )


def _find(client: Client, prefix: str) -> m.JobSummary:
    name, _ = _resolve(client, prefix)
    listing = m.ListJobs(rid=0, everyone=client.welcome.admin)
    for job in client.ask(listing, m.Jobs).jobs:
        if job.job == name:
            return job
    raise BadInput(f"Job {name[:12]} is not among the newest ones.", fix="See `tweencel jobs`.")


def _follow(client: Client, summary: m.JobSummary, *, json: bool) -> tuple[State, ErrorInfo | None]:
    """Show the job's events until it has ended; how it ended."""
    end, error = summary.state, summary.error
    with JobBar(summary.total, summary.made) as bar:
        for event in client.follow(summary.job, summary.last_seq):
            if isinstance(event, m.Status):
                end, error = event.state, event.error
            if json:
                print_json(event)
            else:
                bar.take(event)
    return end, error


def _print_summary(job: m.JobSummary) -> None:
    for name, value in (
        ("job", job.job),
        ("owner", job.owner),
        ("engine", job.engine),
        ("state", job.state),
        ("frames", f"{job.made} of {job.total}"),
        ("fetched", "yes" if job.released else "no"),
    ):
        out.print(f"{name:8}{value}", markup=False)
    if job.error is not None:
        out.print(f"{'error':8}{job.error.text}", markup=False, style="red", soft_wrap=True)
        out.print(f"{'':8}{job.error.fix}", markup=False, soft_wrap=True)


def _print_end(state: State, error: ErrorInfo | None) -> None:
    out.print(f"It is {state}.")
    if error is not None:
        out.print(f"{error.text} {error.fix}", markup=False, soft_wrap=True)
