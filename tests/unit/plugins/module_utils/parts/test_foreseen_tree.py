# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check run before a move says of the tree under STATE_DIR."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.parts import tree
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed

LEFT: list[Any] = [
    pytest.param("nested", "flat", ["/data/tmp", "/data-state/certs/fullchain.pem"], id="to-flat"),
    pytest.param(
        "flat", "nested", ["/data/tmp", "/data/state/certs/fullchain.pem"], id="to-nested"
    ),
]


@pytest.mark.parametrize(("now", "target", "expected"), LEFT)
def test_it_is_told_by_the_place_after_the_move_without_what_the_move_makes(
    now: str, target: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = LAYOUTS[now].state_dir

    def keep_tree(_params: Any, actions: Actions) -> None:
        for path in ("/data/tmp", f"{state}/certs/fullchain.pem", f"{state}/.agnes-state.json"):
            actions.take(path, "absent", "there")
        for link in LAYOUTS[now].links:
            actions.take(link, "absent", "a link")

    monkeypatch.setattr(tree, "keep_tree", keep_tree)
    actions = Actions(True)
    tree.foresee_tree({"layout": now, "moves_to": target}, actions)
    assert [item["what"] for item in actions.items] == expected
    assert {item["before"] for item in actions.items} == {"absent"}


def test_nothing_is_made_at_a_place_where_state_is_not_yet() -> None:
    with pytest.raises(Failed):
        tree.foresee_tree({"layout": "nested", "moves_to": "flat"}, Actions(False))
