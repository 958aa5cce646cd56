# SPDX-License-Identifier: GPL-3.0-or-later
"""The refusals and failures of a move, AH060 to AH079 and AH120 up; the others are in errors.py."""

from __future__ import annotations

from ..host.errors import Refusal


class BackendNotMovable(Refusal):
    code = "AH060"
    sentence = (
        "instance.yaml in '{path}' names database backend '{found}', and the product's scripts for it know the "
        "nested layout only; only hosts with backend duckdb can be moved (see docs/moving.md)"
    )


class ShadowedState(Refusal):
    code = "AH062"
    sentence = (
        "the mount at '{path}' shadows what may be a second copy of state (found {found}), and it is not decided "
        "which copy counts; run again: the plan shows both copies and how to decide"
    )


class StateDiskShared(Refusal):
    code = "AH063"
    sentence = "containers of other projects have the state disk at '{path}' mounted (found {found}); stop them first"


class MountInside(Refusal):
    code = "AH064"
    sentence = "below '{path}' other things are mounted (found {found}); unmount them first"


class MovePlaceInUse(Refusal):
    code = "AH065"
    sentence = (
        "'{path}' can't become the state disk's mount point, found {found} "
        "(wanted: nothing, or an empty directory); move it aside"
    )


class MoveUnderWay(Refusal):
    code = "AH066"
    sentence = (
        "another move is under way ({found}); wait for it, or see 'agnes-host explain' on the host"
    )


class StateDiskHeld(Refusal):
    code = "AH067"
    sentence = "the state disk at '{path}' is still used (found {found}); end that, then run again"


class LockHeld(Refusal):
    code = "AH068"
    sentence = (
        "'{path}' is locked by {found} for {seconds} s; wait until that has ended, then run again"
    )


class MoveGoneBack(Refusal):
    code = "AH069"
    sentence = (
        "the move to layout {target} stopped at step '{step}' ({found}) and went back: state is at '{path}' as "
        "before, and the services that ran before run again; correct the cause, then run again"
    )


class MoveStuck(Refusal):
    code = "AH070"
    sentence = (
        "the move to layout {target} stopped at step '{step}' ({found}); all state is at '{path}', which .env names "
        "(on the disk with UUID {uuid}): correct the cause, then run again: the move goes on from there"
    )


class CanaryLost(Refusal):
    code = "AH071"
    sentence = (
        "the canary row posted to {url} did not arrive on the state disk at '{path}' ({found}); "
        "see 'docker compose logs app'"
    )


class CanNotLook(Refusal):
    code = "AH072"
    sentence = (
        "can't look at the directory '{path}' without what is mounted on it ({found}), so nothing is moved; this "
        "needs Linux 5.2 or later"
    )


class StrayContainers(Refusal):
    code = "AH073"
    sentence = (
        "containers of the project belong to no service or did not stop (found {found}); remove them, then run "
        "again"
    )


class PlanUnreadable(Refusal):
    code = "AH074"
    sentence = (
        "the file '{path}' is no plan that can be applied (found {found}); make a new plan with a check run, which "
        "prints its path"
    )


class PlanForeign(Refusal):
    code = "AH075"
    sentence = (
        "the plan '{path}' is for {found}, and this run is for {wanted}; a plan is applied to its own host and "
        "layout only: give the right one, or make it with a check run"
    )


class PlanStale(Refusal):
    code = "AH076"
    sentence = (
        "{plan} no longer holds, because this host is not as it was when the plan was made ({found}), so it is not "
        "applied; {todo}, then make a new plan with a check run"
    )

    def __init__(self, todo: str = "see what changed it", **facts: object) -> None:
        super().__init__(todo=todo, **facts)


class PlanDone(Refusal):
    code = "AH077"
    sentence = (
        "{plan} looks done: this host's state is in layout {target}, and there is nothing to move or mount; "
        "run without a plan"
    )


class PreMoveFailed(Refusal):
    code = "AH078"
    sentence = (
        "state_layout_pre_move_command ended with code {found} (wanted 0), so no move has begun; run it by hand on "
        "the host to see why, its output is not shown here"
    )


class NotAsBefore(Refusal):
    code = "AH079"
    sentence = (
        "'{path}' is not as it was before the move (found {found}), so the stack is not started; see 'agnes-host "
        "explain', bring it back as it was, then run again"
    )


class CopyTargetForeign(Refusal):
    code = "AH120"
    sentence = (
        "'{device}' is not blank and not an unused copy of this host's state (found {found}), and copying state to "
        "it would delete what is there; name a blank disk, or see what it is and move it aside"
    )


class CopyMustEnd(Refusal):
    code = "AH121"
    sentence = (
        "the move to layout {target} is committed and has not ended, and layout {asked} is asked for; "
        "run once with layout={target}, which ends it, then ask for {asked}"
    )


class StateRetired(Refusal):
    code = "AH122"
    sentence = (
        "by its marker, '{path}' has the old state that an earlier move to '{new}' left behind; find out what "
        "changed .env or mounted it there, then make both lead to the state at '{new}' again"
    )


