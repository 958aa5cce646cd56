# SPDX-License-Identifier: GPL-3.0-or-later
"""What could not be looked at is not taken for empty, small or gone."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.copy import retired as core
from ansible_collections.agnes.host.plugins.module_utils.system.compose import images
from ansible_collections.agnes.host.plugins.module_utils.system.disks import (
    contents,
    devices,
    evidence,
    holders,
)
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed
from ansible_collections.agnes.host.plugins.module_utils.system.move import moving, units
from ansible_collections.agnes.host.plugins.module_utils.system.move.moving import Held

TOO_LONG = "/" + "x" * 300
"""A path of which the kernel says an error to root, too."""


def measured(path: str) -> tuple[tuple[int, int], dict[str, str]]:
    unmeasured: dict[str, str] = {}
    return moving._measured(path, unmeasured), unmeasured


def free(path: str) -> tuple[tuple[int, int], dict[str, str]]:
    unmeasured: dict[str, str] = {}
    return moving._free(path, unmeasured), unmeasured


def test_a_directory_is_added_up_and_an_absent_one_is_empty(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("x" * 5000)
    (size, files), unmeasured = measured(str(tmp_path))
    assert size >= 5000
    assert (files, unmeasured) == (1, {})
    assert measured(str(tmp_path / "none")) == ((0, 0), {})
    assert measured(str(tmp_path / "rows")) == ((0, 0), {})


def test_one_that_can_not_be_read_is_not_empty() -> None:
    assert measured(TOO_LONG) == ((0, 0), {TOO_LONG: "File name too long"})


def test_one_that_no_copy_could_follow_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path.joinpath(*["d"] * 3)
    deep.mkdir(parents=True)
    monkeypatch.setattr(
        "ansible_collections.agnes.host.plugins.module_utils.system.copy.manifest.MAX_DEPTH", 2
    )
    (why,) = [*measured(str(tmp_path))[1].values()]
    assert "directories more than 2 deep" in why


def test_room_that_is_not_known_is_not_none(tmp_path: Path) -> None:
    (room, _inodes), unmeasured = free(str(tmp_path))
    assert room > 0
    assert unmeasured == {}
    assert free(TOO_LONG) == ((0, 0), {TOO_LONG: "File name too long"})


def test_an_earlier_copy_that_can_not_be_added_up_leaves_the_room_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / core.ASIDE / moving.COPY_NAME / "a" / "b").mkdir(parents=True)
    monkeypatch.setattr(
        "ansible_collections.agnes.host.plugins.module_utils.system.copy.manifest.MAX_DEPTH", 1
    )
    assert list(free(str(tmp_path))[1]) == [str(tmp_path)]


LISTED = "id-1 other-1 running other id-2 lone paused '' id-3 agnes-app-1 running agnes id-4 old exited other"


def docker(top: Path, inspect: str) -> str:
    """One that lists two containers of another project and one of ours."""
    path = top / "docker"
    path.write_text(
        f"#!/bin/sh\ncase $1 in ps) printf '%s\\t%s\\t%s\\t%s\\n' {LISTED};;\n"
        f"inspect) {inspect};; esac\n"
    )
    path.chmod(0o755)
    return str(path)


HELD = [Held("8:32")]


@pytest.fixture
def holds(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Process -> whether it has the disk, or what the kernel says in place of an answer."""
    answers: dict[str, Any] = {"11": True, "12": False}

    def is_mounted_for(_held: Held, pid: str) -> bool:
        if isinstance(answers[pid], OSError):
            raise answers[pid]
        return bool(answers[pid])

    monkeypatch.setattr(Held, "is_mounted_for", is_mounted_for)
    return answers


def test_containers_of_others_that_have_the_disk_are_found(
    tmp_path: Path, holds: dict[str, Any]
) -> None:
    both = docker(tmp_path, "echo id-1 11; echo id-2 12")
    assert moving.others(both, "agnes", HELD) == ["other-1"]


