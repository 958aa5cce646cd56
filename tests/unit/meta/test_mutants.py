# SPDX-License-Identifier: GPL-3.0-or-later
"""What the torture takes out of the source is there: a mutant without a place would prove nothing.

The mutants themselves take hours, so a source that has changed since would be seen late.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest

from .repo import ROOT

UTILS = ROOT / "plugins/module_utils"


@pytest.fixture(scope="module")
def mutants() -> list[Any]:
    """All that change a text of a source."""
    sys.path.insert(0, str(ROOT / "tests/torture"))
    try:
        found = importlib.import_module("mutants")
        copying = importlib.import_module("test_copying_mutations")
        durability = importlib.import_module("test_durability_mutations")
    finally:
        sys.path.remove(str(ROOT / "tests/torture"))
    return [*found.LOGIC, *copying.MUTATIONS, *durability.REPLACED]


def test_each_mutant_has_its_one_place(mutants: list[Any]) -> None:
    gone = [m.id for m in mutants if (UTILS / m.file).read_text().count(m.old) != 1]
    assert not gone, f"the source has changed, name their places anew: {gone}"
