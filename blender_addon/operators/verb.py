# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""What all verbs share: they act, and if that fails they say why and what to do."""

from __future__ import annotations

import logging
from typing import Any

import bpy

from protocol.errors import BackendBroken, TweencelError

from .. import live

_log = logging.getLogger(__name__)


class Verb:
    """A verb defines `act`, which raises TweencelError or gives a sentence to report, or None."""

    def act(self, context: bpy.types.Context) -> str | None:
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> Any:
        try:
            said = self.act(context)
        except TweencelError as problem:
            return self._refuse(problem)
        except Exception as problem:  # the border to Blender: an artist must not read a traceback
            _log.exception("An operator failed")
            text = f"The add-on met a defect of its own: {type(problem).__name__}: {problem}."
            return self._refuse(BackendBroken(text, fix="Please report it."))
        if said:
            self.report({"INFO"}, said)  # type: ignore[attr-defined]
        return {"FINISHED"}

    def _refuse(self, problem: TweencelError) -> Any:
        live.get().notice = problem
        self.report({"ERROR"}, str(problem))  # type: ignore[attr-defined]
        return {"CANCELLED"}
