# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold on a host of the field, with the product's keepers at work all the time."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import moved
from looks import look
from play import play
from records import ROOT, Action, actions, read

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import Layout

RUNNING = {
    **dict.fromkeys(("app", "scheduler", "telegram-bot", "ws-gateway", "caddy", "backup"), 1),
    "worker": 2,
}
"""Service -> how many of its containers run."""
READ_ONLY = {"backup"}
TICKS = "/srv/ticks"
SEEN = ["/data", "/data/state", "/data-state", "/certs", "/srv"]
TICK_SECONDS = 120


def ticks(host: Any) -> int:
    """How often the upgrade has come to its end."""
    return int(host.run(f"wc -l < {TICKS}").stdout or 0)


def await_ticks(host: Any, count: int = 2) -> None:
    """Wait for whole ticks: the first that ends may have begun before."""
    wanted, end = ticks(host) + count, time.monotonic() + TICK_SECONDS
    while ticks(host) < wanted:
        assert time.monotonic() < end, host.run("journalctl -n 30 --no-pager").stdout
        time.sleep(1)


def warned(host: Any, ticked: int = 2) -> list[str]:
    """What the next ticks say against the chain that .env names."""
    since = host.check_output("date '+%F %T'")
    await_ticks(host, ticked)
    said = host.check_output(f"journalctl -t agnes-auto-upgrade -o cat --since '{since}'")
    return [line for line in said.splitlines() if "WARN" in line]


def drift(host: Any) -> list[str]:
    """The product's main branch changes: the next tick fetches it and brings the stack up anew.

    What these ticks say against the chain that .env names.
    """
    host.check_output("echo '# newer' >> /srv/upstream/docker-compose.host-mount.yml")
    return warned(host, 3)


def other(name: str) -> dict[str, Any]:
    """The second project's container."""
    container: dict[str, Any] = look(name, paths=[])["containers"]["other-web-1"]
    return {key: container[key] for key in ("id", "status", "restarts", "started")}


def _seen_by(service: str, layout: Layout) -> dict[str, str]:
    """Path -> the disk that a container of the service must see there."""
    if service == "caddy":
        return {"/certs": "state", "/srv": "data"}
    return {"/data": "data", "/data/state": "state", layout.state_dir: "state"}


def check(name: str, host: Any, layout: Layout) -> None:
    """Disks in each container, who runs, rows, and nothing where a mount shadows it."""
    seen = look(name, paths=SEEN)
    disks = {role: seen["paths"][point]["device"] for role, point in layout.mounts.items()}
    assert disks["data"] != disks["state"]
    ours = [item for item in seen["containers"].values() if item["project"] == "agnes"]
    running = [item for item in ours if item["status"] == "running"]
    assert Counter(item["service"] for item in running) == RUNNING
    for item in running:
        for path, disk in _seen_by(item["service"], layout).items():
            assert item["sees"][path] == disks[disk], (item["service"], path)
        writable = {path for path, writes in item["mounts"].items() if writes}
        if item["service"] in READ_ONLY:
            assert not writable, item
        assert item["restarts"] == 0, item
    assert [item["exit_code"] for item in ours if item["service"] == "data-migrate"] == [0]
    assert seen["containers"]["other-web-1"]["status"] == "running"
    assert shadowed(host) == []
    acknowledged = {entry["row"] for entry in moved.load(host) if entry["row"]}
    assert len(acknowledged) > 20
    assert acknowledged <= moved.rows(host)
    host.check_output(f"cd {layout.state_dir} && sha256sum --quiet --check /srv/secrets")
    assert not host.file("/var/lib/agnes-host/intent.json").exists


def shadowed(host: Any) -> list[str]:
    """What lies on the root disk or the data disk where a mount shadows it."""
    look = (
        "mount --bind / /mnt; find /mnt/data /mnt/data-state -mindepth 1 2>/dev/null || true; umount /mnt; "
        "mount --bind /data /mnt; if mountpoint --quiet /data/state; then find /mnt/state -mindepth 1; fi; umount /mnt"
    )
    listing = host.check_output(f"unshare --mount sh -uc '{look}'")
    return [str(line) for line in listing.splitlines()]


def calm(name: str, step: str, facts: Mapping[str, Any], layout: str) -> None:
    """A run that changes nothing."""
    done = play(f"{name}-{step}", {name: {**facts, "layout": layout}}, "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{name} .*changed=0 .*failed=0", done.stdout, re.M), done.stdout


def move(
    name: str,
    facts: Mapping[str, Any],
    layout: str,
    *arguments: str,
    playbook: Path = ROOT / "site.yml",
    noted: Sequence[str] | None = None,
) -> set[Action]:
    """A run that moves state to ``layout``, or with --check says what it would do; its actions.

    noted: the product's keepers that the plan must have a note of, and no others.
    """
    step = f"{name}-{layout}"
    hosts = {name: {**facts, "layout": layout}}
    done = play(step, hosts, "--diff", *arguments, playbook=playbook)
    assert done.returncode == 0, done.stdout + done.stderr
    if noted is not None:
        notes = re.findall(r"note: the product's ([A-Za-z ]+) \(", done.stdout)
        assert sorted(notes) == sorted(noted), done.stdout
    return actions(read(step, playbook.stem), name, check="--check" in arguments)
