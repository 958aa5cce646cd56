# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of its own for one torture case: a root file system to write on, two disks, a stack's stand-in.

Only inside private mount and pid namespaces, see case.py. The root is an overlay over the
machine's own, so every absolute path of the runner is real and nothing outside changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from ansible_collections.agnes.host.plugins.module_utils.core.copy.manifest import Entry
from ansible_collections.agnes.host.plugins.module_utils.core.copy.retired import ASIDE
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import (
    LAYOUTS,
    Layout,
    overlays,
)
from ansible_collections.agnes.host.plugins.module_utils.system.layout import trees
from ansible_collections.agnes.host.plugins.module_utils.system.move import moving

# Of this case: mount looks for them on every disk of the machine, another case may go on beside
# this one, and the disks of the one before go when the kernel comes to it.
UUIDS = {
    role: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{os.environ['TORTURE_RUN']} {role}"))
    for role in ("data", "state")
}
FSTYPE = os.environ.get("TORTURE_FSTYPE", "ext4")
"""What both disks have; an xfs has no smaller one than its size here."""
SIZE = {"ext4": 24 << 20, "xfs": 320 << 20}[FSTYPE]
LOG = "/run/runner.log"
HERE = Path(__file__).resolve().parent
SECRET = "s3cr3t-that-must-not-show"
RUNNING = ("app", "scheduler")
LEFT_STOPPED = {"extract": ("exited", 0), "telegram-bot": ("exited", 137)}
NEEDS = {"app": [], "scheduler": ["app"], "extract": [], "telegram-bot": ["app"]}


def run(*argv: str) -> str:
    """A command that must succeed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{argv}: {done.stderr}")
    return done.stdout.strip()


PROMOTE = "promote"
"""As nested, and the state disk's mount shadows the state that counts."""

SYSTEMD = "/run/systemd-stand-in.json"
"""What systemd has read: fstab, and which units are held back."""
SYSTEMCTL = HERE / "systemctl_stand_in.py"

COPY = "copy"
"""Where state is at first: in a directory of the data disk, the state disk blank."""
COPY_BACK = "copy_back"
"""The other way: on the state disk in layout flat, and it goes into a directory of the data disk."""
DATA_OWNER = (999, 999, 0o775)
"""Of /data: user, group and mode."""
SOURCES = {COPY: "nested", COPY_BACK: "flat", PROMOTE: "nested"}
"""The layout of these; other beginnings are names of layouts."""


def enter(folder: Path, begin: str) -> dict[str, str]:
    """Make the root, go into it, and attach the disks; returns role -> device."""
    root = folder / "root"
    for name in ("root", "tmp"):
        (folder / name).mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", str(folder / "tmp"))
    for name in ("upper", "work"):
        (folder / "tmp" / name).mkdir()
    options = f"lowerdir=/,upperdir={folder}/tmp/upper,workdir={folder}/tmp/work"
    run("mount", "-t", "overlay", "overlay", "-o", options, str(root))
    run("mount", "--rbind", "/dev", f"{root}/dev")
    run("mount", "-t", "proc", "proc", f"{root}/proc")
    run("mount", "--rbind", "/sys", f"{root}/sys")
    # The machine's own units are many, are none of the product's, and are looked through each time.
    for name in ("run", "tmp", "opt", "usr/local", "var/lib", "usr/lib/systemd/system"):
        run("mount", "-t", "tmpfs", "tmpfs", f"{root}/{name}")
    devices = {role: _disk(folder, role, begin == COPY and role == "state") for role in UUIDS}
    DEVICES.update(devices)
    shutil.copy(HERE / "docker_stand_in.py", folder / "tmp" / "docker")
    for name in ("run/lock", "opt/agnes", "data", "usr/local/bin", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "tmp" / "docker", root / "usr/local/bin/docker")
    shutil.copy(SYSTEMCTL, root / "usr/local/bin/systemctl")
    for name in ("docker", "systemctl"):
        os.chmod(root / "usr/local/bin" / name, 0o755)
    # The stand-in's containers have this root: here they find what the chain mounts for them.
    (root / "certs").symlink_to("/data/state/certs")
    os.chroot(root)
    os.chdir("/")
    os.environ["PATH"] = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    os.environ.pop("DOCKER_HOST", None)
    return devices


