# SPDX-License-Identifier: GPL-3.0-or-later
"""Every disk that is not proved blank, and every wrong device, is refused by a run of site.yml.

One run with a host for each row, all of them names of the one host of the scenario.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import records
from play import play

HOST = "agnes-refuse-disks"
RUN = "refuse_disks-site"

PARTITIONS = r"(, partitions loop\d+p1)?"
"""Where the kernel reads partition tables itself."""

FOUND: dict[str, str] = {
    "gpt": rf"gpt, PMBR{PARTITIONS}",
    "mbr": rf"dos{PARTITIONS}",
    "ext4": "ext4 labelled 'old'",
    "xfs": "xfs labelled 'old'",
    "btrfs": "btrfs",
    "lvm": "LVM2_member",
    "luks": "crypto_LUKS",
    "md": "linux_raid_member labelled 'lab:0'",
    "swap": "swap",
    "zfs": "zfs_member labelled 'tank'",
    "iso9660": "iso9660 labelled 'CDROM'",
    "vfat": "vfat",
    "bcache": "bcache",
    "random": "bytes that are not zero, of no known format",
    "backups": "bytes that are not zero, of no known format",
    "tail": "bytes that are not zero, of no known format",
}
"""Disk -> what the sentence says that was found on it."""

DISKS = r"(/dev/\S+ \([\d.]+ [GM]iB[^)]*\)(, )?)+"

WRONG: dict[str, tuple[dict[str, str], str]] = {
    "missing": (
        {"disks_state_device": "/dev/absent"},
        rf"AH020: disks_state_device names '/dev/absent', which does not exist; the disks here are {DISKS}",
    ),
    "dangling": (
        {"disks_state_device": "/dev/disk/by-id/google-gone"},
        "AH020: disks_state_device names '/dev/disk/by-id/google-gone', which is a dangling link; "
        f"the disks here are {DISKS}",
    ),
    "no-device": (
        {"disks_state_device": "/etc/hostname"},
        "AH020: disks_state_device names '/etc/hostname', which is not a block device; "
        f"the disks here are {DISKS}",
    ),
    "same": (
        # Of one and the same text the inventory's check would say so, for all rows.
        {"disks_state_device": "/dev/./sdb"},
        r"AH021: disks_data_device and disks_state_device are the same disk "
        r"\('/dev/sdb' and '/dev/./sdb' are 7:\d+\); name two disks",
    ),
    "mounted": (
        {"disks_state_device": "/dev/lab-mounted"},
        "AH023: disks_state_device names '/dev/lab-mounted', which holds the mounted /srv/in-use; "
        "name another disk",
    ),
    "label": (
        {"disks_state_device": "LABEL=My Data"},
        "AH023: disks_state_device names 'LABEL=My Data', which holds the mounted /srv/in-use; "
        "name another disk",
    ),
    "capitals": (
        {"disks_state_device": "UUID=5CA1AB1E-0000-4000-8000-00000000000A"},
        "AH023: disks_state_device names 'UUID=5CA1AB1E-0000-4000-8000-00000000000A', which holds the "
        "mounted /srv/in-use; name another disk",
    ),
    "partition": (
        {"disks_state_device": "/dev/disk/by-id/google-data-part1"},
        "AH024: disks_state_device names '/dev/disk/by-id/google-data-part1', which is a part; "
        "only whole disks are formatted: name the disk",
    ),
    "small": (
        {"disks_state_device": "/dev/lab-small"},
        r"AH025: '/dev/lab-small' for /data-state is too small \(found 64 MiB, wanted at least 4 GiB\); "
        "attach a larger disk, or lower disks_state_min_gib",
    ),
}
"""Row -> variables, and the whole sentence."""

READ_ONLY = {
    "ansible.builtin.validate_argument_spec",
    "agnes.host.observe",
    "ansible.builtin.assert",
    "ansible.builtin.set_fact",
}


def rows() -> dict[str, dict[str, str]]:
    """A host for each row -> its variables."""
    devices = {name: {"disks_state_device": f"/dev/lab-{name}"} for name in FOUND}
    devices |= {name: variables for name, (variables, _sentence) in WRONG.items()}
    return {
        f"refuse-{name}": {"ansible_host": HOST, "layout": "flat", **variables}
        for name, variables in devices.items()
    }


def hashes(host: Any) -> dict[str, str]:
    """Device -> sha256 of all of it."""
    lines = host.check_output("sha256sum /dev/lab-*").splitlines()
    return {path: digest for digest, path in map(str.split, lines)}


@pytest.fixture(scope="module")
def run(host: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """The refused run: its messages by row, and the hashes before and after it."""
    before = hashes(host)
    done = play(RUN, rows())
    return {
        "code": done.returncode,
        "output": done.stdout + done.stderr,
        "records": records.read(RUN, "site"),
        "before": before,
        "after": hashes(host),
        "disks": [f"/dev/{name}" for name in facts["lab_disks"]],
    }


def messages(run: dict[str, Any], row: str) -> list[str]:
    """What the run said of a row."""
    return [
        record["msg"]
        for record in run["records"]
        if record["host"] == f"refuse-{row}" and record["status"] == "failed"
    ]


@pytest.mark.parametrize("row", [*FOUND])
def test_what_holds_something_is_refused_and_named(run: dict[str, Any], row: str) -> None:
    sentence = (
        rf"AH022: refusing to format '/dev/lab-{row}' for /data-state: it is not proved blank, "
        rf"found {FOUND[row]}; attach a blank disk, or .*"
    )
    said = messages(run, row)
    assert len(said) == 1, run["output"]
    assert re.fullmatch(sentence, said[0]), said[0]


@pytest.mark.parametrize("row", [*WRONG])
def test_a_wrong_device_is_refused_with_its_sentence(run: dict[str, Any], row: str) -> None:
    said = messages(run, row)
    assert len(said) == 1, run["output"]
    assert re.fullmatch(WRONG[row][1], said[0]), said[0]


def test_every_row_was_refused_before_anything_that_writes(run: dict[str, Any]) -> None:
    assert run["code"] != 0
    for row in rows():
        ran = {record["module"] for record in run["records"] if record["host"] == row}
        assert "agnes.host.observe" in ran, row
        assert ran <= READ_ONLY, row


def test_not_one_byte_of_any_disk_was_changed(run: dict[str, Any]) -> None:
    assert len(run["before"]) == len(run["disks"])  # /dev/lab-* and the partition, without sdb
    assert run["after"] == run["before"]


def test_the_disk_for_data_is_still_blank(host: Any) -> None:
    assert host.check_output("wipefs --no-act /dev/sdb") == ""
    assert host.check_output("grep -c ' /data' /proc/self/mountinfo || true") == "0"


BLANK = {"refuse-blank": {"ansible_host": HOST, "layout": "nested", "disks_state_device": ""}}


def test_a_link_at_the_mount_point_is_refused_before_the_disk_is_touched(host: Any) -> None:
    host.check_output("mkdir -p /mnt/disks/data && ln -s /mnt/disks/data /data")
    try:
        done = play("refuse_disks-link", BLANK)
    finally:
        host.check_output("rm /data")
    assert (
        "AH039: no disk could be mounted at '/data', because '/data' is a link to '/mnt/disks/data';"
        in done.stdout
    )
    assert host.check_output("wipefs --no-act /dev/sdb") == ""


def test_a_probe_that_fails_is_no_blank_disk_and_offers_no_consent(host: Any) -> None:
    host.check_output(
        "printf '#!/bin/sh\\nexit 1\\n' > /usr/local/sbin/wipefs; chmod +x /usr/local/sbin/wipefs"
    )
    try:
        done = play("refuse_disks-probe", BLANK)
    finally:
        host.check_output("rm /usr/local/sbin/wipefs")
    assert "AH037: it is not known what is on '/dev/sdb' for /data ('wipefs" in done.stdout
    assert "disks_format" not in done.stdout
    assert host.check_output("wipefs --no-act /dev/sdb") == ""
