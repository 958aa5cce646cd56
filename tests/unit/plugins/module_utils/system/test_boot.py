# SPDX-License-Identifier: GPL-3.0-or-later
"""Where what runs at boot is looked for."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.host import durable
from ansible_collections.agnes.host.plugins.module_utils.system.layout import boot

PROJECT = "/opt/agnes"
WRITES = f"cp /srv/env {PROJECT}/.env"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host without anything that runs at boot."""
    for name in ("SCRIPTS", "UNIT_FOLDERS", "CRONTABS"):
        here = tuple(f"{tmp_path}{each}" for each in getattr(boot, name))
        monkeypatch.setattr(boot, name, here)
    monkeypatch.setattr(boot, "LOG", f"{tmp_path}/log")
    return tmp_path


def put(root: Path, path: str, text: str) -> Path:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/rc.local", WRITES),
        ("/etc/init.d/agnes", WRITES),
        ("/var/lib/cloud/scripts/per-boot/10", WRITES),
        ("/etc/crontab", f"@reboot root {WRITES}"),
        ("/etc/cron.d/agnes", f"@reboot root {WRITES}"),
        ("/var/spool/cron/crontabs/root", f"@reboot {WRITES}"),
        ("/etc/tmpfiles.d/agnes.conf", f"C+ {PROJECT}/.env - - - - /srv/env"),
        ("/usr/lib/systemd/system/a.service", f"[Service]\nExecStart={WRITES}"),
        ("/lib/systemd/system/a.service", f"[Service]\nExecStart=/bin/sh -c '{WRITES}'"),
        ("/run/systemd/system/a.service", f"[Service]\nExecStartPost=-{WRITES}"),
        ("/etc/systemd/system/a.service.d/x.conf", f"[Service]\nExecStartPre={WRITES}"),
    ],
)
def test_it_is_found_wherever_it_is_started_from(root: Path, path: str, text: str) -> None:
    put(root, path, text + "\n")
    assert [each["path"] for each in boot.boot_scripts(PROJECT, {})] == [f"{root}{path}"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/crontab", f"*/5 * * * * root {WRITES}"),
        ("/etc/cron.d/agnes", "@reboot root cp /srv/env /opt/other/.env"),
        ("/usr/lib/systemd/system/a.service", "[Service]\nExecStart=cp /srv/env /opt/other/.env"),
    ],
)
def test_what_runs_at_other_times_or_for_others_is_not_named(
    root: Path, path: str, text: str
) -> None:
    put(root, path, text + "\n")
    assert boot.boot_scripts(PROJECT, {}) == []


@pytest.mark.parametrize("how", ["unit", "crontab", "shell", "working directory"])
def test_the_script_that_is_started_is_looked_at(root: Path, how: str) -> None:
    text = "cp /srv/env .env" if how == "working directory" else WRITES
    script = put(root, "/usr/local/sbin/start.sh", f"#!/bin/sh\n{text}\n")
    if how == "crontab":
        put(root, "/etc/cron.d/agnes", f"@reboot root sleep 9; {script}\n")
    else:
        start = f"/bin/bash -c 'set -e; {script} --now'" if how == "shell" else script
        text = f"[Service]\nWorkingDirectory={PROJECT}\nExecStart={start}\n"
        put(root, "/usr/lib/systemd/system/a.service", text)
    assert boot.boot_scripts(PROJECT, {}) == [{"path": str(script), "lines": [2]}]


def test_a_unit_is_hidden_by_one_of_its_name_that_counts_more(root: Path) -> None:
    put(root, "/usr/lib/systemd/system/a.service", f"[Service]\nExecStart={WRITES}\n")
    mask = root / "etc/systemd/system/a.service"
    mask.parent.mkdir(parents=True)
    mask.symlink_to("/dev/null")
    assert boot.boot_scripts(PROJECT, {}) == []


def test_what_is_no_regular_file_is_not_opened(root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "directory").mkdir()
    put(root, "/program", f"\0{WRITES}\n")
    words = f"{root}/pipe {root}/directory {root}/program {root}/none /dev/null"
    text = f"[Service]\nExecStart=/bin/mkdir -p {words} {PROJECT}\n"
    put(root, "/etc/systemd/system/a.service", text)
    assert boot.boot_scripts(PROJECT, {}) == []


@pytest.mark.parametrize(
    "folder", ["etc/cron.d", "etc/systemd/system", "etc/init.d", "usr/lib/tmpfiles.d"]
)
def test_a_folder_that_can_not_be_listed_is_named_and_not_empty(
    root: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root, f"{folder}/a.service", f"[Service]\nExecStart={WRITES}\n")
    (root / folder).rename(root / "hidden")
    unread: dict[str, str] = {}
    assert boot.boot_scripts(PROJECT, unread) == []
    assert unread == {}
    (root / "hidden").rename(root / folder)
    listdir = os.listdir

    def broken(path: str) -> list[str]:
        if path == f"{root}/{folder}":
            raise OSError(errno.EIO, "Input/output error", path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", broken)
    assert boot.boot_scripts(PROJECT, unread) == []
    assert unread == {f"{root}/{folder}": "Input/output error"}


@pytest.mark.parametrize("path", ["/etc/rc.local", "/usr/local/sbin/start.sh"])
def test_a_script_that_can_not_be_read_is_named(
    root: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root, "/etc/systemd/system/a.service", f"[Service]\nExecStart={root}{path} /none\n")
    put(root, path, WRITES)
    opened = durable.opened_file

    def broken(named: str) -> object:
        if named == f"{root}{path}":
            raise OSError(errno.EIO, "Input/output error", named)
        return opened(named)

    monkeypatch.setattr(durable, "opened_file", broken)
    unread: dict[str, str] = {}
    assert boot.boot_scripts(PROJECT, unread) == []
    assert unread == {f"{root}{path}": "Input/output error"}
