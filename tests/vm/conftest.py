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
from guest import Guest, fresh, image
from images import say
from on_guest import NAME, Hosts, add_row, copy_of, disks_in, relax, rows, variables
from play import play
from records import ROOT

FOLDER = ROOT / ".cache" / "vm"
SIZES = {"data": "16G", "state": "8G"}


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


@pytest.fixture(scope="session")
def frozen(base: Path, provisioned: Callable[[str], Path]) -> Callable[[str], Path]:
    """Disks and memory of the same host, frozen while the stack runs, by its layout."""
    made: dict[str, Path] = {}

    def make(layout: str) -> Path:
        source, folder = provisioned(layout), FOLDER / f"{layout}-running"
        if layout not in made and not (os.environ.get("VM_REUSE") and (folder / "done").exists()):
            guest = copy_of(source, folder, base)
            try:
                guest.start(guest.disks)
                guest.booted()
                rows(guest)
                guest.freeze(folder / "memory")
            finally:
                guest.kill()
            (folder / "done").touch()
        made[layout] = folder
        return folder

    return make


@pytest.fixture
def hosts(base: Path, provisioned: Callable[[str], Path]) -> Iterator[Hosts]:
    """A guest that is off, with a copy of the disks of a provisioned host."""
    made: list[Guest] = []

    def make(layout: str) -> Guest:
        made.append(copy_of(provisioned(layout), FOLDER / "test", base))
        return made[-1]

    yield make
    for guest in made:
        guest.kill()


@pytest.fixture
def running(base: Path, frozen: Callable[[str], Path]) -> Iterator[Hosts]:
    """A copy of a provisioned host that goes on from where it was frozen, within seconds."""
    made: list[Guest] = []

    def make(layout: str) -> Guest:
        made.append(copy_of(frozen(layout), FOLDER / "test", base))
        made[-1].start(made[-1].disks, memory=frozen(layout) / "memory")
        return made[-1]

    yield make
    for guest in made:
        guest.kill()
