# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: recorded
type: notification
short_description: Record what each module did, one JSON line a result
description:
  - For tests only. Each playbook run writes one file in the directory of E(AGNES_LAB_RECORDED), named
    after its step; without that variable nothing is written.
  - A run in check mode is C(check), the first real run of the same playbook is named after the
    playbook, and every later one is C(idempotence). The playbook C(create) begins a new record.
requirements:
  - enable in configuration
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase

FOLDER_VARIABLE = "AGNES_LAB_RECORDED"
FIRST_PLAYBOOK = "create"
RECORDED_PLAYBOOK = "converge"


def step_of(playbook: str, check: bool, folder: Path) -> str:
    """The step that a run of ``playbook`` is, given what ``folder`` has of earlier ones."""
    if playbook != RECORDED_PLAYBOOK:
        return playbook
    if check:
        return "check"
    return "idempotence" if (folder / f"{playbook}.jsonl").exists() else playbook


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Writes a line for each result; a task with a loop has one for each item."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "recorded"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        folder = os.environ.get(FOLDER_VARIABLE)
        self.folder = Path(folder) if folder else None
        self.file: Path | None = None
        self.play = ""

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Begin the file of this step."""
        if self.folder is None:
            return
        name = Path(playbook._file_name).stem
        if name == FIRST_PLAYBOOK:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        step = step_of(name, bool(context.CLIARGS.get("check")), self.folder)
        self.file = self.folder / f"{step}.jsonl"
        self.file.write_text("", "utf-8")

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Results are told apart by their play, too."""
        self.play = play.get_name()

    def _record(self, result: Any, status: str) -> None:
        values: Mapping[str, Any] = result.result
        end_of_loop = "results" in values and result.task.loop
        if self.file is None or end_of_loop:
            return
        line = {
            "play": self.play,
            "host": result.host.name,
            "task": result.task.get_name(),
            "module": result.task.resolved_action or result.task.action,
            "check": bool(result.task.check_mode),
            "status": status,
            "changed": bool(values.get("changed")),
            "actions": values.get("actions") or [],
            "msg": str(values.get("msg") or "") if status in ("failed", "unreachable") else "",
        }
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task, or the end of a loop, whose items are recorded already."""
        self._record(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A failure; its actions are what was done before."""
        self._record(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """No call was made, but a test that counts hosts must see it."""
        self._record(result, "unreachable")

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """One item of a loop."""
        self._record(result, "item")

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """One item of a loop that failed."""
        self._record(result, "failed")

    def v2_runner_retry(self, result: Any) -> None:
        """One attempt of a task with until: a call, too."""
        self._record(result, "retry")
