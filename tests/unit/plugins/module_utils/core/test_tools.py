# SPDX-License-Identifier: GPL-3.0-or-later
"""Which programs a plan needs, and that none that is run on a host is left out of the table."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.host.tools import PACKAGES, needed

from .hosts import flat_host, host, nested_host
from .move_refusals import one_disk

BLANK, COPIED = host(), one_disk()
MOVED: dict[str, Any] = {"layout": "flat"}
LACKING: list[Any] = [
    (BLANK, {"layout": "flat"}, "mkfs.ext4", "e2fsprogs"),
    (BLANK, {"layout": "flat", "fstype": "xfs"}, "mkfs.xfs", "xfsprogs"),
    (nested_host(), MOVED, "systemctl", "systemd"),
    (COPIED, MOVED, "rsync", "rsync"),
    (COPIED, MOVED, "mkfs.ext4", "e2fsprogs"),
]


@pytest.mark.parametrize(("observed", "request_", "tool", "package"), LACKING)
def test_what_a_later_step_needs_is_asked_for_in_the_plan(
    observed: Any, request_: dict[str, Any], tool: str, package: str
) -> None:
    assert make_plan(observed, request_)["refusal"] == ""
    plan = make_plan({**observed, "tools": {**observed["tools"], tool: ""}}, request_)
    assert plan["refusal"].startswith(f"AH150: this host lacks {tool}, which this run needs")
    assert f"'apt-get install {package}'" in plan["refusal"]
    assert "disks_format" not in plan["refusal"]


def test_what_is_not_needed_is_not_asked_for() -> None:
    tools = {**host()["tools"], "mkfs.ext4": "", "mkfs.xfs": "", "rsync": ""}
    assert make_plan(flat_host(tools=tools), {})["refusal"] == ""
    assert needed([], {}) == ["wipefs", "blkid", "findfs", "unshare", "mount", "tar"]


ROOT = Path(__file__).resolve().parents[5]
OTHERS = {"docker-compose"}
"""Asked for its version where it is there."""


def test_every_program_that_is_run_is_in_the_table() -> None:
    """Read from the source: the first word of each list that is given to run, or made for it."""
    names = set()
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id == "run" and node.args and isinstance(node.args[0], ast.List):
                    first = node.args[0].elts[0]
                    if isinstance(first, ast.Constant):
                        names.add(first.value)
    assert {"wipefs", "mount", "systemctl"} <= names <= set(PACKAGES) | OTHERS
