#!/usr/bin/python3 -IS
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for docker and compose: containers are lines in a file, mounts are looked up, not made.

Each start is logged with the device on which STATE_DIR was then: no start may ever see
another disk than the state disk. And it writes a row, which is acknowledged when it is
flushed. Where the disk is recorded, see blocklog/, each change is kept with its moment.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import struct
import sys
import time

STORE = "/run/stand-in.json"
BLOCK_LOG = "/run/block.log"
TIMELINE = "/run/timeline.jsonl"
WRITTEN = "/run/written.jsonl"
"""Each row, and the directory that it went to."""
SYSTEMD = "/run/systemd-stand-in.json"
INTENT = "/var/lib/agnes-host/intent.json"
UPGRADE_LOCK = "/var/lock/agnes-auto-upgrade.lock"
FIRED = "/run/agnes-host/failpoint.fired"
BASE = "/opt/agnes/base.json"


def load() -> dict:
    with open(STORE) as file:
        return json.load(file)


def save(store: dict) -> None:
    with open(STORE + ".new", "w") as file:
        json.dump(store, file)
    os.rename(STORE + ".new", STORE)
    if os.path.exists(BLOCK_LOG):
        with open(BLOCK_LOG, "rb") as file:
            entries = struct.unpack("<QQQ", file.read(24))[2]
        with open(TIMELINE, "a") as file:
            file.write(json.dumps({"at": entries, "store": store}) + "\n")


def write(directory: int, store: dict) -> None:
    """A row of the app's, acknowledged when it can't be lost any more."""
    row = os.urandom(4).hex()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    with open(os.open("rows.log", flags, 0o644, dir_fd=directory), "a") as file:
        file.write(f"{row}\n")
        file.flush()
        os.fsync(file.fileno())
    with open(WRITTEN, "a") as file:
        file.write(json.dumps({"row": row, "inode": os.fstat(directory).st_ino}) + "\n")
    store.setdefault("rows", []).append(row)


def env(path: str) -> dict:
    with open(path) as file:
        pairs = [line.rstrip("\n").partition("=") for line in file if "=" in line]
    return {key: value for key, _equals, value in pairs}


def same_on_the_way_back() -> bool:
    """Whether the disk is still at both places, its second mount not undone: the same files, whichever is read."""
    with open(INTENT) as file:
        back = json.load(file)["direction"] == "back"
    return back and os.stat("/data/state").st_dev == os.stat("/data-state").st_dev


def is_closed(path: str) -> bool:
    """Whether there is a directory, not a mount, in which root alone can write."""
    info = os.lstat(path)
    alone = info.st_uid == 0 and not info.st_mode & 0o022
    return stat.S_ISDIR(info.st_mode) and alone and not os.path.ismount(path)


def is_taken() -> bool:
    """Whether /data is still root's, and not because giving it back has failed: the stack could not write there."""
    failed = False
    if os.path.exists(FIRED):
        with open(FIRED) as file:
            failed = "claim.undo_before:eio" in file.read()
    return os.stat("/data").st_uid == 0 and not failed


def held_back(store: dict, what: str) -> None:
    """The runner stops and starts the stack only while nothing of the product's can meddle."""
    if "BY_UPGRADE" in os.environ:
        return
    held = ["agnes-db-backup.timer"]
    if os.path.exists(SYSTEMD):
        with open(SYSTEMD) as file:
            held = json.load(file)["held"]
    if what == "a start" and os.path.exists(INTENT) and state_dir(".") == "/data-state":
        alone = not os.path.ismount("/data/state") and os.path.exists("/run/was stuck")
        if not os.path.islink("/data/state") and not alone and not same_on_the_way_back():
            wrong = (
                "no link for readers"
                if is_closed("/data/state")
                else "two places that state may be at"
            )
            store["wrong"].append(f"a start with {wrong}")
    if what == "a start" and os.path.exists(INTENT) and is_taken():
        store["wrong"].append("a start while /data is root's")
    if os.path.exists("/run/held"):
        store["wrong"].append(f"{what} while something else is at work")
    if not os.path.exists(INTENT):
        store["wrong"].append(f"{what} without an intent")
    if "agnes-db-backup.timer" not in held:
        store["wrong"].append(f"{what} while systemd holds back {held} only")
    try:
        with open(UPGRADE_LOCK) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        store["wrong"].append(f"{what} with the upgrade's lock free")
    except BlockingIOError:
        pass
    except FileNotFoundError:
        store["wrong"].append(f"{what} without the upgrade's lock")


def chain(values: dict) -> None:
    """As Compose does: each file that is named must be there."""
    for name in values["COMPOSE_FILE"].split(":"):
        if not os.path.exists(name):
            sys.exit(f"open {name}: no such file or directory")


def stale_unit() -> None:
    """As systemd does it where a unit of its old fstab names a device that is gone."""
    if not os.path.exists("/run/stale unit"):
        return
    with open(SYSTEMD) as view, open("/etc/fstab") as file:
        read, lines = json.load(view)["fstab"], file.read()
    for line in read.splitlines():
        if line not in lines and " /data-state " in line:
            os.system("umount /data-state 2>/dev/null")


def linger() -> None:
    """A test can have a process of the stack outlive it, with the database open."""
    if os.path.exists("/run/lingers") and os.fork() == 0:
        # Not of the caller's pipes: it would wait for their end.
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        os.open(os.path.join(state_dir("."), "system.duckdb"), os.O_RDWR)
        time.sleep(60)
        os._exit(0)


