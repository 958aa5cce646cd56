# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.host import waiting


class Late(Exception):
    """Not yet."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The naps that were taken; the time passes by them alone."""
    naps: list[float] = []
    monkeypatch.setattr(waiting.time, "monotonic", lambda: sum(naps))
    monkeypatch.setattr(waiting.time, "sleep", naps.append)
    yield naps


def test_what_comes_in_time_is_given(clock: list[float]) -> None:
    asked = 0

    def ask() -> int:
        nonlocal asked
        asked += 1
        if sum(clock) < 3:
            raise Late
        return asked

    assert waiting.given(ask, Late, 5, 1.0) == 4
    assert clock == [1.0, 1.0, 1.0]


def test_what_does_not_come_is_raised_and_what_is_else_wrong_at_once(clock: list[float]) -> None:
    def late() -> None:
        raise Late

    def wrong() -> None:
        raise ValueError

    with pytest.raises(Late):
        waiting.given(late, Late, 5, 1.0)
    assert sum(clock) == 5
    with pytest.raises(ValueError):
        waiting.given(wrong, Late, 5, 1.0)
    assert sum(clock) == 5


def test_nothing_is_an_answer_too(clock: list[float]) -> None:
    assert waiting.given(lambda: None, Late, 0, 1.0) is None
    assert not waiting.until(lambda: False, 2, 1.0)
    assert clock == [1.0, 1.0]


def test_it_is_asked_once_where_nothing_is_to_be_waited_for(clock: list[float]) -> None:
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        raise Late

    with pytest.raises(Late):
        waiting.given(ask, Late, 0, 1.0)
    assert (asked, clock) == ([1], [])
