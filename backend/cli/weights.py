# SPDX-License-Identifier: GPL-3.0-or-later
"""`tweencel weights`: what is here, what can be had; get, add, convert, verify, remove."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Lines
from rich.table import Table

from backend import registry
from backend.weights import catalogue, library, shelf
from backend.weights.catalogue import Offer
from backend.weights.download import Tell
from backend.weights.library import Installed
from protocol.engines import Weights
from protocol.errors import BackendBroken, NotAgreed

from .options import Json
from .terminal import FAILED, TROUBLE, err, out, print_json, size

app = typer.Typer(invoke_without_command=True)
Name = Annotated[str, typer.Argument(help="As `tweencel weights list` calls it.")]
Files = Annotated[list[Path], typer.Argument(help="The published file, or files.")]


class WeightsState(msgspec.Struct, frozen=True, kw_only=True):
    """Weights under one name. `state`: "ok", "missing", how much has arrived, or what is wrong."""

    name: str
    engines: tuple[str, ...]
    licence: str
    size: int
    sha256: str
    source: str
    state: str


@app.callback()
def weights(context: typer.Context, json: Json = False) -> None:
    """Weights: list them, show their licence, get, add, convert, verify or remove them."""
    if context.invoked_subcommand is None:
        list_all(json)


@app.command("list")
def list_all(json: Json = False) -> None:
    """All weights: licence, size, and whether they are here. Ends with 3 if some are damaged."""
    found = states()
    if json:
        for state in found:
            print_json(state)
    else:
        table = Table("weights", "engines", "licence", "size", "sha256", "state", box=None)
        for state in found:
            names = ", ".join(state.engines)
            large = size(state.size) if state.size else "?"
            table.add_row(
                state.name, names, state.licence, large, state.sha256[:16] or "-", state.state
            )
        out.print(table)
        err.print(f"Those that are fetched lie in {library.root()}.", soft_wrap=True)
    if any(state.state.startswith("damaged") for state in found):
        raise typer.Exit(TROUBLE)


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Licence, size and source of weights, and what is known of those that are here."""
    folder = library.root()
    own = {record.name: record for spec in registry.specs() for record in spec.weights}
    if name in own and own[name].embedded:
        _show_embedded(own[name], json)
        return
    offer = catalogue.find(name, folder)
    found = library.installed(offer.gives, folder)
    if json:
        print_json({"offer": offer, "installed": found})
        return
    _print_offer(offer)
    if found is not None:
        _print_installed(found, folder / offer.gives)


@app.command()
def get(
    name: Name,
    agree: Annotated[
        bool, typer.Option("--agree", help="You have read the licence and agree to it.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the published files too.")] = False,
    json: Json = False,
) -> None:
    """Download and install weights. Stopped or broken off, it goes on where it was."""
    from backend import installing

    folder = library.root()
    offer = catalogue.find(name, folder)
    if not agree:
        _ask_to_agree(offer, json)
    with _bar(json) as tell:
        done = installing.fetch(offer, folder, tell, keep=keep)
    _tell_installed(done, folder / offer.gives, json)


@app.command()
def add(name: Name, files: Files, json: Json = False) -> None:
    """Install weights from files that you have. The files stay where they are."""
    from backend import installing

    folder = library.root()
    offer = catalogue.find(name, folder)
    with _bar(json) as tell:
        done = installing.add(offer, files, folder, tell)
    _tell_installed(done, folder / offer.gives, json)


@app.command()
def convert(
    name: Name,
    files: Files,
    target: Annotated[
        Path | None, typer.Option("--out", help="Write there, and do not install it.")
    ] = None,
    json: Json = False,
) -> None:
    """Convert published files to safetensors, with sha256, and install the outcome."""
    if target is None:
        add(name, files, json)
        return
    from backend import installing

    offer = catalogue.find(name, library.root())
    with _bar(json) as tell:
        for piece in installing.convert(offer, files, target, tell):
            if json:
                print_json(piece)
            else:
                out.print(f"{piece.sha256}  {target / piece.file}", markup=False, soft_wrap=True)


@app.command()
def verify(name: Name, json: Json = False) -> None:
    """Compare the installed files with their digests. Ends with 1 if one is damaged."""
    from backend import installing

    offer = catalogue.find(name, library.root())
    with _bar(json) as tell:
        bad = installing.verify(offer.gives, library.root(), tell)
    if json:
        print_json({"name": offer.gives, "damaged": bad})
    else:
        out.print(f"Damaged: {', '.join(bad)}." if bad else "All bytes are right.", markup=False)
    if bad:
        raise typer.Exit(FAILED)


@app.command()
def remove(
    name: Name,
    forget: Annotated[
        bool, typer.Option("--forget", help="Also what has arrived, and the remembered digests.")
    ] = False,
    json: Json = False,
) -> None:
    """Delete installed weights."""
    folder = library.root()
    offer = catalogue.find(name, folder)
    with library.reserved(offer, folder):
        gone = library.remove(offer.gives, folder)
        if forget:
            library.forget(offer, folder)
    if json:
        print_json({"name": offer.gives, "removed": gone})
    else:
        out.print(f"{offer.gives} is {'removed' if gone else 'not here'}.", markup=False)


