# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking for what at boot writes ``.env``: startup scripts of clouds, units, rc.local. Read-only."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator

from ..core.boot import LOG, lines_that_write
from ..core.facts import BootScript
from . import durable

_SCRIPTS = (
    "/etc/rc.local",
    "/var/lib/cloud/instance/scripts/*",
    "/var/lib/cloud/scripts/per-boot/*",
)
_UNITS = "/etc/systemd/system/*.service"
_PROGRAM = re.compile(r"^ExecStart(?:Pre|Post)?=[-@:+!]*(?P<words>.+)$", re.MULTILINE)
_LIMIT = 1 << 20


def _text(path: str) -> str:
    try:
        return durable.read_text(os.path.realpath(path), _LIMIT) or ""
    except OSError:
        return ""


def _programs(unit: str) -> Iterator[str]:
    """The files that a unit runs; ``/bin/bash /path/to/script`` names two."""
    for match in _PROGRAM.finditer(_text(unit)):
        yield from (word for word in match["words"].split()[:3] if word.startswith("/"))


def _candidates() -> list[str]:
    paths = [path for pattern in _SCRIPTS for path in sorted(glob.glob(pattern))]
    for unit in sorted(glob.glob(_UNITS)):
        paths += _programs(unit)
    return list(dict.fromkeys(paths))


def boot_scripts(project_dir: str) -> list[BootScript]:
    """The scripts that run at boot, speak of the project, and write a file called ``.env``.

    Where only the log of the product's startup script is found (on a cloud the
    script itself comes from the metadata server), the log stands for it.
    """
    found: list[BootScript] = []
    for path in _candidates():
        text = _text(path)
        lines = lines_that_write(text) if project_dir in text else []
        if lines:
            found.append({"path": path, "lines": lines})
    if not found and os.path.exists(LOG):
        found.append({"path": LOG, "lines": []})
    return found
