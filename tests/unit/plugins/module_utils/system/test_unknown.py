# SPDX-License-Identifier: GPL-3.0-or-later
"""What could not be looked at is not taken for empty, small or gone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.copy import retired as core
from ansible_collections.agnes.host.plugins.module_utils.system.compose import images
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


def docker(top: Path, inspect: str) -> str:
    """One that lists two containers of another project and one of ours."""
    path = top / "docker"
    path.write_text(
        "#!/bin/sh\ncase $1 in ps) printf 'id-1 other-1 other\\nid-2 lone \\nid-3 agnes-app-1 agnes\\n';;\n"
        f"inspect) {inspect};; esac\n"
    )
    path.chmod(0o755)
    return str(path)


HELD = [Held("8:32")]


@pytest.fixture
def holds(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Process -> whether it has the disk, or what the kernel says in place of an answer."""
    found: dict[str, Any] = {"11": True, "12": False}

    def is_mounted_for(_held: Held, pid: str) -> bool:
        if isinstance(found[pid], OSError):
            raise found[pid]
        return bool(found[pid])

    monkeypatch.setattr(Held, "is_mounted_for", is_mounted_for)
    return found


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
    path.write_text("#!/bin/sh\n[ $5 = bot:1 ] && exit 0\necho >&2 'No such image'; exit 1\n")
    images.check_there(str(path), services, ["bot"], "/opt/agnes")


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
