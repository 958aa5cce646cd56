# SPDX-License-Identifier: GPL-3.0-or-later
"""One extract: a CSV below DATA_DIR/extracts, and latest.json that names it."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone
from pathlib import Path

from agnes_demo.files import replace_json, replace_text
from agnes_demo.paths import data_dir

ROWS = 100


def extract(data: Path, source: str) -> Path:
    """Write one extract; its path. Makes `extracts`, never DATA_DIR itself."""
    target = data / "extracts"
    if not target.is_dir():
        target.mkdir()
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    lines = ["id,source,value", *(f"{n},{source},{n * n}" for n in range(1, ROWS + 1))]
    path = target / f"{stamp}.csv"
    replace_text(path, "\n".join(lines) + "\n")
    replace_json(target / "latest.json", {"file": path.name, "rows": ROWS, "stamp": stamp})
    return path


def main() -> None:
    """Run one extract and report it."""
    try:
        path = extract(data_dir(), os.environ.get("DATA_SOURCE") or "demo")
    except OSError as error:
        sys.exit(f"extract: {error}")
    print(f"extract: wrote {path}")


if __name__ == "__main__":
    main()
