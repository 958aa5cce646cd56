# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutants of the move runner: one thing of its order or logic taken out or swapped in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import test_copy_trouble as copy_trouble
import test_trouble as trouble
from test_failpoints import (
    test_failed_once_then_run_plainly as once,
)
from test_failpoints import (
    test_failed_while_going_back_then_run_plainly as going_back,
)
from test_failpoints import (
    test_killed_again_in_the_recovery as twice,
)
from test_failpoints import (
    test_killed_then_booted_then_run_plainly as booted,
)

Case = tuple[Callable[..., None], tuple[Any, ...]]
"""A test of the torture, and its arguments."""

STEPS, ACTS, KINDS = "core/move/move_steps.py", "move/steps.py", "core/move/move_kinds.py"


class Mutant(NamedTuple):
    """What is replaced in which file, or added at its end, and the tests that must see it."""

    id: str
    file: str
    old: str
    """Empty: ``new`` is added at the file's end."""
    new: str
    tests: tuple[Case, ...]
    """One of them at least must fail."""


BEGINS = {
    "remount": "nested", "late_remount": "flat", "copy": "copy", "copy_back": "copy_back", "promote": "promote",
}  # fmt: skip
"""Kind of move -> where state is at first in the cases that take it."""

_DROP = """
from dataclasses import replace
_PHASES = ("before", "down", "after")
_LEFT = {{p: tuple(s for s in getattr(KINDS[{kind!r}], p) if s != {step!r}) for p in _PHASES}}
KINDS = {{**KINDS, {kind!r}: replace(KINDS[{kind!r}], **_LEFT)}}
"""
_MOVE = """
from dataclasses import replace


def _moved(kind: Any) -> Any:
    phases = {{p: [s for s in getattr(kind, p) if s != {step!r}] for p in ("before", "down", "after")}}
    for phase in phases.values():
        if {anchor!r} in phase:
            phase.insert(phase.index({anchor!r}) + {after}, {step!r})
    return replace(kind, **{{p: tuple(phase) for p, phase in phases.items()}})


KINDS = {{**KINDS, {kind!r}: _moved(KINDS[{kind!r}])}}
"""
_DONE = """
from dataclasses import replace
STEPS = {{**STEPS, {step!r}: replace(STEPS[{step!r}], done=lambda s: {done})}}
"""
_NO_UNDO = """
ACTS = {{**ACTS, {step!r}: Act(ACTS[{step!r}].act)}}
"""


def failed(begin: str, *points: str) -> tuple[Case, ...]:
    """Moves that fail at points such as ``commit.after:eio`` and are run again."""
    return tuple((once, (begin, *point.split(":"))) for point in points)


def plain(begin: str) -> tuple[Case, ...]:
    """A move that is killed before it has done anything, and run again."""
    return failed(begin, "intent.before:kill")


def around(begin: str) -> tuple[Case, ...]:
    """Cases of one kind of move that see most of what can be wrong with its steps."""
    points = ("commit.after:eio", "stop.after:kill", "place.before:kill", "forget.before:kill")
    return (
        *plain(begin), *failed(begin, *points),
        (booted, (begin, "commit.after")), (booted, (begin, "stop.after")),
    )  # fmt: skip


def in_trouble(name: str, *arguments: object) -> tuple[Case, ...]:
    """A test of test_trouble.py."""
    return ((getattr(trouble, f"test_{name}"), arguments),)


LINGERS = {
    begin: in_trouble("a_process_that_lingers_is_never_cut_off", begin) for begin in BEGINS.values()
}
SEEN_BY: dict[str, Callable[[str], tuple[Case, ...]]] = {
    "quiet": LINGERS.__getitem__,
    "idle": lambda begin: in_trouble("it_waits_for_what_is_at_work", begin, "held"),
    "stage": lambda begin: in_trouble(
        "a_seal_is_not_believed_by_the_next_process",
        begin,
        "precopy" if begin == "copy" else "whole",
    ),
    "precopy": lambda begin: in_trouble("no_room_is_seen_before_the_stop", begin),
}
"""Steps of which plain failures see nothing when they are left out: what does."""


