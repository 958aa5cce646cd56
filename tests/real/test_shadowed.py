# SPDX-License-Identifier: GPL-3.0-or-later
"""What real mounts shadow is seen and compared, and no mount of ours changes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.disks import shadow, which_copy
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_status import no_leftovers
from ansible_collections.agnes.host.plugins.module_utils.move import places
from ansible_collections.agnes.host.plugins.module_utils.system.copy import retired
from ansible_collections.agnes.host.plugins.module_utils.system.disks import evidence, shadowed
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
def place(filesystem: Filesystem, point: Path, tmp_path: Path) -> Path:
    """A mounted state disk with state on it, and leftovers that it shadows."""
    leftovers(point)
    image = tmp_path / "state.img"
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(point)], check=True)
    sample.write(point / "system.duckdb", b"live")
    return point


def shadowed_now(path: Path) -> dict[str, bytes]:
    """What is really there, by unmounting; for the end of a test."""
    subprocess.run(["umount", str(path)], check=True)
    return {
        str(p.relative_to(path)): p.read_bytes() if p.is_file() else b""
        for p in sorted(path.rglob("*"))
    }


@pytest.fixture
def add_shadowed(place: Path) -> Callable[[str, bytes], None]:
    """Writes a file that the mount shadows, as a container does that has never seen the disk."""

    def write(name: str, content: bytes) -> None:
        with moving.parent_of(str(place)) as above:
            path = f"{place.name}/{name}"
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=above)
            os.write(fd, content)
            os.close(fd)

    return write


def conflicts(place: Path) -> list[str]:
    return [str(each) for each in shadow.conflicts(shadowed.look(str(place)).paths)]


def test_leftovers_are_seen_and_told_from_state_and_no_mount_changes(place: Path) -> None:
    before = mounts()
    both = shadowed.look(str(place))
    assert mounts() == before
    assert set(both.shadowed.entries) == set(both.shadowed.leftovers) == {
        b"instance.yaml", b"agnes-state-applier.tick", b"db-state-applier.lock", b"certs",
    }  # fmt: skip
    assert {str(each) for each in both.paths} >= {
        "'instance.yaml' (file, 45 bytes, only shadowed)", "'certs' (directory, only shadowed)",
        "'system.duckdb' (file, 4 bytes, only mounted)",
    }  # fmt: skip
    assert conflicts(place) == []
    assert no_leftovers(moving.unmounted(str(place))) == []


def test_what_goes_aside_is_whole_and_listed_and_roots_only(
    place: Path, add_shadowed: Callable[[str, bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_shadowed("system.duckdb", b"other")
    before = shadowed.look(str(place)).shadowed.entries.values()
    subprocess.run(["umount", str(place)], check=True)
    places.retire(str(place), "/data-state", "m-state")
    assert os.readlink(place) == "/data-state"
    aside = place.parent / ".agnes-host-aside"
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
    "secret": (".jwt_secret", b"s", "'.jwt_secret' (file, 1 bytes, only shadowed)"),
    "backend": ("instance.yaml", b"database:\n  backend: cloud\n", "'instance.yaml' (file, 27 bytes"),
    "certificate": ("certs/privkey.pem", b"k", "'certs/privkey.pem' (file, 1 bytes, only shadowed)"),
    "lock_with_content": ("a.lock", b"1", "'a.lock' (file, 1 bytes, only shadowed)"),
}  # fmt: skip


@pytest.mark.parametrize("case", CONFLICTS)
def test_anything_else_is_a_conflict_and_stays(
    case: str, place: Path, add_shadowed: Callable[[str, bytes], None]
) -> None:
    name, content, said = CONFLICTS[case]
    add_shadowed(name, content)
    stand = conflicts(place)
    assert any(each.startswith(said) for each in stand), stand
    assert no_leftovers(moving.unmounted(str(place)))
    assert shadowed_now(place)[name] == content


def test_an_equal_copy_is_no_conflict(
    place: Path, add_shadowed: Callable[[str, bytes], None]
) -> None:
    add_shadowed("system.duckdb", b"live")
    assert "'system.duckdb' (file, 4 bytes, same)" in map(str, shadowed.look(str(place)).paths)
    assert conflicts(place) == []


def test_many_leftovers_do_not_hide_anything_else(
    place: Path, add_shadowed: Callable[[str, bytes], None]
) -> None:
    for number in range(40):
        add_shadowed(f"a{number}.lock", b"")
    add_shadowed("system.duckdb", b"other")
    assert no_leftovers(moving.unmounted(str(place))) == ["system.duckdb"]


@pytest.fixture
def blind(place: Path, add_shadowed: Callable[[str, bytes], None]) -> Iterator[int]:
    """A process that has never seen the disk, with the shadowed database open; its id."""
    add_shadowed("system.duckdb", b"other")
    script = 'umount "$0" && exec 3< "$0/system.duckdb" && echo ready && exec sleep 60'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


def test_the_evidence_says_who_works_with_which_copy(
    place: Path, add_shadowed: Callable[[str, bytes], None], blind: int
) -> None:
    add_shadowed(".agnes-state.json", b'{"role": "active", "epoch": 7}')
    containers: list[dict[str, Any]] = [
        {"service": name, "status": status, "image": "i", "pid": pid,
         "paths": {"STATE_DIR": str(place)}}
        for name, status, pid in (
            ("app", "running", blind), ("caddy", "running", os.getpid()), ("old", "exited", blind),
        )
    ]  # fmt: skip
    points: Any = [{"target": str(place)}]
    shadowed = {str(place): moving.unmounted(str(place))}
    shadow_seen = evidence.shadows(points, shadowed, "", containers)[str(place)]
    mounted, shadowed_copy = shadow_seen["mounted"], shadow_seen["shadowed"]
    assert mounted
    assert shadowed_copy
    assert shadow_seen["trouble"] == ""
    assert (mounted["seen"], mounted["opened"]) == (["caddy"], [])
    assert (shadowed_copy["seen"], shadowed_copy["opened"]) == (["app"], ["app"])
    assert shadowed_copy["uncounted"] == "in use by app"
    assert (shadowed_copy["role"], shadowed_copy["epoch"]) == ("active", 7)
    assert (shadowed_copy["bytes"], shadowed_copy["files"], mounted["bytes"]) == (5, 1, 4)
    assert shadow_seen["conflicts"] == 2
    before = which_copy.digest(shadow_seen)
    add_shadowed("system.duckdb", b"rows that come while it runs")
    add_shadowed("agnes-state-applier.tick", b"")
    assert (
        which_copy.digest(evidence.shadows(points, shadowed, "", containers)[str(place)]) == before
    )


def test_holders_of_the_shadowed_directory_are_found(place: Path, blind: int) -> None:
    users = holders(moving.held_directory(str(place)))
    assert [each for each in users if f"({blind})" in each and "open files" in each]
    other = moving.held_directory(str(place.parent / "other"))
    assert not [each for each in holders(other) if f"({blind})" in each and "open files" in each]


def test_what_can_not_be_walked_is_said_and_stops(
    place: Path, add_shadowed: Callable[[str, bytes], None]
) -> None:
    add_shadowed("system.duckdb", b"other")
    inside = place / "certs"
    inside.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(inside)], check=True)
    points: Any = [{"target": str(place)}]
    shadowed = {str(place): moving.unmounted(str(place))}
    try:
        shadow_seen = evidence.shadows(points, shadowed, "", [])[str(place)]
    finally:
        subprocess.run(["umount", str(inside)], check=True)
    assert shadow_seen["trouble"].startswith("AH081")


def test_a_link_above_the_mount_point_is_not_followed(place: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(place.parent)
    with pytest.raises((OSError, Refusal), match=r"Not a directory|symbolic"):
        shadowed.look(str(tmp_path / "link" / "state"))


def test_a_shadowed_link_is_not_followed(place: Path, tmp_path: Path) -> None:
    with moving.parent_of(str(place)) as above:
        os.symlink(tmp_path, f"{place.name}/system.duckdb", dir_fd=above)
    (tmp_path / "secret").write_bytes(b"outside")
    entries = shadowed.look(str(place)).shadowed.entries
    assert entries[b"system.duckdb"].kind == "link"
    assert not [path for path in entries if b"secret" in path]
    assert conflicts(place) == ["'system.duckdb' (link, differ)"]


def test_a_shadowed_directory_that_is_a_link_by_now_is_not_followed(
    place: Path, tmp_path: Path
) -> None:
    """The directory above is uid 999's, who may put a link there between two looks."""
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "secret").write_bytes(b"outside")
    subprocess.run(["umount", str(place)], check=True)
    place.rename(place.parent / "elsewhere")
    place.symlink_to(tmp_path / "foreign")
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        shadowed._shadowed(str(place), bytes(32))


