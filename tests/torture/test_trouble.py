# SPDX-License-Identifier: GPL-3.0-or-later
"""What gets in the way of a move: others at work, others who ask, what goes wrong and stays wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import test_failpoints
from test_failpoints import (
    AROUND,
    BEGINNINGS,
    FULL,
    play,
    points,
    same_end,
)

pytestmark = test_failpoints.pytestmark

LAYOUTS = {
    begin: ("flat", "nested") if begin in ("flat", "copy_back") else ("nested", "flat")
    for begin in BEGINNINGS
}
"""Beginning -> the layouts that a move leaves and comes to."""


def message(played: dict[str, Any]) -> str:
    """What the first run said."""
    return str(played["history"][0]["message"])


def gone_back(played: dict[str, Any], begin: str, code: str) -> None:
    """Assert that the first run went back for this reason, and that the stack runs."""
    assert played["history"][0]["status"] == 1
    assert message(played).startswith("AH069: ")
    assert f"({code}: " in message(played)
    assert played["layout"] == LAYOUTS[begin][0]
    assert played["end"]["intent"] is None


def test_shadowed_files_are_seen_again(tmp_path: Path) -> None:
    played = play(tmp_path, "nested", "worth", "")
    gone_back(played, "nested", "AH062")
    assert "stop the stack" not in played["log"]


@pytest.mark.parametrize("begin", ["copy", "copy_back"])
def test_no_room_is_seen_before_the_stop(tmp_path: Path, begin: str) -> None:
    played = play(tmp_path, begin, "full", "")
    gone_back(played, begin, "AH087")
    assert "stop the stack" not in played["log"]


def test_half_an_env_is_no_commit(tmp_path: Path) -> None:
    played = play(tmp_path, "nested", "half", "")
    assert played["history"][0]["status"] == 0
    assert played["layout"] == "flat"


@pytest.mark.parametrize("how", ["held", "upgraded"])
@pytest.mark.parametrize("begin", BEGINNINGS if FULL else ["nested"])
def test_it_waits_for_what_is_at_work(tmp_path: Path, begin: str, how: str) -> None:
    """A process with the database open; the product's upgrade, from cron."""
    same_end(play(tmp_path, begin, how, ""), begin, "none", tmp_path)


def test_the_upgrade_is_due_all_the_time(tmp_path: Path) -> None:
    same_end(play(tmp_path, "nested", "ticking", ""), "nested", "none", tmp_path)


TICKED = [
    pytest.param(begin, point, id=f"{begin}-{point}")
    for begin in ("nested", "flat", "copy", "copy_back")
    for point in points(begin)
    if point.split(".")[0] in AROUND
    if FULL or (begin in ("nested", "copy") and point in ("commit.before", "commit.after"))
]


@pytest.mark.parametrize(("begin", "point"), TICKED)
def test_killed_then_upgraded_then_run_plainly(tmp_path: Path, begin: str, point: str) -> None:
    """Nothing holds the upgrade back between a kill and the unit's start: it goes by .env, and no row is lost."""
    played = play(tmp_path, begin, "none", f"{point}:kill", "ticked")
    assert [each["status"] for each in played["history"]] == [-9, 0]
    same_end(played, begin, "none", tmp_path)


@pytest.mark.parametrize("begin", BEGINNINGS if FULL else ["nested", "copy", "promote"])
def test_a_process_that_lingers_is_never_cut_off(tmp_path: Path, begin: str) -> None:
    played = play(tmp_path, begin, "lingers", "")
    gone_back(played, begin, "AH067")
    assert "stop the stack" in played["log"]


def test_a_disk_that_goes_away_before_the_start_is_brought_back(tmp_path: Path) -> None:
    same_end(play(tmp_path, "nested", "unmounted", ""), "nested", "none", tmp_path)


def test_a_stale_unit_does_not_take_the_disk_away(tmp_path: Path) -> None:
    """Systemd unmounts what by its own, old reading of fstab is on a device that is gone."""
    same_end(play(tmp_path, "nested", "stale unit", ""), "nested", "none", tmp_path)


