# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layout a host is in by its disks, and whether ``.env`` says so. No I/O.

Others write ``.env``, too: on many hosts a script does so at each boot. Where the state disk is, and
what its marker says, does not change with that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..compose.chain import layout_overlays, split
from ..host.host_tool_errors import LayoutNotShown
from .layouts import LAYOUTS, Layout, resolve_state_dir


def layout_shown(
    recorded: Mapping[str, Any], shown: Mapping[str, tuple[str, str]], markers: Mapping[str, str], env_path: str
) -> Layout:  # fmt: skip
    """The layout in which the disks of the record are mounted, and of which the marker of the state is.

    shown: mount point -> UUID and root of the topmost mount there; markers: STATE_DIR -> the layout that
    the marker there names. Raises LayoutNotShown where not exactly one layout is both.
    """
    disks = recorded.get("disks") or {}
    data, state = (str((disks.get(role) or {}).get("uuid") or "") for role in ("data", "state"))
    layouts = []
    for layout in LAYOUTS.values():
        wanted = {layout.mounts["data"]: data}
        if state or layout.needs_state_disk:
            wanted[layout.mounts["state"]] = state
        there = all(uuid and shown.get(path) == (uuid, "/") for path, uuid in wanted.items())
        if there and markers.get(layout.state_dir) == layout.name:
            layouts.append(layout)
    if len(layouts) != 1:
        raise LayoutNotShown(env_path=env_path, found=_say(shown, markers))
    return layouts[0]


def _say(shown: Mapping[str, tuple[str, str]], markers: Mapping[str, str]) -> str:
    mounted = [
        f"{uuid or 'no UUID'} at {path}" for path, (uuid, root) in sorted(shown.items()) if root
    ]
    said = [f"{name} in {path}" for path, name in sorted(markers.items()) if name]
    return f"mounted: {', '.join(mounted) or 'nothing'}; marker: {', '.join(said) or 'none'}"


def is_kept(env: Mapping[str, str], layout: Layout) -> bool:
    """Whether ``.env`` has the keys of the layout, and a chain that ends with its overlay."""
    keys = all(env.get(key) == value for key, value in layout.env().items())
    overlays: Sequence[str] = layout_overlays(split(env.get("COMPOSE_FILE", "")))
    at_place = resolve_state_dir(env) == layout.state_dir
    return keys and at_place and list(overlays[-1:]) == [layout.overlay]
