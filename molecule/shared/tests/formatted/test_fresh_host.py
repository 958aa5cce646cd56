# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that was blank: disks that the collection formatted, a tree that it made itself."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import records

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import Layout

MOST_CALLS = 6
"""Observation, disks, tree, project, stack and Caddy; the project is proved in the observation."""


def test_a_host_that_was_blank_is_made_in_few_calls(name: str) -> None:
    scenario = os.environ["MOLECULE_SCENARIO_NAME"]
    steps = [records.calls(records.read(scenario, step), name) for step in ("prepare", "converge")]
    runs = [[call for call in calls if call.startswith("agnes.host.")] for calls in steps]
    # In some scenarios the host is made before.
    made = next((calls for calls in runs if "agnes.host.disks" in calls), [])
    assert 0 < len(made) <= MOST_CALLS, made


def test_each_disk_is_mounted_where_the_layout_has_it_by_uuid(
    seen: dict[str, Any], layout: Layout
) -> None:
    record = json.loads(seen["texts"]["/var/lib/agnes-host/record.json"])
    for role, device in (("data", "/dev/sdb"), ("state", "/dev/sdc")):
        uuid = seen["block"][device]["UUID"]
        assert record["disks"][role]["uuid"] == uuid
        assert seen["block"][device]["LABEL"] == f"agnes-{role}"
        point = layout.mounts[role]
        assert [m["source"] for m in seen["mounts"] if m["target"] == point] == [device]
        fstab = seen["texts"]["/etc/fstab"]
        assert len(re.findall(rf"^UUID={uuid} {point} ext4 \S+ 0 2$", fstab, re.M)) == 1
    assert not {mount["target"] for mount in seen["mounts"]} & set(layout.never_mounted)


def test_the_filesystems_have_no_feature_that_an_older_e2fsck_lacks(seen: dict[str, Any]) -> None:
    for device in ("/dev/sdb", "/dev/sdc"):
        features = seen["block"][device]["features"].split()
        assert "has_journal" in features
        assert "orphan_file" not in features
        assert "metadata_csum_seed" not in features


def test_the_private_key_is_roots(seen: dict[str, Any], layout: Layout) -> None:
    key = seen["paths"][f"{layout.state_dir}/certs/privkey.pem"]
    assert (key["uid"], key["gid"], key["mode"]) == (0, 0, 0o600)


def test_the_one_shot_ended_well_and_wrote_to_the_data_disk(seen: dict[str, Any]) -> None:
    extract = seen["containers"]["agnes-extract-1"]
    assert (extract["status"], extract["exit_code"]) == ("exited", 0)
    assert seen["lists"]["/data/extracts"]