@pytest.mark.parametrize("begin", ["nested", "flat"])
def test_there_and_back(tmp_path: Path, begin: str) -> None:
    """What did not run before the first of two moves does not run after the second, and is recorded as left stopped."""
    played = play(tmp_path, begin, "none", "", "reverse")
    assert [each["status"] for each in played["history"]] == [0, 0], played["history"]
    assert played["layout"] == begin
    assert played["end"]["left_stopped"] == ["extract", "telegram-bot"]


@pytest.mark.parametrize("begin", ["nested", "copy"])
def test_an_error_after_a_kill_leads_back_all_the_way(tmp_path: Path, begin: str) -> None:
    """What the first process has made goes with the second one."""
    played = play(tmp_path, begin, "none", "idle.after:kill", "commit.after:eio")
    assert [each["status"] for each in played["history"]] == [-9, 1]
    assert played["layout"] == LAYOUTS[begin][0]
    assert played["end"]["intent"] is None


@pytest.mark.parametrize("begin", ["nested", "flat"])
def test_the_old_place_is_never_gone(tmp_path: Path, begin: str) -> None:
    assert not play(tmp_path, begin, "watched", "")["missing"]


@pytest.mark.parametrize("point", ["stop.after", "commit.before", "commit.after"][not FULL :])
@pytest.mark.parametrize("begin", BEGINNINGS if FULL else ["nested"])
def test_given_up_after_a_kill(tmp_path: Path, begin: str, point: str) -> None:
    """Back as long as nothing is committed; after that a move ends where it was going."""
    played = play(tmp_path, begin, "none", f"{point}:kill", "back")
    assert played["history"][1]["status"] == 0
    assert played["layout"] == LAYOUTS[begin][point == "commit.after"]
    assert played["end"]["intent"] is None


@pytest.mark.parametrize("point", ["umount.before", "place.before", "prove.after"][not FULL :])
@pytest.mark.parametrize("begin", ["nested", "flat"] if FULL else ["nested"])
def test_turned_round_after_a_kill(tmp_path: Path, begin: str, point: str) -> None:
    """Committed, and the other layout is asked for: what ran runs again, and nothing else."""
    played = play(tmp_path, begin, "none", f"{point}:kill", "reverse")
    assert played["history"][1]["status"] == 0, played["history"]
    assert played["layout"] == LAYOUTS[begin][0]
    assert played["end"]["left_stopped"] == ["extract", "telegram-bot"]


TURNED = [
    (begin, point, error)
    for begin in ("nested", "flat")
    for point in ("commit.after", "umount.after", "line.after", "place.before", "place.after", "start.after", "marker.before")
    for error in ("idle.after", "commit.before")
    if FULL or (point, error) == ("umount.after", "commit.before")
]  # fmt: skip


@pytest.mark.parametrize(("begin", "point", "error"), TURNED)
def test_turned_round_and_an_error_leads_back_to_one_layout(
    tmp_path: Path, begin: str, point: str, error: str
) -> None:
    """Where the first move had not come to its link, its mount or its fstab, going back does that."""
    played = play(tmp_path, begin, "none", f"{point}:kill", f"reverse,{error}:eio", "")
    assert [each["message"][:5] for each in played["history"]] == ["", "AH069", ""]
    assert played["layout"] == LAYOUTS[begin][1]
    assert played["end"]["intent"] is None


@pytest.mark.parametrize(
    ("begin", "step"), [("nested", "stop"), ("flat", "point"), ("copy", "seal")]
)
def test_killed_while_going_back_then_booted(tmp_path: Path, begin: str, step: str) -> None:
    """The unit goes on in the direction that was written down."""
    armed = f"commit.after:eio,{step}.undo_before:kill"
    played = play(tmp_path, begin, "none", armed, "boot")
    assert [each["status"] for each in played["history"]] == [-9, 0]
    assert played["layout"] == LAYOUTS[begin][0]
    assert played["end"]["intent"] is None


