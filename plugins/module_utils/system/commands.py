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
from collections.abc import Sequence
from typing import NamedTuple, Optional

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for: the PATH that Debian gives to root."""

_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
PASSED = (*_PROXIES, *(name.upper() for name in _PROXIES), "DOCKER_CONFIG")
"""What is taken from the caller's environment: how to reach and log in to a registry."""


def environment() -> dict[str, str]:
    """The environment of every command that is run on a host."""
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    return {**passed, "PATH": PATH, "HOME": pwd.getpwuid(0).pw_dir, "LC_ALL": "C"}


def which(program: str) -> Optional[str]:
    """The path of a program as ``run`` finds it, or None."""
    return shutil.which(program, path=PATH)


class Failed(Exception):
    """A command ended badly; the message names it and quotes the end of its stderr."""


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
    Raises Failed for another code, a missing program or after ``seconds``.
    """
    try:
        done = subprocess.run(
            list(argv), cwd=cwd, env=environment(), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="replace", timeout=seconds, check=False, pass_fds=fds,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise Failed(f"'{argv[0]}' is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"'{' '.join(argv[:3])}' did not end within {seconds:.0f} s") from error
    if codes and done.returncode not in codes:
        raise Failed(f"'{' '.join(argv[:3])}' failed ({done.returncode}): {last_line(done.stderr)}")
    return Done(done.returncode, done.stdout, done.stderr)


def last_line(text: str) -> str:
    """The last line that is not empty, for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