UNSEEN = {
    "whole": "the last pass copies it all the same; only the look at the room comes after the copying",
}
"""Steps that can be left out and nothing comes to harm, and why they are there."""


UNDONE_AFTER = {"unlist": "reveal"}
"""Steps whose undo another one's does as well, if that is all there is, and the step after which it does not."""


def see(step: str, begin: str) -> tuple[Case, ...]:
    """The cases that must see that a step is left out."""
    return SEEN_BY.get(step, around)(begin)


def _first_with(step: str, orders: dict[str, list[str]]) -> str:
    """The first kind of move that has a step."""
    return next(kind for kind, each in orders.items() if step in each)


def generated(orders: dict[str, list[str]], undone: list[str]) -> Iterator[Mutant]:
    """Each step taken out of each order, said to be done always or never, and each undo taken out."""
    steps = list(dict.fromkeys(step for each in orders.values() for step in each))
    for kind, each in orders.items():
        for step in [step for step in each if step not in UNSEEN]:
            text = _DROP.format(kind=kind, step=step)
            yield Mutant(f"drop-{kind}-{step}", KINDS, "", text, see(step, BEGINS[kind]))
    for step in steps:
        kind = _first_with(step, orders)
        for done in (True, False)[step in UNSEEN :]:
            text = _DONE.format(step=step, done=done)
            name = "always" if done else "never"
            tests = see(step, BEGINS[kind]) if done else plain(BEGINS[kind])
            yield Mutant(f"{name}-{step}", STEPS, "", text, tests)
    for step in undone:
        kind = _first_with(step, orders)
        begin = BEGINS[kind]
        tests = failed(begin, f"{UNDONE_AFTER.get(step, step)}.after:eio", "commit.after:eio")
        yield Mutant(f"no-undo-{step}", ACTS, "", _NO_UNDO.format(step=step), tests)


def _move(kind: str, step: str, anchor: str, after: int, tests: tuple[Case, ...]) -> Mutant:
    text = _MOVE.format(kind=kind, step=step, anchor=anchor, after=after)
    where = "after" if after else "before"
    return Mutant(f"order-{kind}-{step}-{where}-{anchor}", KINDS, "", text, tests)


ORDER = [
    _move("remount", "commit", "mount", 0, around("nested")),
    _move("remount", "commit", "quiet", 0, LINGERS["nested"]),
    _move("remount", "commit", "stop", 0, around("nested")),
    _move("late_remount", "commit", "mount", 0, around("flat")),
    _move("late_remount", "commit", "fstab", 0, around("flat")),
    _move("copy", "commit", "expose", 0, around("copy")),
    _move("copy", "commit", "verify", 0, around("copy")),
    _move("copy", "commit", "seal", 0, around("copy")),
    _move("copy", "commit", "quiet", 0, around("copy")),
    _move("copy", "expose", "seal", 0, around("copy")),
    _move("copy", "fstab", "seal", 0, around("copy")),
    _move("copy", "seal", "verify", 0, around("copy")),
    _move("copy", "verify", "final", 0, around("copy")),
    _move("copy", "final", "stop", 0, around("copy")),
    _move("copy", "retire", "commit", 0, around("copy")),
    _move("copy", "start", "retire", 0, around("copy")),
    _move("remount", "umount", "commit", 0, around("nested")),
    _move("late_remount", "umount", "commit", 0, around("flat")),
    _move("remount", "start", "place", 0, around("nested")),
    _move("remount", "start", "umount", 0, around("nested")),
    _move("late_remount", "start", "umount", 0, around("flat")),
    _move("copy", "start", "place", 0, around("copy")),
    _move("remount", "intent", "stop", 1, around("nested")),
    _move("late_remount", "intent", "stop", 1, around("flat")),
    _move("copy", "intent", "stop", 1, around("copy")),
    _move("remount", "forget", "record", 0, around("nested")),
    _move("remount", "forget", "start", 0, around("nested")),
    _move("remount", "quiet", "stop", 0, LINGERS["nested"]),
    _move("remount", "place", "line", 0, ((booted, ("nested", "place.after")),)),
    _move("remount", "place", "umount", 0, around("nested")),
    _move("copy", "precopy", "stage", 0, around("copy")),
]

