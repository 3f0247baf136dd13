# SPDX-License-Identifier: GPL-3.0-or-later
"""Parity is measured on one thread: the order of sums is then the same everywhere."""

import torch

torch.set_num_threads(1)
