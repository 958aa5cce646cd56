# SPDX-License-Identifier: GPL-3.0-or-later
"""A rebind from the command to what is written; the disks and their content are stand-ins."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import FstabConflict
from ansible_collections.agnes.host.plugins.module_utils.core.host.rebind_errors import (
    RebindNoReason,
    RebindNotNow,
    RebindNotThisDisk,
)
from ansible_collections.agnes.host.plugins.module_utils.host_tools import rebind as tool
from ansible_collections.agnes.host.plugins.module_utils.move import command
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Done, Failed

MARKER = {"instance_id": "i", "role": "active", "layout": "flat", "epoch": 1, "generation": 4}
FSTAB = "# mine\nUUID=u-data /data ext4 defaults 0 2\n  UUID=u-old\t/data-state  ext4 noatime,x-agnes.host=state 0 2\n"


def disk(path: str, uuid: str, maj_min: str) -> dict[str, Any]:
    filesystem = {"type": "xfs", "uuid": uuid, "label": ""}
    return {
        "path": path, "maj_min": maj_min, "kernel_name": path[5:], "kind": "disk", "size": 8 << 30,
        "serial": None, "wwn": None, "by_path": None, "model": None, "holders": [],
        "filesystem": filesystem, "exclusive": True, "probed": "",
    }  # fmt: skip


@dataclass
class Host:
    """A flat host whose state disk is away, and another disk that has state."""

    tmp: Path
    devices: list[dict[str, Any]] = field(
        default_factory=lambda: [disk("/dev/sdc", "u-new", "8:32")]
    )
    marker: dict[str, Any] = field(default_factory=lambda: dict(MARKER))
    kept: dict[str, Any] = field(default_factory=lambda: {"format": 1, "generation": 4})
    mounted: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    accepted: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    record: dict[str, Any] = field(
        default_factory=lambda: {
            "format": 1, "instance_id": "i", "disks": {"state": {"uuid": "u-old", "phase": "formatted"}},
        }
    )  # fmt: skip

    def inside(self, path: str, _type: str) -> dict[str, Any]:
        contents = {
            "names": ["system.duckdb"], "state_names": [], "filled": [], "marker": self.marker,
            "state_marker": {}, "newest": "",
        }  # fmt: skip
        return {"unknown": "", "contents": contents}

    def save(self, recorded: dict[str, Any]) -> None:
        self.record = json.loads(json.dumps(recorded))

    @property
    def fstab(self) -> str:
        return (self.tmp / "fstab").read_text()

    def run(self, because: str = "replaced", **uuids: str) -> None:
        self.said.clear()
        lock = str(self.tmp / "lock")
        tool.rebind(self.said.append, uuids or {"state": "u-new"}, because, str(self.tmp), lock)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    (tmp_path / ".env").write_text("STATE_DIR=/data-state\n")
    (tmp_path / "fstab").write_text(FSTAB)
    monkeypatch.setattr(tool.filesystems, "FSTAB", str(tmp_path / "fstab"))
    monkeypatch.setattr(tool.ledger, "INTENT", str(tmp_path / "intent.json"))
    monkeypatch.setattr(tool.record, "load", lambda: json.loads(json.dumps(made.record)))
    monkeypatch.setattr(tool.record, "save", made.save)
    monkeypatch.setattr(tool.generations, "load", lambda: made.kept)
    monkeypatch.setattr(tool.generations, "accept", made.accepted.append)
    monkeypatch.setattr(tool.devices, "devices", lambda: made.devices)
    monkeypatch.setattr(tool.unseen, "look", made.inside)
    monkeypatch.setattr(tool.moving, "mount_at", lambda p: made.mounted.get(p, ("", "", "")))
    monkeypatch.setattr(tool, "_containers", list)
    monkeypatch.setattr(tool, "_database", lambda *arguments: None)
    monkeypatch.setattr(tool.units, "reload", lambda: None)
    monkeypatch.setattr(tool.syslog, "syslog", lambda text: None)
    return made


def test_record_and_fstab_have_the_disk_and_nothing_else_changes(host: Host) -> None:
    host.run()
    kept = host.record["disks"]["state"]
    assert (kept["uuid"], kept["device"], kept["phase"]) == ("u-new", "/dev/sdc", "adopted")
    assert host.record["rebinds"][-1]["because"] == "replaced"
    assert host.fstab == FSTAB.replace(
        "UUID=u-old\t/data-state  ext4", "UUID=u-new\t/data-state  xfs"
    )
    assert host.accepted == []
    host.run()
    assert host.said[-1] == "nothing is to be done: the record has it so"
    assert len(host.record["rebinds"]) == 1


@pytest.mark.parametrize("place", ["record.save", "generations.accept"])
def test_cut_off_anywhere_the_same_command_goes_on(
    host: Host, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    host.kept = {"format": 1, "generation": 9}
    with monkeypatch.context() as cut:
        cut.setattr(f"{tool.__name__}.{place}", lambda _value: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            host.run()
    host.run()
    assert host.record["disks"]["state"]["uuid"] == "u-new"
    assert "UUID=u-new\t/data-state  xfs" in host.fstab
    assert host.accepted == [4]


def test_a_line_of_yet_another_disk_is_left_to_people(host: Host) -> None:
    (host.tmp / "fstab").write_text(FSTAB.replace("u-old", "u-other"))
    with pytest.raises(FstabConflict):
        host.run()
    assert host.record["disks"]["state"]["uuid"] == "u-old"
    (host.tmp / "fstab").write_text("# mine\n")
    host.run()
    assert "UUID=u-new /data-state xfs" in host.fstab


def test_older_state_is_accepted_once_and_the_phase_stays(host: Host) -> None:
    host.kept = {"format": 1, "generation": 9}
    host.record["disks"]["state"]["uuid"] = "u-new"
    (host.tmp / "fstab").write_text(FSTAB.replace("u-old", "u-new"))
    host.run("restore")
    assert host.accepted == [4]
    assert host.record["disks"]["state"]["phase"] == "formatted"


def test_the_instance_of_the_marker_is_taken_over_on_a_new_boot_disk_only(host: Host) -> None:
    host.marker["instance_id"] = "i-2"
    with pytest.raises(RebindNotThisDisk):
        host.run("replaced")
    host.run("new-boot-disk")
    assert host.record["instance_id"] == "i-2"


def test_without_a_reason_it_shows_and_changes_nothing(host: Host) -> None:
    before = json.dumps(host.record)
    with pytest.raises(RebindNoReason):
        host.run("")
    assert host.said[0].startswith("state disk   /dev/sdc (8 GiB; xfs, UUID u-new)")
    assert json.dumps(host.record) == before
    assert host.fstab == FSTAB


def test_not_during_a_move_and_not_on_a_new_boot_disk(host: Host) -> None:
    before = json.dumps(host.record)
    (host.tmp / "intent.json").write_text("{}")
    with pytest.raises(RebindNotNow, match="a move of the state is not ended"):
        host.run()
    (host.tmp / "intent.json").unlink()
    (host.tmp / ".env").unlink()
    with pytest.raises(RebindNotNow, match="disks_adopt"):
        host.run()
    host.mounted["/data-state"] = ("8:48", "u-old", "/")
    (host.tmp / ".env").write_text("STATE_DIR=/data-state\n")
    with pytest.raises(RebindNotNow, match="UUID u-old is mounted at /data-state"):
        host.run()
    assert json.dumps(host.record) == before


@pytest.mark.parametrize("active", [True, False])
def test_an_engine_that_does_not_answer_is_not_taken_for_one_that_does_not_run(
    monkeypatch: pytest.MonkeyPatch, active: bool
) -> None:
    def silent(docker: str, project: str) -> list[dict[str, Any]]:
        raise Failed("no answer")

    monkeypatch.setattr(tool.engine, "client", lambda: "docker")
    monkeypatch.setattr(tool.engine, "containers", silent)
    monkeypatch.setattr(tool, "run", lambda command, codes: Done(0 if active else 3, "", ""))
    if not active:
        assert tool._containers() == []
        return
    with pytest.raises(RebindNotNow, match="the engine runs and does not answer"):
        tool._containers()


OPTIONS: list[tuple[list[str], dict[str, str]]] = [
    (["--state", "a"], {"state": "a"}),
    (["--data", "a", "--state", "b", "--because", "c"], {"data": "a", "state": "b", "because": "c"}),
    ([], {}),
    (["--state"], {}),
    (["--state", "a", "--state", "b"], {}),
    (["--disk", "a"], {}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "options"), OPTIONS)
def test_options_are_taken_whole_or_not_at_all(given: list[str], options: dict[str, str]) -> None:
    assert command._options(given) == options