KEPT: list[int] = []
DEVICES: dict[str, str] = {}


def _disk(folder: Path, role: str, blank: bool) -> str:
    image = folder / f"{role}.img"
    with image.open("wb") as file:
        file.truncate(SIZE)
    if not blank:
        _format(image, role)
    device = run("losetup", "--find", "--show", str(image))
    # A test may have made it read-only, and a device keeps that from one image to the next.
    run("blockdev", "--setrw", device)
    # Detached at once, which takes effect when the last user is gone: this process is one.
    KEPT.append(os.open(device, os.O_RDONLY | os.O_CLOEXEC))
    run("losetup", "--detach", device)
    return device


def _format(image: Path, role: str) -> None:
    label = ["-L", f"agnes-{role}", str(image)]
    if FSTYPE == "xfs":
        run("mkfs.xfs", "-q", "-m", f"uuid={UUIDS[role]}", *label)
        return
    # A few inodes more than a filesystem of this size has.
    options = ["-N", "7200"] if role == "data" else []
    run("mkfs.ext4", "-q", *options, "-U", UUIDS[role], *label)


CONFLICTS = ("mounted", "shadowed", "undecided")
"""What the state disk's mount shadows is a second copy, and which of the two counts."""


def provision(layout: Layout, devices: dict[str, str], leftovers: str, begin: str) -> None:
    """A host in ``layout`` with state, a stack, and the product's units."""
    lines = ["# a comment", "proc /proc proc defaults 0 0"]
    for role, device in devices.items():
        if role == "state" and begin == COPY:
            Path(layout.state_dir).mkdir()
            continue
        point = layout.mounts[role]
        Path(point).mkdir(exist_ok=True)
        if role == "state" and leftovers == "leftovers" and begin != PROMOTE:
            Path(point, "instance.yaml").write_text("database:\n  backend: duckdb\n")
            Path(point, "certs").mkdir()
        elif role == "state" and (leftovers in CONFLICTS or begin == PROMOTE):
            _state(Path(point))
            Path(point, "system.duckdb").write_text("h" * 200_000)
            Path(point, ".only-shadowed").write_text(SECRET)
        run("mount", device, point)
        lines.append(f"UUID={UUIDS[role]} {point} {FSTYPE} noatime,nofail 0 2")
    os.chown("/data", *DATA_OWNER[:2])
    os.chmod("/data", DATA_OWNER[2])
    Path("/etc/fstab").write_text("\n".join(lines) + "\n")
    for path, target in layout.links.items():
        os.symlink(target, path)
    _state(Path(layout.state_dir))
    _project(layout)
    unit = Path("/etc/systemd/system/agnes-db-backup.timer")
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text("[Timer]\nOnCalendar=daily\n")


def systemd() -> None:
    """It is there, and reads its units and fstab."""
    Path("/run/systemd/system").mkdir(parents=True)
    run("systemctl", "daemon-reload")


def _state(state: Path) -> None:
    (state / "certs").mkdir(mode=0o700)
    for name, text, mode in (
        ("system.duckdb", "d" * 300_000, 0o600), (".jwt_secret", SECRET, 0o600),
        (".session_secret", SECRET, 0o600), (".oauth_enc_key", SECRET, 0o600),
        ("instance.yaml", "database:\n  backend: duckdb  # the default\n", 0o640),
        ("certs/privkey.pem", SECRET, 0o600), ("odd\nname", "x", 0o644), ("rows.log", "", 0o644),
    ):  # fmt: skip
        path = state / name
        path.write_text(text)
        path.chmod(mode)
        os.chown(path, 999, 999)
    marker = {"format": 1, "instance_id": "i", "layout": "?", "role": "active", "epoch": 1}
    (state / ".agnes-state.json").write_text(json.dumps(marker))
    os.chown(state, 999, 999)


