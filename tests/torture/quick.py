# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-ins for docker and systemctl without the start of an interpreter, of which a move has thirty."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any, Optional

from ansible_collections.agnes.host.plugins.module_utils.system.host import commands

HERE = Path(__file__).parent
_POPEN = subprocess.Popen


class _Child:
    """A stand-in as a fork of this process, with as much of Popen as commands.run needs."""

    def __init__(self, code: CodeType, argv: list[str], cwd: str, env: dict[str, str]) -> None:
        self.argv, self.returncode = argv, None  # type: Any
        self.out, self.err = os.memfd_create("out"), os.memfd_create("err")
        self.pid = os.fork()
        if self.pid == 0:
            self._carry_out(code, cwd, env)
        self.pidfd = os.pidfd_open(self.pid)

    def _carry_out(self, code: CodeType, cwd: str, env: dict[str, str]) -> None:
        status = 1
        try:
            os.dup2(self.out, 1)
            os.dup2(self.err, 2)
            # As exec does it: a lock of this process must not outlive it in a child.
            os.closerange(3, 1 << 16)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            os.chdir(cwd)
            os.environ.clear()
            os.environ.update(env)
            sys.argv = self.argv
            try:
                exec(code, {"__name__": "__main__"})
                status = 0
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else int(end.code is not None)
                print(end.code, file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)

    def communicate(self, timeout: Optional[float] = None) -> tuple[str, str]:
        """Wait for its end; what it has printed."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        if not poll.poll(None if timeout is None else timeout * 1000):
            raise subprocess.TimeoutExpired(self.argv, timeout or 0)
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.pidfd)
        return _read(self.out), _read(self.err)

    def kill(self) -> None:
        """As Popen does it."""
        os.kill(self.pid, 9)


def _read(fd: int) -> str:
    text = os.pread(fd, 1 << 24, 0).decode(errors="replace")
    os.close(fd)
    return text


def in_place() -> None:
    """From now on commands.run forks this process for a stand-in, where it has no threads."""
    codes = {
        name: compile((HERE / f"{name}_stand_in.py").read_text(), f"{name}_stand_in.py", "exec")
        for name in ("docker", "systemctl")
    }

    def popen(argv: list[str], **options: Any) -> Any:
        code = codes.get(os.path.basename(argv[0]))
        if code is None or threading.active_count() > 1:
            return _POPEN(argv, **options)  # pylint: disable=consider-using-with
        return _Child(code, argv, options.get("cwd") or ".", options["env"])

    commands.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": popen})
