# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of the steps of all moves: what each is for, and when it is done.

Expand, flip, contract: first everything is made ready that both layouts
tolerate, then one rename of ``.env`` decides, then what is left of the old
layout goes. Which steps a kind of move has is in move_kinds.py; there is one runner for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..copy.precopy import MAX_ROUNDS
from ..host.text import say_size
from .move_status import ACTIVE, MoveStatus

GRACE_SECONDS = 90
"""How long a container may take to stop: the app's own grace is 60 s."""

BEFORE, DOWN, AFTER = "before", "down", "after"

ELSEWHERE = frozenset(("intent", "overlay", "unlist", "fstab", "stop", "line", "prove", "forget"))
"""Steps that write nothing below a mount point; before all others the disks are looked at."""

POINTS = ("point", "put")
"""Steps whose undo writes to the directory that holds a mount point."""

COMMIT = "commit"
"""The step that decides: after an error up to it a move goes back, after a later one it goes on."""


@dataclass(frozen=True)
class Step:
    """One step. ``what``, ``why`` and ``undo`` are for people; fields in braces are the status's."""

    id: str
    what: str
    why: str
    undo: str
    done: Callable[[MoveStatus], bool]

    def says(self, status: MoveStatus) -> str:
        """``what``, filled in."""
        return self.what.format(
            old=status.old, new=status.new, data=status.target.mounts["data"], uuid=status.uuid, target=status.target.name,
            source=status.source.name, overlay=status.target.overlay,
            place=_say_place(status), device=status.disk.get("device", "the state disk"),
            fstype=status.disk.get("fstype", ""), lost=_say_lost(status),
            size=say_size(int(status.disk.get("size") or 0)),
            rounds=MAX_ROUNDS,
        )  # fmt: skip


def _say_place(status: MoveStatus) -> str:
    link = status.target.links.get(status.old)
    return f"a link to {link}" if link else "nothing"


def _say_lost(status: MoveStatus) -> str:
    lost = status.disk.get("lost")
    return f"LOSING {lost}, by consent" if lost else "blank"


def _proved(step: str) -> Callable[[MoveStatus], bool]:
    """For a step that leaves no trace: this process has done it, or the move is committed."""
    return lambda status: status.committed or step in status.fresh