@pytest.mark.parametrize("begin", ["nested", "copy", "copy_back"])
def test_stuck_after_the_commit_the_stack_runs_and_the_next_run_ends_it(
    tmp_path: Path, begin: str
) -> None:
    played = play(tmp_path, begin, "stuck", "", "mended")
    assert played["history"][0]["status"] == 1
    assert message(played).startswith("AH070: ")
    assert played["history"][0]["running"] == ["app", "scheduler"]
    same_end(played, begin, "none", tmp_path)


RELOADS = [
    (begin, number)
    for begin, count in ((begin, 2) for begin in BEGINNINGS)
    for number in range(1, count + 1)
    if FULL or (begin, number) in (("flat", 1), ("nested", 2))
]


@pytest.mark.parametrize(("begin", "number"), RELOADS)
def test_killed_in_a_reload_of_systemd(tmp_path: Path, begin: str, number: int) -> None:
    """What was written before is there, and systemd may or may not have read it."""
    played = play(tmp_path, begin, f"reload {number}", "", "")
    assert [each["status"] for each in played["history"]] == [-9, 0]
    same_end(played, begin, "none", tmp_path)


def test_two_runners_exclude_each_other(tmp_path: Path) -> None:
    played = play(tmp_path, "nested", "slow", "contended")
    runner, second = played["second"]["first"], played["second"]["found"]
    assert f"AH066: another move is under way (a move, process {runner}, since " in second
    same_end(played, "nested", "none", tmp_path)


def test_a_second_run_finds_it_done(tmp_path: Path) -> None:
    """Planned before the first had ended: there is no source of a copy any more."""
    same_end(play(tmp_path, "copy", "none", "", ""), "copy", "none", tmp_path)


@pytest.mark.parametrize(("begin", "again"), [("copy", "precopy"), ("promote", "whole")])
def test_a_seal_is_not_believed_by_the_next_process(tmp_path: Path, begin: str, again: str) -> None:
    played = play(tmp_path, begin, "none", "seal.after:kill", f"{again}.before:kill", "")
    assert played["fired"] == ["seal.after:kill", f"{again}.before:kill"]
    same_end(played, begin, "none", tmp_path)


def test_the_proof_sees_a_copy_that_differs(tmp_path: Path) -> None:
    played = play(tmp_path, "copy", "corrupted", "")
    gone_back(played, "copy", "AH083")


def test_rows_differ_and_the_copy_is_not_taken(tmp_path: Path) -> None:
    played = play(tmp_path, "copy", "rows differ", "")
    gone_back(played, "copy", "AH093")


def test_a_stop_by_half_leads_back_to_one_copy(tmp_path: Path) -> None:
    """Where one container goes on on the disk that does not count, the others are started there too."""
    played = play(tmp_path, "promote", "half down", "")
    assert message(played).startswith("AH069: ")
    assert played["history"][0]["running"] == ["app", "scheduler"]
    assert played["end"]["points"] == [["/data/state", "UUID-OF-STATE"]]


def test_the_way_back_that_failed_is_gone_again_after_a_boot(tmp_path: Path) -> None:
    """No line in fstab may bring the copy up that does not count, over what the stack has run on since."""
    armed = "quiet.after:eio,stop.undo_before:eio"
    played = play(tmp_path, "promote", "none", armed, "boot", "boot", "")
    assert [each["status"] for each in played["history"]] == [1, 0, 0]
    assert message(played).startswith("AH070: ")
    same_end(played, "promote", "none", tmp_path)


def test_a_disk_unmounted_after_its_line_came_back_is_mounted_again(tmp_path: Path) -> None:
    """The way back goes on with the disk where fstab says that it is, and the move ends after that."""
    armed = "quiet.after:eio,stop.undo_before:eio"
    played = play(tmp_path, "promote", "gone in between", armed, "")
    assert message(played).startswith("AH070: ")
    same_end(played, "promote", "none", tmp_path)


def test_a_half_made_copy_that_is_mounted_over_state_is_taken_away(tmp_path: Path) -> None:
    played = play(tmp_path, "promote", "mounted again", "whole.after:eio", "boot", "")
    assert message(played).startswith("AH069: ")
    assert played["history"][0]["running"] == ["app", "scheduler"]
    same_end(played, "promote", "none", tmp_path)


