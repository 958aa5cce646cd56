#!/usr/bin/python
# Copyright (c) 2026, The Agnes host maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: move
short_description: Move the live state of an Agnes host from one layout to another
version_added: "0.1.0"
description:
  - Puts the runner of the move on the host (code, the command C(agnes-host), the unit
    C(agnes-host-move.service)), starts the unit and waits for its end. The unit goes on when the
    connection drops, when it is killed, and after a reboot; the next run picks it up.
  - The state disk is mounted at the new place beside the old one, C(.env) is renamed into place,
    the old mount goes; nothing is copied, formatted or deleted. State in a directory of the data
    disk is copied to a blank disk first, most of it while the stack runs; see docs/moving.md.
  - An error before C(.env) was renamed leads back to the old layout, with the stack started.
author:
  - The Agnes host maintainers (@agnes-host)
extends_documentation_fragment:
  - agnes.host.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details: It is only called when P(agnes.host.plan#filter) has found something to move.
options:
  move:
    description: The part C(move) of the plan.
    type: dict
    required: true
  data_device:
    description:
      - The disk for data, as it was given to M(agnes.host.observe). The runner observes the host again
        before a move begins, and refuses when what the plan depends on has changed.
    type: str
    default: ""
  state_device:
    description: The disk for state, likewise.
    type: str
    default: ""
  project_dir:
    description: The compose project's directory.
    type: str
    default: /opt/agnes
  profiles:
    description: Compose profiles that shall run; the move writes the chain of compose files that a run with them would write.
    type: list
    elements: str
    default: []
  canary_url:
    description: Address to which a canary row is posted, over this host's loopback, before the stop and after the start. Empty for none.
    type: str
    default: ""
  timeout:
    description: Seconds that starting, and then becoming healthy, may each take.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Move the state
  agnes.host.move:
    move: "{{ plan.move }}"
  when: plan.move
"""

RETURN = r"""
actions:
  description: The steps that were done, or in check mode would be; see M(agnes.host.disks).
  returned: always
  type: list
  elements: dict
down_seconds:
  description: From the stop of the stack until it was started again, its own time to stop and start included.
  returned: success, outside check mode
  type: float
progress:
  description: How a copy went, rounds, rates and what was proved, as the journal has it; empty for a move that copies nothing.
  returned: success
  type: list
  elements: str
"""

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.move.intent import MoveIntent
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_errors import (
    MovePartUnreadable,
    MoveUnderWay,
)
from ansible_collections.agnes.host.plugins.module_utils.move import publish
from ansible_collections.agnes.host.plugins.module_utils.output import Module
from ansible_collections.agnes.host.plugins.module_utils.system.compose import engine, images
from ansible_collections.agnes.host.plugins.module_utils.system.compose.compose import Compose
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import (
    Failed,
    passed,
    run,
)
from ansible_collections.agnes.host.plugins.module_utils.system.host.waiting import until
from ansible_collections.agnes.host.plugins.module_utils.system.move import ledger

_POLL_SECONDS = 0.2
_LOOK_SECONDS = 2.0
_JOURNAL_LINES = 500
_END_SECONDS = 60


def is_active() -> bool:
    """Whether the unit runs, or is about to run: again, or, after a boot, when Docker is there."""
    show = ["systemctl", "show", "--property", "ActiveState,Job", "--value", publish.UNIT]
    state, *job = run(show).out.split()
    return bool(job) or state in ("active", "activating", "reloading", "deactivating")


def planned_move(part: dict[str, Any]) -> MoveIntent:
    """What a plan asks for. Raises MovePartUnreadable."""
    try:
        return MoveIntent.from_plan(part)
    except ValueError as error:
        raise MovePartUnreadable(found=error) from error


def ask(planned: MoveIntent, params: dict[str, Any]) -> str:
    """Publish the runner if this version is not there, and start it; returns the request's id."""
    modules = publish.sources()
    if publish.missing(modules):
        publish.publish(modules)
    request = replace(
        planned,
        request=str(uuid.uuid4()),
        devices={"data": params["data_device"], "state": params["state_device"]},
        project_dir=params["project_dir"].rstrip("/"),
        profiles=params["profiles"],
        canary_url=params["canary_url"],
        timeout=params["timeout"],
        # The unit has none of it: by it the runner reaches a registry as this run does.
        environment=passed(),
    )
    ledger.write(ledger.REQUEST, request.to_dict())
    run(["systemctl", "reset-failed", publish.UNIT], codes=())
    run(["systemctl", "start", "--no-block", publish.UNIT])
    return request.request


def attach(target: str) -> str:
    """The request of the move that runs already, empty when it has just come to its end.

    target: the layout that this run asks for. Raises MoveUnderWay when it goes elsewhere.
    """
    intent = ledger.read_intent(ledger.INTENT) or ledger.read_intent(ledger.REQUEST)
    if intent is None:
        return ""
    if intent.target != target:
        raise MoveUnderWay(found=f"to layout {intent.target}")
    return intent.request


def carry_out(params: dict[str, Any], log: Callable[[str], None]) -> dict[str, Any]:
    """Start the runner, or find it running, and wait for its result."""
    if not os.path.isdir("/run/systemd/system"):
        raise Failed("systemd does not run here, and the runner of a move is a unit of it")
    planned = planned_move(params["move"])
    request = attach(planned.target) if is_active() else ""
    if not request:
        # What is ending can't be started: that would be lost.
        until(lambda: not is_active(), _END_SECONDS, 0.5)
        request = ask(planned, params)
    said, looked = "", 0.0
    while os.path.exists(ledger.REQUEST) or is_active():
        # Seldom: while the stack is down, it and the runner need the machine.
        if time.monotonic() - looked > _LOOK_SECONDS:
            looked = time.monotonic()
            if not is_active() and _condition_failed():
                break
            newest = next(iter(ledger.tail(1)), {})
            if newest.get("phase") == "progress" and newest["text"] != said:
                said = newest["text"]
                log(f"{newest['step']}: {said}")
        time.sleep(_POLL_SECONDS)
    result = ledger.read(ledger.RESULT) or {}
    if result.get("request") != request:
        raise Failed(f"the runner left no result; see 'journalctl --unit {publish.UNIT}'")
    return result


def check(params: dict[str, Any]) -> None:
    """In a check run: what a new move asks of the project before it stops the stack. Raises ImageGone."""
    move = params["move"]
    if move["new"]:
        compose = Compose(engine.client(), params["project_dir"])
        services = compose.config()["services"]
        images.check_there(compose.docker, services, move["starts"], compose.directory)


def progress(move_id: str) -> list[str]:
    """What the journal has of how a copy went: rounds, rates, what was proved."""
    entries = [e for e in ledger.tail(_JOURNAL_LINES) if e.get("move") == move_id and e.get("text")]
    return [f"{entry['step']}: {entry['text']}" for entry in entries]


def _condition_failed() -> bool:
    """Whether the unit ended without taking the request up; a start takes a moment to show."""
    time.sleep(2)
    return not is_active()


def main() -> None:
    """Entry point."""
    module = Module(
        argument_spec={
            "move": {"type": "dict", "required": True},
            "data_device": {"type": "str", "default": ""},
            "state_device": {"type": "str", "default": ""},
            "project_dir": {"type": "str", "default": "/opt/agnes"},
            "profiles": {"type": "list", "elements": "str", "default": []},
            "canary_url": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    actions = Actions(module.check_mode)
    steps, result = module.params["move"]["steps"], {}
    try:
        if module.check_mode:
            check(module.params)
        else:
            result = carry_out(module.params, module.log)
    except (Refusal, Failed, OSError) as error:
        module.fail_json(msg=str(error), **actions.result())
    done = result.get("steps")
    for step in steps:
        if done is None or step["id"] in done:
            down = " (stack down)" if step["down"] else ""
            actions.take(f"move: {step['id']}", "to be done", step["what"] + down)
    if result and not result["ok"]:
        module.fail_json(msg=result["message"], **actions.result())
    module.exit_json(
        **actions.result(
            down_seconds=result.get("down_seconds"),
            progress=progress(str(result.get("move", ""))),
        )
    )


if __name__ == "__main__":
    main()
