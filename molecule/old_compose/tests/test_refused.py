# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose Compose is too old: the real one of the previous Debian release."""

from __future__ import annotations

import json
from typing import Any

import records
from play import play


def test_the_host_really_has_the_old_compose(host: Any) -> None:
    assert host.check_output("docker-compose version --short").startswith("1.29.")
    assert host.run("docker compose version").rc != 0


def test_a_run_is_refused_and_nothing_is_changed(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    done = play("old_compose-site", {name: facts})
    ran = records.read("old_compose-site", "site")
    assert done.returncode != 0
    assert [record["msg"] for record in ran if record["status"] == "failed"] == [
        "AH041: Docker Compose 1.29.2 is too old (wanted 2.24.4 or later, older ones ignore '!override' "
        "and would mount the wrong disk); install a newer one"
    ], done.stdout + done.stderr
    assert not [record for record in ran if record["changed"]]
    before = json.loads(host.file("/srv/before.json").content_string)
    assert json.loads(host.check_output("lab-snapshot")) == before
    for device in ("/dev/sdb", "/dev/sdc"):
        assert host.check_output(f"wipefs --no-act {device}") == ""
    assert not host.file("/var/lib/agnes-host").exists
