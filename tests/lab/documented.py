# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation of a module says, with its fragments."""

from __future__ import annotations

import importlib
from typing import Any

import yaml

_PLUGINS = "ansible_collections.agnes.host.plugins"


def options_of(name: str) -> dict[str, Any]:
    """The options of a module as documented, those of its fragments too."""
    said = yaml.safe_load(importlib.import_module(f"{_PLUGINS}.modules.{name}").DOCUMENTATION)
    options: dict[str, Any] = {}
    for fragment in said["extends_documentation_fragment"]:
        shared = importlib.import_module(
            f"{_PLUGINS}.doc_fragments.{fragment.rpartition('.')[2]}"
        ).ModuleDocFragment
        options.update(yaml.safe_load(shared.DOCUMENTATION).get("options") or {})
    doubled = options.keys() & said["options"].keys()
    if doubled:
        raise AssertionError(f"documented twice: {sorted(doubled)}")
    return {**options, **said["options"]}
