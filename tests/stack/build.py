# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the demo image as a tarball for `docker load`, without an engine or an image registry.

    python3 tests/stack/build.py --output demo.tar --tag agnes-demo:1

Needs mmdebstrap, and pip for the running interpreter. Debian's part and the wheels are kept in
`stack-cache` beside the output; a build with both in place takes seconds. The same inputs give
the same image id.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITE = "trixie"
# libstdc++6 is for the duckdb wheel.
PACKAGES = ("ca-certificates", "caddy", "curl", "libstdc++6", "python3")
EXCLUDED = ("doc", "info", "locale", "man")
PYTHON_VERSION = "3.13"  # trixie's
WHEEL_PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
UID = 999
# Fixed, so that the image id depends on the content only.
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH") or 1767225600)
# caddy's package takes the first free id, which is 999: the stack's.
SETUP = f"""
set -eu
run() {{ chroot "$1" "${{@:2}}"; }}
taken() {{ chroot "$1" getent "$2" {UID} | cut -d: -f1; }}
user=$(taken "$1" passwd || true); [ -z "$user" ] || run "$1" usermod -u 990 "$user"
group=$(taken "$1" group || true); [ -z "$group" ] || run "$1" groupmod -g 990 "$group"
[ -z "$group" ] || run "$1" chown -R "${{user:-0}}:$group" /var/lib/caddy
run "$1" groupadd -g {UID} agnes
run "$1" useradd -u {UID} -g {UID} -d /app -M -s /usr/sbin/nologin agnes
"""


class BuildError(Exception):
    """The image can't be built; the message says why."""


def say(text: str) -> None:
    """One progress line."""
    print(f"stack: {text}", flush=True)


def run(command: list[str], what: str) -> None:
    """Run a command; show its output only if it fails."""
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
    done = subprocess.run(
        command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise BuildError(f"{what} failed ({done.returncode}):\n{tail}")


def machine() -> str:
    """The machine's architecture, if the stack knows it."""
    name = platform.machine()
    if name not in ARCHITECTURES:
        raise BuildError(f"no demo image for {name}; known: {', '.join(ARCHITECTURES)}")
    return name


def kept(cache: Path, name: str, key: str, make: Callable[[Path], None]) -> Path:
    """The cached item for `key`, made if absent; older ones of that name are removed."""
    target = cache / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    if target.exists():
        say(f"{name}: cached")
        return target
    started = time.monotonic()
    partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache)) / "item"
    try:
        make(partial)
        for old in cache.glob(f"{name}-*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        partial.rename(target)
    finally:
        shutil.rmtree(partial.parent, ignore_errors=True)
    say(f"{name}: made in {time.monotonic() - started:.1f} s")
    return target


def make_rootfs(target: Path) -> None:
    """Debian's part as a tar file."""
    if not shutil.which("mmdebstrap"):
        raise BuildError("mmdebstrap is not installed (Debian package mmdebstrap)")
    hook = target.with_name("setup.sh")
    hook.write_text("#!/bin/bash" + SETUP, "utf-8")
    hook.chmod(0o755)
    target.parent.chmod(0o755)  # mkdtemp's 0700 hides the hook from an unprivileged build
    command = ["mmdebstrap", "--quiet", "--variant=essential", "--format=tar"]
    command += [f"--include={','.join(PACKAGES)}", f"--customize-hook={hook}"]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in EXCLUDED]
    run([*command, SUITE, str(target)], "mmdebstrap")


