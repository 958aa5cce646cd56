# SPDX-License-Identifier: GPL-3.0-or-later
"""What is looked at of an engine's volumes, with a docker that is a script."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.compose import engine
from ansible_collections.agnes.host.plugins.module_utils.system.disks import elsewhere


def fill(path: Path, *names: str) -> str:
    """A directory with files."""
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("x" * 100)
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


def docker(tmp: Path, volumes: list[dict[str, Any]], code: int = 0) -> str:
    """A docker command that knows these volumes."""
    (tmp / "volumes.json").write_text(json.dumps(volumes))
    names = "\\n".join(volume["Name"] for volume in volumes)
    script = tmp / "docker"
    script.write_text(
        f'#!/bin/sh\n[ "$2" = ls ] && printf "{names}" && exit {code}\ncat {tmp}/volumes.json\n'
    )
    script.chmod(0o755)
    return str(script)


def volume(path: str, name: str = "agnes_data", **differs: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "Driver": "local",
        "Mountpoint": path,
        "Labels": None,
        "Options": None,
        **differs,
    }


def container(**mount: Any) -> dict[str, Any]:
    made = {"type": "volume", "source": "", "target": "/data", "volume": "", "rw": True, **mount}
    return {"name": "agnes-app-1", "status": "exited", "paths": {}, "mounts": [made]}


def looked(
    tmp: Path, volumes: list[dict[str, Any]], *containers: Any
) -> list[tuple[str, list[str], str]]:
    places = elsewhere.look(
        engine.volumes(docker(tmp, volumes)), "agnes", containers, str(tmp / "project")
    )
    return [(item["name"], item["proof"], item["unknown"]) for item in places]


def test_a_volume_with_a_database_is_found_measured_and_dated(tmp_path: Path) -> None:
    path = fill(tmp_path / "v", "state/system.duckdb", "extracts/a")
    os.utime(tmp_path / "v/state/system.duckdb", (1e9, 2e9))
    user = container(volume="agnes_data")
    (place,) = elsewhere.look(engine.volumes(docker(tmp_path, [volume(path)])), "agnes", [user])
    assert place["proof"] == ["state/system.duckdb", "extracts/"]
    assert (place["size"], place["whole"]) == (200, True)
    assert place["newest"] == "2033-05-18 03:33:20"
    assert place["used_by"] == ["agnes-app-1 (exited)"]


def test_a_volume_without_state_is_not_told_of(tmp_path: Path) -> None:
    path = fill(tmp_path / "v", "caddy/certificates", "state/readme")
    assert looked(tmp_path, [volume(path)]) == []


def test_a_volume_of_another_project_counts_with_a_database_only(tmp_path: Path) -> None:
    clone = volume(fill(tmp_path / "a", "state/system.duckdb"), "agnes-the-ai-analyst_data")
    other = volume(fill(tmp_path / "b", "instance.yaml", "uploads/x"), "blog_data")
    assert looked(tmp_path, [clone, other]) == [(clone["Name"], ["state/system.duckdb"], "")]


def test_a_link_in_a_volume_is_not_followed(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", "system.duckdb")
    path = fill(tmp_path / "v")
    (tmp_path / "v/state").symlink_to(tmp_path / "elsewhere")
    assert looked(tmp_path, [volume(path)]) == []


def test_what_a_volume_binds_is_looked_at_unless_it_is_at_a_place(tmp_path: Path) -> None:
    bound = fill(tmp_path / "old", "state/system.duckdb")
    options = {"type": "none", "o": "bind", "device": bound}
    at_place = {"type": "none", "o": "bind", "device": "/data"}
    places = looked(
        tmp_path,
        [volume("/nowhere", Options=options), volume("/nowhere", "agnes_more", Options=at_place)],
    )
    assert places == [("agnes_data", ["state/system.duckdb"], "")]


UNKNOWN: list[Any] = [
    pytest.param({"Driver": "rexray"}, "its driver is 'rexray', which only the engine can read", id="driver"),
    pytest.param(
        {"Options": {"type": "nfs", "o": "addr=10.0.0.1", "device": ":/export"}},
        "':/export' is mounted there only while a container uses it", id="nfs",
    ),
    pytest.param({"Mountpoint": "/proc/self/status"}, "Not a directory", id="no-directory"),
]  # fmt: skip


@pytest.mark.parametrize(("differs", "why"), UNKNOWN)
def test_what_could_not_be_looked_at_is_told(tmp_path: Path, differs: Any, why: str) -> None:
    assert looked(tmp_path, [volume("/nowhere", **differs)]) == [("agnes_data", [], why)]
    other = volume("/nowhere", "agnes_logs", **differs)
    assert looked(tmp_path, [other]) == [], "a volume that is not for data"


def test_an_engine_that_does_not_tell_is_no_empty_engine(tmp_path: Path) -> None:
    (place,) = elsewhere.look(engine.volumes(docker(tmp_path, [volume("/x")], code=1)), "agnes", [])
    assert place["name"] == "agnes_data" and "volume ls" in place["unknown"]
    broken = tmp_path / "docker"
    broken.write_text('#!/bin/sh\n[ "$2" = ls ] && echo agnes_data\nexit 0\n')
    (tmp_path / "docker").chmod(0o755)
    (place,) = elsewhere.look(engine.volumes(str(broken)), "agnes", [])
    assert place["unknown"]


def test_a_directory_that_a_container_has_for_data_is_looked_at(tmp_path: Path) -> None:
    path = fill(tmp_path / "srv", "system.duckdb")
    user = container(type="bind", source=path, target="/data-state")
    at_place = container(type="bind", source="/data", target="/data")
    other = container(type="bind", source=path, target="/mnt")
    assert looked(tmp_path, [], user, at_place) == [(path, ["system.duckdb"], "")]
    assert looked(tmp_path, [], other) == []


def test_the_directory_beside_the_compose_files_is_looked_at(tmp_path: Path) -> None:
    path = fill(tmp_path / "project/data", "state/system.duckdb")
    assert looked(tmp_path, []) == [(path, ["state/system.duckdb"], "")]
    (tmp_path / "project/data/state/system.duckdb").unlink()
    assert looked(tmp_path, []) == []


def test_one_beside_the_compose_files_that_can_not_be_read_is_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(tmp_path / "project/data", "state/system.duckdb")

    def broken(_path: str) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(elsewhere.contents, "look", broken)
    assert looked(tmp_path, []) == [(path, [], "Input/output error")]
    (tmp_path / "project/data").rename(tmp_path / "project/other")
    (tmp_path / "project/data").write_text("")
    assert looked(tmp_path, []) == [], "a file is not looked into"


def test_an_engine_is_asked_once_for_its_volumes_unless_one_went_away(tmp_path: Path) -> None:
    script = Path(docker(tmp_path, [volume(fill(tmp_path / "v"))]))
    script.write_text(script.read_text().replace("\n", f'\necho "$2" >> {tmp_path}/calls\n', 1))
    engine.volumes(str(script))
    assert (tmp_path / "calls").read_text().split() == ["ls", "inspect"]
