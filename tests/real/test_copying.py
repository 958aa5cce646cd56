# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies on real filesystems, and for each property the proof that the comparison sees it missing."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.copy import copy_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.core.copy import copying as core
from ansible_collections.agnes.host.plugins.module_utils.core.copy.copying import Proof
from ansible_collections.agnes.host.plugins.module_utils.core.copy.manifest import RULES
from ansible_collections.agnes.host.plugins.module_utils.system.copy import copying, manifest_file
from ansible_collections.agnes.host.plugins.module_utils.system.copy.copying import Copy, ReadAhead
from ansible_collections.agnes.host.plugins.module_utils.system.disks.devices import maj_min_of

from . import sample
from .conftest import Filesystem

KEY = bytes(range(32))
PAIRS = [("ext4", "xfs"), ("xfs", "ext4"), ("ext4", "ext4")]


def proof_of(path: Path) -> Proof:
    return Proof(maj_min_of(path.stat().st_dev), path.is_mount())


@contextmanager
def copy_of(source: Path, target: Path, **differs: Any) -> Iterator[Copy]:
    with copying.opened_copy(str(source), str(target), proof_of(source)) as copy:
        yield replace(copy, **differs)


def open_and_close(source: Path, target: Path, proof: Proof) -> None:
    with copying.opened_copy(str(source), str(target), proof):
        pass


def manifests(tmp_path: Path) -> str:
    (tmp_path / "manifests").mkdir(mode=0o700, exist_ok=True)
    return str(tmp_path / "manifests")


def differences(copy: Copy, tmp_path: Path) -> list[str]:
    """All that the proof finds."""
    folder = manifests(tmp_path)
    files = [os.path.join(folder, name) for name in ("a", "b")]
    for fd, file in zip((copy.source, copy.target), files, strict=True):
        manifest_file.keep(fd, file, KEY, copy.rules)
    with open(files[0], "rb") as one, open(files[1], "rb") as other:
        return manifest_file.compare(one, other, 1000)[1]


@pytest.mark.parametrize(("from_", "to"), PAIRS)
def test_a_copy_has_everything(from_: str, to: str, filesystem: Filesystem, tmp_path: Path) -> None:
    source, target = sample.make(filesystem(from_, "source")), filesystem(to, "target")
    with copy_of(source, target) as copy:
        copy.check_room()
        decision = copy.precopy(budget_seconds=60)
        assert (decision.stop, len(copy.rounds), copy.rounds[0].rest) == (True, 1, 0)
        copy.final()
        copy.sync()
        totals = copy.prove(manifests(tmp_path), ReadAhead(KEY))
    assert totals.size > sample.SPARSE
    assert totals.allocated < 32 << 20
    assert totals.outside == ()
    assert not (target / "duckdb-tmp").exists()
    assert (target / "sparse").stat().st_blocks * 512 < 1 << 20
    assert (target / "with-cap").stat().st_mode == (source / "with-cap").stat().st_mode
    assert os.getxattr(target / "with-acl", "system.posix_acl_access") == sample.acl(70, 6)


WITHOUT = [
    ("-aHAXSx", [], []),
    ("-aHASx", [], ["'with-cap': attribute security.capability is missing in the copy"]),
    ("-aHAXx", [], ["'sparse': the copy has data on disk where the source has a hole"]),
    ("-aAXSx", [], ["'hard-a': hard link to 'hard-a' in the source, none in the copy"]),
    ("-aHXSx", [], ["'with-acl': attribute system.posix_acl_access is missing in the copy"]),
    ("-aHAXSx", ["--no-times"], ["'old': mtime "]),
    ("-aHAXSx", ["--no-owner"], ["'system.duckdb': owner 999 in the source, 0 in the copy"]),
    ("-aHAXSx", ["--no-group"], ["'system.duckdb': group 999 in the source, 0 in the copy"]),
    ("-aHAXSx", ["--no-perms"], ["'sticky': mode 1644 in the source, "]),
    ("-aHAXSx", ["--no-links"], ["'dangling': is missing in the copy"]),
    ("-aHAXSx", ["--no-devices"], ["'null': is missing in the copy"]),
    ("-aHAXSx", ["--no-specials"], ["'fifo': is missing in the copy", "'socket': is missing"]),
    ("-aHAXSx", ["--modify-window=0"], ["'old': mtime "]),
    ("-dogptHAXSx", [], ["'sub/hard-c': is missing in the copy"]),
]


