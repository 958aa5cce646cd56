# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd: the product's own, which a move holds back, and the daemon's view of fstab."""

from __future__ import annotations

import os

from ...core.host.host_errors import UnitsUnreadable
from ..host import durable
from ..host.commands import run
from .ledger import INTENT

_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_PRODUCT, _OURS = "agnes-", "agnes-host-"
_KINDS = (".service", ".timer")
_DROP_IN = "90-agnes-host-move.conf"
_TEXT = f"""# Written by agnes.host while it moves state; taken away at the end of the move.
[Unit]
ConditionPathExists=!{INTENT}
"""


def _listed(folder: str) -> list[str]:
    """The names in a folder; of one that is absent, none. Raises UnitsUnreadable."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UnitsUnreadable(path=folder, found=error.strerror or str(error)) from error


def product_units() -> list[str]:
    """The product's services and timers on this host. Raises UnitsUnreadable."""
    names = {name for folder in _FOLDERS for name in _listed(folder)}
    return sorted(
        name
        for name in names
        if name.startswith(_PRODUCT) and name.endswith(_KINDS) and not name.startswith(_OURS)
    )


def is_there(unit: str) -> bool:
    """Whether systemd has a unit of this name. Raises UnitsUnreadable."""
    return any(unit in _listed(folder) for folder in _FOLDERS)


def _drop_in(unit: str) -> str:
    return os.path.join(_FOLDERS[0], f"{unit}.d", _DROP_IN)


def open_units() -> list[str]:
    """Those that the intent would not hold back yet."""
    return [unit for unit in product_units() if durable.read_text(_drop_in(unit)) != _TEXT]


def held_units() -> list[str]:
    """Those that have our drop-in, whether the unit is still there or not. Raises UnitsUnreadable."""
    folders = [name for name in _listed(_FOLDERS[0]) if name.endswith(".d")]
    units = [name[: -len(".d")] for name in folders]
    return [unit for unit in units if _DROP_IN in _listed(os.path.dirname(_drop_in(unit)))]


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
