# SPDX-License-Identifier: GPL-3.0-or-later
"""Each safeguard of copying is taken out once; the tests on real filesystems must go red for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
UTILS = "plugins/module_utils"


class Mutation(NamedTuple):
    """What is replaced in which file, and the tests that must see it."""

    id: str
    file: str
    old: str
    new: str
    tests: str


MUTATIONS = [
    Mutation("pin_follows_links", "system/copy/manifest.py", "os.O_PATH | os.O_NOFOLLOW", "os.O_PATH", "swapped_for_a_link or has_everything"),
    Mutation("changes_pass", "system/copy/manifest.py", "if moment(after) != moment(info):", "if False:", "grows_without_end"),
    Mutation("directories_change", "system/copy/manifest.py", "if reader.quiet and moment(after)", "if False and moment(after)", "swapped_for_a_link"),
    Mutation("mounts_inside", "system/copy/manifest.py", "or _mount_id(fd) != reader.mount", "", "mount_inside"),
    Mutation("depth", "system/copy/manifest.py", "if len(stack) > MAX_DEPTH:", "if False:", "tree_without_end"),
    Mutation("attributes", "system/copy/manifest.py", "attributes=_attributes(pin, reader)", "attributes=()", "dropped_is_seen"),
    Mutation("segments", "system/copy/manifest.py", "segments = _segments(fd, info.st_size)", "segments = ((0, -(-info.st_size // GRAIN)),)", "dropped_is_seen"),
    Mutation("hard_links", "system/copy/manifest.py", "if info.st_nlink > 1:", "if False:", "dropped_is_seen"),
    Mutation("flags", "system/copy/manifest.py", "return {\"flags\": _flags(fd)}", "return {}", "immutable"),
    Mutation("content", "system/copy/manifest.py", "hashed.update(block)", "pass", "behind_the_same_time"),
    Mutation("devices", "system/copy/manifest.py", "os.major(info.st_rdev), os.minor(info.st_rdev)", "0, 0", "differs_is_refused"),
    Mutation("no_digest_line", "system/copy/manifest_file.py", "raise ValueError(\"the manifest is cut short\")", "return", "cut_short"),
    Mutation("nanoseconds", "core/copy/copying.py", ", \"--modify-window=-1\"", "", "has_everything or same_second"),
    Mutation("attribute_rules", "core/copy/copying.py", "(\"system.*\", *rules", "(\"system.no\", *rules", "dropped_is_seen"),
    Mutation("xfs_acls", "core/copy/manifest.py", "\"trusted.SGI_ACL_FILE\",", "", "has_everything"),
    Mutation("left_out", "core/copy/copying.py", "f\"--exclude=/{name}\" for name in rules.without", "f\"--exclude=/{name}\" for name in rules.without[:1]", "has_everything"),
    Mutation("max_delete", "core/copy/copying.py", "f\"--max-delete={may_delete}\", ", "", "delete_most"),
    Mutation("checksums", "system/copy/copying.py", "self._pass([\"--checksum\"], core.only(core.GROUP))", "pass", "behind_the_same_time"),
    Mutation("exit_codes", "system/copy/copying.py", "if process.returncode and not", "if False and not", "runs_full or read_only"),
    Mutation("live_errors", "core/copy/copying.py", "return all(any(sign", "return False and all(any(sign", "cut_short_while or goes_while"),
    Mutation("all_errors_live", "core/copy/copying.py", "or not causes:\n        return False", "or not causes or True:\n        return True", "runs_full_in_a_round"),
    Mutation("syncfs", "system/copy/copying.py", "if _LIBC.syncfs(self.target) < 0:", "if False:", "can_not_write"),
    Mutation("cold", "system/copy/manifest.py", "os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)", "pass", "from_its_disk"),
    Mutation("known_racy", "core/copy/manifest.py", "return ctime_ns <= now_ns - SETTLED_NS", "return True", "just_been_touched"),
    Mutation("known_ctime", "system/copy/memory.py", "info.st_mtime_ns, info.st_ctime_ns", "info.st_mtime_ns, 0", "touched_after"),
    Mutation("known_mapping", "system/copy/manifest.py", "        kernel.write_back(fd)\n", "        pass\n", "into_a_mapping"),
    Mutation("known_database", "system/copy/memory.py", "if any(fnmatch.fnmatchcase(top, pattern) for pattern in GROUP):", "if False:", "read_once_more"),
    Mutation("known_path", "system/copy/manifest.py", "entry.path == path and ", "", "renamed_directory"),
    Mutation("known_links", "system/copy/manifest.py", " and info.st_nlink == 1", "", "renamed_directory"),
    Mutation("known_limit", "system/copy/memory.py", "len(self.lines) < LIMIT and ", "", "as_much_as"),
    Mutation("lock", "system/copy/copying.py", "fcntl.flock(target, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass", "exclude_each_other"),
    Mutation("proof", "system/copy/copying.py", "if lacks:", "if False:", "no_source"),
    Mutation("room", "core/copy/copying.py", "    if lacks:\n        raise NoRoom", "    if False:\n        raise NoRoom", "room_and_inodes"),
    Mutation("dies_with_parent", "system/copy/copying.py", "_LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)", "pass", "orphan"),
    Mutation("covered", "system/host/kernel.py", "_OPEN_TREE_CLONE = 1", "_OPEN_TREE_CLONE = 0", "told_from_state"),
    Mutation("follows_shadowed_links", "system/move/moving.py", "os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC", "os.O_DIRECTORY | os.O_CLOEXEC", "shadowed_directory_that_is_a_link"),
    Mutation("aside_is_open", "move/places.py", "os.fchmod(fd, 0o700)", "pass", "goes_aside_is_whole"),
    Mutation("marker_first", "move/places.py", "key=lambda n: n == MARKER", "key=lambda n: n != MARKER", "set_aside_whole"),
    Mutation("cut_off_marker", "move/places.py", "            durable.sweep(directory, MARKER)\n", "", "set_aside_whole"),
    Mutation("conflicts", "core/disks/shadow.py", "if each.where not in (ONLY_MOUNTED, SAME) and not each.harmless", "if False", "conflict_and_stays"),
    Mutation("cut_at_twenty", "system/move/moving.py", "key=lambda e: e[\"name\"] not in stand", "key=lambda e: \"\"", "many_leftovers"),
    Mutation("running_numbers", "core/disks/which_copy.py", "if copy and is_used(copy):", "if False:", "works_with_which_copy"),
    Mutation("who_sees", "system/disks/evidence.py", "== (tree.device, tree.inode)", "== ()", "works_with_which_copy"),
    Mutation("who_holds", "system/move/moving.py", "return Held(line.maj_min, path, os.path.normpath(inside))", "return Held(\"0:0\", path, inside)", "holders_of_the_shadowed or works_with_which_copy"),
    Mutation("manifest_fsync", "system/host/durable.py", "            os.fsync(fd)\n            os.rename", "            os.rename", "order_of_durable"),
    Mutation("manifest_directory", "system/host/durable.py", "        raise\n    os.fsync(directory)\n", "        raise\n", "order_of_durable"),
    Mutation("doubted", "system/copy/copying.py", "if there and not self.rounds else []", "if False else []", "cut_off_earlier"),
    Mutation("database_touched", "system/copy/duckdb_check.py", "        if changed:", "        if False:", "goes_wrong"),
    Mutation("database_uncounted", "system/copy/duckdb_check.py", "        if len(answers) != len(directories):", "        if False:", "goes_wrong"),
    Mutation("database_ctime", "system/copy/duckdb_check.py", "info.st_mtime_ns, info.st_ctime_ns)", "info.st_mtime_ns, 0)", "goes_wrong"),
    Mutation("flush_take_back_aside", "move/places.py", "                os.fsync(aside)\n        finally:\n            os.close(fd)\n        os.fsync(parent)", "                pass\n        finally:\n            os.close(fd)\n        os.fsync(parent)", "order_of_durable"),
    Mutation("flush_take_back", "move/places.py", "            os.close(fd)\n        os.fsync(parent)\n\n\ndef keep_under", "            os.close(fd)\n\n\ndef keep_under", "order_of_durable"),
    Mutation("flush_set_aside", "move/places.py", "            for fd in (folder, aside, directory):\n                os.fsync(fd)\n", "", "order_of_durable"),
    Mutation("flush_made_aside", "move/places.py", "            os.mkdir(name, 0o700, dir_fd=aside)\n            os.fsync(aside)\n", "            os.mkdir(name, 0o700, dir_fd=aside)\n", "order_of_durable"),
    Mutation("flush_unmake_point", "move/places.py", "            os.rmdir(name, dir_fd=parent)\n        os.fsync(parent)\n", "            os.rmdir(name, dir_fd=parent)\n", "order_of_durable"),
    Mutation("flush_settle_env", "move/context.py", "            durable.fsync_directory(self.intent.project_dir)", "            pass", "order_of_durable"),
    Mutation("flush_remove", "system/move/ledger.py", "    durable.fsync_directory(os.path.dirname(path))\n", "", "order_of_durable"),
    Mutation("flush_note", "system/move/ledger.py", "        durable.fsync_directory(FOLDER)\n", "        pass\n", "order_of_durable"),
    Mutation("flush_make_directory", "system/host/durable.py", "    os.chmod(path, mode)\n    fsync_directory(parent)\n", "    os.chmod(path, mode)\n", "order_of_durable"),
    Mutation("flush_make", "system/disks/filesystems.py", "        os.fsync(fd)\n    finally:\n        os.close(fd)\n    made = probe", "        pass\n    finally:\n        os.close(fd)\n    made = probe", "order_of_durable"),
    Mutation("database_elsewhere", "system/copy/duckdb_check.py", "if not (stat.S_ISREG", "if False and not (stat.S_ISREG", "leads_elsewhere"),
]  # fmt: skip

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def run_tests(place: Path, tests: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "tests/real", "-k", tests],
        cwd=place, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the tests need, in which sources can be changed."""
    top = tmp_path_factory.mktemp("mutants")
    for name in ("plugins", "tests/real"):
        shutil.copytree(ROOT / name, top / name)
    shutil.copy(ROOT / "pyproject.toml", top)
    (top / ".collections/ansible_collections/agnes").mkdir(parents=True)
    (top / ".collections/ansible_collections/agnes/host").symlink_to("../../..")
    return top


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[m.id for m in MUTATIONS])
def test_a_safeguard_that_is_taken_out_is_missed(mutation: Mutation, place: Path) -> None:
    path = place / UTILS / mutation.file
    before = path.read_text()
    assert before.count(mutation.old) == 1, "the source has changed: name the place anew"
    path.write_text(before.replace(mutation.old, mutation.new))
    try:
        done = run_tests(place, mutation.tests)
    finally:
        path.write_text(before)
    assert done.returncode == 1, done.stdout[-1500:]
    # A mutant that can't be imported proves nothing.
    assert " failed" in done.stdout.splitlines()[-1]
    assert "NameError" not in done.stdout


def test_without_a_mutation_all_is_green(place: Path) -> None:
    done = run_tests(place, "test")
    assert done.returncode == 0, done.stdout[-1500:]
