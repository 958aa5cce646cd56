# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots of a real kernel with udev, fstab and systemd's order: what a container can't show."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import Any

import records
from guest import DATA, STATE, Disk, Guest
from images import say
from on_guest import NAME, Hosts, add_row, carried, parents, rows, variables
from play import play

ELSEWHERE = {"flat": "/data-state", "nested": "/data/state"}
MESSAGE = "/run/motd.d/agnes-host"


def in_place(guest: Guest, layout: str) -> None:
    assert carried(guest, DATA).split() == ["/data"]
    assert carried(guest, STATE).split() == [ELSEWHERE[layout]]


def test_boot_flat(hosts: Hosts) -> None:
    guest = hosts("flat")
    say(f"boot_flat: ssh after {guest.start(guest.disks):.0f} s, {guest.booted()}")
    in_place(guest, "flat")
    before = rows(guest)
    before.add(add_row(guest))
    say(f"boot_flat: again after {guest.reboot():.0f} s, {guest.booted()}")
    in_place(guest, "flat")
    assert before <= rows(guest)
    assert guest.output("systemctl is-active agnes-host-guard docker ssh; true").split() == [
        "inactive", "active", "active",
    ]  # fmt: skip
    assert "Docker may start" in guest.output("journalctl --boot --unit agnes-host-guard")
    assert guest.run("systemctl --failed --plain --no-legend").stdout == ""


def login(guest: Guest) -> str:
    """What somebody sees who logs in."""
    argv = [*guest.ssh()[:-1], "-tt", guest.ssh()[-1]]
    done = subprocess.run(
        argv, input="exit\n", capture_output=True, text=True, timeout=120, check=False
    )
    return " ".join(done.stdout.split())


def test_boot_without_state_disk(hosts: Hosts) -> None:
    guest = hosts("flat")
    before = parents(guest)
    assert any(line.startswith("data-state d ") for line in before)
    say(f"boot_without_state_disk: ssh after {guest.start(guest.without(STATE)):.0f} s")
    # The host is reached while Docker's start still waits for the disk.
    assert guest.run("systemctl is-active docker").stdout.strip() == "inactive"
    assert guest.booted() == "degraded"
    units = guest.run(
        "systemctl is-active docker docker.socket ssh; systemctl is-failed agnes-host-guard"
    )
    assert units.stdout.split() == ["inactive", "inactive", "active", "failed"]
    for where in (
        guest.output(f"cat {MESSAGE}"),
        guest.output("journalctl --boot --unit agnes-host-guard"),
        guest.run("systemctl status --no-pager --full agnes-host-guard").stdout,
        login(guest),
    ):
        assert "AH181: this host's state disk (UUID " in where
        assert "'systemctl start docker'" in where
    assert "Operation not permitted" in guest.run("mkdir /data-state/certs").stderr
    with guest.standing_still():
        assert parents(guest) == before

    # The disk comes back while the host runs, and one command brings all up.
    guest.attach(STATE)
    guest.output("systemctl start docker")
    in_place(guest, "flat")
    assert rows(guest)
    assert guest.run(f"test -e {MESSAGE}").returncode == 1


def wanted(guest: Guest, **more: Any) -> dict[str, dict[str, Any]]:
    """An inventory of a flat host, with some variables of its own."""
    return {NAME: {**variables(guest, "flat")[NAME], **more}}


def refused(guest: Guest, name: str, **more: Any) -> str:
    """The one sentence with which a check run ends."""
    done = play(name, wanted(guest, **more), "--check")
    said = [r["msg"] for r in records.read(name, "site") if r["status"] == "failed"]
    assert done.returncode != 0
    assert len(said) == 1, said
    return str(said[0])


def with_clone(guest: Guest, serial: str) -> list[Disk]:
    """Its disks, and a copy of one beside it, as a snapshot's restore leaves it."""
    source = next(disk for disk in guest.disks if disk.serial == serial)
    copy = guest.folder / "clone.qcow2"
    shutil.copy(source.image, copy)
    return [*guest.disks, replace(source, image=copy, serial="CLONE0001", slot=len(guest.disks))]


def test_clone_attached(hosts: Hosts) -> None:
    guest = hosts("flat")
    guest.start(guest.disks)
    guest.booted()
    known = rows(guest)
    guest.off()

    alone = guest.disks
    guest.start(with_clone(guest, STATE))
    guest.booted()
    # Which one a boot mounts is chance: the stack runs on the right one, or not at all.
    right = carried(guest, STATE).split() == ["/data-state"]
    say(f"clone_attached: the boot has mounted {'the state disk' if right else 'its copy'}")
    active = guest.run("systemctl is-active docker").stdout.strip()
    assert active == ("active" if right else "inactive")
    if right:
        assert known <= rows(guest)
    else:
        assert "AH183" in login(guest)
        said = refused(guest, "vm-clone")
        assert said.startswith("AH027: "), said
        assert "serial:CLONE0001" in said and "serial:STATE0001" in said
    guest.off()

    guest.start(alone)
    guest.booted()
    in_place(guest, "flat")
    assert known <= rows(guest)
