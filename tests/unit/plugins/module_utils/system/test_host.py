# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Unreadable
from ansible_collections.agnes.host.plugins.module_utils.core.host.host_errors import (
    PlaceUnreadable,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout import dotenv
from ansible_collections.agnes.host.plugins.module_utils.system.compose import engine
from ansible_collections.agnes.host.plugins.module_utils.system.host import host
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed
from ansible_collections.agnes.host.plugins.module_utils.system.layout import (
    dotenv_file,
    markers,
    trees,
)
from ansible_collections.agnes.host.plugins.module_utils.system.move import ledger, moving
from ansible_collections.agnes.host.tests.unit.plugins.module_utils.core.moving import intent

MARKER = ".agnes-state.json"


def test_what_is_at_a_state_dir(tmp_path: Path) -> None:
    nothing = host.state_place(f"{tmp_path}/none", [])
    assert (nothing["kind"], nothing["names"], nothing["marker"]) == ("absent", [], None)
    (tmp_path / "file").write_text("")
    assert host.state_place(f"{tmp_path}/file", [])["kind"] == "file"
    assert host.state_place(f"{tmp_path}/file/below", [])["kind"] == "absent"


def test_a_link_is_reported_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "system.duckdb").write_text("")
    (tmp_path / "link").symlink_to("state")
    place = host.state_place(f"{tmp_path}/link", [])
    assert (place["kind"], place["target"], place["names"]) == ("link", "state", [])
    assert not place["database"]


def test_a_directory_says_what_it_holds_without_lost_and_found(tmp_path: Path) -> None:
    for name in ("lost+found", "certs"):
        (tmp_path / name).mkdir()
    (tmp_path / "system.duckdb").write_text("")
    (tmp_path / MARKER).write_text('{"format": 1, "layout": "flat"}')
    mounts: Any = [{"target": str(tmp_path)}, {"target": "/elsewhere"}]
    place = host.state_place(str(tmp_path), mounts)
    assert place["names"] == [MARKER, "certs", "system.duckdb"]
    assert (place["mounted"], place["database"]) == (True, True)
    assert place["marker"] == {"format": 1, "layout": "flat"}
    assert not host.state_place(str(tmp_path), mounts[1:])["mounted"]


@pytest.mark.parametrize("content", ["", "{", "[1]", '"x"', "\xff", "null", '{"format": [1]}'])
def test_a_marker_that_can_not_be_read_is_never_taken_for_none(
    content: str, tmp_path: Path
) -> None:
    (tmp_path / MARKER).write_bytes(content.encode("latin-1"))
    assert markers.seen(str(tmp_path)) == {"format": "unreadable"}


def test_a_state_directory_without_a_marker_has_none(tmp_path: Path) -> None:
    assert markers.seen(str(tmp_path)) is markers.seen(f"{tmp_path}/none") is None
    (tmp_path / MARKER).write_text("{}")
    assert markers.seen(str(tmp_path)) == {}


def test_a_marker_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text('{"format": 1}')
    (tmp_path / MARKER).symlink_to("real")
    assert markers.seen(str(tmp_path)) == {"format": "unreadable"}


def test_env_is_observed_without_its_secrets(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"STATE_DIR=/x\r\nJWT_SECRET_KEY=topsecret\nFOREIGN=\xff\nDOMAIN=a\n")
    env = host.env_of(str(path), dotenv_file.read(str(tmp_path)))
    assert env["exists"]
    assert env["values"] == {"STATE_DIR": "/x", "DOMAIN": "a"}
    assert env["keys"] == ["DOMAIN", "FOREIGN", "JWT_SECRET_KEY", "STATE_DIR"]
    assert [line for line, _what in env["trouble"]] == [1]
    assert "topsecret" not in repr(env)
    none = str(tmp_path / "none")
    assert host.env_of(none, dotenv_file.read(none)) == {
        "path": none, "exists": False, "keys": [], "values": {}, "trouble": [],
    }  # fmt: skip


