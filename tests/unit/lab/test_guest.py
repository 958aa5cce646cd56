# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's command line for a virtual test host."""

from __future__ import annotations

from pathlib import Path

import guest
import pytest

DISKS = [
    guest.Disk(Path("/g/root.qcow2"), "ROOT0001", 0),
    guest.Disk(Path("/g/data.qcow2"), guest.DATA, 1),
    guest.Disk(Path("/g/state.qcow2"), guest.STATE, 2),
]


def said(disks: list[guest.Disk], option: str, accelerator: str = guest.EMULATED) -> list[str]:
    """The values of an option."""
    line = guest.command("n", Path("/b"), disks, {4022: 22, 4443: 443}, accelerator, Path("/g"))
    return [value for word, value in zip(line, line[1:]) if word == option]


def on_controller(disks: list[guest.Disk]) -> list[str]:
    return [value for value in said(disks, "-device") if value.startswith("driver=scsi-hd")]


@pytest.fixture
def host() -> guest.Guest:
    made = guest.Guest("n", Path("/g"), Path("/b"), guest.EMULATED)
    made.disks = DISKS
    return made


def test_each_disk_has_its_serial_and_its_slot() -> None:
    assert on_controller(DISKS)[2] == (
        "driver=scsi-hd,id=disk2,bus=scsi.0,scsi-id=2,drive=drive2,serial=STATE0001"
    )
    assert said(DISKS, "-drive")[2] == (
        "if=none,id=drive2,file=/g/state.qcow2,format=qcow2,discard=unmap"
    )


def test_a_disk_that_is_away_can_be_attached_later_and_is_no_device_before(
    host: guest.Guest,
) -> None:
    disks = host.without(guest.STATE)
    assert len(on_controller(disks)) == 2
    assert not any(guest.STATE in value for value in said(disks, "-device"))
    assert len(said(disks, "-drive")) == 3


def test_exchanged_disks_keep_their_serials_and_images(host: guest.Guest) -> None:
    disks = host.exchanged(guest.DATA, guest.STATE)
    assert [(d.serial, d.slot, d.image.stem) for d in disks] == [
        ("ROOT0001", 0, "root"), (guest.DATA, 2, "data"), (guest.STATE, 1, "state"),
    ]  # fmt: skip


def test_only_this_machine_reaches_it() -> None:
    assert said(DISKS, "-netdev") == [
        "user,id=net,hostfwd=tcp:127.0.0.1:4022-:22,hostfwd=tcp:127.0.0.1:4443-:443"
    ]


@pytest.mark.parametrize(("accelerator", "cpu"), guest.CPU.items())
def test_it_has_a_processor_that_the_accelerator_knows(accelerator: str, cpu: str) -> None:
    assert said(DISKS, "-accel", accelerator) == [accelerator]
    assert said(DISKS, "-cpu", accelerator) == [cpu]
