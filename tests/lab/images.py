# SPDX-License-Identifier: GPL-3.0-or-later
"""Build what the lab's hosts are made of, and keep it in a cache: image, stack, certificates.

Each thing is built again only when what it is made from changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from engine import cache

TESTS = Path(__file__).resolve().parent.parent
DOMAIN = "agnes.test"
STACK_TAG = "agnes-demo:1"

PACKAGES = (
    "systemd,systemd-sysv,dbus,udev,python3,docker.io,iptables,rsync,e2fsprogs,xfsprogs,cron,sudo,"
    "iproute2,ca-certificates,openssl,curl,mount,util-linux,procps,openssh-server,locales"
)
SET_UP = (
    'chroot "$1" systemctl enable -q lab-mounts.service docker.service ssh.service',
    # Whoever looks after a host comes as a normal user. Debian has a group of that name.
    'chroot "$1" useradd --create-home --shell /bin/bash --gid users operator',
    'chroot "$1" useradd --create-home --shell /bin/bash --gid users operator-asked',
    # A language in which the capital of "i" is no "I": for runs with a locale that is not ours.
    'chroot "$1" localedef --inputfile=tr_TR --charmap=UTF-8 tr_TR.UTF-8',
    'rm -f "$1"/etc/machine-id && touch "$1"/etc/machine-id',
)
"""What is done in the new root, each a command for mmdebstrap."""


@dataclass(frozen=True)
class Image:
    """What a test host runs: a Debian release, and packages beside PACKAGES."""

    suite: str
    more: str
    from_next: str = ""
    """A package that is taken from the release after it, alone."""
    next: str = "forky"
    """The release after it."""

    def commands(self) -> tuple[str, ...]:
        """What is done in the new root, each a command for mmdebstrap."""
        if not self.from_next:
            return SET_UP
        sources = f"deb http://deb.debian.org/debian {self.next} main"
        pins = (("*", -10), (self.from_next, 900))
        said = "".join(
            f"Package: {name}\\nPin: release n={self.next}\\nPin-Priority: {priority}\\n\\n"
            for name, priority in pins
        )
        # A mirror that lags behind serves lists of a moving release past their date; they stay signed.
        update = "apt-get -qq -o Acquire::Check-Valid-Until=false update"
        return (
            *SET_UP,
            f"echo '{sources}' > \"$1\"/etc/apt/sources.list.d/next.list",
            f"printf '{said}' > \"$1\"/etc/apt/preferences.d/next",
            f'chroot "$1" sh -c "{update} && apt-get -qq --yes --no-install-recommends install {self.from_next}"',
        )


TOOLS = "btrfs-progs,lvm2,cryptsetup-bin,genisoimage,fdisk,bcache-tools,dosfstools"
"""What makes the signatures that a disk of another use has."""

IMAGES = {
    "trixie": Image("trixie", "docker-cli,docker-compose"),
    "trixie-tools": Image("trixie", f"docker-cli,docker-compose,{TOOLS}"),
    # The previous release: its docker-compose is the old program, no plugin of the client.
    "bookworm": Image("bookworm", "docker-compose"),
    # Its engine with the Compose of the release after it, which needs no other package of that.
    "bookworm-compose": Image("bookworm", "", from_next="docker-compose", next="trixie"),
    # The newest Compose that a package brings. Not the whole next release: its systemd needs cgroup v2.
    "newer-compose": Image("trixie", "docker-cli,docker-compose", from_next="docker-compose"),
}
"""By the name that a host's lab_image has; one is built when a host first wants it."""

DEFAULT_IMAGE = "trixie"


def say(text: str) -> None:
    """A line of progress."""
    print(f"lab: {text}", flush=True)