def test_an_env_that_is_a_link_is_refused_wherever_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("STATE_DIR=/x\n")
    (tmp_path / ".env").symlink_to("real")
    for look in (dotenv_file.read, moving.files_of, moving.look):
        with pytest.raises(Unreadable, match=rf"AH010: '{tmp_path}/.env' can't be read"):
            look(str(tmp_path))


INSPECTED = {
    "Name": "/agnes-app-1",
    "Image": "sha256:1",
    "Config": {
        "Labels": {"com.docker.compose.service": "app"},
        "Env": ["STATE_DIR=/x", "JWT_SECRET_KEY=topsecret", "NO_VALUE", "DATA_DIR=a=b"],
    },
    "State": {"Status": "running", "ExitCode": 0, "Health": {"Status": "healthy"}, "Pid": 7},
    "Mounts": [
        {"Type": "volume", "Name": "agnes_data", "Source": "/v", "Destination": "/d", "RW": True},
        {"Type": "tmpfs", "Destination": "/t", "RW": False},
    ],
}


def test_a_container_is_cut_to_what_is_needed() -> None:
    container = engine._cut_container(INSPECTED)
    assert "topsecret" not in repr(container)
    assert container["paths"] == {"STATE_DIR": "/x", "DATA_DIR": "a=b"}
    assert (container["name"], container["service"], container["health"], container["pid"]) == (
        "agnes-app-1", "app", "healthy", 7,
    )  # fmt: skip
    assert container["mounts"] == [
        {
            "type": "volume",
            "source": "/v",
            "target": "/d",
            "volume": "agnes_data",
            "rw": True,
            "seen": "",
        },
        {"type": "tmpfs", "source": "", "target": "/t", "volume": "", "rw": False, "seen": ""},
    ]


def test_a_container_without_a_health_check_or_labels() -> None:
    bare = {**INSPECTED, "Config": {"Labels": None, "Env": None}, "Mounts": None}
    bare["State"] = {"Status": "exited", "ExitCode": 3}
    container = engine._cut_container(bare)
    assert (container["service"], container["health"], container["pid"], container["paths"]) == (
        "",
        "",
        0,
        {},
    )
    assert (container["exit_code"], container["mounts"]) == (3, [])


TEST_VOLUMES: list[Any] = [
    ("agnes_data", {"type": "none", "o": "bind", "device": "/data"}, "agnes_data", "/data"),
    ("agnes_data", {"o": "rw,bind", "device": "/data"}, "agnes_data", "/data"),
    ("agnes_data", {"o": "noblind", "device": "/data"}, "agnes_data", ""),
    ("agnes_data", None, "agnes_data", ""),
    ("other_data", {"o": "bind", "device": "/data"}, "", ""),
]


@pytest.mark.parametrize(("there", "options", "name", "bind"), TEST_VOLUMES)
def test_a_left_over_data_volume(there: str, options: Any, name: str, bind: str) -> None:
    volumes = [{"Name": "x", "Options": None}, {"Name": there, "Options": options}]
    assert engine.data_volume(volumes, "agnes") == {"name": name, "bind": bind}


