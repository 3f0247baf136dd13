# SPDX-License-Identifier: GPL-3.0-or-later
"""Torch networks, one file each, whose parameters match published checkpoints."""
