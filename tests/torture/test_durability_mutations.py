# SPDX-License-Identifier: GPL-3.0-or-later
"""Each flush of a move is taken out once, each rename made a write in place; a power cut must show it.

Flushes are found in the sources: one that is not in the tables below fails a test.
"""

from __future__ import annotations

import ast
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from blocklog import hunt

ROOT = Path(__file__).resolve().parents[2]
UTILS = "plugins/module_utils"
STATES, BOOTED, RECOVERED, SEED = 500, 120, 40, int(os.environ.get("TORTURE_SEED", "1"))
CALLS = ("fsync", "fsync_directory", "syncfs")


class Flush(NamedTuple):
    """Calls that flush, as ``FUNCTION.NUMBER``, and where in which move a cut shows that they are gone."""

    file: str
    calls: str
    begin: str
    steps: str
    """The steps that are under way in the states that are tried; empty for all."""

    @property
    def id(self) -> str:
        """For people."""
        return f"{self.file.split('/')[-1][:-3]}-{self.calls.replace(' ', '+')}-{self.begin}"


class Replaced(NamedTuple):
    """A durable write that becomes a write in place."""

    id: str
    file: str
    old: str
    new: str
    begin: str
    steps: str


DURABLE, PLACES, LEDGER = "system/host/durable.py", "move/places.py", "system/move/ledger.py"
END = "record forget"

AT_PLACE = (
    "retire.0 _exchange_for_link.0 _settle.0 _settle.1 _aside.0 _aside.1 _aside.2 _immutable.0"
)
AT_POINT = "make_point.0 _aside.0 _aside.1 _aside.2 _immutable.0"

SEEN = [
    Flush(DURABLE, "replacing.0", "nested", "commit umount line"),
    Flush(DURABLE, "replacing.1", "nested", "commit umount place line " + END),
    Flush(DURABLE, "fsync_directory.0", "nested", END),
    Flush(LEDGER, "note.0", "nested", ""),
    Flush("system/move/units.py", "let_go.0 let_go.1", "nested", END),
    Flush(PLACES, AT_POINT, "flat", "fstab mount commit umount line"),
    Flush(PLACES, AT_PLACE, "nested", END),
    Flush(DURABLE, "replacing.1", "promote", "unlist stop quiet reveal aside"),
    Flush("move/copy_back_steps.py", "release.0", "copy_back", "start"),
    Flush(
        PLACES, "put.0 put.1 _aside.0 _aside.1 _aside.2", "copy_back", "commit retire umount line"
    ),
]
"""Flushes of one act that reach the same journal go together: on ext4 each carries the others' names."""

NOT_SEEN = {
    (LEDGER, "remove.0"): "the result is written into the same directory next, and until then"
    " a boot goes on with a move that is done, and finds nothing to do",
    (LEDGER, "note.1"): "ext4 flushes the name of a new file with it; others need not",
    (DURABLE, "make_directory.0"): "what is written below it is flushed next, and ext4 flushes"
    " names in their order; others need not",
    (
        "system/disks/filesystems.py",
        "make.0",
    ): "mke2fs and mkfs.xfs flush before they end; this one makes sure of it",
    (
        "system/copy/copying.py",
        "sync.0",
    ): "what is read back for the proof was written first, without"
    " waiting for the disk; test_copying_mutations.py has the error of this one",
    (
        PLACES,
        "made_aside.0",
    ): "what is copied into it is flushed before it counts, and carries its name",
    (
        PLACES,
        "set_aside.0",
    ): "the marker is written next to it, and its flush carries these names on"
    " ext4; others need not",
    **dict.fromkeys(
        [(PLACES, "take_back.0"), (PLACES, "take_back.1")],
        "giving /data back is flushed next on the same disk, and ext4 flushes names in their order;"
        " others need not",
    ),
    (
        "system/disks/protection.py",
        "protect.0",
    ): "it is of what make_point has done already; a run makes good what a cut takes away",
    (
        "move/context.py",
        "settle_env.0",
    ): "where .env can't be replaced only, which no recorded move meets",
    (
        PLACES,
        "unmake_point.0",
    ): "that the product's units are let go is flushed next on the same disk;"
    " with the units on another one nothing else flushes it",
}
"""Flushes of which no cut shows that they are gone, and why; test_copying_mutations.py takes them out, too."""

ELSEWHERE = {
    "host_tools/install.py",
    "system/copy/retired.py",
    "system/layout/trees.py",
    "system/disks/shadowed.py",
    "move/publish.py",
}
"""What is not part of a move."""

