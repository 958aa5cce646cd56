# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings and secrets of the app: environment, overlay file, secret files."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from agnes_demo.files import replace_text

OVERLAY = ".env_overlay"
# The overlay lives in STATE_DIR, so it can't say where STATE_DIR is.
_NOT_FROM_OVERLAY = frozenset({"DATA_DIR", "STATE_DIR"})


def parse_overlay(text: str) -> dict[str, str]:
    """KEY=VALUE lines; blank lines, comments and lines without `=` are skipped."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.strip().partition("=")
        if separator and key and not key.startswith("#"):
            values[key] = value
    return values


def load_settings(state: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The environment with the overlay of `state` on top."""
    overlay_file = state / OVERLAY
    overlay = parse_overlay(overlay_file.read_text("utf-8")) if overlay_file.is_file() else {}
    kept = {key: value for key, value in overlay.items() if key not in _NOT_FROM_OVERLAY}
    return {**env, **kept}


def load_secret(state: Path, name: str, override: str | None) -> str:
    """`override` if not empty, else the secret file's text, else a new one written to it (0600)."""
    if override:
        return override
    path = state / name
    value = path.read_text("utf-8").strip() if path.exists() else ""
    if not value:
        value = secrets.token_hex(32)
        replace_text(path, value + "\n", mode=0o600)
    return value
