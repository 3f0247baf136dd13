# SPDX-License-Identifier: GPL-3.0-or-later
"""`tweencel serve`: the backend as a process that stays."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from backend import logs
from backend.config import SOFTWARE, Settings, override, read_settings
from protocol.errors import BackendFailure

from .options import Config, Device, Home, Threads


def serve(
    host: Annotated[
        str | None,
        typer.Option(
            help="Name or address of the interface to listen on; 0.0.0.0 or :: for all.",
            show_default="127.0.0.1",
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0: any free one.")] = None,
    home: Home = None,
    config: Config = None,
    connection_file: Annotated[
        Path | None, typer.Option(help="Where address and key are written for the add-on.")
    ] = None,
    device: Device = None,
    threads: Threads = None,
    idle_exit: Annotated[
        float | None, typer.Option(min=0, help="End after so many idle minutes; 0: never.")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Answer Prometheus there, on loopback; 0: do not."),
    ] = None,
    verbose: Annotated[bool, typer.Option(help="Log every refusal too.")] = False,
) -> None:
    """Serve Blender on this machine, or with --host on others, until stopped (Ctrl-C).

    What is not given here is taken from the config file.
    """
    from backend.server import Server

    flags: dict[str, object] = {
        "host": host,
        "port": port,
        "connection": connection_file,
        "device": device,
        "threads": threads,
        "idle_exit": None if idle_exit is None else idle_exit * 60,
        "metrics_port": metrics_port,
    }
    settings = override(read_settings(home, config), flags)
    logs.to_terminal("debug" if verbose else settings.log.level)
    server = Server(settings)
    _log_to_file(settings)

    def stop(*_: object) -> None:
        server.stop()

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, stop)
    typer.echo(f"{SOFTWARE} is ready at {server.connection.address}.")
    typer.echo("The add-on on this machine finds it by itself; for others: tweencel pair NAME.")
    server.serve()


def _log_to_file(settings: Settings) -> None:
    """Only now: the folder, and with it the log, is ours alone."""
    try:
        logs.to_file(settings.log_file, settings.log)
    except OSError as problem:
        raise BackendFailure(
            f"The log {settings.log_file} cannot be written: {problem.strerror}.",
            fix="Give this user the right to write there, or choose another --home.",
            retryable=False,
        ) from None
