# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots of a real kernel with udev, fstab and systemd's order: what a container can't show."""

from __future__ import annotations

from guest import DATA, STATE, Guest
from images import say
from on_guest import Hosts, add_row, carried, rows

ELSEWHERE = {"flat": "/data-state", "nested": "/data/state"}


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
