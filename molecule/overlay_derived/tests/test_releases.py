# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of the product are looked at with the Compose of a host, and nothing of it is changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import releases
from play import play

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import Layout

LEFT = "ls -d /tmp/agnes-* /opt/agnes-* 2>/dev/null"


def looked(name: str, facts: dict[str, Any], page: Path, directories: Sequence[Path]) -> str:
    playbook = releases.ROOT / "playbooks" / "releases.yml"
    given = releases.options(directories, name, page)
    done = play("releases", {name: facts}, *given, playbook=playbook)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{name} .*changed=0 ", done.stdout, re.M), done.stdout
    return page.read_text("utf-8")


def test_the_page_of_the_documentation_is_what_the_command_makes(
    name: str, facts: dict[str, Any], host: Any, layout: Layout, tmp_path: Path
) -> None:
    if layout.name != "flat":
        pytest.skip("once is enough")
    made = releases.documented(lambda each: looked(name, facts, tmp_path / "page.md", each))
    assert releases.PAGE.read_text("utf-8") == made, "run 'make releases'"
    assert not host.run(LEFT).stdout
