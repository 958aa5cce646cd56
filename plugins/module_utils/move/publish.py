# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the runner on the host, so that it runs without Ansible: code, command and unit.

The code is the very code that the module runs from, read through Python's own loaders,
so it does not matter whether that is a zip file or a directory. It is read and not run: a
host that has it already is asked nothing else.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

from ..system.host import durable
from ..system.host.actions import Actions
from ..system.host.commands import run
from ..system.move import ledger, units

if TYPE_CHECKING:
    # Ansible packs what is named here; at run time it is only read.
    from . import command  # noqa: F401

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
ConditionPathExists=|{intent}

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


PREFIX = __name__.rpartition(".move.")[0]
_TOP = os.path.dirname(os.path.dirname(__file__))
_ABSENT = (errno.ENOENT, errno.ENOTDIR, 0)
"""The last is a zip file's."""

_IMPORT = re.compile(r"^[ \t]*from (\.+)([\w.]*) import (\([^)]*\)|[^\n(]+)", re.MULTILINE)
_NAME = re.compile(r"(?:^|,)\s*(\w+)")


def _source(name: str) -> Optional[tuple[str, str]]:
    """Path and text of a module of ours; None for a name that is none of a module.

    The loader that brought this file reads the others. To ask it for the module itself would, in a
    zip file, compile that.
    """
    spec = sys.modules[__name__].__spec__
    loader: Any = spec.loader if spec else None
    inside = name[len(PREFIX) + 1 :].replace(".", "/")
    for path in (f"{inside}.py", f"{inside}/__init__.py"):
        try:
            data = loader.get_data(os.path.join(_TOP, path))
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            continue
        # Ansible's own loader of collections gives nothing for a file that is absent.
        if data is not None:
            return path, str(data, "utf-8")
    return None


def _needs(name: str, text: str) -> set[str]:
    """The modules of ours that a source may mean by its imports, by their whole names."""
    above = name.split(".")
    modules = {".".join(above[:depth]) for depth in range(1, len(above))}
    # Each text is looked at in every run: a parser would take ten times as long.
    for dots, module, names in _IMPORT.findall(text):
        base = ".".join([*above[: -len(dots)], *filter(None, [module])])
        plain = re.sub(r"#.*", "", names).strip("()")
        modules |= {base, *(f"{base}.{each}" for each in _NAME.findall(plain))}
    return {each for each in modules if each.startswith(f"{PREFIX}.")}


def sources() -> dict[str, str]:
    """Path -> text of all that the command needs, and of nothing else that came with this process.

    So whichever module publishes it, on one host it is one and the same version. Raises OSError.
    """
    by_path: dict[str, str] = {}
    left = {f"{PREFIX}.move.command"}
    seen: set[str] = set()
    while left:
        name = left.pop()
        seen.add(name)
        source = _source(name)
        if source is None:
            # A name in a module, and none of a module.
            continue
        path, text = source
        by_path[path] = text
        inside = f"{name}.__init__" if path.endswith("/__init__.py") else name
        left |= _needs(inside, text) - seen
    return by_path


def files(modules: Optional[Mapping[str, str]] = None) -> dict[str, str]:
    """Path -> text of the whole package, as it lies on the host."""
    by_path = sources() if modules is None else modules
    return {**by_path, "__init__.py": "", "__main__.py": _MAIN}


def texts() -> dict[str, tuple[str, int]]:
    """Path -> text and mode of all that stands on the host outside the code's own directory."""
    return {
        COMMAND: (_COMMAND.format(root=ROOT, python=sys.executable, package=PACKAGE), 0o755),
        UNIT_PATH: (
            _UNIT.format(request=ledger.REQUEST, intent=ledger.INTENT, command=COMMAND),
            0o644,
        ),
    }


def version(modules: Mapping[str, str]) -> str:
    """A name for this code: a hash over all of it."""
    digest = hashlib.sha256()
    for path, text in sorted(modules.items()):
        digest.update(f"{path}\0{text}\0".encode())
    return digest.hexdigest()[:12]


def missing(modules: Mapping[str, str]) -> list[str]:
    """What is not on the host yet, for a message."""
    paths = []
    current = os.path.join(ROOT, "current")
    if not os.path.islink(current) or os.readlink(current) != version(modules):
        paths.append(f"{ROOT}/{version(modules)}")
    for path, (text, _mode) in texts().items():
        if durable.read_text(path) != text:
            paths.append(path)
    return paths


def publish(modules: Mapping[str, str]) -> None:
    """Write the code durably, then let ``current`` name it; then command and unit."""
    name = version(modules)
    for path, text in files(modules).items():
        target = os.path.join(ROOT, name, PACKAGE, path)
        durable.make_directory(os.path.dirname(target))
        durable.write(target, text)
    current, fresh = os.path.join(ROOT, "current"), os.path.join(ROOT, f".current-{name}")
    if os.path.lexists(fresh):
        os.unlink(fresh)
    os.symlink(name, fresh)
    os.rename(fresh, current)
    durable.fsync_directory(ROOT)
    for path, (text, mode) in texts().items():
        durable.make_directory(os.path.dirname(path))
        durable.write(path, text, mode, keep_owner=False)
    units.reload()
    if os.path.isdir("/run/systemd/system"):
        run(["systemctl", "enable", "--quiet", UNIT])


def keep(actions: Actions) -> None:
    """Have the command on the host, before a move needs it: ``agnes-host explain`` tells in trouble, too."""
    modules = sources()
    if missing(modules):
        actions.take(
            COMMAND, "absent or of another version", f"version {version(modules)}",
            lambda: publish(modules),
        )  # fmt: skip
