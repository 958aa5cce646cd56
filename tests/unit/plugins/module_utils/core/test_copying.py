# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any, Optional

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.copy import copying
from ansible_collections.agnes.host.plugins.module_utils.core.copy.copying import (
    Progress,
    Proof,
    Room,
    Stats,
)
from ansible_collections.agnes.host.plugins.module_utils.core.copy.manifest import Rules, Totals

STATS = """
Number of files: 34,201 (reg: 20, dir: 6, link: 5, special: 3)
Number of created files: 33 (reg: 20, dir: 5, link: 5, special: 3)
Number of deleted files: 12 (reg: 12)
Number of regular files transferred: 19
Total file size: 1,078,006,196 bytes
Total transferred file size: 1,078,006,096 bytes
Literal data: 1,078,006,096 bytes
"""

VERSION = """rsync  version 3.5.0  protocol version 32
Capabilities:
    64-bit files, 64-bit inums, socketpairs, symlinks, symtimes, hardlinks, hardlink-specials,
    IPv6, atimes, batchfiles, inplace, append, ACLs,
    ACL-at, xattrs, optional secluded-args, iconv, prealloc, no crtimes
"""

PROGRESS: list[tuple[str, Optional[Progress]]] = [
    ("  1,078,006,096  99%  277.41MB/s    0:00:03 (xfr#19, to-chk=0/34)",
     Progress(1078006096, 99, 277.41 * 1024**2, 3)),
    ("              3  50%    0.00kB/s    0:00:00  ", Progress(3, 50, 0, 0)),
    ("     1078006096   7%    1.50GB/s    1:02:03", Progress(1078006096, 7, 1.5 * 1024**3, 3723)),
    ("Number of files: 3", None),
    ("", None),
    ("./12 50% name of a file", None),
]  # fmt: skip


@pytest.mark.parametrize(("line", "wanted"), PROGRESS)
def test_parse_progress(line: str, wanted: Optional[Progress]) -> None:
    assert copying.parse_progress(line) == wanted


def test_progress_for_people() -> None:
    said = str(Progress(50 << 20, 40, 25.0 * (1 << 20), 3.0))
    assert said == "40 %, 50 MiB at 25.0 MiB/s, 3 s left"


def test_parse_stats() -> None:
    assert copying.parse_stats(STATS) == Stats(34201, 19, 1078006096, 12)
    assert copying.parse_stats("") == Stats(0, 0, 0, 0)


LACKING = [
    (VERSION, []),
    (VERSION.replace("ACLs", "no ACLs"), ["ACLs"]),
    (VERSION.replace("xattrs", "no xattrs").replace("symtimes", "no symtimes"), ["xattrs", "symtimes"]),
]  # fmt: skip


@pytest.mark.parametrize(("version", "wanted"), LACKING)
def test_lacking(version: str, wanted: list[str]) -> None:
    assert copying.lacking(version) == wanted


def test_rsync_is_told_to_leave_out_what_the_manifest_leaves_out() -> None:
    rules = Rules(("a", "b"), ("security.selinux",))
    assert copying.arguments(rules, 100, ["--stats"], copying.only(copying.GROUP)) == [
        "-aHAXSx", "--numeric-ids", "--delete", "--modify-window=-1", "--no-human-readable",
        "--max-delete=100", "--stats", "--exclude=/a", "--exclude=/b", "--filter=-x system.*",
        "--filter=-x security.selinux", "--include=/system.duckdb*",
        "--include=/system.duckdb*/**", "--exclude=/*",
    ]  # fmt: skip


def test_names_that_rsync_would_take_for_patterns_are_no_rules() -> None:
    with pytest.raises(AssertionError):
        copying.excludes(Rules(("a*",)))


def test_a_pass_never_deletes_most_of_a_large_tree() -> None:
    assert [copying.max_delete(n) for n in (0, 34, 1000, 200_000)] == [100, 100, 100, 20_000]


