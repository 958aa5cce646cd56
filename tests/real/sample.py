# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree with everything that a copy can lose, without any tool but Python."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

SPARSE = 1 << 30
ODD_NAMES = (
    b"new\nline",
    b"\xff\xfe not utf-8",
    b" leading",
    b"-rf",
    b"*?[x]",
    b"back\\slash",
    "é".encode(),
)

USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
_NOBODY = 0xFFFFFFFF


def acl(user: int, rights: int) -> bytes:
    """An ACL that gives one more user rights, as the kernel has it on disk."""
    entries = [
        (USER_OBJ, 6, _NOBODY), (USER, rights, user), (GROUP_OBJ, 4, _NOBODY), (MASK, 7, _NOBODY),
        (OTHER, 0, _NOBODY),
    ]  # fmt: skip
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def capability(bits: int) -> bytes:
    """A file capability, permitted and effective."""
    return struct.pack("<IIIII", 0x02000001, bits, 0, 0, 0)


def write(path: Path, content: bytes = b"x", uid: int = 999, mode: int = 0o600) -> Path:
    """A file with owner, mode and a time in nanoseconds."""
    path.write_bytes(content)
    os.chown(path, uid, uid)
    path.chmod(mode)
    os.utime(path, ns=(1_111_111_111_111_111_111, 1_222_222_222_123_456_789))
    return path


def _files(top: Path) -> None:
    write(top / "system.duckdb", os.urandom(3 << 20))
    write(top / "system.duckdb.wal", os.urandom(70_000))
    write(top / "empty", b"")
    write(top / ".jwt_secret", b"c2VjcmV0", mode=0o600)
    write(top / "setuid", b"#!", uid=0, mode=0o4755)
    write(top / "sticky", b"", mode=0o1644)
    with open(write(top / "sparse", b""), "r+b") as file:
        file.truncate(SPARSE)
        file.seek(200 << 20)
        file.write(b"island")
    with open(write(top / "zeros", bytes(1 << 20)), "r+b") as file:
        os.fsync(file.fileno())
    old = write(top / "old")
    os.utime(old, ns=(1, 1))


def _names(top: Path) -> None:
    odd = os.fsencode(top) + b"/odd"
    os.mkdir(odd)
    for name in ODD_NAMES:
        with open(os.path.join(odd, name), "wb") as file:
            file.write(name)
    os.mkdir(os.path.join(odd, b"deep\nhere"), 0o700)
    os.symlink(b"\xff", os.path.join(odd, b"link\xfe"))


def _links(top: Path) -> None:
    first = write(top / "hard-a", b"shared")
    (top / "sub").mkdir(mode=0o750)
    os.chown(top / "sub", 70, 70)
    for name in ("hard-b", "sub/hard-c"):
        os.link(first, top / name)
    os.symlink("/etc/hostname", top / "absolute")
    os.symlink("hard-a", top / "relative")
    os.symlink("nowhere", top / "dangling")
    os.lchown(top / "relative", 999, 999)
    os.mkfifo(top / "fifo", 0o622)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(top / "socket"))
    os.mknod(top / "null", 0o20666, os.makedev(1, 3))


def _attributes(top: Path) -> None:
    os.setxattr(write(top / "with-acl", mode=0o640), "system.posix_acl_access", acl(70, 6))
    (top / "inherits").mkdir()
    os.setxattr(top / "inherits", "system.posix_acl_default", acl(71, 5))
    os.setxattr(write(top / "with-xattr"), "user.origin", b"here")
    os.setxattr(top / "with-xattr", "trusted.of", b"root")
    os.setxattr(write(top / "with-cap", mode=0o755), "security.capability", capability(1 << 10))


def make(top: Path) -> Path:
    """The tree, below ``top``; its directories get times of their own last."""
    os.chown(top, 999, 999)
    top.chmod(0o750)
    for part in (_files, _names, _links, _attributes):
        part(top)
    for left_out in ("duckdb-tmp", "lost+found"):
        (top / left_out).mkdir(exist_ok=True)
    (top / "duckdb-tmp" / "spill").write_bytes(b"scratch")
    os.utime(top / "sub", ns=(5, 987_654_321_000_000_001))
    return top
