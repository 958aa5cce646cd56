# SPDX-License-Identifier: GPL-3.0-or-later
"""The product's own tools on the host, and what each will do wrong in a layout.

They are the product's: they are left alone, and named where they go wrong. What is harmless is
not said; docs/state-dir.md has all of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypedDict

from ..layout.layouts import DEFAULT_LAYOUT, LAYOUTS, Layout, resolve_state_dir

SCRIPTS: Mapping[str, str] = {
    "upgrade": "/usr/local/bin/agnes-auto-upgrade.sh",
    "TLS rotation": "/usr/local/bin/agnes-tls-rotate.sh",
    "state applier": "/usr/local/bin/agnes-state-applier.sh",
    "watchdog": "/usr/local/bin/agnes-watchdog.sh",
    "backup": "/usr/local/bin/agnes-db-backup.sh",
    "bootstrap": "/etc/systemd/system/agnes-state-applier-bootstrap.service",
}
"""Keeper -> the file that says what it does."""

OLD_STATE = resolve_state_dir({})
OLD_OVERLAY = LAYOUTS[DEFAULT_LAYOUT].overlay


class Keeper(TypedDict):
    """One of the product's tools on this host."""

    path: str
    found: str
    """found, absent or unknown."""
    old_state: bool
    """Whether it names the STATE_DIR that the product has by default."""
    state_dir: bool
    """Whether it knows STATE_DIR."""
    old_overlay: bool
    """Whether it names the overlay that the product has by default."""
    chain: bool
    """Whether it takes COMPOSE_FILE from ``.env``."""
    finds: bool
    """Whether it searches the default STATE_DIR in a way that follows no link."""


def keeper_of(path: str, text: str) -> Keeper:
    """What a script says of the paths and files that a layout decides; comments do not count."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    state = re.escape(OLD_STATE)
    return {
        "path": path,
        "found": "found",
        "old_state": re.search(rf"{state}(?![\w-])", code) is not None,
        "state_dir": re.search(r"\bSTATE_DIR\b", code) is not None,
        "old_overlay": OLD_OVERLAY in code,
        "chain": re.search(r"\bCOMPOSE_FILE\b|agnes_resolve_compose_file", code) is not None,
        "finds": re.search(rf"\bfind\s+[\"']?{state}[\"']?(\s|$)", code, re.M) is not None,
    }


def keeper_without(path: str, seen: str) -> Keeper:
    """One that is absent, or unknown."""
    return {
        "path": path, "found": seen, "old_state": False, "state_dir": False, "old_overlay": False,
        "chain": False, "finds": False,
    }  # fmt: skip


def _upgrade(keeper: Keeper, layout: Layout) -> str:
    if layout.overlay == OLD_OVERLAY or keeper["chain"] or not keeper["old_overlay"]:
        return ""
    return (
        f"ignores COMPOSE_FILE in .env: its next upgrade starts the stack without {layout.state_dir}; update it, or "
        "disable its cron line"
    )


def _rotation(keeper: Keeper, layout: Layout) -> str:
    if layout.overlay == OLD_OVERLAY or keeper["chain"] or not keeper["old_overlay"]:
        return ""
    return (
        f"names {OLD_OVERLAY}: while Caddy is stopped it fails, or starts the app without "
        f"{layout.state_dir}; keep Caddy running, and run this playbook after it"
    )


def _applier(keeper: Keeper, layout: Layout) -> str:
    if layout.state_dir == OLD_STATE or keeper["state_dir"] or not keeper["old_state"]:
        return ""
    return (
        f"ignores STATE_DIR: a change of the database backend starts the app without {layout.state_dir}; change no "
        f"backend in layout {layout.name}"
    )


def _watchdog(keeper: Keeper, layout: Layout) -> str:
    if OLD_STATE not in layout.links or not keeper["finds"]:
        return ""
    return f"searches {OLD_STATE}, and find follows no link: a discarded WAL is not reported"


def _backup(keeper: Keeper, layout: Layout) -> str:
    # Through the layout's link it reads the right files.
    if layout.state_dir == OLD_STATE or OLD_STATE in layout.links or keeper["state_dir"]:
        return ""
    return f"copies {OLD_STATE}, where there is no state" if keeper["old_state"] else ""


_WRONG: Mapping[str, Callable[[Keeper, Layout], str]] = {
    "upgrade": _upgrade,
    "TLS rotation": _rotation,
    "state applier": _applier,
    "watchdog": _watchdog,
    "backup": _backup,
}


def keeper_notes(keepers: Mapping[str, Keeper], layout: Layout) -> list[str]:
    """What each of the product's tools will do wrong in ``layout``, one line each."""
    notes = []
    for name, keeper in keepers.items():
        if keeper["found"] == "unknown":
            if layout.env():
                notes.append(
                    f"the product's {name} ({keeper['path']}) can't be read, so what it does is not known"
                )
        elif keeper["found"] == "found":
            wrong = _WRONG[name](keeper, layout) if name in _WRONG else ""
            if wrong:
                notes.append(f"the product's {name} ({keeper['path']}) {wrong}")
    return notes
