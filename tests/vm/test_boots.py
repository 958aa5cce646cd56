# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots of a real kernel with udev, fstab and systemd's order: what a container can't show."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import Any

import records
from guest import DATA, STATE, Disk, Guest, by_id, image
from images import say
from on_guest import NAME, Hosts, add_row, carried, parents, relax, rows, variables
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
    source = guest.disk(serial)
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


def test_boot_disk_recreated(running: Hosts) -> None:
    """What is on the boot disk is gone: /etc, /opt/agnes, /var/lib/agnes-host."""
    guest = running("flat")
    known = rows(guest)
    uuids = guest.output("blkid -o value -s UUID " + " ".join(map(by_id, (DATA, STATE)))).split()
    guest.off()

    root = guest.disks[0].image
    root.unlink()
    image(root, guest.boot / "root.qcow2")
    guest.start(guest.disks)
    guest.booted()
    relax(guest)
    said = refused(guest, "vm-new-root")
    say(f"boot_disk_recreated: {said}")
    assert f"disks_adopt: [{', '.join(uuids)}]" in said, said
    done = play("vm-adopted", wanted(guest, disks_adopt=uuids))
    assert done.returncode == 0, done.stdout + done.stderr
    in_place(guest, "flat")
    assert known <= rows(guest)


def size_of(guest: Guest, path: str) -> int:
    return int(guest.output(f"df --block-size 1 --output=size {path}").splitlines()[-1])


GROWN = {DATA: ("/data", 16, 18), STATE: ("/data-state", 8, 9)}
"""Where a disk is mounted, and the GiB that it has and gets."""


def test_grow(running: Hosts) -> None:
    """Both disks are made larger under the stack; the kernel is told by its controller alone."""
    guest = running("flat")
    known = rows(guest)
    before = {serial: size_of(guest, GROWN[serial][0]) for serial in GROWN}

    def by() -> dict[str, float]:
        return {s: (size_of(guest, GROWN[s][0]) - before[s]) / 2**30 for s in GROWN}

    for serial, (_place, _has, gets) in GROWN.items():
        guest.enlarge(serial, gets << 30)
    started = "docker inspect --format '{{.Id}} {{.State.StartedAt}}' $(docker ps --quiet)"
    since = guest.output(started)
    done = play("vm-grown", wanted(guest))
    said = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stdout + done.stderr
    for _place, has, gets in GROWN.values():
        assert f"grow its filesystem from {has} GiB to the {gets} GiB of /dev/" in said, said
    grown = by()
    say(f"grow: GiB more, by disk: {grown}")
    assert all(grown[serial] > 0.9 * (gets - has) for serial, (_p, has, gets) in GROWN.items())
    assert guest.output(started) == since
    known.add(add_row(guest))
    assert known <= rows(guest)


def test_restored_from_snapshot(running: Hosts) -> None:
    """The state disk is detached, and an older snapshot of it, made under the stack, is attached in its place."""
    guest = running("flat")
    snapshot = guest.folder / "snapshot.qcow2"
    known = rows(guest)
    with guest.standing_still():
        shutil.copy(guest.disk(STATE).image, snapshot)
    assert add_row(guest) not in known
    uuid = guest.output(f"findmnt --noheadings --output UUID {ELSEWHERE['flat']}")
    guest.output("systemctl stop docker.socket docker && umount /data-state")
    guest.exchange(STATE, snapshot)
    guest.output(f"timeout 60 sh -c 'until test -e {by_id(STATE)}; do sleep 1; done'")

    assert guest.run("systemctl start docker").returncode != 0
    command = f"agnes-host rebind --state {uuid} --because restore"
    for where in (login(guest), guest.output("journalctl --boot --unit agnes-host-guard")):
        assert "AH186: the state in /data-state is older" in where, where
        assert f"'{command}'" in where, where
    shown = guest.run(f"agnes-host rebind --state {uuid}")
    say(f"restored_from_snapshot: {shown.stdout}")
    assert shown.returncode == 1 and "AH187: nothing was changed" in shown.stderr
    assert "database     system.duckdb: " in shown.stdout
    assert guest.run("systemctl start docker").returncode != 0
    guest.output(command)
    guest.output("systemctl reset-failed docker && systemctl start docker")
    in_place(guest, "flat")
    assert rows(guest) == known


def test_stack_guard(running: Hosts) -> None:
    """Boot without the state disk of a host that holds back its stack alone: Docker runs, and what else it has."""
    guest = running("flat")
    known = rows(guest)
    done = play("vm-stack-guard", wanted(guest, agnes_compose_guard="stack"))
    assert done.returncode == 0, done.stdout + done.stderr
    guest.output(
        "docker run --detach --name other --restart always --entrypoint sleep agnes-demo:1 infinity"
    )
    known |= rows(guest)
    guest.off()
    before = parents(guest)

    guest.start(guest.without(STATE))
    assert guest.booted() == "degraded"
    states = "docker ps --all --format '{{.Names}} {{.State}}'"
    shown = dict(line.split() for line in guest.output(states).splitlines())
    say(f"stack_guard: without the state disk {shown}")
    assert shown.pop("other") == "running"
    assert set(shown.values()) == {"exited"}, shown
    for where in (login(guest), guest.output("journalctl --boot --unit agnes-host-stack")):
        assert "AH181: this host's state disk (UUID " in where, where
        assert "'systemctl start agnes-host-stack'" in where, where
    with guest.standing_still():
        assert parents(guest) == before

    guest.attach(STATE)
    guest.output("systemctl start agnes-host-stack")
    in_place(guest, "flat")
    assert known <= rows(guest)
