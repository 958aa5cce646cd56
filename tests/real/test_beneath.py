# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies beneath real mounts is seen and compared, and no mount of ours changes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.disks import authority, shadow
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_status import no_leftovers
from ansible_collections.agnes.host.plugins.module_utils.move import places
from ansible_collections.agnes.host.plugins.module_utils.system.copy import retired
from ansible_collections.agnes.host.plugins.module_utils.system.disks import beneath, evidence
from ansible_collections.agnes.host.plugins.module_utils.system.disks.holders import holders
from ansible_collections.agnes.host.plugins.module_utils.system.host import kernel
from ansible_collections.agnes.host.plugins.module_utils.system.move import moving

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


@pytest.fixture
def hide(hidden: Path) -> Callable[[str, bytes], None]:
    """Writes a file beneath the mount, as a container does that has never seen the disk."""

    def write(name: str, content: bytes) -> None:
        with moving.parent_of(str(hidden)) as above:
            path = f"{hidden.name}/{name}"
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=above)
            os.write(fd, content)
            os.close(fd)

    return write


def conflicts(hidden: Path) -> list[str]:
    return [str(each) for each in shadow.conflicts(beneath.look(str(hidden)).found)]


def test_leftovers_are_seen_and_told_from_state_and_no_mount_changes(hidden: Path) -> None:
    before = mounts()
    both = beneath.look(str(hidden))
    assert mounts() == before
    assert set(both.hidden.entries) == set(both.hidden.leftovers) == {
        b"instance.yaml", b"agnes-state-applier.tick", b"db-state-applier.lock", b"certs",
    }  # fmt: skip
    assert {str(each) for each in both.found} >= {
        "'instance.yaml' (file, 45 bytes, only beneath)", "'certs' (directory, only beneath)",
        "'system.duckdb' (file, 4 bytes, only live)",
    }  # fmt: skip
    assert conflicts(hidden) == []
    assert no_leftovers(moving.bare(str(hidden))) == []