REPLACED = [
    Replaced(
        "env", "move/steps.py", "durable.write(move.env_path, move.env_after(move.env_before))",
        "open(move.env_path, 'w').write(move.env_after(move.env_before))", "nested",
        "commit umount line",
    ),
    Replaced(
        "fstab", "move/steps.py", "durable.write(filesystems.FSTAB, _with_new_line(move))",
        "open(filesystems.FSTAB, 'w').write(_with_new_line(move))", "nested", "mount idle stop commit umount",
    ),
    Replaced(
        "line", "move/steps.py", "durable.write(filesystems.FSTAB, switch.without_line",
        "open(filesystems.FSTAB, 'w').write(switch.without_line", "nested", "line place start",
    ),
    Replaced(
        "unlist", "move/promote_steps.py", "durable.write(filesystems.FSTAB, switch.without_line",
        "open(filesystems.FSTAB, 'w').write(switch.without_line", "promote", "unlist stop quiet reveal aside",
    ),
    Replaced(
        "intent", LEDGER, "durable.write(path, text + \"\\n\", 0o600)",
        "open(path, 'w').write(text)", "nested", "intent overlay",
    ),
    Replaced(
        "record", "system/host/record.py", "durable.write(PATH, json.dumps(record, indent=2, sort_keys=True) + \"\\n\", 0o600)",
        "open(PATH, 'w').write(json.dumps(record))", "copy", "format stage record forget",
    ),
    Replaced(
        "marker", "move/common.py", "durable.write_at(directory, MARKER, text.encode(), 0o644)",
        "fd = __import__('os').open(MARKER, 0o1001, 0o644, dir_fd=directory); __import__('os').write(fd, text.encode()); __import__('os').close(fd)",
        "nested", "marker record forget",
    ),
]  # fmt: skip

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def calls(source: str) -> dict[str, ast.Call]:
    """The calls that flush, as FUNCTION.NUMBER."""
    by_name: dict[str, ast.Call] = {}
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        inside = [
            node
            for node in ast.walk(function)
            if isinstance(node, ast.Call)
            and isinstance(node.func, (ast.Attribute, ast.Name))
            and (node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id) in CALLS
        ]
        inside.sort(key=lambda node: (node.lineno, node.col_offset))
        by_name.update({f"{function.name}.{i}": node for i, node in enumerate(inside)})
    return by_name


def without(source: str, names: str) -> str:
    """The source with these calls giving 0, as if they had been carried out."""
    lines, by_name = source.splitlines(keepends=True), calls(source)
    for call in [by_name[name] for name in names.split()]:
        line = lines[call.lineno - 1]
        assert call.end_lineno == call.lineno
        lines[call.lineno - 1] = f"{line[: call.col_offset]}int(){line[call.end_col_offset :]}"
    return "".join(lines)


def test_every_flush_of_a_move_has_its_place_here() -> None:
    flushes = {
        (str(path.relative_to(ROOT / UTILS)), name)
        for path in (ROOT / UTILS).rglob("*.py")
        for name in calls(path.read_text())
    }
    named = {(flush.file, name) for flush in SEEN for name in flush.calls.split()}
    assert {each for each in flushes if each[0] not in ELSEWHERE} == named | set(NOT_SEEN)
    assert not named & set(NOT_SEEN)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A copy of what a torture needs, in which sources can be changed."""
    top = tmp_path / "mutant"
    for name in (UTILS, "tests/torture", "tests/real", "docs"):
        shutil.copytree(ROOT / name, top / name)
    (top / ".collections/ansible_collections/agnes").mkdir(parents=True)
    (top / ".collections/ansible_collections/agnes/host").symlink_to("../../..")
    yield top
    shutil.rmtree(top)


def bad_states(place: Path, begin: str, steps: str) -> list[hunt.Judged]:
    """States of a recorded move that do not come back as they must; none after the first."""
    recording = hunt.Recording(place, place / "recording", begin)
    states = recording.states(STATES, SEED)
    if steps:
        states = [state for state in states if recording.phase(state) in steps.split()]
    random.Random(SEED).shuffle(states)
    # What a boot shows is quick to see; the rest takes a recovery.
    for count, whole in ((BOOTED, False), (RECOVERED, True)):
        judged = recording.judge(states[:count], stop=True, whole=whole)
        if not all(each.ok for each in judged):
            return [each for each in judged if not each.ok]
    return []


def _seen(bad: list[hunt.Judged]) -> None:
    assert bad, "no cut shows it"
    assert "NameError" not in bad[0].why
    print(bad[0].phase, bad[0].state, bad[0].why[:300])


@pytest.mark.parametrize("flush", SEEN, ids=[each.id for each in SEEN])
def test_a_flush_that_is_taken_out_is_missed(flush: Flush, place: Path) -> None:
    path = place / UTILS / flush.file
    path.write_text(without(path.read_text(), flush.calls))
    _seen(bad_states(place, flush.begin, flush.steps))


@pytest.mark.parametrize("one", REPLACED, ids=[each.id for each in REPLACED])
def test_a_write_in_place_is_seen(one: Replaced, place: Path) -> None:
    path = place / UTILS / one.file
    text = path.read_text()
    assert text.count(one.old) == 1, "the source has changed: name the place anew"
    path.write_text(text.replace(one.old, one.new))
    _seen(bad_states(place, one.begin, one.steps))


@pytest.mark.parametrize("begin", ["nested", "flat", "copy", "copy_back", "promote"])
def test_without_a_mutation_all_is_good(begin: str, place: Path) -> None:
    bad = bad_states(place, begin, "")
    assert not bad, bad[0].why
