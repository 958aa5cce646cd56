# SPDX-License-Identifier: GPL-3.0-or-later
"""The product's compose files and scripts: from its image, or from a directory."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from typing import NamedTuple

from ...core.host.errors import NoArtifacts
from ..host.commands import Failed, environment, last_line, run

IMAGE_DIR = "/opt/agnes-host"
"""Where the product's image carries the files for the host."""

_LIMIT = 32 * 1024 * 1024


class File(NamedTuple):
    """A file of the project: its content and whether it is executable."""

    content: bytes
    executable: bool

    @property
    def mode(self) -> int:
        """Permission bits."""
        return 0o755 if self.executable else 0o644


def from_image(docker: str, image: str, fetch: bool = True) -> dict[str, File]:
    """The files below /opt/agnes-host of ``image``, which is pulled if the engine lacks it.

    The engine has no way to read an image's files but through a container: one is
    created, never started, and removed. Raises NoArtifacts; Failed where nothing may be fetched
    (``fetch``) and the engine lacks the image.
    """
    pull = () if fetch else ("--pull", "never")
    create = [docker, "create", *pull, "--label", "agnes.host=artifacts", image, "true"]
    try:
        container = run(create, seconds=1800)
    except Failed as error:
        if not fetch:
            absent = "is not on this host, and is not fetched to look at it"
            known = "no such image" in str(error).lower()
            why = absent if known else f"can't be looked into ({error})"
            raise Failed(f"image '{image}' {why}") from error
        raise NoArtifacts(found=f"image '{image}' can't be fetched ({error})") from error
    container_id = container.out.strip()
    try:
        # Runs without a module, too, and takes bytes.
        copy = subprocess.run(  # pylint: disable=ansible-bad-function
            [docker, "cp", f"{container_id}:{IMAGE_DIR}/.", "-"],
            env=environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False,
        )  # fmt: skip
        if copy.returncode:
            reason = last_line(copy.stderr.decode(errors="replace"))
            raise NoArtifacts(found=f"image '{image}' has no {IMAGE_DIR} ({reason})")
        return _from_tar(copy.stdout)
    finally:
        run([docker, "rm", "--force", container_id])


def _from_tar(data: bytes) -> dict[str, File]:
    files = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            name = os.path.normpath(member.name)
            if not member.isreg() or name.startswith(("..", "/")):
                continue
            content = archive.extractfile(member)
            if content is None:
                raise AssertionError("a regular member has content")
            files[name] = File(content.read(_LIMIT), bool(member.mode & 0o100))
    return files


def from_directory(directory: str) -> dict[str, File]:
    """The regular files below ``directory`` on the host; links are left out."""
    if not os.path.isdir(directory):
        raise NoArtifacts(found=f"'{directory}' is no directory on this host")
    files = {}
    for folder, _folders, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    content = file.read(_LIMIT)
                files[os.path.relpath(path, directory)] = File(content, bool(info.st_mode & 0o100))
    return files
