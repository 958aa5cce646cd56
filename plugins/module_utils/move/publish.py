# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the engine on the host, so that it runs without Ansible: code, command and unit.

The code is the very code that the module runs from, read through Python's own loaders,
so it does not matter whether that is a zip file or a directory.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ..system import durable, units
from ..system.commands import run

ROOT = "/usr/local/lib/agnes-host"
PACKAGE = "agnes_host"
COMMAND = "/usr/local/sbin/agnes-host"
UNIT = "agnes-host-move.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"

_MAIN = """# SPDX-License-Identifier: GPL-3.0-or-later
import sys

from .move.command import main

sys.exit(main())
"""
_COMMAND = """#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Written by agnes.host.
PYTHONPATH={root}/current PYTHONDONTWRITEBYTECODE=1 exec {python} -s -m {package} "$@"
"""
_UNIT = """# Written by agnes.host: moves state between layouts, on its own and over a reboot.
[Unit]
Description=Move the state of Agnes between layouts
Documentation=https://example.org/agnes/host
After=local-fs.target docker.service
Wants=docker.service
ConditionPathExists=|{request}
ConditionPathExists=|{fence}

[Service]
Type=exec
ExecStart={command} move
# Killed, it goes on by itself; an error is for people.
Restart=on-abnormal
RestartSec=1
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
"""


def sources(prefix: str) -> dict[str, str]:
    """Path -> text of every loaded module of the three packages below ``prefix``."""
    found = {}
    for name, module in sorted(sys.modules.items()):
        rest = name[len(prefix) + 1 :]
        if not name.startswith(prefix + ".") or rest.split(".")[0] not in (
            "core",
            "system",
            "move",
        ):
            continue
        loader: Any = module.__spec__.loader if module.__spec__ else None
        path = rest.replace(".", "/")
        found[f"{path}/__init__.py" if hasattr(module, "__path__") else f"{path}.py"] = str(
            loader.get_source(name) or ""
        )
    return found


def texts(modules: Mapping[str, str], request: str, fence: str) -> dict[str, tuple[str, int]]:
    """Path -> text and mode of all that stands on the host outside the code's own directory."""
    return {
        COMMAND: (_COMMAND.format(root=ROOT, python=sys.executable, package=PACKAGE), 0o755),
        UNIT_PATH: (_UNIT.format(request=request, fence=fence, command=COMMAND), 0o644),
    }


def version(modules: Mapping[str, str]) -> str:
    """A name for this code: a hash over all of it."""
    digest = hashlib.sha256()
    for path, text in sorted(modules.items()):
        digest.update(f"{path}\0{text}\0".encode())
    return digest.hexdigest()[:12]


def missing(modules: Mapping[str, str], request: str, fence: str) -> list[str]:
    """What is not on the host yet, for a message."""
    found = []
    current = os.path.join(ROOT, "current")
    if not os.path.islink(current) or os.readlink(current) != version(modules):
        found.append(f"{ROOT}/{version(modules)}")
    for path, (text, _mode) in texts(modules, request, fence).items():
        if durable.read_text(path) != text:
            found.append(path)
    return found


def publish(modules: Mapping[str, str], request: str, fence: str) -> None:
    """Write the code durably, then let ``current`` name it; then command and unit."""
    name = version(modules)
    files = {**modules, "__init__.py": "", "__main__.py": _MAIN}
    for path, text in files.items():
        target = os.path.join(ROOT, name, PACKAGE, path)
        durable.make_directory(os.path.dirname(target))
        durable.write(target, text)
    current, fresh = os.path.join(ROOT, "current"), os.path.join(ROOT, f".current-{name}")
    if os.path.lexists(fresh):
        os.unlink(fresh)
    os.symlink(name, fresh)
    os.rename(fresh, current)
    durable.fsync_directory(ROOT)
    for path, (text, mode) in texts(modules, request, fence).items():
        durable.make_directory(os.path.dirname(path))
        durable.write(path, text, mode, keep_owner=False)
    units.reload()
    run(["systemctl", "enable", "--quiet", UNIT])


def wait(active: Callable[[], bool], seconds: float, sleep: Callable[[float], None]) -> bool:
    """Whether the unit ended within ``seconds``."""
    waited = 0.0
    while active():
        if waited > seconds:
            return False
        sleep(0.5)
        waited += 0.5
    return True
