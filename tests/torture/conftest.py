# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes minutes is collected by ``make torture`` only."""

from __future__ import annotations

import os

os.environ.setdefault("TORTURE_RUN", str(os.getpid()))
"""What the disks of this run are named by; cases are processes of their own."""

collect_ignore = (
    []
    if os.environ.get("TORTURE") == "full"
    else [
        "test_copying_mutations.py",
        "test_database_copies.py",
        "test_durability_mutations.py",
        "test_many_files.py",
    ]
)
