# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement takes along to its hosts is there: nothing else runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", ["by_hand", "downtime", "fleet", "run"])
def test_every_file_that_a_measurement_names_is_there(name: str) -> None:
    path = ROOT / "bench" / f"{name}.py"
    text = path.read_text("utf-8")
    named = re.findall(r'"((?:molecule|bench)/[\w/]+\.\w+)"', text)
    parts = re.findall(r'ROOT((?: / "[\w.]+")+)', text)
    named += ["/".join(re.findall(r'"([\w.]+)"', part)) for part in parts]
    assert named
    assert [each for each in named if not (ROOT / each).is_file()] == []


def test_the_other_side_uses_nothing_of_ours() -> None:
    """A filter of ours that goes would break it, and no other test runs it."""
    text = (ROOT / "bench" / "stock.yml").read_text("utf-8")
    assert "agnes.host." not in text
