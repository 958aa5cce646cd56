# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the mounts of a stage, where a test has no right to mount: a copy of the project."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Done


def run_in_copy(
    argv: Sequence[str], codes: Sequence[int] = (0,), seconds: float = 120, fds: Sequence[int] = ()
) -> Done:
    """What Stage gives to commands.run, run in a copy of the project with the stage's files on top.

    What it prints has the project's path in place of the copy's.
    """
    assert argv[0] == "unshare"
    archive, top, project, *command = argv[argv.index("sh", argv.index("-c") + 2) + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        shown = Path(folder, os.path.relpath(project, top))
        if os.path.isdir(project):
            shutil.copytree(project, shown, dirs_exist_ok=True)
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        done = subprocess.run(command, cwd=shown, capture_output=True, text=True, check=False)
        out, err = (text.replace(str(shown), project) for text in (done.stdout, done.stderr))
    return Done(done.returncode, out, err)
