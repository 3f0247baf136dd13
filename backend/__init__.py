# SPDX-License-Identifier: GPL-3.0-or-later
"""The generator: it takes jobs, runs engines in processes of their own and keeps what they make."""
