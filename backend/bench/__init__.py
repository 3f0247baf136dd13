# SPDX-License-Identifier: GPL-3.0-or-later
"""What `tweencel bench` measures, and the bars beside it."""