# What there is --------------------------------------------------------------------------------


def states() -> list[WeightsState]:
    """The weights that come with the package, then those that can be had."""
    folder = library.root()
    users: dict[str, list[str]] = {}
    pinned: dict[str, Weights] = {}
    for spec in registry.specs():
        for record in spec.weights:
            users.setdefault(record.name, []).append(spec.id)
            pinned |= {record.name: record} if record.sha256 and not record.missing else {}
    offers = catalogue.offers(folder)
    given = {offer.gives for offer in offers.values()}
    own = [record for name, record in pinned.items() if name not in given]
    return [
        *(_state_of_pinned(record, tuple(users[record.name])) for record in own),
        *(_state_of(offer, tuple(users.get(offer.gives, ())), folder) for offer in offers.values()),
    ]


def _state_of_pinned(record: Weights, engines: tuple[str, ...]) -> WeightsState:
    return WeightsState(
        name=record.name,
        engines=engines,
        licence=record.licence,
        size=record.size,
        sha256=record.sha256,
        source=record.source,
        state=_embedded(record) if record.embedded else "the engine's own",
    )


def _embedded(record: Weights) -> str:
    try:
        shelf.read(record.name)
    except BackendBroken as problem:
        return f"damaged: {problem.text}"
    return "ok"


def _state_of(offer: Offer, engines: tuple[str, ...], folder: Path) -> WeightsState:
    found = library.installed(offer.gives, folder)
    here = found if found is not None and found.offer == offer.name else None
    return WeightsState(
        name=offer.name,
        engines=engines,
        licence=offer.licence,
        size=here.size if here else offer.size,
        sha256=here.sha256 if here else "",
        source=offer.page,
        state=_words(offer, found, folder),
    )


def _words(offer: Offer, found: Installed | None, folder: Path) -> str:
    if found is not None:
        return "ok" if found.offer == offer.name else f"{found.offer} is here instead"
    arrived = library.on_its_way(offer, folder)
    if arrived:
        return f"{size(arrived)} have arrived"
    return "missing" if offer.fetchable else "missing; get it from its page, then `add` it"


# Words ----------------------------------------------------------------------------------------


def _show_embedded(record: Weights, json: bool) -> None:
    if json:
        print_json(record)
        return
    _print_rows(
        [
            ("name", f"{record.name}, in the package"),
            ("licence", record.licence),
            ("on disk", size(record.size)),
            ("file", f"sha256 {record.sha256}"),
        ]
    )
    out.print(shelf.licence(record.name), markup=False, soft_wrap=True)


def _print_offer(offer: Offer) -> None:
    rows = [
        ("name", offer.name),
        ("what", offer.title),
        ("licence", f"{offer.licence}  {offer.licence_url}"),
        ("", offer.notice),
        ("page", offer.page),
        ("download", size(offer.size) if offer.size else "its size is not known before"),
        ("on disk", size(offer.kept) if offer.kept else ""),
    ]
    for file in offer.files:
        rows.append(("file", f"{file.name}  sha256 {file.sha256 or 'recorded when it arrives'}"))
        rows += [("", url) for url in file.urls]
    _print_rows(rows)


def _print_installed(found: Installed, folder: Path) -> None:
    rows = [("installed", f"{found.at} in {folder}")]
    for origin in found.origins:
        known = "promised by its source" if origin.promised else "recorded when it arrived"
        rows.append(("from", f"{origin.file}  sha256 {origin.sha256}, {known}"))
        rows.append(("", origin.url or "a file of yours"))
    rows += [("file", f"{piece.file}  sha256 {piece.sha256}") for piece in found.files]
    _print_rows(rows)


def _print_rows(rows: list[tuple[str, str]]) -> None:
    for name, text in rows:
        if text:
            out.print(f"{name:10}{text}", markup=False, soft_wrap=True)


def _ask_to_agree(offer: Offer, json: bool) -> None:
    """Raises NotAgreed unless a person at the terminal agrees."""
    refused = NotAgreed(
        f"{offer.title} is under {offer.licence} ({offer.licence_url}), from {offer.page}. "
        f"{offer.notice}".strip(),
        fix="If you agree: the same again with --agree.",
    )
    if json or not out.is_terminal:
        raise refused
    _print_offer(offer)
    if not typer.confirm("Do you agree to the licence?"):
        raise refused


def _tell_installed(done: Installed, folder: Path, json: bool) -> None:
    if json:
        print_json(done)
    else:
        _print_installed(done, folder)


@contextmanager
def _bar(json: bool) -> Generator[Tell]:
    """A line that shows how far it is; nothing for machines."""
    if json:
        yield lambda phase, done, total: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Lines(*columns, console=err) as lines:
        line = lines.add_task("starting", total=None)

        def tell(phase: str, done: int, total: int) -> None:
            lines.update(line, description=phase, completed=done, total=total or None)

        yield tell
