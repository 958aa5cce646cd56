# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies beneath real mounts is seen, judged and set aside, and no mount of ours changes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core import copy_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.core.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.system import beneath

from . import sample
from .conftest import Filesystem

STUB = b'# made at boot\ndatabase:\n  backend: "duckdb"\n'


@pytest.fixture
def point(filesystem: Filesystem) -> Path:
    """A mount point on a mounted filesystem, before anything is mounted there."""
    path = filesystem("ext4", "data") / "state"
    path.mkdir()
    return path


def leftovers(point: Path) -> None:
    sample.write(point / "instance.yaml", STUB)
    sample.write(point / "agnes-state-applier.tick", b"")
    sample.write(point / "db-state-applier.lock", b"")
    (point / "certs").mkdir()


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


@pytest.fixture
def hidden(filesystem: Filesystem, point: Path, tmp_path: Path) -> Path:
    """Leftovers beneath a mounted state disk with state on it."""
    leftovers(point)
    image = tmp_path / "state.img"
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(point)], check=True)
    sample.write(point / "system.duckdb", b"live")
    return point


def beneath_now(path: Path) -> dict[str, bytes]:
    """What is really there, by unmounting; for the end of a test."""
    subprocess.run(["umount", str(path)], check=True)
    return {
        str(p.relative_to(path)): p.read_bytes() if p.is_file() else b""
        for p in sorted(path.rglob("*"))
    }


def test_leftovers_go_aside_whole_and_no_mount_changes(hidden: Path) -> None:
    before = mounts()
    found = beneath.look(str(hidden))
    assert {str(each) for each in found} >= {
        "'instance.yaml' (file, 45 bytes, only beneath)", "'certs' (directory, only beneath)",
        "'system.duckdb' (file, 4 bytes, only live)",
    }  # fmt: skip
    verdict = beneath.check(str(hidden), found)
    assert set(verdict.quarantine) == {
        b"instance.yaml", b"agnes-state-applier.tick", b"db-state-applier.lock", b"certs",
    }  # fmt: skip
    target = Path(beneath.quarantine(str(hidden), verdict.quarantine, "now"))
    assert mounts() == before
    assert target == hidden.parent / ".agnes-host-quarantine" / "now"
    assert (target / "instance.yaml").read_bytes() == STUB
    assert {(p.stat().st_mode & 0o777, p.stat().st_uid) for p in (target, target.parent)} == {
        (0o700, 0)
    }
    assert {each.where for each in beneath.look(str(hidden))} == {"only live"}
    assert (hidden / "system.duckdb").read_bytes() == b"live"
    assert beneath_now(hidden) == {}


CONFLICTS = {
    "database": ("system.duckdb", b"other", "'system.duckdb' (file, 5 bytes, differ)"),
    "same_size": ("system.duckdb", b"dead", "'system.duckdb' (file, 4 bytes, differ)"),
    "secret": (".jwt_secret", b"s", "'.jwt_secret' (file, 1 bytes, only beneath)"),
    "backend": ("instance.yaml", b"database:\n  backend: cloud\n", "'instance.yaml' (file, 27 bytes"),
    "certificate": ("certs/privkey.pem", b"k", "'certs/privkey.pem' (file, 1 bytes, only beneath)"),
    "lock_with_content": ("a.lock", b"1", "'a.lock' (file, 1 bytes, only beneath)"),
}  # fmt: skip


@pytest.mark.parametrize("case", CONFLICTS)
def test_anything_else_is_a_conflict_and_stays(case: str, hidden: Path) -> None:
    name, content, said = CONFLICTS[case]
    name = f"{hidden.name}/{name}"

    def put(above: int) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=above)
        os.write(fd, content)
        os.close(fd)

    beneath.without_mounts(str(hidden), put)
    found = beneath.look(str(hidden))
    with pytest.raises(errors.ShadowConflict) as refused:
        beneath.check(str(hidden), found)
    assert said in str(refused.value)
    assert "state-s" not in str(refused.value)
    assert beneath_now(hidden)[CONFLICTS[case][0]] == content


def test_an_equal_copy_may_go_aside(hidden: Path) -> None:
    def put(above: int) -> None:
        fd = os.open(f"{hidden.name}/system.duckdb", os.O_WRONLY | os.O_CREAT, dir_fd=above)
        os.write(fd, b"live")
        os.close(fd)

    beneath.without_mounts(str(hidden), put)
    found = beneath.look(str(hidden))
    assert "'system.duckdb' (file, 4 bytes, same)" in map(str, found)
    assert b"system.duckdb" in beneath.check(str(hidden), found).quarantine


@pytest.mark.parametrize("what", ["link", "file", "foreign", "open"])
def test_a_quarantine_of_somebody_else_is_refused(what: str, hidden: Path, tmp_path: Path) -> None:
    place = hidden.parent / beneath.QUARANTINE
    if what == "link":
        place.symlink_to(tmp_path)
    elif what == "file":
        place.touch()
    else:
        place.mkdir()
        place.chmod(0o755 if what == "open" else 0o700)
        os.chown(place, 999 if what == "foreign" else 0, 0)
    with pytest.raises(errors.QuarantineUnsafe, match="AH090"):
        beneath.quarantine(str(hidden), (b"instance.yaml",), "now")
    assert "instance.yaml" in beneath_now(hidden)


def test_what_the_child_raises_is_raised_here(hidden: Path) -> None:
    def fails(_above: int) -> None:
        raise errors.QuarantineUnsafe(path="p", found="f")

    def crashes(_above: int) -> None:
        os._exit(3)

    with pytest.raises(Refusal, match="AH090: 'p' must be"):
        beneath.without_mounts(str(hidden), fails)
    with pytest.raises(errors.NoPrivateMounts, match="ended without an answer"):
        beneath.without_mounts(str(hidden), crashes)
    with pytest.raises(FileNotFoundError):
        beneath.without_mounts(str(hidden), lambda above: os.stat("absent", dir_fd=above))


def test_a_link_above_the_mount_point_is_not_followed(hidden: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(hidden.parent)
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        beneath.look(str(tmp_path / "link" / "state"))
