# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process a run is, on its controller, and whether another one still runs there."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def _begun(pid: int) -> str:
    """When the kernel says that a process began, in its own unit; empty where there is no /proc."""
    try:
        # proc(5): field 22; the second one is in parentheses and may have spaces.
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _machine() -> str:
    """What has the process: this boot of this machine, and the container in it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def own_run() -> dict[str, Any]:
    """This run of Ansible: who, where and since when. Plain data without secrets."""
    # Ansible renders templates in child processes, too.
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent and parent.pid else os.getpid()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return {
        "controller": socket.gethostname(),
        "user": user,
        "pid": pid,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": _machine(),
        "begun": _begun(pid),
    }


def run_state(run: Mapping[str, Any]) -> str:
    """``runs`` or ``ended`` for a run of this machine, ``unknown`` for that of another one."""
    if run.get("machine") != _machine() or not isinstance(run.get("pid"), int):
        return "unknown"
    try:
        os.kill(run["pid"], 0)
    except ProcessLookupError:
        return "ended"
    except PermissionError:
        pass
    # Another process may have got its number since.
    return "runs" if _begun(run["pid"]) == run.get("begun") else "ended"
