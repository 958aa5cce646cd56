# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that the kernel can't end: who waits for one waits no longer than asked."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Hung, run


def test_a_command_that_not_even_kill_ends_is_left_behind(filesystem: Callable[..., Path]) -> None:
    """A write to a frozen filesystem waits as one to a dead disk does."""
    point = filesystem("ext4", "frozen")
    subprocess.run(["fsfreeze", "--freeze", str(point)], check=True)
    try:
        began = time.monotonic()
        with pytest.raises(Hung, match=r"^'touch .*/frozen/a' did not end within 1 s$"):
            run(["touch", str(point / "a")], seconds=1)
        assert time.monotonic() - began < 20
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(point)], check=True)
