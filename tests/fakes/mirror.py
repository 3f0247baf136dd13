# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HTTP server on this machine whose files arrive as badly as a test wants them to."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self


@dataclass
class Manners:
    """How a mirror answers. Counts and sizes in bytes, times in seconds."""

    cut_after: int = 0
    """Break the line after so many bytes of each answer; 0: never."""
    cuts: int = 10**9
    """How often."""
    ranges: bool = True
    etag: str = '"one"'
    promised: str = ""
    """The sha256 that is told as the Hugging Face hub tells it, with a redirect."""
    length: int | None = None
    """A wrong Content-Length."""
    status: int = 0
    """Answer with this and nothing else."""
    kind: str = "application/octet-stream"
    pace: float = 0.0
    """Wait so long after each 64 KiB."""
    chunked: bool = False
    """Tell no length at all."""
    redirect: str = ""


@dataclass
class Mirror:
    """Serves `content` under any path."""

    content: bytes
    manners: Manners = field(default_factory=Manners)
    asked: list[str] = field(default_factory=list)
    """The Range of each request; empty for all of the file."""

    def __enter__(self) -> Self:
        mirror = self

        class Handler(_Handler):
            served = mirror

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, name: str = "model.ckpt") -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{name}"


class _Handler(BaseHTTPRequestHandler):
    served: Mirror
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        manners = self.served.manners
        if manners.status:
            self.send_error(manners.status)
            return
        if manners.redirect or (manners.promised and not self.path.endswith("?signed")):
            self._lead_on(manners)
            return
        self.served.asked.append(self.headers.get("Range", ""))
        begin = self._begin(manners)
        if begin is None:
            return
        try:
            self._send(self.served.content[begin:], manners)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _lead_on(self, manners: Manners) -> None:
        self.send_response(302)
        self.send_header("Location", manners.redirect or f"{self.path}?signed")
        if manners.promised:
            self.send_header("X-Linked-Etag", f'"{manners.promised}"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _begin(self, manners: Manners) -> int | None:
        """Sends the headers; where the body begins, or None if there is none."""
        content = self.served.content
        found = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", manners.etag) == manners.etag
        begin = int(found[1]) if found and manners.ranges and same else 0
        if begin and begin >= len(content):
            self.send_error(416)
            return None
        self.send_response(206 if begin else 200)
        if begin:
            total = manners.length or len(content)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{total}")
        self.send_header("Content-Type", manners.kind)
        self.send_header("ETag", manners.etag)
        if manners.chunked:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            length = manners.length or len(content)
            self.send_header("Content-Length", str(length - begin))
        self.end_headers()
        return begin

    def _send(self, body: bytes, manners: Manners) -> None:
        cut = bool(manners.cut_after) and manners.cuts > 0 and len(body) > manners.cut_after
        if cut:
            manners.cuts -= 1
            body = body[: manners.cut_after]
        for place in range(0, len(body), 2**16):
            self.wfile.write(body[place : place + 2**16])
            if manners.pace:
                self.wfile.flush()
                time.sleep(manners.pace)
        if cut or (manners.length or 0) > len(body):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file(name: str, content: bytes, *urls: str, digest: bool = True) -> dict[str, object]:
    """A published file, as a catalogue has it."""
    told = {"sha256": sha256(content)} if digest else {}
    return {"name": name, "urls": urls, "size": len(content), "exact": True, **told}


def offer(*files: dict[str, object], name: str = "tooncrafter", **other: str) -> dict[str, object]:
    """An offer, as a catalogue has it."""
    return {
        "name": name,
        "gives": "tooncrafter",
        "title": "A narrow ToonCrafter",
        "form": "tooncrafter",
        "files": files,
        "page": "https://narrow.example",
        "licence": "CC0-1.0",
        "licence_url": "https://creativecommons.org/publicdomain/zero/1.0",
        **other,
    }


def write_catalogue(folder: Path, *offers: dict[str, object]) -> None:
    """A catalogue of its own for a folder of weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "catalogue.json").write_text(json.dumps(offers))
