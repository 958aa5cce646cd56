# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``agnes-host`` on the host: explain for people, move for the unit."""

from __future__ import annotations

import sys

from ..core.errors import Refusal
from ..core.text import shown
from ..system.commands import Failed
from .engine import run_requested
from .explain import explain

USAGE = "usage: agnes-host explain"


def _say(text: str) -> None:
    print(shown(text), flush=True)


def main() -> int:
    """Entry point; returns the exit status."""
    asked = sys.argv[1:]
    try:
        if asked == ["explain"]:
            print(shown("\n".join(explain())))
            return 0
        if asked == ["move"]:
            return run_requested(_say)
    except (Refusal, Failed, OSError) as error:
        print(shown(f"agnes-host: {error}"), file=sys.stderr)
        return 1
    print(USAGE, file=sys.stderr)
    return 2
