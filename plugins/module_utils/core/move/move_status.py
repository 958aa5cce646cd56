# SPDX-License-Identifier: GPL-3.0-or-later
"""A move's status: the facts that decide which of its steps are done.

The same facts are part of the observation and are read again by the runner
before and after each step, so planning and doing can't disagree.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional, TypedDict

from ..compose.chain import split
from ..disks.mounts import Mount
from ..disks.shadow import is_harmless
from ..disks.which_copy import Shadow
from ..layout.layouts import Layout, is_below, overlays, resolve_state_dir
from .intent import INTENT_PATH, MoveIntent
from .move_errors import IntentUnreadable

if TYPE_CHECKING:
    from .move_kinds import Kind

INCOMPLETE, SEALED, ACTIVE, RETIRED = "incomplete", "sealed", "active", "retired"
"""Roles of the marker: a copy in the making, one that is proved, state, and what state was copied from."""


class Leftover(TypedDict):
    """One thing in a directory as it is unmounted."""

    name: str
    kind: str
    """directory, file, link or other."""
    size: int
    """Bytes of a file, entries of a directory."""
    stub: bool
    """Of an instance.yaml: whether it says that the backend is duckdb, and nothing else."""


class Unmounted(TypedDict):
    """What is at a path on its parent's filesystem: shadowed, if something is mounted there."""

    kind: str
    """absent, directory, link, other, or unknown: then ``target`` says why."""
    target: str
    entries: list[Leftover]
    """Up to 20 of them, those first that are no leftovers."""


class Moving(TypedDict):
    """What only a move asks of a host."""

    intent: Optional[dict[str, Any]]
    """The MoveIntent of a move that has begun and not ended, as plain data, or None."""
    open_units: list[str]
    """The product's units that the intent would not hold back."""
    held_units: list[str]
    """The product's units that have our drop-in."""
    unmounted: dict[str, Unmounted]
    """State directory -> what is there without its mount."""
    backend: str
    """The database backend that instance.yaml in STATE_DIR names; ``duckdb`` when it names none."""
    shadows: dict[str, Shadow]
    """Mount point -> evidence, for those that shadow more than leftovers."""
    blocked: dict[str, str]
    """Path -> why it can't be replaced, of what a move must write or rename while the stack is down."""
    kernel_users: list[str]
    """What in the kernel itself uses the state disk: no process to end, and no unmount while it does."""
    kernel_unread: dict[str, str]
    """Path -> why, where that could not be read."""
    staged: str
    """UUID of what is mounted where copies are made; empty when nothing is."""
    others: list[str]
    """Containers of other projects that have the state disk mounted."""
    used: int
    """Bytes used on the state disk, or by state in a directory where a state disk is asked for."""
    files: int
    """Files of state, counted likewise."""
    free: int
    """Bytes that a copy of state may take on the data disk, with what an earlier try has there."""
    free_inodes: int
    """Inodes likewise; -1 where the filesystem makes them as it needs them."""
    unmeasured: dict[str, str]
    """Path -> why ``used`` and ``files``, or ``free`` and ``free_inodes`` of it, are not known."""
    config_disk: str
    """MAJ:MIN of the disk that the product's upgrade mounts at STATE_DIR by itself, or empty."""


class MoveFacts(Moving):
    """All that a move goes by: the same, and what follows from other facts of the host, see move_facts.py."""

    env: dict[str, str]
    """The keys of .env that say where state is: DATA_DIR, STATE_DIR, COMPOSE_FILE."""
    points: list[Mount]
    """The mounts at or below the table's state directories, in the order of mounting."""
    lines: dict[str, str]
    """Mount point -> spec, for the fstab lines at the table's state mount points."""
    marker: str
    """The layout that the marker on the state disk names, or empty."""
    roles: dict[str, str]
    """Path -> role that the marker there names; only for directories that have one."""
    formatted: str
    """UUID of the disk that the host's record says is formatted to copy state to, or empty."""
    moved: str
    """The last move that the host's record knows, by id."""


