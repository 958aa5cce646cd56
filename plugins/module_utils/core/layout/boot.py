# SPDX-License-Identifier: GPL-3.0-or-later
"""What at boot writes ``.env`` anew, and so takes a host out of its layout."""

from __future__ import annotations

import re

from ..host.errors import BootScriptRewrites
from ..host.facts import BootScript, Host
from ..host.host_errors import BootUnreadable
from .layouts import Layout

HANDLED = "handled"
"""Value of state_layout_boot_script once the operator has changed the script."""

LOG = "/var/log/agnes-startup.log"
"""The log of the startup script with which the product's own provisioning makes hosts."""

_FILE = r"""[^\s|;&<>]*\.env\}?["']?"""
_END = r"""(\s*$|\s*[;&|)<>}"'`]|\s+\d>|\s+#)"""
_NEXT = rf"(\s|{_END})"

_WRITES = (
    # a redirection to the file, or a filter that writes it, however its directory is spelled
    re.compile(rf"(>{{1,2}}[|&]?|\b(tee|sponge)\b([^|;&<>]*\s)?)\s*{_FILE}{_NEXT}"),
    re.compile(rf"\b(mv|cp|scp|install|ln|rsync)\s.*\s{_FILE}{_END}"),
    # in place
    re.compile(rf"\bsed\s+(-\S+\s+)*(-[a-zA-Z]*i\S*|--in-place\S*)\s.*{_FILE}{_END}"),
    re.compile(rf"\bperl\s+(-\S+\s+)*-[a-zA-Z]*i\S*\s.*{_FILE}{_END}"),
    re.compile(rf"\b(awk|gawk)\s+-i\s*inplace\s.*{_FILE}{_END}"),
    re.compile(rf"\b(truncate|shred|ed|ex)\s.*{_FILE}{_END}"),
    # the option of a program for what it writes: curl -o, wget -qO, openssl -out, gcloud --out-file
    re.compile(rf"^(?!.*\b[ef]?grep\b|.*\bls\b).*\s-([a-zA-Z]*[oO]|out)[\s=]*{_FILE}{_NEXT}"),
    re.compile(rf"\s--out[a-z-]*[\s=]\s*{_FILE}{_NEXT}"),
    re.compile(rf"\bdownload\b.*\s(-f|--file)[\s=]\s*{_FILE}{_NEXT}"),
    re.compile(rf"\bof={_FILE}{_NEXT}"),
    # Python
    re.compile(r"""\bopen\(.*\.env["']?\)?\s*,\s*(mode\s*=\s*)?["'][^"']*[wax+]"""),
    re.compile(
        r"""\.env["']?\)?\.(write_text|write_bytes|open\(\s*(mode\s*=\s*)?["'][^"']*[wax+])"""
    ),
    re.compile(r"""\b(replace|rename|copy\w*|move)\(.*\.env["']?\)?\s*\)"""),
    # systemd: a unit's output, and what tmpfiles.d writes though it is there
    re.compile(rf"^Standard(Output|Error)=(file|append|truncate):{_FILE}"),
    re.compile(rf"^(F|w|[fwCL]\+)\S*\s+{_FILE}(\s|$)"),
)
_NAMED = re.compile(
    rf"^\s*(?:(?:export|readonly|local|(?:declare|typeset)(?:\s+-\S+)*)\s+)?(\w+)\s*=\s*"
    rf"(?:Path\()?{_FILE}\)?{_END}|\$\{{(\w+):?=[^\s}}]*\.env\}}"
)
_AT_BOOT = re.compile(r"^\s*@reboot\s")


def _whole_lines(script: str) -> list[tuple[int, str]]:
    """The lines with their numbers, from 1; what a backslash breaks is one line, its first one."""
    joined: list[tuple[int, str]] = []
    goes_on = False
    for number, line in enumerate(script.splitlines(), start=1):
        if goes_on:
            number, before = joined.pop()
            line = f"{before[:-1]} {line}"
        joined.append((number, line))
        goes_on = line.endswith("\\") and not line.lstrip().startswith("#")
    return joined


def _into(project_dir: str) -> re.Pattern[str]:
    """A copy of a file called ``.env`` into the project's directory, or the current one."""
    target = rf"""["']?({re.escape(project_dir)}/?|\./?)["']?"""
    return re.compile(rf"\b(mv|cp|scp|install|rsync)\s.*{_FILE}\s+{target}{_END}")


def lines_that_write(script: str, project_dir: str = "/opt/agnes") -> list[int]:
    """The numbers, from 1, of a script's lines that write a file called ``.env``.

    Also by a variable that was set to its name. What is hidden better is not found:
    the log and a run after a boot are there for that.
    """
    patterns = (*_WRITES, _into(project_dir))
    names: list[str] = []
    numbers = []
    for number, line in _whole_lines(script):
        if line.lstrip().startswith("#"):
            continue
        for named in _NAMED.finditer(line):
            names.append(named[1] or named[3])
        for name in names:
            as_argument = rf"(?<![\w$/]){name}(?=\s*[,)]|\.write_|\.open)"
            line = re.sub(
                rf"\$(\{{{name}(:?[-=?+][^}}]*)?\}}|{name}\b)|{as_argument}", "/.env", line
            )
        if any(pattern.search(line) for pattern in patterns):
            numbers.append(number)
    return numbers


def at_boot(crontab: str) -> str:
    """A crontab without the lines that do not run at boot; the others keep their numbers."""
    kept = (line if _AT_BOOT.match(line) else "" for line in crontab.splitlines())
    return "\n".join(kept)


def say(script: BootScript) -> str:
    """A script for a message, with the lines to change."""
    if not script["lines"]:
        return f"the boot script that logs to {script['path']}"
    plural = "s" if len(script["lines"]) > 1 else ""
    return f"{script['path']} (line{plural} {', '.join(map(str, script['lines']))})"


def check_boot(host: Host, layout: Layout, boot_script: str = "", keep_env: bool = False) -> None:
    """Raise when the layout depends on keys of ``.env`` that a boot would take away.

    keep_env: whether the host puts them back by itself.
    """
    if not layout.env() or boot_script == HANDLED or keep_env:
        return
    if host["boot_scripts"]:
        raise BootScriptRewrites(
            layout=layout.name,
            found=" and ".join(map(say, host["boot_scripts"])),
            env_path=host["env"]["path"],
            keys=", ".join(layout.env()),
        )
    for path, why in host["boot_unread"].items():
        raise BootUnreadable(
            path=path, found=why, env_path=host["env"]["path"], keys=", ".join(layout.env())
        )
