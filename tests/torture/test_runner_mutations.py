# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner's order and logic are broken in one place at a time; the torture must go red for each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import test_failpoints
from mutants import BEGINS, LOGIC, ORDER, Mutant, generated
from test_failpoints import FULL

from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import KINDS
from ansible_collections.agnes.host.plugins.module_utils.move.steps import ACTS

pytestmark = test_failpoints.pytestmark

ROOT = Path(__file__).resolve().parents[2]
UTILS = "plugins/module_utils"

STEPS_OF = {kind: KINDS[kind].steps for kind in BEGINS}
UNDONE = [step for step in ACTS if ACTS[step].undo is not None and step != "forget"]
MUTANTS = [*generated(STEPS_OF, UNDONE), *ORDER, *LOGIC]
SHOWN = (
    "drop-remount-intent", "order-remount-commit-before-mount", "order-copy-commit-before-verify",
    "no-undo-stop", "commit_leads_back",
)  # fmt: skip
"""In the short form."""


def plant(mutant: Mutant, place: Path) -> None:
    """A copy of what the tests need, with the mutant in it."""
    shutil.copytree(ROOT / "plugins", place / "plugins")
    (place / ".collections/ansible_collections/agnes").mkdir(parents=True)
    (place / ".collections/ansible_collections/agnes/host").symlink_to("../../..")
    path = place / UTILS / mutant.file
    text = path.read_text()
    if mutant.old:
        assert text.count(mutant.old) == 1, "the source has changed: name the place anew"
        path.write_text(text.replace(mutant.old, mutant.new))
    else:
        path.write_text(f"{text}\n{mutant.new}")


def seen(mutant: Mutant, place: Path) -> str:
    """What the first test that fails says; empty when none does."""
    for number, (test, arguments) in enumerate(mutant.tests):
        folder = place / str(number)
        folder.mkdir()
        try:
            test(folder, *arguments)
        except AssertionError as error:
            return str(error) or "an assertion"
    return ""


@pytest.mark.parametrize(
    "mutant", [pytest.param(m, id=m.id) for m in MUTANTS if FULL or m.id in SHOWN]
)
def test_what_is_broken_is_seen(
    mutant: Mutant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(mutant, tmp_path)
    monkeypatch.setattr(test_failpoints, "TREE", [str(tmp_path / ".collections")])
    failure = seen(mutant, tmp_path)
    assert failure, "it has survived"
    # A mutant that can't be imported proves nothing.
    for name in ("NameError", "ImportError", "SyntaxError"):
        assert name not in failure, failure[-1500:]


def test_each_is_named_once_and_its_place_is_there() -> None:
    """Also in the short form: a mutant whose place is gone would prove nothing, and nobody would see it."""
    for mutant in MUTANTS:
        text = (ROOT / UTILS / mutant.file).read_text()
        assert not mutant.old or text.count(mutant.old) == 1, f"{mutant.id}: name the place anew"
    assert len({m.id for m in MUTANTS}) == len(MUTANTS)
    assert set(SHOWN) <= {m.id for m in MUTANTS}
