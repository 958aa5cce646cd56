# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as holding a directory of the data disk, and a whole disk."""

from __future__ import annotations

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.disks.mountinfo import Line
from ansible_collections.agnes.host.plugins.module_utils.system.move.moving import Held

DISK = Held("8:32")
DIRECTORY = Held("8:16", "/data/state", "/state")


def mounted(maj_min: str, root: str) -> Line:
    """A mount of which only these two count."""
    return Line(maj_min, root, "/anywhere", "ext4", "/dev/any")


@pytest.mark.parametrize(
    ("held", "maj_min", "root", "wanted"),
    [
        (DISK, "8:32", "/", True),
        (DISK, "8:32", "/any", True),
        (DISK, "8:16", "/", False),
        (DIRECTORY, "8:16", "/", True),
        (DIRECTORY, "8:16", "/state", True),
        (DIRECTORY, "8:16", "/state/certs", True),
        (DIRECTORY, "8:16", "/stateful", False),
        (DIRECTORY, "8:16", "/analytics", False),
        (DIRECTORY, "8:32", "/", False),
    ],
)
def test_a_mount_reaches_what_is_held(held: Held, maj_min: str, root: str, wanted: bool) -> None:
    assert held.reached_by(mounted(maj_min, root)) is wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/data/state", True),
        ("/data/state/system.duckdb", True),
        ("/data/state/gone (deleted)", True),
        ("/data/stateful", False),
        ("/data", False),
    ],
)
def test_a_file_is_in_the_directory_or_not(path: str, wanted: bool) -> None:
    assert DIRECTORY.has(path) is wanted
    assert DISK.has(path)
