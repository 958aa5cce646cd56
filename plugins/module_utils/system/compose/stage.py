# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage: the project as it will be, shown to Compose at its own path before it is published.

The files that differ are laid over the project's directory by an overlay mount, in a mount
namespace that lives as long as one command. They come to it in memory: nothing of a stage is
ever on the host, so there is nothing to clean up after a run that was killed, no path that a
service could come to mount, and no secret to find.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ...core.compose.chain import join
from ...core.host.errors import NoStage
from ...core.layout import dotenv
from ..host.commands import Done, Failed, last_line, run
from .artifacts import File
from .compose import Compose

_FAILED = 97
"""Exit code of what goes before the command; Compose has none like it."""

# /run is there on every host, and is given back before the command runs; in a directory of it, since
# umount leaves one of its own there. The project's directory is a dot in the options: there a colon,
# a comma or a backslash of its name would mean something.
_SHOWN = f"""
mount -t tmpfs -o mode=0700 agnes-host /run && mkdir -m 0700 /run/stage && tar -x -f "$1" -C /run/stage &&
cd "$2" && mount -t overlay overlay -o lowerdir=/run/stage:. "$2" && umount /run && cd "$3" || exit {_FAILED}
shift 3 && exec "$@"
"""


def _ancestor(path: str) -> str:
    """The deepest directory at or above ``path`` that exists."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


class Stage(Compose):
    """The project of ``directory`` with ``files`` and ``.env`` replaced."""

    def __init__(
        self, docker: str, directory: str, files: Mapping[str, File], env_text: str
    ) -> None:
        super().__init__(docker, directory)
        self._files = {name: file.content for name, file in files.items()}
        self._env = env_text

    def with_env(self, env_text: str) -> Stage:
        """The same stage with another ``.env``."""
        other = type(self)(self.docker, self.directory, {}, env_text)
        other._files = dict(self._files)
        return other

    def put(self, name: str, content: bytes) -> None:
        """Put a file into the stage, in place of the project's."""
        self._files[name] = content

    def drop(self, name: str) -> None:
        """Take back what was put."""
        self._files.pop(name, None)

    def env_text(self) -> str:
        """``.env`` as it will be."""
        return self._env

    def resolve(self, chain: Sequence[str]) -> dict[str, Any]:
        """What Compose would resolve if ``.env`` named ``chain``; see Compose.config."""
        before = self._env
        self._env = dotenv.upsert(before, {"COMPOSE_FILE": join(chain)})
        try:
            return self.config()
        finally:
            self._env = before

    def _contents(self) -> dict[str, bytes]:
        return {**self._files, ".env": self._env.encode("utf-8", "surrogateescape")}

    def differs(self) -> bytes:
        """The files, ``.env`` among them, that are not published just so; empty where all are."""
        contents = self._contents()
        other = {name: text for name, text in contents.items() if self._published(name) != text}
        return repr(sorted(other.items())).encode() if other else b""

    def _published(self, name: str) -> Optional[bytes]:
        try:
            with open(os.path.join(self.directory, name), "rb") as file:
                return file.read()
        except OSError:
            return None

    def launch(self, argv: Sequence[str], codes: Sequence[int], seconds: float) -> Done:
        """Run a command that sees the stage where the project is. Raises NoStage."""
        top = _ancestor(self.directory)
        if top == "/":
            raise NoStage(found=f"no directory above '{self.directory}' is there")
        fd = os.memfd_create("agnes-host")
        try:
            with os.fdopen(fd, "wb", closefd=False) as file:
                file.write(self._archive(os.path.relpath(self.directory, top)))
            done = run(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SHOWN, "sh",
                 f"/proc/self/fd/{fd}", top, self.directory, *argv],
                codes=(), seconds=seconds, fds=[fd],
            )  # fmt: skip
        finally:
            os.close(fd)
        if done.code == _FAILED:
            # The last line of mount is the advice to look elsewhere.
            raise NoStage(found=f"of '{done.err.strip().partition(chr(10))[0]}'")
        if codes and done.code not in codes:
            reason = last_line(done.err)
            raise Failed(f"'{' '.join(argv[:3])}' failed ({done.code}): {reason}")
        return done

    def _archive(self, folder: str) -> bytes:
        contents = self._contents()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, content in contents.items():
                info = tarfile.TarInfo(os.path.normpath(os.path.join(folder, name)))
                info.size, info.mode = len(content), 0o600
                archive.addfile(info, io.BytesIO(content))
        return buffer.getvalue()
