# SPDX-License-Identifier: GPL-3.0-or-later
"""Full, broken and read-only disks, and a tree that changes under us.

The disks are loop devices whose file lies on a full filesystem (writes fail with EIO when the
kernel flushes) or is cut short (reads fail with EIO): the errors are the kernel's own, on the
way that a broken disk's would come. They stand in for a device that returns errors.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.copy import copy_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.core.copy.manifest import RULES, Entry
from ansible_collections.agnes.host.plugins.module_utils.system.copy import (
    copying,
    manifest,
    manifest_file,
)
from ansible_collections.agnes.host.plugins.module_utils.system.copy.copying import ReadAhead

from . import sample
from .conftest import Filesystem
from .test_copying import KEY, copy_of, manifests

MIB = 1 << 20


@pytest.fixture
def small_memory(private_mounts: None, tmp_path: Path) -> Iterator[Path]:
    """A filesystem in memory with 24 MiB: what lies on it runs full."""
    path = tmp_path / "memory"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def big_source(filesystem: Filesystem, mib: int = 60) -> Path:
    source = filesystem("ext4", "source")
    for number in range(mib):
        sample.write(source / f"f{number}", os.urandom(MIB))
    sample.write(source / "system.duckdb", b"db")
    return source


def broken_disk(filesystem: Filesystem, memory: Path) -> Path:
    """A disk that loses most of what is written on it.

    It has no journal: with one, ext4 makes itself read-only a few seconds after the first write
    that fails, and a slow rsync would end with that error.
    """
    return filesystem("ext4", "target", 200, memory, ("-O", "^has_journal"))


def test_a_target_that_runs_full_fails_and_the_source_stays(
    filesystem: Filesystem, tmp_path: Path
) -> None:
    source, target = big_source(filesystem), filesystem("ext4", "target", 32)
    with copy_of(source, target) as copy:
        with pytest.raises(errors.CopyFailed, match=r"rsync ended with 11: .*No space left"):
            copy.final()
        with pytest.raises(errors.CopyDiffers, match="is missing in the copy"):
            copy.prove(manifests(tmp_path), ReadAhead(KEY))
    assert len(os.listdir(source)) == 62


def test_a_disk_that_can_not_write_is_found_by_the_sync(
    filesystem: Filesystem, small_memory: Path, tmp_path: Path
) -> None:
    """Rsync ends with 0, as it never flushes; without the sync this copy would have been used."""
    source, target = big_source(filesystem), broken_disk(filesystem, small_memory)
    with copy_of(source, target) as copy:
        copy.round()
        # The kernel has told of the full store underneath by either of the two.
        told = r"AH088: .*\((Input/output error|No space left on device)\)"
        with pytest.raises(errors.SyncFailed, match=told):
            copy.sync()


def test_what_a_broken_disk_lost_is_found_by_the_cold_read(
    filesystem: Filesystem, small_memory: Path, tmp_path: Path
) -> None:
    """The second sync says that all is well, as the kernel tells of an error once: nothing retries."""
    source, target = big_source(filesystem), broken_disk(filesystem, small_memory)
    with copy_of(source, target) as copy:
        copy.round()
        with pytest.raises(errors.SyncFailed):
            copy.sync()
        copy.sync()
        with pytest.raises((errors.CopyDiffers, OSError)):
            copy.prove(manifests(tmp_path), ReadAhead(KEY))


def test_a_source_that_can_not_be_read_fails(filesystem: Filesystem, tmp_path: Path) -> None:
    source, target = big_source(filesystem), filesystem("ext4", "target")
    os.sync()
    with copy_of(source, target) as copy:
        subprocess.run(["mount", "-o", "remount,ro", str(source)], check=True)
        for path in source.iterdir():
            if path.is_file():
                with open(path, "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        os.truncate(tmp_path / "source.img", 40 * MIB)
        with pytest.raises(errors.CopyFailed, match=r"rsync ended with 23: .*Input/output error"):
            copy.final()
        with pytest.raises(OSError, match="Input/output error"):
            manifest_file.keep(copy.source, manifests(tmp_path) + "/m", KEY)
    assert os.listdir(manifests(tmp_path)) == []


def test_a_read_only_target_fails(filesystem: Filesystem) -> None:
    source, target = big_source(filesystem, 1), filesystem("ext4", "target", 32)
    subprocess.run(["mount", "-o", "remount,ro", str(target)], check=True)
    wanted = pytest.raises(errors.CopyFailed, match="Read-only file system")
    with wanted, copy_of(source, target) as copy:
        copy.final()


def test_a_file_that_changes_between_rounds_is_copied_again_and_rounds_end(
    filesystem: Filesystem, tmp_path: Path
) -> None:
    source, target = big_source(filesystem, 4), filesystem("xfs", "target")
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            sample.write(source / "system.duckdb", os.urandom(4 * MIB))
            (source / "new").write_bytes(b"1")
            (source / "new").replace(source / "renamed")

    writer = threading.Thread(target=busy)
    with copy_of(source, target) as copy:
        writer.start()
        try:
            decision = copy.precopy(budget_seconds=0)
        finally:
            stop.set()
            writer.join()
        assert decision.stop
        assert 2 <= len(copy.rounds) <= 5
        copy.final()
        copy.sync()
        copy.prove(manifests(tmp_path), ReadAhead(KEY))


def rsync_beside(tmp_path: Path, act: str) -> str:
    """An rsync that does something to the source, its working directory, when it is at work."""
    script = tmp_path / "rsync"
    script.write_text(
        f'#!/bin/sh\n({act}) &\nrsync --bwlimit=20m "$@"; code=$?; wait; exit $code\n'
    )
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize(
    "act", ["sleep 0.5; : > system.duckdb", "sleep 0.5; rm z-last"], ids=["cut_short", "goes"]
)
def test_a_file_that_is_cut_short_while_it_is_copied_or_goes_while_it_waits_ends_no_round(
    act: str, filesystem: Filesystem, tmp_path: Path
) -> None:
    source, target = filesystem("ext4", "source"), filesystem("ext4", "target")
    sample.write(source / "system.duckdb", os.urandom(30 * MIB))
    sample.write(source / "z-last")
    with copy_of(source, target, program=rsync_beside(tmp_path, act)) as copy:
        copy.round()
        with pytest.raises((errors.CopyFailed, errors.CopyDiffers)):
            sample.write(source / "system.duckdb", os.urandom(30 * MIB))
            sample.write(source / "z-last", b"other")
            copy.final()
            copy.prove(manifests(tmp_path), ReadAhead(KEY))
        copy.program = "rsync"
        copy.final()
        copy.prove(manifests(tmp_path), ReadAhead(KEY))


def test_a_target_that_runs_full_in_a_round_fails(filesystem: Filesystem) -> None:
    source, target = big_source(filesystem), filesystem("ext4", "target", 32)
    with copy_of(source, target) as copy, pytest.raises(errors.CopyFailed, match="ended with 11"):
        copy.round()


def test_a_change_within_the_same_second_and_size_is_copied(
    filesystem: Filesystem, tmp_path: Path
) -> None:
    source, target = big_source(filesystem, 1), filesystem("ext4", "target")
    with copy_of(source, target) as copy:
        for content, nanoseconds in ((b"one", 1), (b"two", 2)):
            (source / "small").write_bytes(content)
            os.utime(source / "small", ns=(5, 10**18 + nanoseconds))
            copy.round()
    assert (target / "small").read_bytes() == b"two"


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Does ``act`` again and again in a thread, as uid 999 would."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            act()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def walked(root: Path, quiet: bool) -> list[Entry]:
    fd = os.open(root, os.O_RDONLY)
    try:
        return list(manifest.walk(fd, KEY, RULES, quiet))
    finally:
        os.close(fd)


def test_a_directory_that_is_swapped_for_a_link_is_never_followed(
    filesystem: Filesystem, tmp_path: Path
) -> None:
    """A quiet walk refuses a tree that changes, a walk of a live one goes on; neither leaves the tree."""
    source, outside = filesystem("ext4", "source"), tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"root's")
    (source / "a").mkdir()
    for number in range(50):
        (source / "a" / str(number)).write_bytes(b"1")
    (source / "b").symlink_to(outside)
    libc = ctypes.CDLL(None)

    def swap() -> None:
        libc.renameat2(-100, bytes(source / "a"), -100, bytes(source / "b"), 2)

    refused, seen = 0, set()
    with meanwhile(swap):
        end = time.monotonic() + 3
        while time.monotonic() < end:
            seen |= {entry.path for entry in walked(source, quiet=False)}
            try:
                walked(source, quiet=True)
            except errors.TreeChanged:
                refused += 1
    assert refused > 5
    assert {b"a", b"b"} <= seen
    assert not [path for path in seen if path.endswith(b"secret")]


def test_a_file_that_grows_without_end_has_an_end(filesystem: Filesystem) -> None:
    source = filesystem("ext4", "source")
    (source / "log").touch()

    def grow() -> None:
        with open(source / "log", "ab") as file:
            file.write(b"x" * 4096)

    with meanwhile(grow):
        entries = {e.path: e for e in walked(source, quiet=False)}
        with pytest.raises(errors.TreeChanged, match="'log' changed while it was read"):
            for _try in range(200):
                walked(source, quiet=True)
    assert entries[b"log"].kind == "file"


def test_a_file_that_becomes_a_fifo_has_an_end(
    filesystem: Filesystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rsync waits for ever in opening it; here a file and a FIFO change places all the time."""
    monkeypatch.setattr(copying, "STALL_SECONDS", 2.0)
    source, target = filesystem("ext4", "source"), filesystem("ext4", "target")
    sample.write(source / "system.duckdb", b"db")
    os.mkfifo(source / "fifo")
    libc = ctypes.CDLL(None)

    def swap() -> None:
        libc.renameat2(-100, bytes(source / "system.duckdb"), -100, bytes(source / "fifo"), 2)

    stalled = pytest.raises(errors.CopyFailed, match="nothing was read or written any more")
    with copy_of(source, target) as copy, meanwhile(swap), stalled:
        for _try in range(100):
            with suppress(errors.CopyDiffers):
                copy.round()


