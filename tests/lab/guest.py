# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual test host: a real kernel, udev, systemd's boot, and a power that can be cut.

By QEMU, with the user network: no root is needed. It is reached as an operator's host is, over SSH as
a normal user with sudo.
"""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import cache

MACHINE_SECONDS = 420
"""How long a boot may take: emulated, on a machine that does something else as well."""

KERNEL_ARGUMENTS = (
    "root=LABEL=lab-root rw console=ttyS0 net.ifnames=0 quiet systemd.show_status=0 panic=-1 "
    # Emulated, what guards against other guests costs a third of the time.
    "mitigations=off nopti nokaslr"
)
KVM, EMULATED = "kvm", "tcg,thread=multi,tb-size=256"
# The demo's database needs AVX, which QEMU emulates since 7.2. TSX is what it does not.
CPU = {KVM: "host", EMULATED: "Haswell-noTSX"}
MEMORY_MIB = 1536
PROCESSORS = 2

DATA, STATE = "DATA0001", "STATE0001"
"""Serials of the two disks."""


@dataclass(frozen=True)
class Disk:
    """A disk of a guest; ``slot``: its number on the controller, which decides no name in the guest."""

    image: Path
    serial: str
    slot: int
    format: str = "qcow2"
    readonly: bool = False
    attached: bool = True
    """Whether it is there at the boot; one that is not can be attached later."""

    def device(self) -> dict[str, Any]:
        """What QEMU is to make of it."""
        return {
            "driver": "scsi-hd", "id": f"disk{self.slot}", "bus": "scsi.0", "scsi-id": self.slot,
            "drive": f"drive{self.slot}", "serial": self.serial,
        }  # fmt: skip


def by_id(serial: str) -> str:
    """The stable name that udev gives to a disk."""
    return f"/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{serial}"


def command(
    name: str,
    boot: Path,
    disks: Sequence[Disk],
    forwards: dict[int, int],
    accelerator: str,
    folder: Path,
) -> list[str]:
    """QEMU's command line.

    boot: where kernel and initramfs are. forwards: port of this machine -> port of the guest.
    folder: for its console, and the socket on which QEMU takes commands.
    """
    drives = []
    for disk in disks:
        options = (
            f"if=none,id=drive{disk.slot},file={disk.image},format={disk.format},discard=unmap"
        )
        drives += ["-drive", options + (",readonly=on" if disk.readonly else "")]
        if disk.attached:
            said = ",".join(f"{key}={value}" for key, value in disk.device().items())
            drives += ["-device", said]
    ports = "".join(f",hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in forwards.items())
    return [
        "qemu-system-x86_64", "-name", name, "-machine", "q35", "-accel", accelerator,
        "-cpu", CPU[accelerator], "-smp", str(PROCESSORS), "-m", str(MEMORY_MIB),
        "-nodefaults", "-no-user-config", "-display", "none",
        "-kernel", str(boot / "vmlinuz"), "-initrd", str(boot / "initrd.img"),
        "-append", KERNEL_ARGUMENTS, "-device", "virtio-scsi-pci,id=scsi", *drives,
        "-netdev", f"user,id=net{ports}", "-device", "virtio-net-pci,netdev=net",
        "-device", "virtio-rng-pci", "-serial", f"file:{folder}/console.log",
        "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
    ]  # fmt: skip


def image(path: Path, backing: Path | None = None, size: str = "") -> Path:
    """Make a disk's image: blank, or one that keeps only what differs from another."""
    base = ["-b", str(backing), "-F", "qcow2"] if backing else []
    create = ["qemu-img", "create", "-q", "-f", "qcow2", *base, str(path)]
    create += [size] if size else []
    subprocess.run(create, check=True)
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Guest:
    """One guest, with its disks in a folder of its own."""

    def __init__(self, name: str, folder: Path, boot: Path, accelerator: str) -> None:
        self.name, self.folder, self.boot, self.accelerator = name, folder, boot, accelerator
        self.disks: list[Disk] = []
        self.port = self.https = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(
        self, disks: Sequence[Disk], wait: float = MACHINE_SECONDS, memory: Path | None = None
    ) -> float:
        """Boot with these disks, or go on with a frozen memory; seconds until it takes commands. Raises TimeoutError."""
        self.disks, self.port, self.https = list(disks), _free_port(), _free_port()
        forwards = {self.port: 22, self.https: 443}
        argv = command(self.name, self.boot, disks, forwards, self.accelerator, self.folder)
        if memory:
            argv += ["-incoming", f"exec:cat {shlex.quote(str(memory))}"]
        (self.folder / "qmp").unlink(missing_ok=True)
        # It ends with the tests, however they end.
        argv = ["setpriv", "--pdeathsig", "KILL", *argv]
        with (self.folder / "qemu.log").open("wb") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        if memory:
            self._thaw(time.monotonic() + wait)
        return self._until_it_answers("", wait)

    def _thaw(self, end: float) -> None:
        """Let it go on when its memory is there: it is as it was frozen, standing still. Raises TimeoutError."""
        while (
            not (self.folder / "qmp").exists() or self._tell("query-status")["status"] != "paused"
        ):
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name} has not come back; see {self.folder}/qemu.log")
            time.sleep(0.2)
        self._tell("cont")

    def disk(self, serial: str) -> Disk:
        """The one of its disks with this serial."""
        return next(disk for disk in self.disks if disk.serial == serial)

    def without(self, serial: str) -> list[Disk]:
        """Its disks, one of them not attached."""
        return [replace(disk, attached=disk.serial != serial) for disk in self.disks]

    def attach(self, serial: str) -> None:
        """Attach a disk while the guest runs."""
        disk = self.disk(serial)
        self._tell("device_add", disk.device())

    def exchange(self, serial: str, image: Path) -> None:
        """Detach a disk while the guest runs, and attach another image as the same disk."""
        disk = self.disk(serial)
        self._tell("device_del", {"id": f"disk{disk.slot}"})
        while any(each["device"] == f"drive{disk.slot}" for each in self._tell("query-block")):
            time.sleep(0.2)
        file = {"driver": "file", "filename": str(image)}
        self._tell("blockdev-add", {"driver": disk.format, "node-name": "other", "file": file})
        self._tell("device_add", {**disk.device(), "drive": "other"})
        self.disks = [replace(each, image=image) if each is disk else each for each in self.disks]

    def enlarge(self, serial: str, size: int) -> None:
        """Make a disk larger while the guest runs, as a cloud does; size: its bytes from now on."""
        disk = self.disk(serial)
        self._tell("block_resize", {"device": f"drive{disk.slot}", "size": size})

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Its disks are as after a sync and a power cut, till it goes on."""
        self.output("sync")
        self._tell("stop")
        yield
        self._tell("cont")

    def freeze(self, memory: Path) -> None:
        """End it as it is, with its memory in a file: ``start`` goes on from there, with copies of its disks."""
        self._tell("stop")
        self._tell("migrate", {"uri": f"exec:cat > {shlex.quote(str(memory))}"})
        while (status := self._tell("query-migrate")["status"]) != "completed":
            assert status in ("setup", "active", "device"), status
            time.sleep(0.2)
        self.kill()

    def _tell(self, execute: str, arguments: dict[str, Any] | None = None) -> Any:
        """A command to QEMU, and what it returns."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.folder / "qmp"))
            with connection.makefile("rw") as talk:
                said = [talk.readline()]
                for each in ({"execute": "qmp_capabilities"},
                             {"execute": execute, "arguments": arguments or {}}):  # fmt: skip
                    talk.write(json.dumps(each) + "\n")
                    talk.flush()
                    said.append(talk.readline())
                    while "event" in json.loads(said[-1]):
                        said.append(talk.readline())
        assert not any("error" in json.loads(line) for line in said), said
        return json.loads(said[-1])["return"]

    def exchanged(self, first: str, second: str) -> list[Disk]:
        """Its disks, two of them in each other's slot."""
        slot = {disk.serial: disk.slot for disk in self.disks}
        slot[first], slot[second] = slot[second], slot[first]
        return [replace(disk, slot=slot[disk.serial]) for disk in self.disks]

    def kill(self) -> None:
        """The power cut: what was not flushed to a disk is lost."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def off(self, seconds: float = 240) -> None:
        """An orderly end. Raises subprocess.TimeoutExpired."""
        self.run("systemctl poweroff")
        if self.process:
            self.process.wait(seconds)
            self.process = None

    def reboot(self) -> float:
        """An orderly reboot; seconds until it takes commands again."""
        before = self.output("cat /proc/sys/kernel/random/boot_id")
        self.run("systemctl reboot")
        return self._until_it_answers(before, MACHINE_SECONDS)

    def booted(self, seconds: int = MACHINE_SECONDS) -> str:
        """Wait until the boot has no more jobs; systemd's verdict."""
        return self.run(f"timeout {seconds} systemctl is-system-running --wait").stdout.strip()

    def run(self, script: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """A shell script on the guest, as root by sudo. Raises subprocess.TimeoutExpired."""
        argv = [*self.ssh(), "sudo", "sh", "-s"]
        return subprocess.run(
            argv, input=script, capture_output=True, text=True, check=False, timeout=timeout
        )

    def output(self, script: str, timeout: float = 900) -> str:
        """What a script says that must end well."""
        done = self.run(script, timeout)
        assert done.returncode == 0, f"{script}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout.strip()

    def ssh(self) -> list[str]:
        """The command that leads into the guest."""
        options = (
            "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
            "BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=15",
        )  # fmt: skip
        said = [word for option in options for word in ("-o", option)]
        key = cache() / "ssh" / "key"
        return ["ssh", *said, "-i", str(key), "-p", str(self.port), "operator@127.0.0.1"]

    def variables(self, **more: Any) -> dict[str, Any]:
        """Its variables in an inventory beside that of the lab's other hosts."""
        return {
            "lab_ssh": True,
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            # Emulated, on a machine that does something else as well, sshd answers late.
            "ansible_timeout": 90,
            "disks_data_device": by_id(DATA),
            "disks_state_device": by_id(STATE),
            "agnes_compose_profiles": ["tls"],
            "agnes_compose_timeout": 900,
            **more,
        }

    def _until_it_answers(self, other_than: str, seconds: float) -> float:
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if self.process and self.process.poll() is not None:
                raise TimeoutError(f"QEMU has ended; see {self.folder}/qemu.log")
            try:
                done = self.run("cat /proc/sys/kernel/random/boot_id", timeout=30)
            except subprocess.TimeoutExpired:
                continue
            if done.returncode == 0 and done.stdout.strip() != other_than:
                return time.monotonic() - began
            time.sleep(0.5)
        raise TimeoutError(f"{self.name} took no command in {seconds:.0f} s; see {self.folder}")


def fresh(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
