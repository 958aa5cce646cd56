# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that has grown under a mounted filesystem: foreseen, done while the stack runs, done once."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from play import play

GIB = 1 << 30
RECORD = "/var/lib/agnes-host/record.json"


def extend(host: Any, disk: str, size: int) -> None:
    """Let the disk be larger, as a cloud does."""
    major, minor = host.check_output(f"stat -c '%Hr:%Lr' /dev/{disk}").split(":")
    sys = Path(f"/sys/dev/block/{major}:{minor}")
    image = (sys / "loop" / "backing_file").read_text().strip()
    os.truncate(image, size)
    subprocess.run(["losetup", "--set-capacity", f"/dev/{sys.resolve().name}"], check=True)


def size_of(host: Any, path: str) -> int:
    return int(host.check_output(f"df --block-size 1 --output=size {path}").splitlines()[-1])


def test_a_state_disk_that_has_grown_is_used_whole(
    host: Any, name: str, facts: dict[str, Any]
) -> None:
    before = size_of(host, "/data-state")
    extend(host, "sdc", 9 * GIB)
    grown = "and grow its filesystem from 8 GiB to the 9 GiB of /dev/sdc"
    started = host.check_output("docker inspect --format '{{.State.StartedAt}}' agnes-app-1")

    foreseen = play("consents-grown", {name: facts}, "--check")
    assert foreseen.returncode == 0, foreseen.stdout + foreseen.stderr
    assert grown in " ".join(foreseen.stdout.split())
    assert size_of(host, "/data-state") == before

    done = play("consents-grown", {name: facts})
    assert done.returncode == 0, done.stdout + done.stderr
    assert grown in " ".join(done.stdout.split())
    assert size_of(host, "/data-state") - before > 0.9 * GIB
    record = json.loads(host.check_output(f"cat {RECORD}"))
    assert record["disks"]["state"]["size"] == 9 * GIB
    assert host.check_output("cat /data-state/kept.txt") == "kept"
    again = host.check_output("docker inspect --format '{{.State.StartedAt}}' agnes-app-1")
    assert again == started


def test_it_is_done_once_and_a_lost_record_is_made_again_from_what_is_mounted(
    host: Any, name: str, facts: dict[str, Any]
) -> None:
    before = json.loads(host.check_output(f"cat {RECORD}"))
    host.check_output(f"rm {RECORD}")
    done = play("consents-record", {name: facts})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "grow" not in done.stdout
    after = json.loads(host.check_output(f"cat {RECORD}"))
    assert after["instance_id"] == before["instance_id"]
    for role in ("data", "state"):
        for key in ("uuid", "size"):
            assert after["disks"][role][key] == before["disks"][role][key]
