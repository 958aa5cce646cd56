# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk and its host that went different ways: an older snapshot, another disk, a lost record, other names.

Each command is one of docs/recovery.md.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import records
from play import play

RECORD = "/var/lib/agnes-host/record.json"
COUNT = "/var/lib/agnes-host/generation.json"
MARKER = "/data-state/.agnes-state.json"
STOP = "systemctl stop docker.socket docker && umount /data-state"
TIMERS = "agnes-auto-upgrade.timer agnes-tls-rotate.timer"


def uuid_of(host: Any, disk: str) -> str:
    return str(host.check_output(f"blkid --probe --output value --match-tag UUID /dev/{disk}"))


def swap(host: Any, disk: str, number: str) -> None:
    """Let a name of the host be another device, as the kernel may do at a boot."""
    host.check_output(f"rm -f /dev/{disk} && mknod /dev/{disk} b {number}")


def number_of(host: Any, disk: str) -> str:
    return str(host.check_output(f"stat -c '%Hr %Lr' /dev/{disk}"))


def counts(host: Any) -> tuple[int, int]:
    """The count on the disk, and the host's."""
    return tuple(
        json.loads(host.check_output(f"cat {path}"))["generation"] for path in (MARKER, COUNT)
    )  # type: ignore[return-value]


def record(host: Any) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads(host.check_output(f"cat {RECORD}"))
    return recorded


def rebind(host: Any, *arguments: str) -> Any:
    return host.run("agnes-host rebind " + " ".join(arguments))


def start(host: Any) -> None:
    # Docker's unit allows three starts a minute.
    host.check_output("systemctl reset-failed docker && systemctl start docker")
    # What has only just started does not end soon, and each test ends it.
    health = "docker inspect --format '{{.State.Health.Status}}' agnes-app-1"
    host.check_output(f"timeout 120 sh -c 'until [ \"$({health})\" = healthy ]; do sleep 1; done'")


@pytest.fixture(scope="module", autouse=True)
def no_ticks(host: Any) -> Iterator[None]:
    """No tool comes in between."""
    host.check_output(f"systemctl stop {TIMERS}")
    yield
    host.check_output(f"systemctl start {TIMERS}")


@pytest.fixture(scope="module")
def own(host: Any) -> dict[str, str]:
    """Both disks' UUIDs and numbers, before anything."""
    return {
        **{disk: uuid_of(host, disk) for disk in ("sdb", "sdc")},
        **{f"{disk} number": number_of(host, disk) for disk in ("sdb", "sdc")},
        "fstab": host.check_output("cat /etc/fstab"),
    }


@pytest.fixture(scope="module")
def snapshot(host: Any, own: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # fmt: skip
    """A snapshot in place of the state disk, which is older by a start and a stop; its number."""
    image = tmp_path_factory.mktemp("snapshot") / "state.img"
    host.check_output(STOP)
    major, minor = own["sdc number"].split()
    source = Path(f"/sys/dev/block/{major}:{minor}/loop/backing_file").read_text().strip()
    subprocess.run(["cp", "--sparse=always", source, str(image)], check=True)
    attach = ["losetup", "--find", "--show", str(image)]
    loop = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    try:
        start(host)
        host.check_output(STOP)
        number = f"7 {loop.removeprefix('/dev/loop')}"
        swap(host, "sdc", number)
        yield number
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)
        image.unlink()


def test_an_older_snapshot_holds_docker_back_and_the_command_is_named(
    host: Any, own: dict[str, str], snapshot: str, name: str, facts: dict[str, Any]
) -> None:
    assert host.run("systemctl reset-failed docker; systemctl start docker").rc != 0
    told = host.check_output("journalctl --boot --no-pager --output cat --unit agnes-host-guard")
    said = re.search(
        r"AH186: the state in /data-state is older .* \(count (\d+) on .*, (\d+) on", told
    )
    assert said, told
    assert int(said[1]) == int(said[2]) - 2
    assert f"'agnes-host rebind --state {own['sdc']} --because restore'" in told
    assert "AH186" in host.file("/run/motd.d/agnes-host").content_string
    assert "PROBLEM      AH186" in host.run("agnes-host status").stdout
    assert "AH186" in host.run("agnes-host auto-upgrade").stderr
    # A run stops with the same sentence, and changes nothing.
    kept = host.check_output(f"sha256sum {RECORD} {COUNT} {MARKER} /etc/fstab")
    done = play("host_tools-older", {name: facts})
    assert done.returncode != 0
    failed = [r["msg"] for r in records.read("host_tools-older", "site") if r["status"] == "failed"]
    assert [message[:5] for message in failed] == ["AH186"]
    assert host.check_output(f"sha256sum {RECORD} {COUNT} {MARKER} /etc/fstab") == kept


def test_what_is_on_it_is_shown_and_without_a_reason_nothing_is_changed(
    host: Any, own: dict[str, str], snapshot: str
) -> None:
    kept = host.check_output(f"sha256sum {RECORD} {COUNT} {MARKER} /etc/fstab")
    for arguments, code in (
        ((), "AH187"),
        (("--because", "hope"), "AH187"),
        (("--because", "restore", "--data", own["sdc"]), "AH193"),
    ):
        said = rebind(host, "--state", own["sdc"], *arguments)
        assert said.rc == 1
        assert code in said.stderr
    shown = rebind(host, "--state", own["sdc"]).stdout
    assert re.search(
        r"^state disk   /dev/sdc \(8 GiB; ext4, UUID \S+\), mounted at /data-state$", shown, re.M
    )
    assert re.search(
        r"^marker       instance \S+, layout flat, epoch \d+, count \d+ \(this host", shown, re.M
    )
    assert re.search(r"^database     system.duckdb: .*, last written \d+-.* ago$", shown, re.M)
    assert re.search(r"^rows         not counted: ", shown, re.M)
    assert "AH188" in rebind(host, "--state", "5ca1ab1e-0000-4000-8000-00000000dead").stderr
    assert rebind(host).rc == 2
    assert host.check_output(f"sha256sum {RECORD} {COUNT} {MARKER} /etc/fstab") == kept


