# SPDX-License-Identifier: GPL-3.0-or-later
"""The site of the documentation: each page is in one table of contents."""

from __future__ import annotations

import re
from pathlib import Path

import docs


def test_each_page_is_in_one_table_of_contents(tmp_path: Path) -> None:
    docs.copy_pages(tmp_path)
    first = (tmp_path / "README.md").read_text()
    assert first.startswith((docs.ROOT / "README.md").read_text())
    listed = re.findall(r"(?m)^[a-zA-Z_/-]+$", first.split("```{toctree}", 1)[1])
    pages = {p.relative_to(tmp_path).with_suffix("").as_posix() for p in tmp_path.rglob("*.md")}
    assert sorted(listed) == sorted({*pages, "reference/index"} - {"README"})
    assert {"docs/moving", "roles/disks/README", "CHANGELOG"} <= pages


def test_the_pages_for_operators_are_there() -> None:
    missing = [name for name in docs.OPERATE if not (docs.ROOT / f"docs/{name}.md").is_file()]
    assert not missing
