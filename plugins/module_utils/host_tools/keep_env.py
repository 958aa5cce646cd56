# SPDX-License-Identifier: GPL-3.0-or-later
"""``agnes-host keep-env``: put the layout's keys of ``.env`` back when somebody has written it anew.

Started by systemd at boot, and when the file changes. What others wrote there stays.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from ..core.host.host_tool_errors import LayoutNotShown
from ..core.host.host_tools import PROJECT_DIR
from ..core.layout.keep_env import is_kept, layout_shown
from ..core.layout.layouts import LAYOUTS, Layout, mount_points, state_dirs
from ..system.host import record
from ..system.host.actions import Actions
from ..system.host.waiting import given
from ..system.layout import dotenv_file
from ..system.move import moving
from . import upgrade
from .turn import POLL_SECONDS, UPGRADE_LOCK, environment, turn

WAIT_SECONDS = 600.0
"""For an upgrade that is at work."""
DISK_SECONDS = 60.0


def _layout(env_path: str) -> Layout:
    """The layout of the disks. Raises LayoutNotShown."""
    shown = {path: moving.mount_at(path)[1:] for path in mount_points()}
    markers = {
        path: str(moving.marker(path).get("layout") or "")
        for path in state_dirs()
        if not os.path.islink(path)
    }
    return layout_shown(record.load(), shown, markers, env_path)


def keep_env(
    say: Callable[[str], None],
    project_dir: str = PROJECT_DIR,
    lock: str = UPGRADE_LOCK,
    seconds: float = DISK_SECONDS,
) -> None:
    """Once. Raises NotNow, a Refusal, Failed or OSError."""
    env_path = dotenv_file.path_in(project_dir)
    with turn(WAIT_SECONDS, lock):
        env = environment(project_dir)
        if not env:
            say(f"{env_path} is not there or empty: there is nothing to keep")
            return
        # A disk may come late at a boot, and nothing is mounted in its place.
        layout = given(partial(_layout, env_path), LayoutNotShown, seconds, POLL_SECONDS)
        if is_kept(env, layout):
            say(f"{env_path} has the keys of layout {layout.name}")
            return
        say(
            f"{env_path} was written without the keys of layout {layout.name}, in which the disks are mounted: they "
            "are put back"
        )
        actions = Actions(check=False)
        upgrade.bring_to(say, project_dir, LAYOUTS[layout.name], actions)
        for item in actions.items:
            say(
                f"{item['what']}: changed"
                if item["what"] == env_path
                else f"{item['what']}: {item['after']}"
            )
