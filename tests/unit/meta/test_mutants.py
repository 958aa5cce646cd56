# SPDX-License-Identifier: GPL-3.0-or-later
"""What the torture takes out of the source is there: a mutant without a place would prove nothing.

The mutants themselves take hours, so a source that has changed since would be seen late.
"""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace

import pytest

from .repo import ROOT

UTILS = ROOT / "plugins/module_utils"


@pytest.fixture(scope="module")
def torture() -> SimpleNamespace:
    """Its modules that change sources."""
    sys.path.insert(0, str(ROOT / "tests/torture"))
    try:
        return SimpleNamespace(
            logic=importlib.import_module("mutants").LOGIC,
            copying=importlib.import_module("test_copying_mutations").MUTATIONS,
            durability=importlib.import_module("test_durability_mutations"),
        )
    finally:
        sys.path.remove(str(ROOT / "tests/torture"))


def test_each_flush_of_a_move_is_one_that_is_taken_out_or_said_why_not(
    torture: SimpleNamespace,
) -> None:
    torture.durability.test_every_flush_of_a_move_has_its_place_here()


def test_each_mutant_has_its_one_place(torture: SimpleNamespace) -> None:
    mutants = [*torture.logic, *torture.copying, *torture.durability.REPLACED]
    gone = [m.id for m in mutants if (UTILS / m.file).read_text().count(m.old) != 1]
    assert not gone, f"the source has changed, name their places anew: {gone}"
