# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of move, a row for each: all that is special to one is here, or in steps that only it has.

A new kind is a row and its steps: what a step says and when it is done is in move_steps.py, what
it does is in move/. What holds for several kinds follows from where state was and where it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..copy.copy_targets import Asked, blank_disk, data_disk, disk_above, unmovable
from ..copy.precopy import MAX_ROUNDS
from ..disks import which_copy
from ..disks.disks import DIRECTORY, DISK
from ..host.text import say_size
from ..layout.layouts import Layout
from .intent import INTENT_PATH, MoveIntent
from .move_errors import IntentUnreadable
from .move_status import ACTIVE, INCOMPLETE, RETIRED, SEALED, MoveStatus, is_disk
from .move_steps import AFTER, BEFORE, COMMIT, DOWN

SHADOWED = "shadowed"
"""State is in a directory of the data disk, and the state disk is mounted over it (see DISK, DIRECTORY)."""

_BYTES_A_SECOND = 200 << 20
"""For an estimate only: how fast state and copy are read whole and hashed, side by side."""


@dataclass(frozen=True)
class Kind:
    """A kind of move."""

    name: str
    state_was: str
    """DISK, DIRECTORY or SHADOWED. From it follows what the move must have for itself, what must be
    mounted until the commit, and what is copied."""
    state_goes: str
    """DISK, or DIRECTORY. From it follows what is mounted after the commit."""
    before: tuple[str, ...]
    """The steps before the stop: all that both layouts tolerate."""
    down: tuple[str, ...]
    """Those while the stack is down."""
    after: tuple[str, ...]
    """Those after the start."""
    fits: Callable[[Asked], bool]
    """Whether it is the kind for a host and what is asked; the first row that fits is taken."""
    disk: Callable[[Asked], dict[str, Any]]
    """What is copied to, as the part ``disks`` of a plan has it. Raises a Refusal."""
    intact: Callable[[MoveStatus], bool]
    """Whether state shows where it was, so that going back may start the stack on it."""
    there: Callable[[MoveStatus], bool]
    """Whether state, and where it was copied a proved copy, is at the new place."""
    superseded: Callable[[MoveStatus], bool]
    """Whether what lies at the old place can't be taken for state any more, though it is not marked."""
    says: Callable[[MoveStatus], str]
    """What becomes of the bytes, for people."""
    downtime: Callable[[MoveStatus], str]
    """What is added to the time of the stop and the start, for people."""
    once_shown: str = ""
    """Of a kind where state is shadowed: the kind that it is where the disk is not mounted over it any more."""

    @property
    def copies(self) -> bool:
        """Whether it leaves a second copy behind."""
        return self.state_was != self.state_goes

    @property
    def order(self) -> list[tuple[str, str]]:
        """Its steps as (id, phase), in order."""
        phases = zip((BEFORE, DOWN, AFTER), (self.before, self.down, self.after))
        return [(step, phase) for phase, steps in phases for step in steps]

    @property
    def steps(self) -> list[str]:
        """Their ids."""
        return [step for step, _phase in self.order]

    def uuid_after(self, uuid: str, disk: Mapping[str, Any]) -> str:
        """UUID of the filesystem that state is on after the move; ``uuid`` is the state disk's."""
        return uuid if self.state_goes == DISK else str(disk["uuid"])


def _disk_shows(status: MoveStatus) -> bool:
    """The state disk is the topmost mount at the old place."""
    there = [point for point in status.facts["points"] if point["target"] == status.old]
    return bool(there) and is_disk(there[-1], status.old, status.uuid)


def _directory_shows(status: MoveStatus) -> bool:
    """Nothing is mounted over the directory at the old place; a copy would have been, since."""
    if any(point["target"] == status.old for point in status.facts["points"]):
        return False
    return _is_directory(status) and status.facts["roles"].get(status.old) != RETIRED


