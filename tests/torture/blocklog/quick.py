# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for Docker without the start of an interpreter, of which a boot has twenty."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from types import CodeType
from typing import Any

import host

_RUN = subprocess.run


def _carry_out(code: CodeType, argv: list[str], cwd: str, out: int, err: int) -> None:
    status = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        os.chdir(cwd)
        sys.argv = argv
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


def _read(fd: int) -> str:
    text = os.pread(fd, 1 << 24, 0).decode()
    os.close(fd)
    return text


def in_place() -> None:
    """Calls of docker fork this process from now on, where it has no threads."""
    source = (host.HERE / "docker_stand_in.py").read_text()
    code = compile(source, "docker_stand_in.py", "exec")

    def run(argv: Any, *more: Any, **options: Any) -> Any:
        if os.path.basename(argv[0]) != "docker" or threading.active_count() > 1:
            return _RUN(argv, *more, **options)  # pylint: disable=subprocess-run-check
        out, err = os.memfd_create("out"), os.memfd_create("err")
        child = os.fork()
        if child == 0:
            _carry_out(code, list(argv), options.get("cwd") or ".", out, err)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return subprocess.CompletedProcess(argv, status, _read(out), _read(err))

    subprocess.run = run
