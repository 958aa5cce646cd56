# SPDX-License-Identifier: GPL-3.0-or-later
"""What at boot writes ``.env`` anew, and so takes a host out of its layout."""

from __future__ import annotations

import re

from .errors import BootScriptRewrites
from .facts import BootScript, Host
from .layouts import Layout

HANDLED = "handled"
"""Value of state_layout_boot_script once the operator has changed the script."""

LOG = "/var/log/agnes-startup.log"
"""The log of the startup script with which the product's own provisioning makes hosts."""

_FILE = r"""[^\s|;&<>]*\.env["']?"""
_END = r"(\s*$|\s*[;&|)<])"

_WRITES = (
    # a redirection or tee to the file, however its directory is spelled
    re.compile(rf"(>{{1,2}}|\btee\b(\s+-\S+)*)\s*{_FILE}(\s|$|[;&|)<])"),
    re.compile(rf"\b(mv|cp|install|ln)\s.*\s{_FILE}{_END}"),
    re.compile(rf"\bsed\s+(-\S+\s+)*(-[a-zA-Z]*i\S*|--in-place\S*)\s.*{_FILE}{_END}"),
)
_NAMED = re.compile(rf"^\s*(?:export\s+|readonly\s+|local\s+)?(\w+)={_FILE}{_END}")


def lines_that_write(script: str) -> list[int]:
    """The numbers, from 1, of a shell script's lines that write a file called ``.env``.

    Also by a variable that was set to its name. What is hidden better is not found:
    the log and a run after a boot are there for that.
    """
    names: list[str] = []
    found = []
    for number, line in enumerate(script.splitlines(), start=1):
        if line.lstrip().startswith("#"):
            continue
        named = _NAMED.match(line)
        if named:
            names.append(named[1])
        for name in names:
            line = re.sub(rf"\$(\{{{name}\}}|{name}\b)", "/.env", line)
        if any(pattern.search(line) for pattern in _WRITES):
            found.append(number)
    return found


def say(script: BootScript) -> str:
    """A script for a message, with the lines to change."""
    if not script["lines"]:
        return f"the boot script that logs to {script['path']}"
    plural = "s" if len(script["lines"]) > 1 else ""
    return f"{script['path']} (line{plural} {', '.join(map(str, script['lines']))})"


def check_boot(host: Host, layout: Layout, boot_script: str = "") -> None:
    """Raise when the layout hangs on keys of ``.env`` that a boot would take away."""
    if host["boot_scripts"] and layout.env() and boot_script != HANDLED:
        raise BootScriptRewrites(
            layout=layout.name,
            found=" and ".join(map(say, host["boot_scripts"])),
            env_path=host["env"]["path"],
            keys=", ".join(layout.env()),
        )