def _disk_or_directory_shows(status: MoveStatus) -> bool:
    """The disk with what was on it before, or what it shadowed."""
    unused = status.facts["roles"].get(status.old) not in (INCOMPLETE, SEALED)
    return _directory_shows(status) or (_disk_shows(status) and unused)


def _is_directory(status: MoveStatus) -> bool:
    return status.unmounted(status.old)["kind"] == "directory"


def _disk_at_new(status: MoveStatus) -> bool:
    return status.mounted(status.new)


def _copy_at_new(status: MoveStatus) -> bool:
    """A proved directory is at the new place, and nothing is mounted over it."""
    shadowed = any(point["target"] == status.new for point in status.facts["points"])
    proved = status.facts["roles"].get(status.new) in (SEALED, ACTIVE)
    return proved and not shadowed and status.unmounted(status.new)["kind"] == "directory"


def _says_remount(status: MoveStatus) -> str:
    used = say_size(status.facts["used"])
    return f"{used} stay where they are on the state disk, only its mount point moves"


def _says_copy(status: MoveStatus, source: str, target: str, kept: str) -> str:
    return (
        f"{say_size(status.facts['used'])} in {status.facts['files']} files are copied from {source} to "
        f"{target}{status.disk['device']}, in up to {MAX_ROUNDS} rounds while the stack runs; {kept}"
    )


def _shadowed_bytes(status: MoveStatus) -> int:
    """Bytes of shadowed state, as far as that has been looked at."""
    shadow = status.facts["shadows"].get(status.old)
    return shadow["shadowed"]["bytes"] if shadow and shadow["shadowed"] else status.facts["used"]


def _says_promote(status: MoveStatus) -> str:
    return (
        f"{say_size(_shadowed_bytes(status))} that the mount shadows are copied to {status.disk['device']} while the "
        "stack is down; what is on the disk now is set aside there, and so is the directory"
    )


def _rest_to_copy(status: MoveStatus) -> str:
    seconds = 3 + status.facts["used"] / _BYTES_A_SECOND
    return f"about {seconds:.0f} s more to copy the rest, read state and copy whole, and count rows"


def _all_to_copy(status: MoveStatus) -> str:
    seconds = 3 + 3 * _shadowed_bytes(status) / _BYTES_A_SECOND
    return f"about {seconds:.0f} s more to copy state whole, read it and the copy, and count rows"


_CONTRACT = ("umount", "line", "place", "start")
_AFTER = ("prove", "canary", "marker", "record", "forget")


def _nothing(_asked: Asked) -> dict[str, Any]:
    return {}


PROMOTE = Kind(
    "promote", SHADOWED, DISK,
    # Once the disk is unmounted the way back leads to the state that it shadowed, and no boot may bring it back.
    before=("intent", "overlay", "point", "idle", "unlist"),
    down=("stop", "quiet", "reveal", "aside", "stage", "whole", "final", "verify", "seal", "fstab",
          "expose", COMMIT, "retire", "place", "start"),
    after=("unstage", *_AFTER),
    fits=lambda asked: bool(asked.disk_at_old) and asked.copy_that_counts == which_copy.SHADOWED,
    disk=disk_above,
    intact=_disk_or_directory_shows, there=_disk_at_new,
    superseded=lambda status: not _is_directory(status),
    says=_says_promote, downtime=_all_to_copy, once_shown="copy",
)  # fmt: skip
"""The state disk's mount shadows state, which is copied to that disk."""

COPY_BACK = Kind(
    "copy_back", DISK, DIRECTORY,
    # The mirror of copy: the copy is a directory, which one rename shows, and the disk goes.
    before=("intent", "overlay", "nest", "precopy", "idle"),
    down=("stop", "quiet", "final", "verify", "seal", "claim", "put", COMMIT, "retire", *_CONTRACT),
    after=("unstage", *_AFTER),
    fits=lambda asked: bool(asked.disk_at_old) and asked.request.state_on == DIRECTORY,
    disk=data_disk,
    intact=_disk_shows, there=_copy_at_new,
    superseded=lambda status: not status.mounted(status.old),
    says=lambda status: _says_copy(
        status, "the state disk", "a directory of the data disk, ",
        "the state disk is unmounted, and keeps what it has",
    ),
    downtime=_rest_to_copy,
)  # fmt: skip
"""State is copied from the state disk into a directory of the data disk."""