def _volumes(service: str) -> list[dict[str, Any]]:
    caddy = {"type": "bind", "source": "/data/state/certs", "target": "/certs", "read_only": True}
    data = {"type": "volume", "source": "data", "target": "/data"}
    return [data, caddy] if service == "scheduler" else [data]


def _project(layout: Layout) -> None:
    project = Path("/opt/agnes")
    services = {
        name: {"volumes": _volumes(name), "needs": needs, "restart": "always"}
        for name, needs in NEEDS.items()
    }
    (project / "base.json").write_text(json.dumps({"services": services, "volumes": {}}))
    (project / "docker-compose.yml").write_text("services: {}\n")
    for name in overlays():
        (project / name).write_text("services: {}\n")
    keys = {"DATA_DIR": "/data", "SESSION_SECRET": SECRET, **layout.env(),
            "COMPOSE_FILE": f"docker-compose.yml:{layout.overlay}", "DOMAIN": "agnes.test"}  # fmt: skip
    env = project / ".env"
    env.write_text("# secrets\n" + "".join(f"{key}={value}\n" for key, value in keys.items()))
    env.chmod(0o600)
    os.chown(env, 999, 999)
    states = {**dict.fromkeys(RUNNING, ("running", 0)), **LEFT_STOPPED}
    device = os.stat(layout.state_dir).st_dev
    containers = {
        f"agnes-{name}-1": {
            "service": name, "state": state, "exit": code, "device": device,
            "needs": ",".join(f"{need}:service_started:false" for need in NEEDS[name]),
        }
        for name, (state, code) in states.items()
    }  # fmt: skip
    Path("/run/stand-in.json").write_text(
        json.dumps({"containers": containers, "starts": [], "wrong": []})
    )


def reboot(*without: str) -> None:
    """What a boot does: all is unmounted, /run is empty, and fstab is mounted, in its order.

    without: mount points whose disks do not show up in time; the product makes directories there.
    """
    store = Path("/run/stand-in.json").read_text()
    for point in ("/run/agnes-host/copy", "/data/state", "/data-state", "/data"):
        while subprocess.run(["umount", point], capture_output=True, check=False).returncode == 0:
            pass
    log = Path("/run/runner.log").read_text()
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    for name, text in (("stand-in.json", store), ("runner.log", log)):
        Path("/run", name).write_text(text)
    Path("/run/lock").mkdir()
    systemd()
    fstab = Path("/etc/fstab")
    text = fstab.read_text()
    if "/data" in without:
        Path("/data/state").mkdir(exist_ok=True)
    late = [f" {point} " for point in without]
    fstab.write_text("".join(x for x in text.splitlines(True) if not any(p in x for p in late)))
    run("mount", "--all", "--types", FSTYPE)
    fstab.write_text(text)
    _come_up()


def _come_up() -> None:
    """Containers that ran before a boot are started by Docker on whatever shows then."""
    path = Path("/run/stand-in.json")
    store = json.loads(path.read_text())
    for item in store["containers"].values():
        item["device"] = os.stat(layout_named_by_env().state_dir).st_dev
    path.write_text(json.dumps(store))


def shadowed_manifest(path: str) -> dict[str, list[Any]]:
    """The same of what the mount at ``path`` shadows."""
    with moving.parent_of(path) as above:
        return manifest(f"/proc/self/fd/{above}/{os.path.basename(path)}")


