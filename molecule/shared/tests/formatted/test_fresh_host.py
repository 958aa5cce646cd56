# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that was blank: disks that the collection formatted, a tree that it made itself."""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.agnes.host.plugins.module_utils.core.layouts import Layout


def test_each_disk_is_mounted_where_the_layout_has_it_by_uuid(host: Any, layout: Layout) -> None:
    record = json.loads(host.file("/var/lib/agnes-host/record.json").content_string)
    for role, device in (("data", "/dev/sdb"), ("state", "/dev/sdc")):
        uuid = host.check_output(f"blkid --probe --output value --match-tag UUID {device}")
        assert record["disks"][role]["uuid"] == uuid
        assert host.check_output(f"blkid -p -o value -s LABEL {device}") == f"agnes-{role}"
        point = layout.mounts[role]
        assert host.check_output(f"findmnt --noheadings --output SOURCE {point}") == device
        fstab = host.file("/etc/fstab").content_string
        assert len(re.findall(rf"^UUID={uuid} {point} ext4 \S+ 0 2$", fstab, re.M)) == 1
    for path in layout.never_mounted:
        # Not by mountpoint(1), which follows the link that flat has at such a path.
        assert not host.run(f"grep --quiet ' {path} ' /proc/self/mountinfo").succeeded


def test_the_filesystems_have_no_feature_that_an_older_e2fsck_lacks(host: Any) -> None:
    for device in ("/dev/sdb", "/dev/sdc"):
        features = host.check_output(
            f"dumpe2fs -h {device} 2>/dev/null | grep '^Filesystem features'"
        )
        assert "orphan_file" not in features
        assert "metadata_csum_seed" not in features


def test_the_private_key_is_roots(host: Any, layout: Layout) -> None:
    key = host.file(f"{layout.state_dir}/certs/privkey.pem")
    assert (key.uid, key.gid, key.mode) == (0, 0, 0o600)


def test_the_one_shot_ended_well_and_wrote_to_the_data_disk(
    host: Any, containers: dict[str, Any]
) -> None:
    assert containers["extract"]["State"]["Status"] == "exited"
    assert containers["extract"]["State"]["ExitCode"] == 0
    assert host.check_output("ls /data/extracts")