LATE_REMOUNT = Kind(
    "late_remount", DISK, DISK,
    before=("intent", "overlay", "idle"),
    down=("stop", "quiet", "point", "fstab", "mount", COMMIT, *_CONTRACT),
    after=_AFTER,
    fits=lambda asked: bool(asked.disk_at_old) and _is_late(asked.source, asked.target),
    disk=_nothing,
    intact=_disk_shows, there=_disk_at_new, superseded=lambda _status: True,
    says=_says_remount, downtime=lambda _status: "less than a second more",
)  # fmt: skip
"""A remount where the target's mount point is a link of the source's, in use until the stop."""

REMOUNT = Kind(
    "remount", DISK, DISK,
    before=("intent", "overlay", "point", "fstab", "mount", "idle"),
    down=("stop", "quiet", COMMIT, *_CONTRACT),
    after=_AFTER,
    fits=lambda asked: bool(asked.disk_at_old),
    disk=_nothing,
    intact=_disk_shows, there=_disk_at_new, superseded=lambda _status: True,
    says=_says_remount, downtime=lambda _status: "less than a second more",
)  # fmt: skip
"""The state disk only changes its mount point."""

COPY = Kind(
    "copy", DIRECTORY, DISK,
    # The line in fstab comes after the seal: a boot must not show a half-made copy either.
    before=("intent", "overlay", "format", "stage", "precopy", "point", "idle"),
    down=("stop", "quiet", "final", "verify", "seal", "fstab", "expose", COMMIT, "retire", "place", "start"),
    after=("unstage", *_AFTER),
    fits=lambda asked: not asked.source.needs_state_disk and asked.target.needs_state_disk,
    disk=blank_disk,
    intact=_directory_shows, there=_disk_at_new,
    superseded=lambda status: not _is_directory(status),
    says=lambda status: _says_copy(status, "the data disk", "", "the old directory is set aside"),
    downtime=_rest_to_copy,
)  # fmt: skip
"""State is copied from a directory of the data disk to a state disk."""

KINDS: Mapping[str, Kind] = {
    kind.name: kind for kind in (PROMOTE, COPY_BACK, LATE_REMOUNT, REMOUNT, COPY)
}
"""All of them, by name; the first that fits is taken."""


def _is_late(source: Layout, target: Layout) -> bool:
    return target.mounts["state"] in source.links


def remount(source: Layout, target: Layout) -> Kind:
    """The kind of move by which the state disk goes from one layout to another."""
    return KINDS[(LATE_REMOUNT if _is_late(source, target) else REMOUNT).name]


def choose(asked: Asked) -> tuple[Kind, str, dict[str, Any]]:
    """Kind of move, UUID of the state disk, and what is copied to. Raises a Refusal."""
    if asked.disk_at_old and not asked.disk_at_old["uuid"]:
        raise unmovable(asked, "on a disk without UUID")
    kind = next((kind for kind in KINDS.values() if kind.fits(asked)), None)
    if kind is None:
        raise unmovable(asked, "with no disk of its own")
    disk = kind.disk(asked)
    uuid = asked.disk_at_old["uuid"] if asked.disk_at_old else disk["uuid"]
    return kind, uuid or "new", disk


def kind_of(intent: MoveIntent) -> Kind:
    """The kind of a move that has begun, or is asked for. Raises IntentUnreadable."""
    kind = KINDS.get(intent.kind)
    if kind is None:
        raise IntentUnreadable(path=INTENT_PATH, found=f"unknown kind '{intent.kind:.60}'")
    return kind
