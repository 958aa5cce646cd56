# SPDX-License-Identifier: GPL-3.0-or-later
"""Build what virtual test hosts start from, and keep it in the lab's cache.

The root filesystem is that of the container hosts with a kernel, and has the demo stack's image.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import images
from engine import cache
from guest import EMULATED, KVM, Disk, Guest, fresh, image

FOLDER = images.TESTS / "lab" / "guest_root"
SOURCE = f"agnes-lab-host:{images.DEFAULT_IMAGE}"
STACK = "STACK0001"
TRIAL_SECONDS = 60
"""A boot with KVM takes a few; where it is there and does not work, it hangs or ends."""


def ready() -> Path:
    """The folder with vmlinuz, initrd.img, root.qcow2, and the accelerator that works; built where it is missing."""
    images.main([])
    inspect = ["docker", "image", "inspect", "--format", "{{.Id}}", SOURCE]
    source = subprocess.run(inspect, check=True, capture_output=True, text=True).stdout
    key_text = (cache() / "ssh" / "key.pub").read_text()
    stack = (cache() / "stack.tar").stat()
    key = images.inputs_hash(
        [*FOLDER.iterdir()], source, key_text, f"{stack.st_ino} {stack.st_mtime_ns}"
    )
    target = cache() / f"guest-{key}"
    # What one checkout builds is not built again by another.
    with (cache() / "guest-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            new = fresh(cache() / "guest-new")
            images.timed("virtual test host: kernel and root", lambda: _root(new))
            images.timed("virtual test host: stack", lambda: _load(new))
            new.rename(target)
    return target


def accelerator(folder: Path) -> str:
    """KVM or EMULATED, as a folder of ready() has it."""
    return (folder / "accelerator").read_text()


def _root(new: Path) -> None:
    log = cache() / "guest.log"
    argv = [
        "docker", "run", "--rm", "--cap-add=SYS_ADMIN", "--security-opt=apparmor=unconfined",
        f"--volume={FOLDER}:/in:ro", f"--volume={cache()}/ssh/key.pub:/key.pub:ro",
        f"--volume={new}:/out", SOURCE, "sh", "/in/make-root.sh",
    ]  # fmt: skip
    with log.open("wb") as output:
        if subprocess.run(argv, stdout=output, stderr=output, check=False).returncode:
            sys.exit(f"lab: the virtual test host's root can't be built; see {log}")
    raw = new / "root.raw"
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(new / "root.qcow2")]
    subprocess.run(convert, check=True)
    raw.unlink()


def _load(new: Path) -> None:
    """Give the root the stack's image, by a disk that is its archive; by the way, see whether KVM works."""
    stack = Disk(cache() / "stack.tar", STACK, 7, "raw", readonly=True)
    guest = Guest("agnes-vm-build", new, new, _try(new))
    (new / "accelerator").write_text(guest.accelerator)
    try:
        seconds = guest.start([Disk(new / "root.qcow2", "ROOT0001", 0), stack])
        images.say(f"virtual test host: first boot {seconds:.0f} s, {guest.booted()}")
        guest.output(f"docker load --quiet --input /dev/disk/by-id/*{STACK}")
        guest.off()
    finally:
        guest.kill()
    (new / "root.qcow2").chmod(0o444)


def _try(new: Path) -> str:
    """KVM, only where a guest really boots with it."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return EMULATED
    trial = fresh(new / "trial")
    guest = Guest("agnes-vm-trial", trial, new, KVM)
    try:
        seconds = guest.start(
            [Disk(image(trial / "root.qcow2", new / "root.qcow2"), "ROOT0001", 0)], TRIAL_SECONDS
        )
    except TimeoutError:
        images.say(f"/dev/kvm is there, and no guest booted with it in {TRIAL_SECONDS} s: emulated")
        return EMULATED
    finally:
        guest.kill()
        shutil.rmtree(trial)
    images.say(f"KVM works: a guest booted in {seconds:.0f} s")
    return KVM


if __name__ == "__main__":
    began = time.monotonic()
    images.say(f"virtual test host: {ready()} ({time.monotonic() - began:.0f} s)")