def test_one_that_is_gone_holds_nothing(tmp_path: Path, holds: dict[str, Any]) -> None:
    gone = docker(tmp_path, "echo id-2 12; echo >&2 'Error: No such object: id-1'; exit 1")
    assert moving.others(gone, "agnes", HELD) == []
    holds["12"] = ProcessLookupError(3, "No such process")
    assert moving.others(gone, "agnes", HELD) == []


def test_one_that_could_not_be_looked_at_is_not_gone(tmp_path: Path, holds: dict[str, Any]) -> None:
    failing = docker(tmp_path, "echo >&2 'Cannot connect to the Docker daemon'; exit 1")
    with pytest.raises(Failed, match="can't be looked at: Cannot connect"):
        moving.others(failing, "agnes", HELD)
    holds["11"] = PermissionError(13, "Permission denied")
    with pytest.raises(PermissionError):
        moving.others(docker(tmp_path, "echo id-1 11"), "agnes", HELD)


def test_an_image_that_could_not_be_looked_for_is_not_gone(tmp_path: Path) -> None:
    services = {"app": {"image": "agnes:1"}, "bot": {"image": "bot:1"}, "built": {"image": ""}}
    path = tmp_path / "docker"
    path.write_text("#!/bin/sh\necho >&2 'Cannot connect to the Docker daemon'; exit 1\n")
    path.chmod(0o755)
    with pytest.raises(Failed, match="image 'agnes:1' can't be looked for: Cannot connect"):
        images.check_there(str(path), services, ["app", "built"], "/opt/agnes")
    images.check_there(str(path), services, ["built", "other"], "/opt/agnes")
    path.write_text(
        '#!/bin/sh\n[ "$5$6" = bot:1 ] && echo \'"sha256:1" ["bot@sha256:2"]\' && exit 0\n'
        "echo >&2 'No such image'; exit 1\n"
    )
    images.check_there(str(path), services, ["bot"], "/opt/agnes")
    # With one that is missing, the engine does not say which line is whose.
    known = images.named(str(path), ["agnes:1", "bot:1", ""])
    assert known == {"bot:1": {"id": "sha256:1", "digests": ["sha256:2"]}}


def test_the_units_of_the_product_and_those_that_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "_FOLDERS", (str(tmp_path / "etc"), str(tmp_path / "none")))
    for name in (
        "agnes-db-backup.timer",
        "agnes-host-move.service",
        "docker.service",
        "agnes-x.socket",
    ):
        (tmp_path / "etc" / f"{name}.d").mkdir(parents=True)
        (tmp_path / "etc" / name).write_text("")
    assert units.product_units() == ["agnes-db-backup.timer"]
    assert units.open_units() == ["agnes-db-backup.timer"]
    assert units.held_units() == []
    units.hold()
    assert (units.open_units(), units.held_units()) == ([], ["agnes-db-backup.timer"])
    assert units.let_go()
    assert not units.let_go()
    assert not os.path.exists(tmp_path / "etc" / "agnes-db-backup.timer.d")