def inputs_hash(paths: list[Path], *texts: str) -> str:
    """The name of what is built from these files below TESTS and these texts."""
    digest = hashlib.sha256("\0".join(texts).encode())
    for path in sorted(paths):
        digest.update(str(path.relative_to(TESTS)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def timed(what: str, build: Callable[[], None]) -> None:
    """Build something, and say how long it took."""
    started = time.monotonic()
    say(f"building {what} ...")
    build()
    say(f"{what} built in {time.monotonic() - started:.0f} s")


def host_image(name: str) -> None:
    """The image of a test host: Debian with systemd, an engine and Compose."""
    image, folder = IMAGES[name], TESTS / "lab" / "host"
    files = [path for path in folder.rglob("*") if path.is_file()]
    key = inputs_hash(files, PACKAGES, *image.commands(), image.more, image.suite)
    stable, exact = f"agnes-lab-host:{name}", f"agnes-lab-host:{name}-{key}"
    have = subprocess.run(["docker", "image", "inspect", exact], capture_output=True, check=False)
    if have.returncode:
        timed(f"test host image ({name})", lambda: _import(name, image, folder, exact))
    subprocess.run(["docker", "tag", exact, stable], check=True)


def _import(name: str, image: Image, folder: Path, tag: str) -> None:
    log = cache() / f"host-{name}.log"
    command = [
        "mmdebstrap", "--quiet", "--variant=minbase",
        f"--include={','.join(filter(None, (PACKAGES, image.more)))}",
        f"--customize-hook=copy-in {folder}/lab-mounts.service /etc/systemd/system",
        f"--customize-hook=copy-in {folder}/lab.conf /etc/ssh/sshd_config.d",
        f"--customize-hook=upload {folder}/sudoers /etc/sudoers.d/lab",
        *(f"--customize-hook={command}" for command in image.commands()),
        image.suite, "-",
    ]  # fmt: skip
    with log.open("wb") as errors:
        make = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        load = subprocess.run(
            ["docker", "import", "-", tag], stdin=make.stdout, capture_output=True, check=False
        )
        if make.wait() or load.returncode:
            sys.exit(f"lab: the test host image can't be built; see {log}")


def stack() -> None:
    """The demo stack's image, as a tarball that test hosts load."""
    folder = TESTS / "stack"
    files = [p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    target = cache() / f"stack-{inputs_hash(files, STACK_TAG)}.tar"
    if not target.exists():
        command = [
            sys.executable,
            str(folder / "build.py"),
            "--output",
            str(target),
            "--tag",
            STACK_TAG,
        ]
        timed("demo stack image", lambda: _quietly(command, cache() / "stack.log"))
    # In one rename: another checkout's hosts may be starting with it.
    link, new = cache() / "stack.tar", cache() / f"stack.tar.{os.getpid()}"
    new.hardlink_to(target)
    new.replace(link)
    new.unlink(missing_ok=True)  # a rename onto another link of the same file does nothing


def _quietly(command: list[str], log: Path) -> None:
    with log.open("wb") as output:
        if subprocess.run(command, stdout=output, stderr=output, check=False).returncode:
            sys.exit(f"lab: '{command[1]}' failed; see {log}")


def certificates() -> None:
    """A certificate authority of the lab's own, and a certificate for DOMAIN from it."""
    folder = cache() / "tls"
    leaf = folder / "fullchain.pem"
    valid = ["openssl", "x509", "-in", str(leaf), "-noout", "-checkend", "604800"]
    if leaf.exists() and not subprocess.run(valid, capture_output=True, check=False).returncode:
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "leaf.cnf").write_text(f"subjectAltName=DNS:{DOMAIN}\nbasicConstraints=CA:FALSE\n")
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for command in (
        ["req", "-x509", *ec, "-keyout", "ca.key", "-out", "ca.pem", "-days", "90", "-subj", "/CN=agnes lab"],
        ["req", *ec, "-keyout", "privkey.pem", "-out", "leaf.csr", "-subj", f"/CN={DOMAIN}"],
        ["x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
         "-days", "60", "-extfile", "leaf.cnf", "-out", "fullchain.pem"],
    ):  # fmt: skip
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    say(f"certificates for {DOMAIN} made")


def ssh_key() -> None:
    """A key pair for the hosts that are reached over SSH, and a password for sudo that asks."""
    folder = cache() / "ssh"
    if (folder / "password").exists():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")]
    subprocess.run(key, check=True, capture_output=True)
    # Last: who finds it finds the key, too.
    (folder / "password").write_text(secrets.token_urlsafe(12))
    (folder / "password").chmod(0o600)


def main(names: list[str]) -> None:
    """Entry point: the named images (without a name the usual one) and the rest, side by side."""
    cache().mkdir(parents=True, exist_ok=True)
    # Scenarios run side by side, and what one builds is not built again by the other.
    with (cache() / "lock").open("w") as lock, ThreadPoolExecutor() as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        jobs = [pool.submit(host_image, name) for name in names or [DEFAULT_IMAGE]]
        jobs += [pool.submit(stack), pool.submit(certificates), pool.submit(ssh_key)]
        for job in jobs:
            job.result()


if __name__ == "__main__":
    main(sys.argv[1:])
