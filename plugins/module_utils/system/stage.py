# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage: the project as it will be, where Compose can resolve it before it is published.

It stands in /run, which is memory, in a directory of root's only, because its
``.env`` holds secrets; what Compose prints of them never leaves this process.
"""

from __future__ import annotations

import fcntl
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, Optional

from ..core import dotenv
from ..core.chain import SEPARATOR
from ..core.errors import ComposeInvalid
from ..core.overlay import cut
from ..core.stack import recreated
from .artifacts import File
from .commands import Done, last_line, run

_PARENT = "/run/agnes-host"

_AT_ITS_PATH = """
mount -t overlay overlay -o "lowerdir=$1:$2" "$2" && cd "$2" &&
exec "$3" compose --profile '*' --dry-run up --detach --no-start --no-color
"""


class Stage:
    """A directory like the project's, with some files replaced; see ``staged``."""

    def __init__(self, docker: str, project_dir: str, parent: str) -> None:
        self.docker = docker
        self.project_dir = project_dir
        self.path = os.path.join(parent, "view")
        self.differs = os.path.join(parent, "differs")
        os.mkdir(self.path)
        os.mkdir(self.differs)

    def put(self, name: str, content: bytes) -> None:
        """Put a file into the stage, in place of the project's."""
        for directory in (self.path, self.differs):
            target = os.path.join(directory, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.lexists(target):
                os.unlink(target)
            with open(target, "wb") as file:
                file.write(content)

    def mirror(self, differ: Collection[str]) -> None:
        """Link what the project has and ``differ`` has not, beside each file of ``differ``."""
        folders = {str(folder) for name in differ for folder in PurePosixPath(name).parents}
        for folder in sorted(folders):
            source, target = (os.path.join(top, folder) for top in (self.project_dir, self.path))
            os.makedirs(target, exist_ok=True)
            for name in os.listdir(source) if os.path.isdir(source) else ():
                path = os.path.normpath(os.path.join(folder, name))
                if path not in differ and path not in folders:
                    os.symlink(os.path.join(source, name), os.path.join(target, name))

    def recreated(self) -> set[str]:
        """The containers that Compose would recreate if the stage were the project.

        For that the stage must stand at the project's own path, because paths are a
        part of what Compose compares: in a mount namespace of its own, it does.
        """
        done = run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _AT_ITS_PATH, "sh",
             self.differs, self.project_dir, self.docker]
        )  # fmt: skip
        return recreated(done.err + done.out)

    def _run(self, chain: Sequence[str], arguments: Sequence[str]) -> Done:
        files = [part for name in chain for part in ("--file", os.path.join(self.path, name))]
        env_file = os.path.join(self.path, ".env")
        project = os.path.basename(self.project_dir.rstrip("/"))
        return run(
            [self.docker, "compose", "--project-name", project, "--project-directory", self.path,
             "--env-file", env_file, "--profile", "*", *files, *arguments],
            codes=(), cwd=self.path,
        )  # fmt: skip

    def _invalid(self, chain: Sequence[str], error: str) -> ComposeInvalid:
        """The refusal of a chain; it names the one file that Compose can't read alone, if any."""
        alone = ["config", "--quiet", "--no-consistency", "--no-interpolate"]
        for name in chain:
            done = self._run([name], alone)
            if done.code:
                return ComposeInvalid(files=name, found=self._redacted(last_line(done.err)))
        return ComposeInvalid(files=SEPARATOR.join(chain), found=self._redacted(error))

    def _redacted(self, text: str) -> str:
        with open(os.path.join(self.path, ".env"), encoding="utf-8", errors="replace") as file:
            values = dotenv.assignments(file.read())
        for _number, key, value in values:
            if key not in dotenv.PLAIN_KEYS and len(value) >= 4:
                text = text.replace(value, dotenv.HIDDEN)
        return text.replace(self.path, self.project_dir)

    def resolve(self, chain: Sequence[str]) -> dict[str, Any]:
        """The configuration of ``chain``, cut to mounts and profiles, with the project's paths."""
        done = self._run(chain, ["config", "--format", "json"])
        if done.code:
            raise self._invalid(chain, last_line(done.err))
        config = cut(json.loads(done.out))
        for service in config["services"].values():
            for mount in service["volumes"]:
                source = mount.get("source") or ""
                if mount["type"] == "bind" and (source + "/").startswith(self.path + "/"):
                    mount["source"] = self.project_dir + source[len(self.path) :]
        return config


def _locked(path: str) -> Optional[int]:
    """A descriptor that holds a lock on a directory, or None when a live run holds it."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def _sweep() -> None:
    """Remove stages of runs that were killed: they hold secrets."""
    for path in glob.glob(os.path.join(_PARENT, "stage-*")):
        fd = _locked(path)
        if fd is not None:
            shutil.rmtree(path)
            os.close(fd)


@contextmanager
def staged(
    docker: str, project_dir: str, files: Mapping[str, File], env_text: str
) -> Iterator[Stage]:
    """A stage of ``project_dir`` with ``files`` and ``.env`` replaced; gone at the end."""
    os.makedirs(_PARENT, mode=0o700, exist_ok=True)
    _sweep()
    parent = tempfile.mkdtemp(dir=_PARENT, prefix="stage-")
    lock = _locked(parent)
    try:
        stage = Stage(docker, project_dir, parent)
        stage.mirror({*files, ".env"})
        for name, file in files.items():
            stage.put(name, file.content)
        stage.put(".env", env_text.encode("utf-8", "surrogateescape"))
        yield stage
    finally:
        shutil.rmtree(parent)
        if lock is not None:
            os.close(lock)
