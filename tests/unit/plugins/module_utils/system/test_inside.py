# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths are looked up as a container's own processes do: links begin at its root."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.compose import inside
from ansible_collections.agnes.host.plugins.module_utils.system.host import kernel


@pytest.fixture(params=["openat2", errno.ENOSYS, errno.EPERM])
def root(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[int]:
    """A tree, with openat2 and where the kernel or a filter of system calls does not have it."""
    if request.param != "openat2":

        def missing(*_arguments: object) -> int:
            raise OSError(request.param, os.strerror(request.param))

        monkeypatch.setattr(kernel, "open_in_root", missing)
    for name in ("data/real", "data-state/certs", "etc"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data" / "state").symlink_to("/data-state")
    (tmp_path / "data" / "up").symlink_to("../../../../data-state/certs")
    (tmp_path / "data" / "chain").symlink_to("state/certs/./../certs")
    (tmp_path / "data" / "loop").symlink_to("loop")
    (tmp_path / "data" / "dangling").symlink_to("/proc/self")
    (tmp_path / "data" / "file").write_text("x")
    fd = os.open(tmp_path, os.O_PATH)
    before = len(os.listdir("/proc/self/fd"))
    yield fd
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(fd)


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/data/real", "data/real"),
        ("/data/state", "data-state"),
        ("/data/state/", "data-state"),
        ("/data/state/certs", "data-state/certs"),
        ("/data/up", "data-state/certs"),
        ("/data/chain", "data-state/certs"),
        ("/../../etc", "etc"),
        ("/", "."),
    ],
)
def test_a_path_leads_where_the_container_sees_it(
    root: int, tmp_path: Path, path: str, leads_to: str
) -> None:
    fd = inside.opened(root, path)
    status = os.fstat(fd)
    os.close(fd)
    assert os.path.samestat(status, os.stat(tmp_path / leads_to))


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/data/loop", errno.ELOOP),
        ("/data/dangling", errno.ENOENT),
        ("/none", errno.ENOENT),
        ("/data/file/x", errno.ENOTDIR),
    ],
)
def test_what_does_not_lead_anywhere_is_an_error(root: int, path: str, number: int) -> None:
    with pytest.raises(OSError) as failed:
        inside.opened(root, path)
    assert failed.value.errno == number


def test_the_root_of_a_process_is_its_own() -> None:
    assert os.path.samestat(inside.look(os.getpid(), "/proc"), os.stat("/proc"))
    for gone in (0, 2**22 + 1):
        with pytest.raises(OSError):
            inside.look(gone, "/")
