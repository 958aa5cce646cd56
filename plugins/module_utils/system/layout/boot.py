# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking for what at boot writes ``.env``: startup scripts of clouds, units, crontabs, rc.local. Read-only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from ...core.host.facts import BootScript
from ...core.layout.boot import LOG, at_boot, lines_that_write
from ..host import scripts

SCRIPTS = (
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
    "/etc/init.d/*",
    "/var/lib/cloud/instance/scripts/*",
    "/var/lib/cloud/scripts/per-boot/*",
    "/var/lib/cloud/scripts/vendor/*",
    "/etc/network/if-up.d/*",
    "/etc/networkd-dispatcher/*/*",
    "/etc/NetworkManager/dispatcher.d/*",
    "/etc/tmpfiles.d/*.conf",
    "/run/tmpfiles.d/*.conf",
    "/usr/lib/tmpfiles.d/*.conf",
)
UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""In systemd's order: a unit hides those of its name in the later ones."""
CRONTABS = ("/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/*", "/var/spool/cron/*")
_EXEC = re.compile(
    r"^Exec(?:Start|StartPre|StartPost|Condition|Reload)=(?P<words>.+)$", re.MULTILINE
)
_PATH = re.compile(r"""(?<![\w./$}])/[^\s'"`;|&<>()$,=]+""")


def _units(unread: dict[str, str]) -> Iterator[str]:
    """The services that systemd knows, and their drop-ins."""
    seen = set()
    for folder in UNIT_FOLDERS:
        for path in scripts.matching(f"{folder}/*.service", unread):
            name = os.path.basename(path)
            if name not in seen:
                seen.add(name)
                yield path
        yield from scripts.matching(f"{folder}/*.service.d/*.conf", unread)


def _started(unread: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """(path, text, commands) of what itself says which commands run at boot: units and crontabs."""
    for path in _units(unread):
        text = scripts.text(path, unread)
        whole = text.replace("\\\n", "  ")
        yield path, text, "\n".join(match["words"] for match in _EXEC.finditer(whole))
    for path in (path for pattern in CRONTABS for path in scripts.matching(pattern, unread)):
        text = at_boot(scripts.text(path, unread))
        yield path, text, text


def _candidates(project_dir: str, unread: dict[str, str]) -> Iterator[tuple[str, str, bool]]:
    """(path, text, whether it is about the project) of all that runs at boot."""
    about = {project_dir, os.path.realpath(project_dir)}

    def is_about(text: str) -> bool:
        return any(path in text for path in about)

    for path in (path for pattern in SCRIPTS for path in scripts.matching(pattern, unread)):
        text = scripts.text(path, unread)
        yield path, text, is_about(text)
    for path, text, commands in _started(unread):
        yield path, text, is_about(text)
        for program in _PATH.findall(commands):
            script = scripts.text(program, unread)
            # Which directory it works in may be said where it is started, or by where it lies.
            yield program, script, is_about(script) or is_about(text) or is_about(program)


def boot_scripts(project_dir: str, unread: dict[str, str]) -> list[BootScript]:
    """The scripts that run at boot, speak of the project, and write a file called ``.env``.

    Where only the log of the product's startup script is found (on a cloud the
    script itself comes from the metadata server), the log stands for it.

    unread: takes why, for each file or folder that could not be read: what it does at boot is unknown.
    """
    writers: list[BootScript] = []
    seen = set()
    for path, text, is_about in _candidates(project_dir, unread):
        real = os.path.realpath(path)
        if not is_about or real in seen:
            continue
        lines = lines_that_write(text, project_dir)
        if lines:
            seen.add(real)
            writers.append({"path": path, "lines": lines})
    if not writers and scripts.matching(LOG, unread):
        writers.append({"path": LOG, "lines": []})
    return writers
