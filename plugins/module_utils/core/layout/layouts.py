# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of layouts and the one STATE_DIR resolver.

A third layout is one more entry in LAYOUTS and no new ``if``: whatever differs
between layouts is a field of Layout, and everything else is derived from it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

DEFAULT_DATA_DIR = "/data"
"""DATA_DIR when unset (the product's default)."""

CERTIFICATES = "certs"
"""Directory below STATE_DIR from which Caddy takes its certificate."""

UNDECIDED = "undecided"
"""Legal value of state_layout_wanted: observe and report, change nothing."""

DISKS = ("data", "state")
"""The roles a disk can have, in the order in which they are mounted."""


def resolve_data_dir(env: Mapping[str, str]) -> str:
    """DATA_DIR if set and not empty, else /data."""
    return env.get("DATA_DIR") or DEFAULT_DATA_DIR


def resolve_state_dir(env: Mapping[str, str]) -> str:
    """STATE_DIR if set and not empty, else ``${DATA_DIR}/state``.

    The rule of the product's own resolver; the only place that implements it.
    """
    return env.get("STATE_DIR") or posixpath.join(resolve_data_dir(env), "state")


@dataclass(frozen=True)
class Layout:
    """Where the two disks are mounted, and what follows from it.

    Paths are absolute and on the host; containers see the same paths.
    """

    name: str
    mounts: Mapping[str, str]
    """Mount point of each disk, by the disk's role."""
    state_dir: str
    overlay: str
    """Name of the compose overlay that makes containers see this layout."""
    never_mounted: tuple[str, ...] = ()
    """Paths that must not be mount points."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Links for readers in the product that do not know STATE_DIR: path -> target."""

    @property
    def needs_state_disk(self) -> bool:
        """Whether state can't be a plain directory of the data disk."""
        return not is_below(self.state_dir, self.mounts["data"])

    def env(self) -> dict[str, str]:
        """The keys of ``.env`` that this layout decides; the defaults need no key."""
        if self.state_dir == resolve_state_dir({}):
            return {}
        certificate = posixpath.join(self.state_dir, CERTIFICATES, "fullchain.pem")
        return {"STATE_DIR": self.state_dir, "AGNES_TLS_FULLCHAIN_PATH": certificate}


LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            name="nested",
            mounts={"data": "/data", "state": "/data/state"},
            state_dir="/data/state",
            overlay="docker-compose.host-mount.yml",
            never_mounted=("/data-state",),
        ),
        Layout(
            name="flat",
            mounts={"data": "/data", "state": "/data-state"},
            state_dir="/data-state",
            overlay="docker-compose.flat-mount.yml",
            never_mounted=("/data/state",),
            links={"/data/state": "/data-state"},
        ),
    )
}

DEFAULT_LAYOUT = next(
    layout.name for layout in LAYOUTS.values() if layout.state_dir == resolve_state_dir({})
)
"""The layout of a host that has no state yet and asks for none."""


def is_below(path: str, parent: str) -> bool:
    """Whether ``path`` is ``parent`` or lies below it; both absolute."""
    path, parent = posixpath.normpath(path), posixpath.normpath(parent)
    return posixpath.commonpath([path, parent]) == parent


def layout_at(state_dir: str) -> Optional[Layout]:
    """The layout whose STATE_DIR is ``state_dir``, or None."""
    wanted = posixpath.normpath(state_dir)
    return next((layout for layout in LAYOUTS.values() if layout.state_dir == wanted), None)


def mount_points() -> set[str]:
    """Where a disk is mounted in any layout."""
    return {point for layout in LAYOUTS.values() for point in layout.mounts.values()}


def is_at_a_place(path: str) -> bool:
    """Whether a path is one where a layout has a disk, or below one; no name of a volume is."""
    return path.startswith("/") and any(is_below(path, point) for point in mount_points())


def state_dirs() -> list[str]:
    """Every STATE_DIR of the table, each once."""
    return list(dict.fromkeys(layout.state_dir for layout in LAYOUTS.values()))


def overlays() -> list[str]:
    """Every overlay of the table, each once."""
    return list(dict.fromkeys(layout.overlay for layout in LAYOUTS.values()))


def known_layouts() -> str:
    """The names of the layouts, for a message."""
    return ", ".join(LAYOUTS)
