# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-on and the backend agree on; it knows only the standard library and msgspec."""