def test_a_disk_is_set_aside_whole_and_goes_on_where_it_was_killed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a", "b", "dir")
    sample.write(place / "a", b"1")
    sample.write(place / "b", b"2")
    (place / "dir").mkdir()
    sample.write(place / "dir/c", b"3")
    sample.write(place / ".agnes-state.json", b"{}")
    rename, renamed = kernel.rename_new, []

    def killed(source: str, *more: Any) -> None:
        if len(renamed) == 2:
            raise KeyboardInterrupt
        renamed.append(source)
        rename(source, *more)

    monkeypatch.setattr(kernel, "rename_new", killed)
    with pytest.raises(KeyboardInterrupt):
        places.set_aside(str(place), "m-mounted")
    assert (place / ".agnes-state.json").exists()
    monkeypatch.setattr(kernel, "rename_new", rename)
    # Ours, of a marker that was being written; no other name of this kind goes.
    sample.write(place / "..agnes-state.json.0123456789ab.new", b"{")
    sample.write(place / ".a.0123456789ab.new", b"4")
    places.set_aside(str(place), "m-mounted")
    assert sorted(os.listdir(place)) == [".agnes-host-aside", "lost+found"]
    aside = place / ".agnes-host-aside"
    assert sorted(os.listdir(aside / "m-mounted")) == [
        ".a.0123456789ab.new", ".agnes-state.json", *names, "system.duckdb",
    ]  # fmt: skip
    assert (aside / "m-mounted/dir/c").read_bytes() == b"3"
    assert {(p.stat().st_mode & 0o777, p.stat().st_uid) for p in (aside, aside / "m-mounted")} == {
        (0o700, 0)
    }


def test_a_disk_is_not_set_aside_into_what_somebody_else_has_made(
    place: Path, tmp_path: Path
) -> None:
    (place / ".agnes-host-aside").symlink_to(tmp_path)
    with pytest.raises(Refusal, match="AH125"):
        places.set_aside(str(place), "m-mounted")
    (place / ".agnes-host-aside").unlink()
    (place / ".agnes-host-aside").mkdir(mode=0o700)
    os.chown(place / ".agnes-host-aside", 999, 999)
    with pytest.raises(Refusal, match="AH125"):
        places.set_aside(str(place), "m-mounted")
    assert (place / "system.duckdb").read_bytes() == b"live"


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
