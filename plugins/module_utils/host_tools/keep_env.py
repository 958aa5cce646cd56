# SPDX-License-Identifier: GPL-3.0-or-later
"""``agnes-host keep-env``: put the layout's keys of ``.env`` back when somebody has written it anew.

Started by systemd at boot, and when the file changes. What others wrote there stays.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from ..core.host.host_tool_errors import LayoutNotShown
from ..core.host.host_tools import PROJECT_DIR
from ..core.layout.keep_env import is_kept, layout_shown
from ..core.layout.layouts import LAYOUTS, Layout, mount_points, state_dirs
from ..system.host import record
from ..system.host.actions import Actions
from ..system.move import moving
from . import upgrade
from .turn import UPGRADE_LOCK, environment, turn

WAIT_SECONDS = 600.0
"""For an upgrade that is at work."""
DISK_SECONDS = 60.0
_POLL_SECONDS = 1.0


def _layout(env_path: str, seconds: float) -> Layout:
    """The layout of the disks; one may come late at a boot, and nothing is mounted in its place."""
    end = time.monotonic() + seconds
    while True:
        shown = {path: moving.mount_at(path)[1:] for path in mount_points()}
        markers = {
            path: str(moving.marker(path).get("layout") or "")
            for path in state_dirs()
            if not os.path.islink(path)
        }
        try:
            return layout_shown(record.load(), shown, markers, env_path)
        except LayoutNotShown:
            if time.monotonic() >= end:
                raise
        time.sleep(_POLL_SECONDS)


def keep_env(
    say: Callable[[str], None],
    project_dir: str = PROJECT_DIR,
    lock: str = UPGRADE_LOCK,
    seconds: float = DISK_SECONDS,
) -> None:
    """Once. Raises NotNow, a Refusal, Failed or OSError."""
    env_path = os.path.join(project_dir, ".env")
    with turn(WAIT_SECONDS, lock):
        env = environment(project_dir)
        if not env:
            say(f"{env_path} is not there or empty: there is nothing to keep")
            return
        layout = _layout(env_path, seconds)
        if is_kept(env, layout):
            say(f"{env_path} has the keys of layout {layout.name}")
            return
        say(
            f"{env_path} was written without layout {layout.name}, in which the disks are: it is put right"
        )
        actions = Actions(check=False)
        upgrade.bring_to(say, project_dir, LAYOUTS[layout.name], actions)
        for item in actions.items:
            say(
                f"{item['what']}: changed"
                if item["what"] == env_path
                else f"{item['what']}: {item['after']}"
            )
