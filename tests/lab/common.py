# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's scripts share. Standard library only: they run before any venv exists."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable, Optional

CHECKOUT = Path(__file__).resolve().parents[2]
VENV = CHECKOUT / ".venv"
RESULTS = CHECKOUT / ".cache" / "results"
HEARTBEAT = 10.0  # seconds between the signs of life of a long command


class LabError(Exception):
    """Something is missing or failed; the message is for the person at the terminal."""


def cache() -> Path:
    """Where images, disks and keys are kept; made if absent."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "agnes-host"
    path.mkdir(parents=True, exist_ok=True)
    return path


def say(text: str) -> None:
    """One progress line."""
    print(f"lab: {text}", flush=True)


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """One at a time on this machine, checkouts included."""
    with (cache() / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run(
    command: Sequence[str],
    what: str = "",
    env: Optional[dict[str, str]] = None,
) -> str:
    """Run a command and give its standard output; with `what`, show that it lives.

    The output goes through files, not pipes, so that a long one never blocks the heartbeat.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env
            )
        except OSError as error:
            raise LabError(f"{command[0]} can't be run: {error.strerror}") from error
        while True:
            try:
                code = process.wait(HEARTBEAT)
                break
            except subprocess.TimeoutExpired:
                if what:
                    say(f"{what}: {time.monotonic() - started:.0f} s")
            except BaseException:
                process.terminate()
                raise
        out.seek(0)
        err.seek(0)
        output, errors = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    if code:
        tail = "\n".join((output + errors).strip().splitlines()[-15:])
        raise LabError(f"{what or ' '.join(command[:3])} failed ({code}): {tail}")
    if what:
        say(f"{what}: done in {time.monotonic() - started:.1f} s")
    return output


def succeeds(command: Sequence[str]) -> bool:
    """Whether a command can be run and exits 0."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def script(main: Callable[[], None]) -> None:
    """Run a script's main; a LabError becomes one line and exit status 1."""
    try:
        main()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        sys.exit(130)