def failing(number: int) -> Any:
    def fail(*_given: Any, **_more: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


DISK = Held("9:99")
STATE_TREE: Any = SimpleNamespace(device=1, inode=2)
CONTAINER = {"pid": os.getpid(), "paths": {}}
ASKED: list[Any] = [
    ("os.listdir", lambda: holders.has_open(os.getpid(), DISK)),
    ("builtins.open", lambda: holders._mapped_files(os.getpid(), DISK)),
    ("os.readlink", lambda: holders._isolated_mount(os.getpid(), DISK, (0, 0), set())),
    ("os.stat", lambda: holders._is_in_container(os.getpid(), (0, 0))),
    ("os.readlink", lambda: evidence._opens(CONTAINER, DISK)),
    ("os.open", lambda: evidence._sees(CONTAINER, STATE_TREE)),
]


@pytest.mark.parametrize(("call", "ask"), ASKED)
def test_a_process_that_can_not_be_looked_at_is_not_one_that_holds_nothing(
    call: str, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (errno.ENOENT, errno.ESRCH):
        with monkeypatch.context() as patched:
            patched.setattr(call, failing(number))
            gone = ask()
        assert gone is False
    for number in (errno.EACCES, errno.EIO):
        with monkeypatch.context() as patched, pytest.raises(OSError, match=os.strerror(number)):
            patched.setattr(call, failing(number))
            ask()


@pytest.fixture
def block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What /sys says of a disk that is blank and free."""
    sys = tmp_path / "8:99"
    (sys / "holders").mkdir(parents=True)
    (sys / "size").write_text("2048")
    monkeypatch.setattr(devices, "SYS", str(tmp_path))
    monkeypatch.setattr(devices, "_signatures", lambda path: ([], {}))
    monkeypatch.setattr(devices, "_exclusive", lambda path: True)
    return sys


@pytest.mark.parametrize("name", ["size", "ro", "removable", "queue/rotational"])
def test_a_disk_of_which_an_attribute_can_not_be_read_is_not_fit_and_not_gone(
    block: Path, name: str
) -> None:
    device = devices.device("8:99", "/dev/sdz", {})
    assert device and (device["probed"], device["read_only"]) == ("", False)
    (block / name).unlink(missing_ok=True)
    # What a directory in the place of a file answers, root is told, too.
    (block / name).mkdir(parents=True)
    device = devices.device("8:99", "/dev/sdz", {})
    assert device and "Is a directory" in device["probed"]


@pytest.mark.parametrize("folder", ["", "holders"])
def test_a_disk_whose_holders_can_not_be_listed_is_not_free(
    block: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = devices.device("8:99", "/dev/sdz", {})
    assert device and device["probed"] == ""
    listdir = os.listdir

    def broken(path: str) -> list[str]:
        if path == str(block / folder):
            raise OSError(errno.EIO, "Input/output error", path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", broken)
    device = devices.device("8:99", "/dev/sdz", {})
    assert device and "Input/output error" in device["probed"]
    assert not device["exclusive"]


@pytest.mark.parametrize(
    ("signatures", "looks", "free"),
    [([], [False, False, True], True), ([], [False], False), (["ext4"], [False, True], False)],
    ids=["for a moment", "for good", "mounted"],
)
def test_a_blank_disk_that_another_look_keeps_open_is_asked_again(
    block: Path,
    monkeypatch: pytest.MonkeyPatch,
    signatures: list[str],
    looks: list[bool],
    free: bool,
) -> None:
    answers = list(looks)
    monkeypatch.setattr(devices, "FREED_SECONDS", 0.3)
    monkeypatch.setattr(devices, "_signatures", lambda path: (signatures, {}))
    monkeypatch.setattr(
        devices, "_exclusive", lambda path: answers.pop(0) if len(answers) > 1 else answers[0]
    )
    device = devices.device("8:99", "/dev/sdz", {})
    assert device and (device["exclusive"], device["probed"]) == (free, "")


def test_what_a_disk_does_not_say_of_itself_is_no_trouble(block: Path) -> None:
    for name in ("device/serial", "device/wwid", "device/model", "device/type"):
        (block / name).mkdir(parents=True)
    device = devices.device("8:99", "/dev/sdz", {})
    assert device and (device["probed"], device["serial"], device["wwn"]) == ("", None, None)


def test_what_can_not_be_counted_is_not_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows").write_text("x" * 50)
    assert contents.measured(str(tmp_path)) == (50, True)
    monkeypatch.setattr(os, "lstat", failing(errno.EIO))
    assert contents.measured(str(tmp_path)) == (0, False)


def test_a_name_of_which_nobody_knows_when_it_was_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uploads").mkdir()
    assert contents.look(str(tmp_path))["newest"]
    monkeypatch.setattr(os, "stat", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        contents.look(str(tmp_path))


def test_a_process_that_root_may_not_look_at_holds_what_is_mounted_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_locks", "kernel_users"):
        monkeypatch.setattr(holders, name, lambda *_given: [])
    monkeypatch.setattr(holders, "_processes", lambda: [os.getpid()])
    monkeypatch.setattr(holders, "_mapped_files", failing(errno.EACCES))
    for mounted in (True, False):
        monkeypatch.setattr(Held, "is_mounted_for", lambda *_given: mounted)  # noqa: B023
        users = [each.partition(": ")[2] for each in holders.holders(DISK)]
        assert users == ["unknown (Permission denied)"] * mounted
