# SPDX-License-Identifier: GPL-3.0-or-later
"""The product changes once more after the overlay was written; runs after test_overlay."""

from __future__ import annotations

import base64
import re
from typing import Any

import records
from play import play

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import Layout

DROPPED = "telegram-bot"
ADDED_MOUNT = "/srv/late:/late:ro"


def change(host: Any, path: str) -> None:
    """Drop a service from a file of the product, and mount more where it mounts /srv/extra."""
    text = host.file(path).content_string
    dropped = re.sub(rf"(?ms)^  {DROPPED}:\n.*?(?=^  \S)", "", text)
    assert dropped != text
    extra = "      - /srv/extra:/extra:ro\n"
    new = dropped.replace(extra, f"{extra}      - {ADDED_MOUNT}\n")
    encoded = base64.b64encode(new.encode()).decode()
    host.check_output(f"echo {encoded} | base64 -d > {path}")


def test_an_overlay_that_a_new_version_makes_stale_is_written_again(
    name: str, facts: dict[str, Any], host: Any, layout: Layout
) -> None:
    overlay = f"/opt/agnes/{layout.overlay}"
    assert DROPPED in host.file(overlay).content_string
    host.check_output("mkdir -p /srv/late")
    for file in ("docker-compose.yml", "docker-compose.prod.yml"):
        change(host, f"/srv/artifacts/{file}")
    run = f"overlay_derived-{layout.name}"
    done = play(run, {name: facts})
    assert done.returncode == 0, done.stdout + done.stderr
    whats = {
        what for _module, what, _before, _after in records.actions(records.read(run, "site"), name)
    }
    assert overlay in whats
    text = host.file(overlay).content_string
    assert DROPPED not in text
    assert re.search(r'"source": "/srv/late", "target": "/late"', text)
    inside = host.check_output("docker exec agnes-app-1 stat -c %d:%i /late")
    assert inside == host.check_output("stat -c %d:%i /srv/late")
