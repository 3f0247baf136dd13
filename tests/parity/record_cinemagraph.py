# SPDX-License-Identifier: GPL-3.0-or-later
"""Records what our own narrow networks make, for where the reference's recordings are absent.

    python -m tests.parity.record_cinemagraph

Only to be run where test_cinemagraph_networks.py passes: what is recorded is then the reference's.
"""

from __future__ import annotations

from safetensors.torch import save_file

from tests.parity.test_cinemagraph_weights import OURS, narrow_answers


def main() -> None:
    save_file(narrow_answers(), OURS)


if __name__ == "__main__":
    main()
