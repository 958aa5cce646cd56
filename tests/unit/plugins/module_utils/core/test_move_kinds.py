# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the kinds of move hold together, and each is chosen where it fits."""

from __future__ import annotations

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.copy.copy_targets import Asked
from ansible_collections.agnes.host.plugins.module_utils.core.disks.disks import DISK, Request
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.move.intent import MoveIntent
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_errors import (
    IntentUnreadable,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import (
    COPY,
    KINDS,
    Kind,
    choose,
    kind_of,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import COMMIT, STEPS

from .move_refusals import host_with, one_disk
from .moving import intent

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
ROWS = list(KINDS.values())


def test_all_steps_are_used_and_known() -> None:
    assert {step for kind in ROWS for step in kind.steps} == set(STEPS)


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.name)
def test_each_kind_begins_with_its_intent_and_commits_while_the_stack_is_down(kind: Kind) -> None:
    assert len(set(kind.steps)) == len(kind.steps)
    assert (kind.steps[0], kind.steps[-1]) == ("intent", "forget")
    assert kind.down[0] == "stop"
    assert kind.down[-1] == "start"
    assert COMMIT in kind.down
    assert kind.steps.index("quiet") < kind.steps.index(COMMIT)


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.name)
def test_what_is_copied_is_proved_and_sealed_before_it_is_shown(kind: Kind) -> None:
    proofs = ["final", "verify", "seal", "expose" if kind.state_goes == DISK else "put", COMMIT]
    order = [step for step in kind.steps if step in proofs]
    assert order == (proofs if kind.copies else [COMMIT])
    assert ("retire" in kind.steps) == kind.copies


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (Asked(host_with(NESTED), NESTED, FLAT, Request()), "remount"),
        (Asked(host_with(FLAT), FLAT, NESTED, Request()), "late_remount"),
        (Asked(host_with(FLAT), FLAT, NESTED, Request(state_on="directory")), "copy_back"),
        (Asked(one_disk(), NESTED, FLAT, Request()), "copy"),
    ],
)
def test_the_kind_follows_from_what_is_mounted_and_asked(asked: Asked, wanted: str) -> None:
    kind, uuid, disk = choose(asked)
    assert kind.name == wanted
    assert uuid == ("new" if kind is COPY else "u-state")
    assert bool(disk) == kind.copies


def test_a_kind_that_nobody_knows_is_refused() -> None:
    with pytest.raises(IntentUnreadable, match="unknown kind 'sideways'"):
        kind_of(MoveIntent.from_dict(intent(kind="sideways")))
