# SPDX-License-Identifier: GPL-3.0-or-later
"""A power cut at any moment of a move: no byte is lost, and the move ends as if there had been none.

A move is recorded write by write on one disk image that holds every file system it writes.
States that a cut can leave are booted, the unit and a plain run follow, and what docs/moving.md
promises must hold after each: see blocklog/. TORTURE=full (make torture) takes 500 states
of each kind of move, else a few of one. TORTURE_SEED chooses others.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from blocklog import hunt, log

ROOT = Path(__file__).resolve().parents[2]
FULL = os.environ.get("TORTURE") == "full"
SEED = int(os.environ.get("TORTURE_SEED", "1"))
STATES, SHOWN = 500, 40
BEGINNINGS = ("nested", "flat", "copy", "copy_back", "promote")
KINDS = (*BEGINNINGS, *(f"{begin} back" for begin in BEGINNINGS)) if FULL else ("copy",)


def _impossible() -> str:
    """Why it can't be done here. What can be installed is no reason: then it fails."""
    probe = [*hunt.UNSHARE, "sh", "-c", "losetup --find && mount -t tmpfs t /mnt"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return "needs root, mount namespaces and loop devices"
    if (
        "fuse" not in Path("/proc/filesystems").read_text().split()
        and not Path("/dev/fuse").exists()
    ):
        return "needs a kernel with FUSE"
    return ""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """In memory, if there is one; what is found wrong is kept in it."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="blocklog-", dir=memory if memory.is_dir() else tmp_path))
    yield folder
    if not (folder / "evidence").exists():
        shutil.rmtree(folder)


@pytest.mark.skipif(bool(_impossible()), reason=_impossible())
@pytest.mark.parametrize("kind", KINDS)
def test_a_power_cut_at_any_moment_of_a_move(
    place: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = hunt.Recording(ROOT, place / kind.replace(" ", "-"), kind)
    states = recording.states(STATES, SEED)
    assert len(states) >= STATES, f"only {len(states)} states"
    if not FULL:
        states = random.Random(SEED).sample(states, SHOWN)
    judged = recording.judge(states)
    with capsys.disabled():
        print(f"\n{hunt.counts(recording, judged)}; seed {SEED}")
    if not all(each.ok for each in judged):
        (place / "evidence").touch()
        pytest.fail(hunt.told(recording, judged, SEED))


def _log(path: Path, *entries: tuple[int, int, bytes]) -> None:
    """A log in a file: (sector, flags, data) of each entry."""
    parts = [struct.pack("<QQQI", log.MAGIC, 1, len(entries), 512).ljust(512, b"\0")]
    for sector, flags, data in entries:
        head = struct.pack("<QQQQ", sector, len(data) // 512, flags, 0)
        parts += [head.ljust(512, b"\0"), data]
    path.write_bytes(b"".join(parts))


def test_the_states_are_those_that_a_cut_can_leave(tmp_path: Path) -> None:
    one, two, three = (bytes([value]) * 512 for value in (1, 2, 3))
    _log(tmp_path / "log", (0, 0, one), (8, 0, two), (0, 1, b""), (0, 0, three), (16, 0, one))
    windows = log.windows(tmp_path / "log")
    assert [(each.start, each.end, len(each.writes)) for each in windows] == [(0, 2, 2), (3, 5, 2)]
    base = log.Image({})
    states = list(log.states(base, windows, 3, 100, random.Random(1)))
    seen = set()
    for state in states:
        assert state.window == 1
        image = base.after(windows[0].writes).after([windows[1].writes[i] for i in state.chosen])
        assert image.blocks[1][:512] == two  # flushed
        seen.add((image.blocks[0][:512], 2 in image.blocks))
        assert windows[1].start <= state.at <= windows[1].end
        assert all(windows[1].writes[i].entry < state.at for i in state.chosen)
    assert seen == {(one, False), (three, False), (one, True), (three, True)}
    assert len(states) == 4
    # Out of a part of a block and what was there; and the same seed gives the same.
    assert states == list(log.states(base, windows, 3, 100, random.Random(1)))


def test_a_write_that_is_longer_than_a_block_may_be_torn(tmp_path: Path) -> None:
    _log(tmp_path / "log", (7, 0, b"x" * 4096))
    (window,) = log.windows(tmp_path / "log")
    assert [(each.offset, len(each.data)) for each in window.writes] == [(3584, 512), (4096, 3584)]
    image = log.Image({}).after(window.writes)
    image.save(tmp_path / "image", 8192)
    assert (tmp_path / "image").read_bytes() == bytes(3584) + b"x" * 4096 + bytes(512)
    again = log.Image.read(tmp_path / "image")
    assert (again.blocks, again.digest) == (image.blocks, image.digest)
    empty = again.after([log.Write(0, 0, bytes(4096)), log.Write(0, 4096, bytes(4096))])
    assert (empty.blocks, empty.digest) == ({}, 0)
