# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist can do: one file for each verb."""

from __future__ import annotations

from .cancel import TWEENCEL_OT_cancel
from .choose_engine import TWEENCEL_OT_choose_engine
from .connect import TWEENCEL_OT_connect
from .disconnect import TWEENCEL_OT_disconnect
from .dismiss import TWEENCEL_OT_dismiss
from .fit_gaps import TWEENCEL_OT_fit_gaps
from .generate import TWEENCEL_OT_generate
from .open_folder import TWEENCEL_OT_open_folder
from .start_backend import TWEENCEL_OT_start_backend
from .stop_backend import TWEENCEL_OT_stop_backend

CLASSES = (
    TWEENCEL_OT_start_backend,
    TWEENCEL_OT_stop_backend,
    TWEENCEL_OT_connect,
    TWEENCEL_OT_disconnect,
    TWEENCEL_OT_choose_engine,
    TWEENCEL_OT_fit_gaps,
    TWEENCEL_OT_generate,
    TWEENCEL_OT_cancel,
    TWEENCEL_OT_dismiss,
    TWEENCEL_OT_open_folder,
)
