# SPDX-License-Identifier: GPL-3.0-or-later
"""Running commands of the host, all in one environment.

What a command does must not depend on who became root, and how: sudo, su and a unit of
systemd each give another PATH, HOME and locale, and /etc/environment may set what Compose
takes for a setting of the project.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, Optional

from ...core.host.tools import PATH

_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
PASSED = (*_PROXIES, *(name.upper() for name in _PROXIES), "DOCKER_CONFIG")
"""What is taken from the caller's environment: how to reach and log in to a registry."""


_KILLED_SECONDS = 5.0
"""How long a killed command may take to be gone."""


def passed() -> dict[str, str]:
    """What this process has been given of it."""
    return {name: os.environ[name] for name in PASSED if name in os.environ}


def take_over(values: Mapping[str, str]) -> None:
    """Take it from a run, in a process that systemd has started with none."""
    for name in PASSED:
        os.environ.pop(name, None)
        if name in values:
            os.environ[name] = values[name]


def environment() -> dict[str, str]:
    """The environment of every command that is run on a host."""
    return {**passed(), "PATH": PATH, "HOME": pwd.getpwuid(0).pw_dir, "LC_ALL": "C"}


def which(program: str) -> Optional[str]:
    """The path of a program as ``run`` finds it, or None."""
    return shutil.which(program, path=PATH)


class Failed(Exception):
    """A command ended badly; the message names it and quotes the end of its stderr."""


class Hung(Failed):
    """A command did not end in the time that it was given; the message says how long that was."""


class Done(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str


def run(
    argv: Sequence[str],
    codes: Sequence[int] = (0,),
    cwd: Optional[str] = None,
    seconds: float = 120,
    fds: Sequence[int] = (),
) -> Done:
    """Run ``argv`` without a shell, in ``environment()``, and return what it gave.

    codes: the exit codes that are no failure; an empty list takes any. fds: descriptors that it gets.
    cwd: also PWD, as ``cd`` in a shell has it: Compose goes by that where a link leads there.
    Raises Failed for another code or a missing program, Hung after ``seconds``.
    """
    env = {**environment(), **({"PWD": cwd} if cwd else {})}
    try:
        # What runs commands where there is no module.
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            list(argv), cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", pass_fds=fds,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise Failed(f"'{argv[0]}' is not installed") from error
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise Hung(f"'{' '.join(argv[:3])}' did not end within {seconds:.0f} s") from error
    finally:
        if process.returncode is None:
            _leave(process)
    if codes and process.returncode not in codes:
        raise Failed(f"'{' '.join(argv[:3])}' failed ({process.returncode}): {last_line(err)}")
    return Done(process.returncode, out, err)


def _leave(process: subprocess.Popen[str]) -> None:
    """Kill a command, and leave it behind where the kernel can't end it: a disk does not answer."""
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=_KILLED_SECONDS)


def last_line(text: str) -> str:
    """The last line that is not empty, for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
