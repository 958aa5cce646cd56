# SPDX-License-Identifier: GPL-3.0-or-later
"""What the product's instance.yaml says of the database; a target host has no YAML library."""

from __future__ import annotations

import re

DUCKDB = "duckdb"
SIDE_CAR = "side_car"
"""PostgreSQL in a container of the project."""
UNKNOWN = "unknown"
"""It names one that can't be read for sure: whoever asks must not go on."""

_SECTION = re.compile(r"""^(["']?)database\1\s*:(?P<rest>.*)$""")
_FLOW = re.compile(r"""[{,]\s*["']?backend["']?\s*:\s*["']?(?P<name>[\w-]+)""")
_CHILD = re.compile(r"""^(?P<indent>\s+)(["']?)(?P<key>[\w-]+)\2\s*:\s*(?P<value>.*)$""")


def _bare(value: str) -> str:
    value = re.sub(r"(^|\s)#.*$", "", value).strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _in_block(lines: list[str]) -> str:
    indent = ""
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        child = _CHILD.match(line)
        if not line[0].isspace():
            break
        if child is None:
            continue
        indent = indent or child["indent"]
        if child["indent"] == indent and child["key"] == "backend":
            name = _bare(child["value"])
            return name if re.fullmatch(r"[\w-]+", name) else UNKNOWN
    return DUCKDB


def backend_of(text: str) -> str:
    """The backend that ``database.backend`` names; duckdb, the product's default, when nothing does."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        section = _SECTION.match(line)
        if section is None:
            continue
        rest = _bare(section["rest"])
        if not rest:
            return _in_block(lines[number + 1 :])
        flow = _FLOW.search(rest)
        if flow:
            return flow["name"]
        return DUCKDB if rest in ("~", "null", "{}") else UNKNOWN
    return DUCKDB


def is_stub(text: str) -> bool:
    """Whether it says that the backend is duckdb, and nothing else: the product makes that by itself."""
    lines = [line for line in text.splitlines() if line.strip() not in ("", "---")]
    said = [line for line in lines if not line.lstrip().startswith("#")]
    if len(said) != 2:
        return False
    section, child = _SECTION.match(said[0]), _CHILD.match(said[1])
    if section is None or child is None or _bare(section["rest"]):
        return False
    return child["key"] == "backend" and _bare(child["value"]) == DUCKDB