def ps(arguments: list) -> None:
    containers = load()["containers"]
    shape = arguments[arguments.index("--format") + 1]
    if shape.startswith("{{.ID}}"):
        # What an observation asks; the runner's own look has the names first.
        for name, item in containers.items():
            print(f"{name}\t{name}\t{item['state']}\tagnes")
        return
    stale_unit()
    for name, item in containers.items():
        print(f"{name}\t{item['state']}\t{item['service']}\tFalse\t{item['needs']}")


def count(arguments: list) -> None:
    """As the product's image would open databases: here, a row is a line that a start has left."""
    counted = []
    for mount in [value for flag, value in zip(arguments, arguments[1:]) if flag == "--mount"]:
        fields = dict(part.partition("=")[::2] for part in mount.split(","))
        assert "readonly" in fields
        with open(os.path.join(fields["source"], "rows.log")) as file:
            rows = len(file.readlines())
        if os.path.exists("/run/rows differ") and fields["source"] == "/run/agnes-host/copy":
            rows -= 1
        counted.append({"version": "1", "rows": {"main.rows": rows}})
    print(json.dumps(counted))


def inspect(names: list) -> None:
    inspected = []
    for name in names:
        item = load()["containers"].get(name)
        if item:
            # Whoever asks has the host's root, which is the containers' root here.
            state = {"Status": item["state"], "ExitCode": item["exit"], "Pid": os.getppid()}
            labels = {"com.docker.compose.service": item["service"]}
            inspected.append(
                {"Name": f"/{name}", "Image": "i", "State": state, "Mounts": [],
                 "Config": {"Labels": labels, "Env": []}}
            )  # fmt: skip
    print(json.dumps(inspected))


def overridden(path: str) -> dict:
    mounts, service = {}, ""
    with open(path) as file:
        for line in file:
            if line.startswith("      - "):
                mounts[service].append(json.loads(line[8:]))
            elif line.startswith('  "'):
                service = json.loads(line.strip().rstrip(":"))
                mounts[service] = []
    return mounts


def config() -> None:
    """As Compose does: by the .env of the directory that it is called in."""
    with open(BASE) as file:
        base = json.load(file)
    values = env(".env")
    chain(values)
    for name in values["COMPOSE_FILE"].split(":"):
        for service, volumes in overridden(name).items():
            base["services"][service]["volumes"] = volumes
    print(json.dumps({"name": "agnes", **base}))


def state_dir(project: str) -> str:
    values = env(os.path.join(project, ".env"))
    return values.get("STATE_DIR") or values["DATA_DIR"] + "/state"


def bound(state: str) -> int:
    """The directory that containers are given, open: one for all of them, whatever comes in its place."""
    try:
        return os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        sys.exit(f"bind source path does not exist: {state}")


def start(store: dict, service: str, state: str, directory: int) -> None:
    """Where a service finds its state, and a row that it writes there."""
    device = os.fstat(directory).st_dev
    store["starts"].append([service, os.major(device), os.minor(device), state])
    write(directory, store)


def up(arguments: list) -> None:
    state = state_dir(".")
    directory = bound(state)
    chain(env(".env"))
    store = load()
    held_back(store, "a start")
    device = os.fstat(directory).st_dev
    running = [item for item in store["containers"].values() if item["state"] == "running"]
    if any(item["device"] != device for item in running):
        store["wrong"].append("a start beside containers that run on another disk")
    with open(BASE) as file:
        base = json.load(file)
    for service in [word for word in arguments if not word.startswith("-")]:
        needs = ",".join(f"{n}:service_started:false" for n in base["services"][service]["needs"])
        name = f"agnes-{service}-1"
        was = store["containers"].get(name, {}).get("state")
        store["containers"][name] = {
            "service": service, "state": "running", "exit": 0, "needs": needs, "device": device,
        }  # fmt: skip
        if was != "running":
            start(store, service, state, directory)
    save(store)


def down() -> None:
    chain(env(".env"))
    store = load()
    held_back(store, "a stop")
    if store["containers"] and os.path.exists("/run/writes"):
        # What is in a process's memory gets to disk when it ends.
        start(store, "app", state_dir("."), bound(state_dir(".")))
    if os.path.exists("/run/half down"):
        # One container does not end in time.
        os.unlink("/run/half down")
        store["containers"] = {
            n: c for n, c in store["containers"].items() if c["service"] == "app"
        }
        save(store)
        sys.exit("one did not end")
    store["containers"] = {}
    linger()
    if os.path.exists("/run/slow"):
        time.sleep(2)
    if os.path.exists("/run/stuck"):
        # The commit is still to come, and nothing can take the old line out after it.
        os.rename("/run/stuck", "/run/was stuck")
        assert os.system("chattr +i /etc/fstab") == 0
    save(store)


def compose(arguments: list) -> None:
    if "config" in arguments:
        config()
    elif "up" in arguments:
        up(arguments[arguments.index("up") + 1 :])
    elif "down" in arguments:
        down()


def main() -> None:
    command, *arguments = sys.argv[1:]
    if command == "compose":
        compose(arguments)
    elif command == "ps":
        ps(arguments)
    elif command == "inspect" and arguments[:2] == ["--format", "{{.Image}}"]:
        print("sha256:i")
    elif command == "run":
        count(arguments)
    elif command == "write":
        store = load()
        write(bound(state_dir("/opt/agnes")), store)
        save(store)
    elif command == "inspect":
        inspect([word for word in arguments if word in load()["containers"]])
    else:
        sys.exit(f"stand-in: {command}?")


main()