def test_volumes_that_could_not_be_looked_for_are_not_absent(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho >&2 'permission denied'; exit 1\n")
    os.chmod(docker, 0o755)
    assert "permission denied" in engine.volumes(str(docker)).unknown


def test_a_place_for_a_mount_is_looked_at_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("data")
    trouble = {
        "data": "", "new": "", "new/below": "", "data/state": "",
        "link": f"'{tmp_path}/link' is a link to 'data'",
        "link/state": f"'{tmp_path}/link' is a link to 'data'",
        "file": f"'{tmp_path}/file' is no directory",
    }  # fmt: skip
    assert {name: host.point_trouble(f"{tmp_path}/{name}") for name in trouble} == trouble


PROJECTS: list[Any] = [
    pytest.param({}, "exit 9", "", id="nothing-yet"),
    pytest.param({".env": "A=1\nCOMPOSE_PROJECT_NAME=live\n"}, "exit 9", "live", id="named-before-it-is-there"),
    pytest.param({"compose.yaml": ""}, "echo '{\"name\": \"other\"}'", "other", id="as-compose-says"),
    pytest.param({"compose.yaml": "", ".env": "COMPOSE_PROJECT_NAME=live\n"}, "exit 9", "live", id="rejected"),
    pytest.param({"compose.yaml": ""}, "exit 9", "", id="rejected-and-not-named"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "body", "name"), PROJECTS)
def test_the_name_of_the_project_is_asked_of_compose(
    files: dict[str, str], body: str, name: str, tmp_path: Path
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\n{body}\n")
    docker.chmod(0o755)
    project = tmp_path / "agnes"
    project.mkdir()
    for file, text in files.items():
        (project / file).write_text(text)
    env = dotenv.read(files.get(".env", ""))
    observed = host.observe_project(f"{project}/", str(docker), env)
    assert (observed["path"], observed["link"], observed["name"]) == (str(project), "", name)
    link = tmp_path / "link"
    link.symlink_to(project)
    assert host.observe_project(str(link), str(docker), env)["link"] == str(project)


def failing(number: int) -> Any:
    def fail(*_given: Any, **_more: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


LOOKS: list[Any] = [
    ("os.listdir", host._listing, []),
    ("os.lstat", lambda path: host.state_place(path, [])["kind"], "absent"),
    ("os.statvfs", moving._used, (0, 0)),
]


@pytest.mark.parametrize(("call", "look", "nothing"), LOOKS)
def test_what_can_not_be_looked_at_is_not_absent(
    call: str, look: Any, nothing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (errno.ENOENT, errno.ENOTDIR):
        monkeypatch.setattr(call, failing(number))
        assert look(str(tmp_path)) == nothing
    for number in (errno.EIO, errno.EACCES, errno.ESTALE):
        monkeypatch.setattr(call, failing(number))
        with pytest.raises(PlaceUnreadable, match=r"^AH016: '.*' can't be read"):
            look(str(tmp_path))


@pytest.mark.parametrize(("look", "nothing"), [(moving.backend, "duckdb"), (moving.marker, {})])
def test_a_directory_that_can_not_be_opened_has_no_backend_and_no_marker(
    look: Any, nothing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look(str(tmp_path / "none")) == nothing
    monkeypatch.setattr(trees, "opened", failing(errno.EIO))
    with pytest.raises(PlaceUnreadable):
        look(str(tmp_path))


def test_containers_that_can_not_be_looked_at_are_not_absent(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\n[ "$1" = ps ] && exec printf "abc\\ta\\trunning\\tagnes\\n"\necho "$SAY" >&2\nexit 1\n'
    )
    docker.chmod(0o755)
    gone = docker.read_text().replace("$SAY", "Error: No such object: abc")
    docker.write_text(docker.read_text().replace("$SAY", "cannot connect"))
    with pytest.raises(Failed, match="cannot connect"):
        engine.containers(str(docker), "agnes")
    docker.write_text(gone)
    assert engine.containers(str(docker), "agnes") == []


def test_the_address_of_a_proxy_is_no_part_of_what_is_observed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have a password; the intent of a move keeps it for the commands that go on with it."""
    monkeypatch.setattr(ledger, "INTENT", f"{tmp_path}/intent")
    said = intent(environment={"https_proxy": "http://u:pass@proxy"})
    ledger.write(ledger.INTENT, said)
    facts = moving.look(str(tmp_path))
    assert facts["intent"] == {**said, "environment": {}}
    assert "pass@" not in str(facts)


def test_the_password_of_a_share_in_fstab_is_not_observed() -> None:
    lines = host.fstab_lines("//nas/x /srv cifs username=u,password=secret 0 0\n", [])
    assert lines == [
        {"line": 1, "spec": "//nas/x", "mount_point": "/srv", "fstype": "cifs", "maj_min": ""}
    ]