def make_wheels(target: Path) -> None:
    """The pinned wheels, unpacked."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--no-compile", "--no-deps", "--only-binary=:all:"]
    command += ["--implementation=cp", f"--python-version={PYTHON_VERSION}"]
    command += ["--abi=cp313", "--abi=abi3", "--abi=none"]
    command += [f"--platform={name}_{machine()}" for name in WHEEL_PLATFORMS]
    command += [f"--target={target}", f"--requirement={HERE / 'requirements.txt'}"]
    run(command, "pip install")
    shutil.rmtree(target / "bin", ignore_errors=True)


def add_entry(layer: tarfile.TarFile, name: str, source: Path | None, owner: int = 0) -> None:
    """Add a file, or a directory if there is no source, with a fixed owner, mode and time."""
    entry = tarfile.TarInfo(name)
    entry.mtime, entry.uid, entry.gid = EPOCH, owner, owner
    if source is None:
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        layer.addfile(entry)
        return
    data = source.read_bytes()
    entry.size = len(data)
    entry.mode = 0o755 if os.access(source, os.X_OK) else 0o644
    layer.addfile(entry, io.BytesIO(data))


def add_tree(layer: tarfile.TarFile, prefix: str, tree: Path) -> None:
    """Add a directory and what is in it, without byte code."""
    add_entry(layer, prefix, None)
    for path in sorted(tree.rglob("*")):
        if "__pycache__" in path.parts:
            continue
        name = f"{prefix}/{path.relative_to(tree).as_posix()}"
        add_entry(layer, name, None if path.is_dir() else path)


def write_layer(target: Path, rootfs: Path, wheels: Path) -> str:
    """Debian's files and the product's as one layer; its diff id."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as layer:
        with tarfile.open(rootfs) as base:
            for entry in base:
                # Device nodes are the engine's business, and need privileges to unpack.
                if entry.ischr() or entry.isblk():
                    continue
                layer.addfile(entry, base.extractfile(entry) if entry.isreg() else None)
        add_entry(layer, "./app", None, UID)
        add_tree(layer, "./app/agnes_demo", HERE / "agnes_demo")
        add_tree(layer, "./app/lib", wheels)
        add_tree(layer, "./opt/agnes-host", HERE / "host")
        # A new named volume takes its content and owner from here; the app makes no STATE_DIR.
        for name in ("./data", "./data/state"):
            add_entry(layer, name, None, UID)
    digest = hashlib.sha256()
    with target.open("rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def image_config(diff_id: str) -> bytes:
    """The image's configuration."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH))
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": "/app:/app/lib",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    config = {
        "architecture": ARCHITECTURES[machine()],
        "os": "linux",
        "created": created,
        "config": {
            "Env": [f"{key}={value}" for key, value in env.items()],
            "Cmd": ["python3", "-m", "agnes_demo.app"],
            "User": f"{UID}:{UID}",
            "WorkingDir": "/app",
            "ExposedPorts": {"8000/tcp": {}},
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": created, "created_by": "tests/stack/build.py"}],
    }
    return json.dumps(config, sort_keys=True).encode()


def build(output: Path, tag: str) -> str:
    """Write the image to `output` for `docker load`; its id."""
    if ":" not in tag:
        raise BuildError(f"tag {tag!r} needs a name and a version, such as agnes-demo:1")
    started = time.monotonic()
    output = output.resolve()
    cache = output.parent / "stack-cache"
    cache.mkdir(parents=True, exist_ok=True)
    base_key = repr((SUITE, PACKAGES, EXCLUDED, SETUP, EPOCH, machine()))
    wheel_key = (HERE / "requirements.txt").read_text("utf-8") + machine()
    rootfs = kept(cache, "rootfs", base_key, make_rootfs)
    wheels = kept(cache, "wheels", wheel_key, make_wheels)
    with tempfile.TemporaryDirectory(prefix=".stack-", dir=output.parent) as scratch:
        layer, image = Path(scratch, "layer.tar"), Path(scratch, "image.tar")
        diff_id = write_layer(layer, rootfs, wheels)
        config = image_config(diff_id)
        digest = hashlib.sha256(config).hexdigest()
        layer_name = f"{diff_id.split(':')[1]}/layer.tar"
        manifest = [{"Config": f"{digest}.json", "RepoTags": [tag], "Layers": [layer_name]}]
        with tarfile.open(image, "w", format=tarfile.PAX_FORMAT) as archive:
            for name, data in (
                ("manifest.json", json.dumps(manifest).encode()),
                (f"{digest}.json", config),
            ):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mtime, entry.mode = len(data), EPOCH, 0o644
                archive.addfile(entry, io.BytesIO(data))
            entry = archive.gettarinfo(str(layer), layer_name)
            entry.mtime, entry.mode = EPOCH, 0o644
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            with layer.open("rb") as handle:
                archive.addfile(entry, handle)
        os.replace(image, output)
    size = output.stat().st_size / 1e6
    say(f"{tag} sha256:{digest[:12]}, {size:.0f} MB, {time.monotonic() - started:.1f} s: {output}")
    return f"sha256:{digest}"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Build the demo image for `docker load`.")
    parser.add_argument("--output", type=Path, required=True, help="tarball to write")
    parser.add_argument("--tag", default="agnes-demo:1", help="image name and version")
    options = parser.parse_args()
    try:
        build(options.output, options.tag)
    except (BuildError, OSError) as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
