# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying while the stack runs, and when to stop doing so.

Each round copies what changed since the one before. What is still to be copied
after it is what the downtime would be spent on: rounds go on while it shrinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_ROUNDS = 5
MAX_STALLED = 2
"""Rounds in a row after which the rest was no smaller than before."""
SHRUNK = 0.9
"""A rest is smaller when it is below this part of the smallest so far."""


@dataclass(frozen=True)
class Round:
    """One round, and what was found to be left after it."""

    seconds: float
    copied: int
    """Bytes of the files that were copied."""
    rest: int
    """Bytes of the files that have changed since they were."""
    scan_seconds: float = 0.0
    """How long it took to find that out: the last pass has to do it, too."""


@dataclass(frozen=True)
class Decision:
    """Whether to stop, and why, for people; ``seconds`` is what the last pass is expected to take."""

    stop: bool
    why: str
    seconds: float


def rate(rounds: Sequence[Round]) -> float:
    """Bytes a second, over all rounds so far: a short round alone says little. Zero when unknown."""
    seconds = sum(each.seconds for each in rounds)
    copied = sum(each.copied for each in rounds)
    return copied / seconds if seconds > 0 else 0.0


def rest_seconds(rounds: Sequence[Round]) -> float:
    """How long the last pass would take if it came now; infinite when nothing tells."""
    last, speed = rounds[-1], rate(rounds)
    if not last.rest:
        return last.scan_seconds
    return last.scan_seconds + last.rest / speed if speed else float("inf")


def stalled(rounds: Sequence[Round]) -> int:
    """After how many rounds in a row, up to the last one, the rest had not shrunk."""
    count, least = 0, None
    for each in rounds:
        if least is None or each.rest < least * SHRUNK:
            count, least = 0, each.rest
        else:
            count += 1
    return count


def decide(rounds: Sequence[Round], budget_seconds: float) -> Decision:
    """Whether to end the rounds of copying while the stack runs. They always end, after MAX_ROUNDS at most."""
    if not rounds:
        return Decision(False, "nothing is copied yet", float("inf"))
    seconds = rest_seconds(rounds)
    if seconds <= budget_seconds:
        return Decision(True, f"the rest takes about {seconds:.1f} s", seconds)
    if stalled(rounds) >= MAX_STALLED:
        why = f"the rest does not shrink any more, and takes about {seconds:.1f} s"
        return Decision(True, why, seconds)
    if len(rounds) >= MAX_ROUNDS:
        why = f"{MAX_ROUNDS} rounds are done, and the rest takes about {seconds:.1f} s"
        return Decision(True, why, seconds)
    return Decision(False, f"the rest would take about {seconds:.1f} s", seconds)
