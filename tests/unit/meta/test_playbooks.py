# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook that finds no host ends with an error, and says so."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("playbook", ["site.yml", "playbooks/rollout.yml"])
def test_an_inventory_without_hosts_is_an_error(playbook: str, tmp_path: Path) -> None:
    empty = tmp_path / "hosts.yml"
    empty.write_text("other: {hosts: {elsewhere: }}\n")
    done = subprocess.run(
        ["ansible-playbook", "--inventory", str(empty), playbook],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert "no host in group 'agnes': put yours there" in done.stdout
