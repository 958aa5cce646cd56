#!/usr/bin/python3 -IS
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for systemctl: it knows what systemd has read, and when that was."""

from __future__ import annotations

import glob
import json
import os
import signal
import sys

VIEW = "/run/systemd-stand-in.json"


def kill_at(path: str) -> None:
    """A test can have the runner die while it waits for the reload of a certain number."""
    if not os.path.exists(path):
        return
    with open(path) as file:
        left = int(file.read()) - 1
    with open(path, "w") as file:
        file.write(str(left))
    if not left:
        os.unlink(path)
        os.kill(os.getppid(), signal.SIGKILL)
        sys.exit(1)


def main() -> None:
    if sys.argv[1:] != ["daemon-reload"]:
        sys.exit(f"stand-in: {sys.argv[1:]}?")
    kill_at("/run/reloads")
    with open("/etc/fstab") as file:
        text = file.read()
    held = glob.glob("/etc/systemd/system/*.d/90-agnes-host-move.conf")
    names = sorted(os.path.basename(os.path.dirname(path))[: -len(".d")] for path in held)
    with open(VIEW + ".new", "w") as file:
        json.dump({"fstab": text, "held": names}, file)
    os.rename(VIEW + ".new", VIEW)


main()