@pytest.mark.parametrize("begin", ["nested", "copy"])
def test_an_env_that_can_not_be_replaced_leads_back(tmp_path: Path, begin: str) -> None:
    played = play(tmp_path, begin, "not replaced", "")
    assert message(played).startswith("AH070: ")
    assert "step 'undo commit' ([Errno 16] Device or resource busy" in message(played)
    assert played["history"][0]["running"] == ["app", "scheduler"]
    assert played["layout"] == "nested"


@pytest.mark.parametrize("begin", ["nested", "copy"])
def test_an_env_that_can_not_be_flushed_starts_nothing(tmp_path: Path, begin: str) -> None:
    """Nobody knows which one a boot would show, and what was started would be on the other copy then."""
    played = play(tmp_path, begin, "flush fails back", "commit.after:eio", "")
    assert message(played).startswith("AH070: ")
    assert "stopped at step 'undo commit'" in message(played)
    assert played["history"][0]["running"] == []
    same_end(played, begin, "none", tmp_path)


@pytest.mark.parametrize("begin", ["nested", "copy"])
def test_a_commit_that_stays_leads_on_also_after_a_boot(tmp_path: Path, begin: str) -> None:
    armed = "commit.undo_before:eio,start.before:kill"
    played = play(tmp_path, begin, "flush fails once forward", armed)
    assert played["history"][0]["status"] == -9
    assert played["end"]["intent"]["direction"] == "forward"


@pytest.mark.parametrize(
    ("begin", "point"),
    [
        ("copy", "quiet.after"),
        ("promote", "reveal.after"),
        ("nested", "quiet.after"),
        ("nested", "commit.after"),
        ("copy", "commit.after"),
        ("copy_back", "quiet.after"),
        ("copy_back", "put.before"),
        ("copy_back", "commit.after"),
    ],
)
def test_a_boot_without_the_data_disk_starts_nothing(
    tmp_path: Path, begin: str, point: str
) -> None:
    """A directory of that name on the root disk is no state, and none for data."""
    played = play(tmp_path, begin, "none", f"{point}:kill", "away", "boot", "")
    assert [each["status"] for each in played["history"]] == [-9, 1, 0, 0]
    assert played["history"][1]["message"].startswith("AH135: the disk with UUID ")
    same_end(played, begin, "none", tmp_path)


@pytest.mark.parametrize(
    "late", ["late data", "late state", "late both"] if FULL else ["late both"]
)
@pytest.mark.parametrize(
    ("begin", "point"),
    [
        ("nested", "overlay.after"),
        ("nested", "quiet.after"),
        ("nested", "commit.after"),
        ("flat", "commit.before"),
        ("copy", "commit.after"),
        ("copy_back", "put.before"),
        ("copy_back", "commit.after"),
        ("promote", "reveal.after"),
    ],
)
def test_a_disk_that_came_too_late_for_the_boot_is_mounted_and_the_move_goes_on(
    tmp_path: Path, begin: str, point: str, late: str
) -> None:
    played = play(tmp_path, begin, "none", f"{point}:kill", late, "")
    assert [each["status"] for each in played["history"]] == [-9, 0, 0], played["history"]
    same_end(played, begin, "none", tmp_path)


@pytest.mark.parametrize(
    ("how", "point"),
    [
        ("taken", "retire.before"),
        ("taken", "start.before"),
        ("replaced", "place.after"),
        ("lost", "start.before"),
    ],
)
def test_a_copy_that_is_gone_after_the_commit_is_said_to_be(
    tmp_path: Path, how: str, point: str
) -> None:
    """It names the disk that is whole, and nothing is started until the copy is back, or made anew from there."""
    played = play(tmp_path, "copy_back", "none", f"{point}:kill", how, "")
    said = played["history"][1]["message"]
    assert said.startswith(
        "AH126: the move to layout nested is committed and stopped at step 'put'"
    )
    assert "the disk with UUID UUID-OF-STATE has all state" in said
    if how == "lost":
        # Its marker names the instance as the disk's does, by another id than this host's record.
        assert played["left"] == [["intent", "before"]], played["history"]
    else:
        same_end(played, "copy_back", "none", tmp_path)


