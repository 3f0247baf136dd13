# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator does to a running backend: `pair`, `unpair`, `gc`, `unload`, `doctor`."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from backend.client import connect
from backend.config import Settings, override, read_settings
from protocol import messages as m
from protocol.endpoint import connection_file as usual_file
from protocol.endpoint import parse_endpoint
from protocol.errors import BadInput

from . import checkup
from .books import print_report
from .options import Config, ConnectionFile, Home, Json
from .terminal import TROUBLE, err, out, print_json, size

Name = Annotated[
    str, typer.Argument(help="How the other machine is called: letters, digits, . _ -")
]
_COLOURS = {"ok": "green", "warning": "yellow", "broken": "red"}


def pair(
    name: Name,
    host: Annotated[
        str, typer.Option(help="How the other machine finds this one.", show_default=False)
    ] = "",
    connection_file: ConnectionFile = None,
    json: Json = False,
) -> None:
    """Let another machine in: prints the one line that its add-on needs. It holds a secret."""
    _require_names(name, host)
    with connect(connection_file or usual_file()) as client:
        paired = client.ask(m.Pair(rid=0, name=name, host=host), m.Paired)
    if json:
        print_json(paired)
        return
    err.print(f"Paste this line into the add-on's preferences on {name}; give it to nobody else:")
    typer.echo(paired.endpoint)
    if parse_endpoint(paired.endpoint).loopback:
        err.print(
            "This backend listens on its own machine only: nobody else can reach it. "
            "Start it with `tweencel serve --host 0.0.0.0`.",
            style="yellow",
        )


def unpair(name: Name, connection_file: ConnectionFile = None, json: Json = False) -> None:
    """Let that machine in no more; its jobs are cancelled."""
    _require_names(name)
    with connect(connection_file or usual_file()) as client:
        done = client.ask(m.Unpair(rid=0, name=name), m.Done)
    _tell(done, f"{name} is let in no more.", json=json)


def unload(connection_file: ConnectionFile = None, json: Json = False) -> None:
    """End the idle engine now, so that its (GPU) memory returns."""
    with connect(connection_file or usual_file()) as client:
        done = client.ask(m.Unload(rid=0), m.Done)
    _tell(done, "Nothing is loaded any more.", json=json)


def gc(connection_file: ConnectionFile = None, json: Json = False) -> None:
    """Sweep what is older than the config allows or over the cap, now."""
    with connect(connection_file or usual_file()) as client:
        swept = client.ask(m.Collect(rid=0), m.Collected)
    _tell(
        swept,
        f"Swept {swept.files} files ({size(swept.size)}) and {swept.jobs} jobs.",
        json=json,
    )


def doctor(
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every stored file with its digest too.")
    ] = False,
    home: Home = None,
    config: Config = None,
    connection_file: ConnectionFile = None,
    json: Json = False,
) -> None:
    """Check this machine and the backend on it. Ends with 3 if something is broken."""
    settings, findings = _settings_for(home, config, connection_file)
    findings += checkup.environment(settings)
    running = checkup.running(settings)
    findings.append(running.finding)
    if verify:
        findings += checkup.verify(settings, running)
    for finding in findings:
        if json:
            print_json(finding)
        else:
            _print_finding(finding)
    if running.report is not None:
        if json:
            print_json(running.report)
        else:
            print_report(running.report)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(TROUBLE)


def _settings_for(
    home: Home, config: Config, connection: ConnectionFile
) -> tuple[Settings, list[checkup.Finding]]:
    """The settings, or the usual ones if the config file is no good."""
    try:
        settings = read_settings(home, config)
        findings = [
            checkup.Finding("config", "ok", "The config file can be read, or is not there.")
        ]
    except BadInput as problem:
        settings = Settings(home=home) if home else Settings()
        findings = [checkup.Finding("config", "broken", problem.text, problem.fix)]
    return override(settings, {"connection": connection}), findings


def _require_names(name: str, host: str = "") -> None:
    """Raises BadInput if the backend would not understand them."""
    for text, kind, what in ((name, m.ClientName, "name"), (host, m.HostName, "host")):
        try:
            msgspec.convert(text, kind)
        except msgspec.ValidationError:
            raise BadInput(
                f"{text!r} cannot be a {what}.", fix="Use letters, digits, dots, _ and -."
            ) from None


def _print_finding(finding: checkup.Finding) -> None:
    out.print(f"{finding.state:8}", style=_COLOURS[finding.state], end="")
    out.print(f"{finding.subject}: {finding.text} {finding.fix}", markup=False, soft_wrap=True)


def _tell(record: m.Message, sentence: str, *, json: bool) -> None:
    if json:
        print_json(record)
    else:
        out.print(sentence, markup=False)
