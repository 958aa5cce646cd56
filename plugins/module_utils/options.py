# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that more than one module has; plugins/doc_fragments/project.py has their documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROJECT: Mapping[str, Mapping[str, Any]] = {
    "project_dir": {"type": "str", "default": "/opt/agnes"},
    "image": {"type": "str", "default": ""},
    "artifacts_dir": {"type": "str", "default": ""},
    "profiles": {"type": "list", "elements": "str", "default": []},
    "env": {"type": "dict", "default": {}},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
}
"""What the compose project shall be."""

ONE_SOURCE = [("image", "artifacts_dir")]
"""The product's files come from one of them."""