_RUNNER, _COPY, _PLACES = "move/runner.py", "move/copy_steps.py", "move/places.py"
_COPY_BACK = "move/copy_back_steps.py"
_BACK = ((going_back, ("flat", "mount", "undo_before", "eio")),)

LOGIC = [
    # Which way an error leads.
    Mutant("commit_leads_back", _RUNNER, "committed = committed or step == COMMIT", "committed = bool(committed)", failed("nested", "umount.before:eio")),
    Mutant("error_never_leads_back", _RUNNER, "if not error.committed and self.back(", "if False and self.back(", failed("nested", "idle.after:eio")),
    Mutant("error_always_leads_back", _RUNNER, "if not error.committed and self.back(", "if self.back(", failed("nested", "umount.before:eio")),
    Mutant("one_try", _RUNNER, "TRIES = 3", "TRIES = 1", failed("nested", "umount.before:eio")),
    Mutant("intent_goes_with_a_failed_undo", _RUNNER, 'if failed and name == "intent":', "if False:", _BACK),
    Mutant("commit_that_stays_is_undone_around", _RUNNER, "if name == COMMIT and (failed or move.look(containers=False).committed):", "if False:", ((going_back, ("nested", "commit", "undo_before", "eio")),)),
    Mutant("back_is_forgotten", _RUNNER, "if os.path.lexists(ledger.INTENT):\n                move.save()", "pass", in_trouble("killed_while_going_back_then_booted", "nested", "stop")),
    Mutant("back_is_not_taken_up", _RUNNER, "return intent.direction != FORWARD or bool(", "return bool(", in_trouble("killed_while_going_back_then_booted", "nested", "stop")),
    Mutant("back_is_not_asked", _RUNNER, "or bool(request and request.direction == BACK)", "", in_trouble("given_up_after_a_kill", "nested", "stop.after")),
    Mutant("committed_is_given_up", _RUNNER, "if MoveContext(intent).look(containers=False).committed:", "if False:", in_trouble("given_up_after_a_kill", "nested", "commit.after")),
    Mutant("env_of_a_failed_flush_is_relied_on", _RUNNER, "        move.settle_env()\n", "", in_trouble("an_env_that_can_not_be_flushed_starts_nothing", "copy")),
    Mutant("env_that_can_not_be_replaced_keeps_the_stack_down", "move/context.py", "            if not os.path.samestat(before, os.lstat(self.env_path)):\n                raise\n", "            raise\n", in_trouble("an_env_that_can_not_be_replaced_leads_back", "nested")),
    Mutant("committed_all_the_same_and_still_going_back", _RUNNER, "            move.intent.direction = FORWARD\n            move.save()\n", "            pass\n", in_trouble("a_commit_that_stays_leads_on_also_after_a_boot", "nested")),
    Mutant("errors_end_the_way_back", _RUNNER, "                failed.append((name, error))\n            if name", "                raise\n            if name", _BACK),
    Mutant("env_is_not_flushed", _RUNNER, "            MoveContext(intent).settle_env()\n", "            pass\n", in_trouble("an_env_that_nobody_has_flushed_is_flushed_first_of_all", "copy", "unflushed back", "commit.after:eio")),
    Mutant("the_copy_is_named_as_state", _RUNNER, "uuid=move.uuid_before()", "uuid=move.intent.uuid", in_trouble("stuck_on_the_way_back_it_names_the_disk_that_state_is_on", "copy", "commit.before", "UUID-OF-DATA")),
    Mutant("stack_stays_down_when_stuck", _RUNNER, "        self._start_anyway()\n", "", in_trouble("stuck_after_the_commit_the_stack_runs_and_the_next_run_ends_it", "nested")),
    Mutant("nothing_is_checked", _RUNNER, "check_movable(status)\n            except", "pass\n            except", in_trouble("shadowed_files_are_seen_again")),
    Mutant("copied_twice", _RUNNER, "if intent is None and _is_copied(request, facts):", "if False:", in_trouble("a_second_run_finds_it_done")),
    Mutant("another_intent", _RUNNER, "if intent is not None and (request is None or request.target == intent.target):", "if intent is not None and request is None:", failed("copy_back", "claim.after:kill")),
    # What keeps others away, and what tells them.
    Mutant("upgrade_is_not_kept_away", _RUNNER, "with product_lock(UPGRADE_LOCK):", "if True:", plain("nested")),
    Mutant("upgrade_is_not_waited_for", ACTS, "if not until(taken, seconds):", "if False:", in_trouble("it_waits_for_what_is_at_work", "nested", "upgraded")),
    Mutant("two_runners", _RUNNER, "with ledger.locked(\"a move\", waits_for=ledger.PURGE):", "if True:", in_trouble("two_runners_exclude_each_other")),
    Mutant("nameless_lock", "system/move/ledger.py", "        os.pwrite(fd, f\"{who}, process {os.getpid()}, since {now()}\\n\".encode(), 0)\n", "", in_trouble("two_runners_exclude_each_other")),
    Mutant("no_result", _RUNNER, "        ledger.write(ledger.RESULT, {**result, \"at\": ledger.now()})\n", "        pass\n", plain("nested")),
    Mutant("request_goes_first", _RUNNER, "        ledger.write(ledger.RESULT, {**result, \"at\": ledger.now()})\n", "        ledger.remove(ledger.REQUEST)\n        ledger.write(ledger.RESULT, result)\n", plain("nested")),
    Mutant("request_stays", _RUNNER, "                ledger.remove(ledger.REQUEST)\n                left = None\n", "                return 0 if good else 1\n", plain("nested")),
    Mutant("units_are_not_held", ACTS, "    units.hold()\n", "", plain("nested")),
    Mutant("systemd_is_not_told_to_hold", ACTS, "mounted from here on.\n    units.reload()\n", "", (*plain("flat"), *in_trouble("a_stale_unit_does_not_take_the_disk_away"))),
    Mutant("units_are_held_for_ever", ACTS, "    units.let_go()\n", "", plain("nested")),
    Mutant("systemd_is_not_told_to_let_go", ACTS, "    units.let_go()\n    units.reload()\n", "    units.let_go()\n", plain("nested")),
    Mutant("intent_goes_before_the_units", ACTS, "    units.let_go()\n    units.reload()\n    ledger.remove(ledger.INTENT)\n", "    ledger.remove(ledger.INTENT)\n    units.let_go()\n    units.reload()\n", in_trouble("killed_in_a_reload_of_systemd", "nested", 2)),
    Mutant("systemd_was_told_by_another", STEPS, "and not s.facts[\"open_units\"] and \"intent\" in s.fresh", "and not s.facts[\"open_units\"]", in_trouble("killed_in_a_reload_of_systemd", "flat", 1)),
    Mutant("intent_is_not_written", ACTS, "    move.save()\n    units.hold", "    units.hold", plain("nested")),
    # What the steps do.
    Mutant("env_is_not_kept", ACTS, "    durable.keep_aside(move.env_path, REPLACED)\n", "", plain("nested")),
    Mutant("overlay_is_not_kept", ACTS, "        durable.keep_aside(path, REPLACED)\n", "        pass\n", plain("nested")),
    Mutant("stack_is_left_down", ACTS, "        _check_as_before(move)\n        start_again(move)\n", "        _check_as_before(move)\n", failed("nested", "commit.after:eio")),
    Mutant("left_stopped_is_forgotten", "move/common.py", "    recorded[\"left_stopped\"] = move.intent.left_stopped\n", "", plain("nested")),
    Mutant("all_is_started", ACTS, "move.project.up(move.wanted, intent", "move.project.up([*move.wanted, *intent.left_stopped], intent", plain("nested")),
    Mutant("what_ran_is_forgotten", "move/begin.py", "project.running() | set(turned.services if turned else ())", "project.running()", in_trouble("turned_round_after_a_kill", "nested", "place.before")),
    Mutant("turned_round_is_as_it_was", "move/begin.py", "turned_before(source, target) if turned else Before()", "Before()", in_trouble("turned_round_and_an_error_leads_back_to_one_layout", "nested", "umount.after", "commit.before")),
    Mutant("what_rested_is_forgotten", "move/begin.py", "(set(several) | known)", "set(several)", in_trouble("there_and_back", "nested")),
    Mutant("nobody_is_looked_for", "system/disks/holders.py", "    return sorted(lines) + kernel_users(held.maj_min, held.path)\n", "    return []\n", in_trouble("a_process_that_lingers_is_never_cut_off", "nested")),
    Mutant("quiet_is_not_proved", ACTS, "    _nobody(move, QUIET_SECONDS, containers=True)\n", "    pass\n", in_trouble("a_process_that_lingers_is_never_cut_off", "nested")),
    Mutant("idle_is_not_waited_for", ACTS, "    _nobody(move, IDLE_SECONDS, containers=False)\n", "    pass\n", in_trouble("it_waits_for_what_is_at_work", "nested", "held")),
    Mutant("started_on_anything", ACTS, "    if not status.committed or not status.there or status.mounted(status.old):", "    if False:", in_trouble("a_disk_that_goes_away_before_the_start_is_brought_back")),
    Mutant("started_on_what_is_left", ACTS, "        _check_as_before(move)\n        start_again(move)\n", "        start_again(move)\n", in_trouble("the_way_back_starts_nothing_where_the_disk_is_gone")),
    Mutant("unmounted_data_directory_is_state", "move/context.py", "        if mounted != uuid:\n            raise away(data", "        if False:\n            raise away(data", in_trouble("the_data_disk_that_goes_away_after_the_commit_has_nothing_written_to_its_mount_point")),
    Mutant("copy_over_state_is_state", "move/promote_steps.py", "    move.intent.aside_begun = True\n", "", in_trouble("a_half_made_copy_that_is_mounted_over_state_is_taken_away")),
    Mutant("forged_copy_is_taken", _COPY_BACK, "os.fstat(directory).st_ino == inode and is_unused_copy", "is_unused_copy", in_trouble("a_directory_that_says_it_is_our_copy_is_not_taken_for_it", "incomplete")),
    Mutant("data_is_not_given_back", ACTS, "    release(move)\n    start_again(move)\n", "    start_again(move)\n", plain("copy_back")),
    Mutant("data_is_not_given_back_when_stuck", _RUNNER, "                release(self.move)\n", "", in_trouble("stuck_after_the_commit_the_stack_runs_and_the_next_run_ends_it", "copy_back")),
    Mutant("the_group_of_data_can_rename_state", _COPY_BACK, "        os.fchmod(directory, mode & ~(stat.S_IWGRP | stat.S_IWOTH))\n", "", failed("copy_back", "commit.after:kill")),
    Mutant("owner_of_data_is_forgotten", _COPY_BACK, "        move.save()\n        # Not flushed", "        # Not flushed", failed("copy_back", "commit.after:kill")),
    Mutant("mode_of_data_is_forgotten", _COPY_BACK, "        os.fchmod(directory, mode)\n", "", plain("copy_back")),
    Mutant("undo_record_is_written_twice", "move/undo.py", "if getattr(before, n) is None}", "if True}", failed("copy_back", "put.before:kill")),
    Mutant("undo_record_is_not_saved", "move/undo.py", "    if new:\n        move.save()\n", "", in_trouble("given_up_after_a_kill", "nested", "stop.after")),
    Mutant("point_is_not_kept", ACTS, "Act(_point, _point_undo, (\"point\",))", "Act(_point, _point_undo)", failed("nested", "commit.after:eio")),
    Mutant("line_is_not_kept", ACTS, "Act(_fstab, drop_line, (\"new_line\",))", "Act(_fstab, drop_line)", failed("nested", "commit.after:eio")),
    Mutant("old_line_is_not_kept", "move/promote_steps.py", "Act(_unlist, _unlist_undo, (\"old_line\",))", "Act(_unlist, _unlist_undo)", failed("promote", "unlist.after:eio")),
    Mutant("owner_is_not_kept", _COPY_BACK, "Act(_claim, release, (\"data_owner\",))", "Act(_claim, release)", plain("copy_back")),
    Mutant("disks_are_not_looked_at", _RUNNER, "        move.check_disks(status, step)\n", "", in_trouble("the_data_disk_that_goes_away_after_the_commit_has_nothing_written_to_its_mount_point")),
    Mutant("late_disk_is_not_mounted", "move/late.py", "        filesystems.mount(path, *_devices(uuid))\n", "", in_trouble("a_disk_that_came_too_late_for_the_boot_is_mounted_and_the_move_goes_on", "nested", "quiet.after", "late data")),
    Mutant("late_disk_covers_the_other", "move/late.py", "        _unmount_below(move, [path for path, _uuid in to_mount])\n", "", in_trouble("a_disk_that_came_too_late_for_the_boot_is_mounted_and_the_move_goes_on", "nested", "commit.after", "late data")),
    Mutant("what_is_stopped_is_started_again", ACTS, "    if not move.was_started:\n        return\n    stopped", "    if True:\n        return\n    stopped", in_trouble("what_somebody_has_stopped_is_not_started_again_by_a_move_that_goes_on", "nested")),
    Mutant("copy_that_is_gone_is_not_missed", _COPY_BACK, "        except FileNotFoundError:\n            return True\n", "        except FileNotFoundError:\n            return False\n", in_trouble("a_copy_that_is_gone_after_the_commit_is_said_to_be", "taken", "start.before")),
    Mutant("another_directory_is_the_copy", _COPY_BACK, "    return there.st_dev == here and there.st_ino != move.intent.copy_inode\n", "    return False\n", in_trouble("a_copy_that_is_gone_after_the_commit_is_said_to_be", "replaced", "place.after")),
    Mutant("a_forged_seal_is_taken", STEPS, "lambda s: s.there and (s.committed or \"put\" in s.fresh),", "lambda s: s.trusted and s.there,", in_trouble("a_directory_that_says_it_is_our_copy_is_not_taken_for_it", "sealed")),
    Mutant("a_full_disk_keeps_the_stack_down", _COPY_BACK, "    with suppress(OSError):\n        move.save()\n", "    move.save()\n", in_trouble("no_room_for_the_intent_does_not_keep_the_stack_down", "commit.after:eio")),
    Mutant("epoch_stands_still", ACTS, "epoch = markers.epoch(marker) + 1", "epoch = markers.epoch(marker)", plain("nested")),
    Mutant("role_is_not_written", ACTS, "\"role\": ACTIVE, \"epoch\": epoch", "\"epoch\": epoch", plain("copy")),
    Mutant("copy_stays_a_copy", ACTS, "        recorded[\"disks\"][\"state\"] = recorded[\"disks\"].pop(COPY_TARGET)\n", "        pass\n", plain("copy")),
    Mutant("old_line_stays", ACTS, "switch.without_line(text, old, new))\n", "text)\n", plain("nested")),
    Mutant("half_an_env_is_a_commit", "core/move/move_status.py", "return not named or named[-1] == layout.overlay", "return True", in_trouble("half_an_env_is_no_commit")),
    # Places.
    Mutant("point_can_be_written_to", _PLACES, "        _immutable(parent, name, True)\n", "", failed("nested", "mount.before:kill")),
    Mutant("place_is_empty_for_a_moment", _PLACES, "    kernel.exchange(name_aside, aside, name, parent)\n    os.fsync(parent)\n", "    os.rename(name, \"was\", src_dir_fd=parent, dst_dir_fd=aside)\n    __import__(\"time\").sleep(0.2)\n    os.rename(name_aside, name, src_dir_fd=aside, dst_dir_fd=parent)\n    os.rename(\"was\", name_aside, src_dir_fd=aside, dst_dir_fd=aside)\n", in_trouble("the_old_place_is_never_gone", "nested")),
    Mutant("link_goes_first", _PLACES, "                kernel.exchange(name_aside, aside, name, parent)\n                if not _is_ours(aside, name_aside):\n                    there = _say(aside, name_aside)\n                    kernel.exchange(name_aside, aside, name, parent)\n", "                os.rename(name, \"was\", src_dir_fd=parent, dst_dir_fd=aside)\n                __import__(\"time\").sleep(0.2)\n                os.rename(name_aside, name, src_dir_fd=aside, dst_dir_fd=parent)\n                os.rename(\"was\", name_aside, src_dir_fd=aside, dst_dir_fd=aside)\n                if not _is_ours(aside, name_aside):\n                    there = _say(aside, name_aside)\n", in_trouble("the_old_place_is_never_gone", "flat")),
    Mutant("aside_is_open", _PLACES, "            os.fchmod(fd, 0o700)\n", "", plain("nested")),
    # Copying.
    Mutant("copy_of_a_kill_is_believed", _COPY, "        check_ours(where, directory)\n    set_role(move, INCOMPLETE)\n", "        check_ours(where, directory)\n", in_trouble("a_seal_is_not_believed_by_the_next_process", "copy", "precopy")),
    Mutant("seal_survives_going_back", _COPY, "    if moving.marker(STAGE).get(\"role\") != INCOMPLETE:\n        set_role(move, INCOMPLETE)\n", "", failed("copy", "seal.after:eio")),
    Mutant("exposed_copy_is_unsealed", _COPY, "    if status.there or status.facts[\"staged\"] != status.copy_uuid:", "    if status.facts[\"staged\"] != status.copy_uuid:", ((going_back, ("copy", "expose", "undo_before", "eio")),)),
    Mutant("stage_is_not_cleared", _COPY, "    unmount(move.target.mounts[\"state\"])\n    if move.look", "    if move.look", ((twice, ("copy", "expose.after", "precopy.after")),)),
    Mutant("foreign_disk_is_taken", _COPY, "        check_ours(where, directory)\n", "        pass\n", ((copy_trouble.test_it_goes_back_and_the_stack_has_never_stopped, ("foreign", "AH120")),)),
    Mutant("retired_is_anything", "core/move/move_status.py", "        return self.facts[\"roles\"].get(self.old) == RETIRED or self.kind.superseded(self)", "        return True", plain("copy")),
    Mutant("nothing_is_proved", _COPY, "totals = copy.prove(MANIFESTS, move.known or ReadAhead())", "totals = copy.check_room()", in_trouble("the_proof_sees_a_copy_that_differs")),
    Mutant("rows_are_not_compared", _COPY, "    duckdb_check.compare(source, target, paths)\n", "", in_trouble("rows_differ_and_the_copy_is_not_taken")),
    Mutant("last_pass_is_left_out", _COPY, "        copy.final()\n", "        pass\n", around("copy")),
]  # fmt: skip