STEPS: Mapping[str, Step] = {
    step.id: step
    for step in (
        Step(
            "intent", "write down the intent, and hold back the product's timers",
            "they would start or move things in the middle of the move, and a reboot must not end it half-way",
            "release the timers, and delete the intent",
            # Whether systemd has read it, only the process knows that has told systemd to.
            lambda s: s.begun and not s.facts["open_units"] and "intent" in s.fresh,
        ),
        Step(
            "overlay", "derive {overlay}, let Compose prove it, and put it in place",
            "it is inert until .env names it", "none is needed: nothing names it",
            _proved("overlay"),
        ),
        Step(
            "format", "format {device} ({size}, {lost}) as {fstype} labelled agnes-state",
            "as for the disks of a new host: recorded first, and only if it is proved blank, or by consent",
            "none is needed: it stays this host's own, and the next try uses it",
            lambda s: s.committed or s.facts["formatted"] == s.uuid,
        ),
        Step(
            "stage", "mount it in private (/run/agnes-host/copy), marked incomplete",
            "a half-made copy is never mounted at the layout's place", "unmount it there",
            lambda s: s.committed or ("stage" in s.fresh and s.facts["staged"] == s.uuid),
        ),
        Step(
            "nest", "make a directory for the copy on the data disk, owned by root and bound to "
                    "/run/agnes-host/copy, marked incomplete",
            "a half-made copy is never at the layout's place",
            "unmount /run/agnes-host/copy; what is copied stays there for the next try",
            lambda s: s.committed or ("nest" in s.fresh and s.facts["staged"] == s.copy_uuid),
        ),
        Step(
            "precopy", "copy state to it while the stack runs, in up to {rounds} rounds",
            "what is copied now costs no downtime; room and inodes are checked first",
            "none is needed: what is copied stays there for the next try", _proved("precopy"),
        ),
        Step(
            "point", "make the mount point {new}, immutable where the filesystem can",
            "nothing can be written to it while its disk is missing",
            "remove it, and put back the link that was there",
            lambda s: s.unmounted(s.new)["kind"] == "directory",
        ),
        Step(
            "fstab", "add the state disk at {new} to /etc/fstab",
            "from here on each boot finds the state disk, whatever happens", "take the line out",
            lambda s: s.trusted and s.new in s.facts["lines"],
        ),
        Step(
            "mount", "mount the state disk (UUID {uuid}) at {new} too",
            "the same filesystem at both places: not a byte is copied", "unmount {new}",
            lambda s: s.mounted(s.new),
        ),
        Step(
            "idle", "check that only the stack uses the state, and that the later steps can be done",
            "found now, it costs no downtime", "none is needed", _proved("idle"),
        ),
        Step(
            "unlist", "take {old} out of /etc/fstab, so that a boot shows what its mount shadows",
            "the shadowed copy is the state, by decision; the stack must not start on the disk's own content",
            "put the line back while the disk is still mounted",
            lambda s: s.committed or s.old not in s.facts["lines"],
        ),
        Step(
            "stop", f"stop the stack, each container with {GRACE_SECONDS} s to end well",
            "the database writes its log back and closes", "start what ran before",
            lambda s: s.committed or not s.present,
        ),
        Step(
            "quiet", "prove that no process, lock or container holds the state",
            "a writer left over would be cut off", "none is needed", _proved("quiet"),
        ),
        Step(
            "reveal", "unmount {old}: the shadowed state is visible then, and a move that goes back starts "
                      "the stack on it",
            "the copy that does not count must not be used",
            "none is needed: what is visible then is the state, by decision",
            lambda s: s.committed or not s.mounted(s.old),
        ),
        Step(
            "aside", "set aside what is on the state disk, on the disk itself, readable by root only",
            "it does not count, and is never deleted", "none is needed: it is kept", _proved("aside"),
        ),
        Step(
            "whole", "copy state to it; room and inodes are checked first",
            "nobody writes while it is copied", "none is needed: it stays there for the next try",
            _proved("whole"),
        ),
        Step(
            "final", "copy what has changed since, the database by checksum",
            "from here on nobody writes", "none is needed", _proved("final"),
        ),
        Step(
            "verify", "flush it, read state and copy whole, and count rows in both",
            "a copy counts only when it is proved equal, as the disk gives it back",
            "none is needed", _proved("verify"),
        ),
        Step(
            "seal", "mark the copy as sealed", "only a sealed copy gets to {new}",
            "mark it incomplete again", _proved("seal"),
        ),
        Step(
            "expose", "mount the sealed copy at {new}", "it is there before .env names it",
            "unmount {new}", lambda s: s.trusted and s.mounted(s.new),
        ),
        Step(
            "claim", "make {data} root's until the start",
            "uid 999 could rename what is exchanged next", "give it back", _proved("claim"),
        ),
        Step(
            "put", "exchange the sealed copy and the link {new}, in one rename",
            "it is there before .env names it", "exchange them again",
            # What anybody has put there has no seal of this process.
            lambda s: s.there and (s.committed or "put" in s.fresh),
        ),
        Step(
            COMMIT, "rename the new .env into place: state is at {new} from here on",
            "the one commit point", "write the old .env again", lambda s: s.committed,
        ),
        Step(
            "umount", "unmount {old}", "only one path leads to the state",
            "", lambda s: not s.mounted(s.old),
        ),
        Step(
            "line", "take {old} out of /etc/fstab; a line that is not ours stays as a comment",
            "no boot may mount it again", "", lambda s: s.old not in s.facts["lines"],
        ),
        Step(
            "retire", "mark what is left in {old} as retired",
            "should .env ever name it again, it is not taken for state", "",
            lambda s: s.superseded,
        ),
        Step(
            "place", "set the directory {old} aside; in its place comes {place}",
            "readers that do not know STATE_DIR find the state, or fail with an error", "",
            lambda s: s.placed(),
        ),
        Step(
            "start", "start the services that ran before, and no others",
            "after this, going back is a move in the other direction", "",
            lambda s: s.wanted <= s.services and "start" in s.fresh,
        ),
        Step(
            "unstage", "unmount the copy from /run/agnes-host/copy", "only one path leads to the state", "",
            lambda s: s.committed and not s.facts["staged"],
        ),
        Step(
            "prove", "wait until they are healthy, and prove the disk in each container",
            "by device number, seen from inside", "", lambda s: "prove" in s.fresh,
        ),
        Step(
            "canary", "commit a row through the app, and see it arrive in {new}",
            "that the app answers does not say where it writes", "",
            lambda s: "canary" in s.fresh,
        ),
        Step(
            "marker", "write layout {target} into the marker in {new}",
            "the state itself says in which layout it is", "",
            lambda s: s.facts["marker"] == s.target.name
            and s.facts["roles"].get(s.target.state_dir) == ACTIVE,
        ),
        Step(
            "record", "write the move into the host's record",
            "later runs leave alone what was not running", "",
            lambda s: s.facts["moved"] == s.move_id,
        ),
        Step(
            "forget", "let systemd read /etc/fstab, release the timers, delete the intent",
            "done", "",
            lambda s: s.facts["moved"] == s.move_id
            and not s.facts["intent"] and not s.facts["held_units"],
        ),
    )
}  # fmt: skip
"""Every step there is, by id."""


def remaining(status: MoveStatus) -> list[tuple[str, str]]:
    """The steps that are not done, in order; facts decide, not the journal."""
    return [(step, phase) for step, phase in status.kind.order if not STEPS[step].done(status)]


def undoable(status: MoveStatus) -> list[str]:
    """The steps up to the commit in the order in which they are undone."""
    steps = status.kind.steps
    return [step for step in reversed(steps[: steps.index(COMMIT) + 1]) if STEPS[step].undo]