@pytest.mark.parametrize(
    ("begin", "error", "uuid"),
    [
        ("copy", "commit.before", "UUID-OF-DATA"),
        ("promote", "quiet.after", "UUID-OF-STATE"),
        ("promote", "reveal.after", "UUID-OF-DATA"),
        ("nested", "commit.before", "UUID-OF-STATE"),
    ],
)
def test_stuck_on_the_way_back_it_names_the_disk_that_state_is_on(
    tmp_path: Path, begin: str, error: str, uuid: str
) -> None:
    played = play(tmp_path, begin, "none", f"{error}:eio,stop.undo_before:eio", "")
    named = f"all state is at '/data/state', which .env names (on the disk with UUID {uuid})"
    assert named in message(played)
    same_end(played, begin, "none", tmp_path)


def test_the_way_back_starts_nothing_where_the_disk_is_gone(tmp_path: Path) -> None:
    played = play(tmp_path, "nested", "gone on the way back", "commit.before:eio", "")
    assert message(played).startswith("AH070: ")
    assert "undo stop" in message(played)
    assert "AH079: '/data/state' is not as it was before the move (found a directory" in message(
        played
    )
    assert played["history"][0]["running"] == []
    same_end(played, "nested", "none", tmp_path)


@pytest.mark.parametrize(
    ("how", "armed"), [("unflushed forward", ""), ("unflushed back", "commit.after:eio")]
)
@pytest.mark.parametrize("begin", ["nested", "copy"])
def test_an_env_that_nobody_has_flushed_is_flushed_first_of_all(
    tmp_path: Path, begin: str, how: str, armed: str
) -> None:
    played = play(tmp_path, begin, how, armed, "")
    assert [each["status"] for each in played["history"]] == [-9, 0], played["history"]
    same_end(played, begin, "none", tmp_path)


@pytest.mark.parametrize("armed", ["", "commit.after:eio", "line.before:eio"])
def test_no_room_for_the_intent_does_not_keep_the_stack_down(tmp_path: Path, armed: str) -> None:
    """When /data has been given back, and that can't be written down."""
    played = play(tmp_path, "copy_back", "intent not saved", armed, "")
    back = armed.startswith("commit")
    assert message(played)[:5] == ("AH069" if back else ""), played["history"]
    assert played["history"][0]["running"] == ["app", "scheduler"]
    same_end(played, "copy_back", "none", tmp_path)


@pytest.mark.parametrize("role", ["incomplete", "sealed"])
def test_a_directory_that_says_it_is_our_copy_is_not_taken_for_it(
    tmp_path: Path, role: str
) -> None:
    played = play(tmp_path, "copy_back", f"forged {role}", "")
    assert played["history"][0]["status"] == 0, played["history"]


@pytest.mark.parametrize("begin", ["nested", "copy", "copy_back"])
def test_what_somebody_has_stopped_is_not_started_again_by_a_move_that_goes_on(
    tmp_path: Path, begin: str
) -> None:
    played = play(tmp_path, begin, "none", "prove.before:kill", "stopped")
    assert [each["status"] for each in played["history"]] == [-9, 0], played["history"]
    assert played["history"][1]["running"] == ["scheduler"]
    assert played["end"]["intent"] is None
    assert "app" in played["end"]["left_stopped"]


def test_the_data_disk_that_goes_away_after_the_commit_has_nothing_written_to_its_mount_point(
    tmp_path: Path,
) -> None:
    """The link for readers is not made on the root disk, which the data disk would shadow again."""
    played = play(tmp_path, "nested", "data gone", "", "")
    assert message(played).startswith("AH070: ")
    assert "at step 'place' (AH135: the disk with UUID " in message(played)
    assert played["history"][0]["running"] == []
    assert played["history"][1]["status"] == 0
    same_end(played, "nested", "none", tmp_path)
