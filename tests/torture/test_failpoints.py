# SPDX-License-Identifier: GPL-3.0-or-later
"""Every failpoint of a move, on real file systems: killed or failing anywhere, then run again.

Each case ends in the same place as a move that nothing disturbed, with every byte of
state there, and nothing is left to be done. TORTURE=full runs all of them (make
torture); else a short form.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import KINDS
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import COMMIT, STEPS
from ansible_collections.agnes.host.plugins.module_utils.move.failpoints import MODES
from ansible_collections.agnes.host.plugins.module_utils.move.steps import ACTS

HERE = Path(__file__).resolve().parent
FULL = os.environ.get("TORTURE") == "full"
UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--propagation", "private"]
BEGINNINGS = {
    "nested": KINDS["remount"].order,
    "flat": KINDS["late_remount"].order,
    "copy": KINDS["copy"].order,
    "copy_back": KINDS["copy_back"].order,
    "promote": KINDS["promote"].order,
}
"""Where state is at first, and the steps from there: see host.py."""
TREE: list[str] = []
"""Where the collection under test is, if it is not this one: see test_runner_mutations.py."""
STEPS_OF = {begin: [step for step, _phase in steps] for begin, steps in BEGINNINGS.items()}
COPYING = ("copy", "copy_back", "promote")
OF_COPYING = {s for begin in COPYING for s in STEPS_OF[begin] if s not in STEPS_OF["nested"]}


def _possible() -> bool:
    probe = subprocess.run(
        [*UNSHARE, "sh", "-c", "losetup --find && mount -t tmpfs t /mnt"],
        capture_output=True, check=False,
    )  # fmt: skip
    return probe.returncode == 0


pytestmark = pytest.mark.skipif(
    not _possible(), reason="needs root, mount namespaces and loop devices"
)


def play(
    folder: Path, source: str, leftovers: str, *runs: str, script: str = "case.py"
) -> dict[str, Any]:
    """Run a case; its report."""
    command = [
        *UNSHARE,
        sys.executable,
        str(HERE / script),
        str(folder),
        source,
        leftovers,
        *runs,
    ]
    path = os.pathsep.join([*TREE, str(HERE), *sys.path])
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=500,
        env={**os.environ, "PYTHONPATH": path, "TORTURE_RUN": str(uuid.uuid4()), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    for image in folder.glob("*.img"):
        image.unlink()
    assert done.returncode == 0, f"{runs}: {done.stderr[-6000:]}"
    played: dict[str, Any] = json.loads(done.stdout)
    return played


@cache
def undisturbed(source: str, leftovers: str, parent: Path) -> dict[str, Any]:
    """A move that nothing disturbs."""
    folder = parent / f"reference-{source}-{leftovers}"
    folder.mkdir(exist_ok=True)
    played = play(folder, source, leftovers, "")
    assert played["history"][0]["status"] == 0, played
    return played


def same_end(played: dict[str, Any], source: str, leftovers: str, tmp_path: Path) -> None:
    """Assert the one end that every case must come to."""
    wanted = undisturbed(source, leftovers, tmp_path.parent)
    assert played["history"][-1]["status"] == 0, played["history"]
    assert played["left"] == wanted["left"] == [["intent", "before"]]
    assert json.dumps(played["end"], indent=1, sort_keys=True) == json.dumps(
        wanted["end"], indent=1, sort_keys=True
    )


def points(source: str) -> list[str]:
    """Every failpoint on the way forward."""
    return [f"{step}.{when}" for step in STEPS_OF[source] for when in ("before", "after")]


def before_commit(source: str, point: str) -> bool:
    """Whether an error there leads back: the commit's own end is still on that side."""
    steps = STEPS_OF[source]
    return steps.index(point.split(".")[0]) <= steps.index(COMMIT)


PROMOTE_STEPS = ("unlist", "stop", "reveal", "aside", "whole")
"""What only the move has where the shadowed state counts, and the stop, on which side of which that is."""


FLAT_STEPS = ("stop", "point", "umount", "line", "fstab", "mount", "place", "record")
"""Where a disk that goes back differs most from one that goes to layout flat."""


def shown(source: str, point: str) -> bool:
    """Whether the short form has this point: what is like in another move is left out.

    Before a step is what is after the one before it, but for the commit.
    """
    step, when = point.split(".")
    if source in ("nested", "flat"):
        return step == COMMIT or (when == "after" and (source == "nested" or step in FLAT_STEPS))
    if source == "promote":
        return step in PROMOTE_STEPS and (when == "after" or step == "aside")
    if step == COMMIT:
        return True
    wanted = (
        {*OF_COPYING, "place"} if source == "copy" else {"nest", "seal", "claim", "put", "retire"}
    )
    return when == "after" and step in wanted


EIO_SHOWN = {"copy": (COMMIT, "seal"), "copy_back": (COMMIT,), "promote": ("reveal", "whole")}
OTHERS_SHOWN = (COMMIT, "place")

ONCE = [
    pytest.param(source, point, mode, id=f"{source}-{point}-{mode}")
    for source in BEGINNINGS
    for mode in MODES
    for point in points(source)
    if FULL
    or (mode == "kill" and shown(source, point))
    or (mode == "eio" and point.split(".")[0] in EIO_SHOWN.get(source, OTHERS_SHOWN))
]


def test_every_step_has_an_act_and_every_act_is_a_step() -> None:
    assert set(ACTS) == set(STEPS)
    assert {step for steps in STEPS_OF.values() for step in steps} == set(STEPS)
    for step in STEPS.values():
        assert step.undo or ACTS[step.id].undo is None or step.id == "forget"


