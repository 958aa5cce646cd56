# SPDX-License-Identifier: GPL-3.0-or-later
"""A browser without a window, from the distribution's packages; called, it makes sure that there is one."""

from __future__ import annotations

import shutil
from pathlib import Path

import engine

COMMANDS = {"chromium-headless-shell": "chromium-headless-shell"}
"""Command -> Debian package that has it; a Chromium that is there already will do."""
OTHERS = ("chromium", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
"""A sandbox needs a kernel that lets root make one; what is opened are files of ours."""
SHOTS = Path(__file__).resolve().parents[2] / ".cache" / "browser"
"""Where the tests leave pictures of pages."""


def path() -> str:
    """The browser; empty if there is none."""
    paths = (shutil.which(name) for name in (*COMMANDS, *OTHERS))
    return next((each for each in paths if each), "")


def main() -> None:
    """Install one where there is none."""
    if not path():
        engine.install(engine.missing_packages(True, COMMANDS))


if __name__ == "__main__":
    main()
