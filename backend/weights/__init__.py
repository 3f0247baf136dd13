# SPDX-License-Identifier: GPL-3.0-or-later
"""Weight files: which ones exist, where they lie, and whether their bytes are the pinned ones."""
