# SPDX-License-Identifier: GPL-3.0-or-later
"""One engine per file; each publishes `SPEC` without importing torch and offers `load(device)`."""
