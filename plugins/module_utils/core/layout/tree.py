# SPDX-License-Identifier: GPL-3.0-or-later
"""What must stand on the two disks: directories, owners, links and the marker."""

from __future__ import annotations

import posixpath
from dataclasses import asdict, dataclass
from typing import Any, Optional

from ..compose.certificates import CHAIN_FILE, KEY_FILE
from .layouts import CERTIFICATES, Layout

AGNES_UID = 999
"""The product's user in its containers; on the host agnes-applier has it."""

MARKER = ".agnes-state.json"
"""The marker at the top of STATE_DIR: it says that this is state, and of which host."""

DATABASE = "system.duckdb"
"""The product's database at the top of STATE_DIR."""

OWN_NAMES = (DATABASE, MARKER)
"""What nothing but the product's state, or this collection, has at its top."""

STATE_NAMES = (*OWN_NAMES, "agnes-vault.key", ".jwt_secret", "instance.yaml")
"""What the top of STATE_DIR has; others may have the later ones, too."""

MARKER_FORMAT = 1

_DATA = ("analytics", "extracts", "uploads", "tmp")
"""What the product needs below /data before its first start, or it crash-loops."""

DATA_NAMES = ("analytics", "extracts", "uploads")
"""What the top of a data disk has, and that of a state disk never."""


@dataclass(frozen=True)
class Entry:
    """One thing in the tree. ``mode`` is for what we create; owners are always kept right."""

    path: str
    kind: str
    """directory, link or file."""
    uid: int = AGNES_UID
    gid: int = AGNES_UID
    mode: int = 0o755
    target: Optional[str] = None
    """Where a link points."""
    content: Optional[str] = None
    """What a file holds; secret when the mode hides it from others."""

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def wanted_tree(
    layout: Layout, certificate: str = "", private_key: str = "", certs: bool = True
) -> list[Entry]:
    """The tree of ``layout``, parents first. Both PEM texts or none are given.

    certs: whether there is to be a directory for certificates without one to place. The product
    takes an empty one for a host whose certificate was lost, so that only Caddy's hosts have it.
    """
    data, state = layout.mounts["data"], layout.state_dir
    folder = posixpath.join(state, CERTIFICATES)
    entries = [Entry(data, "directory")]
    entries += [Entry(posixpath.join(data, name), "directory") for name in _DATA]
    entries.append(Entry(state, "directory"))
    given = bool(certificate and private_key)
    if certs or given:
        entries.append(Entry(folder, "directory", mode=0o700))
    if given:
        # Root's, as the product's own rotation writes them; Caddy runs as root.
        entries += [
            Entry(posixpath.join(folder, KEY_FILE), "file", 0, 0, 0o600, content=private_key),
            Entry(posixpath.join(folder, CHAIN_FILE), "file", 0, 0, 0o644, content=certificate),
        ]
    entries += [
        Entry(path, "link", 0, 0, 0o777, target=target) for path, target in layout.links.items()
    ]
    return entries
