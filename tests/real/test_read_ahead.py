# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read before the stop is not read again, and whatever is touched after that is."""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.copy import copy_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.core.copy.manifest import SETTLED_NS
from ansible_collections.agnes.host.plugins.module_utils.system.copy import (
    manifest,
    manifest_file,
    memory,
)
from ansible_collections.agnes.host.plugins.module_utils.system.copy.copying import (
    SOURCE_MANIFEST,
    TARGET_MANIFEST,
    Copy,
    ReadAhead,
)
from ansible_collections.agnes.host.plugins.module_utils.system.copy.memory import Memory

from . import sample
from .conftest import Filesystem
from .test_copying import copy_of, manifests

SETTLED = SETTLED_NS / 1e9
LARGE = 4 << 20


def state(filesystem: Filesystem) -> tuple[Path, Path]:
    """A tree that has lain untouched for a while, and an empty filesystem."""
    source, target = sample.make(filesystem("ext4", "source")), filesystem("ext4", "target")
    sample.write(source / "sub" / "large", os.urandom(LARGE))
    sample.write(source / "sub" / "plain")
    os.link(source / "sub" / "large", source / "z-large")
    time.sleep(SETTLED)
    return source, target


@contextmanager
def read(filesystem: Filesystem) -> Iterator[tuple[Copy, ReadAhead, Path, Path]]:
    """A copy, and what is known of it."""
    source, target = state(filesystem)
    with copy_of(source, target) as copy:
        copy.final()
        known = ReadAhead()
        copy.read_ahead(known)
        yield copy, known, source, target


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files of which the content is read, from here on."""
    paths: list[str] = []
    plain = manifest._content

    def content(fd: int, *more: object) -> str:
        paths.append(os.readlink(f"/proc/self/fd/{fd}"))
        return plain(fd, *more)

    monkeypatch.setattr(manifest, "_content", content)
    return paths


def read_from_disk(act: Callable[[], object]) -> int:
    """Bytes that this process has had read from disks while it did something."""

    def total() -> int:
        text = Path("/proc/self/io").read_text()
        return int(next(line.split()[1] for line in text.splitlines() if "read_bytes" in line))

    before = total()
    act()
    return total() - before


def test_what_is_not_touched_is_read_before_the_stop_only_the_database_is_read_once_more(
    filesystem: Filesystem, tmp_path: Path, hashed: list[str]
) -> None:
    with read(filesystem) as (copy, known, source, target):
        # Once, though it has two names.
        assert hashed.count(str(source / "sub/large")) == 1
        assert hashed.count(str(target / "sub/large")) == 1
        assert str(source / "z-large") not in hashed
        hashed.clear()
        (source / "old").write_bytes(b"new")
        copy.final()
        copy.sync()
        again = copy.prove(manifests(tmp_path), known)
        names = ("old", "system.duckdb", "system.duckdb.wal")
        assert sorted(hashed) == sorted(str(top / n) for top in (source, target) for n in names)
        # And the totals are those of a proof that knows nothing.
        afresh = copy.prove(manifests(tmp_path), ReadAhead(known.key))
        assert again == afresh


def test_the_target_is_read_from_its_disk_though_it_is_in_memory(
    filesystem: Filesystem, tmp_path: Path
) -> None:
    source, target = state(filesystem)
    with copy_of(source, target) as copy:
        copy.final()
        copy.sync()
        (target / "sub" / "large").read_bytes()
        known = ReadAhead()
        assert read_from_disk(lambda: copy.read_ahead(known)) > LARGE
        assert read_from_disk(lambda: copy.prove(manifests(tmp_path), known)) < LARGE
        assert read_from_disk(lambda: copy.prove(manifests(tmp_path), ReadAhead())) > LARGE


def _same_size_and_time(path: Path) -> None:
    info = path.stat()
    with open(path, "r+b") as file:
        file.write(b"?")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def _replaced(path: Path) -> None:
    info = path.stat()
    new = sample.write(path.with_name("new"), os.urandom(info.st_size))
    os.utime(new, ns=(info.st_atime_ns, info.st_mtime_ns))
    new.replace(path)


TOUCHES: dict[str, tuple[Callable[[Path], object], str]] = {
    "content": (_same_size_and_time, "content differs"),
    "replaced": (_replaced, "content differs"),
    "mode": (lambda path: path.chmod(0o604), "mode 0"),
    "owner": (lambda path: os.chown(path, 1, 999), "owner "),
    "attribute": (lambda path: os.setxattr(path, "user.new", b"1"), "attribute user.new"),
    "link": (lambda path: os.link(path, path.with_name("zz")), "hard link to"),
}


@pytest.mark.parametrize("side", ["source", "target"])
def test_what_is_touched_after_it_was_read_is_seen(
    side: str, filesystem: Filesystem, tmp_path: Path
) -> None:
    source, target = filesystem("ext4", "source"), filesystem("ext4", "target")
    for name in ("system.duckdb", *TOUCHES):
        sample.write(source / name)
    time.sleep(SETTLED)
    with copy_of(source, target) as copy:
        copy.final()
        known = ReadAhead()
        copy.read_ahead(known)
        assert len(known.source.lines) == len(known.target.lines) == len(TOUCHES)
        for name, (act, _wanted) in TOUCHES.items():
            act((source if side == "source" else target) / name)
        with pytest.raises(errors.CopyDiffers):
            copy.prove(manifests(tmp_path), known)
    kept = [Path(manifests(tmp_path), name) for name in (SOURCE_MANIFEST, TARGET_MANIFEST)]
    with kept[0].open("rb") as one, kept[1].open("rb") as other:
        differing = manifest_file.compare(one, other, 1000)[1]
    for name, (_act, wanted) in TOUCHES.items():
        assert [each for each in differing if each.startswith(f"'{name}': {wanted}")], differing


def test_a_store_into_a_mapping_that_was_there_before_is_seen(
    filesystem: Filesystem, tmp_path: Path
) -> None:
    """A page that is mapped and changed stays writable, and a second store moves no ctime."""
    source, target = state(filesystem)
    with open(source / "sub" / "large", "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[0:1] = b"a"
        time.sleep(SETTLED)
        with copy_of(source, target) as copy:
            copy.final()
            known = ReadAhead()
            copy.read_ahead(known)
            mapped[0:1] = b"b"
            with pytest.raises(errors.CopyDiffers, match="'sub/large': "):
                copy.prove(manifests(tmp_path), known)


def test_what_has_just_been_touched_is_not_remembered(filesystem: Filesystem) -> None:
    source, target = state(filesystem)
    with copy_of(source, target) as copy:
        copy.final()
        known, stop = ReadAhead(), threading.Event()

        def busy() -> None:
            while not stop.is_set():
                (source / "old").touch()
                time.sleep(0.01)

        thread = threading.Thread(target=busy)
        thread.start()
        copy.read_ahead(known)
        stop.set()
        thread.join()
    inodes = {inode for _device, inode in known.source.lines}
    assert (source / "old").stat().st_ino not in inodes
    assert (source / "sub" / "large").stat().st_ino in inodes


def test_a_renamed_directory_is_no_difference(filesystem: Filesystem, tmp_path: Path) -> None:
    """A file in it has another path by then, and a hard link another first name, with no other ctime."""
    with read(filesystem) as (copy, known, source, _target):
        (source / "sub").rename(source / "zz-sub")
        copy.final()
        copy.sync()
        copy.prove(manifests(tmp_path), known)


def test_it_remembers_as_much_as_it_may(
    filesystem: Filesystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "LIMIT", 3)
    with read(filesystem) as (copy, known, _source, _target):
        assert len(known.source.lines) == len(known.target.lines) == 3
        copy.prove(manifests(tmp_path), known)


def test_a_file_of_the_future_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock has been set back since."""
    path = sample.write(tmp_path / "file")
    past = time.time_ns() - 3600 * 10**9
    monkeypatch.setattr(memory.time, "time_ns", lambda: past)
    assert not Memory().may_keep(b"file", path.stat())