def test_with_a_reason_the_stack_goes_on_with_it_and_the_newer_disk_is_refused(
    host: Any, own: dict[str, str], snapshot: str
) -> None:
    said = rebind(host, "--state", own["sdc"], "--because", "restore")
    assert said.rc == 0, said.stderr
    noted = record(host)["rebinds"][-1]
    assert noted["because"] == "restore"
    assert noted["disks"] == {"state": {"uuid": own["sdc"], "before": own["sdc"]}}
    assert "because: restore" in host.check_output(
        "journalctl --boot --no-pager --identifier agnes-host"
    )
    start(host)
    disk, kept = counts(host)
    assert disk == kept
    assert (
        "nothing is to be done"
        in rebind(host, "--state", own["sdc"], "--because", "restore").stdout
    )

    # While the stack runs, what would be under it does not change.
    host.check_output(STOP)
    swap(host, "sdc", own["sdc number"])
    host.check_output("mount /data-state")
    assert "AH186" in host.run("agnes-host guard").stderr
    host.check_output("umount /data-state")
    swap(host, "sdc", snapshot)


def test_another_disk_with_the_content_takes_its_place_in_record_and_fstab(
    host: Any, own: dict[str, str], snapshot: str
) -> None:
    new = "5ca1ab1e-0000-4000-8000-00000000beef"
    host.check_output(f"e2fsck -fy /dev/sdc; tune2fs -U {new} /dev/sdc")
    assert "AH181" in host.run("agnes-host guard").stderr
    said = rebind(host, "--state", new, "--because", "replaced")
    assert said.rc == 0, said.stderr
    assert host.check_output("cat /etc/fstab") == own["fstab"].replace(own["sdc"], new)
    start(host)
    assert host.check_output("findmnt -no UUID /data-state") == new
    assert record(host)["disks"]["state"]["uuid"] == new
    # Not while another one is mounted in its place.
    host.check_output("mknod /dev/sdd b " + own["sdc number"])
    try:
        said = rebind(host, "--state", own["sdc"], "--because", "replaced")
        assert "AH193" in said.stderr
    finally:
        host.check_output("rm /dev/sdd")
    host.check_output(STOP)
    swap(host, "sdc", own["sdc number"])
    assert rebind(host, "--state", own["sdc"], "--because", "replaced").rc == 0
    assert host.check_output("cat /etc/fstab") == own["fstab"]
    start(host)


def test_a_lost_record_and_a_disk_that_can_only_be_read_are_told(
    host: Any, own: dict[str, str]
) -> None:
    instance = record(host)["instance_id"]
    host.check_output("systemctl stop docker.socket docker")
    host.check_output("mount -o remount,ro /data-state")
    said = host.run("agnes-host guard")
    host.check_output("mount -o remount,rw /data-state")
    assert "AH030: '/dev/sdc' for /data-state is read-only" in said.stderr

    host.check_output("mv /var/lib/agnes-host /var/lib/aside")
    try:
        said = host.run("agnes-host guard")
        assert "--because new-boot-disk" in said.stderr
        both = ("--data", own["sdb"], "--state", own["sdc"])
        assert rebind(host, *both, "--because", "new-boot-disk").rc == 0
        made = record(host)
        assert made["instance_id"] == instance
        assert {role: disk["uuid"] for role, disk in made["disks"].items()} == {
            "data": own["sdb"], "state": own["sdc"],
        }  # fmt: skip
        host.check_output("agnes-host guard")
    finally:
        # What the tools have replaced is in it, and is of use to others.
        host.check_output("rm -rf /var/lib/agnes-host && mv /var/lib/aside /var/lib/agnes-host")


def test_swapped_names_and_a_missing_link_change_nothing(
    host: Any, own: dict[str, str], name: str, facts: dict[str, Any]
) -> None:
    host.check_output(STOP)
    host.check_output("umount /data")
    swap(host, "sdb", own["sdc number"])
    swap(host, "sdc", own["sdb number"])
    try:
        start(host)
        for point, disk in (("/data", "sdb"), ("/data-state", "sdc")):
            assert host.check_output(f"findmnt -no UUID {point}") == own[disk]
        named = {**facts, "disks_state_device": "/dev/disk/by-id/gone"}
        done = play("host_tools-swapped", {name: named})
        assert done.returncode == 0, done.stdout + done.stderr
        made = records.actions(records.read("host_tools-swapped", "site"), name)
        assert not [action for action in made if action[0].endswith("disks")], made
        assert host.check_output("cat /etc/fstab") == own["fstab"]
        said = " ".join(done.stdout.split())
        assert (
            "disks_data_device names '/dev/sdb'; /dev/sdc, this host's own, is kept for /data"
            in said
        )
        assert "disks_state_device names '/dev/disk/by-id/gone', which does not exist" in said
    finally:
        host.check_output(STOP + " && umount /data")
        swap(host, "sdb", own["sdb number"])
        swap(host, "sdc", own["sdc number"])
        start(host)
