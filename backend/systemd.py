# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service manager is told: that the backend is ready, that its loop turns, that it ends.

The protocol is one datagram to the socket named by NOTIFY_SOCKET (sd_notify(3)). Without that
variable nobody is told.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping


class ServiceManager:
    """systemd, if it started this process; otherwise nobody."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        """Takes the variables out of the environment: they are not for the processes we start."""
        self._address = environment.pop("NOTIFY_SOCKET", "")
        wanted_of = environment.pop("WATCHDOG_PID", str(os.getpid()))
        interval = environment.pop("WATCHDOG_USEC", "")
        self._every = 0.0
        if interval.isdecimal() and wanted_of == str(os.getpid()):
            # half of what is demanded, as sd_watchdog_enabled(3) recommends
            self._every = int(interval) / 1e6 / 2
        self._next = 0.0

    def ready(self, where: str) -> None:
        """The backend listens there."""
        self._tell(f"READY=1\nSTATUS=Listening on {where}")

    def turned(self, now: float) -> None:
        """The loop has made another turn; the watchdog hears of it now and then."""
        if self._every and now >= self._next:
            self._next = now + self._every
            self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        # "@" stands for the zero byte with which Linux's abstract names begin
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        with (
            contextlib.suppress(OSError),  # nobody listens: that must not end the backend
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
        ):
            channel.setblocking(False)
            channel.sendto(text.encode(), address)
