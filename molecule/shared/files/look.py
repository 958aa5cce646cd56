#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what checks ask of a host, all at once, as one JSON value.

    python3 - ASKED < look.py     ASKED: JSON with the lists paths, and if wanted texts, lists, devices, beats

One process on the host in place of one for each question. Standard library only: it runs on the
test host, as root.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from typing import Any

PROJECT = "/opt/agnes"
SERVICE = "com.docker.compose.service"
BEAT_SECONDS = 10


def run(*command: str, folder: str = "/") -> str:
    """A command's output; raises CalledProcessError."""
    return subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=folder
    ).stdout.strip()


def info(path: str) -> dict[str, Any] | None:
    """Owner, mode and kind of a path itself, and the device of what it leads to; None without one."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    link = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
    try:
        device = os.stat(path).st_dev
    except OSError:
        device = None
    kinds = {stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "link"}
    return {
        "uid": status.st_uid, "gid": status.st_gid, "mode": stat.S_IMODE(status.st_mode),
        "kind": kinds.get(stat.S_IFMT(status.st_mode), "other"), "link": link, "device": device,
    }  # fmt: skip


def text(path: str) -> str | None:
    """A file's text; None without one."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def mounts() -> list[dict[str, str]]:
    """Each mount: where it is, and what is mounted there; one above the other are two."""
    printed = json.loads(run("findmnt", "--json", "--list", "--output", "TARGET,SOURCE,FSTYPE"))
    entries: list[dict[str, str]] = printed["filesystems"]
    return entries


def block(device: str) -> dict[str, str]:
    """What a probe of the device finds, and the features of its ext4 filesystem; nothing without one."""
    probe = ["blkid", "--probe", "--output", "export", device]
    lines = subprocess.run(probe, capture_output=True, text=True, check=False).stdout.splitlines()
    probed = dict(line.split("=", 1) for line in lines)
    header = ["dumpe2fs", "-h", device]
    features = subprocess.run(header, capture_output=True, text=True, check=False)
    for line in features.stdout.splitlines():
        if line.startswith("Filesystem features"):
            probed["features"] = line.partition(":")[2].strip()
    return probed


def seen_by(pid: int, paths: list[str]) -> dict[str, int | None]:
    """The device of each path as the container's own process sees it; None where it sees nothing.

    In a process that takes that root: a link in it would else be followed on the host.
    """
    end, other = os.pipe()
    child = os.fork()
    if not child:
        devices: dict[str, int | None] = {}
        os.chroot(f"/proc/{pid}/root")
        os.chdir("/")
        for path in paths:
            try:
                devices[path] = os.stat(path).st_dev
            except OSError:
                devices[path] = None
        os.write(other, json.dumps(devices).encode())
        os._exit(0)
    os.close(other)
    with os.fdopen(end) as pipe:
        answer: dict[str, int | None] = json.loads(pipe.read())
    os.waitpid(child, 0)
    return answer


def containers(paths: list[str]) -> dict[str, dict[str, Any]]:
    """Name -> what the engine says of each container, and what a running one sees."""
    ids = run("docker", "ps", "--all", "--quiet").split()
    by_name = {}
    for item in json.loads(run("docker", "inspect", *ids)) if ids else []:
        pid = item["State"]["Pid"]
        by_name[item["Name"].lstrip("/")] = {
            "id": item["Id"],
            "project": item["Config"]["Labels"].get("com.docker.compose.project", ""),
            "service": item["Config"]["Labels"].get(SERVICE, ""),
            "one_off": item["Config"]["Labels"].get("com.docker.compose.oneoff") == "True",
            "status": item["State"]["Status"],
            "health": item["State"].get("Health", {}).get("Status", ""),
            "exit_code": item["State"]["ExitCode"],
            "restarts": item["RestartCount"],
            "started": item["State"]["StartedAt"],
            "mounts": {mount["Destination"]: mount["RW"] for mount in item["Mounts"]},
            "sees": seen_by(pid, paths) if pid else {},
        }
    return by_name


def beats(folders: list[str]) -> dict[str, bool]:
    """Each counter below the folders' ``beats``, and whether it goes on."""

    def counts() -> dict[str, str | None]:
        return {
            f"{folder}/beats/{name}": text(f"{folder}/beats/{name}")
            for folder in folders
            for name in (os.listdir(f"{folder}/beats") if os.path.isdir(f"{folder}/beats") else ())
            if ".tmp" not in name
        }

    first, end = counts(), time.monotonic() + BEAT_SECONDS
    while True:
        time.sleep(0.25)
        now = counts()
        moving = {path: now.get(path) != count for path, count in first.items()}
        if all(moving.values()) or time.monotonic() > end:
            return moving


def main(asked: dict[str, list[str]]) -> None:
    """Entry point."""
    compose = ("docker", "compose", "--profile", "*", "config", "--format", "json")
    config = run(*compose, folder=PROJECT)
    seen = {
        "paths": {path: info(path) for path in asked["paths"]},
        "texts": {path: text(path) for path in asked.get("texts", [])},
        "lists": {path: sorted(os.listdir(path)) for path in asked.get("lists", [])},
        "mounts": mounts(),
        "block": {device: block(device) for device in asked.get("devices", [])},
        "containers": containers(asked["paths"]),
        "services": json.loads(config)["services"],
        "beats": beats(asked.get("beats", [])),
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
