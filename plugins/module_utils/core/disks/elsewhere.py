# SPDX-License-Identifier: GPL-3.0-or-later
"""State and data that lie elsewhere than where the layout has them: in a volume, or another directory.

The table of layouts says where they should be; the host says where they are. A run that
asks only the table formats blank disks beside the product's data and starts it empty.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..host.errors import ContainersElsewhere, CouldNotLook, StateInVolume
from ..host.facts import Contents, Elsewhere, Host
from ..host.text import say_size
from ..layout.choice import holding
from ..layout.tree import DATA_NAMES, OWN_NAMES, STATE_NAMES
from .disks import DiskPlan, recorded_uuid

_SHOWN = 5

LEFT = "is left as it is, as disks_left_behind says"
"""How a note ends of what the operator knows of."""


def proof(contents: Contents, own: bool) -> list[str]:
    """The names that prove state or data of the product, as paths below the directory.

    own: whether the directory is the project's, so that names that others may have count too.
    """
    wanted = STATE_NAMES if own else OWN_NAMES
    found = [name for name in contents["names"] if name in wanted]
    found += [f"state/{name}" for name in contents["state_names"] if name in wanted]
    if own:
        found += [f"{name}/" for name in contents["filled"] if name in DATA_NAMES]
    return found


def is_proved(host: Host, disks: Sequence[DiskPlan]) -> bool:
    """Whether the host's state is known to be where the plan has it, so that others are leftovers."""
    if holding(host):
        return True
    in_directory = any(disk.role == "state" and disk.action == "directory" for disk in disks)
    return bool(recorded_uuid(host, "data" if in_directory else "state"))


def _say(found: Elsewhere) -> str:
    parts = [found["path"]] if found["path"] != found["name"] else []
    if found["size"] >= 0:
        more = "" if found["whole"] else "at least "
        parts.append(f"{more}{say_size(found['size'])}")
    if found["newest"]:
        parts.append(f"newest file of {found['newest']}")
    parts.append(
        f"in use by {', '.join(found['used_by'])}" if found["used_by"] else "in no container"
    )
    return f"{found['kind']} '{found['name']}' ({'; '.join(parts)})"


def _holds(found: Elsewhere) -> str:
    names = found["proof"][:_SHOWN]
    return f"{_say(found)} has {', '.join(names)}"


def check_elsewhere(
    host: Host, disks: Sequence[DiskPlan], state_dir: str, left: Collection[str] = ()
) -> list[str]:
    """Notes of what is left over elsewhere. Raises a Refusal where it may be this host's state.

    disks: what is planned; left: names of volumes and paths of directories that are to be left
    as they are. What could not be looked at stops a run that would make a filesystem.
    """
    known = is_proved(host, disks)
    notes = []
    for found in host["elsewhere"]:
        if found["name"] in left:
            notes.append(f"{_say(found)} {LEFT}")
        elif found["unknown"]:
            if not known and any(disk.action == "format" for disk in disks):
                raise CouldNotLook(
                    what=f"{found['kind']} '{found['name']}'", found=found["unknown"]
                )
        elif found["used_by"] and holding(host):
            raise ContainersElsewhere(found=_holds(found), place=", ".join(holding(host)))
        elif found["used_by"] or not known:
            raise StateInVolume(found=_holds(found), place=state_dir, name=found["name"])
        else:
            notes.append(f"{_holds(found)}: left over, no container of the project uses it")
    return notes
