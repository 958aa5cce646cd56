# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import StateLinkForeign
from ansible_collections.agnes.host.plugins.module_utils.core.layout.tree import MARKER, Entry
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_errors import MarkerForeign
from ansible_collections.agnes.host.plugins.module_utils.system.host import kernel
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.layout import markers, trees

UID, GID = os.getuid(), os.getgid()


def entries(top: Path) -> list[Entry]:
    return [
        Entry(f"{top}/dir", "directory", UID, GID, 0o750),
        Entry(f"{top}/dir/key", "file", UID, GID, 0o600, content="secret"),
        Entry(f"{top}/link", "link", 0, 0, 0o777, target="dir"),
    ]


def keep_all(top: Path, check: bool = False) -> list[dict[str, str]]:
    actions = Actions(check)
    for entry in entries(top):
        trees.keep(entry, actions)
    return actions.items


def test_a_check_run_announces_what_the_real_run_does_and_the_next_run_does_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir").chmod(0o750)
    announced = keep_all(tmp_path, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["dir"]
    assert keep_all(tmp_path) == announced
    assert [(item["before"], item["after"]) for item in announced] == [
        ("absent", f"file {UID}:{GID} 0600"),
        ("absent", "link to dir"),
    ]
    assert (tmp_path / "link").readlink() == Path("dir")
    assert (tmp_path / "dir" / "key").read_text() == "secret"
    assert (tmp_path / "dir" / "key").stat().st_mode & 0o7777 == 0o600
    assert keep_all(tmp_path) == []


def test_a_directory_is_made_with_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        keep_all(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "dir").stat().st_mode & 0o7777 == 0o750


def test_the_mode_of_what_is_there_is_left_alone(tmp_path: Path) -> None:
    keep_all(tmp_path)
    (tmp_path / "dir").chmod(0o700)
    assert keep_all(tmp_path) == []
    assert (tmp_path / "dir").stat().st_mode & 0o7777 == 0o700


@pytest.mark.skipif(UID != 0, reason="only root can give files away")
def test_the_owner_of_a_directory_is_corrected(tmp_path: Path) -> None:
    keep_all(tmp_path)
    os.chown(tmp_path / "dir", 12345, 12346)
    (item,) = keep_all(tmp_path)
    assert (item["before"], item["after"]) == ("owner 12345:12346", "owner 0:0")
    assert (tmp_path / "dir").stat().st_uid == 0


def test_a_file_with_other_content_is_written_anew(tmp_path: Path) -> None:
    keep_all(tmp_path)
    (tmp_path / "dir" / "key").write_text("old")
    (item,) = keep_all(tmp_path)
    assert item["before"] == "other content"
    assert "secret" not in item["after"]
    assert (tmp_path / "dir" / "key").read_text() == "secret"


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("name", ["dir", "dir/key", "link"])
@pytest.mark.parametrize("kind", ["directory", "file", "link", "fifo"])
def test_something_of_another_kind_is_refused_and_left(
    check: bool, name: str, kind: str, tmp_path: Path
) -> None:
    if {"dir": "directory", "dir/key": "file", "link": "link"}[name] == kind and kind != "link":
        return
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if kind == "directory":
        path.mkdir()
    elif kind == "file":
        path.write_text("theirs")
    elif kind == "link":
        path.symlink_to("/etc")
    else:
        os.mkfifo(path)
    before = path.lstat()
    with pytest.raises(StateLinkForeign):
        keep_all(tmp_path, check)
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)


def test_a_parent_that_has_become_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "dir").symlink_to(elsewhere)
    entry = Entry(f"{tmp_path}/dir/key", "file", UID, GID, 0o600, content="secret")
    with pytest.raises(OSError):
        trees.keep(entry, Actions(check=False))
    assert [*elsewhere.iterdir()] == []


@pytest.fixture(params=["openat2", "ENOSYS", "EPERM"])
def opening(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With openat2, and where the kernel or a filter of system calls does not have it."""
    if request.param == "openat2":
        return

    def missing(*_arguments: object) -> int:
        raise OSError(getattr(errno, request.param), "no such call")

    monkeypatch.setattr(kernel, "open_beneath", missing)


@pytest.mark.usefixtures("opening")
def test_a_directory_is_opened_whatever_the_kernel_has(tmp_path: Path) -> None:
    (tmp_path / "dir" / "sub").mkdir(parents=True)
    with trees.opened(f"{tmp_path}/dir/sub/") as fd:
        assert os.fstat(fd).st_ino == (tmp_path / "dir" / "sub").stat().st_ino
    with trees.opened("/") as fd:
        assert os.fstat(fd).st_ino == os.stat("/").st_ino
    with pytest.raises(FileNotFoundError), trees.opened(f"{tmp_path}/none"):
        pass


@pytest.mark.usefixtures("opening")
@pytest.mark.parametrize("where", ["link", "link/sub", "dir/link", "file", "dir/magic"])
def test_no_link_is_followed_whatever_the_kernel_has(where: str, tmp_path: Path) -> None:
    (tmp_path / "dir" / "sub").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("dir")
    (tmp_path / "dir" / "link").symlink_to("/etc")
    (tmp_path / "dir" / "magic").symlink_to("/proc/self/root")
    with pytest.raises(NotADirectoryError), trees.opened(f"{tmp_path}/{where}"):
        pass


def test_this_kernel_has_openat2() -> None:
    """Or the tests above say less than they seem to."""
    fd = os.open("/", os.O_RDONLY)
    os.close(kernel.open_beneath(fd, "proc", os.O_RDONLY))
    with pytest.raises(OSError) as error:
        kernel.open_beneath(fd, "proc/self/root", os.O_RDONLY)
    assert error.value.errno == errno.ELOOP
    with pytest.raises(OSError) as error:
        kernel.open_beneath(fd, "..", os.O_RDONLY)
    assert error.value.errno == errno.EXDEV
    os.close(fd)


def _text(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def _bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    "make",
    [
        _text("{"), _text("[]"), _text("[" * 60_000), _text("\0"), os.mkfifo, Path.mkdir, _bound,
        lambda path: path.symlink_to("/etc/shadow"), lambda path: path.symlink_to("nowhere"),
    ],
)  # fmt: skip
def test_whatever_is_in_the_markers_place_is_refused(
    make: Callable[[Path], object], tmp_path: Path
) -> None:
    make(tmp_path / MARKER)
    with trees.opened(str(tmp_path)) as directory:
        with pytest.raises(MarkerForeign, match=f"{tmp_path}/{MARKER}"):
            markers.read(directory)
        assert markers.read_if_any(directory) == {}


def test_a_fifo_that_somebody_holds_open_is_no_marker(tmp_path: Path) -> None:
    """Reading it would give nothing at all, not even an end."""
    os.mkfifo(tmp_path / MARKER)
    writer = os.open(tmp_path / MARKER, os.O_RDWR)
    with trees.opened(str(tmp_path)) as directory, pytest.raises(MarkerForeign):
        markers.read(directory)
    os.close(writer)


@pytest.mark.parametrize(
    "value", ["1e999", "NaN", "[]", "{}", '"x"', "-1", "true", "9" * 40, "1.5"]
)
def test_an_epoch_that_is_none_counts_as_zero(value: str, tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text(
        f'{{"role": "active", "epoch": {value}, "more": {{"deep": []}}}}'
    )
    with trees.opened(str(tmp_path)) as directory:
        marker = markers.read(directory)
    assert markers.epoch(marker) == 0
    assert "more" not in marker


def test_an_epoch_is_read() -> None:
    assert markers.epoch({"epoch": 7}) == 7
