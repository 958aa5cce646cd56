# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots without disks, of a host that holds Docker back: nothing starts, nothing is written, all is told."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import records
from play import play

MESSAGE = "/run/motd.d/agnes-host"
AWAY = "/etc/systemd/system/lab-mounts.service.d/away.conf"
SHORT = "/etc/systemd/system/agnes-host-guard.service.d/short.conf"
LOOK = (
    "mount --bind / /mnt; ls -A /mnt; cd /mnt; "
    "find data data-state opt/agnes var/lib/agnes-host -printf '%p %y %m %U %s %T@ %C@\\n' "
    "-type f -exec sha256sum {} +; cd /; umount /mnt"
)
"""Prints what is on the root filesystem at the places of the stack, under every mount."""


def lines_of(host: Any, unit: str) -> str:
    return str(host.check_output(f"journalctl --boot --no-pager --output cat --unit {unit}"))


def parent(host: Any) -> list[str]:
    listing: str = host.check_output(f'unshare --mount sh -euc "{LOOK}"')
    assert "data-state d " in listing
    return sorted(listing.splitlines())


def reboot(name: str, host: Any) -> None:
    """Until the boot is over."""
    subprocess.run(["docker", "restart", "--time", "60", name], check=True, capture_output=True)
    wait_for_boot(host)


def wait_for_boot(host: Any) -> None:
    """Whether all of it went well or not."""
    deadline = time.monotonic() + 180
    while host.run("systemctl is-system-running").stdout.strip() not in ("running", "degraded"):
        assert time.monotonic() < deadline, host.run("systemctl list-jobs").stdout
        time.sleep(1)


def write(host: Any, path: str, *lines: str) -> None:
    text = "\\n".join(lines)
    host.check_output(f"mkdir -p $(dirname {path}) && printf '{text}\\n' > {path}")


@pytest.fixture(scope="module", autouse=True)
def no_ticks(host: Any) -> Iterator[None]:
    """No tool comes in between."""
    timers = "agnes-auto-upgrade.timer agnes-tls-rotate.timer"
    host.check_output(f"systemctl disable --quiet --now {timers}")
    yield
    host.check_output(f"systemctl enable --quiet --now {timers}")


@pytest.fixture(scope="module")
def away(name: str, host: Any) -> tuple[list[str], list[str]]:
    """A host at whose boot both disks were away: what was on its root filesystem before, and their numbers."""
    numbers = host.check_output("stat -c '%Hr %Lr' /dev/sdb /dev/sdc").splitlines()
    write(host, AWAY, "[Service]", "ExecStartPre=/bin/rm -f /dev/sdb /dev/sdc")
    # Nobody waits for what a test keeps away.
    write(host, SHORT, "[Service]", "ExecStart=", "ExecStart=agnes-host guard --wait 4")
    host.check_output("systemctl daemon-reload && systemctl stop docker.socket docker")
    before = parent(host)
    reboot(name, host)
    return before, numbers


def test_the_first_run_has_installed_it_and_it_was_asked_at_each_start(host: Any) -> None:
    required = host.check_output("systemctl show --property Requires --value docker")
    assert "agnes-host-guard.service" in required.split()
    assert "Docker may start" in host.check_output("agnes-host guard")
    assert not host.file(MESSAGE).exists
    for path in ("/data", "/data-state"):
        flags = host.check_output(
            f"unshare --mount sh -euc 'mount --bind / /mnt; lsattr -d /mnt{path}'"
        )
        assert "i" in flags.split()[0]


def test_without_its_disks_the_host_comes_up_and_docker_does_not(
    host: Any, away: tuple[list[str], list[str]]
) -> None:
    assert host.run("systemctl is-active docker docker.socket").stdout.split() == [
        "inactive", "inactive",
    ]  # fmt: skip
    for unit in ("ssh", "dbus"):
        assert host.run(f"systemctl is-active {unit}").stdout.strip() == "active"
    assert host.check_output("systemctl is-failed agnes-host-guard") == "failed"
    told = "AH181: this host's data disk (UUID "
    for where in (
        host.file(MESSAGE).content_string,
        lines_of(host, "agnes-host-guard"),
        host.run("systemctl status --no-pager --full agnes-host-guard").stdout,
    ):
        assert told in where
        assert "'systemctl start docker'" in where
        assert "'chattr -i /data'" in where
    # Calls of docker say so at once, and so do the tools.
    assert "Cannot connect" in host.run("timeout 10 docker ps").stderr
    status = host.run("timeout 60 agnes-host status")
    assert status.rc == 1
    assert "PROBLEM      the data disk" in status.stdout
    # Nor do scripts write there, that know nothing of a guard.
    for path in ("/data/state", "/data-state/certs"):
        assert "Operation not permitted" in host.run(f"mkdir -p {path}").stderr
    assert host.run("systemctl start docker").rc != 0
    assert parent(host) == away[0]


def test_a_run_then_names_the_disk_and_changes_nothing(
    name: str, facts: dict[str, Any], host: Any, away: tuple[list[str], list[str]]
) -> None:
    done = play("host_tools-away", {name: facts})
    assert done.returncode != 0
    said = [r["msg"] for r in records.read("host_tools-away", "site") if r["status"] == "failed"]
    assert len(said) == 1
    assert said[0].startswith("AH035: this host's data disk (UUID "), said
    assert parent(host) == away[0]


def test_when_they_are_back_one_command_brings_all_up(
    host: Any, away: tuple[list[str], list[str]]
) -> None:
    # They come while Docker's start waits for them, as at a boot.
    host.check_output(f"rm {AWAY} {SHORT} && systemctl daemon-reload")
    made = "; ".join(f"mknod /dev/{disk} b {n}" for disk, n in zip(("sdb", "sdc"), away[1]))
    host.check_output(f"systemd-run --quiet --on-active=4 sh -c '{made}' && systemctl start docker")
    assert re.search(r"waiting for [89]\d s: AH181", lines_of(host, "agnes-host-guard"))
    assert host.check_output("findmnt --noheadings --output TARGET /data-state") == "/data-state"
    health = "docker inspect --format '{{.State.Health.Status}}' agnes-app-1"
    host.check_output(f"timeout 120 sh -c 'until [ \"$({health})\" = healthy ]; do sleep 1; done'")
    assert not host.file(MESSAGE).exists
    assert host.run("agnes-host status").rc == 0


def test_a_copy_of_a_disk_beside_it_holds_docker_back_until_it_is_gone(
    host: Any, tmp_path: Path
) -> None:
    uuid = host.check_output("blkid --probe --output value --match-tag UUID /dev/sdc")
    image = tmp_path / "clone.img"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-U", uuid, str(image)], check=True)
    attach = ["losetup", "--find", "--show", str(image)]
    loop = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    try:
        host.check_output(f"mknod /dev/sdd b 7 {loop.removeprefix('/dev/loop')}")
        said = host.run("agnes-host guard")
        assert said.rc == 1
        assert (
            "AH183: several devices carry the filesystem of this host's state disk" in said.stderr
        )
        assert "/dev/sdd" in said.stderr
        # An engine that runs is not stopped.
        assert host.run("systemctl start docker").rc != 0
        assert host.run("docker ps").rc == 0
    finally:
        host.run("rm -f /dev/sdd")
        subprocess.run(["losetup", "--detach", loop], check=True)
    assert host.run("systemctl start docker").rc == 0
    assert not host.file(MESSAGE).exists
