# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.copy import precopy
from ansible_collections.agnes.host.plugins.module_utils.core.copy.precopy import Decision, Round

MIB = 1 << 20
FIRST = Round(10, 1000 * MIB, 500 * MIB, 0.5)
SECOND = Round(5, 500 * MIB, 200 * MIB, 0.5)

TABLE = [
    ("nothing_yet", [], 2, Decision(False, "nothing is copied yet", math.inf)),
    ("much_left", [FIRST], 2, Decision(False, "the rest would take about 5.5 s", 5.5)),
    ("within_the_budget", [FIRST], 6, Decision(True, "the rest takes about 5.5 s", 5.5)),
    (
        "nothing_left", [Round(1, 0, 0, 0.25)], 2,
        Decision(True, "the rest takes about 0.2 s", 0.25),
    ),
    ("shrinks", [FIRST, SECOND], 2, Decision(False, "the rest would take about 2.5 s", 2.5)),
    (
        "stalled_once", [FIRST, Round(5, 500 * MIB, 490 * MIB, 0.5)], 2,
        Decision(False, "the rest would take about 5.4 s", 5.4),
    ),
    (
        "stalled_twice", [FIRST, Round(5, 500 * MIB, 490 * MIB, 0.5), Round(5, 500 * MIB, 600 * MIB, 0.5)], 2,
        Decision(True, "the rest does not shrink any more, and takes about 6.5 s", 6.5),
    ),
    (
        "five_rounds", [Round(1, 100 * MIB, rest * MIB) for rest in (900, 800, 700, 600, 500)], 2,
        Decision(True, "5 rounds are done, and the rest takes about 5.0 s", 5.0),
    ),
    (
        "rate_unknown", [Round(0, 0, 5)], 2,
        Decision(False, "the rest would take about inf s", math.inf),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rounds", "budget", "wanted"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_decide(rounds: list[Round], budget: float, wanted: Decision) -> None:
    decided = precopy.decide(rounds, budget)
    assert (decided.stop, decided.why) == (wanted.stop, wanted.why)
    assert decided.seconds == pytest.approx(wanted.seconds)


ROUNDS = st.builds(
    Round, st.floats(0, 1e6), st.integers(0, 1 << 50), st.integers(0, 1 << 50), st.floats(0, 1e4)
)


@given(st.lists(ROUNDS, min_size=precopy.MAX_ROUNDS), st.floats(0, 100))
def test_rounds_end_whatever_they_find(rounds: list[Round], budget: float) -> None:
    ends = [precopy.decide(rounds[:n], budget).stop for n in range(precopy.MAX_ROUNDS + 1)]
    assert any(ends)


@given(st.lists(ROUNDS, min_size=1), st.floats(0, 100))
def test_it_goes_on_only_while_too_much_is_left_and_it_shrinks(
    rounds: list[Round], budget: float
) -> None:
    decided = precopy.decide(rounds, budget)
    if not decided.stop:
        assert decided.seconds > budget
        assert precopy.stalled(rounds) < precopy.MAX_STALLED
    assert decided.seconds >= rounds[-1].scan_seconds
