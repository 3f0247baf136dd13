# SPDX-License-Identifier: GPL-3.0-or-later
"""An add-on without Blender, for a test to kill: `client.py FOLDER CONNECTION_FILE`.

It generates from the drawings in FOLDER/keys and says what was fetched and what has landed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from blender_addon.journal import Journal
from blender_addon.session import Contact, Session
from blender_addon.work import between
from protocol.endpoint import read_connection

EACH = 24


def main(folder: Path, connection: Path) -> None:
    session = Session(software={"add-on": "test"}, journal=Journal(folder / "jobs"))
    session.connect(read_connection(connection).endpoint)
    while session.contact is not Contact.CONNECTED:
        session.tick()
        time.sleep(0.002)
    engines = {engine.id: engine for engine in session.engines}
    gap = tuple((i + 1) / (EACH + 1) for i in range(EACH))
    keys = tuple(sorted((folder / "keys").iterdir()))
    order = between(keys, (gap,) * (len(keys) - 1), engines["crossfade"], folder / "out", "hop")
    session.on_landed = lambda work, index: print(index, flush=True)
    session.generate(order)
    while True:
        session.tick()
        time.sleep(0.002)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
