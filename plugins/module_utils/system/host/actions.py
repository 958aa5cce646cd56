# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module did, or in check mode would do: one list, from which all output is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional


class Actions:
    """Collects actions; each is done at once unless this is a check run.

    A check run and a real run go the same way, so what the one announces is
    what the other does.
    """

    def __init__(self, check: bool) -> None:
        self.check = check
        self.items: list[dict[str, str]] = []

    def take(
        self, what: str, before: str, after: str, act: Optional[Callable[[], object]] = None
    ) -> None:
        """Note that ``what`` goes from ``before`` to ``after``, and do it."""
        if not self.check and act is not None:
            act()
        self.items.append({"what": what, "before": before, "after": after})

    def result(self, **values: Any) -> dict[str, Any]:
        """The module's result: changed, actions, diff, and ``values``."""
        return {
            "changed": bool(self.items),
            "actions": list(self.items),
            "diff": {
                "before": "".join(f"{i['what']}: {i['before']}\n" for i in self.items),
                "after": "".join(f"{i['what']}: {i['after']}\n" for i in self.items),
            },
            **values,
        }
