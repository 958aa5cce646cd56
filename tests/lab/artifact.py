# SPDX-License-Identifier: GPL-3.0-or-later
"""Build what is published, install it where nothing else is, and see that its playbooks load.

Without an argument it builds from this checkout into .cache/artifact and says the file's name.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = ("site", "rollout", "purge", "audit")


def run(command: Sequence[str], cwd: Path, **environment: str) -> str:
    """Run a command without the settings of this checkout or of a user; returns its output, or ends."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")}
    config = cwd / "empty.cfg"
    config.touch()
    env = {**kept, "ANSIBLE_CONFIG": str(config), "ANSIBLE_NOCOLOR": "1", **environment}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"artifact: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def build(source: Path, folder: Path) -> Path:
    """Build the artifact of the checkout at ``source`` into ``folder``."""
    command = ["ansible-galaxy", "collection", "build", "--force", "--output-path", str(folder)]
    run([*command, str(source)], folder)
    (archive,) = folder.glob("*.tar.gz")
    return archive


def install(artifact: Path, collections: Path) -> None:
    """Install the artifact as a user does, below ``collections``."""
    command = ["ansible-galaxy", "collection", "install", "--offline", "--collections-path"]
    run([*command, str(collections), str(artifact)], collections)


def load_playbooks(collections: Path, folder: Path) -> None:
    """Load the installed playbooks from ``folder``, with nothing but ``collections``; ends on an error."""
    (folder / "inventory.yml").write_text("agnes: {hosts: {agnes1.example.org: }}\n")
    names = [f"agnes.host.{name}" for name in PLAYBOOKS]
    command = ["ansible-playbook", "--syntax-check", "--inventory", "inventory.yml", *names]
    run(command, folder, ANSIBLE_COLLECTIONS_PATH=str(collections))


def main() -> None:
    """Entry point."""
    folder = ROOT / ".cache" / "artifact"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.tar.gz"):
        old.unlink()
    artifact = build(ROOT, folder)
    with tempfile.TemporaryDirectory() as empty:
        collections = Path(empty) / "collections"
        collections.mkdir()
        install(artifact, collections)
        load_playbooks(collections, Path(empty))
    print(f"artifact: {artifact.relative_to(ROOT)}; installed elsewhere, its playbooks load")


if __name__ == "__main__":
    main()