GIB = 1 << 30
SOURCE = Totals(entries=10, allocated=10 * GIB, inodes=1000)
ROOM: list[tuple[str, Room, Totals, Optional[str]]] = [
    ("fits", Room(11 * GIB, 1000, 5000), Totals(), None),
    ("just_not", Room(11 * GIB - 1, 1000, 5000), Totals(), f"{11 * GIB - 1} bytes"),
    ("partly_there", Room(5 * GIB, 400, 5000), Totals(allocated=6 * GIB, inodes=600), None),
    ("no_inodes", Room(99 * GIB, 999, 5000), Totals(), "999 inodes"),
    ("inodes_as_needed", Room(99 * GIB, 0, 0), Totals(), None),
]


@pytest.mark.parametrize(
    ("room", "there", "wanted"), [r[1:] for r in ROOM], ids=[r[0] for r in ROOM]
)
def test_lacks_room(room: Room, there: Totals, wanted: Optional[str]) -> None:
    lacking = copying.lacks_room(SOURCE, room, there)
    assert (lacking[0] if lacking else None) == wanted


PROOF = Proof("8:32", True, {"instance_id": "i-1"})
UNPROVED: list[tuple[str, Proof, tuple[Any, ...], Optional[tuple[str, str]]]] = [
    ("proved", PROOF, ("8:32", True, ["a"], {"instance_id": "i-1"}), None),
    ("other_device", PROOF, ("8:16", True, ["a"], {}), ("device 8:16", "device 8:32")),
    ("not_mounted", PROOF, ("8:32", False, ["a"], {}), ("a plain directory", "a mount point")),
    ("empty", PROOF, ("8:32", True, [], {"instance_id": "i-1"}), ("an empty directory", "state")),
    (
        "other_host", PROOF, ("8:32", True, ["a"], {"instance_id": "i-2"}),
        ("a marker with instance_id 'i-2'", "instance_id 'i-1'"),
    ),
    (
        "no_marker", PROOF, ("8:32", True, ["a"], {}),
        ("a marker with instance_id None", "instance_id 'i-1'"),
    ),
    ("never_had_one", Proof("8:32", True), ("8:32", True, ["system.duckdb"], {}), None),
    ("no_database", Proof("8:32", True), ("8:32", True, ["a"], {}), ("no system.duckdb", "state")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("proof", "facts", "wanted"), [u[1:] for u in UNPROVED], ids=[u[0] for u in UNPROVED]
)
def test_unproved(proof: Proof, facts: tuple[Any, ...], wanted: Optional[tuple[str, str]]) -> None:
    assert copying.unproved(proof, *facts) == wanted


SHORTER = (
    'rsync: [sender] read errors mapping "/data/state/system.duckdb.wal": No data available (61)\n'
)
DISCARDED = "ERROR: system.duckdb.wal failed verification -- update discarded.\n"
GONE = 'file has vanished: "/data/state/db-jobs/1.json.tmp"\n'
BROKEN = 'rsync: [sender] read errors mapping "/data/state/x": Input/output error (5)\n'
END = (
    "rsync error: some files/attrs were not transferred (code 23) at main.c(1338) [sender=3.5.0]\n"
)
LIVE = [
    ("shorter", 23, SHORTER + END, True),
    ("shorter_twice", 23, SHORTER + SHORTER + DISCARDED + END, True),
    ("gone", 24, GONE + "rsync warning: some files vanished (code 24)\n", True),
    ("both", 23, SHORTER + GONE + END, True),
    ("no_deletion", 23, "IO error encountered -- skipping file deletion\n" + SHORTER + END, True),
    ("broken", 23, BROKEN + END, False),
    ("broken_among_others", 23, SHORTER + BROKEN + GONE + END, False),
    ("no_reason", 23, END, False),
    ("disk_full", 11, GONE, False),
    ("too_many_deletions", 25, GONE, False),
]


@pytest.mark.parametrize(
    ("status", "errors", "wanted"), [row[1:] for row in LIVE], ids=[row[0] for row in LIVE]
)
def test_is_live(status: int, errors: str, wanted: bool) -> None:
    assert copying.is_live(status, errors) is wanted
