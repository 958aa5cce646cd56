# SPDX-License-Identifier: GPL-3.0-or-later
"""Running commands of the host."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional


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
    env: Optional[Mapping[str, str]] = None,
    seconds: float = 120,
    fds: Sequence[int] = (),
) -> Done:
    """Run ``argv`` without a shell, in the C locale, and return what it gave.

    codes: the exit codes that are no failure; an empty list takes any. fds: descriptors that it gets.
    Raises Failed for another code, a missing program or after ``seconds``.
    """
    full = {**os.environ, "LC_ALL": "C", **(env or {})}
    try:
        done = subprocess.run(
            list(argv), cwd=cwd, env=full, stdin=subprocess.DEVNULL, capture_output=True,
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