def test_what_goes_aside_is_whole_and_listed_and_roots_only(
    hidden: Path, hide: Callable[[str, bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    hide("system.duckdb", b"other")
    before = beneath.look(str(hidden)).hidden.entries.values()
    subprocess.run(["umount", str(hidden)], check=True)
    places.retire(str(hidden), "/data-state", "m-state")
    assert os.readlink(hidden) == "/data-state"
    aside = hidden.parent / ".agnes-host-aside"
    monkeypatch.setattr(retired, "folders", lambda: [str(aside)])
    assert [item["path"] for item in retired.find()] == [f"{aside}/m-state"]
    assert {(p.stat().st_mode & 0o777, p.stat().st_uid) for p in (aside, aside / "m-state")} == {
        (0o700, 0)
    }
    assert (aside / "m-state/instance.yaml").read_bytes() == STUB
    assert (aside / "m-state/system.duckdb").read_bytes() == b"other"
    assert len(list((aside / "m-state").iterdir())) == len(list(before))


CONFLICTS = {
    "database": ("system.duckdb", b"other", "'system.duckdb' (file, 5 bytes, differ)"),
    "same_size": ("system.duckdb", b"dead", "'system.duckdb' (file, 4 bytes, differ)"),
    "secret": (".jwt_secret", b"s", "'.jwt_secret' (file, 1 bytes, only beneath)"),
    "backend": ("instance.yaml", b"database:\n  backend: cloud\n", "'instance.yaml' (file, 27 bytes"),
    "certificate": ("certs/privkey.pem", b"k", "'certs/privkey.pem' (file, 1 bytes, only beneath)"),
    "lock_with_content": ("a.lock", b"1", "'a.lock' (file, 1 bytes, only beneath)"),
}  # fmt: skip


@pytest.mark.parametrize("case", CONFLICTS)
def test_anything_else_is_a_conflict_and_stays(
    case: str, hidden: Path, hide: Callable[[str, bytes], None]
) -> None:
    name, content, said = CONFLICTS[case]
    hide(name, content)
    found = conflicts(hidden)
    assert any(each.startswith(said) for each in found), found
    assert no_leftovers(moving.bare(str(hidden)))
    assert beneath_now(hidden)[name] == content


def test_an_equal_copy_is_no_conflict(hidden: Path, hide: Callable[[str, bytes], None]) -> None:
    hide("system.duckdb", b"live")
    assert "'system.duckdb' (file, 4 bytes, same)" in map(str, beneath.look(str(hidden)).found)
    assert conflicts(hidden) == []


def test_many_leftovers_do_not_hide_anything_else(
    hidden: Path, hide: Callable[[str, bytes], None]
) -> None:
    for number in range(40):
        hide(f"a{number}.lock", b"")
    hide("system.duckdb", b"other")
    assert no_leftovers(moving.bare(str(hidden))) == ["system.duckdb"]


@pytest.fixture
def blind(hidden: Path, hide: Callable[[str, bytes], None]) -> Iterator[int]:
    """A process that has never seen the disk, with the hidden database open; its id."""
    hide("system.duckdb", b"other")
    script = 'umount "$0" && exec 3< "$0/system.duckdb" && echo ready && exec sleep 60'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(hidden)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


def test_the_evidence_says_who_works_with_which_copy(
    hidden: Path, hide: Callable[[str, bytes], None], blind: int
) -> None:
    hide(".agnes-state.json", b'{"role": "active", "epoch": 7}')
    containers: list[dict[str, Any]] = [
        {"service": name, "status": status, "image": "i", "pid": pid,
         "paths": {"STATE_DIR": str(hidden)}}
        for name, status, pid in (
            ("app", "running", blind), ("caddy", "running", os.getpid()), ("old", "exited", blind),
        )
    ]  # fmt: skip
    facts: Any = {
        "points": [{"target": str(hidden)}], "bare": {str(hidden): moving.bare(str(hidden))},
    }  # fmt: skip
    found = evidence.shadows(facts, "", containers)[str(hidden)]
    mounted, beneath_it = found["mounted"], found["hidden"]
    assert mounted
    assert beneath_it
    assert found["trouble"] == ""
    assert (mounted["seen"], mounted["opened"]) == (["caddy"], [])
    assert (beneath_it["seen"], beneath_it["opened"]) == (["app"], ["app"])
    assert beneath_it["uncounted"] == "in use by app"
    assert (beneath_it["role"], beneath_it["epoch"]) == ("active", 7)
    assert (beneath_it["bytes"], beneath_it["files"], mounted["bytes"]) == (5, 1, 4)
    assert found["conflicts"] == 2
    before = authority.digest(found)
    hide("system.duckdb", b"rows that come while it runs")
    hide("agnes-state-applier.tick", b"")
    assert authority.digest(evidence.shadows(facts, "", containers)[str(hidden)]) == before


def test_holders_of_the_hidden_directory_are_found(hidden: Path, blind: int) -> None:
    found = holders(moving.held_directory(str(hidden)))
    assert [each for each in found if f"({blind})" in each and "open files" in each]
    other = moving.held_directory(str(hidden.parent / "other"))
    assert not [each for each in holders(other) if f"({blind})" in each and "open files" in each]


def test_what_can_not_be_walked_is_said_and_stops(
    hidden: Path, hide: Callable[[str, bytes], None]
) -> None:
    hide("system.duckdb", b"other")
    inside = hidden / "certs"
    inside.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(inside)], check=True)
    facts: Any = {
        "points": [{"target": str(hidden)}], "bare": {str(hidden): moving.bare(str(hidden))},
    }  # fmt: skip
    try:
        found = evidence.shadows(facts, "", [])[str(hidden)]
    finally:
        subprocess.run(["umount", str(inside)], check=True)
    assert found["trouble"].startswith("AH081")


def test_a_link_above_the_mount_point_is_not_followed(hidden: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(hidden.parent)
    with pytest.raises((OSError, Refusal), match=r"Not a directory|symbolic"):
        beneath.look(str(tmp_path / "link" / "state"))


def test_a_link_beneath_is_not_followed(hidden: Path, tmp_path: Path) -> None:
    with moving.parent_of(str(hidden)) as above:
        os.symlink(tmp_path, f"{hidden.name}/system.duckdb", dir_fd=above)
    (tmp_path / "secret").write_bytes(b"outside")
    entries = beneath.look(str(hidden)).hidden.entries
    assert entries[b"system.duckdb"].kind == "link"
    assert not [path for path in entries if b"secret" in path]
    assert conflicts(hidden) == ["'system.duckdb' (link, differ)"]


def test_a_hidden_directory_that_is_a_link_by_now_is_not_followed(
    hidden: Path, tmp_path: Path
) -> None:
    """The directory above is uid 999's, who may put a link there between two looks."""
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "secret").write_bytes(b"outside")
    subprocess.run(["umount", str(hidden)], check=True)
    hidden.rename(hidden.parent / "elsewhere")
    hidden.symlink_to(tmp_path / "foreign")
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        beneath._hidden(str(hidden), bytes(32))


def test_a_disk_is_set_aside_whole_and_goes_on_where_it_was_killed(
    hidden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a", "b", "dir")
    sample.write(hidden / "a", b"1")
    sample.write(hidden / "b", b"2")
    (hidden / "dir").mkdir()
    sample.write(hidden / "dir/c", b"3")
    sample.write(hidden / ".agnes-state.json", b"{}")
    rename, renamed = kernel.rename_new, []

    def killed(source: str, *more: Any) -> None:
        if len(renamed) == 2:
            raise KeyboardInterrupt
        renamed.append(source)
        rename(source, *more)

    monkeypatch.setattr(kernel, "rename_new", killed)
    with pytest.raises(KeyboardInterrupt):
        places.set_aside(str(hidden), "m-mounted")
    assert (hidden / ".agnes-state.json").exists()
    monkeypatch.setattr(kernel, "rename_new", rename)
    # Ours, of a marker that was being written; no other name of this kind goes.
    sample.write(hidden / "..agnes-state.json.0123456789ab.new", b"{")
    sample.write(hidden / ".a.0123456789ab.new", b"4")
    places.set_aside(str(hidden), "m-mounted")
    assert sorted(os.listdir(hidden)) == [".agnes-host-aside", "lost+found"]
    aside = hidden / ".agnes-host-aside"
    assert sorted(os.listdir(aside / "m-mounted")) == [
        ".a.0123456789ab.new", ".agnes-state.json", *names, "system.duckdb",
    ]  # fmt: skip
    assert (aside / "m-mounted/dir/c").read_bytes() == b"3"
    assert {(p.stat().st_mode & 0o777, p.stat().st_uid) for p in (aside, aside / "m-mounted")} == {
        (0o700, 0)
    }


def test_a_disk_is_not_set_aside_into_what_somebody_else_has_made(
    hidden: Path, tmp_path: Path
) -> None:
    (hidden / ".agnes-host-aside").symlink_to(tmp_path)
    with pytest.raises(Refusal, match="AH125"):
        places.set_aside(str(hidden), "m-mounted")
    (hidden / ".agnes-host-aside").unlink()
    (hidden / ".agnes-host-aside").mkdir(mode=0o700)
    os.chown(hidden / ".agnes-host-aside", 999, 999)
    with pytest.raises(Refusal, match="AH125"):
        places.set_aside(str(hidden), "m-mounted")
    assert (hidden / "system.duckdb").read_bytes() == b"live"


def test_what_uid_999_had_in_the_place_of_a_copy_is_kept_and_another_copy_can_be_made(
    tmp_path: Path,
) -> None:
    aside = tmp_path / ".agnes-host-aside"
    aside.mkdir(mode=0o700)
    (aside / "copy-of-state").write_text("not a directory")
    directory = places.made_aside(str(tmp_path), "copy-of-state")
    os.close(directory)
    (aside / "copy-of-state/file").touch()
    kept = [p for p in aside.iterdir() if p.name.startswith("copy-of-state.")]
    assert [p.read_text() for p in kept] == ["not a directory"]
