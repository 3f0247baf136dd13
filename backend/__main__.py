# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m backend` is the `tweencel` program."""

from .cli import main

if __name__ == "__main__":
    main()
