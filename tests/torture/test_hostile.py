# SPDX-License-Identifier: GPL-3.0-or-later
"""uid 999 replaces, swaps and grows what is its own while root moves it: nothing outside is touched.

Each case has a clear end: moved, or one sentence, with the stack running on the layout that
.env names; and when the attack is over, a plain run ends the move. TORTURE_SEED reproduces a
case: the seed is the last part of its name.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import test_failpoints
from attacks import ATTACKS
from test_failpoints import FULL, play

pytestmark = test_failpoints.pytestmark

STEPS = {
    "at once": "",
    "stop": "stop the stack",
    "quiet": "prove that no process",
    "commit": "rename the new .env",
    "start": "start the services",
}
"""When an attack begins, by what the runner says then."""
OF_COPIES = ("grows", "deep", "hardlinks", "file")
"""Attacks on what is copied: a move of the disk never looks into it."""
ON_ONE_DISK = ("deep", "hardlinks")
"""Attacks that need state and the rest of /data on one filesystem, and are there from the first moment."""
NOT_THERE = (
    "at step 'put' (AH065: '/data/state' ",
    "at step 'start' (AH139: the stack is not started: '/data/state' ",
    "at step 'start' ('/usr/local/bin/docker compose ",
)
"""What a move that is committed says, and does not start the stack, while something else is in state's place."""
SEEDS = [int(seed) for seed in os.environ.get("TORTURE_SEED", "1 2 3").split()]
SHOWN = [
    ("copy", "state", "commit"), ("copy", "marker", "at once"), ("copy", "file", "stop"),
    ("copy", "certs", "stop"), ("copy", "hardlinks", "at once"), ("flat", "state", "at once"),
    ("flat", "state", "quiet"), ("nested", "state", "commit"), ("nested", "marker", "start"),
    ("copy_back", "state", "at once"), ("copy_back", "state", "commit"), ("copy_back", "aside", "at once"),
]  # fmt: skip
CASES = [
    (begin, attack, step)
    for begin in ("copy", "nested", "flat", "copy_back")
    for attack in ATTACKS
    for step in STEPS
    if begin in ("copy", "copy_back") or attack not in OF_COPIES
    if step == "at once" or attack not in ON_ONE_DISK
    if begin != "copy_back" or attack not in ON_ONE_DISK
]


def check_end(played: dict[str, Any], begin: str) -> None:
    """What must hold at the end of a move under attack, however it went."""
    assert played["turns"] > 3, "the attack did not come about"
    assert played["touched"] == {}
    source, target = ("flat", "nested") if begin in ("flat", "copy_back") else ("nested", "flat")
    message = played["message"]
    gone = begin == "copy_back" and message.startswith("AH126: ")
    if played["status"] == 0:
        assert (message, played["named"]) == ("", target)
    elif message.startswith("AH069: "):
        assert played["named"] == source
    else:
        assert message.startswith("AH070: ") or (gone and played["given_back"]), message
    assert "\n" not in message.strip()
    assert "Traceback" not in played["log"]
    # Who holds the place of a plain state directory, or of the link, holds what the stack is started on.
    held = begin == "copy" or (begin != "nested" and "(AH079: " in message)
    # The same right before and after the start, where state has gone to a plain directory.
    after = begin == "copy_back" and played["named"] == target and played["given_back"]
    taken = after and (gone or any(each in message for each in NOT_THERE))
    assert played["up"] or taken or ("undo stop" in message and held), message
    # What has come after the end is not taken for ours by the next run.
    assert played["later"][:6] in ("", "AH005:", "AH007:"), played["later"]
    assert played["again"] == {"status": 0, "message": ""}, json.dumps(played, indent=1)


@pytest.mark.parametrize(
    ("begin", "attack", "step", "seed"),
    [
        pytest.param(*case, seed, id="-".join((*case, str(seed))))
        for case in (CASES if FULL else SHOWN)
        for seed in (SEEDS if FULL else SEEDS[:1])
    ],
)
def test_nothing_outside_is_touched_and_there_is_a_clear_end(
    tmp_path: Path, begin: str, attack: str, step: str, seed: int
) -> None:
    words = (begin, attack, str(seed), STEPS[step])
    played = play(tmp_path, *words, script="hostile.py")
    check_end(played, begin)
    if attack == "hardlinks":
        assert "(AH098: '/data/state' has files that are hard links" in played["message"]
        assert "stop the stack" not in played["log"].split("going back")[0]


def test_what_comes_into_our_links_place_after_the_move_is_refused_by_the_next_plan(
    tmp_path: Path,
) -> None:
    played = play(tmp_path, "copy", "afterwards", "1", "", script="hostile.py")
    assert played["status"] == 0
    assert played["later"].startswith(
        "AH005: state was found at more than one place (/data/state, "
    )
    check_end(played, "copy")


def test_a_link_of_ours_that_points_elsewhere_is_left_as_found(tmp_path: Path) -> None:
    played = play(tmp_path, "flat", "elsewhere", "1", "", script="hostile.py")
    assert played["status"] == 1
    assert played["message"].startswith(
        "AH069: the move to layout nested stopped at step 'check' (AH124: "
    )
    assert "must be a link to '/data-state', found a link to '/etc'" in played["message"]
    assert played["link"] == "/etc"
    check_end(played, "flat")
