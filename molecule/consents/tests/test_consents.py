# SPDX-License-Identifier: GPL-3.0-or-later
"""What consent allowed was done, once, and nothing else."""

from __future__ import annotations

import json
from typing import Any

ADOPTED = "5ca1ab1e-0000-4000-8000-000000000002"


def test_the_adopted_disk_is_mounted_unchanged(host: Any) -> None:
    assert host.check_output("findmnt -no UUID,FSTYPE /data-state").split() == [ADOPTED, "xfs"]
    assert host.check_output("blkid -s LABEL -o value /dev/sdc") == "kept"
    assert host.check_output("cat /data-state/kept.txt") == "kept"


def test_the_formatted_disk_shows_nothing_of_what_it_held(host: Any) -> None:
    signatures = json.loads(host.check_output("wipefs --json /dev/sdb"))["signatures"]
    assert [item["type"] for item in signatures] == ["ext4"]
    assert host.check_output("findmnt -no LABEL /data") == "agnes-data"


def test_the_consent_to_format_is_spent(host: Any) -> None:
    record = json.loads(host.check_output("cat /var/lib/agnes-host/record.json"))
    assert record["spent"] == [
        {"device": "/dev/sdb", "identity": "none", "found": "ext4 labelled 'old'"}
    ]
    assert record["disks"]["state"]["phase"] == "adopted"
