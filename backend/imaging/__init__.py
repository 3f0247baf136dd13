# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrays only: pictures as numpy, never torch, files on disk or the wire."""
