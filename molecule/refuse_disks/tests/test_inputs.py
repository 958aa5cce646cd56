# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host of the field has that no run can work with: refused in the plan, and undone as it came.

Each is made on the one host of the scenario, tried with a run of site.yml, and taken away again.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import records
from play import play

HOST = "agnes-refuse-disks"
ROW = {"ansible_host": HOST, "layout": "nested", "disks_state_device": ""}
USER = {"ansible_user": "nobody", "ansible_become": False, "ansible_remote_tmp": "/tmp/nobody"}

TRIED: dict[str, tuple[str, str, dict[str, str]]] = {
    "programs": (
        "mv /usr/sbin/wipefs /usr/sbin/mkfs.ext4 /srv/", "mv /srv/wipefs /srv/mkfs.ext4 /usr/sbin/",
        {
            "root": "AH150: this host lacks wipefs, which this run needs .*'apt-get install util-linux'.*",
            "user": "AH015: the run is user 'nobody' on the host, and only root can read .*",
        },
    ),
    "mkfs": (
        "mv /usr/sbin/mkfs.ext4 /srv/", "mv /srv/mkfs.ext4 /usr/sbin/",
        {"root": "AH150: this host lacks mkfs.ext4, .*'apt-get install e2fsprogs'.*"},
    ),
    "fstab": (
        "mv /etc/fstab /srv/fstab && ln -s /srv/fstab /etc/fstab", "mv -T /srv/fstab /etc/fstab",
        {"root": "AH151: /etc/fstab is a link to '/srv/fstab', .* its lines for /data; .*"},
    ),
    "twice": (
        "cp /etc/fstab /srv/ && printf '/dev/x /data//state/ ext4\\nLABEL=y\\t/data/./state xfs' >>/etc/fstab",
        "cp /srv/fstab /etc/fstab",
        {"root": r"AH152: lines \d+ and \d+ of /etc/fstab are all for '/data/state', .*"},
    ),
    "mark": (
        "mkdir /opt/agnes && printf '\\357\\273\\277COMPOSE_FILE=a.yml\\n' >/opt/agnes/.env",
        "rm -r /opt/agnes",
        {"root": "AH046: /opt/agnes/.env line 1: begins with a byte order mark, .*"},
    ),
    "slow": (
        # An engine that is slow to answer is waited for: the refusal is of what comes after it.
        "mkdir /opt/agnes && printf '\\357\\273\\277COMPOSE_FILE=a.yml\\n' >/opt/agnes/.env"
        " && printf '#!/bin/sh\\n[ \"$1\" != info ] || sleep 31\\nexec /usr/bin/docker \"$@\"\\n'"
        " >/usr/local/sbin/docker && chmod +x /usr/local/sbin/docker",
        "rm -r /opt/agnes /usr/local/sbin/docker",
        {"root": "AH046: /opt/agnes/.env line 1: begins with a byte order mark, .*"},
    ),
    "project": (
        # Before the first run there is no compose file that Compose could be asked about.
        "mkdir /opt/agnes && echo COMPOSE_PROJECT_NAME=agnes_live >/opt/agnes/.env", "rm -r /opt/agnes",
        {"root": "AH053: Compose gives the project in /opt/agnes the name 'agnes_live', .*"},
    ),
    "names": (
        'mkdir -p /data && touch "/data/$(printf "caf\\351")" "/data/$(printf "x\\033[2J")"', "rm -r /data",
        {"root": r"AH029: '/data' is not mounted but holds files, .*\(found caf\\xe9, x\\x1b\[2J\).*"},
    ),
    "userns": (
        "mkdir -p /etc/docker && echo '{\"userns-remap\": \"default\"}' >/etc/docker/daemon.json"
        " && systemctl restart docker",
        "rm /etc/docker/daemon.json && systemctl restart docker",
        {"root": "AH051: the Docker engine here is with userns-remap, where uid 999 .*"},
    ),
}  # fmt: skip
"""Name -> what makes it, what takes it away, and the sentence for each way of coming to the host."""


@pytest.mark.parametrize("tried", [*TRIED])
def test_it_is_refused_with_its_sentence_before_anything_is_changed(tried: str, host: Any) -> None:
    make, undo, sentences = TRIED[tried]
    run = f"refuse_disks-{tried}"
    rows = {f"{who}-{tried}": {**ROW, **(USER if who == "user" else {})} for who in sentences}
    host.check_output(make)
    try:
        done = play(run, rows)
    finally:
        host.check_output(undo)
    results = records.read(run, "site")
    for who, sentence in sentences.items():
        said = [
            r["msg"] for r in results if r["host"] == f"{who}-{tried}" and r["status"] == "failed"
        ]
        assert len(said) == 1, done.stdout + done.stderr
        assert re.fullmatch(sentence, said[0]), said[0]
        assert "disks_format" not in said[0]
        assert records.actions(results, f"{who}-{tried}") == set()
