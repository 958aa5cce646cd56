# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.disks.mounts import on_top
from ansible_collections.agnes.host.plugins.module_utils.system.disks import devices, mountinfo

ROOT = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"
DATA = "40 22 8:16 / /data rw shared:2 master:3 - ext4 /dev/sdb rw"
TMPFS = "41 22 0:40 / /data rw - tmpfs tmpfs rw"
BIND = "42 22 8:16 /uploads /srv/up rw - ext4 /dev/sdb rw"
OTHER = "43 22 8:32 / /data rw - xfs /dev/sdc rw"
SPACE = "44 22 8:16 / /mnt/my\\040disk rw - ext4 /dev/sdb rw"
ACCENT = "45 22 8:16 / /mnt/é rw - ext4 /dev/sdb rw"
ARROW = "46 22 8:16 / /data→ rw - ext4 /dev/sdb rw"

BTRFS = "47 22 0:45 / /data rw - btrfs /dev/sdb rw"

TEST_MOUNTS: list[Any] = [
    pytest.param([ROOT, DATA], [("/", "8:1", "/"), ("/data", "8:16", "/")], id="two"),
    pytest.param([DATA, OTHER], [("/data", "8:32", "/")], id="the-topmost"),
    pytest.param([DATA, TMPFS], [], id="a-tmpfs-on-top-shadows-the-disk"),
    pytest.param([TMPFS, DATA], [("/data", "8:16", "/")], id="the-disk-on-top"),
    pytest.param([BIND], [("/srv/up", "8:16", "/uploads")], id="a-bind-says-its-root"),
    pytest.param([SPACE], [("/mnt/my disk", "8:16", "/")], id="escapes"),
    pytest.param([ACCENT], [("/mnt/é", "8:16", "/")], id="beyond-ascii"),
    pytest.param(
        [ARROW], [("/data→", "8:16", "/")], id="beyond-latin-1",
    ),
    pytest.param(
        [BTRFS], [("/data", "0:45", "/")], id="a-disk-whose-filesystem-has-a-number-of-its-own",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), TEST_MOUNTS)
def test_mounts(
    lines: list[str], expected: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(path: str, **_how: Any) -> io.StringIO:
        assert path == "/proc/self/mountinfo"
        return io.StringIO("\n".join([*lines, ""]))

    monkeypatch.setattr(mountinfo, "open", opened, raising=False)
    mounts = devices.mounts([])
    assert len(mounts) == len(lines)  # shadowed ones too
    assert [(m["target"], m["maj_min"], m["root"]) for m in on_top(mounts)] == expected


def test_what_containers_and_the_kernel_mount_is_left_out_but_not_what_lies_on_a_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = [
        "50 22 0:50 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw", DATA, TMPFS,
        "51 22 0:51 / /data/state rw - tmpfs tmpfs rw", "52 22 0:5 / /proc rw - proc proc rw",
    ]  # fmt: skip
    text = "\n".join([*lines, ""])
    monkeypatch.setattr(mountinfo, "open", lambda *_a, **_k: io.StringIO(text), raising=False)
    assert [(m["target"], m["maj_min"]) for m in devices.mounts([])] == [
        ("/data", "8:16"), ("/data", "0:40"), ("/data/state", "0:51"),
    ]  # fmt: skip


def test_a_mount_has_the_uuid_of_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    known: Any = [{"path": "/dev/sdb", "maj_min": "8:16", "filesystem": {"uuid": "u-1"}}]
    monkeypatch.setattr(
        mountinfo, "open", lambda *_a, **_k: io.StringIO(DATA + "\n"), raising=False
    )
    (mount,) = devices.mounts(known)
    assert (mount["uuid"], mount["fstype"], mount["source"]) == ("u-1", "ext4", "/dev/sdb")


def test_a_path_is_resolved_and_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "none")
    wrong = {
        "none": "does not exist", "link": "is a dangling link", "file": "is not a block device",
        ".": "is not a block device", "file/x": "can't be read (Not a directory)",
    }  # fmt: skip
    for name, said in wrong.items():
        named = f"{tmp_path}/{name}"
        assert devices.resolve(named, []) == {"device": named, "problem": said, "maj_min": ""}
    assert devices.resolve("", []) == {"device": "", "problem": "", "maj_min": ""}


