# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of durable acts, as the kernel sees it: data, then the name, then the directory."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.copy.manifest import Entry, to_line
from ansible_collections.agnes.host.plugins.module_utils.system.copy import copying, manifest_file

from .conftest import Filesystem
from .test_copying import KEY, copy_of

KEEP = """
import os, sys
from ansible_collections.agnes.host.plugins.module_utils.system.copy import manifest_file
manifest_file.keep(os.open(sys.argv[1], os.O_RDONLY), sys.argv[2] + "/m", bytes(32))
"""
MOVE = """
import sys
from ansible_collections.agnes.host.plugins.module_utils.move import places
places.retire(sys.argv[1] + "/point", "", "now")
"""


HEAD = """
from types import SimpleNamespace
import os, sys
from ansible_collections.agnes.host.plugins.module_utils.move import context, places
from ansible_collections.agnes.host.plugins.module_utils.system.disks import filesystems
from ansible_collections.agnes.host.plugins.module_utils.system.host import durable
from ansible_collections.agnes.host.plugins.module_utils.system.move import ledger
top = sys.argv[1]
def fails(*_more):
    raise OSError("it is full")
"""
FLUSHED = {
    "made_aside": (
        "places.made_aside(top, 'copy')",
        # The directory of things set aside, in its parent; the new one, in that; once more at its end.
        ["fsync top", "fsync .agnes-host-aside", "fsync .agnes-host-aside"],
    ),
    "take_back": (
        "os.mkdir(top + '/.agnes-host-aside', 0o700); os.symlink('/x', top + '/.agnes-host-aside/copy')\n"
        "os.mkdir(top + '/state'); places.take_back(top + '/state', 'copy', lambda _directory: True)",
        ["rename", "fsync .agnes-host-aside", "fsync .agnes-host-aside", "fsync top"],
    ),
    "set_aside": (
        "os.mkdir(top + '/x'); places.set_aside(top, 'kept')",
        ["fsync top", "rename", "fsync kept", "fsync .agnes-host-aside", "fsync top", "fsync .agnes-host-aside"],
    ),
    "unmake_point": (
        "os.mkdir(top + '/point'); places.unmake_point(top + '/point', '', 'now')",
        ["fsync point", "fsync top"],
    ),
    "settle_env": (
        "durable.write = fails; open(top + '/.env', 'w').close()\n"
        "found = context.MoveContext.__new__(context.MoveContext)\n"
        "found.env_path, found.intent = top + '/.env', SimpleNamespace(project_dir=top); found.settle_env()",
        ["fsync top"],
    ),
    "remove": ("open(top + '/x', 'w').close(); ledger.remove(top + '/x')", ["fsync top"]),
    "note": (
        "ledger.FOLDER, ledger.JOURNAL = top, top + '/journal'; ledger.note('move', 'step', 'done')",
        ["fsync journal", "fsync top"],
    ),
    "make": (
        # mkfs flushes by itself; this is what the engine does beside it.
        "open(top + '/disk', 'w').close(); filesystems.run = lambda *_more, **_options: None\n"
        "filesystems.probe = lambda *_more: {'filesystem': {'uuid': 'u'}}\n"
        "filesystems.not_blank_because = lambda _device: ''\n"
        "filesystems.make('state', 'ext4', 'u', {'path': top + '/disk', 'maj_min': '7:0'})",
        ["fsync disk"],
    ),
    "make_directory": ("durable.make_directory(top + '/new', 0o700)", ["fsync top"]),
}  # fmt: skip
"""What is done in an empty directory ``top``, and how it comes to the disk: where no recorded power cut shows it."""


def durable_acts(program: str, *arguments: Path) -> list[str]:
    """Fsync and rename calls, in order."""
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    command = [
        "strace",
        "-f",
        "-y",
        "-e",
        "trace=fsync,rename,renameat,renameat2",
        "-o",
        "/dev/stderr",
    ]
    done = subprocess.run(
        [*command, sys.executable, "-c", program, *map(str, arguments)], capture_output=True,
        text=True, check=True, env={**os.environ, "PYTHONPATH": ".collections"},
    )  # fmt: skip
    acts = re.findall(r"\b(fsync|rename)\w*\((.*?)\) += 0", done.stderr)
    return [f"{act} {os.path.basename(what.rstrip('>'))}" for act, what in acts]


def test_the_order_of_durable_acts_of_a_manifest(private_mounts: None, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    acts = durable_acts(KEEP, tmp_path / "folder", folder)
    assert [act.split()[0] for act in acts] == ["fsync", "rename", "fsync"]
    assert re.fullmatch(r"fsync \.m\.[0-9a-f]+\.new", acts[0])
    assert acts[2] == "fsync folder"
    assert (folder / "m").stat().st_mode & 0o777 == 0o600


def test_the_order_of_durable_acts_of_what_goes_aside(private_mounts: None, tmp_path: Path) -> None:
    (tmp_path / "point").mkdir()
    (tmp_path / "point" / "x").touch()
    acts = [act.split()[0] for act in durable_acts(MOVE, tmp_path)]
    # The mount point; a new directory in its parent; then the rename, the directory that took it
    # and the one that is root's from now on, and the directory that it left.
    assert acts == ["fsync", "fsync", "rename", "fsync", "fsync", "fsync", "fsync"]


@pytest.mark.parametrize("name", FLUSHED)
def test_the_order_of_durable_acts_that_no_power_cut_shows(
    private_mounts: None, tmp_path: Path, name: str
) -> None:
    act, wanted = FLUSHED[name]
    (tmp_path / "top").mkdir()
    acts = durable_acts(HEAD + act, tmp_path / "top")
    assert ["rename" if each.startswith("rename") else each for each in acts] == wanted


def compared(one: Path, other: Path) -> tuple[int, list[str]]:
    with open(one, "rb") as left, open(other, "rb") as right:
        return manifest_file.compare(left, right)


def test_a_manifest_that_is_cut_short_is_no_manifest(private_mounts: None, tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    manifest_file.keep(fd, str(tmp_path / "m"), KEY)
    whole = (tmp_path / "m").read_bytes().splitlines(keepends=True)
    assert json.loads(whole[-1])["totals"]["entries"] == len(whole) - 2
    (tmp_path / "short").write_bytes(b"".join(whole[:-1]))
    with pytest.raises(ValueError, match="cut short"):
        compared(tmp_path / "m", tmp_path / "short")
    (tmp_path / "other").write_bytes(to_line(Entry(b"", "directory")))
    with pytest.raises(ValueError, match="no manifest"):
        compared(tmp_path / "other", tmp_path / "other")


ORPHAN = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, "tests")
from real.test_copying import copy_of
with copy_of(*map(Path, sys.argv[1:3])) as copy:
    copy.program = sys.argv[3]
    copy.round()
"""


def test_no_rsync_is_left_as_an_orphan(filesystem: Filesystem, tmp_path: Path) -> None:
    source, target = filesystem("ext4", "source"), filesystem("ext4", "target")
    (source / "system.duckdb").touch()
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    slow.chmod(0o755)
    command = [sys.executable, "-c", ORPHAN, *map(str, (source, target, slow))]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": ".collections"}) as process:
        _until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        child = int((tmp_path / "pid").read_text())
        assert Path(f"/proc/{child}").exists()
        process.kill()
    _until(lambda: not _runs(child))
    with copy_of(source, target) as copy:
        assert copying.mounts_below(copy.target_path) == []


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(check: object) -> None:
    assert callable(check)
    for _try in range(100):
        if check():
            return
        time.sleep(0.05)
    pytest.fail("it did not come to pass within 5 s")