def _content(path: str) -> str:
    """A hash of a file, for which holes take no time."""
    digest, at = hashlib.sha256(), 0
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        while at < size:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            block = os.pread(file.fileno(), at - start, start)
            # By what is not zero, so that a hole counts like zeros on disk.
            for unit in range(0, len(block), 4096):
                if block[unit : unit + 4096].strip(b"\0"):
                    digest.update(b"%d " % (start + unit) + block[unit : unit + 4096])
        digest.update(b"%d" % size)
    return digest.hexdigest()


def manifest(path: str) -> dict[str, list[Any]]:
    """All below ``path`` but the marker and what was set aside: content, owner, mode, time, names, attributes."""
    entries = {}
    for folder, folders, names in os.walk(path):
        if ASIDE in folders:
            folders.remove(ASIDE)
        for name in folders + names:
            full = os.path.join(folder, name)
            info = os.lstat(full)
            content = _content(full) if stat.S_ISREG(info.st_mode) else ""
            if name not in (".agnes-state.json", "lost+found", "rows.log"):
                entries[os.path.relpath(full, path)] = [
                    content, info.st_uid, info.st_gid, oct(info.st_mode),
                    0 if stat.S_ISDIR(info.st_mode) else info.st_mtime_ns, info.st_rdev,
                    info.st_nlink if content else 0,
                    os.readlink(full) if stat.S_ISLNK(info.st_mode) else "",
                    {n: os.getxattr(full, n, follow_symlinks=False) for n in
                     sorted(os.listxattr(full, follow_symlinks=False))},
                ]  # fmt: skip
    return entries


def _files(top: int, texts: Optional[set[str]] = None) -> list[Entry]:
    """Every file below an open directory, by content; the root's overlay is of several devices.

    texts: takes the rows that the stack has written.
    """
    entries = []
    for folder, _folders, names, fd in os.fwalk(".", dir_fd=top):
        for name in names:
            with open(os.open(name, os.O_RDONLY, dir_fd=fd), "rb") as file:
                text = file.read()
            content = hashlib.sha256(text).hexdigest()
            if texts is not None and name == "rows.log":
                texts.update(text.decode().split())
            entries.append(Entry(os.fsencode(f"{folder}/{name}"), "file", content=content))
    return entries


def rows(path: str, disk: str) -> set[str]:
    """The rows that are in any copy of state: see whole."""
    texts: set[str] = set()
    whole(path, disk, texts)
    return texts


def whole(path: str, disk: str, texts: Optional[set[str]] = None) -> list[Entry]:
    """Everything that state has: what is on its disk, what its mount shadows, and what was set aside.

    path: where the state disk is mounted at first.
    """
    entries = []
    with moving.parent_of(path) as above:
        for name in (os.path.basename(path), ASIDE):
            with suppress(FileNotFoundError, NotADirectoryError):
                fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
                entries += _files(fd, texts)
                os.close(fd)
    run("mount", disk, "/mnt")
    with trees.opened("/mnt") as fd:
        entries += _files(fd, texts)
    run("umount", "/mnt")
    # The stack writes to one, and the marker tells what becomes of the other.
    written = (b"rows.log", b".agnes-state.json")
    return [entry for entry in entries if not entry.path.endswith(written)]


def record() -> dict[str, Any]:
    """The host's record, as it is."""
    path = Path("/var/lib/agnes-host/record.json")
    recorded: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return recorded


def state_uuid(begin: str) -> str:
    """That of the state disk; chosen by the runner where it makes the filesystem."""
    if begin != COPY:
        return UUIDS["state"]
    known = record().get("disks") or {}
    return str((known.get("copy") or known.get("state") or {}).get("uuid") or "none yet")


def layout_named_by_env() -> Layout:
    """The layout whose state directory .env names."""
    lines = Path("/opt/agnes/.env").read_text().splitlines()
    keys = [line.split("=")[0] for line in lines if "=" in line]
    assert len(keys) == len(set(keys)), keys
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    state = values.get("STATE_DIR") or f"{values['DATA_DIR']}/state"
    return next(layout for layout in LAYOUTS.values() if layout.state_dir == state)