MIB = 1024 * 1024
SIZE = 64 * MIB
READ = [0, MIB - 1, SIZE - MIB, SIZE - 1, SIZE // 2, 32768 * 1024 // 4 + 1024]
"""Offsets that must be read: both ends, the middle, a backup superblock of 1 KiB blocks."""


@pytest.mark.parametrize("offset", READ)
def test_one_byte_where_it_counts_is_found(offset: int, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(SIZE)
    assert devices.zeros(str(path), SIZE)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\1")
    assert not devices.zeros(str(path), SIZE)


def test_a_disk_that_can_not_be_read_is_neither_blank_nor_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_signatures", lambda _path: ([], {}))
    monkeypatch.setattr(devices, "SYS", str(tmp_path))
    (tmp_path / "8:16").mkdir()
    (tmp_path / "8:16" / "size").write_text("2048\n")
    absent = devices.device("8:16", f"{tmp_path}/none", {}, samples=True)
    assert absent is not None and "No such file" in absent["probed"]

    (tmp_path / "disk").write_bytes(bytes(MIB))

    def broken(*_args: Any) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", broken)
    device = devices.device("8:16", f"{tmp_path}/disk", {}, samples=True)
    assert device is not None
    assert (device["zeros"], device["probed"]) == (False, "it can't be read: Input/output error")
    device["probed"] = ""
    devices.prove_blank([device], {"data": {"device": "x", "problem": "", "maj_min": "8:16"}})
    assert device["probed"]


@pytest.mark.parametrize("size", [0, 512, 4096, MIB, MIB + 512, 10**10, 2**45])
def test_samples_lie_within_the_disk(size: int) -> None:
    offsets = devices._sample_offsets(size)
    assert all(offset >= 0 and offset + 4096 <= size for offset in offsets)
    assert all(offset % 4096 == 0 for offset in offsets)
    assert len(offsets) <= devices.SAMPLES + 3 * 5


def test_maj_min_of() -> None:
    assert devices.maj_min_of(os.makedev(259, 70000)) == "259:70000"


def test_what_blkid_escapes_for_a_shell_is_read_as_it_is() -> None:
    text = "DEVNAME=/dev/sdb\nLABEL=My\\ Data\nUUID=u-1\nTYPE=ext4\n"
    assert devices.exported(text)["LABEL"] == "My Data"
    assert devices.exported("LABEL=a\\\\b\\'c=d\n")["LABEL"] == "a\\b'c=d"


def script(folder: Path, name: str, body: str) -> None:
    """A program that does what ``body`` says."""
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


PROBES: list[Any] = [
    pytest.param("exit 1", "exit 2", "failed (1)", id="fails"),
    pytest.param("echo '{'", "exit 2", "printed what is no list", id="garbage"),
    pytest.param("echo '[]'", "exit 2", "printed what is no list", id="another-shape"),
    pytest.param("exit 0", "exit 4", "failed (4)", id="the-second-fails"),
    pytest.param("exec sleep 9", "exit 2", "did not end within", id="hangs"),
]


@pytest.mark.parametrize(("wipefs", "blkid", "why"), PROBES)
def test_a_probe_that_could_not_run_finds_nothing_out(
    wipefs: str, blkid: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, body in (("wipefs", wipefs), ("blkid", blkid)):
        script(tmp_path, name, body)
    monkeypatch.setattr(devices, "PROBE_SECONDS", 0.3)
    real = devices.run
    monkeypatch.setattr(
        devices, "run", lambda argv, *a, **k: real([f"{tmp_path}/{argv[0]}", *argv[1:]], *a, **k)
    )
    disk = tmp_path / "disk"
    disk.write_bytes(b"\0" * MIB)
    monkeypatch.setattr(devices, "SYS", str(tmp_path))
    (tmp_path / "8:16").mkdir()
    (tmp_path / "8:16" / "size").write_text("2048\n")
    device = devices.device("8:16", str(disk), {}, samples=True)
    assert device is not None
    assert why in device["probed"]
    assert (device["signatures"], device["zeros"]) == ([], False)


TRAITS: list[Any] = [
    ({}, []),
    ({"model": "Amazon EC2 NVMe Instance Storage        "}, ["ephemeral"]),
    ({"model": "Amazon Elastic Block Store"}, []),
    ({"model": "nvme_card"}, ["ephemeral"]),
    ({"model": "nvme_card-pd"}, []),
    ({"model": "Cruzer Blade", "removable": "1"}, ["removable"]),
    ({"model": "ST4000DM004", "rotational": "1"}, ["rotational"]),
    ({"model": "QEMU HARDDISK", "rotational": "1"}, []),
    ({"model": "Virtual Disk", "rotational": "1"}, []),
    ({"rotational": "1"}, []),
]


@pytest.mark.parametrize(("said", "traits"), TRAITS)
def test_what_a_disk_says_of_its_kind(
    said: dict[str, str], traits: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_EPHEMERAL_LINKS", ())
    sys = tmp_path / "8:16"
    for folder in ("device", "queue"):
        (sys / folder).mkdir(parents=True)
    places = {"model": "device/model", "removable": "removable", "rotational": "queue/rotational"}
    for key, value in said.items():
        (sys / places[key]).write_text(f"{value}\n")
    (sys / "size").write_text("2048\n")
    monkeypatch.setattr(devices, "SYS", str(tmp_path))
    monkeypatch.setattr(devices, "_signatures", lambda _path: ([], {}))
    device = devices.device("8:16", str(tmp_path / "none"), {})
    assert device is not None and device["traits"] == traits