def test_a_tree_without_end_has_an_end(filesystem: Filesystem) -> None:
    source = filesystem("ext4", "source")
    fd = os.open(source, os.O_RDONLY)
    for _level in range(manifest.MAX_DEPTH + 10):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    with pytest.raises(errors.TreeTooDeep, match="AH096"):
        walked(source, quiet=True)


KILLED = """
import sys
sys.path.insert(0, "tests")
from pathlib import Path
from real.test_copying import copy_of
source, target = map(Path, sys.argv[1:])
with copy_of(source, target) as copy:
    print("begun", flush=True)
    copy.round()
"""


def test_a_copy_that_is_killed_is_taken_up_again(filesystem: Filesystem, tmp_path: Path) -> None:
    """Rsync dies with its parent; were it still there, its lock would keep another copy out."""
    source, target = big_source(filesystem, 120), filesystem("ext4", "target")
    killed_early = 0
    for delay in (0.0, 0.02, 0.05, 0.08, 0.1):
        command = [sys.executable, "-c", KILLED, str(source), str(target)]
        env = {**os.environ, "PYTHONPATH": ".collections"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            killed_early += process.poll() is None
            process.kill()
        for _try in range(100):
            try:
                with copy_of(source, target):
                    break
            except errors.CopyBusy:
                time.sleep(0.05)
    assert killed_early >= 3
    with copy_of(source, target) as copy:
        copy.final()
        copy.sync()
        copy.prove(manifests(tmp_path), ReadAhead(KEY))
    assert not [name for name in os.listdir(target) if name.startswith(".f")]
