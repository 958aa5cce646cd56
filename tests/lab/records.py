# SPDX-License-Identifier: GPL-3.0-or-later
"""What the callback `recorded` wrote: which modules ran on which host, and what they did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / ".cache" / "recorded"

ON_THE_CONTROLLER = {
    "ansible.builtin.assert",
    "ansible.builtin.debug",
    "ansible.builtin.fail",
    "ansible.builtin.set_fact",
    "ansible.builtin.validate_argument_spec",
    "ansible.builtin.include_role",
    "ansible.builtin.include_tasks",
    "ansible.builtin.meta",
}
"""Actions that send nothing to the target; each other one counts as a call there."""

Record = dict[str, Any]
Action = tuple[str, str, str, str]


def read(folder: str, step: str) -> list[Record]:
    """All results of a step."""
    text = (RECORDED / folder / f"{step}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def hosts(records: list[Record]) -> set[str]:
    """The hosts that have results; the play on the controller is none."""
    return {record["host"] for record in records} - {"localhost"}


def actions(records: list[Record], host: str, check: bool = False) -> set[Action]:
    """What was done on a host, or with ``check`` announced: (module, what, before, after)."""
    return {
        (record["module"], action["what"], action["before"], action["after"])
        for record in records
        if record["host"] == host and record["check"] == check
        for action in record["actions"]
    }


def calls(records: list[Record], host: str) -> list[str]:
    """The modules that were sent to a host, one entry a call."""
    return [
        record["module"]
        for record in records
        if record["host"] == host and record["module"] not in ON_THE_CONTROLLER
    ]
