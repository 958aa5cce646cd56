# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals 080 to 099 and 166: copying state, proving the copy, and what mounts shadow.

When one of them is raised, state is where it was: a copy is not used before it is proved.
"""

from __future__ import annotations

from ..host.errors import Refusal


class TreeChanged(Refusal):
    code = "AH080"
    sentence = (
        "'{path}' changed while it was read ({found}), so what was read is not from one point in time; stop what "
        "writes there, and run again"
    )


class TreeCrosses(Refusal):
    code = "AH081"
    sentence = (
        "'{path}' is on another filesystem than '{root}' or is mounted there, and a copy stays on one filesystem; "
        "unmount it, or move it out of the way"
    )


class FlaggedFiles(Refusal):
    code = "AH082"
    sentence = (
        "'{root}' has files with the immutable or append-only flag, which no copy carries (found {found}); "
        "take the flag off with 'chattr -i -a', and run again"
    )


class CopyDiffers(Refusal):
    code = "AH083"
    sentence = (
        "the copy at '{target}' differs from '{source}' ({count} differences: {found}); the copy is not used, "
        "state stays at '{source}': run again, and look at the kernel's log for errors of the disk"
    )


class CopyFailed(Refusal):
    code = "AH084"
    sentence = (
        "copying '{source}' to '{target}' failed (rsync ended with {status}: {found}); the copy is not used, "
        "state stays at '{source}': correct the cause, and run again"
    )


class RsyncUnusable(Refusal):
    code = "AH085"
    sentence = (
        "rsync can't be used to copy state: {found}; install the distribution's rsync package"
    )


class SourceUnproved(Refusal):
    code = "AH086"
    sentence = (
        "'{path}' is not proved to be the state that shall be copied (found {found}, wanted {wanted}), and a "
        "copy of it would delete what the target has; mount the right disk, or find out what took the state away"
    )


class NoRoom(Refusal):
    code = "AH087"
    sentence = (
        "'{target}' has no room for a copy of '{source}' (found {found}, wanted {wanted}); attach a larger disk, "
        "or make room"
    )


class SyncFailed(Refusal):
    code = "AH088"
    sentence = (
        "the kernel could not write the copy at '{target}' to its disk ({found}), and reports that only once, so "
        "the copy can't be used; state stays at '{source}': replace the disk, or format it anew for another try"
    )


class ShadowConflict(Refusal):
    code = "AH089"
    sentence = (
        "the mount at '{path}' shadows what may be a second copy of state, and this collection never chooses "
        "between two; found {found}; compare them, then say which copy counts: {how}"
    )


class DecisionUnusable(Refusal):
    code = "AH090"
    sentence = (
        "{variable} has '{found}', which is no decision about this evidence (wanted {host}:mounted:{wanted} or "
        "{host}:shadowed:{wanted}, for the evidence as it is now: {now}); look at it again, then decide"
    )


class DatabaseUnreadable(Refusal):
    code = "AH092"
    sentence = (
        "the database in '{path}' can't be opened read-only with {image} ({found}); the copy is not used: "
        "see whether the product opens the original, and run again"
    )


class DatabaseDiffers(Refusal):
    code = "AH093"
    sentence = (
        "the database in '{target}' has other rows than the one in '{source}' ({found}); the copy is not used, "
        "state stays at '{source}': run again"
    )


class DatabaseTouched(Refusal):
    code = "AH095"
    sentence = (
        "opening the database in '{path}' read-only changed its files ({found}); the copy is not used: "
        "see whether the image is the one that the product runs"
    )


class TreeTooDeep(Refusal):
    code = "AH096"
    sentence = (
        "'{path}' has directories more than {limit} deep, which no state has; "
        "find out what made them, then move them out of the way"
    )


class CopyBusy(Refusal):
    code = "AH097"
    sentence = (
        "another process is copying to '{target}' ({found}); "
        "wait until it has ended, or find out what it is"
    )


class LinkedOutside(Refusal):
    code = "AH098"
    sentence = (
        "'{root}' has files that are hard links to names outside of it (found {found}), and on another disk they "
        "would not be links any more; find out who made them (uid 999 may want root to open another file), then "
        "take the link away"
    )


class NotMeasured(Refusal):
    code = "AH166"
    sentence = (
        "'{path}' can't be measured ({found}), so it is not known whether a copy of state has room; "
        "correct the cause, and run again"
    )
