# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the engine and Compose each question once, while nothing but looking is done."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Optional

from ..host.commands import Done

_answers: Optional[dict[Hashable, Done]] = None


@contextmanager
def remembered() -> Iterator[None]:
    """While this lasts, an equal question gets the first answer. Never around anything that acts."""
    global _answers
    before, _answers = _answers, {}
    try:
        yield
    finally:
        _answers = before


def answer(question: Hashable, ask: Callable[[], Done]) -> Done:
    """What ``ask`` gives, or gave to the same question; what it raises is not kept."""
    if _answers is None:
        return ask()
    if question not in _answers:
        _answers[question] = ask()
    return _answers[question]
