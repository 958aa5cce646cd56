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
    names = [name for name in contents["names"] if name in wanted]
    names += [f"state/{name}" for name in contents["state_names"] if name in wanted]
    if own:
        names += [f"{name}/" for name in contents["filled"] if name in DATA_NAMES]
    return names


def is_proved(host: Host, disks: Sequence[DiskPlan]) -> bool:
    """Whether the host's state is known to be where the plan has it, so that others are leftovers."""
    if holding(host):
        return True
    in_directory = any(disk.role == "state" and disk.action == "directory" for disk in disks)
    return bool(recorded_uuid(host, "data" if in_directory else "state"))


def _say(place: Elsewhere) -> str:
    parts = [place["path"]] if place["path"] != place["name"] else []
    if place["size"] >= 0:
        more = "" if place["whole"] else "at least "
        parts.append(f"{more}{say_size(place['size'])}")
    if place["newest"]:
        parts.append(f"newest file of {place['newest']}")
    parts.append(
        f"in use by {', '.join(place['used_by'])}" if place["used_by"] else "in no container"
    )
    return f"{place['kind']} '{place['name']}' ({'; '.join(parts)})"


def _holds(place: Elsewhere) -> str:
    names = place["proof"][:_SHOWN]
    return f"{_say(place)} has {', '.join(names)}"


def check_elsewhere(
    host: Host, disks: Sequence[DiskPlan], state_dir: str, left: Collection[str] = ()
) -> list[str]:
    """Notes of what is left over elsewhere. Raises a Refusal where it may be this host's state.

    disks: what is planned; left: names of volumes and paths of directories that are to be left
    as they are. What could not be looked at stops a run that would make a filesystem.
    """
    known = is_proved(host, disks)
    notes = []
    for each in host["elsewhere"]:
        if each["name"] in left:
            notes.append(f"{_say(each)} {LEFT}")
        elif each["unknown"]:
            if not known and any(disk.action == "format" for disk in disks):
                raise CouldNotLook(what=f"{each['kind']} '{each['name']}'", found=each["unknown"])
        elif each["used_by"] and holding(host):
            raise ContainersElsewhere(found=_holds(each), place=", ".join(holding(host)))
        elif each["used_by"] or not known:
            raise StateInVolume(found=_holds(each), place=state_dir, name=each["name"])
        else:
            notes.append(f"{_holds(each)}: left over, no container of the project uses it")
    return notes
