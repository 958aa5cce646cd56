# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd: the product's own, which a move holds back, and the daemon's view of fstab."""

from __future__ import annotations

import glob
import os

from . import durable
from .commands import run
from .ledger import FENCE

_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_OURS = "agnes-host-"
_DROP_IN = "90-agnes-host-move.conf"
_TEXT = f"""# Written by agnes.host while it moves state; taken away at the end of the move.
[Unit]
ConditionPathExists=!{FENCE}
"""


def product_units() -> list[str]:
    """The product's services and timers on this host."""
    found = {
        os.path.basename(path)
        for folder in _FOLDERS
        for kind in ("service", "timer")
        for path in glob.glob(f"{folder}/agnes-*.{kind}")
    }
    return sorted(name for name in found if not name.startswith(_OURS))


def _drop_in(unit: str) -> str:
    return f"/etc/systemd/system/{unit}.d/{_DROP_IN}"


def open_units() -> list[str]:
    """Those that a fence would not hold back yet."""
    return [unit for unit in product_units() if durable.read_text(_drop_in(unit)) != _TEXT]


def held_units() -> list[str]:
    """Those that have our drop-in, whether the unit is still there or not."""
    found = glob.glob(f"/etc/systemd/system/*.d/{_DROP_IN}")
    return sorted(os.path.basename(os.path.dirname(path))[: -len(".d")] for path in found)


def hold() -> None:
    """Give each product unit the condition that no move is under way."""
    for unit in open_units():
        path = _drop_in(unit)
        durable.make_directory(os.path.dirname(path))
        durable.write(path, _TEXT)


def let_go() -> bool:
    """Take the conditions away again; tells if there were any."""
    held = held_units()
    for unit in held:
        path = _drop_in(unit)
        os.unlink(path)
        folder = os.path.dirname(path)
        if os.listdir(folder):
            durable.fsync_directory(folder)
        else:
            os.rmdir(folder)
            durable.fsync_directory(os.path.dirname(folder))
    return bool(held)


def reload() -> None:
    """Let systemd read its units and fstab again, where systemd runs."""
    if os.path.isdir("/run/systemd/system"):
        run(["systemctl", "daemon-reload"])
