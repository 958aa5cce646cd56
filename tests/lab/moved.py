# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios that move state ask of a host: what clients got, what runs, what must hold."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import Layout

RESULT = "/var/lib/agnes-host/result.json"
RUNNING = {"app", "scheduler", "ws-gateway", "caddy"}


def load(host: Any) -> list[dict[str, Any]]:
    """What the clients got so far."""
    lines = host.file("/srv/load.jsonl").content_string.splitlines()
    return [json.loads(line) for line in lines]


def longest_gap(host: Any, since: float) -> float:
    """Seconds that no client had a row acknowledged, at most, since a moment."""
    times = [entry["at"] for entry in load(host) if entry["row"] and entry["at"] >= since]
    return float(max(late - early for early, late in zip(times, times[1:])))


def now(host: Any) -> float:
    return float(host.check_output("date +%s.%N"))


def gap_without_a_move(host: Any) -> float:
    """Seconds that clients wait while the stack goes down and up, and nothing else is done."""
    since = now(host)
    host.check_output(
        "cd /opt/agnes && docker compose --profile '*' down --timeout 90 && docker compose "
        "--profile '*' up --detach app scheduler ws-gateway caddy && sleep 2"
    )
    return longest_gap(host, since)


def services(host: Any) -> set[str]:
    """The services that run."""
    names = host.check_output("docker ps --format '{{.Names}}'").split()
    return {name.removeprefix("agnes-").removesuffix("-1") for name in names}


def rows(host: Any) -> set[int]:
    """The rows that the app has."""
    curl = "curl -fsSk --resolve agnes.test:443:127.0.0.1 https://agnes.test/api/rows"
    return set(json.loads(host.check_output(curl))["ids"])


def databases(host: Any) -> list[str]:
    """Where a database is on the data disk or the root disk, also shadowed by mounts; what was retired is none."""
    look = (
        "for root in / /data; do mount --bind $root /mnt; "
        "find /mnt -xdev \\( -path /mnt/var -o -name .agnes-host-aside \\) -prune "
        '-o -name "system.duckdb*" -print; umount /mnt; done'
    )
    listing = host.check_output(f"unshare --mount sh -euc '{look}'")
    return list(listing.splitlines())


def check(host: Any, layout: Layout, on_disk: bool = True) -> None:
    """All that must hold on a host that has been moved to ``layout``.

    on_disk: state is on the state disk, not in a directory of the data disk.
    """
    points = host.run("findmnt --noheadings --output TARGET --source /dev/sdc").stdout.split()
    assert points == ([layout.mounts["state"]] if on_disk else [])
    source = f"findmnt --noheadings --output SOURCE --target {layout.state_dir}"
    assert host.check_output(source) == ("/dev/sdc" if on_disk else "/dev/sdb")
    elsewhere = set() if on_disk else {"/mnt/state/system.duckdb"}
    assert {path.removesuffix(".wal") for path in databases(host)} == elsewhere
    acknowledged = {entry["row"] for entry in load(host) if entry["row"]}
    assert acknowledged <= rows(host)
    assert len(acknowledged) > 20
    assert services(host) == RUNNING
    host.check_output(f"cd {layout.state_dir} && sha256sum --quiet --check /srv/secrets")
    # Compared on the host: a secret must not come into a report.
    host.check_output("grep -e SECRET -e TOKEN /opt/agnes/.env | cmp -s - /srv/env-secrets")
    assert not host.file("/var/lib/agnes-host/intent.json").exists
    marker = json.loads(host.file(f"{layout.state_dir}/.agnes-state.json").content_string)
    assert marker["layout"] == layout.name
    for service in ("app", "scheduler", "ws-gateway"):
        inside = host.check_output(f"docker exec agnes-{service}-1 stat -c %d {layout.state_dir}")
        assert inside == host.check_output("stat -c %d " + layout.state_dir)