@dataclass(frozen=True)
class MoveStatus:
    """The facts, and the two layouts between which state moves."""

    source: Layout
    target: Layout
    uuid: str
    """Of the state disk."""
    facts: MoveFacts
    kind: Kind
    move_id: str = ""
    services: frozenset[str] = frozenset()
    """Services that have a container."""
    present: frozenset[str] = frozenset()
    """All containers of the project."""
    wanted: frozenset[str] = frozenset()
    """Services that ran when the move began."""
    fresh: frozenset[str] = field(default_factory=frozenset)
    """Steps that this very process has carried out: proofs that leave no trace on the host."""
    disk: Mapping[str, Any] = field(default_factory=dict)
    """What is copied to, as the part ``disks`` of a plan has it: the state disk, or the data disk."""
    copy_that_counts: str = ""
    """Which copy counts where one is shadowed by the mount of another; empty while nobody has decided."""

    @property
    def old(self) -> str:
        """Where the state disk is mounted in the layout that is left."""
        return self.source.mounts["state"]

    @property
    def new(self) -> str:
        """Where it is mounted in the layout that is wanted."""
        return self.target.mounts["state"]

    @property
    def begun(self) -> bool:
        """Whether the intent that is written down is that of this move."""
        intent = intent_in(self.facts)
        return intent is not None and intent.id == self.move_id

    @property
    def committed(self) -> bool:
        """Whether ``.env``, the one commit point, names the target."""
        return points_to(self.facts["env"], self.target)

    @property
    def trusted(self) -> bool:
        """Whether what is on the state disk may be at the layout's place: a copy once it is proved."""
        return not self.kind.copies or self.committed or "seal" in self.fresh

    @property
    def superseded(self) -> bool:
        """Whether what lies at the old place can't be taken for state any more, where state was copied."""
        return self.facts["roles"].get(self.old) == RETIRED or self.kind.superseded(self)

    @property
    def intact(self) -> bool:
        """Whether state shows where it was before the move, and so does the link for readers that was there.

        Going back, the stack is started on nothing else: without the link it takes another database.
        """
        unmounted, link = self.unmounted(self.new), self.source.links.get(self.new)
        # Where the disk itself still is, readers find the state all the same.
        linked = self.mounted(self.new) or (unmounted["kind"], unmounted["target"]) == (
            "link",
            link,
        )
        intent = intent_in(self.facts)
        if intent and intent.before.point == "link" and not linked:
            return False
        return self.kind.intact(self)

    @property
    def there(self) -> bool:
        """Whether state, and where it was copied a proved copy, is at the new place."""
        return self.kind.there(self)

    @property
    def copy_uuid(self) -> str:
        """UUID of the filesystem that state is on after the move."""
        return self.kind.uuid_after(self.uuid, self.disk)

    def mounted(self, path: str) -> bool:
        """Whether the state disk itself, not another one or a part of it, is mounted at ``path``."""
        return any(is_disk(point, path, self.uuid) for point in self.facts["points"])

    def unmounted(self, path: str) -> Unmounted:
        """What is at ``path`` without its mount."""
        return self.facts["unmounted"].get(path) or {"kind": "absent", "target": "", "entries": []}

    def placed(self) -> bool:
        """Whether the place of the old mount is as the target has it: its link, or nothing."""
        unmounted = self.unmounted(self.old)
        wanted = self.target.links.get(self.old)
        if wanted is None:
            return unmounted["kind"] == "absent"
        return unmounted["kind"] == "link" and unmounted["target"] == wanted


def intent_in(facts: Moving) -> Optional[MoveIntent]:
    """The intent that was observed. Raises IntentUnreadable."""
    if not facts["intent"]:
        return None
    try:
        return MoveIntent.from_dict(facts["intent"])
    except ValueError as error:
        raise IntentUnreadable(path=INTENT_PATH, found=error) from error


def is_disk(point: Mount, path: str, uuid: str) -> bool:
    """Whether a mount is the whole state disk at ``path``."""
    return point["target"] == path and point["uuid"] == uuid and point["root"] == "/"


def points_to(env: Mapping[str, str], layout: Layout) -> bool:
    """Whether the keys of ``.env`` are those of ``layout``: state directory and overlay both."""
    if posixpath.normpath(resolve_state_dir(env)) != layout.state_dir:
        return False
    named = [name for name in split(env.get("COMPOSE_FILE", "")) if name in overlays()]
    # The last one wins, and the product's own tick puts another one before it.
    return not named or named[-1] == layout.overlay


def inside(facts: MoveFacts, path: str) -> list[str]:
    """Mount points strictly below ``path``."""
    return sorted(
        {
            point["target"]
            for point in facts["points"]
            if point["target"] != path and is_below(point["target"], path)
        }
    )


def no_leftovers(unmounted: Unmounted) -> list[str]:
    """Names in such a directory that the product's own scripts do not make by themselves."""
    return [
        e["name"]
        for e in unmounted["entries"]
        if not is_harmless(e["name"], e["kind"], e["size"], e["stub"])
    ]
