# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol's version and the rule that says which versions understand each other."""

from __future__ import annotations

from .errors import VersionMismatch

PROTOCOL_VERSION = (1, 2)
"""Major and minor. Another major is refused; another minor is spoken, unknown fields ignored."""


def require_compatible(theirs: tuple[int, int], *, ours_is: str, theirs_is: str) -> None:
    """Check a peer's version.

    `ours_is` and `theirs_is` name the sides for the reader ("backend", "add-on").
    Raises VersionMismatch, whose `fix` names the side to update.
    """
    if theirs[0] == PROTOCOL_VERSION[0]:
        return
    older = theirs_is if theirs[0] < PROTOCOL_VERSION[0] else ours_is
    raise VersionMismatch(
        f"The {theirs_is} speaks protocol {theirs[0]}.{theirs[1]}, "
        f"the {ours_is} speaks {PROTOCOL_VERSION[0]}.{PROTOCOL_VERSION[1]}.",
        fix=f"Update the {older}, then connect again.",
    )
