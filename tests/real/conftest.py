# SPDX-License-Identifier: GPL-3.0-or-later
"""Real filesystems on loop files, mounted where nobody else sees them.

The process takes a mount namespace of its own before the first test, so what a test
mounts is gone with it, however it ends; loop devices are released with the mount.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.host.waiting import until

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWNS, _REC, _PRIVATE = 0x20000, 0x4000, 1 << 18
NEEDED = ("rsync", "mkfs.ext4", "mkfs.xfs", "mount", "losetup")

Filesystem = Callable[..., Path]


def _unmounted(point: Path) -> bool:
    return subprocess.run(["umount", "--recursive", str(point)], check=False).returncode == 0


@pytest.fixture(scope="session")
def private_mounts() -> None:
    """A mount namespace of this process's own."""
    if os.geteuid() != 0:
        pytest.skip("needs root: makes and mounts filesystems")
    missing = [program for program in NEEDED if not shutil.which(program)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    if _LIBC.unshare(_NEWNS) < 0:
        pytest.skip(f"needs a mount namespace: {os.strerror(ctypes.get_errno())}")
    assert _LIBC.mount(b"none", b"/", None, _REC | _PRIVATE, None) == 0


@pytest.fixture
def filesystem(private_mounts: None, tmp_path: Path) -> Iterator[Filesystem]:
    """Makes and mounts a filesystem of the kind and size (MiB) that is asked for."""
    made: list[Path] = []

    def make(
        kind: str, name: str, mib: int = 320, where: Path = tmp_path, more: Sequence[str] = ()
    ) -> Path:
        image, point = where / f"{name}.img", tmp_path / name
        with open(image, "wb") as file:
            file.truncate(mib << 20)
        quiet = ["-q", "-F"] if kind == "ext4" else ["-q"]
        subprocess.run([f"mkfs.{kind}", *quiet, *more, str(image)], check=True)
        point.mkdir()
        subprocess.run(["mount", "-o", "loop", str(image), str(point)], check=True)
        made.append(point)
        return point

    yield make
    for point in reversed(made):
        # An rsync that was killed gives its files back in no order: its output may end first.
        assert until(partial(_unmounted, point), 5.0)
