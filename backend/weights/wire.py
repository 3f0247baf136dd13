# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request for a file, or for what is lacking of it, and what the answer promises.

The standard library is enough: one connection at a time, redirects, proxies from the environment,
and a time-out for each read. It gives no certificate store of its own to keep up to date.
"""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from email.message import Message
from typing import IO
from urllib.parse import urlsplit

from backend.config import SOFTWARE

_FOREVER = (400, 401, 403, 404, 405, 410, 451, 501)
"""Answers that a later try does not change."""
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class Refused(Exception):
    """This mirror will not do, now or later."""


class PastEnd(Exception):
    """It has no bytes from there on."""


class Answer:
    """Bytes of a file from `begin` on. `total`: of the whole file, 0 if it is not told.

    `sha256`: what the host says of the whole file, else empty. `validator`: by which the host
    knows whether its file is still the same one.
    """

    def __init__(self, response: http.client.HTTPResponse, hints: _Hints) -> None:
        headers = response.headers
        self._response = response
        self.begin, self.total = 0, _number(headers.get("Content-Length"))
        if response.status == 206:
            found = _RANGE.match(headers.get("Content-Range", ""))
            if found is None:
                raise Refused("it sends a part without saying which")
            self.begin, self.total = int(found[1]), int(found[2])
        etag = headers.get("ETag", "")
        self.validator = etag if etag.startswith('"') else headers.get("Last-Modified", "")
        self.sha256 = hints.sha256

    def read(self, most: int) -> bytes:
        """What has arrived, at least a byte; nothing at the end. Raises OSError, HTTPException."""
        return self._response.read1(most)


class _Hints(urllib.request.HTTPRedirectHandler):
    """Follows redirects, never from an encrypted line to a plain one, and reads on its way what the
    Hugging Face hub tells of a file: its sha256."""

    def __init__(self) -> None:
        self.sha256 = ""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme not in ("https", req.type):
            raise Refused(f"it leads from {req.type} to {urlsplit(newurl).scheme}")
        self.note(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def note(self, headers: Message) -> None:
        told = headers.get("X-Linked-Etag", "").strip('"')
        if _SHA256.match(told):
            self.sha256 = told


@contextmanager
def open_url(url: str, begin: int, validator: str, stall: float) -> Generator[Answer]:
    """The answer to a request for the file from `begin` on; it may begin elsewhere, see `Answer`.

    Raises Refused, PastEnd, and OSError or HTTPException for what another try may mend.
    """
    if urlsplit(url).scheme not in ("https", "http"):
        raise Refused("this is no address of a file on the web")
    request = urllib.request.Request(url, headers={"User-Agent": SOFTWARE.replace(" ", "/")})
    request.add_header("Accept-Encoding", "identity")
    if begin:
        request.add_header("Range", f"bytes={begin}-")
        if validator:
            request.add_header("If-Range", validator)
    hints = _Hints()
    try:
        response = urllib.request.build_opener(hints).open(request, timeout=stall)
    except urllib.error.HTTPError as problem:
        with problem:
            if problem.code in _FOREVER or problem.code < 400:
                raise Refused(f"it answers {problem.code} {problem.reason}") from None
            if problem.code == 416:
                raise PastEnd from None
            raise
    with response:
        hints.note(response.headers)
        if response.headers.get_content_type() == "text/html":
            raise Refused("it sends a web page instead of the file")
        answer = Answer(response, hints)
        if answer.begin not in (0, begin):
            raise Refused("it sends another part than was asked for")
        yield answer


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
