# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking into a filesystem that is not mounted: nothing is seen of it, and not a byte is written."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.disks import unseen

MARKER = '{"format": 1, "role": "active", "instance_id": "i-1", "epoch": 3}'


def fill(point: Path) -> None:
    """A state disk's top."""
    (point / "system.duckdb").write_text("x")
    (point / ".agnes-state.json").write_text(MARKER)
    (point / "state").symlink_to("/etc")


def image_of(folder: Path, kind: str, dirty: bool) -> Path:
    """An image of a filled filesystem; dirty: as a power cut leaves it, with its journal to be replayed."""
    image, point = folder / f"{kind}.img", folder / kind
    with image.open("wb") as file:
        file.truncate(320 << 20)
    subprocess.run([f"mkfs.{kind}", "-q", *(["-F"] if kind == "ext4" else []), image], check=True)
    point.mkdir()
    subprocess.run(["mount", "-o", "loop", image, point], check=True)
    try:
        fill(point)
        subprocess.run(["sync", "--file-system", point], check=True)
        if dirty:
            (folder / "cut.img").write_bytes(image.read_bytes())
    finally:
        subprocess.run(["umount", point], check=True)
    return folder / "cut.img" if dirty else image


@pytest.mark.parametrize("dirty", [False, True], ids=["clean", "dirty"])
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_look_finds_what_is_there_and_changes_nothing(
    private_mounts: None, tmp_path: Path, kind: str, dirty: bool
) -> None:
    image = image_of(tmp_path, kind, dirty)
    before, mounts = (
        hashlib.sha256(image.read_bytes()).digest(),
        Path("/proc/self/mountinfo").read_text(),
    )
    attach = ["losetup", "--find", "--show", str(image)]
    device = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    try:
        inside = unseen.look(device, kind)
        assert inside["unknown"] == ""
        assert inside["contents"] is not None
        # What is in the journal only is not seen; what is seen is so.
        names = [".agnes-state.json", "state", "system.duckdb"]
        assert inside["contents"]["names"] in ([names, []] if dirty else [names])
        assert dirty or inside["contents"]["marker"]["instance_id"] == "i-1"
        assert inside["contents"]["state_names"] == [], "a link is not followed"
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
        assert Path("/proc/self/mountinfo").read_text() == mounts
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    assert hashlib.sha256(image.read_bytes()).digest() == before


def test_what_can_not_be_mounted_is_unknown(private_mounts: None, tmp_path: Path) -> None:
    image = tmp_path / "none.img"
    image.write_bytes(b"\0" * (1 << 20))
    inside = unseen.look(str(image), "ext4")
    assert inside["unknown"].startswith("ext4: ") and inside["contents"] is None
    assert unseen.look(str(image), "btrfs")["unknown"] == "btrfs is not looked into"


@pytest.mark.parametrize("command", ["ssv last_orphan 12", "feature orphan_present"])
def test_an_ext4_that_a_mount_would_clean_up_is_not_mounted(
    private_mounts: None, tmp_path: Path, command: str
) -> None:
    """As a power cut leaves it while a file that is deleted is still open."""
    image, file = tmp_path / "ext4.img", tmp_path / "file"
    file.write_bytes(os.urandom(100_000))
    subprocess.run(["mkfs.ext4", "-q", "-F", image, "32M"], check=True)
    commands = [f"write {file} file", "sif file links_count 0", "unlink file", command]
    subprocess.run(
        ["debugfs", "-w", "-f", "-", image], check=True, text=True, input="\n".join(commands)
    )
    before = hashlib.sha256(image.read_bytes()).digest()
    attach = ["losetup", "--find", "--show", str(image)]
    device = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    try:
        inside = unseen.look(device, "ext4")
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    assert "not unmounted cleanly" in inside["unknown"] and inside["contents"] is None
    assert hashlib.sha256(image.read_bytes()).digest() == before
