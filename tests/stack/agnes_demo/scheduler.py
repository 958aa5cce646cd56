# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler: asks the app for its health and records each run in STATE_DIR."""

from __future__ import annotations

import os
import sys
import urllib.request
from pathlib import Path

from agnes_demo.files import replace_json, utc_now
from agnes_demo.paths import state_dir
from agnes_demo.wait import hold_signals, stopped_within

LAST_RUN = "scheduler_last_run.json"
INTERVAL_SECONDS = 5.0


def run_once(url: str, state: Path) -> None:
    """One health call and its record; a dead app or a full disk is reported, not fatal."""
    try:
        with urllib.request.urlopen(url, timeout=3) as reply:
            result = f"http {reply.status}"
    except OSError as error:  # URLError is one
        result = f"failed: {error}"
    try:
        replace_json(state / LAST_RUN, {"at": utc_now(), "health": result})
    except OSError as error:
        print(f"scheduler: cannot record the run: {error}", file=sys.stderr, flush=True)


def main() -> None:
    """Run until SIGTERM."""
    hold_signals()
    url = os.environ.get("API_URL", "http://app:8000") + "/api/health"
    state = state_dir()
    while True:
        run_once(url, state)
        if stopped_within(INTERVAL_SECONDS):
            return


if __name__ == "__main__":
    main()
