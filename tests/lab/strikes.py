# SPDX-License-Identifier: GPL-3.0-or-later
"""Killing, in the middle of a move, the run, its connection, the engine, or the whole test host."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from records import ROOT

RUN, CONNECTION, ENGINE, HOST = KINDS = ("run", "connection", "engine", "host")
"""The run on the controller, what it has started on the host, the engine's process, the host."""

STRIKER = ROOT / "molecule" / "shared" / "files" / "strike.py"
BOOT_SECONDS = 300
ENOUGH = "/run/strike-enough"
"""Tells the striker that it need not wait any more."""


def docker(*arguments: str) -> str:
    """The output of a docker command of this machine."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def strike(
    name: str, run: subprocess.Popen[bytes] | None, kind: str, step: str, phase: str, delay: float
) -> str:
    """Wait for a line of the move's journal and ``delay`` seconds, then kill; what its last line was then.

    Empty when the move, or the run, ended before it came to that.
    """
    inside = kind if kind in (CONNECTION, ENGINE) else "nothing"
    command = ["docker", "exec", "--interactive", name, "python3", "-", step, phase, str(delay)]
    with STRIKER.open("rb") as script:
        watch = subprocess.Popen(
            [*command, inside], stdin=script, stdout=subprocess.PIPE, text=True
        )
    while watch.poll() is None:
        if run is not None and run.poll() is not None:
            docker("exec", name, "touch", ENOUGH)
        time.sleep(0.02)
    said = watch.stdout.read().strip() if watch.stdout else ""
    if said and kind == RUN and run is not None:
        kill(run)
    if said and kind == HOST:
        docker("kill", name)
    return said


def kill(run: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a run on the controller, and to all that it has started there."""
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def hang_up(name: str) -> None:
    """Kill what runs on the host for the sake of a connection from outside."""
    strike(name, None, CONNECTION, "NOW", "", 0)


def boot(name: str) -> None:
    """Start a host that was killed, and wait until it takes commands."""
    docker("start", name)
    wait_for(name, "docker info", BOOT_SECONDS)


def wait_for(name: str, command: str, seconds: float) -> None:
    """Wait until a shell command on the host ends well."""
    end = time.monotonic() + seconds
    argv = ["docker", "exec", name, "sh", "-c", command]
    while subprocess.run(argv, capture_output=True, check=False).returncode:
        if time.monotonic() > end:
            raise TimeoutError(f"'{command}' did not come true on {name} within {seconds:.0f} s")
        time.sleep(0.5)
