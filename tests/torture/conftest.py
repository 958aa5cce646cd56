# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes minutes is collected by ``make torture`` only; several processes share it out."""

from __future__ import annotations

import os

import pytest

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """``TORTURE_PART=1/2``: every second test, beginning with the first; see tests/lab/suite.py."""
    part, _slash, parts = os.environ.get("TORTURE_PART", "").partition("/")
    if parts:
        mine = items[int(part) - 1 :: int(parts)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(mine)])
        items[:] = mine
