# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual hosts for the tests: provisioned once for each layout, and given to each test as a copy.

VM_REUSE=1 takes those of the last run, to work on a test; what provisions is not tried then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import guest_image
import pytest
from guest import DATA, STATE, Disk, Guest, fresh, image
from images import say
from on_guest import NAME, Hosts, add_row, relax, rows, variables
from play import play
from records import ROOT

FOLDER = ROOT / ".cache" / "vm"
SIZES = {"data": "16G", "state": "8G"}


def disks_in(folder: Path) -> list[Disk]:
    """The disks whose images are in a folder."""
    serials = {"root": "ROOT0001", "data": DATA, "state": STATE}
    return [Disk(folder / f"{n}.qcow2", s, slot) for slot, (n, s) in enumerate(serials.items())]


@pytest.fixture(scope="session")
def base() -> Path:
    """What each guest starts from."""
    return guest_image.ready()


@pytest.fixture(scope="session")
def provisioned(base: Path) -> Callable[[str], Path]:
    """The disks of a host that a first run has made of two blank ones, by its layout."""
    made: dict[str, Path] = {}

    def make(layout: str) -> Path:
        folder = FOLDER / layout
        if layout not in made and not (os.environ.get("VM_REUSE") and (folder / "done").exists()):
            _provision(fresh(folder), base, layout)
        made[layout] = folder
        return folder

    return make


def _provision(folder: Path, base: Path, layout: str) -> None:
    image(folder / "root.qcow2", base / "root.qcow2")
    for disk, size in SIZES.items():
        image(folder / f"{disk}.qcow2", size=size)
    guest = Guest(NAME, folder, base, guest_image.accelerator(base))
    try:
        booted = guest.start(disks_in(folder))
        guest.booted()
        relax(guest)
        began = time.monotonic()
        done = play(f"vm-{layout}", variables(guest, layout))
        assert done.returncode == 0, done.stdout + done.stderr
        say(f"{layout}: ssh after {booted:.0f} s, provisioned in {time.monotonic() - began:.0f} s")
        rows(guest)
        add_row(guest)
        guest.off()
    finally:
        guest.kill()
    (folder / "done").touch()


@pytest.fixture
def hosts(
    base: Path, provisioned: Callable[[str], Path], request: pytest.FixtureRequest
) -> Iterator[Hosts]:
    """A guest that is off, with a copy of the disks of a provisioned host."""
    made: list[Guest] = []

    def make(layout: str) -> Guest:
        folder, source = fresh(FOLDER / "test"), provisioned(layout)
        for name in ("root", *SIZES):
            image(folder / f"{name}.qcow2", source / f"{name}.qcow2")
        guest = Guest(NAME, folder, base, guest_image.accelerator(base))
        guest.disks = disks_in(folder)
        made.append(guest)
        return guest

    yield make
    for guest in made:
        guest.kill()