@pytest.mark.parametrize(
    ("letters", "more", "wanted"), WITHOUT, ids=[" ".join([w[0], *w[1]]) for w in WITHOUT]
)
def test_each_option_that_is_dropped_is_seen(
    letters: str, more: list[str], wanted: list[str], filesystem: Filesystem, tmp_path: Path
) -> None:
    source, target = sample.make(filesystem("ext4", "source")), filesystem("ext4", "target", 1400)
    # Of an earlier pass, and less than a second off.
    shutil.copy2(source / "old", target / "old")
    os.utime(target / "old", ns=(0, (source / "old").stat().st_mtime_ns + 1))
    with copy_of(source, target, options=[letters, *core.OPTIONS[1:], *more]) as copy:
        copy._pass([])
        differing = differences(copy, tmp_path)
    for line in wanted:
        assert [each for each in differing if each.startswith(line)], differing
    assert bool(differing) == bool(wanted)


def _touched(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"!")


CHANGES = {
    "content": (lambda top: (top / "empty").write_bytes(b"1"), "'empty': size 0 in the source"),
    "mode": (lambda top: (top / "setuid").chmod(0o755), "'setuid': mode 4755"),
    "xattr": (lambda top: os.removexattr(top / "with-xattr", "trusted.of"), "'with-xattr': attr"),
    "device": (
        lambda top: ((top / "null").unlink(), os.mknod(top / "null", 0o20666, os.makedev(1, 5))),
        "'null': device (1, 3) in the source, (1, 5) in the copy",
    ),
    "link": (
        lambda top: ((top / "dangling").unlink(), os.symlink("other", top / "dangling")),
        "'dangling': link to 'nowhere' in the source, 'other' in the copy",
    ),
    "more": (lambda top: (top / "sub" / "more").touch(), "'sub/more': is in the copy only"),
    "time": (lambda top: os.utime(top / "sub", ns=(5, 5)), "'sub': mtime 987654321000000001"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_that_differs_is_refused(
    change: str, filesystem: Filesystem, tmp_path: Path
) -> None:
    source, target = sample.make(filesystem("ext4", "source")), filesystem("xfs", "target")
    act, wanted = CHANGES[change]
    with copy_of(source, target) as copy:
        copy.final()
        act(target)
        with pytest.raises(errors.CopyDiffers, match="AH083") as refused:
            copy.prove(manifests(tmp_path), ReadAhead(KEY))
        copy.final()
        copy.prove(manifests(tmp_path), ReadAhead(KEY))
    assert wanted in str(refused.value)


def test_a_byte_that_changed_behind_the_same_time_and_size_is_seen(
    filesystem: Filesystem, tmp_path: Path
) -> None:
    """Rsync's quick check does not see it; the checksums of the group and the manifest do."""
    source, target = sample.make(filesystem("ext4", "source")), filesystem("ext4", "target")
    with copy_of(source, target) as copy:
        copy.final()
        for name in ("system.duckdb", ".jwt_secret"):
            info = (target / name).stat()
            with open(target / name, "r+b") as file:
                file.write(b"?")
            os.utime(target / name, ns=(info.st_atime_ns, info.st_mtime_ns))
        copy.final()
        with pytest.raises(errors.CopyDiffers) as refused:
            copy.prove(manifests(tmp_path), ReadAhead(KEY))
    assert "(1 differences: '.jwt_secret': content differs)" in str(refused.value)


def test_zeros_that_a_power_cut_left_of_a_copy_cut_off_earlier_are_copied_again(
    filesystem: Filesystem, tmp_path: Path
) -> None:
    """A file can have its size and its time, and yet not what was in it: see test_blocklog.py."""
    source, target = sample.make(filesystem("ext4", "source")), filesystem("ext4", "target")
    with copy_of(source, target) as copy:
        copy.precopy(budget_seconds=60)
    info = (target / ".jwt_secret").stat()
    with open(target / ".jwt_secret", "r+b") as file:
        file.write(bytes(info.st_size))
    os.utime(target / ".jwt_secret", ns=(info.st_atime_ns, info.st_mtime_ns))
    with copy_of(source, target) as copy:
        copy.precopy(budget_seconds=60)
        copy.final()
        copy.prove(manifests(tmp_path), ReadAhead(KEY))


def test_stale_files_of_the_database_go_from_the_target(
    filesystem: Filesystem, tmp_path: Path
) -> None:
    source, target = sample.make(filesystem("ext4", "source")), filesystem("ext4", "target")
    (source / "system.duckdb.wal").unlink()
    (target / "system.duckdb.wal").write_bytes(b"of another database")
    with copy_of(source, target) as copy:
        copy.final()
        copy.prove(manifests(tmp_path), ReadAhead(KEY))
    assert not (target / "system.duckdb.wal").exists()


def test_an_empty_tree_is_no_source_and_other_proofs_fail(
    filesystem: Filesystem, tmp_path: Path
) -> None:
    source, target = filesystem("ext4", "source"), filesystem("ext4", "target")
    sample.write(target / "precious")
    good = proof_of(source)
    cases = [(good, "an empty directory"), (replace(good, maj_min="0:1"), "device "),
             (replace(good, is_mount=False), "a mount point")]  # fmt: skip
    for proof, said in cases:
        with pytest.raises(errors.SourceUnproved, match=f"found {said}"):
            open_and_close(source, target, proof)
    (source / "file").touch()
    with pytest.raises(errors.SourceUnproved, match=r"found no system\.duckdb"):
        open_and_close(source, target, good)
    (source / RULES.without[0]).write_text('{"instance_id": "a"}')
    with pytest.raises(errors.SourceUnproved, match="a marker with instance_id 'a'"):
        open_and_close(source, target, replace(good, marker={"instance_id": "b"}))
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(errors.SourceUnproved, match="a link on the way"):
        open_and_close(tmp_path / "link", target, good)
    assert (target / "precious").read_bytes() == b"x"


def test_a_pass_that_would_delete_most_of_the_target_fails(filesystem: Filesystem) -> None:
    source, target = sample.make(filesystem("ext4", "source")), filesystem("ext4", "target")
    for number in range(150):
        (target / str(number)).touch()
    with copy_of(source, target) as copy:
        copy.check_room()
        with pytest.raises(errors.CopyFailed, match="rsync ended with 25"):
            copy.final()
    assert len(os.listdir(target)) >= 50


def test_a_mount_inside_is_refused(filesystem: Filesystem, tmp_path: Path) -> None:
    source, target = sample.make(filesystem("ext4", "source")), filesystem("ext4", "target")
    subprocess.run(["mount", "--bind", str(source / "sub"), str(source / "inherits")], check=True)
    with pytest.raises(errors.TreeCrosses, match="source/inherits"), copy_of(source, target):
        pass
    fd = os.open(source, os.O_RDONLY)
    with pytest.raises(errors.TreeCrosses, match="'inherits'"):
        manifest_file.measure(fd)
    os.close(fd)


def test_immutable_files_are_refused_before_anything_is_copied(filesystem: Filesystem) -> None:
    source, target = sample.make(filesystem("ext4", "source")), filesystem("ext4", "target")
    subprocess.run(["chattr", "+i", str(source / "old")], check=True)
    with (
        copy_of(source, target) as copy,
        pytest.raises(errors.FlaggedFiles, match="'old' immutable"),
    ):
        copy.check_room()
    subprocess.run(["chattr", "-i", str(source / "old")], check=True)
    assert os.listdir(target) == ["lost+found"]


def test_room_and_inodes_are_checked_first(filesystem: Filesystem) -> None:
    source, target = filesystem("ext4", "source"), filesystem("ext4", "target", 8)
    sample.write(source / "system.duckdb", os.urandom(9 << 20))
    with copy_of(source, target) as copy, pytest.raises(errors.NoRoom, match="wanted 10"):
        copy.check_room()
    sample.write(source / "system.duckdb", b"")
    for number in range(3000):
        (source / str(number)).touch()
    with copy_of(source, target) as copy, pytest.raises(errors.NoRoom, match="inodes, wanted 3002"):
        copy.check_room()


def test_two_copies_to_one_target_exclude_each_other(filesystem: Filesystem) -> None:
    source, target = sample.make(filesystem("ext4", "source")), filesystem("ext4", "target")
    with copy_of(source, target), pytest.raises(errors.CopyBusy), copy_of(source, target):
        pass
    holder = os.open(target, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    child = subprocess.Popen(["sleep", "60"], pass_fds=[holder])
    os.close(holder)
    try:
        with pytest.raises(errors.CopyBusy):
            open_and_close(source, target, proof_of(source))
    finally:
        child.kill()
        child.wait()
    with copy_of(source, target) as copy:
        copy.final()