@pytest.mark.parametrize(("source", "point", "mode"), ONCE)
def test_failed_once_then_run_plainly(tmp_path: Path, source: str, point: str, mode: str) -> None:
    played = play(tmp_path, source, "leftovers", f"{point}:{mode}", "")
    assert played["fired"] == [f"{point}:{mode}"]
    first = played["history"][0]
    if mode == "kill":
        assert first["status"] == -9
    elif before_commit(source, point):
        assert first["status"] == 1
        assert first["message"].startswith("AH069: the move to layout"), first
    else:
        # After the commit there is one direction only, and the runner tries it again by itself.
        assert first["status"] == 0, first
    same_end(played, source, "leftovers", tmp_path)


CONFLICT = [
    pytest.param(source, point, mode, id=f"{source}-{point}-{mode}")
    for source in ("nested", "flat")
    for mode in MODES
    for point in points(source)
    if FULL
    or (mode == "kill" and point == "place.after")
    or (mode == "eio" and point == "commit.after")
]


@pytest.mark.parametrize(("source", "point", "mode"), CONFLICT)
def test_a_shadowed_copy_is_kept_whole_where_the_mounted_one_counts(
    tmp_path: Path, source: str, point: str, mode: str
) -> None:
    played = play(tmp_path, source, "mounted", f"{point}:{mode}", "")
    assert played["fired"] == [f"{point}:{mode}"]
    same_end(played, source, "mounted", tmp_path)
    (names,) = [each for listed in played["end"]["aside"].values() for each in listed]
    assert names.startswith("0o40700:")
    assert "system.duckdb" in names


def test_a_shadowed_copy_is_not_moved_away_while_nobody_has_decided(tmp_path: Path) -> None:
    played = play(tmp_path, "nested", "undecided", "")
    assert played["history"][0]["status"] == 1
    assert "AH062: the mount at '/data/state' shadows" in played["history"][0]["message"]
    assert played["end"]["aside"] == {}
    assert "stop the stack" not in played["log"]


UNDO = [
    pytest.param(source, step, when, id=f"{source}-{step}-{when}")
    for source in BEGINNINGS
    for step in STEPS_OF[source]
    for when in ("undo_before", "undo_after")
    if ACTS[step].undo is not None and step != "forget"
    if FULL
    or (step in ("mount", "put", COMMIT) and source != "promote")
    or (step == "seal" and source == "copy")
    or step == "unlist"
]


LINK_GONE = [("flat", "point", "undo_before"), ("copy_back", "put", "undo_before")]
"""Where an undo that fails leaves something else than the link for readers in its place."""


@pytest.mark.parametrize(("source", "step", "when"), UNDO)
@pytest.mark.parametrize("mode", ["kill", "eio"] if FULL else ["kill"])
def test_failed_while_going_back_then_run_plainly(
    tmp_path: Path, source: str, step: str, when: str, mode: str
) -> None:
    armed = f"{COMMIT}.after:eio,{step}.{when}:{mode}"
    played = play(tmp_path, source, "none", armed, "")
    assert played["fired"] == [f"{COMMIT}.after:eio", f"{step}.{when}:{mode}"]
    if mode == "eio" and step != "stop":
        # Whatever can't be undone, the stack is not left down for it; but without the link it would
        # take another database.
        linked = (source, step, when) not in LINK_GONE
        assert played["history"][0]["running"] == (["app", "scheduler"] if linked else [])
    same_end(played, source, "none", tmp_path)


def test_killed_between_two_calls_of_an_undo_then_run_plainly(tmp_path: Path) -> None:
    played = play(tmp_path, "flat", "half unmade", f"{COMMIT}.after:eio", "")
    assert [run["status"] for run in played["history"]] == [-9, 0]
    same_end(played, "flat", "half unmade", tmp_path)


REBOOTS = [
    pytest.param(source, point, id=f"{source}-{point}")
    for source in BEGINNINGS
    for point in points(source)
    if FULL
    or (
        source == "nested"
        and point in ("stop.after", "commit.before", "commit.after", "line.after")
    )
    or (source == "flat" and point in ("commit.before", "commit.after"))
    or (source == "promote" and point in ("aside.after", "seal.after"))
    or (
        source == "copy"
        and point in ("precopy.after", "seal.after", "expose.after", "commit.after")
    )
    or (source == "copy_back" and point in ("put.after", "commit.after", "umount.after"))
]


@pytest.mark.parametrize(("source", "point"), REBOOTS)
def test_killed_then_booted_then_run_plainly(tmp_path: Path, source: str, point: str) -> None:
    played = play(tmp_path, source, "none", f"{point}:kill", "boot", "")
    assert played["fired"] == []  # /run is emptied by the boot
    assert played["history"][0]["status"] == -9
    same_end(played, source, "none", tmp_path)


AROUND = (
    "quiet",
    "seal",
    "expose",
    "claim",
    "put",
    "retire",
    "point",
    "fstab",
    "mount",
    COMMIT,
    "umount",
    "line",
    "place",
    "start",
)
TWICE = [
    pytest.param(source, first, second, id=f"{source}-{first}-{second}")
    for source in BEGINNINGS
    for first in points(source)
    for second in points(source)
    if first.split(".")[0] in AROUND and second.split(".")[0] in AROUND
    if points(source).index(second) >= points(source).index(first)
    if FULL or (first == second == f"{COMMIT}.before" and source != "promote")
]


@pytest.mark.parametrize(("source", "first", "second"), TWICE)
def test_killed_again_in_the_recovery(tmp_path: Path, source: str, first: str, second: str) -> None:
    played = play(tmp_path, source, "none", f"{first}:kill", f"{second}:kill", "")
    assert played["fired"][0] == f"{first}:kill"
    same_end(played, source, "none", tmp_path)
