# SPDX-License-Identifier: GPL-3.0-or-later
"""--tags: a part of a run never comes before one that it needs, and every part begins with the look."""

from __future__ import annotations

from typing import Any

import records
from play import play


def test_a_part_that_needs_another_one_first_is_refused(
    host: Any, name: str, facts: dict[str, Any]
) -> None:
    before = host.check_output("cat /opt/agnes/.env; docker ps --quiet --no-trunc")
    label = f"{name}-parts"
    arguments = ("-e", "layout=nested", "--tags", "agnes_compose")
    done = play(label, {name: facts}, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "leave out role state_layout, which has something to do before role agnes_compose" in (
        " ".join(done.stdout.split())
    )
    results = records.read(label, "site")
    # Neither is the role left out that looks, nor is anything done.
    assert records.calls(results, name) == ["agnes.host.observe"]
    assert not [record["task"] for record in results if record["changed"]]
    assert host.check_output("cat /opt/agnes/.env; docker ps --quiet --no-trunc") == before