class StateOnImpossible(Refusal):
    code = "AH130"
    sentence = "state_layout_state_on is '{asked}', and {found}; correct it, or leave it empty"


class StateOnCovered(Refusal):
    code = "AH131"
    sentence = (
        "state at '{path}' is on {found}, and state_layout_state_on asks for {asked}, which would have the same "
        "path in this layout; run with layout={through} first, then with layout={layout}"
    )


class CopyGone(Refusal):
    code = "AH126"
    sentence = (
        "the move to layout {target} is committed and stopped at step '{step}' ({found}), and the copy that it has made "
        "is not at '{path}': find out where it was moved to, bring it back and run again; the disk with UUID {uuid} has "
        "all state as it was when the stack stopped"
    )


class DiskRetired(Refusal):
    code = "AH132"
    sentence = (
        "the disk '{device}' has the old state of before the move to '{path}' (found {found}), and is kept as it "
        "is; {consent}, or name a blank disk"
    )


class ConfigDiskNamed(Refusal):
    code = "AH133"
    sentence = (
        "'{link}' is {found}, and each run of the product's upgrade mounts the disk of that name at STATE_DIR: it "
        "would shadow the state directory '{path}'; attach the disk under another name first"
    )


class CopyShown(Refusal):
    code = "AH134"
    sentence = (
        "'{path}' has a copy of state from a move that did not end (its marker says {found}), and no move is under "
        "way; see 'agnes-host explain' and AH134 in docs/errors.md before you start or remove anything there"
    )


class ImageGone(Refusal):
    code = "AH061"
    sentence = (
        "image '{image}' of service '{service}' is not on this host any more, so the stack could not be started again "
        "once it is stopped; get it ('docker compose pull {service}' in {project}), then run again"
    )


class NotReplaceable(Refusal):
    code = "AH094"
    sentence = (
        "'{path}' can't be changed (found {found}), and a move must write there while the stack is down; remove "
        "the cause, then run again"
    )


class MoveDiskAway(Refusal):
    code = "AH135"
    sentence = (
        "the disk with UUID {uuid}, which this move needs, is not mounted at '{path}' (found {found}), so nothing "
        "is written, mounted or started; attach the disk, then run again or 'systemctl start agnes-host-move': both "
        "mount it (by hand: 'mount UUID={uuid} {path}')"
    )


class OtherDiskShown(MoveDiskAway):
    code = "AH169"
    sentence = (
        "'{path}' has {found} mounted, and not the disk with UUID {uuid}, which this move needs, so nothing is "
        "written, mounted or started; unmount it with 'umount {path}', attach the disk, then run again or "
        "'systemctl start agnes-host-move'"
    )


class MountLineMissing(Refusal):
    code = "AH136"
    sentence = (
        "'{path}' is not mounted, and /etc/fstab has no line for it; the disk with UUID {uuid} belongs there: "
        "run 'mount UUID={uuid} {path}', then run again"
    )


class OtherDeviceMounted(Refusal):
    code = "AH137"
    sentence = (
        "another device is mounted at '{path}' than the one that belongs there (found device {found}, wanted {wanted}), "
        "so nothing is written there; find out with 'findmnt {path}' what it is, unmount it, then run again"
    )


class CopyDiskNotOne(Refusal):
    code = "AH168"
    sentence = (
        "the copy of state is made on the disk with UUID {uuid}, and {found} disks here have that UUID (wanted 1); "
        "attach that disk, or detach what is a snapshot or a clone of it, then run again"
    )


class UuidTwice(Refusal):
    code = "AH138"
    sentence = (
        "{found} disks here have the UUID {uuid}, and only one of them belongs at '{path}'; detach the copy (a "
        "snapshot or a clone), then run again"
    )


class StateNotAlone(Refusal):
    code = "AH139"
    sentence = (
        "the stack is not started: '{path}' must be the only place that has the state (found {found}); see with "
        "'agnes-host explain' what is mounted where, correct it, then run again"
    )


class MarkerForeign(Refusal):
    code = "AH123"
    sentence = (
        "'{path}' is not the marker that root has written (found {found}), and nothing of it was read or followed: "
        "somebody who writes as uid 999 has put it there; find out who, then move it aside"
    )


class LinkForeign(Refusal):
    code = "AH124"
    sentence = (
        "'{path}' must be a link to '{wanted}', found {found}; uid 999 owns the directory that holds it, so "
        "take this for a break-in until you know who did it: it is left as found, move it aside"
    )


class AsideForeign(Refusal):
    code = "AH125"
    sentence = (
        "'{path}', where moves keep what they set aside, must be a directory of root's with mode 0700, found "
        "{found}; uid 999 owns the directory that holds it: find out who made it, then move it aside"
    )


class MovePartUnreadable(Refusal):
    code = "AH160"
    sentence = (
        "the part 'move' of the plan can't be read ({found}); give the task the part that the filter "
        "agnes.host.plan has made in this run, as it is"
    )


class IntentUnreadable(Refusal):
    code = "AH161"
    sentence = (
        "a move has begun, and this version of agnes.host can't read its intent in '{path}' ({found}); end the move "
        "with the version that began it, then use this one"
    )
